"""What a map keeps of each stereocentre of the molecule: all five points, four with a path through the plane, or nothing."""

from typing import NamedTuple

import networkx
import numpy as np

from cgcore.doctor.groups import Element, Stereocentre, stereocentres
from cgcore.doctor.molecule import NO_BEAD, Molecule

KEPT, PATH, LOST = "kept", "kept with inversion path", "lost"
AGREES = 0.99
"""Part of the frames in which a kept hand must show in the beads."""
MIXED = 0.98
"""A sample is of one hand where at least so much of it has that hand."""


class Retention(NamedTuple):
    """One stereocentre. beads: those that still show it; agreement: part of frames in which their signed volume has the
    sign that belongs to the atoms' hand; planar: standard deviations from the mean volume to the plane, where it is zero
    (no barrier follows from it: the plane is far outside what was sampled)."""

    centre: str
    state: str
    beads: tuple[int, ...]
    agreement: float
    planar: float


class Hands(NamedTuple):
    """The hands of S stereocentres in the frames. relative: atom -> sign relative to the first; sign: (T, M, S)."""

    centres: tuple[Stereocentre, ...]
    relative: dict[int, int]
    sign: np.ndarray

    @property
    def left_over(self) -> float:
        """Part of the molecules and frames that have the rarer hand: 0 for one enantiomer, 1/2 for a racemate."""
        if not self.centres:
            return 0.0
        positive = float(np.mean(self.sign[..., 0] > 0))
        return min(positive, 1 - positive)

    @property
    def racemic(self) -> bool:
        return self.left_over > 1 - MIXED


def hands(molecule: Molecule, atoms: np.ndarray | None) -> Hands:
    """The signed volumes of three neighbours at each stereocentre, by atoms (T, M, a, 3) nm; all +1 where there are none.

    Nothing is known of hands from beads alone: then each centre is taken to keep the one that it has.
    """
    centres = stereocentres(molecule)
    if atoms is None or not centres:
        shape = (1, 1, len(centres))
        return Hands(centres, {c.atom: 1 for c in centres}, np.ones(shape))
    sign = np.stack([np.sign(_volume(atoms, c.atom, c.neighbours[:3])) for c in centres], axis=-1)
    relative = np.sign(np.mean(sign * sign[..., :1], axis=(0, 1)) + 1e-9).astype(int)
    return Hands(centres, {c.atom: int(r) for c, r in zip(centres, relative, strict=True)}, sign)


def retention(molecule: Molecule, found: Hands, x: np.ndarray) -> tuple[Retention, ...]:
    """What the beads x (T, M, n, 3) nm keep of each stereocentre."""
    return tuple(_of_centre(molecule, centre, found.sign[..., k], x) for k, centre in enumerate(found.centres))


def blocks(element: Element, kept: tuple[Retention, ...], x: np.ndarray) -> str | None:
    """KEPT or PATH where the element turns over a stereocentre that the beads show, None where nothing is in its way.

    x: (K, n, 3) nm, any frames: the signs of the volumes of x and of its image are compared.
    """
    states = set()
    for centre in kept:
        if centre.state == LOST:
            continue
        ahead = centre.beads
        behind = tuple(element.permutation[b] for b in ahead)
        turned = np.sign(volume(x, ahead)) * np.sign(volume(x, behind)) * element.parity
        if turned.mean() < 0:
            states.add(centre.state)
    if not states:
        return None
    return KEPT if KEPT in states else PATH


def _of_centre(molecule: Molecule, centre: Stereocentre, hand: np.ndarray, x: np.ndarray) -> Retention:
    beads = shown_by(molecule, centre)
    name = molecule.atoms[centre.atom]
    number = sum(molecule.atoms[a] == name for a in range(centre.atom + 1))
    label = f"{name} {number}" if molecule.atoms.count(name) > 1 else name
    if len(beads) < 4:
        return Retention(label, LOST, beads, float("nan"), float("nan"))
    signed = volume(x, beads) * hand
    agreement = float(max(np.mean(signed > 0), np.mean(signed < 0)))
    planar = float(abs(signed.mean()) / max(signed.std(), 1e-12))
    if agreement < AGREES:
        return Retention(label, LOST, beads, agreement, planar)
    return Retention(label, KEPT if len(beads) == 5 else PATH, beads, agreement, planar)


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
        beads = {}
        for atom, n in steps.items():
            bead = molecule.bead_of[atom]
            if bead not in (NO_BEAD, own):
                beads[bead] = min(n, beads.get(bead, n))
        if beads:
            n, bead = min((n, bead) for bead, n in beads.items())
            nearest.append((n, bead, branch))
    taken: dict[int, int] = {}
    for _, bead, branch in sorted(nearest):
        taken.setdefault(bead, branch)
    ordered = [bead for bead, _ in sorted(taken.items(), key=lambda item: item[1])]
    return tuple(ordered if own == NO_BEAD else [own, *ordered])


def volume(x: np.ndarray, beads: tuple[int, ...]) -> np.ndarray:
    """Signed volume of the first four of the beads, in units of its sides: (..., n, 3) -> (...), in [-1, 1]."""
    return _volume(x, beads[0], beads[1:4])


def _volume(x: np.ndarray, origin: int, three) -> np.ndarray:
    """Triple product of the unit vectors from one point to three others: (..., n, 3) -> (...), in [-1, 1]."""
    u = x[..., list(three), :] - x[..., [origin], :]
    u = u / np.linalg.norm(u, axis=-1, keepdims=True)
    return np.einsum("...d,...d->...", u[..., 0, :], np.cross(u[..., 1, :], u[..., 2, :]))
