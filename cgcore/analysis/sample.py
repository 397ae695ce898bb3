"""Frames that count, of replicas or of one trajectory, and the blocks that error bars come from."""

from dataclasses import dataclass

import numpy as np

from cgcore.data import alike
from cgcore.frames import Ensemble, Frames

LEAST_REPLICAS = 4
"""Of a reference of so many runs or more, the runs are its blocks: pieces of a run that stays in one valley are not independent."""
PIECES = 10
"""Blocks that a single trajectory is cut into."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Replicas of a periodic system, or of one molecule, on a common clock.

    position: (C, T, N, 3) nm, wrapped or not; valid: (C, T), true where a frame counts; box: (3,) nm, inf around a molecule;
    frame_ps: time between frames; weight: (C, T), what each frame counts, None where all count alike.
    """

    position: np.ndarray
    valid: np.ndarray
    box: np.ndarray
    frame_ps: float
    weight: np.ndarray | None = None

    @property
    def n_frames(self) -> int:
        """Frames that count, of all replicas."""
        return int(np.count_nonzero(self.valid))

    def replicas(self) -> list[np.ndarray]:
        """The frames that count of each replica that has any, (t, N, 3) each."""
        return [x[v] for x, v in zip(self.position, self.valid, strict=True) if v.any()]

    def blocks(self) -> list[np.ndarray]:
        """Nearly independent sets of frames (t, N, 3): the replicas, or contiguous pieces where there is only one."""
        return _cut(self.replicas())

    def per_frame(self, values) -> list[np.ndarray]:
        """`values(position)` (T, ...) of each replica's frames (T, N, 3), those that count, cut as `blocks`.

        Frames that do not count are zero when `values` sees them, so that it meets one shape and finite numbers.
        """
        pairs = zip(self.position, self.valid, strict=True)
        return _cut([np.asarray(values(np.where(v[:, None, None], x, 0.0)))[v] for x, v in pairs if v.any()])

    def counts(self) -> list[np.ndarray]:
        """What each frame counts, (t,), cut as `blocks`."""
        weight = np.ones(self.valid.shape) if self.weight is None else self.weight
        return _cut([w[v] for w, v in zip(weight, self.valid, strict=True) if v.any()])


def of_ensemble(run: Ensemble, box, *, skip_ps: float = 0.0) -> Sample:
    """The frames of a simulation before its replicas failed, without the first `skip_ps` of each.

    Raises ValueError for a box that is not periodic.
    """
    time = np.asarray(run.time)
    valid = run.valid & (time > time[0] + skip_ps - 1e-9)[None, :] if skip_ps else run.valid
    return _checked(np.asarray(run.position), valid, box, time)


def of_frames(frames: Frames) -> Sample:
    """One trajectory, all of whose frames count alike. Raises DataError for weighted ones."""
    position = np.asarray(alike(frames, "distributions of a liquid").position)[None]
    return _checked(position, np.ones(position.shape[:2], bool), frames.box, frames.sampled_ps)


def of_molecule(run: Ensemble | Frames, weight: np.ndarray | None = None) -> Sample:
    """The frames of one molecule that count: of a simulation before its replicas failed, or all of a trajectory by weight.

    weight: (C, T), what each frame of a simulation with a bias counts, zero where not at all.
    """
    box, time = np.full(3, np.inf), np.asarray(run.time if isinstance(run, Ensemble) else run.sampled_ps)
    position, step_ps = np.asarray(run.position), float(np.median(np.diff(time)))
    if isinstance(run, Ensemble):
        valid = run.valid if weight is None else run.valid & (weight > 0)
        return Sample(position=position, valid=valid, box=box, frame_ps=step_ps, weight=weight)
    index, valid = run.by_replica() if run.replica is not None else (np.arange(len(position))[None], None)
    if len(index) < LEAST_REPLICAS:
        index, valid = np.arange(len(position))[None], None
    valid = np.ones(index.shape, bool) if valid is None else valid
    weight = None if run.weight is None else run.weights[index]
    return Sample(position=position[index], valid=valid, box=box, frame_ps=step_ps, weight=weight)


def wrapped(x: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Positions (..., 3) nm inside the box, below its upper edge."""
    x = np.mod(np.asarray(x, float), box)
    return np.where(x < box, x, 0.0)  # the remainder of a tiny negative number rounds to the box itself


def _cut(replicas: list[np.ndarray]) -> list[np.ndarray]:
    return replicas if len(replicas) > 1 else np.array_split(replicas[0], min(PIECES, len(replicas[0])))


def _checked(position, valid, box, time) -> Sample:
    box = np.asarray(box, float)
    if not np.isfinite(box).all():
        raise ValueError(f"a liquid: want a periodic box in nm, got {box}")
    if len(time) < 2:
        raise ValueError(f"a liquid: want at least two frames, got {len(time)}")
    return Sample(position=position, valid=valid, box=box, frame_ps=float(np.median(np.diff(time))))
