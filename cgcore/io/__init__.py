"""Trajectory files to `Frames` and back. Lengths in nm, times in ps, forces in kJ/mol/nm."""

from .held import Virial, check_bonds, check_forces, rigid
from .packed import write_packed
from .raw import TrajectoryError, TruncatedTrajectoryWarning
from .read import load, read
from .topology import read_topology
from .trr import index_trr, trr_frame
