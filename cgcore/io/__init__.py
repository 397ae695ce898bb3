"""Trajectory files to `Frames` and back. Lengths in nm, times in ps, forces in kJ/mol/nm."""

from .packed import write_packed
from .raw import TrajectoryError, TruncatedTrajectoryWarning
from .read import read, read_topology
from .trr import index_trr, trr_frame

__all__ = [
    "TrajectoryError",
    "TruncatedTrajectoryWarning",
    "index_trr",
    "read",
    "read_topology",
    "trr_frame",
    "write_packed",
]
