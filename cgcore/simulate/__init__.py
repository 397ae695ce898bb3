"""Dynamics of many replicas of one molecule or liquid at once, resumable.

`driver` goes frame by frame; `dynamics` is one step of one replica; `lists` knows for how long neighbours last;
`engine` compiles a frame of all replicas; `bias` is an energy with a history; `record` keeps what was done on disk;
`cost` and `table` sum it up; `steps` finds out how long a time step may be.
"""

from .bias import Bias
from .driver import Simulation, run
from .record import disk_bytes
from .steps import STEPS_FS, time_steps
from .system import Molecule, SimulationError

__all__ = ["STEPS_FS", "Bias", "Molecule", "Simulation", "SimulationError", "disk_bytes", "run", "time_steps"]
