"""A potential that is zero wherever pairs of beads were seen, and high where they never were.

A network is trained where the reference has been. Between the longest bond and the shortest distance of other beads lies
a range that no frame has, and what a network makes of it is chance: beads of two molecules that get there may bond. Read
off the reference by species alone, this potential knows no more of bonds than the network does. Below the shortest
distance d it is a harmonic wall, k (d - r)^2 / 2; in a gap from a to b a hill of the same stiffness k at its feet,

    U = k w^2 x^2 (1 - x)^2 / 2,  x = (r - a) / w,  w = b - a,

of height k w^2 / 32. Both meet zero with zero slope.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.spatial import cKDTree

from ..frames import Frames
from ..neighbors import Edges, capacity_for, in_box
from .base import Potential, with_neighbours

STIFFNESS = 1e6
"""kJ/mol/nm^2: a hill over 0.07 nm is 150 kJ/mol high, and a step of 2 fs is short enough for it."""
GAP_NM = 0.02
"""Between two distances next to each other, from which on nobody was there on purpose."""
REACH_NM = 0.45
"""Distances up to this are looked at; beyond it any two beads may meet."""


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """Ranges without any pair of beads: (S, S, G, 2) nm, from and to; the first of a pair of species begins at zero,
    and those that are not needed are empty (inf, inf). capacity: slots of a liquid's rows, None for a molecule."""

    species: tuple[int, ...]
    ranges: np.ndarray
    capacity: int | None

    @property
    def reach_nm(self) -> float:
        return float(self.ranges[np.isfinite(self.ranges)].max())


def for_frames(species: tuple[int, ...], frames: Frames, *, liquid: bool) -> Unseen:
    """The ranges below REACH_NM that the frames leave empty; all of it for species that never come so near."""
    box = np.asarray(frames.box if liquid else np.full(3, np.inf), float)
    kinds, count = np.asarray(species), max(species) + 1
    found = [[[] for _ in range(count)] for _ in range(count)]
    for frame in np.asarray(frames.position, float):
        points, period = in_box(frame, box)
        pairs = cKDTree(points, boxsize=period).query_pairs(REACH_NM, output_type="ndarray")
        d = points[pairs[:, 0]] - points[pairs[:, 1]]
        d -= np.where(period > 0, period * np.rint(d / np.where(period > 0, period, 1.0)), 0.0)
        r, ends = np.linalg.norm(d, axis=1), np.sort(kinds[pairs], axis=1)
        for a, b in np.unique(ends, axis=0):
            found[a][b].append(r[(ends == (a, b)).all(1)])
    empty = {(a, b): _empty(found[a][b]) for a in range(count) for b in range(a, count)}
    ranges = np.full((count, count, max(map(len, empty.values())), 2), np.inf)
    for (a, b), several in empty.items():
        ranges[a, b, : len(several)] = ranges[b, a, : len(several)] = several
    reach = ranges[np.isfinite(ranges)].max()
    slots = max(1, capacity_for(np.asarray(frames.position), box, float(reach))) if liquid else None
    return Unseen(species=tuple(species), ranges=ranges, capacity=slots)


def build(unseen: Unseen) -> Potential:
    """The potential, without parameters."""
    species, ranges = jnp.asarray(unseen.species), jnp.asarray(unseen.ranges)

    def energy(params, edges: Edges) -> Array:
        low, high = jnp.moveaxis(ranges[species[edges.ends[0]], species[edges.ends[1]]], -1, 0)
        low, high = low.astype(edges.distance.dtype), high.astype(edges.distance.dtype)
        r = edges.distance[:, None]
        wall = jnp.maximum(high[:, :1] - r, 0.0) ** 2
        real = jnp.isfinite(low)
        width = jnp.where(real, high, 1.0) - jnp.where(real, low, 0.0)
        x = jnp.clip((r - jnp.where(real, low, 0.0)) / width, 0.0, 1.0)
        hill = jnp.where(real, width**2 * x**2 * (1 - x) ** 2, 0.0)
        each = STIFFNESS / 2 * (wall[:, 0] + hill[:, 1:].sum(-1))
        return edges.expand(each).sum() / 2

    return with_neighbours(lambda key: {}, energy, unseen.reach_nm, unseen.capacity)


def _empty(distances: list[np.ndarray]) -> list[tuple[float, float]]:
    if not distances:
        return [(0.0, REACH_NM)]
    r = np.sort(np.concatenate(distances))
    gaps = np.flatnonzero(np.diff(r) > GAP_NM)
    return [(0.0, float(r[0])), *((float(r[k]), float(r[k + 1])) for k in gaps)]
