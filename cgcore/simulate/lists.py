"""For how long a liquid's neighbours last, and how much room they need.

Candidates, all beads within cut-off + skin, are found every `interval` steps; before each energy those within the
cut-off are picked from them, in rising order, here or by the potential, so that the list behind them leaves no trace in
the numbers. A list holds while no bead has moved by more than half the skin. What a frame needed is measured on the way; a
frame that needed more than its lists hold is computed again, with more room.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..config import MDConfig
from ..neighbors import all_rows, cell_index, fullest_cell, fullest_row, narrow
from ..potentials.base import Potential
from ..units import kT

CELLS_FROM = 2_000
"""Beads from which on neighbours are looked for in cells only."""

SIGMAS = 7
"""Standard deviations that a bead may move before its list is made anew: more in one of 10^9 cases."""

SKIN = 0.2
"""Longest skin, as a part of the cut-off."""

MARGIN = 1.1
"""Slots for each that is needed."""


@dataclass(frozen=True, kw_only=True)
class ListParameters:
    """How neighbours are found; hashable, since programs are compiled for it.

    interval: steps between lists; candidates, capacity: slots of a row within cut-off + skin and within the cut-off;
    cells: into which the box is cut, each with cell_capacity slots, None where all beads are looked at.
    """

    interval: int
    skin_nm: float = 0.0
    candidates: int = 0
    capacity: int = 0
    cells: tuple[int, int, int] | None = None
    cell_capacity: int = 0

    def numbers(self) -> dict:
        """For a table; nothing where there is no list."""
        names = {"list_interval": self.interval, "list_skin_nm": self.skin_nm, "list_slots": self.capacity}
        return names if self.capacity else {}


class ListUsage(NamedTuple):
    """What a list had to hold: nm moved by the fastest bead, longest rows; and whether cells overflowed."""

    moved: Array
    candidates: Array
    capacity: Array
    cells: Array


def zero_usage(dtype) -> ListUsage:
    """Return the usage before the first step."""
    none = jnp.zeros((), jnp.int32)
    return ListUsage(moved=jnp.zeros((), dtype), candidates=none, capacity=none, cells=jnp.zeros((), bool))


def first_parameters(
    cutoff_nm: float | None, initial_positions: np.ndarray, mass, box, config: MDConfig, *, at_once: bool = False
) -> ListParameters:
    """Return the parameters to begin with: the longest interval whose thermal motion a short skin holds, room as the initial positions need.

    Without a cut-off there is no list, and the interval is that at which noise is drawn. at_once: whether the potential makes
    all steps of a frame and finds its neighbours before each.
    """
    n, box = initial_positions.shape[1], np.asarray(box, float)
    if at_once:
        slots = _room(fullest_row(initial_positions, box, cutoff_nm), n) if cutoff_nm else 0
        return ListParameters(interval=config.steps_per_frame, capacity=slots)
    intervals = [n for n in range(1, config.steps_per_frame + 1) if config.steps_per_frame % n == 0]
    if cutoff_nm is None:
        return ListParameters(interval=max(n for n in intervals if n <= 50))
    skins = {n: 2 * SIGMAS * thermal_motion(n * config.dt_ps, float(np.min(mass)), config) for n in intervals}
    interval = max((n for n in intervals if skins[n] <= SKIN * cutoff_nm), default=1)
    reach = cutoff_nm + skins[interval]
    lists = ListParameters(
        interval=interval,
        skin_nm=skins[interval],
        candidates=_room(fullest_row(initial_positions, box, reach), n),
        capacity=_room(fullest_row(initial_positions, box, cutoff_nm), n),
    )
    if n < CELLS_FROM or np.isinf(box).any() or (box < 3 * reach).any():
        return lists
    cells = tuple(int(side) for side in box // reach)
    return replace(lists, cells=cells, cell_capacity=_room(fullest_cell(initial_positions, box, cells), n))


def thermal_motion(time_ps: float, mass: float, config: MDConfig) -> float:
    """Standard deviation (nm, one direction) of a free bead's displacement.

    sqrt(2 kT / m) / gamma * sqrt(gamma t - 1 + exp(-gamma t)), without friction sqrt(kT / m) t.
    """
    thermal = kT(config.temperature_K) / mass
    x = 0.0 if config.ensemble == "nve" else config.friction_per_ps * time_ps
    return time_ps * math.sqrt(thermal) * (math.sqrt(2 * (x + math.expm1(-x))) / x if x > 1e-3 else 1.0)


def neighbours(potential: Potential, lists: ListParameters, params, box: Array) -> tuple[Callable, Callable]:
    """find(position (N, 3)) -> found, and evaluate(position, found) -> energy, force (N, 3), what the list had to hold."""
    if potential.listed is None:
        direct = jax.value_and_grad(lambda position: potential.energy(params, position, box))

        def evaluate_all(position, found):
            energy, slope = direct(position)
            return energy, -slope, zero_usage(position.dtype)

        return lambda position: None, evaluate_all

    cutoff = potential.listed.cutoff_nm
    reach = cutoff + lists.skin_nm
    of_rows = jax.value_and_grad(lambda position, index: potential.listed.energy(params, position, box, index))

    def find(position):
        if lists.cells is None:
            return position, *all_rows(position, box, reach, lists.candidates), jnp.zeros((), bool)
        around, full = cell_index(position, box, lists.cells, lists.cell_capacity)
        return position, *narrow(position, box, around, reach, lists.candidates), full

    def evaluate(position, found):
        start, candidates, longest, full = found
        moved = jnp.sqrt(jnp.max(jnp.sum((position - start) ** 2, axis=-1)))
        index, fullest = candidates, jnp.zeros((), longest.dtype)
        if not potential.listed.narrows:
            index, fullest = narrow(position, box, candidates, cutoff, lists.capacity)
        energy, slope = of_rows(position, index)
        return energy, -slope, ListUsage(moved, longest, fullest, full)

    return find, evaluate


def may_have_missed(lists: ListParameters, usage: ListUsage, status: np.ndarray) -> np.ndarray:
    """(C,) where neighbours may have been missed: more of them than slots, or a bead that moved by half the skin.

    The latter is let pass in frames of a failed status: what comes near unseen is at the cut-off, where no force is, so
    the failure made the bead fast and not the reverse.
    """
    short = (usage.candidates > lists.candidates) | (usage.capacity > lists.capacity) | usage.cells
    return (lists.capacity > 0) & (short | ((usage.moved > lists.skin_nm / 2) & (status == 0)))


def reallocate(
    lists: ListParameters, usage: ListUsage, missed: np.ndarray, n_beads: int, config: MDConfig
) -> ListParameters:
    """Return the parameters that replicas which `missed` neighbours need; the same where none did, or there are none."""
    if not missed.any():
        return lists
    usage = ListUsage(*(array[missed].max() for array in usage))
    shorter = [n for n in range(1, lists.interval) if config.steps_per_frame % n == 0]
    return replace(
        lists,
        interval=max(shorter, default=1) if usage.moved > lists.skin_nm / 2 else lists.interval,
        candidates=max(
            lists.candidates, _room(usage.candidates, n_beads) if usage.candidates > lists.candidates else 0
        ),
        capacity=max(lists.capacity, _room(usage.capacity, n_beads) if usage.capacity > lists.capacity else 0),
        cell_capacity=_room(lists.cell_capacity, n_beads) if usage.cells else lists.cell_capacity,
    )


def widest(usage: ListUsage, other: ListUsage) -> ListUsage:
    """The larger of each."""
    return ListUsage(*map(jnp.maximum, usage, other))


def _room(needed: int, n_beads: int) -> int:
    return min(math.ceil(MARGIN * int(needed)) + 1, max(n_beads - 1, 1))
