"""Trajectory files to `Frames` and back. Lengths in nm, times in ps, forces in kJ/mol/nm."""

from .bonds import check_bonds, missing_bond
from .held import Virial, check_forces, rigid
from .packed import write_packed
from .raw import TrajectoryError, TruncatedTrajectoryWarning, Units
from .read import load, read, read_replicas
from .topology import read_topology, save_topology, with_bonds_of
from .trr import index_trr, trr_frame
