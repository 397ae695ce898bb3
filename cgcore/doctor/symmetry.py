"""How wrong a symmetry that the molecule does not have must make a model, from reference frames alone.

What is looked at are histograms of a few dihedrals, angles or distances, of a molecule and of its images.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cgcore import geometry
from cgcore.analysis.blocks import Estimate, filled, jackknife
from cgcore.analysis.surface import symmetry_bound
from cgcore.doctor.groups import Element, backbone
from cgcore.doctor.molecule import Molecule
from cgcore.mapping import Mapping
from cgcore.units import kT

BINS = {1: 36, 2: 12}
"""Bins of each axis by the number of axes: 10 and 30 degrees for dihedrals. Coarse bins keep the bound valid."""
MOST_HANDED = 60
"""Dihedrals by which a reflection is looked for in the frames."""
SPAN_FRAMES = 100
"""Frames, evenly spread, from which the range of a distance is taken."""
MEASURES = {2: geometry.distances, 3: geometry.angles, 4: geometry.dihedrals}
NO_BOX = np.full(3, np.inf)
DRAWS = 40
RULE_OF_THREE = 3.0
"""Events that a Poisson variable of so large a mean gives at least one of, with 95 %."""


class Observable(NamedTuple):
    """One or two internal coordinates of a molecule, each of two, three or four of its beads (distance, angle, dihedral)."""

    name: str
    coordinates: tuple[tuple[int, ...], ...]


def observables(mapping: Mapping, molecule: Molecule) -> tuple[Observable, ...]:
    """The map's own dihedrals where it names some, else those along the backbone, two neighbours at a time.

    A molecule too short for dihedrals is seen by its angles, then its bonds.
    """
    local = {int(bead): k for k, bead in enumerate(molecule.copies[0])}
    coordinates = {
        n: tuple(local[b] for b in four) for n, four in mapping.dihedrals.items() if local.keys() >= set(four)
    }
    path = backbone(molecule)
    for length in (4, 3, 2):
        if not coordinates:
            windows = [tuple(path[k : k + length]) for k in range(len(path) - length + 1)]
            coordinates = {"–".join(molecule.beads[b] for b in window): window for window in windows}
    named = list(coordinates.items())
    if len(named) == 1 or (named and len(named[0][1]) == 2):
        return tuple(Observable(name, (beads,)) for name, beads in named)
    return tuple(Observable(f"{a}, {b}", (first, second)) for (a, first), (b, second) in pairwise(named))


def handed(molecule: Molecule) -> tuple[Observable, ...]:
    """Every dihedral along the bonds of the beads, and of every bead with three bonded ones how far it is out of their plane:
    what a reflection turns round. MOST_HANDED at most, evenly spread."""
    chains = [tuple(map(int, chain)) for chain in geometry.paths(molecule.bonds, molecule.size, 4)]
    graph = molecule.bead_graph()
    stars = [(near[0], bead, *near[1:3]) for bead in graph if len(near := sorted(graph[bead])) >= 3]
    every = [Observable("–".join(molecule.beads[b] for b in four), (four,)) for four in chains + stars]
    return tuple(every[:: -(-len(every) // MOST_HANDED) or 1])


def of_centre(name: str, beads: tuple[int, ...]) -> Observable:
    """How far a stereocentre, the first of four beads or more, is out of the plane of three others."""
    return Observable(f"{name} out of plane", ((beads[1], beads[0], *beads[2:4]),))


def edges(observable: Observable, x: np.ndarray) -> list[np.ndarray]:
    """Bin edges of each coordinate; those of distances from the frames x (K, n, 3) nm."""
    n = BINS[len(observable.coordinates)]
    bins = []
    for beads in observable.coordinates:
        if len(beads) == 2:
            # A symmetric histogram needs one range for a distance and for what a symmetry makes of it.
            some = x[:: max(1, len(x) // SPAN_FRAMES)]
            span = float(np.linalg.norm(some[:, :, None] - some[:, None], axis=-1).max())
            bins.append(np.linspace(0, span * (1 + 1e-9), 10 * n + 1))
        else:
            bins.append(np.linspace(-np.pi if len(beads) == 4 else 0, np.pi, n + 1))
    return bins


def measure(x: np.ndarray, beads: tuple[int, ...]) -> np.ndarray:
    """Distance, angle or dihedral of two, three or four beads: (..., n, 3) nm -> (...) nm or rad."""
    # The beads are taken out first: one shape, and one compilation, for all maps of a trajectory.
    picked = np.asarray(x)[..., list(beads), :]
    return np.asarray(MEASURES[len(beads)](picked, np.arange(len(beads))[None], NO_BOX), dtype=float)[..., 0]


class Bound(NamedTuple):
    """What a symmetry costs in one observable.

    bound: least Jensen-Shannon divergence in bit of any model with the symmetry to the reference, with its standard
    error; floor: what sampling noise alone gives; free_energy: kJ/mol between the part of the observable's space that the
    reference prefers and its image, which the model makes zero; at_least: nothing was seen in the image, so that this is a
    lower bound (95 %) for the basins that were visited. A basin behind a barrier that no frame crossed is in neither.
    """

    observable: str
    bound: Estimate
    floor: float
    free_energy: Estimate
    at_least: bool

    @property
    def excess(self) -> float:
        """The bound beyond noise, in bit."""
        return max(0.0, self.bound.value - self.floor)

    def sure(self, deviations: float = 3.0) -> bool:
        """Whether the bound is beyond noise by so many standard errors."""
        return self.excess > deviations * max(self.bound.error, 1e-12)


def bound_of(
    observable: Observable,
    blocks: list[np.ndarray],
    element: Element,
    *,
    temperature_K: float,
    inefficiency: float,
    weights: list[np.ndarray] | None = None,
) -> Bound:
    """The bound in one observable for one element of a coset.

    blocks: nearly independent sets of frames (t, n, 3) nm; inefficiency: frames that are worth one; weights: what the frames
    of each block count, (t,), all alike where None.
    """
    counts = histograms(observable, blocks, element, weights)
    counts = counts[:, :, counts.any((0, 1))]
    free_energy, at_least = forced_free_energy(counts, temperature_K, inefficiency)
    return Bound(observable.name, jackknife(least_divergence, counts), floor(counts), free_energy, at_least)


def histograms(
    observable: Observable, blocks: list[np.ndarray], element: Element, weights: list[np.ndarray] | None = None
) -> np.ndarray:
    """Count the observable of x, and of g x, in blocks of frames (t, n, 3) nm with weights (t,): (B, 2, M).

    An internal coordinate of g x is that of x at the permuted beads, a dihedral with the sign of the parity.
    """
    x, ends = np.concatenate(blocks), np.cumsum([len(b) for b in blocks])[:-1]
    bins = edges(observable, x)
    shape = [len(edge) - 1 for edge in bins]
    counts = []
    for g in (Element(tuple(range(x.shape[1])), 1), element):
        index = []
        for beads, edge, n in zip(observable.coordinates, bins, shape, strict=True):
            value = measure(x, tuple(g.permutation[b] for b in beads)) * (g.parity if len(beads) == 4 else 1)
            index.append(np.floor((value - edge[0]) / (edge[-1] - edge[0]) * n).astype(int))
        modes = ["wrap" if len(beads) == 4 else "clip" for beads in observable.coordinates]
        place = np.ravel_multi_index(index, shape, mode=tuple(modes))
        parts = zip(np.split(place, ends), weights or [None] * len(blocks), strict=True)
        counts.append([np.bincount(part, weight, np.prod(shape)) for part, weight in parts])
    return np.stack(counts, axis=1)


def least_divergence(rows: np.ndarray) -> float:
    """min_Q (JS(P_1, Q) + JS(P_2, Q)) / 2 in bit, for histograms P_i (2, M): of an observable of x, and of its image g x.

    A model with the symmetry gives both of them one distribution, the best being this Q.
    """
    # as halves of one distribution over both, which exchanging the halves must leave as it is
    return max(0.0, symmetry_bound(rows / rows.sum(1, keepdims=True) / 2, lambda halves: halves[::-1]))


def floor(table: np.ndarray, seed: int = 0) -> float:
    """Mean of `least_divergence` if the system had the symmetry: each block's two histograms (B, 2, M) change places at random."""
    rng, table = np.random.default_rng(seed), filled(table)
    draws = [np.array([rng.permutation(block) for block in table]).sum(0) for _ in range(DRAWS)]
    return float(np.mean([least_divergence(rows) for rows in draws]))


def forced_free_energy(pair: np.ndarray, temperature_K: float, inefficiency: float) -> tuple[Estimate, bool]:
    """kT ln(p(D) / p(gD)) in kJ/mol, with D where the reference prefers x to g x; a model with the symmetry gives zero.

    pair: counts (B, 2, M) of x and of g x. D is chosen for each block by all others, else noise alone would give a
    preference. Where gD is never seen, the value is that of RULE_OF_THREE independent events, a lower bound (True).
    """
    pair = filled(pair)
    total = pair.sum(0)
    inside = np.zeros((len(pair), 2))
    for b, block in enumerate(pair):
        first, second = total - block
        inside[b] = block[0][first > second].sum(), block[1][first > second].sum()
    here, there = inside.sum(0)
    if not here:
        return Estimate(0.0, 0.0), False
    if not there:
        return Estimate(kT(temperature_K) * float(np.log(max(1.0, here / inefficiency / RULE_OF_THREE))), 0.0), True
    return jackknife(lambda n: kT(temperature_K) * float(np.log(max(n[0], 0.5) / max(n[1], 0.5))), inside), False
