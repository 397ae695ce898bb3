"""What a run with a bias left of each frame."""

from typing import NamedTuple

import numpy as np

from ..frames import Ensemble
from ..store import Run


class Walk(NamedTuple):
    """C replicas over T frames: cv (C, T, D); bias, offset c(t) and height of the hill, kJ/mol, and whether the frame counts,
    (C, T); time (T,) ps. Bias and offset are those before the hill."""

    cv: np.ndarray
    bias: np.ndarray
    offset: np.ndarray
    height: np.ndarray
    valid: np.ndarray
    time: np.ndarray

    def after(self, time_ps: float) -> "Walk":
        """The frames later than a time, such as that at which the bias had filled what it was to fill."""
        late = self.time > time_ps
        return Walk(*(array[:, late] for array in self[:-1]), self.time[late])


def walk_of(folder: Run, ensemble: Ensemble) -> Walk:
    """The walk of a run of `simulate.run` with a bias."""
    arrays = (np.load(folder.path(f"{name}.npy")).astype(float) for name in Walk._fields[:4])
    return Walk(*arrays, ensemble.valid, np.asarray(ensemble.time))
