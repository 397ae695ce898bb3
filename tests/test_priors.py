"""Priors: numbers of the distributions they are read off, walls where the reference never was."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgcore import geometry, io, mapping
from cgcore.config import SplineConfig
from cgcore.frames import Frames
from cgcore.potentials import priors
from cgcore.potentials.base import add
from cgcore.potentials.priors import PriorError
from cgcore.potentials.terms import Term
from cgcore.units import kT

T = 300.0
BOND = Term("bond", "bond", np.array([[0, 1]]))
ANGLE = Term("angle", "angle", np.array([[0, 1, 2]]))
DIHEDRAL = Term("dihedral", "dihedral", np.array([[0, 1, 2, 3]]))
PAIR = Term("pair", "pair", np.array([[0, 3]]))
VACUUM = np.full(3, np.inf)
N = 40_000
ALA2 = Path(__file__).parents[1] / "notebooks" / "data" / "ala2"


def drawn(energy, low: float, high: float, jacobian=np.ones_like, seed=0) -> np.ndarray:
    """N independent values of the density J exp(-U / kT)."""
    grid = np.linspace(low, high, 20_001)
    weight = jacobian(grid) * np.exp(-energy(grid) / kT(T))
    cumulative = np.concatenate([[0], np.cumsum(weight[1:] + weight[:-1])])
    return np.interp(np.random.default_rng(seed).random(N), cumulative / cumulative[-1], grid)


def chain(bond=0.15, angle=2.0, dihedral=1.0) -> Frames:
    """Four beads with the given coordinates, each a number or one for each frame."""
    bond, angle, dihedral = (x[:, None] for x in np.broadcast_arrays(*map(np.atleast_1d, (bond, angle, dihedral))))
    x, y, z = np.eye(3)
    second = bond * x
    third = second + 0.15 * (-np.cos(angle) * x + np.sin(angle) * y)
    axis = (third - second) / 0.15
    side = np.cross(z, axis)
    fourth = third + 0.15 * (0.4 * axis + np.sqrt(1 - 0.4**2) * (np.cos(dihedral) * side + np.sin(dihedral) * z))
    position = np.stack([np.zeros_like(second), second, third, fourth], axis=1)
    return Frames(position=position, force=None, box=VACUUM, time=np.arange(len(position)) * 1.0, names=tuple("ABCD"))


def test_chains_have_the_coordinates_asked_for():
    frames = chain(0.2, 1.7, np.array([-2.0, 0.5]))
    assert_allclose(geometry.distances(frames.position, BOND.members, VACUUM)[:, 0], 0.2)
    assert_allclose(geometry.angles(frames.position, ANGLE.members, VACUUM)[:, 0], 1.7)
    assert_allclose(geometry.dihedrals(frames.position, DIHEDRAL.members, VACUUM)[:, 0], [-2.0, 0.5])


@pytest.mark.physics
@pytest.mark.parametrize(
    ("term", "k", "q0", "jacobian"), [(BOND, 900.0, 0.25, np.square), (ANGLE, 60.0, 1.9, np.sin)], ids=["bond", "angle"]
)
def test_harmonic_terms_give_the_spring_back(term, k, q0, jacobian):
    """Equipartition with the volume element: k and q0 to 4 standard errors; the plain mean is 8 or more off."""
    q = drawn(lambda x: 0.5 * k * (x - q0) ** 2, 0.01, min(np.pi - 1e-3, q0 + 8 * np.sqrt(kT(T) / k)), jacobian)
    frames = chain(**{term.kind: q})
    prior = priors.harmonic(term, frames, T)
    error = np.sqrt(kT(T) / k / N)
    assert prior.k == pytest.approx(k, rel=4 * np.sqrt(2 / N))
    assert prior.q0 == pytest.approx(q0, abs=4 * error)
    assert abs(np.mean(q) - q0) > 8 * error
    energy = prior.energy(frames.position[0], VACUUM)
    assert energy == pytest.approx(0.5 * prior.k * (q[0] - prior.q0) ** 2)


@pytest.mark.physics
@pytest.mark.parametrize("kind", ["bond", "angle", "dihedral"])
def test_boltzmann_inversion_gives_the_potential_back(kind):
    """A double well, known to a tenth of kT where it is well sampled; sampled with the volume element."""
    term, middle, width, jacobian = {
        "bond": (BOND, 0.3, 0.05, np.square),
        "angle": (ANGLE, 2.0, 0.4, np.sin),
        "dihedral": (DIHEDRAL, 0.0, np.pi, np.ones_like),
    }[kind]

    def well(q):
        if kind == "dihedral":
            return 2.0 * np.cos(2 * q) + 1.5 * np.sin(q)
        return 3.0 * (((q - middle) / width) ** 2 - 1) ** 2 + 1.5 * (q - middle) / width

    reach = width if kind == "dihedral" else 1.9 * width
    q = drawn(well, middle - reach, middle + reach, jacobian)
    config = SplineConfig(bond_step_nm=0.01, angle_step_rad=0.1, dihedral_step_rad=0.3, min_samples=200)
    prior = priors.inverted(term, chain(**{kind: q}), T, config)
    x = np.linspace(prior.spline.knots[1], prior.spline.knots[-2], 40)
    found = np.asarray(prior.spline.energy(jnp.asarray(prior.coefficients), jnp.asarray(x)))
    error = found - well(x)
    assert_allclose(error - np.average(error, weights=np.exp(-well(x) / kT(T))), 0, atol=0.1 * kT(T))
    assert np.ptp(well(x)) > 4.0


def test_inversion_is_for_bonded_terms():
    with pytest.raises(PriorError, match="pair: want a bond, an angle or a dihedral"):
        priors.inverted(PAIR, chain(dihedral=np.linspace(0, 1, 9)), T, SplineConfig())


@pytest.mark.physics
def test_fourier_series_is_recovered():
    """a_n, b_n of the potential that was sampled, to 0.1 kJ/mol; a barrier that no sample crossed stays finite."""
    a, b = np.array([1.5, -1.0, 2.0]), np.array([0.7, 0.0, -0.4])
    order = np.arange(1, 4)
    q = drawn(lambda x: np.cos(np.outer(x, order)) @ a + np.sin(np.outer(x, order)) @ b, -np.pi, np.pi)
    prior = priors.fourier(DIHEDRAL, chain(dihedral=q), T, order=3)
    assert_allclose(prior.a, a, atol=0.1)
    assert_allclose(prior.b, b, atol=0.1)
    narrow = priors.fourier(DIHEDRAL, chain(dihedral=0.1 * q), T)
    assert np.abs(np.concatenate([narrow.a, narrow.b])).max() < 30
    with pytest.raises(PriorError, match="want dihedrals for a Fourier series, got a bond"):
        priors.fourier(BOND, chain(), T)


def test_repulsion_is_nothing_in_the_reference_and_a_wall_below():
    frames = chain(dihedral=np.linspace(0.5, 3.0, 50))
    r = np.asarray(geometry.distances(frames.position, PAIR.members, VACUUM))[:, 0]
    prior = priors.repulsion(PAIR, frames, T)
    assert prior.sigma == pytest.approx(r.min())
    assert all(prior.energy(x, VACUUM) < 1e-20 for x in frames.position)

    def two(distance):
        position = np.zeros((4, 3))
        position[3, 0] = distance
        return position

    x = 1 / 0.8
    assert prior.energy(two(0.8 * prior.sigma), VACUUM) == pytest.approx(kT(T) * (x**6 - 1) ** 2)
    assert jax.grad(prior.energy)(two(0.8 * prior.sigma), VACUUM)[3, 0] < 0
    with pytest.raises(PriorError, match="want pairs for a repulsion, got a bond"):
        priors.repulsion(BOND, frames, T)


@pytest.fixture(scope="module")
def alanine():
    topology = io.read_topology(ALA2 / "topology.pdb")
    core_beta = mapping.load("core_beta", topology)
    return core_beta, mapping.apply(core_beta, io.read(ALA2 / "solute.trr", topology, stride=50))


def test_improper_bars_the_inversion_of_a_stereocentre(alanine):
    """Core Beta keeps the chirality of alanine: a narrow improper, and a mirror image many kT above."""
    core_beta, frames = alanine
    prior = priors.improper(core_beta, ("N", "CA", "CB", "C"), frames, T)
    q = np.asarray(geometry.dihedrals(frames.position, prior.term.members, VACUUM.astype(np.float32)))
    assert prior.q0 == pytest.approx(q.mean(), abs=1e-4)
    assert prior.k == pytest.approx(kT(T) / q.var(), rel=1e-3)
    energy = jax.jit(jax.vmap(lambda x: prior.energy(x, VACUUM)))
    assert np.mean(energy(frames.position)) == pytest.approx(kT(T) / 2, rel=1e-3)  # equipartition, by construction
    assert energy(-frames.position).min() > 20 * kT(T)


def test_a_lost_stereocentre_is_refused(alanine):
    core_beta, frames = alanine
    both = replace(frames, position=np.concatenate([frames.position[:30], -frames.position[:10]]))
    with pytest.raises(PriorError, match="want one sign in all frames, found a positive one in (25|75).0%"):
        priors.improper(core_beta, ("N", "CA", "CB", "C"), both, T)


def test_samples_that_do_not_spread_are_refused():
    with pytest.raises(PriorError, match="bond: want samples that spread, found 3 all near 0.15"):
        priors.harmonic(BOND, chain(np.full(3, 0.15)), T)


def test_harmonic_dihedrals_take_the_shorter_way_round():
    q = np.concatenate([np.pi - 0.1 * np.arange(1, 5), -np.pi + 0.1 * np.arange(1, 5)])
    prior = priors.harmonic(DIHEDRAL, chain(dihedral=q), T)
    assert abs(prior.q0) == pytest.approx(np.pi, abs=1e-9)
    assert prior.k == pytest.approx(kT(T) / np.mean((0.1 * np.arange(1, 5)) ** 2))


def test_force_is_the_slope_of_the_energy_and_add_joins_them():
    """All kinds at once, by central differences; priors have no parameters to train."""
    q = np.random.default_rng(1).normal(size=200)
    frames = chain(0.15 + 0.005 * q, 2.0 + 0.1 * q[::-1], q)
    made = [
        priors.harmonic(BOND, frames, T),
        priors.inverted(ANGLE, frames, T, SplineConfig(angle_step_rad=0.1)),
        priors.fourier(DIHEDRAL, frames, T),
        replace(priors.repulsion(PAIR, frames, T), sigma=0.5),
    ]
    joined = add(priors.build(*made), priors.build(made[0]))
    params = joined.init(jax.random.key(0))
    assert jax.tree.leaves(params) == []
    energy = jax.jit(lambda x: joined.energy(params, x, VACUUM))
    x, h = frames.position[0], 1e-6
    assert energy(x) == pytest.approx(float(sum(p.energy(x, VACUUM) for p in [*made, made[0]])))
    slope = [(energy(x + s) - energy(x - s)) / (2 * h) for s in h * np.eye(12).reshape(12, 4, 3)]
    gradient = jax.grad(energy)(x)
    assert_allclose(np.reshape(slope, (4, 3)), gradient, rtol=0, atol=1e-6 * np.abs(gradient).max())
    assert_allclose(gradient.sum(axis=0), 0, atol=1e-10 * np.abs(gradient).max())
