"""Ranges of pair distances that no reference frame has, though shorter and longer distances occur.

A model trained on the frames extrapolates there. No symmetry decides what it makes of such a range, but chance: a network
that lets beads pass takes non-bonded neighbours down to the distances of bonds. The doctor names the ranges, and the
barrier prior keeps simulations out of them.
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from .geometry import displacement, molecules
from .neighbors import in_box

REACH_NM = 0.45
"""Distances up to this are looked at; beyond it any two beads may meet."""
GAP_NM = 0.02
"""Width between two sampled distances next to each other from which on it counts as a range without samples."""
HELD = 3
"""Beads up to so many bonds apart are held by bonds, angles and dihedrals; all others are non-bonded."""
CLOSING = 0.8
"""A range is still closing where it has less than this part of the width that it has in half of the frames."""
HALF_BOX = 0.499
"""Part of the shortest side of a box up to which a pair has one nearest image."""


class UnsampledRange(NamedTuple):
    """One range of distances without a pair of beads, of one pair of species.

    pair: the two species; low, high: its ends, nm; in_half: its width in every second frame, nm, inf where that cannot be
    told; bonded: whether bonds of the pair are shorter; nonbonded, intermolecular: whether the closest pair that no bonds,
    angles or dihedrals hold, and of two molecules, is at its upper end; frames: looked at.
    """

    pair: tuple[int, int] | str
    low: float
    high: float
    in_half: float
    bonded: bool
    nonbonded: bool
    intermolecular: bool
    frames: int

    @property
    def between(self) -> bool:
        """Whether it lies between bonds and non-bonded neighbours."""
        return self.bonded and self.nonbonded

    @property
    def closing(self) -> bool:
        """Whether more frames would narrow it: its width says more about the length of the reference than about physics."""
        return self.high - self.low < CLOSING * self.in_half


def unsampled_ranges(
    species, bonds: np.ndarray, position: np.ndarray, box: np.ndarray, *, from_zero: bool = False
) -> tuple[UnsampledRange, ...]:
    """Find the ranges below REACH_NM without samples, by pair of species and rising distance.

    Args:
        species: N numbers from 0.
        bonds: (P, 2) of the beads.
        position: (T, N, 3) nm, wrapped or not.
        box: (3,) nm, inf where not periodic.
        from_zero: also return the range from zero to the closest pair, as the first of every pair of species; it ends at
            REACH_NM for species that never come so near.
    """
    species = np.asarray(species)
    frame, i, j, r = _near_pairs(position, np.asarray(box, float))
    bonds_between = _bonds_between(bonds, len(species))[i, j]
    molecule = molecules(bonds, len(species))
    labels = np.sort(np.stack([species[i], species[j]]), axis=0)
    if from_zero:
        pairs = [(a, b) for a in range(species.max() + 1) for b in range(a, species.max() + 1)]
    else:
        pairs = [(int(a), int(b)) for a, b in np.unique(labels, axis=1).T]
    ranges = []
    for a, b in pairs:
        mine = (labels[0] == a) & (labels[1] == b)
        of_bonds = r[mine & (bonds_between == 1)].min(initial=np.inf)
        nonbonded = r[mine & (bonds_between > HELD)].min(initial=np.inf)
        intermolecular = r[mine & (molecule[i] != molecule[j])].min(initial=np.inf)
        every, half = np.sort(r[mine]), np.sort(r[mine & (frame % 2 == 0)])
        gaps = np.flatnonzero(np.diff(every) > GAP_NM)
        ends = list(zip(every[gaps], every[gaps + 1], strict=True))
        if from_zero:
            ends.insert(0, (0.0, every[0] if len(every) else REACH_NM))
        for low, high in ends:
            at = int(np.searchsorted(half, (low + high) / 2))
            ranges.append(
                UnsampledRange(
                    pair=(a, b),
                    low=float(low),
                    high=float(high),
                    in_half=float(half[at] - half[at - 1]) if 0 < at < len(half) else float("inf"),
                    bonded=bool(of_bonds <= low),
                    nonbonded=bool(high <= nonbonded < high + GAP_NM),
                    intermolecular=bool(high <= intermolecular < high + GAP_NM),
                    frames=len(position),
                )
            )
    return tuple(ranges)


def _near_pairs(position: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Frame, beads i < j and distance (nm) of all pairs up to REACH_NM, (Q,) each."""
    pairs, distance = [], []
    for x in position:
        points, period = in_box(x, box)
        near = cKDTree(points, boxsize=period).query_pairs(min(REACH_NM, HALF_BOX * box.min()), output_type="ndarray")
        pairs.append(near.reshape(-1, 2))
        distance.append(np.linalg.norm(displacement(points[near[:, 0]], points[near[:, 1]], box), axis=-1))
    i, j = np.concatenate(pairs).T
    return np.repeat(np.arange(len(pairs)), [len(p) for p in pairs]), i, j, np.concatenate(distance)


def _bonds_between(bonds: np.ndarray, n: int) -> np.ndarray:
    """(N, N) number of bonds on the shortest path between two beads, inf for more than HELD."""
    i, j = np.asarray(bonds, int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(i)), (i, j)), shape=(n, n)).tocsr()
    return dijkstra(graph, directed=False, unweighted=True, limit=HELD)
