"""Force matching of springs, whose best parameters linear least squares gives, and what interrupts it."""

from dataclasses import asdict, replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgcore import train
from cgcore.analysis.force_errors import HeldOut, by_frame
from cgcore.compat import chemtrain_learn
from cgcore.config import TrainConfig
from cgcore.data import DataError, Split, frames_hash
from cgcore.frames import Frames, Status
from cgcore.geometry import distances
from cgcore.potentials.base import Potential, force
from cgcore.train import TrainingError, fit, learning_curve, predict
from cgcore.trainer import few_frames_at_once, optimizer

PAIRS = np.array([[0, 1], [1, 2], [0, 2]])
TRUTH = [-2.0, -1.5, 0.5, 1.0, 0.8, -0.3]
N_TRAIN, N_VALID = 64, 21  # the held-out frames do not fill batches


def energy(params, position, box):
    """sum over pairs of c1 r + c2 (r - 1)^2: linear in the parameters."""
    r = distances(position, PAIRS, box)
    return jnp.sum(params["linear"] * r + params["square"] * (r - 1) ** 2)


SPRINGS = Potential(
    lambda key: dict(zip(("linear", "square"), jax.random.normal(key, (2, 3)), strict=True)),
    energy,
)


def designs(position: np.ndarray) -> np.ndarray:
    """(T N 3, 6): forces of unit parameters."""
    columns = []
    for power in (1, 2):
        for i, j in PAIRS:
            d = position[:, i] - position[:, j]
            r = np.linalg.norm(d, axis=-1, keepdims=True)
            f = np.zeros_like(position)
            pull = d / r if power == 1 else 2 * (r - 1) * d / r
            f[:, i], f[:, j] = -pull, pull
            columns.append(f.ravel())
    return np.stack(columns, axis=1)


def frames(n: int, seed: int, noise: float = 0.1) -> Frames:
    random = np.random.default_rng(seed)
    position = np.array([[0.0, 0, 0], [1.0, 0, 0], [0.3, 1.2, 0]]) + 0.3 * random.normal(size=(n, 3, 3))
    force = (designs(position) @ TRUTH).reshape(n, 3, 3)
    force = force + noise * random.normal(size=force.shape)
    return Frames(position=position, force=force, box=np.full(3, np.inf), time=np.arange(n) * 1.0, names=tuple("ABC"))


@pytest.fixture(scope="module")
def split() -> Split:
    return Split(frames(N_TRAIN, 1), 0, frames(N_VALID, 2), (0,))


def config(**values) -> TrainConfig:
    return TrainConfig(**{"epochs": 4, "batch_size": 16, "learning_rate": 0.02, "seed": 3} | values)


def new_run(folder):
    return folder


def same(a, b):
    """Equal to the last bit."""
    assert_array_equal(a.train_loss, b.train_loss)
    assert_array_equal(a.valid_loss, b.valid_loss)
    jax.tree.map(assert_array_equal, a.params, b.params)


@pytest.fixture(scope="module")
def unbroken(split, tmp_path_factory):
    return fit(SPRINGS, split, config(), tmp_path_factory.mktemp("unbroken"), progress=False)


def chi2(params, part: Frames) -> float:
    return float(np.mean((predict(SPRINGS, params, part) - part.force) ** 2))


def test_force_matching_of_a_linear_model_is_least_squares(split, tmp_path):
    """64 noisy frames, many times over, at a rate that falls to nothing: the parameters are those of the 64 frames.

    They are far nearer to least squares than the parameters behind the noise are.
    """
    few = frames(64, 5, noise=0.5)
    settings = config(epochs=10, batch_size=64, learning_rate=0.05, learning_rate_decay=1e-3, weight_decay=0.0, b2=0.99)
    many = split._replace(train=few[np.tile(np.arange(64), 150)])
    result = fit(SPRINGS, many, settings, tmp_path, progress=False)
    design = designs(few.position)
    best, *_ = np.linalg.lstsq(design, few.force.ravel(), rcond=None)
    found = np.concatenate([result.params["linear"], result.params["square"]])
    assert np.abs(found - best).max() < 0.1 * np.abs(best - TRUTH).max()
    assert result.train_loss[-1] == pytest.approx(chi2(result.params, few), rel=1e-3)


def test_losses_are_mean_squares_of_all_frames(split, tmp_path):
    """At a rate of nearly zero both losses are those of the drawn parameters; held out are no whole batches."""
    result = fit(SPRINGS, split, config(epochs=1, learning_rate=1e-30), tmp_path, progress=False)
    drawn = SPRINGS.init(jax.random.key(3))
    assert_allclose(result.train_loss, chi2(drawn, split.train), rtol=1e-10)
    assert_allclose(result.valid_loss, chi2(drawn, split.valid), rtol=1e-10)


def test_history_table_and_errors(unbroken, split):
    assert len(unbroken.train_loss) == len(unbroken.valid_loss) == len(unbroken.epoch_s) == 4
    assert unbroken.updates_per_epoch == N_TRAIN // 16
    assert_allclose(
        unbroken.errors,
        HeldOut(held_out=by_frame(predict(SPRINGS, unbroken.params, split.valid), split.valid)).errors,
        rtol=1e-12,
    )
    table = unbroken.table()
    assert (table["epochs"], table["updates"]) == (4, 16)
    assert table["force_rmse_meV_per_A"] == pytest.approx(np.sqrt(unbroken.valid_loss.min()) / 0.964853, rel=1e-9)
    assert table["wall_s"] == pytest.approx(unbroken.epoch_s.sum())
    assert unbroken.train_loss[-1] < unbroken.train_loss[0]


@pytest.mark.parametrize("saved", [True, False], ids=["after saving", "before saving"])
def test_a_killed_run_goes_on_as_if_unbroken(split, unbroken, tmp_path, monkeypatch, saved):
    run, save, calls = tmp_path, train._save, []

    def killed(*args):
        calls.append(1)
        if len(calls) == 2 and not saved:
            raise KeyboardInterrupt
        save(*args)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train, "_save", killed)
        fit(SPRINGS, split, config(), run, progress=False)
    epochs = []
    monkeypatch.setattr(train, "_save", lambda *args: epochs.append(1) or save(*args))
    same(fit(SPRINGS, split, config(), run, progress=False), unbroken)
    assert len(epochs) == (2 if saved else 3)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_run_killed_inside_an_epoch_goes_on_as_if_unbroken(split, unbroken, tmp_path, monkeypatch, batch):
    """Kept after every update; ended after the first or the third of four in the second epoch, then again in the third."""
    run, save = tmp_path, train._save
    for epoch in (1, 2):

        def killed(run, state, epoch=epoch):
            save(run, state)
            if (len(state["losses"]), len(state["batch_losses"])) == (epoch, batch):
                raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(train, "_save", killed)
            fit(SPRINGS, split, config(), run, checkpoint_minutes=0.0, progress=False)
    compile_updates, updates = train.compile_updates, []

    def counted(*args):
        compiled = compile_updates(*args)
        return compiled._replace(update=lambda *batch: updates.append(1) or compiled.update(*batch))

    monkeypatch.setattr(train, "compile_updates", counted)
    result = fit(SPRINGS, split, config(), run, progress=False)
    same(result, unbroken)
    assert len(updates) == 8 - batch
    assert result.wall_s > 0 and (np.diff(np.cumsum(result.epoch_s)) > 0).all()


def test_a_seed_gives_one_history_and_another_seed_another(split, unbroken, tmp_path, monkeypatch):
    run = tmp_path / "same"
    again = fit(SPRINGS, split, config(), run, progress=False)
    same(again, unbroken)
    other = fit(SPRINGS, split, config(seed=4), tmp_path / "other", progress=False)
    assert np.abs(other.valid_loss - unbroken.valid_loss).max() > 1e-3
    monkeypatch.setattr(train, "compile_updates", None)  # a finished run is only read
    same(fit(SPRINGS, split, config(), run, progress=False), unbroken)


def test_time_and_memory_are_in_the_table(unbroken):
    table = unbroken.table()
    assert table["s_per_epoch"] == pytest.approx(np.median(unbroken.epoch_s))
    assert 0.05 < table["memory_GB"] < 64
    assert "device_memory_GB" not in table  # a CPU's memory is the process's


def test_errors_of_held_out_frames_have_error_bars(unbroken, split):
    """Noise of 0.1 in 189 held-out components: its scatter over blocks is near that of independent numbers."""
    expected = unbroken.rmse.value / np.sqrt(2 * 21 * 9)
    assert 0.3 * expected < unbroken.rmse.error < 3 * expected
    assert unbroken.loss.value == pytest.approx(unbroken.valid_loss.min(), rel=1e-9)
    assert unbroken.table()["force_mae_meV_per_A_error"] == unbroken.mae.error


def test_more_frames_learn_better_with_as_many_updates(split, tmp_path, monkeypatch):
    settings = config(epochs=30, learning_rate=0.05, learning_rate_decay=1e-2)
    noisy = split._replace(train=frames(N_TRAIN, 5, noise=1.0))
    curve = learning_curve(SPRINGS, noisy, settings, tmp_path, frames=(1, 8, None), progress=False)
    assert list(curve) == [1, 8, N_TRAIN]
    assert len({f.table()["updates"] for f in curve.values()}) == 1
    losses = [f.loss.value for f in curve.values()]
    assert losses[0] > 2 * losses[1] and losses[1] > losses[2]
    monkeypatch.setattr(train, "compile_updates", None)  # finished fits are only read
    again = learning_curve(SPRINGS, noisy, settings, tmp_path, frames=(1, 8, None), progress=False)
    assert [f.loss.value for f in again.values()] == losses


def test_the_best_epoch_is_kept(split, tmp_path):
    """A rate that grows 10^5-fold: the loss falls, then rises."""
    settings = config(epochs=10, learning_rate=1e-3, learning_rate_decay=1e5)
    result = fit(SPRINGS, split, settings, tmp_path, progress=False)
    assert 0 < result.best_epoch < 9
    assert result.best_epoch == np.argmin(result.valid_loss)
    assert result.table()["best_epoch"] == result.best_epoch + 1
    assert chi2(result.params, split.valid) == pytest.approx(result.valid_loss.min(), rel=1e-10)
    assert result.valid_loss[-1] > 2 * result.valid_loss.min()


@pytest.mark.parametrize("part", ["train", "valid"])
def test_frames_without_forces_are_refused(split, tmp_path, part):
    whole = getattr(split, part)
    bare = Frames(position=whole.position, force=None, box=whole.box, time=whole.time, names=whole.names)
    words = {"train": "training", "valid": "held-out"}[part]
    with pytest.raises(DataError, match=f"the {words} frames have no forces"):
        fit(SPRINGS, split._replace(**{part: bare}), config(), tmp_path)


def test_fewer_frames_than_a_batch_are_refused(split, tmp_path):
    with pytest.raises(DataError, match="64 training frames do not fill one batch of 65"):
        fit(SPRINGS, split, config(batch_size=65), tmp_path)


def test_a_loss_that_is_not_finite_stops_the_training(split, tmp_path):
    """exp of a parameter that a step of 10^4 has carried away."""
    steep = SPRINGS._replace(energy=lambda params, *args: energy(jax.tree.map(jnp.exp, params), *args))
    with (
        jax.debug_nans(False),
        pytest.raises(
            TrainingError, match=r"in epoch 1, batch \d of 4 \(loss nan\); no epoch .* smaller learning rate than 10000"
        ),
    ):
        fit(steep, split, config(learning_rate=1e4), tmp_path, progress=False)


def test_the_checkpoint_stays_when_a_later_loss_is_not_finite(split, tmp_path):
    """A rate that grows 10^35-fold in a potential that ends at exp: the last good epoch can be read back."""
    steep = SPRINGS._replace(energy=lambda params, *args: energy(jax.tree.map(jnp.exp, params), *args))
    settings = config(epochs=4, learning_rate=1e-20, learning_rate_decay=1e35)
    with (
        jax.debug_nans(False),
        pytest.raises(TrainingError, match=r"in epoch [234], batch .* holds the parameters of epoch [123]"),
    ):
        fit(steep, split, settings, tmp_path, progress=False)
    (checkpoint,) = tmp_path.glob(f"fit/*/{train.CHECKPOINT}")
    assert np.isfinite(train.load_tree(checkpoint)["losses"]).all()
    assert not (checkpoint.parent / "manifest.json").exists()


def test_a_checkpoint_of_another_model_is_refused(split, unbroken, tmp_path):
    run = tmp_path
    fit(SPRINGS, split, config(), run, progress=False)
    other = SPRINGS._replace(init=lambda key: {"linear": jnp.ones(4), "cubic": jnp.ones(3)})
    with pytest.raises(
        TrainingError, match=r"another model: .*\['cubic'\]\", \(3,\), None\).* \(parameter, wanted, found\)"
    ):
        fit(other, split, config(), run, progress=False)


@pytest.mark.parametrize("periodic", [True, False])
def test_a_liquid_is_in_its_box_and_a_molecule_is_not(split, unbroken, tmp_path, periodic):
    """Frames whose beads were put back into a box: only nearest images give the springs of the whole molecules."""
    side = 8.0
    wrapped = [
        Frames(
            position=np.mod(part.position + 7.2, side),
            force=part.force,
            box=np.full(3, side),
            time=part.time,
            names=part.names,
        )
        for part in (split.train, split.valid)
    ]
    boxed = split._replace(train=wrapped[0], valid=wrapped[1])
    result = fit(SPRINGS._replace(periodic=periodic), boxed, config(), tmp_path, progress=False)
    if periodic:
        assert_allclose(result.valid_loss, unbroken.valid_loss, rtol=1e-9)
        assert_allclose(result.errors, unbroken.errors, rtol=1e-9)
    else:
        assert np.abs(result.valid_loss / unbroken.valid_loss - 1).min() > 0.01


@pytest.mark.parametrize("most", [1, 2, 5, 8])
def test_frames_in_turn_give_the_same_gradient(split, most):
    """Of the mean square force error by the parameters; by the positions, which are data, it is zero."""

    def loss(params, position, forces):
        return jnp.mean((jax.vmap(lambda x: forces(params, x))(position) - split.train.force[:5]) ** 2)

    def forces(params, position):
        return force(SPRINGS, params, position, split.train.box)

    params, position = SPRINGS.init(jax.random.key(0)), jnp.asarray(split.train.position[:5])
    in_turn = few_frames_at_once(forces, most)
    got = jax.jit(jax.value_and_grad(lambda p: loss(p, position, in_turn)))(params)
    jax.tree.map(
        lambda a, b: assert_allclose(a, b, rtol=1e-12), got, jax.value_and_grad(loss)(params, position, forces)
    )
    assert_array_equal(jax.grad(loss, argnums=1)(params, position, in_turn), 0)


def test_frames_without_an_energy_are_refused_beforehand(split, tmp_path):
    """Rows too narrow for frame 7 are found before the first update."""

    def check(position, box):
        return jnp.where(position[0, 0] == split.valid.position[7, 0, 0], Status.NEIGHBOURS_FULL, Status.OK)

    narrow = SPRINGS._replace(check=check)
    with pytest.raises(
        DataError, match="1 of 21 held-out frames have no energy, the first is number 7: NEIGHBOURS_FULL"
    ):
        fit(narrow, split, config(), tmp_path, progress=False)


def test_the_rate_falls_to_nine_tenths_over_the_run():
    """Without gradients an update is -lr * decay * parameter, which shows the rate (single precision)."""
    settings = config(learning_rate=1e-2, weight_decay=1e-3)
    tx = optimizer(settings, 10)
    params = {"a": jnp.array([2.0, -3.0])}
    state, sizes = tx.init(params), []
    for _ in range(11):
        update, state = tx.update({"a": jnp.zeros(2)}, state, params)
        sizes.append(update["a"])
    assert_allclose(sizes[0], -1e-2 * 1e-3 * np.array([2.0, -3.0]), rtol=1e-6)
    assert_allclose(sizes[10], 0.9 * sizes[0], rtol=1e-6)
    assert_allclose(sizes[5], np.sqrt(0.9) * sizes[0], rtol=1e-6)


def test_weight_decay_is_decoupled_from_the_gradient():
    """Adam's first step is the same with and without decay; the decay is added after it."""
    params, gradient = {"a": jnp.array([2.0, -3.0])}, {"a": jnp.array([5.0, 1e-3])}

    def step(weight_decay):
        tx = optimizer(config(learning_rate=1e-2, weight_decay=weight_decay), 10)
        update, _ = tx.update(gradient, tx.init(params), params)
        return optax.apply_updates(params, update)["a"]

    assert_allclose(step(0.1) - step(0.0), -1e-2 * 0.1 * params["a"], rtol=1e-6)
    assert_allclose(np.sign(step(0.0) - params["a"]), [-1, -1])


def test_other_data_in_the_same_folder_is_another_run(split, unbroken, tmp_path):
    """Mirrored frames, scaled forces, one number of one frame: none is read back as the run before it."""
    other_forces = np.array(split.train.force)
    other_forces[3, 1, 2] += 1e-9
    mirrored = replace(split.train, position=-split.train.position, force=-split.train.force)
    scaled = replace(split.train, force=2 * split.train.force)
    parts = [split.train, mirrored, scaled, replace(split.train, force=other_forces)]
    runs = [fit(SPRINGS, split._replace(train=part), config(), tmp_path, progress=False) for part in parts]
    assert len({r.run.id for r in runs}) == 4
    same(runs[0], unbroken)
    assert fit(SPRINGS, split._replace(valid=scaled), config(), tmp_path, progress=False).run.id != runs[0].run.id


def test_the_manifest_says_what_was_trained(unbroken, split):
    made = unbroken.run.manifest
    assert made["config"]["train"] == asdict(config())
    assert made["data"]["train"] == frames_hash(split.train) and made["kernels"].keys() == {"geometry", "train"}
    assert made["results"]["force_mae_meV_per_A"] == unbroken.errors.mae


def test_loss_and_step_are_those_of_chemtrains_trainer(split):
    """One update by its own single-device function, which closes over nothing there."""
    force_matching, max_likelihood = chemtrain_learn()
    tx, params = optimizer(config(), 10), SPRINGS.init(jax.random.key(0))
    box, part = split.train.box, split.train[:16]

    def batched(params, batch):
        return {"F": jax.vmap(lambda x: force(SPRINGS, params, x, box))(batch["R"])}

    loss_fn = force_matching.init_loss_fn(gammas={"F": 1.0})
    theirs = max_likelihood.shmap_update_fn(batched, loss_fn, tx)
    batch = {"R": jnp.asarray(part.position), "F": jnp.asarray(part.force)}
    wanted = theirs(params, tx.init(params), batch)
    ours = train.compile_updates(SPRINGS, part, tx).update(
        params, tx.init(params), batch["R"], batch["F"], jnp.ones((16, 1, 1))
    )
    jax.tree.map(lambda a, b: assert_allclose(a, b, rtol=1e-12), ours, tuple(wanted[:3]))
