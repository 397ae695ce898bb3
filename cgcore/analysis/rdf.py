"""Radial distribution functions of a liquid, between molecules only, with counts kept by block for their errors."""

from typing import NamedTuple

import numpy as np

from .blocks import Estimate, ratio


class PairCounts(NamedTuple):
    """Histogram of distances in B blocks of frames.

    edges: (M + 1,) nm; counts: (B, M); ideal: (B, M) counts of an ideal gas of the same density.
    """

    edges: np.ndarray
    counts: np.ndarray
    ideal: np.ndarray

    @property
    def centres(self) -> np.ndarray:
        """(M,) nm, the middles of the bins."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    def g(self) -> Estimate:
        """g(r) (M,) and its standard error over blocks (jackknife)."""
        return ratio(self.counts, self.ideal)

    def spread(self) -> np.ndarray:
        """(M,) standard deviation of g over blocks."""
        return np.std(self.counts / self.ideal, axis=0, ddof=1)


def pair_counts(
    blocks: list[np.ndarray],
    box: np.ndarray,
    molecule: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    edges: np.ndarray,
) -> PairCounts:
    """Count distances between beads `first` and `second` of different molecules, block by block.

        g(r) = V / (n_pairs 4 pi r^2 dr) dn(r)

    n_pairs counts pairs of different molecules only, so that g -> 1 however many beads a molecule has.

    Args:
        blocks: frames (t, N, 3) nm each, of any lengths; box: (3,) nm, orthorhombic.
        molecule: (N,) integers; first, second: bead indices, which may be the same.
        edges: (M + 1,) nm of equal bins from 0.
    Raises ValueError for bins beyond half the box.
    """
    box, molecule, edges = np.asarray(box), np.asarray(molecule), np.asarray(edges)
    if not edges[-1] <= min(box) / 2:
        raise ValueError(f"rdf: want r_max up to half the box, {min(box) / 2:.3f} nm, got {edges[-1]}")
    i, j = (index.ravel() for index in np.meshgrid(first, second, indexing="ij"))
    keep = molecule[i] != molecule[j]
    if np.array_equal(np.sort(first), np.sort(second)):
        keep &= i < j
    i, j = i[keep], j[keep]
    shell = 4 / 3 * np.pi * np.diff(edges**3) / np.prod(box) * len(i)
    counts = np.array([_counts(block, box, i, j, edges) for block in blocks])
    return PairCounts(edges, counts, np.array([len(block) * shell for block in blocks]))


def _counts(frames: np.ndarray, box: np.ndarray, i: np.ndarray, j: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(M,) distances of the pairs i, j in each bin, over frames (t, N, 3)."""
    total, scale = np.zeros(len(edges) - 1), (len(edges) - 1) / edges[-1]
    for x in np.moveaxis(frames, 2, 1):
        square = 0.0
        for along, length in zip(x, box, strict=True):  # one axis at a time is four times faster than vectors
            d = along[i] - along[j]
            d -= length * np.rint(d / length)
            square = square + d * d
        near = square[square < edges[-1] ** 2]
        total += np.bincount((np.sqrt(near) * scale).astype(int), minlength=len(total))[: len(total)]
    return total
