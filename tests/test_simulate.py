"""Langevin dynamics of springs against their Boltzmann averages; resuming; what becomes of replicas that fail."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax_md import simulate as jax_md_simulate
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from cgcore import simulate
from cgcore.analysis.blocks import block_mean
from cgcore.analysis.stability import energy_drift
from cgcore.config import ConfigError, MDConfig
from cgcore.frames import Status
from cgcore.geometry import distances
from cgcore.potentials.base import Potential
from cgcore.simulate import Molecule, SimulationError, run
from cgcore.simulate.cost import Cost
from cgcore.simulate.dynamics import State, step
from cgcore.store import load_tree
from cgcore.units import kT

BONDS = np.array([[0, 1], [1, 2]])
R0, K = 0.15, 1000.0
MASS = np.array([2.0, 15.0, 40.0])
CHAIN = Molecule(names=tuple("ABC"), mass=MASS, bonds=BONDS, bond_length=np.full(2, R0))
SPRINGS = Potential(lambda key: jnp.array(K), lambda k, x, box: 0.5 * k * jnp.sum((distances(x, BONDS, box) - R0) ** 2))
START = R0 * np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0]])


def starts(n: int) -> np.ndarray:
    return np.repeat(START[None], n, axis=0)


def config(**values) -> MDConfig:
    few = {
        "replicas": 3,
        "n_frames": 10,
        "steps_per_frame": 5,
        "dt_ps": 0.002,
        "friction_per_ps": 10.0,
        "bond_tolerance_nm": 1.0,
    }
    return MDConfig(**few | values)


def short(folder, x=None, **values):
    settings = config(**values)
    x = starts(settings.replicas) if x is None else x
    return run(SPRINGS, jnp.array(K), CHAIN, x, settings, folder, progress=False)[:2]


def state_of(root):
    (path,) = root.glob("md/*/state.npz")
    return path


def same(a, b):
    for name in ("position", "energy", "kinetic", "status", "first_bad", "time"):
        assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return short(tmp_path_factory.mktemp("unbroken"))


def test_springs_obey_boltzmann(tmp_path):
    """<K> = 3/2 N kT and <(r - r0)^2> of p(r) ~ r^2 exp(-k (r - r0)^2 / 2 kT), each within four standard errors."""
    ensemble, table = short(tmp_path, replicas=32, n_frames=800, steps_per_frame=25)
    thermal = kT(300.0)
    kinetic = block_mean(ensemble.kinetic[:, 100:])
    assert abs(kinetic.value - 4.5 * thermal) < 4 * kinetic.error < 0.1 * thermal
    assert table["temperature_K"] == pytest.approx(2 * ensemble.kinetic.mean() / 9 / kT(1.0))
    r = np.linspace(1e-6, R0 + 10 * np.sqrt(thermal / K), 20001)
    weight = r**2 * np.exp(-K * (r - R0) ** 2 / (2 * thermal))
    wanted = (weight * (r - R0) ** 2).sum() / weight.sum()
    length = np.asarray(distances(ensemble.position[:, 100:], BONDS, np.full(3, np.inf)), dtype=float)
    for bond in range(2):
        got = block_mean((length[..., bond] - R0) ** 2)
        assert abs(got.value - wanted) < 4 * got.error < 0.1 * wanted
    stretch = ((length - R0) ** 2).sum(-1)
    assert_allclose(ensemble.energy[:, 100:], 0.5 * K * stretch, rtol=1e-3, atol=1e-4)


def test_momenta_are_maxwell_distributed(tmp_path):
    """After ten times 1 / friction, of every bead whatever its mass: p^2 / 2 m has 3/2 kT and p / sqrt(m kT) is normal."""
    n = 2000
    short(tmp_path, replicas=n, n_frames=2, steps_per_frame=250)
    momentum = load_tree(state_of(tmp_path))["state"]["momentum"]
    scaled = momentum / np.sqrt(MASS[:, None] * kT(300.0))
    per_bead = (scaled**2).sum(-1)
    error = np.sqrt(6 / n)  # chi^2 of 3 degrees of freedom: mean 3, variance 6
    assert (np.abs(per_bead.mean(0) - 3) < 4 * error + 0.005).all()
    assert stats.kstest(scaled.ravel(), "norm").pvalue > 1e-3
    assert stats.kstest(per_bead[:, 0], stats.chi2(3).cdf).pvalue > 1e-3
    correlation = np.corrcoef(scaled.reshape(n, -1).T)
    assert np.abs(correlation - np.eye(9)).max() < 5 / np.sqrt(n)


def test_an_oscillator_is_sampled_exactly(tmp_path):
    """<x^2> = kT / k at a step as long as w dt = 1.4: BAOAB has no error in the positions of a harmonic oscillator."""
    k, one = (
        1000.0,
        replace(CHAIN, names=("A",), mass=np.array([2.0]), bonds=np.array([[0, 0]]), bond_length=np.zeros(1)),
    )
    bowl = Potential(lambda key: None, lambda k, x, box: 0.5 * k * jnp.sum(x**2))
    settings = config(replicas=64, n_frames=300, steps_per_frame=20, dt_ps=1.4 * np.sqrt(2.0 / k), friction_per_ps=5.0)
    ensemble, _, *_ = run(bowl, jnp.array(k), one, np.zeros((64, 1, 3)), settings, tmp_path, progress=False)
    got = block_mean((np.asarray(ensemble.position, float)[:, 20:] ** 2).mean((2, 3)))
    assert abs(got.value - kT(300.0) / k) < 4 * got.error < 0.05 * kT(300.0) / k


def test_a_step_is_that_of_jax_md():
    """Without noise: ten steps of damped motion by either."""
    settings = config(temperature_K=1e-30, friction_per_ps=100.0)
    mass, box = jnp.asarray(MASS), jnp.full(3, jnp.inf)
    x, p = jnp.asarray(1.3 * START), jnp.asarray(np.random.default_rng(0).normal(size=(3, 3)))
    energy_and_slope = jax.value_and_grad(lambda x: SPRINGS.energy(K, x, box))

    def evaluate(x):
        energy, slope = energy_and_slope(x)
        return energy, -slope, None

    init, apply = jax_md_simulate.nvt_langevin(
        lambda x, **_: SPRINGS.energy(K, x, box), lambda x, dx, **_: x + dx, settings.dt_ps, 1e-30, 100.0
    )
    theirs = init(jax.random.key(0), x, mass=mass, momenta=p)
    energy, force, _ = evaluate(x)
    ours = State(x, p, force, energy)
    for _ in range(10):
        theirs = apply(theirs)
        ours, _ = step(ours, jnp.zeros((3, 3)), evaluate, mass, settings.dt_ps, settings)
    assert_allclose(ours.position, theirs.position, rtol=1e-11)
    assert_allclose(ours.momentum, theirs.momentum, rtol=1e-9, atol=1e-12)
    assert np.abs(ours.position - x).max() > 0.001


def test_energy_is_constant_without_a_thermostat(tmp_path):
    """Total energy stays within 1e-3 kT, drifts nowhere, and falls as dt^2; the molecule does not fly away."""
    spread = {}
    for dt in (0.0005, 0.001):
        settings = config(ensemble="nve", dt_ps=dt, n_frames=40, steps_per_frame=round(0.02 / dt), replicas=4)
        ensemble, table, *_ = run(SPRINGS, jnp.array(K), CHAIN, starts(4), settings, tmp_path / str(dt), progress=False)
        total = np.asarray(ensemble.energy, float) + ensemble.kinetic
        spread[dt] = total.std(1).mean()
        assert table["energy_drift_kJ_mol_ns"] < 1e3 * 0.02 * kT(300.0)
        momentum = load_tree(state_of(tmp_path / str(dt)))["state"]["momentum"]
        assert np.abs(momentum.sum(1)).max() < 1e-10
    assert spread[0.0005] < spread[0.001] / 2.5 < 0.01 * kT(300.0)
    assert np.isnan(energy_drift(total, ensemble.time, np.zeros_like(total, bool)))


def test_an_unknown_ensemble_is_refused():
    with pytest.raises(ConfigError, match=r"MDConfig.ensemble: want one of \['nve', 'nvt'\], got 'npt'"):
        config(ensemble="npt")


@pytest.mark.parametrize("every_s", [0.0, 1e9], ids=["saved", "never saved"])
def test_an_interrupted_run_goes_on_as_if_unbroken(unbroken, tmp_path, monkeypatch, every_s):
    """Stopped while frame 7 is written, with a state after frame 6 or none at all."""
    write = simulate.record.Record.write

    def interrupted(record, number, *what):
        if number == 7:
            raise KeyboardInterrupt
        write(record, number, *what)

    monkeypatch.setattr(simulate.driver, "CHECKPOINT_S", every_s)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(simulate.record.Record, "write", interrupted)
        short(tmp_path)
    written = []
    monkeypatch.setattr(simulate.record.Record, "write", lambda r, n, *what: written.append(n) or write(r, n, *what))
    ensemble, table = short(tmp_path)
    assert written[0] == (0 if every_s else 7)
    same(ensemble, unbroken[0])
    assert table["ns"] == unbroken[1]["ns"]


def test_a_finished_run_is_only_read(unbroken, tmp_path, monkeypatch):
    short(tmp_path)
    monkeypatch.delattr(simulate.engine, "_compiled")
    ensemble, table = short(tmp_path)
    same(ensemble, unbroken[0])
    assert table["n_frames"] == 30


def test_a_run_is_made_longer_and_read_back_shorter(unbroken, tmp_path, monkeypatch):
    """Ten frames, then fourteen of the same run, which are those of an unbroken run; then ten again, unchanged."""
    first, _ = short(tmp_path)
    write, written = simulate.record.Record.write, []
    monkeypatch.setattr(simulate.record.Record, "write", lambda r, n, *what: written.append(n) or write(r, n, *what))
    longer, table = short(tmp_path, n_frames=14)
    assert written == [10, 11, 12, 13] and table["n_frames"] == 3 * 14
    again, table = short(tmp_path)
    assert len(written) == 4 and table["n_frames"] == 3 * 10
    same(again, first)
    (folder,) = tmp_path.glob("md/*")
    assert load_tree(folder / "state.npz")["done"] == 14
    monkeypatch.setattr(simulate.record.Record, "write", write)
    same(short(tmp_path / "at once", n_frames=14)[0], longer)


def test_other_input_in_the_same_folder_is_another_run(unbroken, tmp_path):
    """Parameters, initial positions, masses, time step: none is read back as another."""
    moved = starts(3)
    moved[0, 0, 0] += 1e-9
    heavier = replace(CHAIN, mass=MASS * 2)
    runs = [
        run(SPRINGS, jnp.array(k), molecule, x, settings, tmp_path, progress=False).run
        for k, molecule, x, settings in (
            (K, CHAIN, starts(3), config()),
            (K + 1, CHAIN, starts(3), config()),
            (K, heavier, starts(3), config()),
            (K, CHAIN, moved, config()),
            (K, CHAIN, starts(3), config(dt_ps=0.0005)),
        )
    ]
    assert len({r.id for r in runs}) == 5
    assert runs[0].manifest["data"].keys() == {"params", "initial_positions", "molecule"}
    assert "n_frames" not in runs[0].manifest["config"]["md"], "a run made longer stays what it is"


def test_replicas_are_independent(unbroken, tmp_path):
    """From one start they part; another start of one does not touch the others, which repeat exactly; another seed changes all."""
    ensemble, _ = unbroken
    first = ensemble.position[:, 0]
    assert min(np.abs(first[i] - first[j]).max() for i, j in ((0, 1), (0, 2), (1, 2))) > 1e-4
    moved = starts(3)
    moved[0] *= 1.1
    other, _ = short(tmp_path / "moved", moved)
    assert_array_equal(other.position[1:], ensemble.position[1:])
    assert np.abs(other.position[0] - ensemble.position[0]).max() > 1e-4
    assert np.abs(short(tmp_path / "seed", seed=1)[0].position - ensemble.position).max() > 1e-4


def test_time_and_table(unbroken):
    ensemble, table = unbroken
    assert_allclose(ensemble.time, 0.01 * np.arange(1, 11))
    assert ensemble.position.shape == (3, 10, 3, 3)
    assert (table["n_frames"], table["n_frames_excluded"], table["n_replicas_failed"]) == (30, 0, 0)
    assert table["ns"] == pytest.approx(30 * 0.01 / 1000)
    assert table["ns_per_day_per_replica"] == pytest.approx(table["ns_per_day_aggregate"] / 3)
    assert table["ns_per_day_per_replica"] == pytest.approx(table["steps_per_s"] * 0.002 / 1000 * 86400)


def hilltop(k, x, box):
    """Springs that give way: beyond 0.3 nm of stretch the bond is torn apart ever faster."""
    stretch = distances(x, BONDS, box) - R0
    return jnp.sum(0.5 * k * stretch**2 - k * (stretch / 0.3) ** 8)


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    """Replica 0 stays, 1 begins stretched by 0.1 nm and relaxes slowly, 2 begins beyond the hilltop and explodes."""
    x = starts(3)
    x[1, 2, 1] += 0.1
    x[2, 2, 1] += 0.6
    settings = config(n_frames=9, temperature_K=1.0, bond_tolerance_nm=0.05, friction_per_ps=1000.0)
    folder = tmp_path_factory.mktemp("failing")
    with jax.debug_nans(False):
        result = run(Potential(lambda key: None, hilltop), jnp.array(K), CHAIN, x, settings, folder, progress=False)
    return *result[:2], settings


def test_failures_are_seen_for_what_they_are(failing):
    ensemble, _, settings = failing
    length = np.asarray(distances(ensemble.position[:2], BONDS, np.full(3, np.inf)))
    assert np.isfinite(ensemble.position[:2]).all() and not np.isfinite(ensemble.position[2]).all()
    assert np.abs(length[1, 0] - R0).max() > 0.05
    assert ensemble.status[0] == Status.OK
    assert ensemble.status[1] == Status.BOND_BROKEN
    assert ensemble.status[2] & Status.NONFINITE
    assert_array_equal(ensemble.first_bad, [settings.n_frames, 0, 0])
    assert_array_equal(ensemble.valid.sum(1), [9, 0, 0])


def test_frames_of_failed_replicas_are_counted_out(failing):
    ensemble, table, settings = failing
    assert (table["n_frames"], table["n_frames_excluded"], table["n_replicas_failed"]) == (9, 18, 2)
    assert table["n_nonfinite"] == 1
    assert table["n_bond_broken"] == np.count_nonzero(ensemble.status & Status.BOND_BROKEN)
    assert table["ns"] == pytest.approx(9 * settings.frame_ps / 1000)
    assert table["temperature_K"] == pytest.approx(2 * ensemble.kinetic[0].mean() / 9 / kT(1.0))
    nothing = replace(ensemble, first_bad=np.zeros(3, int))
    empty = simulate.table.table(nothing, settings, Cost(seconds=np.ones(2)))
    assert empty["ns"] == 0 and np.isnan(empty["temperature_K"])


def test_a_bond_breaks_at_the_tolerance(tmp_path):
    """Stretches of 0.049 and 0.051 nm that a spring without force keeps."""
    x = starts(2)
    x[:, 2, 1] += [0.049, 0.051]
    settings = config(replicas=2, n_frames=2, temperature_K=1e-9, bond_tolerance_nm=0.05)
    ensemble, _, *_ = run(SPRINGS, jnp.array(0.0), CHAIN, x, settings, tmp_path, progress=False)
    assert_array_equal(ensemble.status, [Status.OK, Status.BOND_BROKEN])
    assert_array_equal(ensemble.first_bad, [2, 0])


@pytest.mark.parametrize(
    ("x", "molecule", "message"),
    [
        (starts(2), CHAIN, r"initial_positions: want \(3, N, 3\), got \(2, 3, 3\)"),
        (START, CHAIN, r"initial_positions: want \(3, N, 3\), got \(3, 3\)"),
        (starts(3)[..., :2], CHAIN, r"initial_positions: want \(3, N, 3\), got \(3, 3, 2\)"),
        (starts(3)[:, :2], CHAIN, r"3 names, masses of shape \(3,\) and initial_positions of shape \(3, 2, 3\)"),
        (
            starts(3),
            replace(CHAIN, mass=MASS[:2]),
            r"3 names, masses of shape \(2,\) and initial_positions of shape \(3, 3, 3\)",
        ),
        (starts(3), replace(CHAIN, mass=MASS[:, None]), r"3 names, masses of shape \(3, 1\)"),
        (
            np.where(np.arange(3)[:, None, None] == 1, np.nan, starts(3)),
            CHAIN,
            "initial_positions: some positions are not finite",
        ),
        (
            np.where(np.arange(3)[:, None, None] == 1, np.inf, starts(3)),
            CHAIN,
            "initial_positions: some positions are not finite",
        ),
    ],
)
def test_starts_that_do_not_fit_are_refused(tmp_path, x, molecule, message):
    with pytest.raises(SimulationError, match=message):
        run(SPRINGS, jnp.array(K), molecule, x, config(), tmp_path)
