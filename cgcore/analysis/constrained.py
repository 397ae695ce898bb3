"""The mean force of constrained dynamics, at fixed bead positions, and its noise; how far a model is from it.

    <|f + dU|^2> = noise + <|<f|R> + dU|^2>

Here both terms are seen apart. All per Cartesian component, kJ^2/mol^2/nm^2.
"""

from typing import NamedTuple

import numpy as np

from cgcore.analysis.blocks import Estimate, ratio
from cgcore.data import DataError

BLOCKS = 10
"""Contiguous pieces of the samples of one frame, whose means give the error of the mean force."""
GROUPS = 10
"""Of neighbouring beads in each frame, whose numbers count as independent."""


class ConstrainedForce(NamedTuple):
    """Forces sampled at F frames of N beads that are held.

    position (F, N, 3) nm; mean (F, N, 3) kJ/mol/nm of the mapped force; error2, its squared standard error, noise, the
    variance of the force, and noise_half, that from the first half of the samples, (F, N, 3) kJ^2/mol^2/nm^2.

    What changes more slowly than the samples last is taken for a part of the mean: `noise` is then too small, and the error
    of any model too large by as much, but neither their sum nor the difference of two models.
    """

    position: np.ndarray
    mean: np.ndarray
    error2: np.ndarray
    noise: np.ndarray
    noise_half: np.ndarray


def from_samples(force: np.ndarray) -> dict[str, np.ndarray]:
    """`ConstrainedForce` but for the position, at one frame, from samples in time (S, N, 3) kJ/mol/nm.

    Raises DataError for fewer than four samples a block.
    """
    if len(force) < 4 * BLOCKS:
        raise DataError(f"want {4 * BLOCKS} samples of the force or more, got {len(force)}")
    (error2, noise), (_, half) = (_spread(part) for part in (force, force[: len(force) // 2]))
    return {"mean": force.mean(0), "error2": error2, "noise": noise, "noise_half": half}


def _spread(force: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The squared error of the mean, and the variance: that of the samples about their own mean misses the former."""
    means = np.array([block.mean(0) for block in np.array_split(force, BLOCKS)])
    error2 = means.var(0, ddof=1) / BLOCKS
    return error2, force.var(0) + error2


def model_error(sampled: ConstrainedForce, predicted: np.ndarray) -> Estimate:
    """Mean square error of forces (F, N, 3) kJ/mol/nm beside the mean force, less that of the latter's own errors.

    Raises DataError for forces of other frames.
    """
    if np.shape(predicted) != sampled.mean.shape:
        raise DataError(f"want forces at {sampled.mean.shape} frames, beads and directions, got {np.shape(predicted)}")
    return over_beads((predicted - sampled.mean) ** 2 - sampled.error2)


def over_beads(x: np.ndarray) -> Estimate:
    """The mean of (F, N, 3), such as the force noise, its error over groups of neighbouring beads of each frame."""
    parts = [part for frame in x for part in np.array_split(frame, min(GROUPS, len(frame)))]
    return ratio([part.sum() for part in parts], [part.size for part in parts])
