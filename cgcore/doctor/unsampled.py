"""Distances that no reference frame has, though shorter and longer ones occur: there a model trained on these frames guesses.

No symmetry decides what happens there, but chance: a network that makes such a range passable lets strangers through it,
down to the distances of bonds. `cgcore.potentials.unseen` puts walls into the same ranges.
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array, eye_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from cgcore.analysis.sample import wrapped
from cgcore.mapping import Mapping

REACH_NM, GAP_NM = 0.45, 0.02
"""Distances that are looked at, and what counts as a gap between two that are next to each other: as in `potentials.unseen`."""
HELD = 3
"""Beads so many bonds apart are held by bonds, angles and dihedrals; all others are strangers."""
MOST_FRAMES = {True: 1000, False: 5000}
"""Frames that are looked at, evenly spread, of a liquid and of a molecule."""
CLOSING = 0.8
"""A range is still closing where it has less than this part of the width that it has in half of the frames."""


class Unsampled(NamedTuple):
    """One range without a pair of beads, of one pair of species. low, high: its ends, nm; in_half: its width in every second
    frame, nm; bonded: whether bonds are shorter; strangers: whether beads that no bonds, angles or dihedrals hold
    come to its upper end; others: whether beads of other molecules do; frames: looked at."""

    pair: str
    low: float
    high: float
    in_half: float
    bonded: bool
    strangers: bool
    others: bool
    frames: int

    @property
    def on_the_way(self) -> bool:
        """Whether it lies between bonds and strangers."""
        return self.bonded and self.strangers

    @property
    def closing(self) -> bool:
        """Whether more frames would narrow it: its width says more about the length of the reference than about physics."""
        return self.high - self.low < CLOSING * self.in_half


def unsampled(mapping: Mapping, position: np.ndarray, box: np.ndarray) -> tuple[Unsampled, ...]:
    """The ranges below REACH_NM, pair by pair of species; position: (T, N, 3) nm, box: (3,) nm, inf if open."""
    periodic = bool(np.isfinite(box).all())
    x = position[:: max(1, len(position) // MOST_FRAMES[periodic])]
    species, names = np.asarray(mapping.species), mapping.species_names
    bonded, held = _held(mapping.bonds, len(species))
    molecule = connected_components(bonded, directed=False)[1]
    found = [_pairs(frame, box if periodic else None) for frame in x]
    i, j, r = (np.concatenate(values) for values in zip(*found, strict=True))
    odd = np.repeat(np.arange(len(found)) % 2, [len(d) for _, _, d in found]).astype(bool)
    near = np.asarray(held[i, j]).ravel() > 0 if len(i) else np.zeros(0, bool)
    low, high = np.minimum(species[i], species[j]), np.maximum(species[i], species[j])
    out = []
    for a, b in sorted({(int(s), int(t)) for s, t in zip(low, high, strict=True)}):
        mine = (low == a) & (high == b)
        every, some = np.sort(r[mine]), np.sort(r[mine & ~odd])
        bonds = np.asarray(bonded[i[mine], j[mine]]).ravel() > 0
        shortest = r[mine][bonds].min(initial=np.inf)
        closest = r[mine][~near[mine]].min(initial=np.inf)
        other = r[mine][molecule[i[mine]] != molecule[j[mine]]].min(initial=np.inf)
        for k in np.flatnonzero(np.diff(every) > GAP_NM):
            ends = float(every[k]), float(every[k + 1])
            at = int(np.searchsorted(some, np.mean(ends)))
            out.append(
                Unsampled(
                    pair=f"{names[a]}–{names[b]}",
                    low=ends[0],
                    high=ends[1],
                    in_half=float(some[at] - some[at - 1]) if 0 < at < len(some) else float("inf"),
                    bonded=bool(shortest <= ends[0]),
                    strangers=bool(ends[1] <= closest < ends[1] + GAP_NM),
                    others=bool(ends[1] <= other < ends[1] + GAP_NM),
                    frames=len(x),
                )
            )
    return tuple(out)


def _pairs(x: np.ndarray, box: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Beads i < j of one frame (N, 3) nm no further apart than REACH_NM, and their distances."""
    x = np.asarray(x, float) if box is None else wrapped(x, box)
    tree = cKDTree(x) if box is None else cKDTree(x, boxsize=box)
    reach = REACH_NM if box is None else min(REACH_NM, 0.499 * min(box))
    i, j = tree.query_pairs(reach, output_type="ndarray").reshape(-1, 2).T
    d = x[i] - x[j]
    if box is not None:
        d -= box * np.rint(d / box)
    return i, j, np.linalg.norm(d, axis=-1)


def _held(bonds: np.ndarray, n: int) -> tuple[csr_array, csr_array]:
    """(N, N) each: 1 for bonded beads; positive for beads up to HELD bonds apart."""
    i, j = np.asarray(bonds).reshape(-1, 2).T
    bonded = coo_array((np.ones(2 * len(i)), (np.r_[i, j], np.r_[j, i])), shape=(n, n)).tocsr()
    steps = csr_array(eye_array(n)) + bonded
    held = steps
    for _ in range(HELD - 1):
        held = csr_array(held @ steps)
    return bonded, held
