"""What a reader of one format hands on, and what can be wrong with its file."""

from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cgcore.errors import CgcoreError

PARSER_ERRORS = {OSError, ValueError, IndexError, KeyError, TypeError, AttributeError, RuntimeError, AssertionError}
PARSER_ERRORS |= {Exception}  # mdtraj's reader of GRO files raises the bare one
"""What mdtraj and h5py were seen to raise for damaged files."""

TOLERANCE = 1e-5
"""Relative difference of box lengths that is rounding."""


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
    """Frames as stored: (T, N, 3) nm; (T, N, 3) kJ/mol/nm or None; (T,) ps or None; (3,) nm, inf where not periodic."""

    position: np.ndarray
    force: np.ndarray | None
    time: np.ndarray | None
    box: np.ndarray


@contextmanager
def damaged(path: Path):
    """Say which file a parser could not read. Nothing but the parser's call belongs inside: other errors are ours."""
    try:
        yield
    except Exception as error:
        if type(error) not in PARSER_ERRORS:
            raise
        raise TrajectoryError(
            f"{path}: want a whole {path.suffix[1:].upper()} file; it is cut off or damaged ({error})"
        ) from error


def check_atoms(path: Path, in_frame: int, in_topology: int):
    """Raise TrajectoryError unless a frame and the topology hold as many atoms."""
    if in_frame != in_topology:
        slip = (
            "does the trajectory hold the solvent too?"
            if in_frame > in_topology
            else "does the topology hold the solvent too, or was only a part of the system written?"
        )
        raise TrajectoryError(f"{path}: {in_frame} atoms in a frame, {in_topology} in the topology; {slip}")


def one_box(path: Path, vectors: np.ndarray | None) -> np.ndarray:
    """Edges (3,) nm of the box of all frames, from box vectors (T, 3, 3) nm or None; inf where zero or absent.

    Raises TrajectoryError for a box that is not orthorhombic, or not the same in all frames.
    """
    if vectors is None or not len(vectors):
        return np.full(3, np.inf)
    edges = np.diagonal(vectors, axis1=1, axis2=2)
    scale = max(edges.max(), 1.0)
    if np.abs(vectors - edges[:, :, None] * np.eye(3)).max() > TOLERANCE * scale:
        raise TrajectoryError(f"{path}: want an orthorhombic box, got vectors {vectors[0].tolist()} nm")
    if np.ptp(edges, axis=0).max() > TOLERANCE * scale:
        raise TrajectoryError(
            f"{path}: want one box for all {len(edges)} frames, got lengths from {edges.min(axis=0).tolist()} to "
            f"{edges.max(axis=0).tolist()} nm; is this a run at constant pressure?"
        )
    return np.where(edges[0] > 0, edges[0], np.inf)
