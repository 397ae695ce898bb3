"""Bonds of a topology held against distances in frames: impossible ones, lengths in another unit, and bonds that are missing."""

import numpy as np

from ..frames import Frames, Topology
from ..geometry import displacement
from .raw import TrajectoryError

RADII_NM = {
    "H": 0.031, "B": 0.084, "C": 0.076, "N": 0.071, "O": 0.066, "F": 0.057, "Si": 0.111, "P": 0.107, "S": 0.105,
    "Cl": 0.102, "Se": 0.120, "Br": 0.120, "I": 0.139,
}  # fmt: skip
"""Covalent radii. Cordero et al., Dalton Trans. 2832 (2008), doi:10.1039/b801115j."""
OTHER_NM = 0.15
SHORT, LONG = 0.6, 1.5
"""A bond is at least and at most so many times the sum of radii long; triple bonds have 0.77."""
APART = 1.15
"""Two atoms without a bond are at least so many times the sum of their radii apart."""
CHECKED = 20
"""Frames, and residues, by which bonds are checked, evenly spread."""
SLIPS = {
    10.0: "lengths look like Å taken for nm",
    0.1: "lengths look like nm taken for Å",
    18.897: "lengths look like Bohr taken for nm",
    1.8897: "lengths look like Bohr taken for Å",
    0.52918: "lengths look like Å taken for Bohr",
}
"""Factor between all bonds and what is wanted."""


def radii(topology: Topology) -> np.ndarray:
    """(A,) covalent radii, nm."""
    return np.array([RADII_NM.get(e, OTHER_NM) for e in topology.elements])


def check_bonds(where, topology: Topology, position: np.ndarray):
    """Raise TrajectoryError for a bond whose length, on average over the frames (T, A, 3) nm, its radii do not allow."""
    if not len(topology.bonds):
        return
    i, j = topology.bonds.T
    some = position[:: max(1, len(position) // CHECKED)]
    length = np.linalg.norm(some[:, i] - some[:, j], axis=-1).mean(0)
    of_radii = length / (radii(topology)[i] + radii(topology)[j])
    wrong = np.maximum(of_radii / LONG, SHORT / np.maximum(of_radii, 1e-9))
    if (wrong <= 1).all():
        return
    k, typical = np.argmax(wrong), np.median(of_radii)
    too, limit = ("most", LONG) if of_radii[k] > LONG else ("least", SHORT)
    slip = next((words for factor, words in SLIPS.items() if abs(np.log(max(typical, 1e-9) / factor)) < 0.2), None)
    raise TrajectoryError(
        f"{where}: the bond {topology.atom(i[k])}–{topology.atom(j[k])} is {length[k]:.3f} nm long, at {too} "
        f"{limit * length[k] / of_radii[k]:.3f} nm were wanted; the bonds contradict the distances. "
        + (
            f"All are about {typical:.2g} times as long as they should be: {slip}"
            if slip
            else "Are the atoms in the order of the topology, lengths in nm, molecules whole or the box given, and chains "
            "ended by TER?"
        )
    )


def missing_bond(topology: Topology, frames: Frames) -> str | None:
    """Two atoms of one residue that are as near as bonded ones in the frames, and have no bond, in words; None without."""
    radius = radii(topology)
    some = np.asarray(frames.position)[:: max(1, frames.n_frames // CHECKED)]
    box = np.asarray(frames.box, dtype=some.dtype)
    residues, bonded = np.asarray(topology.residue_index), {tuple(sorted(b)) for b in topology.bonds.tolist()}
    for residue in np.unique(residues)[:CHECKED]:
        members = np.flatnonzero(residues == residue)
        pairs = members[np.array(np.triu_indices(len(members), 1)).T]
        i, j = np.array([p for p in pairs.tolist() if tuple(p) not in bonded], int).reshape(-1, 2).T
        distance = np.linalg.norm(displacement(some[:, i], some[:, j], box), axis=-1).mean(0)
        ratio = distance / (radius[i] + radius[j])
        if (ratio < APART).any():
            k = np.argmin(ratio)
            return (
                f"{topology.atom(i[k])} and {topology.atom(j[k])} are {distance[k]:.3f} nm apart in the frames and not bonded "
                "in the topology; is a bond missing (CONECT records), or are the atoms in another order?"
            )
    return None
