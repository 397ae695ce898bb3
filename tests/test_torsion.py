"""Free energy along a dihedral from forces: against a rotor of known potential and noise, whatever else is noisy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgcore.analysis import torsion
from cgcore.units import kT

HEIGHT, NOISE, FRAMES = 3.0, 40.0, 20_000
PATH = (0, 1, 2, 3)


def rotor(noise: float = NOISE, seed: int = 0):
    """Five beads, of which two turn about the bond of the second and third: U = HEIGHT cos q, in frames (T, 5, 3) turned at
    random; the force on bead 3 is -dU/dq over its distance from the axis, with noise of that torque; q (T,)."""
    random = np.random.default_rng(seed)
    grid = np.linspace(-np.pi, np.pi, 100_001)
    weight = np.exp(-HEIGHT * np.cos(grid) / kT(300.0))
    q = np.interp(random.random(FRAMES), weight.cumsum() / weight.sum(), grid)
    zero = 0 * q
    turning = np.stack([np.cos(q), np.sin(q), zero], -1)
    tangent = np.stack([-np.sin(q), np.cos(q), zero], -1)
    fixed = np.array([[0.1, 0, -0.05], [0, 0, 0], [0, 0, 0.15]])
    last = 0.12 * turning + [0, 0, 0.2]
    x = np.stack([*(np.tile(b, (FRAMES, 1)) for b in fixed), last, last + [0, 0, 0.1]], axis=1)
    torque = HEIGHT * np.sin(q) + noise * random.normal(size=FRAMES)
    force = np.zeros_like(x)
    force[:, 3] = tangent * torque[:, None] / 0.12
    force[:, 0, 1] = -torque / 0.1
    turn = np.linalg.qr(random.normal(size=(FRAMES, 3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))[:, None, None]
    return np.einsum("tij,taj->tai", turn, x), np.einsum("tij,taj->tai", turn, force), q


def test_the_known_profile_and_its_error():
    x, force, q = rotor()
    found, torque = torsion.torques(x, force, PATH)
    assert_allclose(np.cos(found - q), 1, atol=1e-12)
    got = torsion.relief(found, torque)
    known = HEIGHT * np.cos(got.centres)
    known -= known @ got.population
    off = got.free_energy - known
    assert 0.5 < np.sqrt(off**2 @ got.population) / got.error_kJ_mol < 2
    others = [torsion.relief(*torsion.torques(*rotor(seed=s)[:2], PATH)) for s in range(1, 13)]
    many = [other.free_energy for other in others]
    assert got.error_kJ_mol == pytest.approx(np.sqrt(np.var(many, 0) @ got.population), rel=0.35)
    calm = torsion.relief(*torsion.torques(*rotor(noise=NOISE / 4)[:2], PATH))
    assert calm.error_kJ_mol == pytest.approx(got.error_kJ_mol / 4, rel=0.3)


def test_the_calmer_side_is_turned():
    """Noise on one side alone leaves the other, whose torque is exact."""
    x, force, _ = rotor(noise=0.0)
    noisy = force.copy()
    noisy[:, 0] += 1000 * np.random.default_rng(1).normal(size=(FRAMES, 3))
    exact = torsion.torques(x, force, PATH)[1]
    assert_allclose(torsion.torques(x, noisy, PATH)[1], exact, atol=0.3)


def test_shares_follow_from_the_profile():
    x, force, q = rotor(noise=5.0)
    got = torsion.relief(*torsion.torques(x, force, PATH))
    value, low, high = got.share(-np.pi / 2, np.pi / 2, 300.0)
    assert low < value < high and value == pytest.approx(np.mean(np.abs(q) < np.pi / 2), abs=0.02)


def test_beads_that_only_bring_noise_are_left_alone_and_rigid_parts_turn_together():
    """Noise on a bead beyond the path changes nothing; noise that two beads share with opposite signs cancels."""
    x, force, _ = rotor(noise=0.0)
    force[:, 0] += 1000 * np.random.default_rng(2).normal(size=(FRAMES, 3))
    exact = torsion.torques(x, force, PATH)[1]
    axis = x[:, 2] - x[:, 1]
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    around = np.cross(axis, x[:, 3] - x[:, 2])
    around *= 1000 * np.random.default_rng(3).normal(size=(FRAMES, 1))
    beyond, shared = force.copy(), force.copy()
    beyond[:, 4] += around
    shared[:, 3] += around
    shared[:, 4] -= around
    assert_allclose(torsion.torques(x, beyond, PATH)[1], exact, atol=0.3)
    assert_allclose(torsion.torques(x, shared, PATH)[1], exact, atol=0.3)
