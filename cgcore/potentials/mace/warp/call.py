"""The kernels as one call of JAX: forces of frames, or all steps of a frame of the simulation, enqueued together.

On a graphics card Warp captures the launches of a call as a graph and starts that again for the same buffers; on the
processor they are made one after the other.
"""

import inspect
from functools import cache, partial

import jax
import jax.numpy as jnp
import warp as wp
from jax import Array

from ..native.arrays import Weights as Packed
from . import kernel
from .arrays import Floats, Scratch, Vectors, Weights, Whole, Wholes
from .dynamics import integrate
from .lanes import LANES, SPHERICAL, Rows

FEW, WARPS = 4000, 4
"""Of so few beads each has so many warps of the card; else one, for there are enough of them."""
SUMS, COUPLED = 21, 7
"""Rows that a path has at most among the sums over neighbours, and among the coupled ones."""

STATE = dict(mass=Floats, keys=wp.array2d(dtype=wp.uint32), about=Floats, first_step=Whole, box=Floats)
MOVED = dict(position=Vectors, momentum=Vectors, force=Vectors)
GIVEN = {name: var.type for name, var in Weights.vars.items()} | STATE | MOVED
RESULTS = dict(energy=Floats, fullest=Whole, beads=Rows, edges=Rows, slots=Wholes, count=Whole, of_bead=Floats)


def frames(weights: Packed, position: Array, box: Array, index: Array) -> tuple[Array, Array]:
    """Energies (B,) and forces (B, N, 3) of frames (B, N, 3) nm, as `native.pack.native_frames`.

    Neighbours are found here: of the lists (N, K) or (B, N, K) only the number of slots counts. A frame with a bead of more
    neighbours has the energy NaN.
    """
    slots = index.shape[-1]
    period = jnp.where(jnp.isinf(box), 0.0, box)
    none = jnp.zeros(position.shape)
    keys = jnp.zeros((len(position), 2), jnp.uint32)
    masses = jnp.ones(position.shape[1])
    state = (jnp.zeros(3), jnp.zeros(1, jnp.int32), period)
    _, _, force, energy, fullest = advance(weights, masses, keys, *state, position, none, none, steps=0, slots=slots)
    energy = jnp.where(fullest > slots, jnp.nan, energy)
    return energy.astype(position.dtype), force.astype(position.dtype)


@partial(jax.jit, static_argnames=("steps", "slots", "warps"))
def advance(
    weights: Packed,
    mass: Array,
    keys: Array,
    about: Array,
    first_step: Array,
    box: Array,
    position: Array,
    momentum: Array,
    force: Array,
    *,
    steps: int,
    slots: int,
    warps: int | None = None,
) -> tuple[Array, Array, Array, Array, Array]:
    """So many steps of B frames (B, N, 3) with their forces; with none, the energies and forces alone.

    keys: (B, 2) of 32 bits, from which each frame has its noise; about (3,) and first_step (1,) as `dynamics.integrate` has
    them; box (3,) nm, zero where not periodic; slots: for the neighbours of a bead.

    Returns position, momentum, force, energy (B,) at the end, and the most neighbours (B,) that a bead had.
    """
    shape, (n_frames, n) = position.shape, position.shape[:2]
    beads, paths = n_frames * n, len(weights.paths)
    if warps is None:
        warps = WARPS if beads <= FEW and jax.default_backend() != "cpu" else 1
    rows = {name: (beads * sum(parts.values()), LANES) for name, parts in _parts(paths, slots).items()}
    sizes = dict(energy=n_frames, fullest=beads, slots=(3 * beads, slots), count=beads, of_bead=beads) | rows
    named = weights._asdict() | {"mass": mass, "keys": keys, "about": about, "first_step": first_step, "box": box}
    named |= {name: x.reshape(-1, 3) for name, x in zip(MOVED, (position, momentum, force), strict=True)}
    given = [_as(kind, named[name]) for name, kind in GIVEN.items()]
    results = _callable()(*given, steps, warps, output_dims=sizes)
    position, momentum, force = (x.reshape(shape) for x in results[:3])
    return position, momentum, force, results[3], results[4].reshape(n_frames, n).max(1)


def _as(kind, array: Array) -> Array:
    """An array in the type of a kernel's argument, rows of channels one after the other."""
    array = jnp.asarray(array, wp.dtype_to_jax(getattr(kind.dtype, "_wp_scalar_type_", kind.dtype)))
    return array.reshape(-1, array.shape[-1]) if kind is Rows else array


@cache
def _callable():
    """The function of JAX."""
    wp.config.enable_cpu_blocks = True  # threads of a block as fibers, read when a kernel is built or launched
    wp.config.log_level = wp.LOG_WARNING
    arguments = GIVEN | {"steps": int, "warps": int} | RESULTS
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in arguments]
    _launch_all.__signature__ = inspect.Signature(parameters)
    _launch_all.__annotations__ = arguments
    on_card = jax.default_backend() != "cpu"
    if on_card:  # a graph is captured of kernels that are there
        for device in map(wp.device_from_jax, jax.local_devices()):
            integrate.module.load(device, LANES)
            for warps in (1, WARPS):
                kernel.first_layer.module.load(device, LANES * warps)
    return wp.jax_callable(
        _launch_all,
        num_outputs=len(MOVED) + len(RESULTS),
        in_out_argnames=list(MOVED),
        graph_mode=wp.JaxCallableGraphMode.WARP if on_card else wp.JaxCallableGraphMode.NONE,
        module_preload_mode=wp.JaxModulePreloadMode.NONE,
        vmap_method=None,
    )


def _launch_all(*arrays):
    """All launches of a call, of arrays as `GIVEN` and `RESULTS` name them."""
    given = dict(zip([*GIVEN, "steps", "warps", *RESULTS], arrays, strict=True))
    w, s = Weights(), Scratch()
    for name in Packed._fields:
        setattr(w, name, given[name])
    beads, slots, paths = len(given["count"]), given["slots"].shape[1], w.paths.shape[0]
    parts = _parts(paths, slots) | {"slots": dict(who=1, back_slot=1, knot=1)}
    for name in parts:
        _cut(s, given[name], beads, parts[name])
    s.count, s.energy = given["count"], given["of_bead"]
    given["fullest"].zero_()
    steps, width = given["steps"], LANES * given["warps"]
    dynamic = [given[name] for name in ("mass", "keys", "about", "first_step")]
    moved = [given[name] for name in (*MOVED, "energy")]

    def bead_by_bead(number: int):
        wp.launch(integrate, (beads, LANES), [s, *dynamic, number, steps, *moved], block_dim=LANES)

    if steps:
        bead_by_bead(0)
    for number in range(1, steps + 1) if steps else [-1]:
        wp.launch(
            kernel.first_layer,
            (beads, width),
            [w, s, given["position"], given["box"], given["fullest"]],
            block_dim=width,
        )
        if paths:
            wp.launch(kernel.second_layer, (beads, width), [w, s], block_dim=width)
        wp.launch(kernel.pull_first_layer, (beads, width), [w, s], block_dim=width)
        bead_by_bead(number)


def _parts(paths: int, slots: int) -> dict[str, dict[str, int]]:
    """Rows of each field of the scratch for one bead, in the arrays that hold them."""
    of_bead = dict(a=SPHERICAL, first=1, sent=4, by_first=1, mixed=SPHERICAL, da=SPHERICAL, b=4)
    sums = dict(sums=max(paths, 1) * SUMS, coupled=max(paths, 1) * COUPLED)
    of_edge = dict(edge=1, change=1, value=paths, slope=paths, back=4)
    return {"beads": of_bead | sums, "edges": {name: slots * n for name, n in of_edge.items()}}


def _cut(s: Scratch, room: wp.array, times: int, sizes: dict[str, int]):
    """Fields of the scratch as parts of one array."""
    start = 0
    for name, size in sizes.items():
        setattr(s, name, room[start : start + times * size])
        start += times * size
