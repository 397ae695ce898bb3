"""Dynamics of many replicas of one molecule or liquid at once, resumable.

`driver` goes frame by frame; `dynamics` is one step of one replica; `lists` knows for how long neighbours last;
`engine` compiles a frame of all replicas; `memory` is the place of a bias; `record` keeps what was done on disk,
`longer` goes on from a shorter run; `cost` and `table` sum it up; `steps` finds out how long a time step may be.
"""

from .driver import model_id, run
from .memory import Bias
from .steps import time_steps
from .system import Molecule, SimulationError
from .table import require_ok

__all__ = ["Bias", "Molecule", "SimulationError", "model_id", "require_ok", "run", "time_steps"]
