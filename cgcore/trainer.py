"""chemtrain's trainer under a potential: the study's optimiser, data by epoch, and an epoch that may be begun half-way."""

import contextlib
import itertools
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec

try:
    import resource
except ImportError:  # Windows has none
    resource = None

from .compat import chemtrain_trainers
from .config import TrainConfig
from .data import Split
from .frames import Frames
from .potentials.base import Potential, force

FRAMES_ON_A_CARD = 8
"""Of a liquid, how many frames a graphics card differentiates at once; a processor one, which keeps it busy."""


def optimizer(config: TrainConfig, updates: int) -> optax.GradientTransformation:
    """Adam with Nesterov momentum and decoupled weight decay; the rate falls by `learning_rate_decay` over the run."""
    rate = optax.exponential_decay(config.learning_rate, updates, config.learning_rate_decay)
    return optax.adamw(
        rate, b1=config.b1, b2=config.b2, eps=config.eps, weight_decay=config.weight_decay, nesterov=True
    )


def box_of(potential: Potential, frames: Frames) -> np.ndarray:
    """A molecule's beads see each other directly, whatever box the reference had; a liquid's see the frames' box."""
    box = frames.box if potential.periodic else np.full(3, np.inf)
    return np.asarray(box, np.asarray(frames.position).dtype)


def build_trainer(potential: Potential, split: Split, state: dict, tx, config: TrainConfig, folder: Path):
    """chemtrain's trainer at state["params"] and state["opt_state"], over all devices that JAX has.

    Its own force asks for a neighbour list, so it is handed ours. The losses of state["batch_losses"] are those of an
    epoch that was begun before.
    """
    box = box_of(potential, split.train)

    def forces(params, position):
        return force(potential, params, position, box)

    # Many small molecules at once keep a processor busy; a liquid's frame does so alone, and needs the memory.
    if potential.periodic:
        forces = few_frames_at_once(forces, 1 if jax.default_backend() == "cpu" else FRAMES_ON_A_CARD)
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
        checkpoint_path=folder,
    )
    trainer.state = trainer.state.replace(opt_state=state["opt_state"])
    trainer.train_batch_losses.extend(state["batch_losses"])
    if jax.device_count() > 1:
        _share(trainer, tx)
    return trainer


def _share(trainer, tx):
    """Give each of several devices an equal part of every batch, and all of them the mean of losses and gradients.

    As chemtrain's own update does, which closes over the parameters; a present JAX differentiates only what it is handed.
    """
    from chemtrain.learn import max_likelihood  # late: after `chemtrain_trainers` has made it importable

    mesh, all_of_it, part = Mesh(jax.devices(), ("batch",)), PartitionSpec(), PartitionSpec("batch")
    loss_fn = max_likelihood._get_param_loss_fn(trainer._loss_fn, trainer.batched_model)

    def update(params, opt_state, batch):
        (loss, by_target), gradient = jax.value_and_grad(loss_fn, has_aux=True)(params, batch)
        loss, by_target, gradient = jax.lax.pmean((loss, by_target, gradient), "batch")
        params, opt_state = max_likelihood.step_optimizer(params, opt_state, gradient, tx)
        return params, opt_state, loss, gradient, by_target

    def evaluate(params, batch, mask):
        return jax.lax.pmean(loss_fn(params, batch, mask), "batch")

    def shared(function, *specs):
        # Each device differentiates its own part: without the check no sum over devices slips in before the mean.
        return jax.jit(jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=all_of_it, check_vma=False))

    update, evaluate = shared(update, all_of_it, all_of_it, part), shared(evaluate, all_of_it, part, part)
    trainer._update_fn = lambda params, opt_state, batch, per_target: update(params, opt_state, batch)
    trainer._evaluate_fn = lambda params, batch, mask, per_target: evaluate(params, batch, mask)


def few_frames_at_once(forces: Callable, most: int) -> Callable:
    """forces(params, position), of which `vmap` evaluates `most` frames after as many others, gradients by params included.

    Derivatives of a frame are taken when its turn comes, so the memory is that of `most` frames. Positions are data: their
    derivative is zero.
    """
    in_turn = partial(_in_turn, most=most)

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


def _in_turn(function: Callable, most: int) -> Callable:
    """function(params, *of_a_frame), of which `vmap` over frames evaluates `most` at once."""
    if most == 1:
        return jax.custom_batching.sequential_vmap(function)
    several = jax.custom_batching.custom_vmap(function)

    @several.def_vmap
    def frames(size, batched, params, *arrays):
        of_each = [
            jnp.broadcast_to(x, (size, *x.shape)) if not b else x for x, b in zip(arrays, batched[1:], strict=True)
        ]
        out = jax.lax.map(lambda frame: function(params, *frame), of_each, batch_size=min(most, size))
        return out, jax.tree.map(lambda _: True, out)

    return several


def run_epoch(trainer, split: Split, seed: int, number: int, begun: int, log: Path) -> tuple[float, float]:
    """One epoch over shuffled frames, of which `begun` batches are done; the training and held-out loss.

    Both sets are handed over anew with a seed of their own, so that an epoch does not depend on those before it in the
    same process, down to the order of summation.
    """
    with _quiet(log):
        trainer.set_dataset(_dataset(split.train), stage="training", seed=(seed, number))
        trainer.set_dataset(_dataset(split.valid), stage="validation", include_all=True, seed=seed)
        # chemtrain knows no epoch that begins half-way: the batches that are done are drawn and left out.
        trainer._get_batch = lambda: itertools.islice(trainer._get_batch_stage("training"), begun, None)
        trainer.train(1)
    if trainer._diverged:
        return float("nan"), float("nan")
    return float(trainer.train_losses[-1]), float(trainer.val_losses[-1])


def _dataset(frames: Frames) -> dict[str, np.ndarray]:
    return {"R": np.asarray(frames.position), "F": np.asarray(frames.force)}


@contextlib.contextmanager
def _quiet(path: Path):
    """chemtrain prints each epoch and warns about incomplete batches: into the run's log."""
    with open(path, "a") as log, contextlib.redirect_stdout(log), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Batch size .* does not divide")
        yield


def peak_memory_GB() -> np.ndarray:
    """(2,) the most that this process and its device's own memory have held so far; NaN where unknown or not there."""
    host, device = np.nan, (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", np.nan)
    if resource is not None:
        unit = 1 if sys.platform == "darwin" else 1024
        host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return np.array([host, device]) / 1e9
