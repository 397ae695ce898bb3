"""A trained MACE packed for simulations on the CPU, checked against the model that it stands for."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ....geometry import displacement
from ....neighbors import closest, row_index
from ...barrier import Barrier
from ...barrier import build as build_barrier
from ...base import ListEnergy, Potential, PotentialError, add, force
from ..network import Model, build
from .arrays import Weights
from .call import BEADS, kernel_call
from .lanes import LANES
from .weights import weights

KNOTS = (256, 512, 1024, 2048)
TOLERANCE = 1e-5
CHECKED = 32
SHORTEST = 0.6
"""Of the shortest distance in the frames, where tables begin: well behind the wall of `barrier.repulsion`."""


class PackError(PotentialError):
    """A model that cannot be packed, with what was wanted and what was found."""


class Packed(NamedTuple):
    """potential and weights, to be handed on as potential and params; knots of its tables; relative errors, root mean square
    over 32 frames."""

    potential: Potential
    weights: Weights
    knots: int
    energy_error: float
    force_error: float


def pack(
    model: Model,
    params: dict,
    position: np.ndarray,
    box: np.ndarray,
    *,
    barriers: tuple[Barrier, ...] = (),
    tolerance: float = TOLERANCE,
    frames: Callable | None = None,
) -> Packed:
    """The potential of a trained MACE in single precision, as machine code for the CPU or by other `frames`.

    Its tables get knots until energies and forces are those of the model in double precision to `tolerance` on 32 of
    the frames, and on the same frames with their two closest beads moved together by a tenth.

    Args:
        position: (T, N, 3) nm, frames such as a simulation starts from.
        box: (3,) nm, inf where not periodic.
        barriers: those of `can_join`, which become part of it.
        frames: what computes it, with the arguments and results of `native_frames`.

    Raises:
        PackError: the tolerance is not met; the model has other sizes than the paper's (one or two layers, 32 channels,
            harmonics to degree 3, nu up to 3); or JAX does not compute on the CPU.
    """
    _require(model)
    if frames is None and jax.default_backend() != "cpu":
        raise PackError(f"machine code runs on the CPU, JAX computes on {jax.default_backend()}")
    energy = energy_by(frames or native_frames)
    position = np.asarray(position)
    box = np.asarray(box if model.capacity else np.full(3, np.inf), np.float64)
    chosen = position[np.unique(np.linspace(0, len(position) - 1, CHECKED).round().astype(int))].astype(np.float64)
    chosen = np.concatenate([chosen, [_closer(frame, box) for frame in chosen[: CHECKED // 4]]])
    chosen = chosen.astype(np.float32).astype(np.float64)  # both see the same positions
    shortest_nm = SHORTEST * float(closest(position, box).min())
    with jax.enable_x64(True):
        plain = add(build(model), *map(build_barrier, barriers))
        exact = _on_frames(plain, (jax.tree.map(np.float64, params), *({} for _ in barriers)), chosen, box)
        potential = _potential(model, energy)
        for knots in KNOTS:
            packed = weights(model, params, knots, shortest_nm, barriers)
            computed = _on_frames(potential, packed, chosen.astype(np.float32), box.astype(np.float32))
            errors = tuple(
                float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in zip(computed, exact, strict=True)
            )
            if max(errors) <= tolerance:
                return Packed(potential, jax.tree.map(jnp.asarray, packed), knots, *errors)
    raise PackError(
        f"packed energies and forces differ from the model's by {errors[0]:.1e} and {errors[1]:.1e} with {knots} knots; "
        f"want at most {tolerance:.0e}"
    )


def can_join(barrier: Barrier, model: Model) -> bool:
    """Whether a barrier sees no more than the network: beads of the same species, as a liquid or not, up to its cut-off."""
    same = barrier.species == model.species and (barrier.capacity is None) == (model.capacity is None)
    return same and barrier.reach_nm <= model.config.cutoff_nm


def _closer(position: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The frame (N, 3) with its two closest beads a tenth of their distance nearer."""
    i, j = np.triu_indices(len(position), 1)
    apart = displacement(position[i], position[j], box)
    pair = np.linalg.norm(apart, axis=1).argmin()
    moved = position.copy()
    moved[j[pair]] -= 0.1 * apart[pair]
    return moved


def _require(model: Model):
    c = model.config
    for name, found, wanted in (
        ("channels", c.channels, (LANES,)),
        ("max_ell", c.max_ell, (3,)),
        ("layers", c.layers, (1, 2)),
        ("correlation", c.correlation, (1, 2, 3)),
    ):
        if found not in wanted:
            raise PackError(f"want {name} of {' or '.join(map(str, wanted))} to pack a model, got {found}")


def _potential(model: Model, energy: Callable) -> Potential:
    cutoff, n = model.config.cutoff_nm, len(model.species)
    others = np.array([[j for j in range(n) if j != i] for i in range(n)], np.int32) if model.capacity is None else None

    def init(key):
        raise PackError("packed weights are not drawn: take those that came with the potential")

    if others is not None:
        return Potential(
            init, lambda params, position, box: energy(params, position, jnp.full(3, jnp.inf), others), model=model
        )

    def of_rows(params, position, box):
        index, full = row_index(position, box, cutoff, model.capacity)
        return jnp.where(full, jnp.nan, 1.0).astype(position.dtype) * energy(params, position, box, index)

    plain = build(model)
    return Potential(init, of_rows, True, plain.check, ListEnergy(cutoff, energy, narrows=True), model)


@cache
def energy_by(frames: Callable) -> Callable:
    """energy(params, position (N, 3) nm, box, index (N, K)), N in empty slots: kJ/mol of one frame, its gradient with it.

    frames: as `native_frames`.
    """

    @jax.custom_batching.custom_vmap
    def evaluate(params, position, box, index):
        value, forces = frames(params, position[None], box, index)
        return value[0], forces[0]

    @evaluate.def_vmap
    def batched(size, batched, params, position, box, index):
        if any(jax.tree.leaves(batched[0])) or batched[2]:
            raise PackError("want one set of weights and one box for all frames of a batch")
        position = position if batched[1] else jnp.broadcast_to(position, (size, *position.shape))
        return frames(params, position, box, index), (True, True)

    @jax.custom_vjp
    def energy(params, position, box, index):
        return evaluate(params, position, box, index)[0]

    def forward(params, position, box, index):
        value, forces = evaluate(params, position, box, index)
        return value, (forces, params, box)

    def backward(kept, change):
        forces, params, box = kept
        return jax.tree.map(_no_change, params), -change * forces, jnp.zeros_like(box), None

    energy.defvjp(forward, backward)
    return energy


def _no_change(array):
    return (
        jnp.zeros_like(array) if jnp.issubdtype(array.dtype, jnp.floating) else np.zeros(array.shape, jax.dtypes.float0)
    )


def native_frames(params: Weights, position: Array, box: Array, index: Array) -> tuple[Array, Array]:
    """Energies (B,) and forces (B, N, 3) of frames with one list (N, K) or each with its own (B, N, K)."""
    results = (jax.ShapeDtypeStruct(position.shape[:1], jnp.float32), jax.ShapeDtypeStruct(position.shape, jnp.float32))
    period = jnp.where(jnp.isinf(box), 0.0, box).astype(jnp.float32)
    index = jnp.asarray(index, jnp.int32)
    index = index[None] if index.ndim == 2 else index
    # Numba's threads are shared by all of JAX's devices: with several of these, each has one frame after the other.
    shared = (len(position) > 1 or position.shape[1] >= 2 * BEADS) and jax.device_count() == 1
    shared = jnp.full(1, shared, jnp.int32)
    found = kernel_call()(results, position.astype(jnp.float32), period, index, *params, shared)
    return tuple(array.astype(position.dtype) for array in found)


def _on_frames(potential: Potential, params, position: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energies and forces of frames in the precision of their positions."""
    both = jax.jit(lambda x: (potential.energy(params, x, box), force(potential, params, x, box)))
    energies, forces = zip(*(both(x) for x in position), strict=True)
    return np.asarray(energies, np.float64), np.asarray(forces, np.float64)
