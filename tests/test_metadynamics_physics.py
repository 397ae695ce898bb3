"""Free energies by metadynamics against those known, from the bias and by reweighting, and against OpenMM's."""

import jax.numpy as jnp
import numpy as np
import pytest
import toys

from cgcore import simulate
from cgcore.analysis.blocks import Estimate, jackknife
from cgcore.metadynamics import (
    MetadynamicsConfig,
    biased_trajectory,
    dihedral,
    final_bias,
    reweighting,
    well_tempered,
)
from cgcore.metadynamics.barrier import mirrored
from cgcore.units import kT

pytestmark = pytest.mark.physics
THERMAL = kT(300.0)
LATE = 80.0  # ps, when the wells are filled


def biased_run(folder, variable, *, potential=toys.WELLS, molecule=toys.PARTICLE, start=None, md, **settings):
    config = MetadynamicsConfig(**dict(pace=md.steps_per_frame, bias_factor=6.0) | settings)
    bias = well_tempered(variable, config, md)
    start = np.array([[toys.WELL, 0.0, 0.0]]) if start is None else start
    starts = np.tile(start, (md.replicas, 1, 1))
    run = simulate.run(potential, jnp.array(1.0), molecule, starts, md, folder, bias=bias, progress=False)
    return run.ensemble, biased_trajectory(run), config


def from_bias(trajectory, variable, config) -> Estimate:
    """F = -gamma / (gamma - 1) V with int exp(-F / kT) ds = 1, and the error of its mean over the replicas."""
    F = -config.deepening * final_bias(trajectory, variable, config)[:, :, 0]
    F += THERMAL * np.log(np.exp(-F / THERMAL).sum(1, keepdims=True) * variable.axis.step)
    return Estimate(F.mean(0), F.std(0, ddof=1) / np.sqrt(len(F)))


def by_reweighting(cv, weights, edges, n_blocks=1) -> Estimate:
    """-kT ln of the density of weighted frames (C, T), with the error of leaving out one piece of a replica at a time."""
    pieces = zip(np.split(cv, n_blocks, axis=1), np.split(weights, n_blocks, axis=1), strict=True)
    blocks = np.array([np.histogram(x, edges, weights=w)[0] for c, v in pieces for x, w in zip(c, v, strict=True)])
    return jackknife(lambda n: -THERMAL * np.log(n / (n.sum() * np.diff(edges))), blocks)


def exact_of_x(x):
    """-kT ln p(x), kJ/mol: y and z are Gaussian about their places whatever x."""
    U = toys.DEPTH * ((x / toys.WELL) ** 2 - 1) ** 2
    fine = np.linspace(-1, 1, 20001)
    F = toys.DEPTH * ((fine / toys.WELL) ** 2 - 1) ** 2
    return U + THERMAL * np.log(np.exp(-F / THERMAL).sum() * (fine[1] - fine[0]))


@pytest.fixture(scope="module")
def wells(tmp_path_factory):
    md = toys.config(replicas=16, n_frames=1200, steps_per_frame=60, seed=3)
    return *biased_run(tmp_path_factory.mktemp("wells"), toys.X, md=md, height_kJ_mol=1.0), md


def test_the_bias_becomes_the_double_well(wells):
    """-gamma / (gamma - 1) V is F within four of its errors, over the wells and the barrier between them."""
    _, trajectory, config, _ = wells
    got = from_bias(trajectory, toys.X, config)
    points = toys.X.axis.points
    inner = np.abs(points) < 0.68
    off = (got.value - exact_of_x(points))[inner]
    assert (np.abs(off) < 4 * got.error[inner] + 0.1).all()
    assert got.error[inner].max() < 0.25 * toys.DEPTH / 2
    top, bottom = np.abs(points).argmin(), np.abs(points - toys.WELL).argmin()
    assert abs(got.value[top] - got.value[bottom] - toys.DEPTH) < 1.0


def test_hills_on_both_sides_level_wells_that_were_not_both_visited(tmp_path):
    """Of an energy that is its own mirror image: half of the time, F(s) = F(-s) exactly, and each run alone has the barrier."""
    md = toys.config(replicas=16, n_frames=600, steps_per_frame=60, seed=3)
    _, trajectory, config = biased_run(tmp_path, toys.X, md=md, height_kJ_mol=1.0, symmetric=True)
    got, points = from_bias(trajectory, toys.X, config), toys.X.axis.points
    runs = -config.deepening * final_bias(trajectory, toys.X, config)[:, :, 0]
    assert np.ptp(runs - mirrored(runs)) < 1e-9
    inner = np.abs(points) < 0.68
    assert (np.abs(got.value - exact_of_x(points))[inner] < 4 * got.error[inner] + 0.1).all()
    top, bottom = np.abs(points).argmin(), np.abs(points - toys.WELL).argmin()
    heights = runs[:, top] - runs[:, bottom]
    assert abs(heights.mean() - toys.DEPTH) < 4 * heights.std(ddof=1) / 4 + 0.1
    assert heights.std(ddof=1) < 0.15 * toys.DEPTH


def late_frames(wells):
    ensemble, trajectory, _, md = wells
    first = int(LATE / md.frame_ps)
    late = trajectory._replace(**{name: array[:, first:] for name, array in trajectory._asdict().items()})
    return np.asarray(ensemble.position, float)[:, first:, 0], late.cv, reweighting(late, 300.0)


def test_reweighting_gives_back_the_double_well(wells):
    position, cv, weights = late_frames(wells)
    edges = np.linspace(-0.7, 0.7, 29)
    got = by_reweighting(cv, weights, edges, n_blocks=2)
    exact = exact_of_x((edges[1:] + edges[:-1]) / 2)
    assert (np.abs(got.value - exact) < 4.5 * got.error + 0.15).all()
    assert np.nanmax(got.error) < 1.0
    assert 200 < weights.sum() ** 2 / (weights**2).sum() < weights.size
    # What was not biased: <y | x> = c x and <(y - c x)^2> = kT / k, so <y^2> = c^2 <x^2> + kT / k.
    y = position[..., 1]
    grid = np.linspace(-1, 1, 2001)
    p = np.exp(-exact_of_x(grid) / THERMAL)
    wanted = toys.SLANT**2 * (p * grid**2).sum() / p.sum() + THERMAL / toys.STIFF
    means = (weights * y**2).sum(1) / weights.sum(1)
    assert abs(np.average(y**2, weights=weights) - wanted) < 4.5 * means.std(ddof=1) / 4


def exact_torsion(phi):
    fine = np.linspace(-np.pi, np.pi, 3601)[:-1]
    weight = np.exp(-np.asarray(toys.torsion(fine)) / THERMAL).sum() * (fine[1] - fine[0])
    return np.asarray(toys.torsion(phi)) + THERMAL * np.log(weight)


CHI = MetadynamicsConfig(beads=toys.NAMES, width=0.15)
BIAS = dict(height_kJ_mol=0.5, bias_factor=6.0)


@pytest.mark.slow
def test_as_openmm_does(tmp_path):
    """The torsion of the star by openmm.app.Metadynamics and by ours, both within error bars of each other and of the truth."""
    import openmm
    from openmm import app, unit

    runs, hills, pace = 6, 2500, 50
    variable = dihedral(CHI, toys.NAMES)
    md = toys.config(replicas=runs, n_frames=hills, steps_per_frame=pace, dt_ps=0.002, friction_per_ps=5.0)
    _, trajectory, config = biased_run(
        tmp_path, variable, potential=toys.TORSION, molecule=toys.MOLECULE, start=toys.star_start(), md=md, **BIAS
    )
    ours = from_bias(trajectory, variable, config)

    def one(seed):
        system = openmm.System()
        for mass in toys.MOLECULE.mass:
            system.addParticle(mass)
        bonds, bends = openmm.HarmonicBondForce(), openmm.HarmonicAngleForce()
        for i, j in toys.STAR.tolist():
            bonds.addBond(i, j, toys.BOND, toys.FIRM)
        for i, j, k in toys.BENDS.tolist():
            bends.addAngle(i, j, k, toys.ANGLE, toys.BEND)
        torsion = openmm.CustomTorsionForce(f"{4 * toys.HILL} * (cos(theta) + 0.5)^2")
        torsion.addTorsion(0, 1, 2, 3, [])
        for force in (bonds, bends, torsion):
            system.addForce(force)
        angle = openmm.CustomTorsionForce("theta")
        angle.addTorsion(0, 1, 2, 3, [])
        biased = app.BiasVariable(angle, -np.pi, np.pi, CHI.width, True, 210)
        meta = app.Metadynamics(system, [biased], 300.0, BIAS["bias_factor"], BIAS["height_kJ_mol"], pace)
        integrator = openmm.LangevinMiddleIntegrator(300.0, 5.0, 0.002)
        integrator.setRandomNumberSeed(seed)
        topology = app.Topology()
        residue = topology.addResidue("X", topology.addChain())
        for name in toys.NAMES:
            topology.addAtom(name, app.Element.getBySymbol("C"), residue)
        simulation = app.Simulation(topology, system, integrator, openmm.Platform.getPlatformByName("Reference"))
        simulation.context.setPositions(toys.star_start())
        simulation.context.setVelocitiesToTemperature(300.0, seed)
        meta.step(simulation, hills * pace)
        return np.asarray(meta.getFreeEnergy().value_in_unit(unit.kilojoule_per_mole))

    theirs = np.stack([one(seed) for seed in range(1, runs + 1)])
    points = np.linspace(-np.pi, np.pi, theirs.shape[1])
    inner = np.abs(points) > np.radians(88)  # up to 17 kJ/mol, which both have filled
    places = points[inner]
    theirs = theirs[:, inner] + THERMAL * np.log(np.exp(-theirs / THERMAL).sum(1) * (points[1] - points[0]))[:, None]
    mean, error = theirs.mean(0), theirs.std(0, ddof=1) / np.sqrt(runs)
    around = variable.axis.points
    value, error_ours = (np.interp(places, around, e, period=2 * np.pi) for e in ours)
    # An error from six runs is itself uncertain by a third: one that happens to be small is not below that of all places.
    error, error_ours = (np.maximum(e, np.sqrt(np.mean(e**2))) for e in (error, error_ours))
    assert (np.abs(value - mean) < 4.5 * np.hypot(error, error_ours) + 0.1).all()
    assert (np.abs(value - exact_torsion(places)) < 4.5 * error_ours + 0.1).all()
    assert np.hypot(error, error_ours).max() < 2.0
