"""What can be wrong with a file, and what a reader hands on."""

from typing import NamedTuple

import numpy as np

from cgcore.errors import CgcoreError


class TrajectoryError(CgcoreError, ValueError):
    """A file that cannot be used, with what was wanted, what was found and the likely slip."""


class TruncatedTrajectoryWarning(UserWarning):
    """A trajectory that ends inside a frame: `frames` whole ones were kept, `dropped_bytes` were not read."""

    def __init__(self, path, frames: int, dropped_bytes: int):
        self.frames, self.dropped_bytes = frames, dropped_bytes
        super().__init__(
            f"{path}: the file ends inside a frame; kept the {frames} whole frames before it, dropped the last "
            f"{dropped_bytes} bytes"
        )


class Raw(NamedTuple):
    """What a reader returns: (T, N, 3) nm; (T, N, 3) kJ/mol/nm or None; (T,) ps or None; (T, 3, 3) nm or None."""

    position: np.ndarray
    force: np.ndarray | None
    time: np.ndarray | None
    vectors: np.ndarray | None


def same_size(path, found: int, wanted: int):
    if found != wanted:
        slip = (
            "does the trajectory hold the solvent too?"
            if found > wanted
            else "does the topology hold the solvent too, or was only a part of the system written?"
        )
        raise TrajectoryError(f"{path}: {found} atoms in a frame, {wanted} in the topology; {slip}")
