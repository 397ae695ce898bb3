"""Reference frames for training: subsampling, contiguous blocks, held-out errors, starts, and what to check beforehand."""

import warnings
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from cgcore.errors import CgcoreError

from . import geometry
from .frames import Frames
from .store import data_hash
from .units import MEV_PER_ANGSTROM

CHUNK = 2_000_000
"""Distances that are in memory at once."""


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
            f"{self.train.n_frames} frames to train on, {self.valid.n_frames} held out "
            f"(blocks {', '.join(map(str, self.valid_blocks))}), {self.gap_count} dropped between them"
        )


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
    """12 hex digits of what is learnt from: positions, forces and box."""
    return data_hash(*(np.asarray(a) for a in (frames.position, frames.force, frames.box)))


def force_rms(frames: Frames) -> float:
    """Root mean square of the force components, kJ/mol/nm: the error of a model that predicts zero."""
    return float(np.sqrt(np.mean(np.square(_forces(frames)))))


class ForceErrors(NamedTuple):
    """Errors per Cartesian component, meV/Å. The study's "Force" is the mean absolute error."""

    mae: float
    rmse: float


def force_errors(predicted, frames: Frames) -> ForceErrors:
    """Mean absolute and root mean square error of predicted forces (T, N, 3) kJ/mol/nm against those of the frames."""
    reference, predicted = _forces(frames), np.asarray(predicted, dtype=np.float64)
    if predicted.shape != reference.shape:
        raise DataError(f"want predicted forces of shape {reference.shape}, got {predicted.shape}")
    error = (predicted - reference) / MEV_PER_ANGSTROM
    return ForceErrors(mae=float(np.mean(np.abs(error))), rmse=float(np.sqrt(np.mean(np.square(error)))))


def initial_positions(frames: Frames, n: int, seed: int) -> np.ndarray:
    """Positions (n, N, 3) nm to start replicas from, drawn from the frames without replacement.

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
    chosen = np.concatenate([random.permutation(frames.n_frames) for _ in range(rounds)])[:n]
    return np.asarray(frames.position)[chosen]


def bond_lengths(frames: Frames, bonds) -> np.ndarray:
    """Mean length over the frames of each of P bonds, (P,) nm: the equilibrium lengths of the stability criterion."""
    return _distances(frames, bonds).mean(axis=0)


def check_cutoff(frames: Frames, cutoff_nm: float):
    """Raise DataError if the cut-off leaves a bead without neighbours in some frame, or exceeds half the box."""
    if not cutoff_nm > 0:
        raise DataError(f"want a positive cut-off, got {cutoff_nm} nm")
    n = len(frames.names)
    if n < 2:
        raise DataError(f"want at least two beads for a cut-off to act between, got {n}")
    if cutoff_nm > (half := float(np.min(frames.box)) / 2):
        raise DataError(f"want a cut-off of at most half the box, {half:.3f} nm, got {cutoff_nm} nm")
    i, j = np.triu_indices(n, k=1)
    pairs = np.stack([i, j], axis=1)
    nearest, where = np.zeros(n), np.zeros(n, dtype=int)  # of each bead in the frame where it is loneliest
    size = max(1, CHUNK // len(pairs))
    for start in range(0, frames.n_frames, size):
        square = np.full((min(size, frames.n_frames - start), n, n), np.inf)
        square[:, i, j] = square[:, j, i] = _distances(frames[start : start + size], pairs)
        of_bead = square.min(axis=2)
        worst = of_bead.argmax(axis=0)
        farther = of_bead.max(axis=0) > nearest
        nearest, where = np.maximum(nearest, of_bead.max(axis=0)), np.where(farther, start + worst, where)
    lonely = nearest.argmax()
    if nearest[lonely] >= cutoff_nm:
        enough = np.ceil(nearest[lonely] * 1e3 + 1e-6) / 1e3
        raise DataError(
            f"a cut-off of {cutoff_nm} nm leaves bead {frames.names[lonely]} without neighbours in frame "
            f"{where[lonely]}: the nearest is {nearest[lonely]:.4f} nm away; the smallest cut-off that gives every "
            f"bead one is {enough:.3f} nm"
        )


def _forces(frames: Frames) -> np.ndarray:
    if frames.force is None:
        raise DataError("want frames with forces, these have none")
    return np.asarray(frames.force, dtype=np.float64)


def _distances(frames: Frames, pairs) -> np.ndarray:
    """(T, P) nm."""
    box = np.asarray(frames.box, dtype=frames.position.dtype)
    return np.asarray(geometry.distances(frames.position, np.asarray(pairs), box), dtype=np.float64)
