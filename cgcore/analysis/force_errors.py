"""Held-out force errors with error bars: frame by frame, so that two models can be compared on the same frames.

Most of a force error in coarse-graining is noise of the mapping, the same for every model. It cancels in the difference
of two models on the same frames, whose error bar is far below that of either.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cgcore.analysis.blocks import Estimate, ratio, row
from cgcore.data import DataError, forces
from cgcore.frames import Frames
from cgcore.units import MEV_PER_ANGSTROM

BLOCKS = 10
"""Contiguous blocks of held-out frames, fewer where there are fewer frames."""


class ForceErrors(NamedTuple):
    """Errors per Cartesian component, meV/Å. The study's "Force" is the mean absolute error."""

    mae: float
    rmse: float


def by_frame(predicted: np.ndarray, frames: Frames) -> np.ndarray:
    """(T, 2) mean absolute (meV/Å) and mean square error ((meV/Å)^2) of each frame's force components.

    Of weighted frames (T, 3), the last what each counts. predicted: (T, N, 3) kJ/mol/nm. Raises DataError for another shape, and for frames without forces.
    """
    reference, predicted = forces(frames), np.asarray(predicted, dtype=np.float64)
    if predicted.shape != reference.shape:
        raise DataError(f"want predicted forces of shape {reference.shape}, got {predicted.shape}")
    error = (predicted - reference) / MEV_PER_ANGSTROM
    errors = np.stack([np.abs(error).mean((1, 2)), np.square(error).mean((1, 2))], axis=1)
    return errors if frames.weight is None else np.column_stack([errors, frames.weights])


def mae(errors: np.ndarray) -> Estimate:
    """Mean absolute error in meV/Å of `by_frame`, with its standard error over contiguous blocks."""
    return _over_blocks(errors, errors[:, 0])


def rmse(errors: np.ndarray) -> Estimate:
    """Root mean square error in meV/Å of `by_frame`, with its standard error over contiguous blocks."""
    return _over_blocks(errors, errors[:, 1], np.sqrt)


def loss(errors: np.ndarray) -> Estimate:
    """Mean square error of `by_frame` in kJ^2/mol^2/nm^2, the unit of the loss, with its standard error."""
    return _over_blocks(errors, errors[:, 1], lambda mean: mean * MEV_PER_ANGSTROM**2)


def difference(first: np.ndarray, second: np.ndarray) -> Estimate:
    """MAE of the first model less that of the second on the same frames, meV/Å, with the paired standard error.

    Raises DataError for errors of different numbers of frames.
    """
    if first.shape != second.shape:
        raise DataError(f"want errors of two models on the same frames, got {len(first)} and {len(second)} frames")
    return _over_blocks(first, first[:, 0] - second[:, 0])


def _over_blocks(errors: np.ndarray, x: np.ndarray, function=lambda mean: mean) -> Estimate:
    """A function of the mean of x (T,) over the frames of `by_frame`; with a single frame the error is unknown, NaN."""
    counts = errors[:, 2] if errors.shape[1] > 2 else np.ones(len(x))
    blocks = np.array_split(np.arange(len(x)), min(BLOCKS, len(x)))
    if len(blocks) < 2:
        return Estimate(float(function(x.mean())), float("nan"))
    return ratio([(counts * x)[b].sum() for b in blocks], [counts[b].sum() for b in blocks], function)


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What every fit keeps of its held-out frames: their errors as `by_frame`; estimates over contiguous blocks."""

    held_out: np.ndarray

    mae = property(lambda self: mae(self.held_out), doc="As `mae`.")
    rmse = property(lambda self: rmse(self.held_out), doc="As `rmse`.")
    loss = property(lambda self: loss(self.held_out), doc="As `loss`.")

    @property
    def errors(self) -> ForceErrors:
        """Both errors without their error bars, meV/Å."""
        return ForceErrors(mae=self.mae.value, rmse=self.rmse.value)

    def table(self) -> dict:
        """The small numbers of a manifest."""
        return row("force_mae_meV_per_A", self.mae) | row("force_rmse_meV_per_A", self.rmse)
