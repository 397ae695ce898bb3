"""Force matching of a potential to mapped forces with the paper's optimiser.

Loss: chi^2 = < |f_I + grad_I U(R)|^2 / 3N > over frames and beads, kJ^2/mol^2/nm^2 (eq. 4 of the paper,
arXiv:2512.07692); frames of a run with a bias count their weights.
"""

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

try:
    import resource
except ImportError:  # Windows has none
    resource = None

from cgcore.errors import CgcoreError

from .analysis import force_errors
from .config import TrainConfig
from .data import DataError, Split, frames_hash, loss_weights, subsample
from .frames import Frames, Status
from .potentials.base import Potential, differing, force
from .store import Run, load_tree, open_run, require_room, save_tree
from .trainer import Compiled, box_of, compile_updates, optimizer

CHECKPOINT, PARAMS = "checkpoint.npz", "params.npz"
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

    run: Run
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
    root,
    *,
    checkpoint_minutes: float = CHECKPOINT_MINUTES,
    progress: bool = True,
    room: float = 0.0,
) -> Fit:
    """Train on split.train, keep the parameters of the lowest loss on split.valid.

    The run is root/fit/<id>, named by the potential, the configuration and the frames themselves. Its state is kept
    after every epoch, and within one every `checkpoint_minutes`. Batches are drawn from config.seed and the number of the
    epoch: a killed run goes on where it stopped and gives the same history, to the last bit. A finished run is read back.
    A periodic potential sees the frames in their box, any other without one. Of several devices each takes an equal part
    of every batch. room: bytes that the disk must have for what comes after, asked for before any training.

    Raises:
        DataError: frames without forces, fewer than a batch, a batch that the devices cannot share, or of which the
            potential cannot give the energy (neighbours that overflow).
        StoreError: a disk without room, or a damaged file.
        TrainingError: a checkpoint of another model or with parameters that are not finite; a loss that is not finite, where the checkpoint of the last finished
            epoch stays.
    """
    _check(potential, split, config)
    run = open_run(
        root,
        "fit",
        {"potential": potential.identity, "train": config},
        data={"train": frames_hash(split.train), "valid": frames_hash(split.valid)},
        rooms=("geometry", "train", *potential.rooms),
    )
    updates = split.train.n_frames // config.batch_size
    tx = optimizer(config, updates * config.epochs)
    with run.held():
        finished = run.done
        state = _resume(run, potential, tx, config)
        if len(state["losses"]) < config.epochs:
            require_room(run.folder, room)
            state = _train(potential, split, state, tx, config, run, checkpoint_minutes, progress)
        elif progress:
            tqdm.write(f"{run.folder}: done")
        params = jax.tree.map(jnp.asarray, state["best"])
        found = Fit(
            run=run,
            params=params,
            train_loss=state["losses"][:, 0],
            valid_loss=state["losses"][:, 1],
            epoch_s=state["losses"][:, 2],
            updates_per_epoch=updates,
            held_out=force_errors.by_frame(predict(potential, params, split.valid), split.valid),
            memory_GB=tuple(state["memory_GB"].tolist()),
        )
        if not finished or not run.path(PARAMS).is_file():
            # Once finished, a run keeps its best parameters and its history, and no second copy of either.
            save_tree(run.path(PARAMS), {key: state[key] for key in ("best", "losses", "memory_GB")})
            run.finish(found.table(), found.wall_s)
        run.path(CHECKPOINT).unlink(missing_ok=True)
    return found


def learning_curve(
    potential: Potential,
    split: Split,
    config: TrainConfig,
    root,
    *,
    frames: Iterable[int | None] = (1, 10, 100, None),
    progress: bool = True,
) -> dict[int, Fit]:
    """Fits to so many of the training frames, evenly spread (None for all), by their number.

    Few frames are seen more often: the number of updates, the held-out frames and all settings are the same. What `fit`
    raises is raised.
    """
    fits = {}
    for wanted in frames:
        few = subsample(split.train, wanted)
        again = few[np.resize(np.arange(few.n_frames), split.train.n_frames)]
        fits[few.n_frames] = fit(potential, split._replace(train=again), config, root, progress=progress)
    return fits


def predict(potential: Potential, params, frames: Frames) -> np.ndarray:
    """Forces (T, N, 3) kJ/mol/nm of a potential on frames, in batches."""
    box, position = box_of(potential, frames), np.asarray(frames.position)
    batch = max(1, min(256, BEADS // position.shape[1]))
    forces = jax.jit(jax.vmap(lambda x: force(potential, params, x, box)))
    return np.concatenate([forces(position[i : i + batch]) for i in range(0, len(position), batch)])


def _train(potential, split: Split, state: dict, tx, config: TrainConfig, run: Run, minutes: float, progress: bool):
    """Epochs from the state on; the state after the last one."""
    compiled = compile_updates(potential, split.train, tx)
    updates = split.train.n_frames // config.batch_size
    epochs_done, updates_done = len(state["losses"]), len(state["batch_losses"])
    if epochs_done or updates_done:
        tqdm.write(
            f"{run.folder}: going on after epoch {epochs_done} of {config.epochs}, update {updates_done} of {updates}"
        )
    bar = tqdm(
        total=config.epochs * updates,
        initial=epochs_done * updates + updates_done,
        unit="update",
        desc="train",
        disable=not progress,
    )
    with bar:
        for epoch in range(epochs_done, config.epochs):
            state = _epoch(compiled, split, state, config, run, epoch, minutes, bar)
            train_rmse, valid_rmse = np.sqrt(state["losses"][-1, :2])
            bar.set_postfix({"train": f"{train_rmse:.1f}", "held out": f"{valid_rmse:.1f} kJ/mol/nm"})
    return state


def _epoch(compiled: Compiled, split: Split, state: dict, config: TrainConfig, run: Run, epoch: int, minutes, bar):
    """The rest of an epoch: its batches in an order of its own, then the held-out loss. The state after it, on disk."""
    started = saved = time.perf_counter()
    position, force = np.asarray(split.train.position), np.asarray(split.train.force)
    weight = loss_weights(split.train).astype(position.dtype)
    batches = _batches(split.train.n_frames, config, epoch)
    try:
        for number in range(len(state["batch_losses"]), len(batches)):
            chosen = batches[number]
            params, opt_state, loss = compiled.update(
                state["params"], state["opt_state"], position[chosen], force[chosen], weight[chosen]
            )
            if not np.isfinite(loss):
                raise FloatingPointError(f"batch {number + 1} of {len(batches)} (loss {loss})")
            state = state | {"params": params, "opt_state": opt_state}
            state["batch_losses"] = np.append(state["batch_losses"], float(loss))
            bar.update()
            now = time.perf_counter()
            if now - saved > 60 * minutes and number + 1 < len(batches):
                _save(run, state | {"spent_s": state["spent_s"] + now - started})
                saved = now
        valid_loss = _held_out_loss(compiled, state["params"], split.valid, config.batch_size)
        if not np.isfinite(valid_loss):
            raise FloatingPointError(f"held-out loss {valid_loss}")
    except FloatingPointError as error:
        raise _not_finite(run, config, epoch, str(error)) from error
    spent_s = float(state["spent_s"]) + time.perf_counter() - started
    losses = np.vstack([state["losses"], [np.mean(state["batch_losses"]), valid_loss, spent_s]])
    best = state["params"] if np.argmin(losses[:, 1]) == epoch else state["best"]
    memory_GB = np.fmax(state["memory_GB"], peak_memory_GB())
    state = state | {"losses": losses, "best": best, "memory_GB": memory_GB}
    state |= {"batch_losses": np.zeros(0), "spent_s": np.zeros(())}
    _save(run, state)
    return state


def _batches(n_frames: int, config: TrainConfig, epoch: int) -> np.ndarray:
    """(updates, batch_size) frames of an epoch: all of them once in a random order, less what does not fill a batch."""
    order = np.random.default_rng((config.seed, epoch)).permutation(n_frames)
    return order[: n_frames // config.batch_size * config.batch_size].reshape(-1, config.batch_size)


def _held_out_loss(compiled: Compiled, params, frames: Frames, batch_size: int) -> float:
    """Mean square error over all frames, in batches of which the last is filled up with frames that weigh nothing."""
    n, total, counts = frames.n_frames, 0.0, frames.weights
    for first in range(0, n, batch_size):
        chosen = np.arange(first, first + batch_size)
        part = np.minimum(chosen, n - 1)
        weight = np.where(chosen < n, counts[part], 0.0).astype(np.asarray(frames.position).dtype)
        position, target = np.asarray(frames.position)[part], np.asarray(frames.force)[part]
        total += float(compiled.square_error(params, position, target, weight))
    return total / counts.sum()


def peak_memory_GB() -> np.ndarray:
    """(2,) the most that this process and its device's own memory have held so far; NaN where unknown or not there."""
    host, device = np.nan, (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", np.nan)
    if resource is not None:
        unit = 1 if sys.platform == "darwin" else 1024
        host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return np.array([host, device]) / 1e9


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


def _status(potential: Potential, frames: Frames) -> np.ndarray:
    """(T,) Status bits of what the potential says of each frame."""
    box = box_of(potential, frames)
    return np.asarray(jax.lax.map(lambda x: jnp.asarray(potential.check(x, box)), jnp.asarray(frames.position)))


def _not_finite(run: Run, config: TrainConfig, epoch: int, where: str) -> TrainingError:
    kept = f"{run.path(CHECKPOINT)} holds the parameters of epoch {epoch}" if epoch else "no epoch was finished before"
    return TrainingError(
        f"the loss is not finite in epoch {epoch + 1}, {where}; {kept}. A smaller learning rate than "
        f"{config.learning_rate} is the usual cure; overlapping beads in the data the other cause"
    )


def _resume(run: Run, potential: Potential, tx, config: TrainConfig) -> dict:
    """The state that was kept last, or a new one; of a finished run what it keeps.

    params, best, opt_state; losses (E, 3): training and held-out loss and seconds of the finished epochs; batch_losses
    and spent_s: of an epoch that is not; memory_GB (2,).
    """
    params = potential.init(jax.random.key(config.seed))
    opt_state = tx.init(params)
    if run.path(PARAMS).is_file():
        kept = load_tree(run.path(PARAMS), "best", "losses", "memory_GB")
        _check_kept(run.path(PARAMS), params, kept["best"], kept["losses"], range(config.epochs, config.epochs + 1))
        return kept
    if not run.path(CHECKPOINT).is_file():
        state = {"params": params, "best": params, "opt_state": opt_state, "losses": np.zeros((0, 3))}
        return state | {"batch_losses": np.zeros(0), "spent_s": np.zeros(()), "memory_GB": np.full(2, np.nan)}
    saved = load_tree(
        run.path(CHECKPOINT), "params", "best", "opt_state", "losses", "batch_losses", "spent_s", "memory_GB"
    )
    wanted, found = ((params, params, jax.tree.leaves(opt_state)), (saved[k] for k in ("params", "best", "opt_state")))
    _check_kept(run.path(CHECKPOINT), wanted, tuple(found), saved["losses"], range(config.epochs + 1))
    leaves = [jnp.asarray(leaf) for leaf in saved["opt_state"]]
    return saved | {
        "params": jax.tree.map(jnp.asarray, saved["params"]),
        "opt_state": jax.tree.unflatten(jax.tree.structure(opt_state), leaves),
    }


def _check_kept(path, wanted, found, losses: np.ndarray, epochs: range):
    """Raise TrainingError for what was kept of another model, or is not finite, or has no history that fits."""
    if wrong := differing(wanted, found):
        raise TrainingError(f"{path} is of another model: {wrong} (parameter, wanted, found)")
    whole = losses.ndim == 2 and losses.shape[1] == 3 and len(losses) in epochs
    if not whole or not all(np.isfinite(leaf).all() for leaf in (*jax.tree.leaves(found), losses)):
        raise TrainingError(
            f"{path}: want finite parameters and losses of {epochs.stop - 1} epochs at most, found others; damaged or "
            "edited. Remove it to train anew"
        )


def _save(run: Run, state: dict):
    save_tree(run.path(CHECKPOINT), state | {"opt_state": jax.tree.leaves(state["opt_state"])})
