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
from scipy.spatial import cKDTree

from ..frames import Frames
from ..neighbors import Edges, capacity_for, closest, in_box
from .base import Potential, with_neighbours

STIFFNESS = 1e6
"""kJ/mol/nm^2 of a barrier: a hill over 0.07 nm is 150 kJ/mol high, and a step of 2 fs is short enough for it."""
REPULSION = 1e5
"""kJ/mol/nm^2 of the wall below the shortest distance of all."""
BELOW_CLOSEST = 0.999  # of it: what single precision makes of that distance stays outside
GAP_NM = 0.02
"""Between two sampled distances next to each other, from which on the range counts as unsampled."""
REACH_NM = 0.45
"""Distances up to this are looked at; beyond it any two beads may meet."""


@dataclass(frozen=True, kw_only=True)
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
    """The ranges below REACH_NM that the frames leave empty; all of it for species that never come so near."""
    box, kinds, count = _box(frames, liquid), np.asarray(species), max(species) + 1
    sampled = [[[] for _ in range(count)] for _ in range(count)]
    for frame in np.asarray(frames.position, float):
        points, period = in_box(frame, box)
        pairs = cKDTree(points, boxsize=period).query_pairs(REACH_NM, output_type="ndarray")
        d = points[pairs[:, 0]] - points[pairs[:, 1]]
        d -= np.where(period > 0, period * np.rint(d / np.where(period > 0, period, 1.0)), 0.0)
        r, ends = np.linalg.norm(d, axis=1), np.sort(kinds[pairs], axis=1)
        for a, b in np.unique(ends, axis=0):
            sampled[a][b].append(r[(ends == (a, b)).all(1)])
    empty = {(a, b): _empty(sampled[a][b]) for a in range(count) for b in range(a, count)}
    ranges = np.full((count, count, max(map(len, empty.values())), 2), np.inf)
    for (a, b), several in empty.items():
        ranges[a, b, : len(several)] = ranges[b, a, : len(several)] = several
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


def _empty(distances: list[np.ndarray]) -> list[tuple[float, float]]:
    if not distances:
        return [(0.0, REACH_NM)]
    r = np.sort(np.concatenate(distances))
    gaps = np.flatnonzero(np.diff(r) > GAP_NM)
    return [(0.0, float(r[0])), *((float(r[k]), float(r[k + 1])) for k in gaps)]
