"""Priors that are high where the reference has no pair of beads, and zero wherever it has.

A network is trained where the reference has been. Between the longest bond and the shortest distance of other beads lies
a range that no frame has, and what a network makes of it is chance: beads of two molecules that get there may bond. Read
off the reference by species alone, a barrier knows no more of bonds than the network does. Below the shortest distance d
it is a harmonic wall, k (d - r)^2 / 2; in a gap from a to b a hill of the same stiffness k at its feet,

    U = k w^2 x^2 (1 - x)^2 / 2,  x = (r - a) / w,  w = b - a,

of height k w^2 / 32. Both meet zero with zero slope. `repulsion` is the wall alone, below the shortest distance of any two
beads.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import Array

from ..frames import Frames
from ..neighbors import Edges, capacity_for, closest
from ..unsampled import unsampled_ranges
from .base import Potential, with_neighbours

STIFFNESS = 1e6
"""kJ/mol/nm^2 of a barrier: a hill over 0.07 nm is 150 kJ/mol high, and a step of 2 fs is short enough for it."""
REPULSION = 1e5
"""kJ/mol/nm^2 of the wall below the shortest distance of all."""
BELOW_CLOSEST = 0.999  # of it: what single precision makes of that distance stays outside


@dataclass(frozen=True, kw_only=True, eq=False)
class Barrier:
    """Ranges of distance without any pair of beads.

    ranges: (S, S, G, 2) nm, from and to, by the species of both beads; the first begins at zero, and those that are not
    needed are empty (inf, inf). stiffness: kJ/mol/nm^2. capacity: slots of a liquid's rows, None for a molecule.
    """

    species: tuple[int, ...]
    ranges: np.ndarray
    stiffness: float
    capacity: int | None

    @property
    def reach_nm(self) -> float:
        return float(self.ranges[np.isfinite(self.ranges)].max())


def for_frames(species: tuple[int, ...], frames: Frames, *, liquid: bool) -> Barrier:
    """The ranges below `unsampled.REACH_NM` that the frames leave empty; all of it for species that never come so near."""
    count = max(species) + 1
    empty = [[[] for _ in range(count)] for _ in range(count)]
    position, no_bonds = np.asarray(frames.position, float), np.zeros((0, 2), int)
    for r in unsampled_ranges(species, no_bonds, position, _box(frames, liquid), from_zero=True):
        empty[r.pair[0]][r.pair[1]].append((r.low, r.high))
    ranges = np.full((count, count, max(len(several) for row in empty for several in row), 2), np.inf)
    for a in range(count):
        for b in range(a, count):
            ranges[a, b, : len(empty[a][b])] = ranges[b, a, : len(empty[a][b])] = empty[a][b]
    return _barrier(species, ranges, STIFFNESS, frames, liquid)


def repulsion(species: tuple[int, ...], frames: Frames, *, liquid: bool) -> Barrier:
    """The range below the shortest distance of any two beads in the frames, of which a network knows nothing."""
    shortest = BELOW_CLOSEST * float(closest(np.asarray(frames.position), _box(frames, liquid)).min())
    ranges = np.broadcast_to([0.0, shortest], (max(species) + 1, max(species) + 1, 1, 2)).copy()
    return _barrier(species, ranges, REPULSION, frames, liquid)


def build(barrier: Barrier) -> Potential:
    """The potential, without parameters."""
    species, ranges = jnp.asarray(barrier.species), jnp.asarray(barrier.ranges)

    def energy(params, edges: Edges) -> Array:
        low, high = jnp.moveaxis(ranges[species[edges.ends[0]], species[edges.ends[1]]], -1, 0)
        low, high = low.astype(edges.distance.dtype), high.astype(edges.distance.dtype)
        r = edges.distance[:, None]
        wall = jnp.maximum(high[:, :1] - r, 0.0) ** 2
        real = jnp.isfinite(low)
        width = jnp.where(real, high, 1.0) - jnp.where(real, low, 0.0)
        x = jnp.clip((r - jnp.where(real, low, 0.0)) / width, 0.0, 1.0)
        hill = jnp.where(real, width**2 * x**2 * (1 - x) ** 2, 0.0)
        each = barrier.stiffness / 2 * (wall[:, 0] + hill[:, 1:].sum(-1))
        return edges.expand(each).sum() / 2

    return with_neighbours(lambda key: {}, energy, barrier.reach_nm, barrier.capacity, model=barrier)


def _box(frames: Frames, liquid: bool) -> np.ndarray:
    """A molecule's beads see each other directly, whatever box the reference had."""
    return np.asarray(frames.box if liquid else np.full(3, np.inf), float)


def _barrier(species, ranges: np.ndarray, stiffness: float, frames: Frames, liquid: bool) -> Barrier:
    reach = float(ranges[np.isfinite(ranges)].max())
    slots = max(1, capacity_for(np.asarray(frames.position), _box(frames, liquid), reach)) if liquid else None
    return Barrier(species=tuple(species), ranges=ranges, stiffness=stiffness, capacity=slots)
