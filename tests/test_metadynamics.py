"""Well-tempered metadynamics: the bias as an energy, its growth, restarts; and what is refused."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys
from numpy.testing import assert_allclose, assert_array_equal

from cgcore import simulate
from cgcore.analysis.blocks import ratio
from cgcore.config import ConfigError, MDConfig
from cgcore.geometry import dihedrals
from cgcore.metadynamics import (
    BiasedTrajectory,
    MetadynamicsConfig,
    MetadynamicsError,
    biased_trajectory,
    dihedral,
    final_bias,
    grid,
    well_tempered,
)
from cgcore.potentials.base import Potential
from cgcore.store import load_tree
from cgcore.units import kT

BOX = np.full(3, np.inf)
CHI = MetadynamicsConfig(beads=toys.NAMES, width=0.2)
VARIABLE = dihedral(CHI, toys.NAMES)
TURN = VARIABLE.axis


def rng():
    return np.random.default_rng(5)


def some_hills(n=40) -> BiasedTrajectory:
    """Hills anywhere on the circle."""
    cv, height = rng().uniform(TURN.low, TURN.high, (1, n)), rng().uniform(0.1, 1.0, (1, n))
    return BiasedTrajectory(cv, 0 * cv, 0 * cv, height, np.ones(cv.shape, bool))


def test_hills_between_points_are_gaussians():
    """A sum of Gaussians, five points a width, to 1.3e-5 of the sum of heights; from hill by hill as well."""
    hills = some_hills()
    (table,) = final_bias(hills, VARIABLE, CHI)
    s = rng().uniform(TURN.low, TURN.high, 200)
    d = s[:, None] - hills.cv[0]
    d -= 2 * np.pi * np.round(d / (2 * np.pi))
    exact = (hills.height[0] * np.exp(-0.5 * (d / CHI.width) ** 2)).sum(1)
    got = jax.vmap(lambda x: grid.value(TURN, jnp.asarray(table), x))(s)
    assert_allclose(got, exact, atol=1.3e-5 * hills.height.max() * 6)
    one_by_one = sum(
        h * grid.hill(TURN, CHI.width, jnp.asarray(c)) for h, c in zip(hills.height[0], hills.cv[0], strict=True)
    )
    assert_allclose(one_by_one, table, atol=1e-12)


def test_a_biased_force_is_the_slope_of_the_bias():
    """By central differences, also in the very points of the grid, where intervals meet, and across the period."""
    table = jnp.asarray(final_bias(some_hills(), VARIABLE, CHI)[0])
    energy = jax.jit(lambda x: grid.value(TURN, table, x))
    for x in (*rng().uniform(TURN.low, TURN.high, 30), *TURN.points[3:9], np.pi, np.pi - 1e-9):
        numeric = (energy(x + 1e-5) - energy(x - 1e-5)) / 2e-5
        assert_allclose(jax.grad(energy)(x), numeric, atol=2e-3)
        assert_allclose(jax.grad(energy)(x - 1e-9), jax.grad(energy)(x + 1e-9), atol=1e-4)


def test_forces_of_beads_are_those_of_potential_and_bias():
    """Of three beads around one with a bias along their dihedral: the energy's gradient by central differences in every coordinate."""
    bias = well_tempered(VARIABLE, replace(CHI, pace=20), toys.config())
    state = bias.potential.init(None) | dict(grid=jnp.asarray(final_bias(some_hills(), VARIABLE, CHI)[0]))
    x = jnp.asarray(toys.star_start(2.3) + 0.01 * rng().normal(size=(4, 3)))
    energy = jax.jit(lambda x: bias.potential.energy(state, x, BOX))
    slope = np.asarray(jax.grad(energy)(x))
    for i, j in np.ndindex(4, 3):
        h = jnp.zeros((4, 3)).at[i, j].set(1e-6)
        assert_allclose(slope[i, j], (energy(x + h) - energy(x - h)) / 2e-6, rtol=1e-5, atol=1e-4)
    assert np.abs(slope).max() > 1


def test_the_variable_is_the_dihedral_of_its_beads():
    x = jnp.asarray(rng().normal(size=(5, 3)))
    variable = dihedral(CHI, ("H", *toys.NAMES))
    assert_allclose(variable.function(x, BOX), dihedrals(x, [[1, 2, 3, 4]], BOX)[0])
    assert (TURN.low, TURN.high, TURN.bins) == (-np.pi, np.pi, 158)


def biased_run(folder, *, params=1.0, potential=toys.WELLS, md=None, **settings):
    md = md or toys.config()
    config = MetadynamicsConfig(**dict(height_kJ_mol=1.0, pace=2 * md.steps_per_frame) | settings)
    bias = well_tempered(toys.X, config, md)
    starts = np.tile([[[toys.WELL, 0.0, 0.0]]], (md.replicas, 1, 1))
    return simulate.run(potential, jnp.array(params), toys.PARTICLE, starts, md, folder, bias=bias, progress=False)


def test_hills_grow_as_they_should(tmp_path):
    """W = W_0 exp(-V / kT (gamma - 1)) every second frame at the replica's place, on its own bias."""
    run = biased_run(tmp_path)
    ensemble, trajectory = run.ensemble, biased_trajectory(run)
    cv, bias, _, height, _ = trajectory
    assert_allclose(cv, ensemble.position[..., 0, 0], atol=1e-7)
    assert (height[:, ::2] == 0).all() and (height[:, 1::2] > 0).all()
    assert_allclose(height[:, 1::2], np.exp(-bias[:, 1::2] / (4 * kT(300.0))), rtol=1e-5)
    grown = load_tree(run.run.path("state.npz"))["state"]["bias_state"]["grid"]
    assert_allclose(grown, final_bias(trajectory, toys.X, CHI), atol=1e-5)
    assert_allclose(bias[:, 2], np.exp(-0.5 * ((cv[:, 2] - cv[:, 1]) / toys.X.width) ** 2), atol=1e-4)
    x = jnp.asarray(ensemble.position, float)
    energy = jax.vmap(jax.vmap(lambda p: toys.double_well(1.0, p, BOX)))(x)
    assert_allclose(ensemble.energy - bias, energy, atol=1e-4)


def test_grown_biases_become_one_and_reweighting_by_it_has_no_trace_of_either(tmp_path):
    """From the last hill on all replicas stand on the mean of what they grew; with exp(V / kT) the sides of a double well
    that is tilted by so much have the populations of its energy, whatever the starts."""
    tilt, grown, md = 2.0, 300, toys.config(replicas=8, n_frames=3000, seed=4)

    def tilted(params, position, box):
        return toys.double_well(params, position, box) + tilt * jnp.sum(position[..., 0]) / toys.WELL

    run = biased_run(
        tmp_path,
        params=2.0,
        potential=Potential(lambda key: jnp.ones(()), tilted),
        md=md,
        growing_frames=grown,
        height_kJ_mol=2.0,
        bias_factor=10.0,
    )
    cv, V, _, height, valid = biased_trajectory(run)
    last = np.asarray(load_tree(run.run.path("state.npz"))["state"]["bias_state"]["grid"])
    assert_allclose(last, np.broadcast_to(last[0], last.shape), atol=1e-6)
    assert_allclose(
        last[0],
        final_bias(biased_trajectory(run), toys.X, CHI).mean(0),
        rtol=1e-4,
        atol=1e-3,
    )
    assert valid.all() and height[:, grown - 1].any() and not height[:, grown:].any()
    weight = np.exp(V[:, grown:] / kT(300.0))
    right = ratio((weight * (cv[:, grown:] > 0)).sum(1), weight.sum(1))
    x = np.linspace(-2, 2, 4001) * toys.WELL
    exact = np.exp(-np.array([float(tilted(2.0, jnp.array([[s, 0, 0]]), BOX)) for s in x[::20]]) / kT(300.0))
    exact = exact[x[::20] > 0].sum() / exact.sum()
    assert abs(right.value - exact) < 4 * right.error < 0.1


def test_a_fixed_bias_conserves_energy(tmp_path):
    """At constant energy, with a bias of before and no hills added: what some force evaluation missed would be seen here."""
    config, table = replace(CHI, pace=10**6), jnp.asarray(final_bias(some_hills(200), VARIABLE, CHI)[0])
    x = np.tile(toys.star_start(), (4, 1, 1))
    spread = {}
    for dt in (0.0005, 0.001):
        md = toys.config(ensemble="nve", replicas=4, dt_ps=dt, n_frames=20, steps_per_frame=round(0.04 / dt))
        bias = well_tempered(VARIABLE, config, md)
        begin = bias.potential.init
        bias = bias._replace(potential=bias.potential._replace(init=lambda key, f=begin: f(key) | dict(grid=table)))
        run = simulate.run(toys.TORSION, jnp.array(0.1), toys.MOLECULE, x, md, tmp_path, bias=bias, progress=False)
        spread[dt] = (np.asarray(run.ensemble.energy, float) + run.ensemble.kinetic).std(1).mean()
        trajectory = biased_trajectory(run)
        assert trajectory.bias.std() > 1 and not trajectory.height.any()
    assert spread[0.0005] < spread[0.001] / 2.5 < 0.05


def test_an_interrupted_run_goes_on_as_if_unbroken(tmp_path, monkeypatch):
    """To the last bit of positions, energies, hills and the grid."""
    unbroken = biased_run(tmp_path / "unbroken").run
    write = simulate.record.Record.write

    def interrupted(record, number, *what):
        if number == 17:
            raise KeyboardInterrupt
        write(record, number, *what)

    monkeypatch.setattr(simulate.driver, "CHECKPOINT_S", 0.0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(simulate.record.Record, "write", interrupted)
        biased_run(tmp_path / "broken")
    broken = biased_run(tmp_path / "broken").run
    assert broken.id == unbroken.id
    for name in ("position", "energy", "kinetic", "cv", "bias", "offset", "height"):
        assert_array_equal(*(np.load(run.path(f"{name}.npy")) for run in (unbroken, broken)))
    a, b = (load_tree(run.path("state.npz"))["state"]["bias_state"]["grid"] for run in (unbroken, broken))
    assert_array_equal(a, b)


def test_a_run_of_another_bias_or_model_is_another_run(tmp_path):
    """A bias holds for the model that it grew on: whatever differs has a folder of its own, and the first stays as it was."""
    first = biased_run(tmp_path)
    others = [biased_run(tmp_path, params=1.1), biased_run(tmp_path, bias_factor=8.0)]
    starts = np.tile([[[toys.WELL, 0.0, 0.0]]], (8, 1, 1))
    plain = simulate.run(
        *(toys.WELLS, jnp.array(1.0), toys.PARTICLE, starts, toys.config(), tmp_path), bias=None, progress=False
    )
    runs = [first, *others, plain]
    assert len({run.run.id for run in runs}) == len(runs) == len(list((tmp_path / "md").iterdir()))
    assert not plain.recorded and plain.run.manifest["config"]["bias"] is None
    identity = first.run.manifest["config"]["bias"]
    assert identity["kind"] == "well-tempered metadynamics" and identity["bias_factor"] == 5.0
    assert identity["bins"] == toys.X.axis.bins
    again = biased_run(tmp_path)
    assert again.run.id == first.run.id
    assert_array_equal(again.recorded["cv"], first.recorded["cv"])


def test_a_failed_replica_adds_no_hills():
    config = MetadynamicsConfig(pace=20)
    bias = well_tempered(toys.X, config, toys.config())
    state = jax.vmap(bias.potential.init)(jax.random.split(jax.random.key(0), 3))
    x = jnp.array([[[0.1, 0.0, 0.0]], [[-0.3, 0.0, 0.0]], [[0.5, 0.0, 0.0]]])
    once = bias.update(state, x, BOX, jnp.array([True, False, True]), 1)
    assert_array_equal(once["height"] > 0, [True, False, True])
    assert once["grid"][0, :, 0].max() == pytest.approx(config.height_kJ_mol, rel=0.01)
    assert not once["grid"][1].any()
    twice = bias.update(once, x, BOX, jnp.array([True, True, True]), 2)
    assert_array_equal(twice["alive"], [True, False, True])
    assert twice["height"][1] == 0 and np.isfinite(twice["grid"]).all()


CORE = ("C_ace", "N", "CA", "C", "N_nme")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: dihedral(CHI, CORE), MetadynamicsError, "variable 'chi': no bead 'CB'; the map has"),
        (lambda: MetadynamicsConfig(beads=("N", "CA", "C")), ConfigError, "four different beads of a dihedral"),
        (lambda: MetadynamicsConfig(beads=("N", "N", "CA", "C")), ConfigError, "want four different beads"),
        (lambda: MetadynamicsConfig(beads="NABC"), ConfigError, "beads: want tuple, got 'NABC'"),
        (lambda: MetadynamicsConfig(width=0.0), ConfigError, "width"),
        (lambda: MetadynamicsConfig(bias_factor=1.0), ConfigError, "want more than 1"),
        (lambda: well_tempered(toys.X, MetadynamicsConfig(pace=500), MDConfig(steps_per_frame=300)), MetadynamicsError, "a hill every 500 steps, but frames of 300"),
        (lambda: well_tempered(toys.X._replace(width=0.01), MetadynamicsConfig(), MDConfig()), MetadynamicsError, "below the grid spacing"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
