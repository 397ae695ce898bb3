"""What will go wrong with this mapping, said before training: `examine`, then `verdict`, `to_dict`, `proposal`."""

from cgcore.doctor.examine import Examination, examine
from cgcore.doctor.findings import Finding, findings
from cgcore.doctor.inputs import DoctorError
from cgcore.doctor.report import as_json, diagnose, headline, read_frames, to_dict, verdict, write
from cgcore.doctor.species import map_text, proposal
