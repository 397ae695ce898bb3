"""Priors: the springs of the distributions they are read off, and what they bar."""

from dataclasses import replace
from pathlib import Path

import doctoring
import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgcore import geometry, io, mapping
from cgcore.frames import Frames
from cgcore.potentials import priors
from cgcore.potentials.base import add
from cgcore.potentials.priors import PriorError
from cgcore.potentials.terms import Term, samples
from cgcore.units import kT

T = 300.0
BOND = Term("bond", "bond", np.array([[0, 1]]))
ANGLE = np.array([[0, 1, 2]])
DIHEDRAL = Term("dihedral", "dihedral", np.array([[0, 1, 2, 3]]))
VACUUM = np.full(3, np.inf)
N = 40_000
ALA2 = Path(__file__).parents[2] / "notebooks" / "data" / "ala2"


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


def fitted(term, frames):
    return priors.harmonic(term, np.concatenate(list(samples(term, frames))), T)


def test_chains_have_the_coordinates_asked_for():
    frames = chain(0.2, 1.7, np.array([-2.0, 0.5]))
    assert_allclose(geometry.distances(frames.position, BOND.members, VACUUM)[:, 0], 0.2)
    assert_allclose(geometry.angles(frames.position, ANGLE, VACUUM)[:, 0], 1.7)
    assert_allclose(geometry.dihedrals(frames.position, DIHEDRAL.members, VACUUM)[:, 0], [-2.0, 0.5])


@pytest.mark.physics
def test_a_harmonic_bond_gives_the_spring_back():
    """Equipartition with the volume element: k and q0 to 4 standard errors; the plain mean is 8 or more off."""
    k, q0 = 900.0, 0.25
    q = drawn(lambda x: 0.5 * k * (x - q0) ** 2, 0.01, q0 + 8 * np.sqrt(kT(T) / k), np.square)
    frames = chain(bond=q)
    prior = fitted(BOND, frames)
    error = np.sqrt(kT(T) / k / N)
    assert prior.k[0] == pytest.approx(k, rel=4 * np.sqrt(2 / N))
    assert prior.q0[0] == pytest.approx(q0, abs=4 * error)
    assert abs(np.mean(q) - q0) > 8 * error
    energy = prior.energy(frames.position[0], VACUUM)
    assert energy == pytest.approx(0.5 * prior.k[0] * (q[0] - prior.q0[0]) ** 2)


@pytest.fixture(scope="module")
def alanine():
    topology = io.read_topology(ALA2 / "topology.pdb")
    core_beta = mapping.load("core_beta", topology)
    return core_beta, mapping.apply(core_beta, io.read(ALA2 / "solute.trr", topology, stride=50))


def test_improper_bars_the_inversion_of_a_stereocentre(alanine):
    """Core Beta keeps the handedness of alanine: a narrow improper, and a mirror image many kT above."""
    core_beta, frames = alanine
    potential, table = priors.for_frames(("improper",), core_beta, frames, T)
    (well,) = table["improper"]
    assert (well["beads"], well["copies"]) == ("N-CA-CB-C", 1)
    members = np.array([core_beta.indices("N", "CA", "CB", "C")])
    q = np.asarray(geometry.dihedrals(frames.position, members, VACUUM.astype(np.float32)))
    assert well["q0"] == pytest.approx(q.mean(), abs=1e-4)
    assert well["k"] == pytest.approx(kT(T) / q.var(), rel=1e-3)
    energy = jax.jit(jax.vmap(lambda x: potential.energy(({},), x, VACUUM)))
    assert np.mean(energy(frames.position)) == pytest.approx(kT(T) / 2, rel=1e-3)  # equipartition, by construction
    assert energy(-frames.position).min() > 20 * kT(T)


def test_a_lost_stereocentre_is_refused(alanine):
    core_beta, frames = alanine
    both = replace(frames, position=np.concatenate([frames.position[:30], -frames.position[:10]]))
    with pytest.raises(PriorError, match="want a bead that stays on one side of three bonded ones"):
        priors.for_frames(("improper",), core_beta, both, T)


def test_every_bond_is_held_by_half_kT(alanine):
    core_beta, frames = alanine
    potential, table = priors.for_frames(("bonds", "improper"), core_beta, frames, T)
    assert [w["beads"] for w in table["bonds"]] == ["-".join(core_beta.beads[b] for b in p) for p in core_beta.bonds]
    params = potential.init(jax.random.key(0))
    energy = jax.jit(jax.vmap(lambda x: potential.energy(params, x, VACUUM)))(frames.position)
    assert np.mean(energy) == pytest.approx((len(core_beta.bonds) + 1) * kT(T) / 2, rel=0.02)
    with pytest.raises(PriorError, match="no prior .*'angles'.*; there are"):
        priors.for_frames(("angles",), core_beta, frames, T)


def test_copies_of_a_molecule_share_a_spring(tmp_path):
    """Three dimers of springs of unlike length for unlike ends: one group, as the ends are at one place in each."""
    atoms = doctoring.topology("C C O", "0-1 1-2", copies=3)
    beads = doctoring.mapped(tmp_path, atoms, {"A": ["C0"], "B": ["C1"], "C": ["O2"]}, "single")
    random = np.random.default_rng(0)
    lengths = random.normal([0.15, 0.25], [0.004, 0.008], size=(4000, 3, 2))
    x = np.zeros((4000, 3, 3, 3))
    x[:, :, 1, 0], x[:, :, 2, 0] = lengths[..., 0], lengths.sum(-1)
    x += 0.7 * np.arange(3)[:, None, None]
    frames = doctoring.frames(x.reshape(4000, 9, 3) % 2.0, beads.beads, box=2.0)
    _, table = priors.for_frames(("bonds",), beads, frames, T)
    assert [w["copies"] for w in table["bonds"]] == [3, 3]
    assert [w["q0"] for w in table["bonds"]] == pytest.approx([0.15, 0.25], rel=0.01)
    springs = [kT(T) / 0.004**2, kT(T) / 0.008**2]
    assert [w["k"] for w in table["bonds"]] == pytest.approx(springs, rel=4 * np.sqrt(2 / 12_000))


def test_a_spring_for_an_angle_is_refused():
    """Near 180 degrees the density is cut off: 100 kJ/mol/rad^2 became 275 by its moments."""
    with pytest.raises(PriorError, match="angle: want a bond or a dihedral, got angle; splines hold angles"):
        fitted(Term("angle", "angle", ANGLE), chain(angle=np.linspace(2.8, 3.1, 50)))


def test_samples_that_do_not_spread_are_refused():
    with pytest.raises(PriorError, match="bond: want samples that spread, found 3 all near 0.15"):
        fitted(BOND, chain(np.full(3, 0.15)))


def test_harmonic_dihedrals_take_the_shorter_way_round():
    q = np.concatenate([np.pi - 0.1 * np.arange(1, 5), -np.pi + 0.1 * np.arange(1, 5)])
    prior = fitted(DIHEDRAL, chain(dihedral=q))
    assert abs(prior.q0[0]) == pytest.approx(np.pi, abs=1e-9)
    assert prior.k[0] == pytest.approx(kT(T) / np.mean((0.1 * np.arange(1, 5)) ** 2))


def test_force_is_the_slope_of_the_energy_and_add_joins_them():
    """Several kinds at once, by central differences; priors have no parameters to train."""
    q = np.random.default_rng(1).normal(size=200)
    frames = chain(0.15 + 0.005 * q, 2.0 + 0.1 * q[::-1], q)
    made = [fitted(BOND, frames), fitted(DIHEDRAL, frames)]
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
