"""A training: the gradient of the loss and the whole update as `cgcore.train` makes it, by every form of the same network."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import textbook_mace
from engine_speed import refuse
from engine_systems import System
from turns import interleaved, timed, told, told_ratio

from cgcore import trainer
from cgcore.config import TrainConfig
from cgcore.frames import Frames
from cgcore.potentials import mace
from cgcore.potentials.base import Potential
from cgcore.potentials.mace import convolution, network


def in_plain_jax(s: System) -> Potential:
    """The network without the loops of its convolution, frame by frame."""
    potential = mace.build(s.model)

    def energy(params, position, box):
        with mock.patch.object(network, "convolve", convolution.plain):  # while it is traced
            return potential.energy(params, position, box)

    return potential._replace(energy=energy, together=None)


VARIANTS: dict[str, Callable[[System], Potential]] = {
    "P0": lambda s: textbook_mace.potential(s.model),
    "plain": in_plain_jax,
    "ours": lambda s: mace.build(s.model),
}
"""Each trains the same parameters: "ours" is what `steps.fit` builds, "plain" the network in JAX alone, the oracle."""

ORACLE = "plain"
TOLERANCE = {"P0": 1e-4, "plain": 0.0, "ours": 1e-5}
"""How near gradients are to the oracle's before anything is timed. Rounding in single precision is 2e-5 of a gradient, of which
networks that add in the same order share half."""


def training(s: System, repeats: int, batch: int | None = None) -> dict:
    """ms per gradient of the loss over a batch, and per update and frame of it, of every variant.

    batch: frames of one update; by default as many as the published training took. Raises SystemExit where gradients
    differ.
    """
    config = s.training if batch is None else replace(s.training, batch_size=batch)
    out, turns, gradients = {"beads": len(s.beads.beads), "frames": config.batch_size}, {}, {}
    x, wanted = next(batches(s, config))
    for name, make in VARIANTS.items():
        potential, start = make(s), time.perf_counter()
        gradient = jax.jit(jax.grad(loss(potential, s.frames))).lower(s.params, x, wanted)
        gradient = gradient.compile()
        gradients[name] = gradient(s.params, x, wanted)
        out[f"{name}_gradient_compile_s"] = time.perf_counter() - start
        turns[f"{name}_gradient"] = timed(lambda run=gradient: jax.block_until_ready(run(s.params, x, wanted)))
        start = time.perf_counter()
        turns[name] = timed(updates(potential, s, config))
        turns[name]()
        out[f"{name}_compile_s"] = time.perf_counter() - start
    for name, found in gradients.items():
        out[f"{name}_apart"] = difference(found, gradients[ORACLE])
        refuse(f"{s.label}, gradient of {name}", {name: out[f"{name}_apart"]}, TOLERANCE[name])
    seconds = interleaved(turns, repeats)
    for name, t in seconds.items():
        out |= told(name, t)
    for name in VARIANTS:
        out[f"{name}_per_frame_ms"] = out[f"{name}_ms"] / config.batch_size
    return out | told_ratio("ours_ratio", seconds["P0"] / seconds["ours"])


def batches(s: System, config: TrainConfig) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions (B, N, 3) nm and forces (B, N, 3) kJ/mol/nm of batches without end, drawn as a training draws them."""
    random = np.random.default_rng(config.seed)
    position, force = s.starts(s.frames.n_frames), np.asarray(s.frames.force, np.float32)
    while True:
        order = random.permutation(s.frames.n_frames)
        for chosen in order[: len(order) // config.batch_size * config.batch_size].reshape(-1, config.batch_size):
            yield position[chosen], force[chosen]


def loss(potential: Potential, frames: Frames) -> Callable:
    """loss(params, x, wanted): mean square error of the forces, as a training has it."""
    forces = trainer.batch_forces(potential, frames)
    return lambda params, x, wanted: jnp.mean((forces(params, x) - wanted) ** 2)


def updates(potential: Potential, s: System, config: TrainConfig) -> Callable[[], float]:
    """A call that makes one update after another, each on its batch and from the parameters of the one before; its loss."""
    tx = trainer.optimizer(config, s.frames.n_frames // config.batch_size * config.epochs)
    compiled = trainer.compile_updates(potential, s.frames, tx)
    state, drawn = (s.params, tx.init(s.params)), batches(s, config)
    counts = jnp.ones((config.batch_size, 1, 1), np.float32)  # all frames alike

    def update() -> float:
        nonlocal state
        *state, found = compiled.update(*state, *next(drawn), counts)
        return float(found)

    return update


def difference(found: dict, wanted: dict) -> float:
    """The length of the difference of two gradients over that of the one that is wanted."""
    pairs = [(np.asarray(found[name], np.float64), np.asarray(g, np.float64)) for name, g in wanted.items()]
    return float(np.sqrt(sum(np.sum((a - g) ** 2) for a, g in pairs) / sum(np.sum(g**2) for _, g in pairs)))
