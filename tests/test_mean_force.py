"""Free energy along a dihedral from forces: torques against a gradient, profiles against a known potential."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgcore import geometry
from cgcore.analysis import mean_force
from cgcore.frames import Frames
from cgcore.units import kT

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
    phi, torque = mean_force.torques(frames, quads)
    assert_allclose(torque, -np.asarray(jax.vmap(jax.vmap(jax.grad(potential)))(jnp.asarray(phi))), atol=1e-8)


def test_stretching_and_bending_give_no_torque():
    x = butane(np.array([0.7]))

    def energy(y):
        angles = geometry.angles(y, np.array([[0, 1, 2], [1, 2, 3]]), BOX)
        lengths = geometry.distances(y, np.array([[0, 1], [1, 2], [2, 3]]), BOX)
        return 50.0 * jnp.sum(angles**2) + 900.0 * jnp.sum(lengths**2)

    force = -np.asarray(jax.grad(energy)(jnp.asarray(x[0])))[None]
    _, torque = mean_force.torques(frames_of(x, force), QUAD)
    assert_allclose(torque, 0.0, atol=1e-10)


def test_forces_and_positions_give_the_known_profile():
    quads, frames = chains(2000, 1)
    phi, torque = mean_force.torques(frames, quads)
    exact = np.asarray(potential(np.linspace(0, np.pi, 10 * mean_force.BINS + 1)))
    p = np.exp(-exact / kT(T))
    gauche = p[: len(p) * 2 // 3].sum() / p.sum()
    at = (np.arange(mean_force.BINS) + 0.5) * np.pi / mean_force.BINS
    wanted = np.asarray(potential(at) - potential(at[-1]))
    profile = mean_force.from_forces(phi, torque, T)
    assert_allclose(profile.free_energy, wanted, atol=0.35)  # of 15
    met = mean_force.from_positions(phi, T)
    assert np.all(np.abs(met.free_energy - wanted) < 4 * met.error + 0.2)
    for found in (profile, met):
        assert found.interval[0] < found.gauche < found.interval[1] and found.gauche == pytest.approx(gauche, abs=0.01)
        height, error = found.barrier
        assert abs(height - wanted[18:30].max()) < 2 * error + 0.2


def test_noise_of_the_forces_is_in_the_errors():
    quads, frames = chains(300, 2)
    phi, torque = mean_force.torques(frames, quads)
    random = np.random.default_rng(3)
    exact, found = mean_force.from_forces(phi, torque, T), []
    for _ in range(30):
        found.append(mean_force.from_forces(phi, torque + random.normal(0, 60.0, torque.shape), T))
    off = np.array([p.free_energy - exact.free_energy for p in found])[:, :-1]
    said = np.mean([p.error for p in found], axis=0)[:-1]
    common = exact.error[:-1] < 10  # cis is hardly met
    assert_allclose(off.std(axis=0)[common] / said[common], 1.0, atol=0.45)
    covered = [p.interval[0] <= exact.gauche <= p.interval[1] for p in found]
    assert np.mean(covered) > 0.8
    assert np.mean([p.interval[1] - p.interval[0] for p in found]) > 3 * (exact.interval[1] - exact.interval[0])
