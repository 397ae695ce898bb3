"""Error bars of held-out force errors, and of differences on the same frames."""

from dataclasses import replace

import numpy as np
import pytest

from cgcore.analysis import force_errors
from cgcore.data import DataError
from cgcore.frames import Frames
from cgcore.units import MEV_PER_ANGSTROM

T, N, SIGMA = 400, 8, 500.0  # meV/Å


@pytest.fixture(scope="module")
def frames():
    force = SIGMA * MEV_PER_ANGSTROM * np.random.default_rng(1).normal(size=(T, N, 3))
    return Frames(position=force, force=force, box=np.full(3, np.inf), time=np.arange(T) * 1.0, names=("A",) * N)


def test_gaussian_noise_has_the_errors_of_its_distribution(frames):
    errors = force_errors.by_frame(np.zeros_like(frames.force), frames)
    n = frames.force.size
    mae, rmse, loss = force_errors.mae(errors), force_errors.rmse(errors), force_errors.loss(errors)
    assert abs(mae.value - SIGMA * np.sqrt(2 / np.pi)) < 4 * mae.error
    assert mae.error == pytest.approx(SIGMA * np.sqrt((1 - 2 / np.pi) / n), rel=0.6)
    assert abs(rmse.value - SIGMA) < 4 * rmse.error
    assert rmse.error == pytest.approx(SIGMA / np.sqrt(2 * n), rel=0.6)
    assert loss.value == pytest.approx(np.mean(np.square(frames.force)))


def test_errors_by_hand(frames):
    off = frames.force[:1].copy()
    off[0, 0, 0] += 24 * MEV_PER_ANGSTROM  # one of 24 components by 24 meV/Å
    held_out = force_errors.HeldOut(held_out=force_errors.by_frame(off, frames[:1]))
    assert held_out.errors == pytest.approx((1.0, np.sqrt(24)), rel=1e-12)
    with pytest.raises(DataError, match=r"want predicted forces of shape \(1, 8, 3\), got \(8, 3\)"):
        force_errors.by_frame(off[0], frames[:1])
    with pytest.raises(DataError, match="want frames with forces"):
        force_errors.by_frame(off, replace(frames[:1], force=None))


def test_the_noise_cancels_in_a_difference_on_the_same_frames(frames):
    """A model with an error of its own, a hundredth of the noise: sqrt(1 + 0.1^2) - 1 of the MAE, seen at once."""
    own = 0.1 * SIGMA * MEV_PER_ANGSTROM * np.random.default_rng(2).normal(size=frames.force.shape)
    worse, best = force_errors.by_frame(own, frames), force_errors.by_frame(np.zeros_like(own), frames)
    apart = force_errors.difference(worse, best)
    expected = SIGMA * np.sqrt(2 / np.pi) * (np.sqrt(1.01) - 1)
    assert abs(apart.value - expected) < 4 * apart.error
    assert apart.error < 0.2 * force_errors.mae(best).error
    with pytest.raises(DataError, match="400 and 399 frames"):
        force_errors.difference(worse, best[1:])


def test_one_frame_has_no_error_bar(frames):
    assert np.isnan(force_errors.mae(force_errors.by_frame(np.zeros((1, N, 3)), frames[:1])).error)
