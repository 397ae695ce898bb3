"""Noise floors where the noise is known."""

import numpy as np
import pytest

from cgcore.analysis import noise_floor
from cgcore.analysis.blocks import Estimate
from cgcore.data import DataError
from cgcore.frames import Frames
from cgcore.units import kT

SIGMA = 300.0  # kJ/mol/nm
STIFFNESS = 100_000.0


@pytest.fixture(scope="module")
def molecule():
    """Three beads on springs, turned at random, with forces of the springs and Gaussian noise."""
    random = np.random.default_rng(5)
    n = 6000
    d = 0.15 + random.normal(size=(n, 3)) * np.sqrt(kT(300) / STIFFNESS)
    a, b, c = d.T  # sides: 0-1, 1-2, 0-2
    x = (a**2 + c**2 - b**2) / (2 * a)
    y = np.sqrt(np.maximum(c**2 - x**2, 1e-6))
    flat = np.zeros((n, 3, 3))
    flat[:, 1, 0], flat[:, 2, 0], flat[:, 2, 1] = a, x, y
    q, _ = np.linalg.qr(random.normal(size=(n, 3, 3)))
    q *= np.sign(np.linalg.det(q))[:, None, None]
    position = np.einsum("tij,tnj->tni", q, flat)
    force = np.zeros_like(position)
    for i, j, length in ((0, 1, a), (1, 2, b), (0, 2, c)):
        unit = (position[:, j] - position[:, i]) / length[:, None]
        pull = STIFFNESS * (length - 0.15)[:, None] * unit
        force[:, i] += pull
        force[:, j] -= pull
    noise = random.normal(size=force.shape) * SIGMA
    return Frames(
        position=position, force=force + noise, box=np.full(3, np.inf), time=np.arange(n) * 1.0, names=("A",) * 3
    ), force


def test_the_scatter_between_neighbours_is_the_noise_with_and_without_a_model(molecule):
    frames, mean_force = molecule
    without = noise_floor.from_neighbours(frames, frames.force, gap_ps=0.5)
    assert abs(without.value / SIGMA**2 - 1) < 0.1
    perfect = noise_floor.from_neighbours(frames, frames.force - mean_force, gap_ps=0.5)
    assert abs(perfect.value - SIGMA**2) < 4 * perfect.error
    assert perfect.error < 0.02 * SIGMA**2
    assert np.square(frames.force).mean() > 2 * SIGMA**2  # what a model that predicts zero would call its loss


def test_the_limit_of_a_learning_curve_is_the_noise():
    """Linear regression with p parameters: the expected held-out loss is s^2 (1 + p / (n - p - 1))."""
    random = np.random.default_rng(1)
    # The power law is the limit of this for n well above p.
    p, n, trials = 20, np.array([160, 320, 640, 1280, 2560]), 60
    truth, losses = random.normal(size=p), np.zeros((len(n), trials))
    for k, size in enumerate(n):
        for trial in range(trials):
            x = random.normal(size=(size, p))
            y = x @ truth + 3.0 * random.normal(size=size)
            fitted = np.linalg.lstsq(x, y, rcond=None)[0]
            losses[k, trial] = 9.0 + np.sum((fitted - truth) ** 2)
    floor = noise_floor.from_learning_curve(n, losses.mean(1), losses.std(1) / np.sqrt(trials))
    assert abs(floor.value - 9.0) < 4 * floor.error
    assert floor.error < 0.1


def test_bad_input_is_named(molecule):
    frames, _ = molecule
    with pytest.raises(DataError, match="four or more trainings"):
        noise_floor.from_learning_curve([1, 10], [2.0, 1.0], [0.1, 0.1])
    with pytest.raises(DataError, match="the loss rises"):
        noise_floor.from_learning_curve([1, 10, 20, 40], [1.0, 1.1, 1.2, 1.3], [0.1] * 4)
    with pytest.raises(DataError, match="0 pairs of nearby frames"):
        noise_floor.from_neighbours(frames, frames.force, gap_ps=1e6)
    with pytest.raises(DataError, match="want residuals"):
        noise_floor.from_neighbours(frames, frames.force[:5], gap_ps=1.0)
    with pytest.raises(DataError, match="want more than 12 frames, got 4"):
        noise_floor.from_neighbours(frames[:4], frames.force[:4], gap_ps=1.0)


def test_both_estimates_agree_where_they_can_be_had_and_else_say_why_not(molecule):
    frames, mean_force = molecule
    curve = {n: Estimate(SIGMA**2 * (1 + 20 / n), 500.0) for n in (40, 200, 1000, 5000)}
    both = noise_floor.floors(frames, frames.force - mean_force, gap_ps=0.5, curve=curve)
    assert [floor.method for floor in both] == ["neighbours", "learning curve"]
    (first, error), (second, other) = (floor.estimate for floor in both)
    assert abs(first - second) < noise_floor.AGREE * np.hypot(error, other)
    assert 0.95 < first / (1.02 * SIGMA**2) < 1.01
    alone = noise_floor.floors(frames, frames.force, gap_ps=1e6)
    assert [floor.estimate for floor in alone] == [None, None]
    assert "pairs of nearby frames" in alone[0].reason and "four or more trainings" in alone[1].reason
