"""Classical splines: exact where least squares are, forces that are gradients, and ends that hold."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hexane import liquid, top
from numpy.testing import assert_allclose, assert_array_equal

from cgcore import geometry, io, mapping
from cgcore.analysis.force_errors import HeldOut, by_frame
from cgcore.config import ConfigError, SplineConfig
from cgcore.data import DataError, Split
from cgcore.frames import Frames
from cgcore.potentials.base import add
from cgcore.potentials.splines import POINTS, EmptyKnotsWarning, SplineError, build, check_ends, for_frames
from cgcore.potentials.terms import Term, terms
from cgcore.train_splines import design, fit, normal_equations, predict

BOX = 1.8
CONFIG = SplineConfig(
    cutoff_nm=0.85,
    pair_step_nm=0.1,
    bond_step_nm=0.01,
    angle_step_rad=0.15,
    dihedral_step_rad=0.6,
    min_samples=1,
)


@pytest.fixture(scope="module")
def four_site(tmp_path_factory):
    path = tmp_path_factory.mktemp("top") / "topol.top"
    path.write_text(top(6))
    return mapping.load("four_site", io.read_topology(path), residue="hex")


@pytest.fixture(scope="module")
def hexane(four_site):
    """Six molecules of four beads, all alike: one term of each kind."""
    return replace(four_site, species=(0,) * 24, species_names=("A",))


@pytest.fixture(scope="module")
def frames(hexane):
    return liquid(hexane, 40, BOX)


@pytest.fixture(scope="module")
def splines(hexane, frames):
    return for_frames(terms(hexane), frames, CONFIG)


def drawn(splines, seed=0, scale=1.0) -> dict:
    """Coefficients of random valid potentials."""
    random = np.random.default_rng(seed)
    return {s.term.name: scale * s.free @ random.normal(size=s.free.shape[1]) for s in splines}


@pytest.fixture(scope="module")
def truth(splines):
    return drawn(splines)


@pytest.fixture(scope="module")
def evaluate(splines):
    """Compiled: params, positions (T, N, 3) -> energies (T,) and forces (T, N, 3)."""
    potential = build(splines)
    compiled = jax.jit(
        jax.value_and_grad(potential.energy, argnums=1), compiler_options={"xla_backend_optimization_level": 0}
    )

    def run(params, positions):
        energies, gradients = zip(*(compiled(params, x, np.full(3, BOX)) for x in positions), strict=True)
        return np.array(energies), -np.array(gradients)

    return run


@pytest.fixture(scope="module")
def exact(evaluate, truth, frames):
    """The frames with the forces of a spline potential."""
    return replace(frames, force=evaluate(truth, frames.position)[1])


def split(frames: Frames, n: int) -> Split:
    return Split(frames[:n], 0, frames[n:], (1,))


def one(splines, name):
    return next(s for s in splines if s.term.name == name)


def test_terms_of_four_sites(four_site):
    """A B B A, six molecules: counts by hand; beads of one molecule have no pair."""
    found = {t.name: t.members for t in terms(four_site)}
    counts = {"bond_A-B": 12, "bond_B-B": 6, "angle_A-B-B": 12, "dihedral_A-B-B-A": 6}
    counts |= {"pair_A-A": 12 * 5, "pair_A-B": 12 * 10, "pair_B-B": 12 * 5}
    assert {name: len(rows) for name, rows in found.items()} == counts
    assert_array_equal(found["dihedral_A-B-B-A"][1], [4, 5, 6, 7])
    pairs = np.concatenate([found[f"pair_{ab}"] for ab in ("A-A", "A-B", "B-B")])
    assert not np.any(pairs[:, 0] // 4 == pairs[:, 1] // 4)


def test_a_known_potential_is_recovered_exactly(splines, truth, exact, tmp_path):
    """Least squares on the forces of the splines themselves: coefficients and tables to rounding, errors of zero."""
    result = fit(splines, split(exact, 30), tmp_path, blocks=5)
    assert sum(s.outside for s in splines) == 0
    for name, wanted in truth.items():
        scale = np.abs(wanted).max()
        assert_allclose(result.params[name], wanted, rtol=0, atol=1e-6 * scale)
        table = result.tables[name]
        assert np.abs(table.force_error).max() < 1e-4 * np.abs(table.force).max()
    np.testing.assert_allclose(
        result.errors,
        HeldOut(held_out=by_frame(predict(splines, result.params, exact[30:]), exact[30:])).errors,
        rtol=1e-9,
    )
    assert result.errors.rmse < 1e-5 * np.sqrt(np.mean(exact.force**2))
    assert result.train_rmse < 1e-5 * np.sqrt(np.mean(exact.force**2))


@pytest.mark.physics
def test_error_bars_are_the_scatter(splines, truth, exact, tmp_path):
    """With white noise on the forces, (found - true) / error has a variance near 1 over all points of all terms."""
    random = np.random.default_rng(4)
    noise = 0.3 * np.sqrt(np.mean(exact.force**2))
    noisy = replace(exact, force=exact.force + noise * random.normal(size=exact.force.shape))
    result = fit(splines, split(noisy, 38), tmp_path, blocks=19)
    chi = []
    for s in splines:
        table = result.tables[s.term.name]
        knots = slice(None, None, POINTS)
        wanted = s.tabulate(truth[s.term.name], table.x)[1]
        error = table.force_error[knots]
        chi.append(((table.force - wanted)[knots] / np.where(error > 1e-9, error, np.inf))[error > 1e-9])
    chi = np.concatenate(chi)
    assert 0.6 < np.sqrt(np.mean(chi**2)) < 1.5
    assert result.train_rmse == pytest.approx(noise, rel=0.05)


def test_forces_by_linear_algebra_are_gradients_of_the_energy(splines, truth, frames, evaluate):
    """A y of the least squares equals -grad U of the potential, two codes with nothing in common but the knots."""
    position = frames.position[:2]
    found = sum(design(s, position, frames.box) @ (s.free.T @ truth[s.term.name]) for s in splines)
    _, wanted = evaluate(truth, position)
    assert_allclose(found.reshape(wanted.shape), wanted, rtol=0, atol=1e-9 * np.abs(wanted).max())


def test_force_is_the_slope_of_the_energy(truth, frames, evaluate):
    """Central differences of all coordinates."""
    x, h = frames.position[0], 1e-6
    steps = h * np.eye(x.size).reshape(-1, *x.shape)
    slope = (evaluate(truth, x + steps)[0] - evaluate(truth, x - steps)[0]) / (2 * h)
    forces = evaluate(truth, x[None])[1][0]
    assert_allclose(slope.reshape(x.shape), -forces, rtol=0, atol=1e-6 * np.abs(forces).max())


def test_newtons_third_law(truth, frames, evaluate):
    """No net force; and without pairs no net force and no net torque on each molecule."""
    forces = evaluate(truth, frames.position[:3])[1]
    assert_allclose(forces.sum(axis=1), 0, atol=1e-10 * np.abs(forces).max())
    bonded = {name: a * (not name.startswith("pair")) for name, a in truth.items()}
    forces = evaluate(bonded, frames.position[:3])[1].reshape(3, -1, 4, 3)
    arms = frames.position[:3].reshape(3, -1, 4, 3)
    assert_allclose(forces.sum(axis=2), 0, atol=1e-10 * np.abs(forces).max())
    assert_allclose(np.cross(arms, forces).sum(axis=2), 0, atol=1e-9 * np.abs(forces).max())


def test_minimum_image(splines, truth, frames, evaluate):
    """Whole molecules moved by box lengths feel the same; two beads across the boundary see each other."""
    random = np.random.default_rng(1)
    moved = frames.position[:3] + BOX * np.repeat(random.integers(-2, 3, (3, 6, 3)), 4, axis=1)
    wanted = evaluate(truth, frames.position[:3])[1]
    found = evaluate(truth, moved)[1]
    assert_allclose(found, wanted, rtol=0, atol=1e-9 * np.abs(wanted).max())
    pair = replace(one(splines, "pair_A-A"), term=Term("pair", "pair", np.array([[0, 1]])))
    two = jnp.array([[0.05, 0, 0], [BOX - 0.25, 0, 0]])
    there = jax.jit(build((pair,)).energy)({"pair": truth["pair_A-A"]}, two, frames.box)
    assert_allclose(there, jax.jit(pair.energy)(truth["pair_A-A"], jnp.array(0.3)), rtol=1e-10)


@pytest.mark.parametrize("zero_force", [True, False])
def test_pairs_end_at_the_cutoff(hexane, frames, zero_force):
    """U = 0 there in any case, F by choice, and nothing beyond; whatever the coefficients are."""
    made = for_frames(terms(hexane), frames, replace(CONFIG, zero_force_at_cutoff=zero_force))
    pair = one(made, "pair_A-A")
    raw = np.random.default_rng(2).normal(size=len(pair.counts) + 4)
    energy = jax.jit(lambda r: pair.energy(raw, jnp.asarray(r)))
    assert pair.knots[-1] == pytest.approx(0.85)
    assert abs(energy(0.85 - 1e-12)) < 1e-9
    assert_array_equal(energy(np.array([0.85 + 1e-12, 1.0, 5.0])), 0)
    slope = jax.grad(energy)(0.85 - 1e-9)
    assert (abs(slope) < 1e-6) == zero_force


def test_dihedrals_are_periodic(splines):
    """Whatever the coefficients are: energies by turns, and up to the third derivative at -pi and pi."""
    s = one(splines, "dihedral_A-A-A-A")
    raw = np.random.default_rng(3).normal(size=len(s.counts) + 4)
    x = jnp.linspace(-3, 3, 7)
    energy = jax.jit(s.energy)
    assert_allclose(energy(raw, x + 2 * np.pi), energy(raw, x), atol=1e-12)
    a = s.free @ s.free.T @ raw
    assert_allclose(energy(raw, x), s.basis(np.asarray(x)) @ a, atol=1e-12)
    for order in range(4):
        left, right = s.basis(np.array([-np.pi, np.pi]), order) @ a
        assert left == pytest.approx(right, abs=1e-10)


def test_force_is_a_natural_cubic_spline(splines, truth):
    """Continuous up to its second derivative at the knots, which is zero at both ends; cubic in between."""
    s = one(splines, "bond_A-A")
    a, inner = truth["bond_A-A"], s.knots[1:-1]
    for order in (0, 1, 2, 3):
        left, right = s.basis(inner - 1e-9, order) @ a, s.basis(inner + 1e-9, order) @ a
        assert_allclose(left, right, rtol=0, atol=1e-5 * np.abs(s.basis(s.knots, order) @ a).max())
    third = s.basis(s.knots, 3) @ a
    assert_allclose(third[[0, -1]], 0, atol=1e-9 * np.abs(third).max())
    middle = (s.knots[1:] + s.knots[:-1]) / 2
    assert_allclose(s.basis(middle - 0.002, 4) @ a, s.basis(middle + 0.002, 4) @ a, rtol=1e-8)


def test_beyond_the_ends_the_force_is_a_line_that_restores(splines):
    s = one(splines, "bond_A-A")
    x = np.linspace(s.knots[0] - 0.02, s.knots[-1] + 0.02, 200)
    inner = x[(x > s.knots[0]) & (x < s.knots[-1])]
    target = 0.5 * 1e4 * ((inner - 0.15) ** 2 - (s.knots[0] - 0.15) ** 2)
    spring = s.free @ np.linalg.lstsq(s.basis(inner) @ s.free, target, rcond=None)[0]
    slope = jax.jit(jax.vmap(jax.grad(s.energy, argnums=1), (None, 0)))
    assert_allclose(slope(spring, x), 1e4 * (x - 0.15), atol=1e-6)
    below, above = x < s.knots[0], x > s.knots[-1]
    upside_down = slope(-spring, x)  # a line would push ever further out: level instead
    assert_allclose(upside_down[below], -1e4 * (s.knots[0] - 0.15), rtol=1e-9)
    assert_allclose(upside_down[above], -1e4 * (s.knots[-1] - 0.15), rtol=1e-9)


def test_an_interval_without_samples_is_reported_and_bridged_by_a_line(hexane, tmp_path):
    bonds = tuple(t for t in terms(hexane) if t.name == "bond_A-A")
    gap = replace(CONFIG, bond_step_nm=0.002, min_samples=5)
    few = liquid(hexane, 400, BOX, seed=5)
    lengths = np.asarray(geometry.distances(few.position, bonds[0].members, few.box))
    keep = np.flatnonzero(~((lengths > 0.156) & (lengths < 0.158)).any(axis=1))
    assert len(keep) > 20
    with pytest.warns(EmptyKnotsWarning, match="bond_A-A: no samples from 0.156 to 0.158"):
        (s,) = for_frames(bonds, few[keep], gap)
    assert_allclose(s.empty, [[0.156, 0.158]])
    x = np.linspace(0.156, 0.158, 5)
    a = drawn([s])["bond_A-A"]
    assert_allclose(np.diff(s.basis(x, 1) @ a, 2), 0, atol=1e-9 * np.abs(s.basis(s.knots, 1) @ a).max())
    forced = replace(few[keep], force=predict((s,), {"bond_A-A": a}, few[keep]))
    result = fit((s,), split(forced, len(keep) - 3), tmp_path, blocks=4)
    assert_allclose(result.params["bond_A-A"], a, rtol=0, atol=1e-6 * np.abs(a).max())


def test_ranges_come_from_the_data_or_are_given(hexane, frames):
    config = replace(CONFIG, min_samples=20)
    s = one(for_frames(terms(hexane), frames, config), "bond_A-A")
    lengths = np.asarray(geometry.distances(frames.position, s.term.members, frames.box)).ravel()
    edges = np.arange(0.10, 0.20001, 0.01)
    counts = np.histogram(lengths, edges)[0]
    kept = np.flatnonzero(counts >= 20)
    assert_allclose(s.knots, edges[kept[0] : kept[-1] + 2], atol=1e-12)
    assert_array_equal(s.counts, counts[kept[0] : kept[-1] + 1])
    assert s.outside == lengths.size - s.counts.sum()
    with pytest.warns(EmptyKnotsWarning, match=r"bond_A-A: no samples from 0.1 to 0.11, 0.11 to 0.12"):
        wide = one(for_frames(terms(hexane), frames, CONFIG, {"bond_A-A": (0.10, 0.17)}), "bond_A-A")
    assert_allclose(wide.knots[[0, -1]], [0.10, 0.17])
    with pytest.raises(SplineError, match=r"ranges: no term \['bond_AA'\]; there are \['bond_A-A'"):
        for_frames(terms(hexane), frames, CONFIG, {"bond_AA": (0.1, 0.2)})


def test_what_cannot_be_fitted_is_refused(hexane, frames, splines, exact, tmp_path):
    made = terms(hexane)
    with pytest.raises(SplineError, match="6 molecules, but no box"):
        for_frames(made, replace(frames, box=np.full(3, np.inf)), CONFIG)
    with pytest.raises(SplineError, match="at most half the box, 0.900 nm, got 0.95 nm"):
        for_frames(made, frames, replace(CONFIG, cutoff_nm=0.95))
    with pytest.raises(SplineError, match="want frames of the beads that the terms are for, at least 24, got 8"):
        for_frames(made, replace(frames, position=frames.position[:, :8], names=frames.names[:8]), CONFIG)
    with pytest.raises(SplineError, match="bond_A-A: want samples in at least two knot intervals"):
        for_frames(made, frames, replace(CONFIG, bond_step_nm=0.2))
    with pytest.raises(DataError, match="training frames have no forces"):
        fit(splines, split(frames, 30), tmp_path)
    with pytest.raises(DataError, match="held-out frames have no forces"):
        fit(splines, Split(exact[:30], 0, frames[30:], (1,)), tmp_path)
    with pytest.raises(DataError, match="want 2 to 30 blocks of 30 frames, got 31"):
        fit(splines, split(exact, 30), tmp_path, blocks=31)
    twice = (*splines, replace(splines[0], term=splines[0].term._replace(name="again")))
    with pytest.raises(SplineError, match="the forces do not determine all coefficients"):
        fit(twice, split(exact, 30), tmp_path)


def test_settings_that_make_no_knots():
    with pytest.raises(ConfigError, match="at least four knots, got 0.05 nm in steps of 0.02 nm"):
        SplineConfig(cutoff_nm=0.05)
    with pytest.raises(ConfigError, match="bond_step_nm: want at least 0.0001"):
        SplineConfig(bond_step_nm=0.0)


def test_chunks_of_frames_change_nothing(splines, exact, monkeypatch):
    whole = normal_equations(splines, exact[:7])
    monkeypatch.setattr("cgcore.potentials.terms.CHUNK", 3 * sum(len(s.term.members) for s in splines))
    assert_allclose(normal_equations(splines, exact[:7]), whole, rtol=1e-9, atol=1e-9 * np.abs(whole).max())


def test_single_precision_and_sums(splines, truth, frames, evaluate):
    """float32 in, float32 out; and `add` takes splines as any other potential."""
    potential = build(splines)
    both = jax.jit(
        jax.value_and_grad(add(potential, potential).energy, argnums=1),
        compiler_options={"xla_backend_optimization_level": 0},
    )
    x, box, low = frames.position[0], np.full(3, BOX), jax.tree.map(np.float32, truth)
    wanted = evaluate(truth, x[None])[1][0]
    energy, gradient = both((low, low), x.astype(np.float32), box.astype(np.float32))
    assert energy.dtype == gradient.dtype == np.float32
    assert_allclose(gradient, -2 * wanted, rtol=0, atol=4e-4 * np.abs(wanted).max())
    none = potential.init(jax.random.key(0))
    assert evaluate(none, x[None])[0] == 0


def test_dihedrals_of_pi_in_single_precision_are_counted(hexane):
    """np.float32(pi) is more than pi: 400 of 4000 planar dihedrals fell out beyond the last edge."""
    frames = liquid(hexane, 4, BOX)
    term = next(t for t in terms(hexane) if t.kind == "dihedral")
    with pytest.MonkeyPatch.context() as patch:
        values = np.random.default_rng(0).uniform(-3, 3, 4000).astype(np.float32)
        values[:400] = np.pi
        patch.setattr("cgcore.potentials.splines.samples", lambda term, frames: iter([values.astype(float)]))
        (s,) = for_frames((term,), frames, CONFIG)
    assert s.outside == 0 and s.counts.sum() == 4000


@pytest.mark.parametrize(
    "name, end, slope",
    [("bond_A-A", -1, -50.0), ("bond_A-A", 0, 50.0), ("angle_A-A-A", -1, -50.0), ("angle_A-A-A", 0, 50.0)],
)
def test_terms_that_nothing_holds_at_an_end_are_refused(splines, name, end, slope):
    """Of a force that has the same sign at both ends, one lets the coordinate run away."""
    s = one(splines, name)
    x = s.table_points()
    line = s.free @ np.linalg.lstsq(s.basis(x) @ s.free, slope * (x - x[0]), rcond=None)[0]
    with pytest.raises(SplineError, match=f"{name}: the fitted force pushes outwards at {s.knots[end]:.4g}, an end of"):
        check_ends((s,), {name: line})
    well = s.free @ np.linalg.lstsq(s.basis(x) @ s.free, 1e3 * (x - x[0]) * (x - x[-1]), rcond=None)[0]
    check_ends((s,), {name: well})


def test_a_straight_angle_turns_back_of_itself(splines):
    s = one(splines, "angle_A-A-A")
    s = replace(s, first=np.pi + 1e-3 - s.step * len(s.counts))
    x = s.table_points()
    slide = s.free @ np.linalg.lstsq(s.basis(x) @ s.free, -50.0 * (x - x[0]), rcond=None)[0]
    check_ends((s,), {s.term.name: slide})
    with pytest.raises(SplineError, match="pushes outwards"):
        check_ends((s,), {s.term.name: -slide})
