"""Free energies by metadynamics against those known, by all ways of getting them, and against OpenMM's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from cgcore import simulate
from cgcore.metadynamics import MetadynamicsConfig, Variable, collectives, reweight, walk_of, well_tempered
from cgcore.metadynamics.grid import Axis, value
from cgcore.units import kT

pytestmark = pytest.mark.physics
THERMAL = kT(300.0)
INF = np.full(3, np.inf)


def walked(folder, variables, *, potential=toys.WELLS, molecule=toys.PARTICLE, start=None, md, **settings):
    config = MetadynamicsConfig(**dict(pace=md.steps_per_frame, bias_factor=6.0) | settings)
    bias = well_tempered(variables, config, md)
    start = np.array([[toys.WELL, 0.0, 0.0]]) if start is None else start
    starts = np.tile(start, (md.replicas, 1, 1))
    ensemble, _ = simulate.run(
        potential, jnp.array(1.0), molecule, starts, md, toys.new_run(folder), bias=bias, progress=False
    )
    return ensemble, walk_of(toys.new_run(folder), ensemble), config


def exact_of_x(x):
    """-kT ln p(x), kJ/mol: y and z are Gaussian about their places whatever x."""
    U = toys.DEPTH * ((x / toys.WELL) ** 2 - 1) ** 2
    fine = np.linspace(-1, 1, 20001)
    F = toys.DEPTH * ((fine / toys.WELL) ** 2 - 1) ** 2
    return U + THERMAL * np.log(np.exp(-F / THERMAL).sum() * (fine[1] - fine[0]))


@pytest.fixture(scope="module")
def wells(tmp_path_factory):
    md = toys.config(replicas=16, n_frames=1200, steps_per_frame=60, seed=3)
    return walked(tmp_path_factory.mktemp("wells"), (toys.X,), md=md, height_kJ_mol=1.0)


def test_the_bias_becomes_the_double_well(wells):
    """-gamma / (gamma - 1) V is F within four of its errors, over the wells and the barrier between them."""
    _, walk, config = wells
    got = reweight.from_bias(reweight.last_bias(walk, (toys.X,), config), (toys.X,), config, 300.0)
    points = toys.X.axis.points
    inner = np.abs(points) < 0.68
    off = (got.value - exact_of_x(points))[inner]
    assert (np.abs(off) < 4 * got.error[inner] + 0.1).all()
    assert got.error[inner].max() < 0.25 * toys.DEPTH / 2
    top, bottom = np.abs(points).argmin(), np.abs(points - toys.WELL).argmin()
    assert abs(got.value[top] - got.value[bottom] - toys.DEPTH) < 1.0


@pytest.mark.parametrize("way", ["balanced", "last"])
def test_reweighting_gives_back_the_double_well(wells, way):
    ensemble, walk, config = wells
    late = walk.after(80.0)
    if way == "balanced":
        weights = reweight.balanced_weights(late, 300.0)
    else:
        tables = reweight.last_bias(walk, (toys.X,), config)
        weights = reweight.last_bias_weights(late, tables, (toys.X,), config, 300.0)
    edges = [np.linspace(-0.7, 0.7, 29)]
    got = reweight.free_energy(late.cv, weights, edges, 300.0, n_blocks=2)
    middle = (edges[0][1:] + edges[0][:-1]) / 2
    exact = exact_of_x(middle)
    assert (np.abs(got.value - exact) < 4.5 * got.error + 0.15).all()
    assert np.nanmax(got.error) < 1.0
    assert 200 < reweight.effective_frames(weights) < weights.size
    # What was not biased: <y | x> = c x and <(y - c x)^2> = kT / k, so <y^2> = c^2 <x^2> + kT / k.
    y = np.asarray(ensemble.position, float)[:, -late.cv.shape[1] :, 0, 1]
    grid = np.linspace(-1, 1, 2001)
    p = np.exp(-exact_of_x(grid) / THERMAL)
    wanted = toys.SLANT**2 * (p * grid**2).sum() / p.sum() + THERMAL / toys.STIFF
    means = (weights * y**2).sum(1) / weights.sum(1)
    assert abs(np.average(y**2, weights=weights) - wanted) < 4.5 * means.std(ddof=1) / 4


def test_errors_level_off_as_blocks_get_longer(wells):
    """Blocks far shorter than a crossing promise too much; those of whole replicas do not."""
    _, walk, _ = wells
    late = walk.after(80.0)
    weights = reweight.balanced_weights(late, 300.0)
    edges = [np.linspace(-0.6, 0.6, 9)]
    short, middle, long = reweight.error_by_blocks(late.cv, weights, edges, 300.0, (400, 4, 1))
    assert short < 0.7 * long and 0.5 * long < middle < 1.5 * long


def test_hills_of_one_height_fill_the_wells_too(tmp_path):
    """Without a bias factor V goes on growing; its shape is -F, up to what a hill makes of it."""
    md = toys.config(replicas=8, n_frames=700, steps_per_frame=60)
    _, walk, config = walked(tmp_path, (toys.X,), md=md, height_kJ_mol=0.35, bias_factor=None)
    assert set(np.unique(walk.height)) <= {0.0, np.float32(0.35)}
    got = reweight.from_bias(reweight.last_bias(walk, (toys.X,), config), (toys.X,), config, 300.0)
    points = toys.X.axis.points
    inner = np.abs(points) < 0.6
    assert (np.abs(got.value - exact_of_x(points))[inner] < 4.5 * got.error[inner] + 0.2).all()


def surface(x, y):
    return toys.DEPTH * ((x / toys.WELL) ** 2 - 1) ** 2 + 0.5 * toys.STIFF * (y - toys.SLANT * x) ** 2


def test_a_surface_of_two_variables(tmp_path):
    """F(x, y) of the slanted wells, from the bias that eight walkers share and from reweighting."""
    variables = (
        toys.X._replace(width=0.1, axis=Axis(-1.0, 1.0, 60, False)),
        toys.Y._replace(width=0.1, axis=Axis(-0.8, 0.8, 48, False)),
    )
    md = toys.config(replicas=8, n_frames=1200, steps_per_frame=40, seed=2)
    _, walk, config = walked(tmp_path, variables, md=md, height_kJ_mol=1.0, shared=True)
    late = walk.after(40.0)
    weights = reweight.balanced_weights(late, 300.0)
    edges = [np.linspace(-0.65, 0.65, 14), np.linspace(-0.4, 0.4, 9)]
    got = reweight.free_energy(late.cv, weights, edges, 300.0)
    fine = [np.linspace(e[0], e[-1], 10 * (len(e) - 1) + 1)[:-1] + 0.005 for e in edges]
    p = np.exp(-surface(*np.meshgrid(*fine, indexing="ij")) / THERMAL).reshape(13, 10, 8, 10).mean((1, 3))
    exact = -THERMAL * np.log(p / (p.sum() * 0.01))
    low = exact - exact.min() < 14
    off = np.abs(got.value - exact)[low]
    assert low.sum() > 40 and np.isfinite(off).all()
    assert (off < 5 * got.error[low] + 0.4).all() and np.sqrt(np.mean(off**2)) < 0.8
    table = jnp.asarray(reweight.last_bias(walk, variables, config)[0])
    middle = np.stack(np.meshgrid(*((e[1:] + e[:-1]) / 2 for e in edges), indexing="ij"), axis=-1)[low]
    V = jax.vmap(lambda s: value(tuple(v.axis for v in variables), table, s))(middle)
    assert (config.deepening * np.asarray(V) + surface(*middle.T)).std() < 0.8


def exact_torsion(phi):
    fine = np.linspace(-np.pi, np.pi, 3601)[:-1]
    weight = np.exp(-np.asarray(toys.torsion(fine)) / THERMAL).sum() * (fine[1] - fine[0])
    return np.asarray(toys.torsion(phi)) + THERMAL * np.log(weight)


CHI = Variable(name="chi", beads=(toys.NAMES,), width=0.15)
BIAS = dict(height_kJ_mol=0.5, bias_factor=6.0)


@pytest.mark.slow
def test_as_openmm_does(tmp_path):
    """The torsion of the star by openmm.app.Metadynamics and by ours, both within error bars of each other and of the truth."""
    import openmm
    from openmm import app, unit

    runs, hills, pace = 6, 2500, 50
    ours = []
    variables = collectives(MetadynamicsConfig(variables=(CHI,)), toys.NAMES)
    md = toys.config(replicas=runs, n_frames=hills, steps_per_frame=pace, dt_ps=0.002, friction_per_ps=5.0)
    _, walk, config = walked(
        tmp_path, variables, potential=toys.TORSION, molecule=toys.MOLECULE, start=toys.star_start(), md=md, **BIAS
    )
    ours = reweight.from_bias(reweight.last_bias(walk, variables, config), variables, config, 300.0)

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
        variable = app.BiasVariable(angle, -np.pi, np.pi, CHI.width, True, 210)
        meta = app.Metadynamics(system, [variable], 300.0, BIAS["bias_factor"], BIAS["height_kJ_mol"], pace)
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
    around = variables[0].axis.points
    value, error_ours = (np.interp(places, around, e, period=2 * np.pi) for e in ours)
    assert (np.abs(value - mean) < 4.5 * np.hypot(error, error_ours) + 0.1).all()
    assert (np.abs(value - exact_torsion(places)) < 4.5 * error_ours + 0.1).all()
    assert np.hypot(error, error_ours).max() < 2.0
