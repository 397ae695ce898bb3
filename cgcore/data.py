"""Reference frames for training: subsampling, contiguous blocks, held-out errors, starts, and what to check beforehand."""

import warnings
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from cgcore.errors import CgcoreError

from . import geometry, neighbors
from .frames import Frames
from .store import data_hash


class DataError(CgcoreError, ValueError):
    """Frames that cannot be used as asked, with what was wanted, what was found and the likely slip."""


class RepeatedStartsWarning(UserWarning):
    """More starts were asked for than there are frames to draw from."""


class Split(NamedTuple):
    """Contiguous blocks of one trajectory, or of replicas in turn; train, gap and valid together are all its frames."""

    train: Frames
    gap_count: int  # frames dropped beside held-out blocks
    valid: Frames
    valid_blocks: tuple[int, ...]  # which blocks were held out, counted from 0

    def __str__(self) -> str:
        return (
            f"{_told(self.train, ' frames')} to train on, {_told(self.valid)} held out "
            f"(blocks {', '.join(map(str, self.valid_blocks))}), {self.gap_count} dropped between them"
        )


def _told(frames: Frames, word: str = "") -> str:
    worth = "" if frames.weight is None else f" (worth {frames.counting:.0f} that count alike)"
    return f"{frames.n_frames}{word}{worth}"


def subsample(frames: Frames, n: int | None) -> Frames:
    """n frames evenly spread from the first to the last, or all for None. DataError if there are fewer than n."""
    if n is None:
        return frames
    if not 1 <= n <= frames.n_frames:
        raise DataError(f"want {n} frames, the trajectory has {frames.n_frames}; None takes all")
    return frames[np.linspace(0, frames.n_frames - 1, n).round().astype(int)]


def mirrored(frames: Frames) -> Frames:
    """Every frame reflected, with its forces: the same trajectory of the enantiomer, D from L."""
    force = None if frames.force is None else -np.asarray(frames.force)
    return replace(frames, position=-np.asarray(frames.position), force=force)


def split_blocks(frames: Frames, blocks: int, valid_blocks: int, gap_ps: float) -> Split:
    """Cut the trajectory into contiguous blocks, hold some out, and drop frames closer than gap_ps to one of them.

    Blocks have equal numbers of frames (to within one). Held out are the blocks floor((k + 1/2) blocks / valid_blocks)
    for k = 0 ... valid_blocks - 1: spread evenly over the run and always the same. Nothing is shuffled. Neighbours in
    time are alike, so frames near a held-out block would leak what is in it. Replicas are cut as they follow one another,
    and gaps are counted in `Frames.sampled_ps`.

    Raises DataError when blocks are empty, when none is left to train on, or when the gaps use the rest up.
    """
    n = frames.n_frames
    if not 0 < valid_blocks < blocks:
        raise DataError(f"want at least one held-out block and one to train on, got {valid_blocks} of {blocks}")
    if blocks > n:
        raise DataError(f"want at least one frame a block, got {n} frames for {blocks} blocks")
    if not gap_ps >= 0:
        raise DataError(f"want a gap of zero or more picoseconds, got {gap_ps}")
    edges = np.linspace(0, n, blocks + 1).round().astype(int)
    held = tuple((2 * k + 1) * blocks // (2 * valid_blocks) for k in range(valid_blocks))
    time = frames.sampled_ps
    tolerance = 1e-6 * max(1.0, np.abs(time).max())  # times come from single precision
    train, valid = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
    for block in held:
        first, last = edges[block], edges[block + 1] - 1
        valid[first : last + 1] = True
        train &= (time <= time[first] - gap_ps + tolerance) | (time >= time[last] + gap_ps - tolerance)
    train &= ~valid
    if not train.any():
        raise DataError(
            f"gaps of {gap_ps} ps beside {valid_blocks} of {blocks} blocks leave none of {n} frames "
            f"({time[-1] - time[0]:g} ps) to train on; want a shorter gap or fewer blocks"
        )
    return Split(frames[np.flatnonzero(train)], int(n - train.sum() - valid.sum()), frames[np.flatnonzero(valid)], held)


def frames_hash(frames: Frames) -> str:
    """12 hex digits of what is learnt from: positions, forces, box, and weights and errors where there are some."""
    more = (a for a in (frames.weight, frames.force_error) if a is not None)
    return data_hash(*(np.asarray(a) for a in (frames.position, frames.force, frames.box, *more)))


def loss_weights(frames: Frames) -> np.ndarray:
    """What each squared error of a force counts in the loss, mean 1: (T, 1, 1) by frames, or (T, N, 3) with errors.

    A force with the standard error e counts 1 / (e^2 + m^2), divided by the mean, with m^2 the mean square error: the best
    for forces that a model misses by as much as they are uncertain, and no single one can count for all others.
    """
    weight = (frames.weights / frames.weights.mean())[:, None, None]
    if frames.force_error is None:
        return weight
    square = np.square(np.asarray(frames.force_error, dtype=np.float64))
    precision = 1 / (square + max(square.mean(), np.finfo(float).tiny))
    return weight * precision / precision.mean()


def alike(frames: Frames, what: str) -> Frames:
    """The frames, where all of them count alike. Raises DataError for frames of a run with a bias."""
    if frames.weight is not None:
        raise DataError(f"{what}: want frames that all count alike, got those of a run with a bias, each with a weight")
    return frames


def force_rms(frames: Frames) -> float:
    """Root mean square of the force components, kJ/mol/nm: the error of a model that predicts zero."""
    return float(np.sqrt(np.average(np.square(forces(frames)).mean((1, 2)), weights=frames.weights)))


def initial_positions(frames: Frames, n: int, seed: int) -> np.ndarray:
    """Positions (n, N, 3) nm to start replicas from, drawn from the frames without replacement, by their weights.

    Where n exceeds the number of frames, each is used equally often (to within one), with a RepeatedStartsWarning.
    """
    if n < 1:
        raise DataError(f"want at least one start, got {n}")
    rounds = -(-n // frames.n_frames)
    if rounds > 1:
        warnings.warn(
            RepeatedStartsWarning(f"{n} starts from {frames.n_frames} frames: each is used up to {rounds} times"),
            stacklevel=2,
        )
    random = np.random.default_rng(seed)
    if frames.weight is not None:
        several = n > frames.counting  # without replacement the few that count most would be drawn too rarely
        chosen = random.choice(frames.n_frames, n, replace=several, p=frames.weights / frames.weights.sum())
        return np.asarray(frames.position)[chosen]
    chosen = np.concatenate([random.permutation(frames.n_frames) for _ in range(rounds)])[:n]
    return np.asarray(frames.position)[chosen]


def bond_lengths(frames: Frames, bonds) -> np.ndarray:
    """Mean length over the frames of each of P bonds, (P,) nm: the equilibrium lengths of the stability criterion."""
    if not len(bonds):  # of a liquid of one bead a molecule
        return np.zeros(0)
    box = np.asarray(frames.box, dtype=frames.position.dtype)
    lengths = np.asarray(geometry.distances(frames.position, np.asarray(bonds), box), dtype=np.float64)
    return np.average(lengths, axis=0, weights=frames.weight)


def check_cutoff(frames: Frames, cutoff_nm: float):
    """Raise DataError if the cut-off leaves a bead without neighbours in some frame, or exceeds half the box."""
    if not cutoff_nm > 0:
        raise DataError(f"want a positive cut-off, got {cutoff_nm} nm")
    n = len(frames.names)
    if n < 2:
        raise DataError(f"want at least two beads for a cut-off to act between, got {n}")
    if cutoff_nm > (half := float(np.min(frames.box)) / 2):
        raise DataError(f"want a cut-off of at most half the box, {half:.3f} nm, got {cutoff_nm} nm")
    nearest = neighbors.nearest(np.asarray(frames.position), np.asarray(frames.box))
    frame, lonely = np.unravel_index(nearest.argmax(), nearest.shape)
    if (distance := nearest[frame, lonely]) >= cutoff_nm:
        enough = np.ceil(distance * 1e3 + 1e-6) / 1e3
        raise DataError(
            f"a cut-off of {cutoff_nm} nm leaves bead {frames.names[lonely]} without neighbours in frame "
            f"{frame}: the nearest is {distance:.4f} nm away; the smallest cut-off that gives every "
            f"bead one is {enough:.3f} nm"
        )


def forces(frames: Frames) -> np.ndarray:
    """(T, N, 3) kJ/mol/nm in double precision. Raises DataError where there are none."""
    if frames.force is None:
        raise DataError("want frames with forces, these have none")
    return np.asarray(frames.force, dtype=np.float64)
