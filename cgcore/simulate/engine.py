"""One frame of all replicas as one compiled program, the replicas spread over the devices."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ..config import MDConfig
from ..potentials.base import Potential, add
from ..units import kT
from .bias import Bias
from .dynamics import State, kinetic, maxwell, noise, step
from .lists import ListParameters, ListUsage, neighbours, widest, zero_usage
from .system import Molecule, status

BEADS_AT_ONCE = 400
"""Of how many beads a CPU computes energies at once; more spill from its cache."""

ALL, REPLICAS = PartitionSpec(), PartitionSpec("replicas")


class Frame(NamedTuple):
    """What a frame of C replicas leaves: the state at its end, kJ/mol and Status bits (C,), and what lists had to hold."""

    state: State
    kinetic: Array
    status: Array
    usage: ListUsage


class Engine:
    """The dynamics of one potential and its parameters. compile_s: seconds that went into compiling so far.

    Replicas are divided among as many devices as divide their number. Noise is drawn from the seed, the number of the
    replica and that of the step, so that neither frames nor devices nor lists change it. A bias is one more term of the
    energy, with each replica's bias_state as its parameters.
    """

    def __init__(
        self, potential: Potential, params, molecule: Molecule, config: MDConfig, dtype, bias: Bias | None = None
    ):
        self.potential = _joined(potential, bias.potential) if bias else potential
        self.bias, self.config = bias, config
        self.at_once = self.potential.advance is not None
        self.liquid, self.n_beads = molecule.liquid, len(molecule.names)
        devices = jax.devices()
        self.n_devices = max(n for n in range(1, len(devices) + 1) if config.replicas % n == 0)
        self.mesh = Mesh(np.array(devices[: self.n_devices]), ("replicas",))
        self.params, self.system = jax.device_put((params, molecule.system(dtype)), NamedSharding(self.mesh, ALL))
        replicas = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(config.seed), np.arange(config.replicas))
        self.momentum_keys, self.noise_keys = self.spread(tuple(jax.vmap(jax.random.split, out_axes=1)(replicas)))
        self.compile_s = 0.0
        self._update = bias and jax.jit(bias.update, out_shardings=NamedSharding(self.mesh, REPLICAS))

    def begin(self, lists: ListParameters, initial_positions: Array) -> State:
        """The state at the initial_positions (C, N, 3) nm: momenta of the temperature, and forces, by steps of no length."""
        draw = jax.vmap(lambda key: maxwell(key, self.system.mass, initial_positions.shape[1:], self.config))
        empty = jnp.zeros(len(initial_positions), initial_positions.dtype)
        bias_state = self.bias and jax.vmap(self.bias.potential.init)(self.momentum_keys)
        bias_state = jax.tree.map(
            lambda x: x.astype(initial_positions.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, bias_state
        )
        state = State(initial_positions, draw(self.momentum_keys), jnp.zeros_like(initial_positions), empty, bias_state)
        return self._run(lists, self.spread(state), 0, 1, 0.0).state

    def frame(self, lists: ListParameters, state: State, number: int) -> Frame:
        """Frame `number`, from the state at the end of the one before it. Returns at once, before it is computed."""
        steps = self.config.steps_per_frame
        frame = self._run(lists, state, number * steps, steps // lists.interval, self.config.dt_ps)
        if self.bias:
            position, bias_state = frame.state.position, frame.state.bias_state
            bias_state = self._update(bias_state, position, self.system.box, frame.status == 0, np.int32(number + 1))
            frame = frame._replace(state=frame.state._replace(bias_state=bias_state))
        jax.tree.map(lambda array: array.copy_to_host_async(), frame)
        return frame

    def spread(self, tree):
        """Arrays (C, ...) on the devices of their replicas."""
        return jax.device_put(tree, NamedSharding(self.mesh, REPLICAS))

    def _run(self, lists: ListParameters, state: State, first_step: int, blocks: int, dt_ps: float) -> Frame:
        scalars = (np.int32(first_step), np.int32(blocks), state.position.dtype.type(dt_ps))
        arguments = (self.params, self.system, self.noise_keys, state, *scalars)
        leaves, tree = jax.tree.flatten(arguments)
        shapes = tuple(jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=getattr(x, "sharding", None)) for x in leaves)
        start = time.perf_counter()
        of_a_frame = replace(self.config, n_frames=1, seed=0)
        program = _compiled(self.potential, lists, of_a_frame, self.liquid, self.mesh, tree, shapes)
        self.compile_s += time.perf_counter() - start
        return program(*arguments)


_joined = lru_cache(maxsize=16)(add)  # the same function for the same two, for which a program may be there


@lru_cache(maxsize=16)
def _compiled(
    potential: Potential, lists: ListParameters, config: MDConfig, liquid: bool, mesh: Mesh, tree, shapes: tuple
):
    """The program of one frame for arguments of these shapes."""
    one = partial(_frame, potential, lists, config, liquid)
    batched = jax.vmap(one, AXES)
    if potential.advance:
        batched = partial(_frames_at_once, potential, lists, config, liquid)
    elif jax.default_backend() == "cpu":
        batched = _in_turns(one, config.replicas // mesh.size)
    specs = tuple(ALL if axis is None else REPLICAS for axis in AXES)
    program = jax.shard_map(batched, mesh=mesh, in_specs=specs, out_specs=REPLICAS, check_vma=False)
    # Else a single device's state would come back with a sharding of another name, and the program be compiled anew.
    return (
        jax.jit(program, out_shardings=NamedSharding(mesh, REPLICAS)).lower(*jax.tree.unflatten(tree, shapes)).compile()
    )


def _in_turns(one: Callable, replicas: int) -> Callable:
    """`one` for so many replicas, some of them at once and the rest after them: a processor's cache holds few beads."""

    def run(params, system, keys, states, *rest):
        most = max(1, BEADS_AT_ONCE // states.position.shape[1])
        at_once = max(n for n in range(1, min(most, replicas) + 1) if replicas % n == 0)
        batch = at_once if at_once > 1 else None
        return jax.lax.map(lambda replica: one(params, system, *replica, *rest), (keys, states), batch_size=batch)

    return run


AXES = (None, None, 0, 0, None, None, None)
"""Where the replicas are in the arguments of `_frame` from params on."""


def _frame(potential, lists, config, liquid, params, system, key, state, first_step, blocks, dt) -> Frame:
    """`blocks` times lists.interval steps of one replica; neighbours are found and noise is drawn once a block."""
    shape, dtype = state.position.shape, state.position.dtype
    params = params if state.bias_state is None else (params, state.bias_state)
    find, evaluate = neighbours(potential, lists, params, system.box)

    def block(number, carry):
        found = find(carry[0].position)
        first = first_step + number * lists.interval
        xi = noise(key, first, lists.interval, shape, dtype) if config.ensemble == "nvt" else None

        def one_step(carry, xi):
            state, usage = step(carry[0], xi, lambda x: evaluate(x, found), system.mass, dt, config)
            return (state, widest(carry[1], usage)), None

        return jax.lax.scan(one_step, carry, xi, length=lists.interval)[0]

    state, usage = jax.lax.fori_loop(0, blocks, block, (state, zero_usage(dtype)))
    energy = kinetic(state.momentum, system.mass)
    bits = status(state.position, energy, system, config, liquid)
    bits = bits | jnp.asarray((potential.listed or potential).check(state.position, system.box), bits.dtype)
    return Frame(state, energy, bits, usage)


def _frames_at_once(potential, lists, config, liquid, params, system, keys, states, first_step, blocks, dt) -> Frame:
    """`_frame` of all replicas by a potential that makes the steps itself: its noise is another, from the same keys."""
    dtype, slots = states.position.dtype, lists.capacity or max(states.position.shape[1] - 1, 1)
    kept = jnp.exp(-config.friction_per_ps * dt) if config.ensemble == "nvt" else jnp.ones((), dtype)
    about = jnp.stack([dt, kept, jnp.sqrt((1 - kept * kept) * kT(config.temperature_K))])
    words, box = jax.random.key_data(keys)[:, :2], jnp.where(jnp.isinf(system.box), 0.0, system.box)

    def block(number, carry):
        position, momentum, force, _, fullest = carry
        first = jnp.reshape(first_step + number * lists.interval, 1)
        given = system.mass, words, about, first, box, position, momentum, force
        *moved, energy, most = potential.advance(params, *given, steps=lists.interval, slots=slots)
        return *(x.astype(dtype) for x in (*moved, energy)), jnp.maximum(fullest, most)

    none = jnp.zeros(len(words), jnp.int32)
    start = states.position, states.momentum, states.force, states.energy, none
    *state, fullest = jax.lax.fori_loop(0, blocks, block, start)
    energy = jax.vmap(kinetic, (0, None))(state[1], system.mass)
    bits = jax.vmap(lambda position, energy: status(position, energy, system, config, liquid))(state[0], energy)
    usage = ListUsage(jnp.zeros(len(none), dtype), none, fullest, jnp.zeros(len(none), bool))
    return Frame(State(*state), energy, bits, usage)
