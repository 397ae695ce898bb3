"""Force matching of a potential to mapped forces, by chemtrain's trainer with the study's optimiser.

Loss: chi^2 = < |f_I + grad_I U(R)|^2 / 3N > over frames and beads, kJ^2/mol^2/nm^2 (eq. 4 of the study).
"""

import contextlib
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from .compat import chemtrain_trainers
from .config import TrainConfig
from .data import DataError, ForceErrors, Split, force_errors
from .frames import Frames, Status
from .potentials.base import Potential, force
from .store import Run, load_tree, save_tree

CHECKPOINT = "checkpoint.npz"
BEADS = 5_632
"""Of how many beads forces are predicted at once, and at most 256 frames."""


class TrainingError(RuntimeError):
    """Training that cannot go on, with what happened and where it stopped."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What training leaves behind.

    params: those of the lowest held-out loss; train_loss, valid_loss: per epoch, kJ^2/mol^2/nm^2; errors: of the held-out
    forces; wall_s: of all epochs, resumed ones too, compilation included; updates_per_s: median epoch's rate.
    """

    params: dict
    train_loss: np.ndarray
    valid_loss: np.ndarray
    epoch_s: np.ndarray
    updates_per_epoch: int
    errors: ForceErrors

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
        return {
            "force_mae_meV_per_A": self.errors.mae,
            "force_rmse_meV_per_A": self.errors.rmse,
            "best_epoch": self.best_epoch + 1,
            "epochs": len(self.valid_loss),
            "updates": self.updates_per_epoch * len(self.valid_loss),
            "updates_per_s": self.updates_per_s,
            "wall_s": self.wall_s,
        }


def optimizer(config: TrainConfig, updates: int) -> optax.GradientTransformation:
    """Adam with Nesterov momentum and decoupled weight decay; the rate falls by `learning_rate_decay` over the run."""
    rate = optax.exponential_decay(config.learning_rate, updates, config.learning_rate_decay)
    return optax.adamw(
        rate, b1=config.b1, b2=config.b2, eps=config.eps, weight_decay=config.weight_decay, nesterov=True
    )


def fit(potential: Potential, split: Split, config: TrainConfig, run: Run, *, progress: bool = True) -> Fit:
    """Train on split.train, keep the parameters of the lowest loss on split.valid.

    Every epoch is checkpointed in the run's folder, and batches are drawn from a seed made of config.seed and the epoch:
    a killed run goes on where it stopped and gives the same history. A finished run is read back.
    A periodic potential sees the frames in their box, any other without one.
    Raises DataError for frames without forces, fewer than a batch, or of which the potential cannot give the energy
    (neighbours that overflow); TrainingError for a checkpoint of another model and when the loss is not finite, where
    the checkpoint of the last finished epoch stays.
    """
    _check(potential, split, config)
    updates = split.train.n_frames // config.batch_size
    tx = optimizer(config, updates * config.epochs)
    state = _resume(run, potential, tx, config)
    losses = state["losses"]
    if done := len(losses):
        print_progress = f"epoch {done} of {config.epochs}"
        tqdm.write(f"{run.folder}: going on after {print_progress}" if done < config.epochs else f"{run.folder}: done")
    trainer = _trainer(potential, split, state, tx, config, run) if done < config.epochs else None
    with tqdm(
        total=config.epochs * updates, initial=done * updates, unit="update", desc="train", disable=not progress
    ) as bar:
        if trainer is not None:
            trainer.add_task("post_batch", lambda *_: bar.update())
            trainer.add_task("post_batch", lambda trainer, _: _check_loss(trainer, updates))
        for epoch in range(done, config.epochs):
            start = time.perf_counter()
            train_loss, valid_loss = _epoch(trainer, split, config, epoch, run)
            losses = np.vstack([losses, [train_loss, valid_loss, time.perf_counter() - start]])
            best = trainer.params if np.argmin(losses[:, 1]) == epoch else state["best"]
            state = _save(run, trainer, best, losses)
            bar.set_postfix({"train": f"{train_loss**0.5:.1f}", "held out": f"{valid_loss**0.5:.1f} kJ/mol/nm"})
    params = jax.tree.map(jnp.asarray, state["best"])
    return Fit(
        params=params,
        train_loss=losses[:, 0],
        valid_loss=losses[:, 1],
        epoch_s=losses[:, 2],
        updates_per_epoch=updates,
        errors=force_errors(predict(potential, params, split.valid), split.valid),
    )


def predict(potential: Potential, params, frames: Frames) -> np.ndarray:
    """Forces (T, N, 3) kJ/mol/nm of a potential on frames, in batches."""
    box, position = _box(potential, frames), np.asarray(frames.position)
    batch = max(1, min(256, BEADS // position.shape[1]))
    forces = jax.jit(jax.vmap(lambda x: force(potential, params, x, box)))
    return np.concatenate([forces(position[i : i + batch]) for i in range(0, len(position), batch)])


def _box(potential: Potential, frames: Frames) -> np.ndarray:
    """A molecule's beads see each other directly, whatever box the reference had; a liquid's see the frames' box."""
    box = frames.box if potential.periodic else np.full(3, np.inf)
    return np.asarray(box, np.asarray(frames.position).dtype)


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


def _status(potential: Potential, frames: Frames) -> np.ndarray:
    """(T,) Status bits of what the potential says of each frame."""
    box = _box(potential, frames)
    return np.asarray(jax.lax.map(lambda x: jnp.asarray(potential.check(x, box)), jnp.asarray(frames.position)))


def _trainer(potential: Potential, split: Split, state: dict, tx, config: TrainConfig, run: Run):
    """chemtrain's trainer at the given state. Its own force asks for a neighbour list, so it is handed ours."""
    box = _box(potential, split.train)

    def forces(params, position):
        return force(potential, params, position, box)

    # Many small molecules at once keep a processor busy; a liquid's frame does so alone, and needs the memory.
    forces = one_frame_at_a_time(forces) if potential.periodic else forces
    trainer = chemtrain_trainers().ForceMatching(
        state["params"],
        tx,
        lambda params: lambda position, **_: potential.energy(params, position, box),
        nbrs_init=None,
        gammas={"F": 1.0},
        feature_extract_fns={"energy_and_force": lambda *_, **__: {}},
        additional_targets={"F": lambda frame, energy_params, **_: forces(energy_params, frame.position)},
        batch_per_device=config.batch_size // jax.device_count(),
        log_file=None,
        checkpoint_path=run.folder,
    )
    trainer.state = trainer.state.replace(opt_state=state["opt_state"])
    return trainer


def one_frame_at_a_time(forces: Callable) -> Callable:
    """forces(params, position), of which `vmap` evaluates one frame after the other, gradients by params included.

    Derivatives of a frame are taken when its turn comes, so the memory is that of one frame. Positions are data: their
    derivative is zero.
    """
    in_turn = jax.custom_batching.sequential_vmap

    @jax.custom_vjp
    def evaluate(params, position):
        return in_turn(forces)(params, position)

    def forward(params, position):
        return evaluate(params, position), (params, position)

    def backward(inputs, change):
        def pull(params, position, change):
            return jax.vjp(lambda p: forces(p, position), params)[1](change)[0]

        return in_turn(pull)(*inputs, change), jnp.zeros_like(inputs[1])

    evaluate.defvjp(forward, backward)
    return evaluate


def _epoch(trainer, split: Split, config: TrainConfig, epoch: int, run: Run) -> tuple[float, float]:
    """One epoch over shuffled frames; the training and held-out loss.

    Both sets are handed over anew with a seed of their own, so that an epoch does not depend on those before it in the
    same process, down to the order of summation.
    """
    with _quiet(run):
        trainer.set_dataset(_dataset(split.train), stage="training", seed=(config.seed, epoch))
        trainer.set_dataset(_dataset(split.valid), stage="validation", include_all=True, seed=config.seed)
        try:
            trainer.train(1)
        except FloatingPointError as error:
            raise _not_finite(run, config, epoch, str(error)) from error
    if trainer._diverged:
        raise TrainingError(f"chemtrain stopped in epoch {epoch + 1}; {run.path('train.log')} says why")
    train_loss, valid_loss = float(trainer.train_losses[-1]), float(trainer.val_losses[-1])
    if not np.isfinite([train_loss, valid_loss]).all():
        raise _not_finite(run, config, epoch, f"train {train_loss}, held out {valid_loss}")
    return train_loss, valid_loss


def _check_loss(trainer, updates: int):
    """Stop at the batch whose loss is not finite. chemtrain would take a RuntimeError for the end of the training."""
    losses = trainer.train_batch_losses
    if not np.isfinite(losses[-1]):
        raise FloatingPointError(f"batch {(len(losses) - 1) % updates + 1} of {updates} (loss {losses[-1]})")


def _not_finite(run: Run, config: TrainConfig, epoch: int, where: str) -> TrainingError:
    kept = f"{run.path(CHECKPOINT)} holds the parameters of epoch {epoch}" if epoch else "no epoch was finished before"
    return TrainingError(
        f"the loss is not finite in epoch {epoch + 1}, {where}; {kept}. A smaller learning rate than "
        f"{config.learning_rate} is the usual cure; overlapping beads in the data the other cause"
    )


def _dataset(frames: Frames) -> dict[str, np.ndarray]:
    return {"R": np.asarray(frames.position), "F": np.asarray(frames.force)}


@contextlib.contextmanager
def _quiet(run: Run):
    """chemtrain prints each epoch and warns about incomplete batches: into the run's log."""
    with open(run.path("train.log"), "a") as log, contextlib.redirect_stdout(log), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Batch size .* does not divide")
        yield


def _resume(run: Run, potential: Potential, tx, config: TrainConfig) -> dict:
    """The state after the last finished epoch, or a new one."""
    params = potential.init(jax.random.key(config.seed))
    opt_state = tx.init(params)
    if not run.path(CHECKPOINT).is_file():
        return {"params": params, "best": params, "opt_state": opt_state, "losses": np.zeros((0, 3))}
    saved = load_tree(run.path(CHECKPOINT))
    wanted, found = _shapes((params, jax.tree.leaves(opt_state))), _shapes((saved["params"], saved["opt_state"]))
    if wrong := sorted(k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k)):
        raise TrainingError(
            f"{run.path(CHECKPOINT)} is of another model: "
            f"{[(k, wanted.get(k), found.get(k)) for k in wrong[:3]]} (parameter, wanted, found)"
        )
    leaves = [jnp.asarray(leaf) for leaf in saved["opt_state"]]
    return {
        "params": jax.tree.map(jnp.asarray, saved["params"]),
        "best": saved["best"],
        "opt_state": jax.tree.unflatten(jax.tree.structure(opt_state), leaves),
        "losses": saved["losses"],
    }


def _shapes(tree) -> dict[str, tuple[int, ...]]:
    return {jax.tree_util.keystr(path): np.shape(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _save(run: Run, trainer, best, losses: np.ndarray) -> dict:
    state = {"params": trainer.params, "best": best, "opt_state": trainer.state.opt_state, "losses": losses}
    save_tree(run.path(CHECKPOINT), state | {"opt_state": jax.tree.leaves(state["opt_state"])})
    return state
