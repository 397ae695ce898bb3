"""Well-tempered metadynamics: the bias as an energy, its growth, restarts, files; and what is refused."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys
from numpy.testing import assert_allclose, assert_array_equal

from cgcore import simulate
from cgcore.config import ConfigError, MDConfig
from cgcore.geometry import angles, dihedrals, distances
from cgcore.metadynamics import (
    Hills,
    MetadynamicsConfig,
    MetadynamicsError,
    Variable,
    collectives,
    grid,
    hills_of,
    read_hills,
    walk_of,
    well_tempered,
    write_hills,
)
from cgcore.metadynamics.hills import total
from cgcore.simulate import SimulationError
from cgcore.store import load_tree
from cgcore.units import kT

BOX = np.full(3, np.inf)
CHI = Variable(name="chi", beads=(toys.NAMES,), width=0.2)
TURN = grid.Axis(-np.pi, np.pi, 157, True)


def rng():
    return np.random.default_rng(5)


def some_hills(axes, n=40, widths=(0.2, 0.1)) -> Hills:
    low, high = np.array([[a.low, a.high] for a in axes]).T
    return Hills(
        names=("phi", "d")[: len(axes)],
        periods=tuple((a.low, a.high) if a.periodic else None for a in axes),
        widths=widths[: len(axes)],
        bias_factor=5.0,
        time=0.5 * np.arange(1, n + 1),
        centre=rng().uniform(low, high, (n, len(axes))),
        height=rng().uniform(0.1, 1.0, n),
        model="0123456789ab",
    )


AXES = [(TURN,), (TURN, grid.Axis(0.2, 1.5, 65, False))]


@pytest.mark.parametrize("axes", AXES, ids=["one", "two"])
def test_hills_between_points_are_gaussians(axes):
    """A sum of Gaussians, five points a width, to 1.3e-5 of the sum of heights in one direction; from hill by hill as well."""
    hills = some_hills(axes)
    table = total(hills, axes)
    s = rng().uniform([a.low for a in axes], [a.high for a in axes], (200, len(axes)))
    d = s[:, None] - hills.centre
    d[..., 0] -= 2 * np.pi * np.round(d[..., 0] / (2 * np.pi))
    exact = (hills.height * np.exp(-0.5 * (d / hills.widths) ** 2).prod(-1)).sum(1)
    got = jax.vmap(lambda x: grid.value(axes, jnp.asarray(table), x))(s)
    assert_allclose(got, exact, atol=1.3e-5 * len(axes) * hills.height.max() * 6)
    one_by_one = sum(
        h * grid.hill(axes, hills.widths, jnp.asarray(c)) for h, c in zip(hills.height, hills.centre, strict=True)
    )
    assert_allclose(one_by_one, table, atol=1e-12)


@pytest.mark.parametrize("axes", AXES, ids=["one", "two"])
def test_a_biased_force_is_the_slope_of_the_bias(axes):
    """By central differences, also in the very points of the grid, where intervals meet, and across the period."""
    table = jnp.asarray(total(some_hills(axes), axes))
    energy = jax.jit(lambda x: grid.value(axes, table, x))
    s = rng().uniform([a.low for a in axes], [a.high for a in axes], (30, len(axes)))
    on_points = np.stack([a.points[3:9] for a in axes], axis=-1)
    ends = np.stack([np.full(2, np.pi) - [0, 1e-9]] + [np.full(2, 0.9) for _ in axes[1:]], axis=-1)
    for x in (*s, *on_points, *ends):
        for k in range(len(axes)):
            h = 1e-5 * np.eye(len(axes))[k]
            numeric = (energy(x + h) - energy(x - h)) / 2e-5
            assert_allclose(jax.grad(energy)(jnp.asarray(x))[k], numeric, atol=2e-3)
            assert_allclose(
                jax.grad(energy)(jnp.asarray(x - 1e-9))[k], jax.grad(energy)(jnp.asarray(x + 1e-9))[k], atol=1e-4
            )


def test_beyond_its_bounds_a_bias_is_what_it_is_there():
    axes = (grid.Axis(0.2, 1.5, 65, False),)
    hills = replace(some_hills(axes), centre=np.full((40, 1), 0.22))
    value = lambda x: float(grid.value(axes, jnp.asarray(total(hills, axes)), jnp.array([x])))  # noqa: E731
    assert value(0.1) == value(0.2) > 1 and value(2.0) == value(1.5)
    assert [bool(grid.inside(axes, jnp.array([x]))) for x in (0.1, 0.2, 1.5, 1.6)] == [False, True, True, False]


def test_forces_of_beads_are_those_of_potential_and_bias(tmp_path):
    """Of three beads around one with a bias along their dihedral: the energy's gradient by central differences in every coordinate."""
    variables = collectives(MetadynamicsConfig(variables=(CHI,)), toys.NAMES)
    bias = well_tempered(variables, MetadynamicsConfig(pace=20), toys.config())
    hills = replace(some_hills((variables[0].axis,)), names=("chi",))
    memory = bias.potential.init(None) | dict(grid=jnp.asarray(total(hills, (variables[0].axis,))))
    x = jnp.asarray(toys.star_start(2.3) + 0.01 * rng().normal(size=(4, 3)))
    energy = jax.jit(lambda x: bias.potential.energy(memory, x, BOX))
    slope = np.asarray(jax.grad(energy)(x))
    for i, j in np.ndindex(4, 3):
        h = jnp.zeros((4, 3)).at[i, j].set(1e-6)
        assert_allclose(slope[i, j], (energy(x + h) - energy(x - h)) / 2e-6, rtol=1e-5, atol=1e-4)
    assert np.abs(slope).max() > 1


def test_variables_are_distances_angles_dihedrals_and_their_sums():
    x = jnp.asarray(rng().normal(size=(4, 3)))
    A, B, C, D = toys.NAMES
    given = {
        "d": (dict(beads=((A, C),), low=0.0, high=9.0), distances(x, [[0, 2]], BOX)[0]),
        "theta": (dict(beads=((A, B, D),), low=0.0, high=4.0), angles(x, [[0, 1, 3]], BOX)[0]),
        "chi": (dict(beads=((A, B, C, D),)), dihedrals(x, [[0, 1, 2, 3]], BOX)[0]),
        "difference": (
            dict(beads=((A, B), (C, D)), coefficients=(1.0, -0.5), low=-9.0, high=9.0),
            distances(x, [[0, 1]], BOX)[0] - 0.5 * distances(x, [[2, 3]], BOX)[0],
        ),
    }
    config = MetadynamicsConfig(variables=tuple(Variable(name=n, width=0.3, **v) for n, (v, _) in given.items()))
    for variable, (_, wanted) in zip(collectives(config, toys.NAMES), given.values(), strict=True):
        assert_allclose(variable.function(x, BOX), wanted)
    assert [v.axis.periodic for v in collectives(config, toys.NAMES)] == [False, False, True, False]
    assert config.variables[2].bounds == (-np.pi, np.pi) and config.variables[2].bins == 105


def walkers(folder, *, before=None, model=None, params=1.0, potential=toys.WELLS, md=None, **settings):
    md = md or toys.config()
    config = MetadynamicsConfig(**dict(height_kJ_mol=1.0, pace=2 * md.steps_per_frame) | settings)
    bias = well_tempered((toys.X,), config, md, before=before, model=model)
    starts = np.tile([[[toys.WELL, 0.0, 0.0]]], (md.replicas, 1, 1))
    result = simulate.run(
        potential, jnp.array(params), toys.PARTICLE, starts, md, toys.new_run(folder), bias=bias, progress=False
    )
    return *result, config, bias


@pytest.mark.parametrize("shared", [False, True], ids=["independent", "shared"])
def test_hills_grow_as_they_should(tmp_path, shared):
    """W = W_0 exp(-V / kT (gamma - 1)) every second frame at the walker's place, on its own bias or that of all."""
    ensemble, _, config, _ = walkers(tmp_path, shared=shared)
    walk = walk_of(toys.new_run(tmp_path), ensemble)
    assert_allclose(walk.cv[..., 0], ensemble.position[..., 0, 0], atol=1e-7)
    assert (walk.height[:, ::2] == 0).all() and (walk.height[:, 1::2] > 0).all()
    assert_allclose(walk.height[:, 1::2], np.exp(-walk.bias[:, 1::2] / (4 * kT(300.0))), rtol=1e-5)
    whole = load_tree(tmp_path / "state.npz")["state"]["memory"]["grid"]
    for c in range(3):
        hills = hills_of(walk, (toys.X,), config, replica=None if shared else c)
        assert_allclose(whole[c], total(hills, (toys.X.axis,)), atol=1e-5)
    first_bias = walk.bias[:, 2]
    gap = walk.cv[:, 2] - walk.cv[:, 1]
    alone = np.exp(-0.5 * (gap[:, 0] / toys.X.width) ** 2)
    assert_allclose(first_bias, alone, atol=1e-4) if not shared else np.testing.assert_array_less(alone, first_bias)
    energy = ensemble.energy - walk.bias
    x = jnp.asarray(ensemble.position, float)
    assert_allclose(energy, jax.vmap(jax.vmap(lambda p: toys.double_well(1.0, p, BOX)))(x), atol=1e-4)


def test_a_fixed_bias_conserves_energy(tmp_path):
    """At constant energy, with hills from before and none added: what some force evaluation missed would be seen here."""
    config = MetadynamicsConfig(variables=(CHI,), pace=10**6)
    variables = collectives(config, toys.NAMES)
    hills = replace(some_hills((variables[0].axis,), 200), names=("chi",), model="m")
    x = np.tile(toys.star_start(), (4, 1, 1))
    spread = {}
    for dt in (0.0005, 0.001):
        md = toys.config(ensemble="nve", replicas=4, dt_ps=dt, n_frames=20, steps_per_frame=round(0.04 / dt))
        bias = well_tempered(variables, config, md, before=hills, model="m")
        folder = toys.new_run(tmp_path / str(dt))
        ensemble, _ = simulate.run(
            toys.TORSION, jnp.array(0.1), toys.MOLECULE, x, md, folder, bias=bias, progress=False
        )
        spread[dt] = (np.asarray(ensemble.energy, float) + ensemble.kinetic).std(1).mean()
        walk = walk_of(folder, ensemble)
        assert walk.bias.std() > 1 and not walk.height.any()
    assert spread[0.0005] < spread[0.001] / 2.5 < 0.05


@pytest.mark.parametrize("shared", [False, True], ids=["independent", "shared"])
def test_an_interrupted_run_goes_on_as_if_unbroken(tmp_path, monkeypatch, shared):
    """To the last bit of positions, energies, hills and the grid."""
    walkers(tmp_path / "unbroken", shared=shared)
    write = simulate.record.Record.write

    def interrupted(record, number, *what):
        if number == 17:
            raise KeyboardInterrupt
        write(record, number, *what)

    monkeypatch.setattr(simulate.driver, "CHECKPOINT_S", 0.0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(simulate.record.Record, "write", interrupted)
        walkers(tmp_path / "broken", shared=shared)
    walkers(tmp_path / "broken", shared=shared)
    for name in ("position", "energy", "kinetic", "cv", "bias", "offset", "height"):
        assert_array_equal(*(np.load(tmp_path / run / f"{name}.npy") for run in ("unbroken", "broken")))
    a, b = (load_tree(tmp_path / run / "state.npz")["state"]["memory"]["grid"] for run in ("unbroken", "broken"))
    assert_array_equal(a, b)


def test_a_run_of_another_bias_or_model_does_not_go_on(tmp_path):
    walkers(tmp_path)
    with pytest.raises(
        SimulationError, match=r"on model \w{12}, want along x .* on model \w{12}; a bias holds for the model"
    ):
        walkers(tmp_path, params=1.1)
    with pytest.raises(SimulationError, match=r"bias factor 5, .*, want along x .* bias factor 8,"):
        walkers(tmp_path, bias_factor=8.0)
    md = toys.config()
    starts = np.tile([[[toys.WELL, 0.0, 0.0]]], (8, 1, 1))
    with pytest.raises(SimulationError, match="a run with the bias along x .* want None"):
        simulate.run(toys.WELLS, jnp.array(1.0), toys.PARTICLE, starts, md, toys.new_run(tmp_path), progress=False)


def test_a_failed_replica_adds_no_hills():
    """Nor does it spoil the bias that others share."""
    config = MetadynamicsConfig(pace=20, shared=True)
    bias = well_tempered((toys.X,), config, toys.config())
    memory = jax.vmap(bias.potential.init)(jax.random.split(jax.random.key(0), 3))
    x = jnp.array([[[0.1, 0.0, 0.0]], [[-0.3, 0.0, 0.0]], [[0.5, 0.0, 0.0]]])
    once = bias.update(memory, x, BOX, jnp.array([True, False, True]), 1)
    assert_array_equal(once["height"] > 0, [True, False, True])
    assert once["grid"][0, :, 0].max() == pytest.approx(config.height_kJ_mol, rel=0.01)
    twice = bias.update(once, x, BOX, jnp.array([True, True, True]), 2)
    assert_array_equal(twice["alive"], [True, False, True])
    assert twice["height"][1] == 0 and np.isfinite(twice["grid"]).all()
    outside = bias.update(memory, x + jnp.array([2.0, 0, 0]), BOX, jnp.ones(3, bool), 1)
    assert not outside["height"].any() and not outside["grid"].any()


@pytest.mark.parametrize("gamma", [5.0, None])
@pytest.mark.parametrize("axes", AXES, ids=["one", "two"])
def test_hills_files_read_back(tmp_path, axes, gamma):
    hills = replace(some_hills(axes), bias_factor=gamma)
    write_hills(tmp_path / "HILLS", hills)
    back = read_hills(tmp_path / "HILLS")
    for name in ("names", "bias_factor", "model"):
        assert getattr(back, name) == getattr(hills, name)
    assert [p is None for p in back.periods] == [p is None for p in hills.periods]
    assert_allclose(back.periods[0], hills.periods[0])
    for name in ("widths", "time", "centre", "height"):
        assert_allclose(getattr(back, name), getattr(hills, name), rtol=1e-8, atol=1e-9)


def test_hills_files_are_those_of_plumed(tmp_path):
    """Fields and constants as PLUMED 2.9 writes them; heights of well-tempered hills times gamma / (gamma - 1)."""
    axes = AXES[1]
    write_hills(tmp_path / "HILLS", some_hills(axes, 1))
    lines = (tmp_path / "HILLS").read_text().splitlines()
    assert lines[1:6] == [
        "#! FIELDS time phi d sigma_phi sigma_d height biasf",
        "#! SET multivariate false",
        "#! SET kerneltype gaussian",
        "#! SET min_phi -pi",
        "#! SET max_phi pi",
    ]
    row = [float(word) for word in lines[6].split()]
    assert row[5] == pytest.approx(some_hills(axes, 1).height[0] * 5 / 4, rel=1e-8)
    (tmp_path / "theirs").write_text(
        "#! FIELDS time phi psi sigma_phi sigma_psi height biasf\n#! SET multivariate false\n"
        "#! SET kerneltype stretched-gaussian\n#! SET min_phi -pi\n#! SET max_phi pi\n#! SET min_psi -pi\n"
        "#! SET max_psi pi\n"
        "                      1     -1.309542     0.9137812          0.35          0.35       1.333333             10\n"
        "                      2     -1.412341     1.0213312          0.35          0.35       1.301233             10\n"
    )
    theirs = read_hills(tmp_path / "theirs")
    assert (theirs.names, theirs.widths, theirs.bias_factor, theirs.model) == (("phi", "psi"), (0.35, 0.35), 10.0, None)
    assert_allclose(theirs.height, [1.2, 1.1711097], rtol=1e-6)
    assert_allclose(theirs.time, [1, 2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "want a HILLS file with '#! FIELDS time"),
        ("#! FIELDS time x sigma_x height biasf\n", "want a HILLS file"),
        (
            "#! FIELDS time x sigma_x height biasf\n1 2 0.1 1\n",
            "want hills of one width a variable, and a number a field",
        ),
        ("#! FIELDS time x sigma_x height biasf\n1 2 0.1 1 5\n2 2 0.2 1 5\n", "they change along the file"),
    ],
)
def test_files_that_are_no_hills_are_refused(tmp_path, text, message):
    (tmp_path / "HILLS").write_text(text)
    with pytest.raises(MetadynamicsError, match=message):
        read_hills(tmp_path / "HILLS")


def test_hills_to_begin_with_are_those_of_the_model(tmp_path):
    """A run that goes on from the hills of another has its bias from the first frame on; the hills of another model are refused."""
    ensemble, _, config, _ = walkers(tmp_path / "first", shared=True)
    model = simulate.model_id(jnp.array(1.0))
    walk = walk_of(toys.new_run(tmp_path / "first"), ensemble)
    write_hills(tmp_path / "HILLS", hills_of(walk, (toys.X,), config, model=model))
    hills = read_hills(tmp_path / "HILLS")
    ensemble, _, _, bias = walkers(tmp_path / "second", before=hills, model=model, shared=True)
    grown = walk_of(toys.new_run(tmp_path / "second"), ensemble)
    assert grown.bias[:, 0].min() > 5 and "after 160 hills" in bias.identity
    for changed, message in (
        (dict(before=replace(hills, model="else")), f"of the model else, want {model}; a bias holds for the model"),
        (dict(before=replace(hills, model=None)), "of the model None"),
        (dict(before=replace(hills, names=("y",))), r"of the variables \('y',\), want \('x',\)"),
        (dict(before=replace(hills, widths=(0.1,))), r"of the widths \(0.1,\)"),
        (dict(before=hills, bias_factor=3.0), "of the bias factor 5.0, want 3.0"),
    ):
        with pytest.raises(MetadynamicsError, match=message):
            walkers(tmp_path / "third", model=model, **changed)


CORE = ("C_ace", "N", "CA", "C", "N_nme")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: collectives(MetadynamicsConfig(variables=(CHI,)), CORE), MetadynamicsError, "variable 'chi': no bead 'CB'; the map has"),
        (lambda: replace(CHI, spacing=0.25), ConfigError, "hills of width 0.2 are below the grid spacing 0.25"),
        (lambda: replace(CHI, low=0.0, high=1.0), ConfigError, "a dihedral has the period 2 pi, want no bounds"),
        (lambda: Variable(name="d", beads=(("N", "C"),), width=0.1), ConfigError, "want bounds low < high"),
        (lambda: Variable(name="d", beads=(("N", "N"),), width=0.1), ConfigError, "two, three or four different beads"),
        (lambda: Variable(name="d", beads=("N", "C"), width=0.1), ConfigError, "want terms of beads"),
        (lambda: replace(CHI, coefficients=(1.0, 1.0)), ConfigError, "one coefficient a term, got 2 for 1"),
        (lambda: replace(CHI, name="my chi"), ConfigError, "a name of one word"),
        (lambda: MetadynamicsConfig(bias_factor=1.0), ConfigError, "want more than 1, or None"),
        (lambda: MetadynamicsConfig(variables=(CHI, CHI)), ConfigError, "different names"),
        (lambda: well_tempered((toys.X,), MetadynamicsConfig(pace=500), MDConfig(steps_per_frame=300)), MetadynamicsError, "a hill every 500 steps, but frames of 300"),
        (lambda: well_tempered((), MetadynamicsConfig(), MDConfig()), MetadynamicsError, "at least one collective variable"),
        (lambda: well_tempered((toys.X._replace(width=0.01),), MetadynamicsConfig(), MDConfig()), MetadynamicsError, "below the grid spacing"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
