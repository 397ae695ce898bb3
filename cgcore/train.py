"""Force matching of a potential to mapped forces, by chemtrain's trainer with the study's optimiser.

Loss: chi^2 = < |f_I + grad_I U(R)|^2 / 3N > over frames and beads, kJ^2/mol^2/nm^2 (eq. 4 of the study).
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from cgcore.errors import CgcoreError

from .analysis import force_errors
from .config import TrainConfig
from .data import DataError, Split, thin
from .frames import Frames, Status
from .potentials.base import Potential, differing, force
from .store import Run, load_tree, save_tree
from .trainer import box_of, build_trainer, optimizer, peak_memory_GB, run_epoch

CHECKPOINT = "checkpoint.npz"
CHECKPOINT_MINUTES = 5.0
BEADS = 5_632
"""Of how many beads forces are predicted at once, and at most 256 frames."""


class TrainingError(CgcoreError, RuntimeError):
    """Training that cannot go on, with what happened and where it stopped."""


@dataclass(frozen=True, kw_only=True)
class Fit(force_errors.HeldOut):
    """What training leaves behind.

    params: those of the lowest held-out loss; train_loss, valid_loss: per epoch, kJ^2/mol^2/nm^2; epoch_s: of each epoch,
    sittings before a resumption and compilation included; memory_GB: most that the process, and its device if that has
    memory of its own (else NaN), held until the end.
    """

    params: dict
    train_loss: np.ndarray
    valid_loss: np.ndarray
    epoch_s: np.ndarray
    updates_per_epoch: int
    memory_GB: tuple[float, float]

    @property
    def best_epoch(self) -> int:
        return int(np.argmin(self.valid_loss))

    @property
    def wall_s(self) -> float:
        return float(np.sum(self.epoch_s))

    @property
    def updates_per_s(self) -> float:
        return float(self.updates_per_epoch / np.median(self.epoch_s))

    def table(self) -> dict:
        """The small numbers of a manifest."""
        numbers = super().table() | {
            "best_epoch": self.best_epoch + 1,
            "epochs": len(self.valid_loss),
            "updates": self.updates_per_epoch * len(self.valid_loss),
            "updates_per_s": self.updates_per_s,
            "s_per_epoch": float(np.median(self.epoch_s)),
            "memory_GB": self.memory_GB[0],
            "device_memory_GB": self.memory_GB[1],
            "wall_s": self.wall_s,
        }
        return {key: value for key, value in numbers.items() if np.isfinite(value)}


def fit(
    potential: Potential,
    split: Split,
    config: TrainConfig,
    run: Run,
    *,
    checkpoint_minutes: float = CHECKPOINT_MINUTES,
    progress: bool = True,
) -> Fit:
    """Train on split.train, keep the parameters of the lowest loss on split.valid.

    The state is kept in the run's folder after every epoch, and within one every `checkpoint_minutes`. Batches are drawn
    from a seed made of config.seed and the epoch: a killed run goes on where it stopped and gives the same history, to
    the last bit. A finished run is read back. A periodic potential sees the frames in their box, any other without one.
    Of several devices each takes an equal part of every batch.
    Raises DataError for frames without forces, fewer than a batch, a batch that the devices cannot share, or of which the
    potential cannot give the energy (neighbours that overflow); TrainingError for a checkpoint of another model and
    when the loss is not finite, where the checkpoint of the last finished epoch stays.
    """
    _check(potential, split, config)
    updates = split.train.n_frames // config.batch_size
    tx = optimizer(config, updates * config.epochs)
    state = _resume(run, potential, tx, config)
    if len(state["losses"]) < config.epochs:
        state = _train(potential, split, state, tx, config, run, checkpoint_minutes, progress)
    elif progress:
        tqdm.write(f"{run.folder}: done")
    params = jax.tree.map(jnp.asarray, state["best"])
    return Fit(
        params=params,
        train_loss=state["losses"][:, 0],
        valid_loss=state["losses"][:, 1],
        epoch_s=state["losses"][:, 2],
        updates_per_epoch=updates,
        held_out=force_errors.by_frame(predict(potential, params, split.valid), split.valid),
        memory_GB=tuple(state["memory_GB"].tolist()),
    )


def learning_curve(
    potential: Potential,
    split: Split,
    config: TrainConfig,
    run: Run,
    *,
    frames: Iterable[int | None] = (1, 10, 100, None),
    progress: bool = True,
) -> dict[int, Fit]:
    """Fits to so many of the training frames, evenly spread (None for all), by their number.

    Few frames are seen more often: the number of updates, the held-out frames and all settings are the same. Each fit
    has a folder in the run's and resumes like any other; what `fit` raises is raised.
    """
    found = {}
    for wanted in frames:
        few = thin(split.train, wanted)
        again = few[np.resize(np.arange(few.n_frames), split.train.n_frames)]
        own = replace(run, folder=run.path(f"frames_{few.n_frames}"))
        own.folder.mkdir(exist_ok=True)
        found[few.n_frames] = fit(potential, split._replace(train=again), config, own, progress=progress)
    return found


def predict(potential: Potential, params, frames: Frames) -> np.ndarray:
    """Forces (T, N, 3) kJ/mol/nm of a potential on frames, in batches."""
    box, position = box_of(potential, frames), np.asarray(frames.position)
    batch = max(1, min(256, BEADS // position.shape[1]))
    forces = jax.jit(jax.vmap(lambda x: force(potential, params, x, box)))
    return np.concatenate([forces(position[i : i + batch]) for i in range(0, len(position), batch)])


def _train(potential, split: Split, state: dict, tx, config: TrainConfig, run: Run, minutes: float, progress: bool):
    """Epochs from the state on; the state after the last one."""
    updates = split.train.n_frames // config.batch_size
    trainer = build_trainer(potential, split, state, tx, config, run.folder)
    done, begun = len(state["losses"]), len(state["batch_losses"])
    if done or begun:
        tqdm.write(f"{run.folder}: going on after epoch {done} of {config.epochs}, update {begun} of {updates}")
    saved = started = time.perf_counter()

    def after_batch(trainer, batch):
        nonlocal saved
        losses = trainer.train_batch_losses
        _check_loss(losses, updates)
        bar.update()
        in_epoch, now = len(losses) % updates, time.perf_counter()
        if in_epoch and now - saved > 60 * minutes:
            part = {"batch_losses": np.array(losses[-in_epoch:]), "spent_s": state["spent_s"] + now - started}
            _save(run, _after(trainer, state) | part)
            saved = time.perf_counter()

    trainer.add_task("post_batch", after_batch)
    with tqdm(
        total=config.epochs * updates,
        initial=done * updates + begun,
        unit="update",
        desc="train",
        disable=not progress,
    ) as bar:
        for epoch in range(done, config.epochs):
            started = time.perf_counter()
            losses = _epoch(trainer, split, config, epoch, len(state["batch_losses"]), run)
            spent = float(state["spent_s"]) + time.perf_counter() - started
            state = _after(trainer, state)
            state["losses"] = np.vstack([state["losses"], [*losses, spent]])
            if np.argmin(state["losses"][:, 1]) == epoch:
                state["best"] = trainer.params
            _save(run, state)
            saved = time.perf_counter()
            train_rmse, valid_rmse = np.sqrt(losses)
            bar.set_postfix({"train": f"{train_rmse:.1f}", "held out": f"{valid_rmse:.1f} kJ/mol/nm"})
    return state


def _epoch(trainer, split: Split, config: TrainConfig, epoch: int, begun: int, run: Run) -> tuple[float, float]:
    try:
        losses = run_epoch(trainer, split, config.seed, epoch, begun, run.path("train.log"))
    except FloatingPointError as error:
        raise _not_finite(run, config, epoch, str(error)) from error
    if trainer._diverged:
        raise TrainingError(f"chemtrain stopped in epoch {epoch + 1}; {run.path('train.log')} says why")
    if not np.isfinite(losses).all():
        raise _not_finite(run, config, epoch, "train {}, held out {}".format(*losses))
    return losses


def _check(potential: Potential, split: Split, config: TrainConfig):
    for name, frames in (("training", split.train), ("held-out", split.valid)):
        if frames.force is None:
            raise DataError(f"the {name} frames have no forces; force matching needs them")
        if (bad := np.flatnonzero(status := _status(potential, frames))).size:
            raise DataError(
                f"{bad.size} of {len(status)} {name} frames have no energy, the first is number {bad[0]}: "
                f"{Status(int(status[bad[0]])).name}. Was the model made from other frames than these?"
            )
    if split.train.n_frames < config.batch_size:
        raise DataError(f"{split.train.n_frames} training frames do not fill one batch of {config.batch_size}")
    devices = jax.device_count()
    if config.batch_size % devices:
        raise DataError(
            f"want a batch that {devices} devices can share equally, got {config.batch_size} frames; a multiple of "
            f"{devices}, or fewer devices (CUDA_VISIBLE_DEVICES)"
        )
    if split.valid.n_frames < devices:
        raise DataError(f"want a held-out frame for each of {devices} devices, got {split.valid.n_frames}")


def _status(potential: Potential, frames: Frames) -> np.ndarray:
    """(T,) Status bits of what the potential says of each frame."""
    box = box_of(potential, frames)
    return np.asarray(jax.lax.map(lambda x: jnp.asarray(potential.check(x, box)), jnp.asarray(frames.position)))


def _check_loss(losses: list, updates: int):
    """Stop at the batch whose loss is not finite. chemtrain would take a RuntimeError for the end of the training."""
    if not np.isfinite(losses[-1]):
        raise FloatingPointError(f"batch {(len(losses) - 1) % updates + 1} of {updates} (loss {losses[-1]})")


def _not_finite(run: Run, config: TrainConfig, epoch: int, where: str) -> TrainingError:
    kept = f"{run.path(CHECKPOINT)} holds the parameters of epoch {epoch}" if epoch else "no epoch was finished before"
    return TrainingError(
        f"the loss is not finite in epoch {epoch + 1}, {where}; {kept}. A smaller learning rate than "
        f"{config.learning_rate} is the usual cure; overlapping beads in the data the other cause"
    )


def _resume(run: Run, potential: Potential, tx, config: TrainConfig) -> dict:
    """The state that was kept last, or a new one.

    params, best, opt_state; losses (E, 3): training and held-out loss and seconds of the finished epochs; batch_losses
    and spent_s: of an epoch that is not; memory_GB (2,).
    """
    params = potential.init(jax.random.key(config.seed))
    opt_state = tx.init(params)
    if not run.path(CHECKPOINT).is_file():
        state = {"params": params, "best": params, "opt_state": opt_state, "losses": np.zeros((0, 3))}
        return state | {"batch_losses": np.zeros(0), "spent_s": np.zeros(()), "memory_GB": np.full(2, np.nan)}
    saved = load_tree(run.path(CHECKPOINT))
    if wrong := differing((params, jax.tree.leaves(opt_state)), (saved["params"], saved["opt_state"])):
        raise TrainingError(f"{run.path(CHECKPOINT)} is of another model: {wrong} (parameter, wanted, found)")
    leaves = [jnp.asarray(leaf) for leaf in saved["opt_state"]]
    return saved | {
        "params": jax.tree.map(jnp.asarray, saved["params"]),
        "opt_state": jax.tree.unflatten(jax.tree.structure(opt_state), leaves),
    }


def _after(trainer, state: dict) -> dict:
    """The state with what the trainer has now, at the end of an epoch."""
    return state | {
        "params": trainer.params,
        "opt_state": trainer.state.opt_state,
        "batch_losses": np.zeros(0),
        "spent_s": np.zeros(()),
        "memory_GB": np.fmax(state["memory_GB"], peak_memory_GB()),
    }


def _save(run: Run, state: dict):
    save_tree(run.path(CHECKPOINT), state | {"opt_state": jax.tree.leaves(state["opt_state"])})
