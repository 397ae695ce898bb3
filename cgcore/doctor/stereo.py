"""What a map keeps of each stereocentre of the molecule: all five points, four with a path through the plane, or nothing."""

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import networkx
import numpy as np

from cgcore.doctor.groups import Element, Stereocentre, stereocentres
from cgcore.doctor.molecule import NO_BEAD, Molecule

KEPT, PATH, LOST = "kept", "kept with inversion path", "lost"
AGREES = 0.99
"""Part of the frames in which a kept handedness must show in the beads."""
MIXED = 0.98
"""A sample is of one enantiomer where at least so much of it has that handedness."""


class Retention(NamedTuple):
    """One stereocentre.

    beads: those that still show it; agreement: part of frames in which their signed volume has the sign that belongs to the
    atoms' handedness; planar: standard deviations from the mean volume to the plane, where it is zero (no barrier follows
    from it: the plane is far outside what was sampled).
    """

    centre: str
    state: str
    beads: tuple[int, ...]
    agreement: float
    planar: float


class Handedness(NamedTuple):
    """The handedness of S stereocentres in the frames. relative: atom -> sign relative to the first; sign: (T, M, S)."""

    centres: tuple[Stereocentre, ...]
    relative: dict[int, int]
    sign: np.ndarray

    @property
    def rarer(self) -> float:
        """Part of the molecules and frames that have the rarer handedness: 0 for one enantiomer, 1/2 for a racemate."""
        if not self.centres:
            return 0.0
        positive = float(np.mean(self.sign[..., 0] > 0))
        return min(positive, 1 - positive)

    @property
    def racemic(self) -> bool:
        return self.rarer > 1 - MIXED


def handedness(molecule: Molecule, atoms: np.ndarray | None) -> Handedness:
    """The signs of the volumes of three neighbours at each stereocentre, by atoms (T, M, a, 3) nm.

    Beads alone do not tell: where atoms is None all are +1, as if each centre keeps the handedness that it has.
    """
    centres = stereocentres(molecule)
    if atoms is None or not centres:
        return Handedness(centres, {c.atom: 1 for c in centres}, np.ones((1, 1, len(centres))))
    sign = np.stack([np.sign(volume(atoms, (c.atom, *c.neighbours))) for c in centres], axis=-1)
    relative = np.sign(np.mean(sign * sign[..., :1], axis=(0, 1)) + 1e-9).astype(int)
    return Handedness(centres, {c.atom: int(r) for c, r in zip(centres, relative, strict=True)}, sign)


def retention(molecule: Molecule, of_atoms: Handedness, x: np.ndarray) -> tuple[Retention, ...]:
    """What the beads x (T, M, n, 3) nm keep of each stereocentre."""
    names = molecule.atoms
    kept = []
    for k, centre in enumerate(of_atoms.centres):
        name, beads = names[centre.atom], shown_by(molecule, centre)
        label = molecule.labels[centre.atom] if names.count(name) > 1 else name
        state, agreement, planar = LOST, np.nan, np.nan
        if len(beads) >= 4:
            signed = volume(x, beads) * of_atoms.sign[..., k]
            agreement = float(max(np.mean(signed > 0), np.mean(signed < 0)))
            planar = float(abs(signed.mean()) / max(signed.std(), 1e-12))
            if agreement >= AGREES:
                state = KEPT if len(beads) == 5 else PATH
        kept.append(Retention(label, state, beads, agreement, planar))
    return tuple(kept)


def obstacle(element: Element, kept: tuple[Retention, ...], x: np.ndarray) -> str | None:
    """KEPT or PATH where the element turns over a stereocentre that the beads show, None where nothing is in its way.

    x: (K, n, 3) nm, any frames: the signs of the volumes of x and of its image are compared.
    """
    states = set()
    for centre in kept:
        if centre.state != LOST:
            image = tuple(element.permutation[b] for b in centre.beads)
            same_side = np.sign(volume(x, centre.beads)) * np.sign(volume(x, image)) * element.parity
            states |= {centre.state} if same_side.mean() < 0 else set()
    return next((state for state in (KEPT, PATH) if state in states), None)


def held_by_pyramids(elements: list[Element], molecule: Molecule, x: np.ndarray) -> Iterator[Element]:
    """The elements that leave the hand of every pyramid of the beads x (K, n, 3) nm which has but one: a bead with three bonded."""
    graph = molecule.bead_graph()
    stars = np.array([(b, *three) for b in graph for three in combinations(sorted(graph[b]), 3)], int).reshape(-1, 4)
    signs = np.array([np.sign(volume(x, star)).mean() for star in stars])
    stars, signs = stars[np.abs(signs) > MIXED], signs[np.abs(signs) > MIXED]
    for element in elements:
        images = np.array(element.permutation)[stars]
        if all(
            np.sign(volume(x, image)).mean() * element.parity * s > 0 for image, s in zip(images, signs, strict=True)
        ):
            yield element


def shown_by(molecule: Molecule, centre: Stereocentre) -> tuple[int, ...]:
    """The bead of the centre, then the nearest bead of each of its branches, as far as these are all different.

    A branch is what hangs on one neighbour when the centre is taken out; where branches meet again in a ring, a bead
    belongs to the one that is nearer.
    """
    graph = molecule.atom_graph()
    graph.remove_node(centre.atom)
    own = molecule.bead_of[centre.atom]
    nearest = []  # (bonds from the neighbour, bead, branch)
    for branch, neighbour in enumerate(centre.neighbours):
        steps = networkx.single_source_shortest_path_length(graph, neighbour)
        beads = [
            (n, molecule.bead_of[a], branch) for a, n in steps.items() if molecule.bead_of[a] not in (NO_BEAD, own)
        ]
        nearest += [min(beads)] if beads else []
    branch_of: dict[int, int] = {}
    for _, bead, branch in sorted(nearest):
        branch_of.setdefault(bead, branch)
    ordered = sorted(branch_of, key=branch_of.get)
    return tuple(ordered if own == NO_BEAD else [own, *ordered])


def volume(x: np.ndarray, points: tuple[int, ...]) -> np.ndarray:
    """Triple product of the unit vectors from the first of the points to the next three: (..., n, 3) -> (...), in [-1, 1]."""
    u = x[..., list(points[1:4]), :] - x[..., [points[0]], :]
    u = u / np.linalg.norm(u, axis=-1, keepdims=True)
    return np.einsum("...d,...d->...", u[..., 0, :], np.cross(u[..., 1, :], u[..., 2, :]))
