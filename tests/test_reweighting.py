"""Populations by the walks of another potential: what a known difference of energies makes of known shares."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgcore import reweighting
from cgcore.units import kT

THEIRS = (np.tile([[1.0, -1.0, -1.0, -1.0]], (10, 100)), np.full((10, 400), -0.5), np.ones((10, 400)))
"""A reference with a quarter of its frames at phi > 0, and the rest in alpha_R."""


def walks(rng, C=16, T=500, share=0.25):
    """Walks in which both sides are visited alike, and count by the share of phi > 0 of the walked potential."""
    phi = np.where(rng.random((C, T)) < 0.5, 1.0, -1.0)
    return phi, np.full((C, T), -0.5), np.where(phi > 0, share, 1 - share)


@pytest.mark.parametrize("kT_deeper", [-1.0, 0.0, 0.5, 2.0])
def test_a_basin_that_is_deeper_by_so_much_is_found_deeper_by_it(kT_deeper):
    phi, psi, counts = walks(np.random.default_rng(0))
    gain = np.where(phi > 0, kT_deeper, 0.0) + 7.0  # a constant in an energy changes nothing
    tests = {t.name: t for t in reweighting.judge_by(phi, psi, counts, gain, THEIRS, 300.0)}
    less = tests["walks: phi_positive: depth less that of the walked"]
    assert_allclose(less.value, kT_deeper * kT(300), atol=1e-9)
    assert_allclose(less.error, 0.0, atol=1e-9)  # the same frames: what walks missed is the same for both
    depth = tests["walks: phi_positive: depth against the reference"]
    assert abs(depth.value - kT_deeper * kT(300)) < 4 * depth.error and depth.error < 0.2
    assert depth.verdict == ("fail" if kT_deeper == 2.0 else "undecided" if kT_deeper == -1.0 else "pass")
    assert tests["frames left"].verdict == "pass"


def test_few_frames_that_are_left_decide_nothing():
    rng = np.random.default_rng(1)
    phi, psi, counts = walks(rng)
    tests = reweighting.judge_by(phi, psi, counts, rng.normal(0, 4.0, phi.shape), THEIRS, 300.0)
    assert tests[0].value < reweighting.TRUSTED and {t.verdict for t in tests} == {"undecided"}
    counts[:, :10] = 0.0  # frames that do not count are not asked for their energies
    gain = np.where(counts > 0, 0.0, 1e4)
    assert reweighting.judge_by(phi, psi, counts, gain, THEIRS, 300.0)[0].value > 1000
