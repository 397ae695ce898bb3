"""One update of force matching: the loss and its gradient on every device, the step of the paper's optimiser."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.sharding import Mesh, PartitionSpec

from .compat import chemtrain_learn
from .config import TrainConfig
from .frames import Frames
from .potentials.base import Potential, force

FRAMES_ON_A_CARD = 8
"""Of a liquid, how many frames a graphics card differentiates at once; a processor one, which keeps it busy."""


class Compiled(NamedTuple):
    """What an epoch calls, compiled once.

    update(params, opt_state, position (B, N, 3), force, weight (B, 1, 1) or (B, N, 3)) -> params, opt_state, loss;
    square_error(params, position, force, weight (B,)) -> sum over frames of weight times their mean square error,
    kJ^2/mol^2/nm^2.
    """

    update: Callable
    square_error: Callable


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


def compile_updates(potential: Potential, frames: Frames, tx: optax.GradientTransformation) -> Compiled:
    """Compile the update and the held-out error of a potential, over all devices that JAX has.

    Loss and optimiser step are chemtrain's (`learn.force_matching.init_loss_fn`, `learn.max_likelihood.step_optimizer`).
    Its `Trainer` is not used: on several devices its update closes over the parameters, which a present JAX does not
    differentiate, and it knows no epoch that goes on half-way.
    """
    force_matching, max_likelihood = chemtrain_learn()
    forces = batch_forces(potential, frames)
    mean_square = force_matching.init_loss_fn(gammas={"F": 1.0}, individual=False)
    several = jax.device_count() > 1

    def update(params, opt_state, position, target, weight):
        share = jnp.sqrt(weight)

        def loss_of(params):
            return mean_square({"F": share * forces(params, position)}, {"F": share * target})

        loss, gradient = jax.value_and_grad(loss_of)(params)
        if several:  # each device has an equal part of the batch, so the mean of their means is that of the batch
            loss, gradient = jax.lax.pmean((loss, gradient), "batch")
        return *max_likelihood.step_optimizer(params, opt_state, gradient, tx), loss

    def square_error(params, position, target, weight):
        total = jnp.sum(weight * jnp.mean((forces(params, position) - target) ** 2, axis=(1, 2)))
        return jax.lax.psum(total, "batch") if several else total

    if not several:
        return Compiled(jax.jit(update), jax.jit(square_error))
    mesh, whole, part = Mesh(jax.devices(), ("batch",)), PartitionSpec(), PartitionSpec("batch")

    def shared(function, *specs):
        # Each device differentiates its own part: without the check no sum over devices slips in before the mean.
        return jax.jit(jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=whole, check_vma=False))

    return Compiled(shared(update, whole, whole, part, part, part), shared(square_error, whole, part, part, part))


def batch_forces(potential: Potential, frames: Frames) -> Callable:
    """forces(params, position (B, N, 3)) of frames as those that a training learns from, (B, N, 3) kJ/mol/nm."""
    box = box_of(potential, frames)
    on_cpu = jax.default_backend() == "cpu"
    single = jax.dtypes.canonicalize_dtype(box.dtype) == np.float32
    if potential.together and on_cpu and single:
        # As one graph: XLA transposes arrays of frames side by side before it sums over both of their axes.
        return lambda params, position: -jax.grad(potential.together, argnums=1)(params, position, box)

    def forces_of_frame(params, position):
        return force(potential, params, position, box)

    # Many small molecules at once keep a processor busy; a liquid's frame does so alone, and needs the memory.
    if potential.periodic:
        forces_of_frame = few_frames_at_once(forces_of_frame, 1 if on_cpu else FRAMES_ON_A_CARD)
    return jax.vmap(forces_of_frame, (None, 0))


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
        of_each: list[Array] = [
            jnp.broadcast_to(x, (size, *x.shape)) if not b else x for x, b in zip(arrays, batched[1:], strict=True)
        ]
        out = jax.lax.map(lambda frame: function(params, *frame), of_each, batch_size=min(most, size))
        return out, jax.tree.map(lambda _: True, out)

    return several
