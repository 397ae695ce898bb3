"""Free energy along angles and dihedrals from forces: torques against gradients, profiles against known potentials and noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgcore import geometry
from cgcore.analysis import torsion
from cgcore.data import DataError
from cgcore.frames import Frames
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
    found, torque = torsion.optimised_torque(x, force, PATH)
    assert_allclose(np.cos(found - q), 1, atol=1e-12)
    got = torsion.pmf_from_mean_torque(found, torque)
    known = HEIGHT * np.cos(got.centres)
    known -= known @ got.population
    off = got.free_energy - known
    assert 0.5 < np.sqrt(off**2 @ got.population) / got.error_kJ_mol < 2
    others = [torsion.pmf_from_mean_torque(*torsion.optimised_torque(*rotor(seed=s)[:2], PATH)) for s in range(1, 13)]
    many = [other.free_energy for other in others]
    assert got.error_kJ_mol == pytest.approx(np.sqrt(np.var(many, 0) @ got.population), rel=0.35)
    calm = torsion.pmf_from_mean_torque(*torsion.optimised_torque(*rotor(noise=NOISE / 4)[:2], PATH))
    assert calm.error_kJ_mol == pytest.approx(got.error_kJ_mol / 4, rel=0.3)


def test_the_calmer_side_is_turned():
    """Noise on one side alone leaves the other, whose torque is exact."""
    x, force, _ = rotor(noise=0.0)
    noisy = force.copy()
    noisy[:, 0] += 1000 * np.random.default_rng(1).normal(size=(FRAMES, 3))
    exact = torsion.optimised_torque(x, force, PATH)[1]
    assert_allclose(torsion.optimised_torque(x, noisy, PATH)[1], exact, atol=0.3)


def test_shares_follow_from_the_profile():
    x, force, q = rotor(noise=5.0)
    got = torsion.pmf_from_mean_torque(*torsion.optimised_torque(x, force, PATH))
    value, low, high = got.share(-np.pi / 2, np.pi / 2, 300.0)
    assert low < value < high and value == pytest.approx(np.mean(np.abs(q) < np.pi / 2), abs=0.02)


def test_beads_that_only_bring_noise_are_left_alone_and_rigid_parts_turn_together():
    """Noise on a bead beyond the path changes nothing; noise that two beads share with opposite signs cancels."""
    x, force, _ = rotor(noise=0.0)
    force[:, 0] += 1000 * np.random.default_rng(2).normal(size=(FRAMES, 3))
    exact = torsion.optimised_torque(x, force, PATH)[1]
    axis = x[:, 2] - x[:, 1]
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    around = np.cross(axis, x[:, 3] - x[:, 2])
    around *= 1000 * np.random.default_rng(3).normal(size=(FRAMES, 1))
    beyond, shared = force.copy(), force.copy()
    beyond[:, 4] += around
    shared[:, 3] += around
    shared[:, 4] -= around
    assert_allclose(torsion.optimised_torque(x, beyond, PATH)[1], exact, atol=0.3)
    assert_allclose(torsion.optimised_torque(x, shared, PATH)[1], exact, atol=0.3)


# Torques on the ends of a chain

QUAD = np.array([[0, 1, 2, 3]])
BOX = np.full(3, 2.0)
T = 300.0


def butane(phi: np.ndarray) -> np.ndarray:
    """Chains (..., 4, 3) with such dihedrals, across the edges of the box."""
    bend, length = np.radians(112.0), 0.154
    x = np.zeros((*phi.shape, 4, 3))
    x[..., 0, :] = length * np.array([np.sin(bend), 0, np.cos(bend)])
    x[..., 2, 2] = length
    out = np.stack([np.cos(phi) * np.sin(bend), np.sin(phi) * np.sin(bend), np.full_like(phi, -np.cos(bend))], axis=-1)
    x[..., 3, :] = x[..., 2, :] + length * out
    return (x + 1.95) % BOX


def frames_of(x, force) -> Frames:
    time, names = np.arange(float(len(x))), tuple("C" * x.shape[1])
    return Frames(position=x, force=force, box=BOX, time=time, names=names)


def potential(phi):
    """Barriers at 120 degrees and at cis, gauche 3 kJ/mol above trans."""
    return 6 * (1 + jnp.cos(3 * phi)) + 2 * (1 + jnp.cos(phi))


def chains(n: int, seed: int) -> tuple[np.ndarray, Frames]:
    """n frames of twenty chains at equilibrium in `potential`, with its forces."""
    random = np.random.default_rng(seed)
    grid = np.linspace(-np.pi, np.pi, 3601)
    p = np.exp(-np.asarray(potential(grid)) / kT(T))
    phi = random.choice(grid, size=(n, 20), p=p / p.sum())
    x = butane(phi).reshape(n, 80, 3)
    quads = np.arange(80).reshape(20, 4)

    def energy(y):
        return jnp.sum(potential(geometry.dihedrals(y, quads, BOX)))

    force = -np.asarray(jax.jit(jax.vmap(jax.grad(energy)))(jnp.asarray(x)))
    return quads, frames_of(x, force)


def test_torque_is_the_slope_of_the_potential():
    quads, frames = chains(5, 0)
    phi, torque = torsion.end_torques(frames, quads)
    assert_allclose(torque, -np.asarray(jax.vmap(jax.vmap(jax.grad(potential)))(jnp.asarray(phi))), atol=1e-8)
    assert phi.min() > 0


def test_torque_of_an_angle_is_the_slope_of_its_potential():
    quads, frames = chains(5, 0)
    triples = np.concatenate([quads[:, :3], quads[:, 1:]])
    x = frames.position + np.random.default_rng(1).normal(0, 0.02, frames.position.shape)

    def energy(y):
        return jnp.sum(30 * (geometry.angles(y, triples[:20], BOX) - 1.7) ** 2)

    force = -np.asarray(jax.vmap(jax.grad(energy))(jnp.asarray(x)))
    theta, torque = torsion.end_torques(frames_of(x, force), triples[:20])
    assert_allclose(torque, -60 * (theta - 1.7), atol=1e-9)


def test_forces_and_positions_give_the_known_profile_of_an_angle():
    """Ends that move on spheres about the middle: p is sin q exp(-U / kT)."""
    random, grid = np.random.default_rng(4), np.linspace(0, np.pi, 20001)[1:-1]
    energy = 6 * (1 + np.cos(3 * grid)) - 4 * np.cos(grid)
    p = np.sin(grid) * np.exp(-energy / kT(T))
    q = random.choice(grid, size=(2000, 20), p=p / p.sum())
    torque = 18 * np.sin(3 * q) - 4 * np.sin(q)
    found = torsion.profile_from_forces(q, torque, 3, T), torsion.profile_from_positions(q, 3, T)
    mean = p @ grid / p.sum()
    assert_allclose([f.mean()[0] for f in found], mean, atol=4 * found[1].mean()[1] + 1e-3)
    assert found[0].distance(found[1])[0] < 2e-3
    noisy = torsion.profile_from_forces(q, torque + random.normal(0, 25.0, q.shape), 3, T)
    away, noise = noisy.distance(found[1])
    assert 3e-4 < noise < 0.05 and away < 4 * noise and noise > 5 * found[0].distance(found[1])[1]


def test_stretching_and_bending_give_no_torque():
    x = butane(np.array([0.7]))

    def energy(y):
        angles = geometry.angles(y, np.array([[0, 1, 2], [1, 2, 3]]), BOX)
        lengths = geometry.distances(y, np.array([[0, 1], [1, 2], [2, 3]]), BOX)
        return 50.0 * jnp.sum(angles**2) + 900.0 * jnp.sum(lengths**2)

    force = -np.asarray(jax.grad(energy)(jnp.asarray(x[0])))[None]
    _, torque = torsion.end_torques(frames_of(x, force), QUAD)
    assert_allclose(torque, 0.0, atol=1e-10)


def test_forces_and_positions_give_the_known_profile():
    quads, frames = chains(2000, 1)
    phi, torque = torsion.end_torques(frames, quads)
    exact = np.asarray(potential(np.linspace(0, np.pi, 10 * torsion.BINS[4] + 1)))
    p = np.exp(-exact / kT(T))
    gauche = p[: len(p) * 2 // 3].sum() / p.sum()
    at = (np.arange(torsion.BINS[4]) + 0.5) * np.pi / torsion.BINS[4]
    wanted = np.asarray(potential(at) - potential(at[-1]))
    profile = torsion.profile_from_forces(phi, torque, 4, T)
    assert_allclose(profile.free_energy, wanted, atol=0.35)  # of 15
    met = torsion.profile_from_positions(phi, 4, T)
    assert np.all(np.abs(met.free_energy - wanted) < 4 * met.error + 0.2)
    for found in (profile, met):
        value, low, high = found.gauche()
        assert low < value < high and value == pytest.approx(gauche, abs=0.01)
        height, error = found.barrier()
        assert abs(height - wanted[18:30].max()) < 2 * error + 0.2


def test_noise_of_the_forces_is_in_the_errors():
    quads, frames = chains(300, 2)
    phi, torque = torsion.end_torques(frames, quads)
    random = np.random.default_rng(3)
    exact, found = torsion.profile_from_forces(phi, torque, 4, T), []
    for _ in range(30):
        found.append(torsion.profile_from_forces(phi, torque + random.normal(0, 60.0, torque.shape), 4, T))
    off = np.array([p.free_energy - exact.free_energy for p in found])[:, :-1]
    said = np.mean([p.error for p in found], axis=0)[:-1]
    common = exact.error[:-1] < 10  # cis is hardly met
    assert_allclose(off.std(axis=0)[common] / said[common], 1.0, atol=0.45)
    limits = np.array([p.gauche()[1:] for p in found])
    value, low, high = exact.gauche()
    assert np.mean((limits[:, 0] <= value) & (value <= limits[:, 1])) > 0.8
    assert np.mean(np.ptp(limits, axis=1)) > 3 * (high - low)


def test_bonds_and_frames_without_forces_are_refused():
    x = butane(np.array([0.7]))
    with pytest.raises(DataError, match="want frames with forces, these have none"):
        torsion.end_torques(frames_of(x, None), QUAD)
    with pytest.raises(DataError, match=r"want paths of three or four beads, .* got \(1, 2\)"):
        torsion.end_torques(frames_of(x, np.zeros_like(x)), QUAD[:, :2])


def test_a_table_has_the_numbers_of_a_profile():
    quads, frames = chains(300, 2)
    phi, torque = torsion.end_torques(frames, quads)
    positions, forces = torsion.profile_from_positions(phi, 4, T), torsion.profile_from_forces(phi, torque, 4, T)
    table = forces.table(positions)
    assert table["js"] == forces.distance(positions)[0] > positions.table(positions)["js"] == 0
    assert (table["gauche"], table["gauche_low"], table["gauche_high"]) == forces.gauche()
    assert table.keys() - {"js", "js_noise"} == {
        *("gauche", "gauche_low", "gauche_high", "barrier_kJ_mol", "barrier_kJ_mol_error")
    }


def test_a_density_above_its_mean_has_its_free_energy():
    population = np.array([0.5, 0.25, 0.25, 0.0])
    F = torsion.above_mean(np.array([2.0, 1.0, 1.0, 0.0]), population, T)
    assert np.isnan(F[3]) and F[1] - F[0] == pytest.approx(kT(T) * np.log(2))
    assert F[:3] @ population[:3] == pytest.approx(0, abs=1e-12)
