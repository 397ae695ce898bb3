"""Dynamics of many replicas of one molecule or liquid at once, resumable.

`driver` goes frame by frame; `dynamics` is one step of one replica; `lists` knows for how long neighbours last; `engine`
compiles a frame of all replicas; `record` keeps what was done on disk; `cost` and `table` sum it up.
"""

from .driver import run
from .system import Molecule, SimulationError
from .table import require_ok

__all__ = ["Molecule", "SimulationError", "require_ok", "run"]
