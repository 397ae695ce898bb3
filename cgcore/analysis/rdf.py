"""Radial distribution functions of a liquid, between molecules only, with counts kept by block for their errors."""

from typing import NamedTuple

import numpy as np

from .blocks import Estimate, jackknife

CHUNK = 4_000_000
"""Distances that are in memory at once."""


class PairCounts(NamedTuple):
    """Histogram of distances in B blocks of frames.

    edges: (M + 1,) nm; counts: (B, M); ideal: (B, M) counts of an ideal gas of the same density.
    """

    edges: np.ndarray
    counts: np.ndarray
    ideal: np.ndarray

    @property
    def centres(self) -> np.ndarray:
        return (self.edges[1:] + self.edges[:-1]) / 2

    def g(self) -> Estimate:
        """g(r) (M,) and its standard error over blocks (jackknife)."""
        both = np.stack([self.counts, self.ideal], axis=-1)
        return jackknife(lambda total: total[:, 0] / total[:, 1], both)


def pair_counts(
    position: np.ndarray,
    box: np.ndarray,
    molecule: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    *,
    r_max: float,
    bins: int = 100,
    blocks: int = 10,
) -> PairCounts:
    """Distances between beads `first` and `second` of different molecules, in contiguous blocks of frames.

        g(r) = V / (n_pairs 4 pi r^2 dr) dn(r)

    position (T, N, 3) nm in an orthorhombic box (3,) nm; molecule (N,) integers; first, second: bead indices, which may
    be the same. n_pairs counts pairs of different molecules only, so that g -> 1 however many beads a molecule has.
    Raises ValueError for r_max beyond half the box, or fewer frames than blocks.
    """
    if not r_max <= min(box) / 2:
        raise ValueError(f"rdf: want r_max up to half the box, {min(box) / 2:.3f} nm, got {r_max}")
    if len(position) < blocks:
        raise ValueError(f"rdf: want at least a frame for each of {blocks} blocks, got {len(position)}")
    i, j = _pairs(np.asarray(molecule), np.asarray(first), np.asarray(second))
    edges = np.linspace(0.0, r_max, bins + 1)
    shell = 4 / 3 * np.pi * np.diff(edges**3) / np.prod(box) * len(i)
    counts, ideal = [], []
    step = max(1, CHUNK // len(i))
    for part in np.array_split(np.asarray(position), blocks):
        total = np.zeros(bins)
        for start in range(0, len(part), step):
            d = part[start : start + step, i] - part[start : start + step, j]
            d -= box * np.round(d / box)
            total += np.histogram(np.linalg.norm(d, axis=-1), edges)[0]
        counts.append(total)
        ideal.append(len(part) * shell)
    return PairCounts(edges, np.array(counts), np.array(ideal))


def _pairs(molecule, first, second):
    """Index pairs of beads in different molecules, each unordered pair once."""
    i, j = (index.ravel() for index in np.meshgrid(first, second, indexing="ij"))
    keep = molecule[i] != molecule[j]
    if np.array_equal(np.sort(first), np.sort(second)):
        keep &= i < j
    return i[keep], j[keep]
