"""Atoms under beads that stand still, where the mean force and its noise are known, and beside a reference's own forces."""

import numpy as np
import openmm as mm
import pytest

from cgcore import mapping
from cgcore.analysis import constrained
from cgcore.config import ConfigError
from cgcore.data import DataError
from cgcore.reference import sets
from cgcore.reference.constrained import Beads, ConstrainedConfig, sample
from cgcore.reference.errors import ReferenceRunError
from cgcore.reference.protocol import protocol
from cgcore.reference.system import prepare
from cgcore.units import kT

BOND, INNER = 20_000.0, 50_000.0  # kJ/mol/nm^2
MASS = np.array([12.0, 4.0, 30.0])
WEIGHTS = np.array([[0.75, 0.25, 0.0], [0.0, 0.0, 1.0]])
START = np.array([[0.0, 0.0, 0.0], [0.02, 0.01, -0.02], [0.1, 0.05, 0.0]])


def context(system: mm.System) -> mm.Context:
    return mm.Context(system, mm.VerletIntegrator(0.001), mm.Platform.getPlatformByName("Reference"))


@pytest.fixture
def springs() -> mm.Context:
    """A bead of two atoms on a spring of no length, the first of them tied by another to a bead of one."""
    system, bonds = mm.System(), mm.HarmonicBondForce()
    for mass in MASS:
        system.addParticle(mass)
    bonds.addBond(0, 2, 0.0, BOND)
    bonds.addBond(0, 1, 0.0, INNER)
    system.addForce(bonds)
    return context(system)


def test_mean_force_and_noise_of_springs_are_those_of_gaussians(springs):
    config = ConstrainedConfig(length_ps=200.0, steps_per_sample=10, friction_per_ps=20.0)
    found = constrained.from_samples(sample(springs, START, WEIGHTS, (WEIGHTS > 0).astype(float), config))
    share, apart = WEIGHTS[0, 1], WEIGHTS[0] @ START - START[2]
    stiffness = INNER + BOND * share**2
    mean, noise = -BOND * apart * INNER / stiffness, (BOND * share) ** 2 * kT(300.0) / stiffness
    assert np.all(np.abs(found["mean"][0] - mean) < 5 * np.sqrt(found["error2"][0]))
    assert np.allclose(found["mean"][1], -found["mean"][0])
    assert abs(found["noise"][0].mean() / noise - 1) < 0.06
    assert abs(found["noise_half"][0].mean() / noise - 1) < 0.1
    assert np.all(found["error2"][0] < 0.01 * noise)


def test_beads_stand_still(springs):
    sample(springs, START, WEIGHTS, (WEIGHTS > 0).astype(float), ConstrainedConfig(length_ps=20.0))
    end = np.array(springs.getState(positions=True).getPositions(asNumpy=True)._value)
    assert np.abs(end - START).max() > 0.005
    assert np.allclose(WEIGHTS @ end, WEIGHTS @ START, atol=1e-12)


def test_a_projection_is_one_and_leaves_inner_motion():
    beads, random = Beads(WEIGHTS, WEIGHTS, MASS), np.random.default_rng(2)
    v = random.normal(size=(3, 3))
    once = beads.project(v)
    assert np.allclose(WEIGHTS @ once, 0)
    assert np.allclose(beads.project(once), once)
    # The nearest in the metric of the masses: what was taken away is orthogonal to what is left.
    assert abs(np.sum(MASS[:, None] * (v - once) * once)) < 1e-12


def test_noise_of_a_peptide_is_the_scatter_of_the_references_forces_about_the_sampled_mean():
    """One force of the reference at each of 40 frames, of which the sampling knows nothing."""
    topology, atoms = sets.load("ala2_obc2", stride=900)
    beads = mapping.load("core", topology)
    system = context(prepare(protocol("ala2"), 0).system)
    config, parts = ConstrainedConfig(length_ps=3.0), []
    for k in range(40):
        force = sample(system, atoms.position[k], beads.weights, beads.force_weights, config, frame=k)
        parts.append(constrained.from_samples(force))
    position = np.asarray(mapping.apply(beads, atoms[:40]).position, float)
    found = constrained.ConstrainedForce(position, *(np.stack([p[key] for p in parts]) for key in list(parts[0])))
    theirs = np.asarray(mapping.apply(beads, atoms[:40]).force, float)
    scatter, noise = constrained.model_error(found, theirs), constrained.over_beads(found.noise)
    assert abs(scatter.value - noise.value) < 3 * np.hypot(scatter.error, noise.error)
    assert scatter.error < 0.1 * noise.value
    assert constrained.over_beads(found.mean**2 - found.error2).value > 0.3 * noise.value


def test_what_cannot_be_sampled_is_refused(springs):
    force_weights = (WEIGHTS > 0).astype(float)
    with pytest.raises(DataError, match="want 40 samples"):
        constrained.from_samples(np.zeros((39, 2, 3)))
    with pytest.raises(ConfigError, match="length_ps"):
        ConstrainedConfig(length_ps=0.0)
    with pytest.raises(ReferenceRunError, match="flew apart"):
        sample(springs, START, WEIGHTS, force_weights, ConstrainedConfig(length_ps=500.0, dt_ps=0.2))
    springs.getSystem().addConstraint(0, 1, 0.1)
    with pytest.raises(ReferenceRunError, match="1 fixed distances"):
        sample(springs, START, WEIGHTS, force_weights, ConstrainedConfig())
    found = constrained.ConstrainedForce(*np.zeros((5, 2, 3, 3)))
    with pytest.raises(DataError, match="got \\(2, 4, 3\\)"):
        constrained.model_error(found, np.zeros((2, 4, 3)))
