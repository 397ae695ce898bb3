"""Densities of bonds, angles and dihedrals by species, of nearest-neighbour distances, and the gauche population."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from cgcore import geometry, neighbors
from cgcore.analysis.blocks import Estimate, filled, jackknife, ratio, row
from cgcore.analysis.sample import Sample
from cgcore.analysis.surface import divergence, normalised

GAUCHE_DEG = 120.0
"""A dihedral nearer to cis than this is gauche; the maxima of hexane's torsional potential lie there."""
LENGTH_BINS, ANGLE_BINS, DIHEDRAL_BINS = 100, 90, 72  # the last two 2 and 5 degrees
MEASURES = {2: ("bond", geometry.distances), 3: ("angle", geometry.angles), 4: ("dihedral", geometry.dihedrals)}


class Density(NamedTuple):
    """Histogram of a quantity in B blocks. edges: (M + 1,) nm or rad; counts: (B, M + 1), the last those outside."""

    edges: np.ndarray
    counts: np.ndarray

    def density(self) -> Estimate:
        """(M,) per nm or rad, with its standard error over blocks; what lies outside counts in the norm."""
        return jackknife(self._density, self.counts)

    def spread(self) -> np.ndarray:
        """(M,) standard deviation of the density over blocks."""
        return np.std([self._density(n) for n in filled(self.counts)], axis=0, ddof=1)

    def _density(self, counts: np.ndarray) -> np.ndarray:
        return normalised(counts)[:-1] / np.diff(self.edges)


def joined(labels: Iterable[str]) -> str:
    """Labels as one word: letters stand side by side, longer names have a dash between them."""
    labels = tuple(labels)
    return ("" if max(map(len, labels)) == 1 else "-").join(labels)


def kinds(labels: tuple[str, ...], bonds: np.ndarray) -> dict[str, np.ndarray]:
    """All bonds, angles and dihedrals along the bonds (P, 2), by name: "angle_ABA" -> (M, 3) bead indices.

    labels: N names, of species or of the beads; a chain and its reverse are the same kind, named by the earlier in the
    alphabet.
    """
    by_name: dict[str, list] = {}
    for length, (word, _) in MEASURES.items():
        for path in geometry.paths(bonds, len(labels), length):
            chain = [labels[i] for i in path]
            by_name.setdefault(f"{word}_{joined(min(chain, chain[::-1]))}", []).append(path)
    return {name: np.array(paths) for name, paths in by_name.items()}


def values(sample: Sample, paths: np.ndarray) -> list[np.ndarray]:
    """Bond lengths (nm), angles or dihedrals (rad) along paths (M, 2 to 4), as blocks (t, M)."""
    _, measure = MEASURES[paths.shape[1]]
    return sample.per_frame(lambda x: measure(x, paths, sample.box))


def nearest(sample: Sample) -> list[np.ndarray]:
    """Distance of each bead to the nearest other, whichever it is, as blocks (t, N) nm."""
    return sample.per_frame(lambda frames: neighbors.nearest(frames, sample.box))


def edges_for(name: str, reference: list[np.ndarray]) -> np.ndarray:
    """(M + 1,) bin edges: of angles and dihedrals their whole range, of lengths twice the range of the reference."""
    if name.startswith("angle"):
        return np.linspace(0, np.pi, ANGLE_BINS + 1)
    if name.startswith("dihedral"):
        return np.linspace(-np.pi, np.pi, DIHEDRAL_BINS + 1)
    low, high = min(b.min() for b in reference), max(b.max() for b in reference)
    margin = (high - low) / 2
    return np.linspace(max(0.0, low - margin), high + margin, LENGTH_BINS + 1)


def histogram(blocks: list[np.ndarray], edges: np.ndarray, counts: list[np.ndarray] | None = None) -> Density:
    """The histogram of values in blocks (t, M), in their precision: that of pi in half of it is beyond pi in the whole.

    counts: (t,) of each block, what its frames count; all alike where None.
    """
    each = [None if counts is None else np.repeat(c, b.shape[1]) for c, b in _paired(counts, blocks)]
    inside = np.array([
        np.histogram(b.ravel(), edges.astype(b.dtype), weights=w)[0] for w, b in zip(each, blocks, strict=True)
    ])  # fmt: skip
    total = np.array([b.size if w is None else w.sum() for w, b in zip(each, blocks, strict=True)])
    return Density(edges, np.concatenate([inside, np.maximum(0, total - inside.sum(1))[:, None]], axis=1))


def mean(blocks: list[np.ndarray], counts: list[np.ndarray] | None = None) -> Estimate:
    """Mean of values in blocks (t, M), each weighted by its size, or by what its frames count."""
    if counts is None:
        return ratio([b.sum() for b in blocks], [b.size for b in blocks])
    sums = [(c * b.mean(1)).sum() for c, b in _paired(counts, blocks)]
    return ratio(sums, [c.sum() for c in counts])


def _paired(counts, blocks):
    return zip(counts or [None] * len(blocks), blocks, strict=True)


def gauche(blocks: list[np.ndarray]) -> Estimate:
    """Fraction of dihedrals in blocks (t, M) rad that are gauche: nearer to cis (0) than GAUCHE_DEG."""
    return mean([(np.abs(b) < np.radians(GAUCHE_DEG)).astype(float) for b in blocks])


def beside(name: str, ours: list, theirs: list, arrays: dict, inside: float, counts: tuple = (None, None)) -> dict:
    """Compare the densities of a quantity in blocks, and add them to arrays, the reference's with "reference_" before.

    name_js is the `surface.divergence`; name_inside the part of the reference's density in bins where both agree within
    so many standard errors; name_outside_range the part of ours beyond the edges. counts: of the frames of either's blocks.
    """
    edges = arrays[f"{name}_edges"] = edges_for(name, theirs)
    both = [histogram(blocks, edges, weights) for blocks, weights in zip((ours, theirs), counts, strict=True)]
    for prefix, found in zip(("", "reference_"), both, strict=True):
        arrays |= row(f"{prefix}{name}", found.density()) | {f"{prefix}{name}_sd": found.spread()}
    (p, error), (q, error_ref) = (found.density() for found in both)
    agree = np.abs(p - q) <= inside * np.hypot(error, error_ref)
    return {
        **divergence(f"{name}_js", *(found.counts for found in both)),
        f"{name}_inside": float(np.sum(q[agree]) / np.sum(q)),
        f"{name}_outside_range": float(filled(both[0].counts).sum(0)[-1] / both[0].counts.sum()),
    }
