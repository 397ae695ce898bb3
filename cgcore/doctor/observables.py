"""What the symmetry bound looks at: histograms of a few dihedrals, angles or distances, of a molecule and of its images."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cgcore import geometry
from cgcore.doctor.groups import Element, backbone
from cgcore.doctor.molecule import Molecule
from cgcore.mapping import Mapping

BINS = {1: 36, 2: 12}
"""Bins of each axis by the number of axes: 10 and 30 degrees for dihedrals. Coarse bins keep the bound valid."""
SPAN_FRAMES = 100
"""Frames, evenly spread, from which the range of a distance is taken."""
MEASURES = {2: geometry.distances, 3: geometry.angles, 4: geometry.dihedrals}
NO_BOX = np.full(3, np.inf)


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


def place(observable: Observable, x: np.ndarray, element: Element, bins: list[np.ndarray]) -> np.ndarray:
    """Bin (K,) of the observable of g x for frames x (K, n, 3) nm.

    An internal coordinate of g x is that of x at the permuted beads, a dihedral with the sign of the parity.
    """
    index = np.zeros(len(x), dtype=int)
    for c, edge in zip(observable.coordinates, bins, strict=True):
        value = measure(x, tuple(element.permutation[b] for b in c))
        value = value * element.parity if len(c) == 4 else value
        n = len(edge) - 1
        step = np.floor((value - edge[0]) / (edge[-1] - edge[0]) * n).astype(int)
        index = index * n + (step % n if len(c) == 4 else np.clip(step, 0, n - 1))
    return index


def measure(x: np.ndarray, beads: tuple[int, ...]) -> np.ndarray:
    """Distance, angle or dihedral of two, three or four beads: (..., n, 3) nm -> (...) nm or rad."""
    # The beads are taken out first: one shape, and one compilation, for all maps of a trajectory.
    picked = np.asarray(x)[..., list(beads), :]
    return np.asarray(MEASURES[len(beads)](picked, np.arange(len(beads))[None], NO_BOX), dtype=float)[..., 0]
