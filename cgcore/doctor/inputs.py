"""Frames and topology that fit each other: checked before anything is said about them."""

import numpy as np

from cgcore.errors import CgcoreError
from cgcore.frames import Frames, Topology
from cgcore.geometry import displacement

RADII_NM = {
    "H": 0.031, "B": 0.084, "C": 0.076, "N": 0.071, "O": 0.066, "F": 0.057, "Si": 0.111, "P": 0.107, "S": 0.105,
    "Cl": 0.102, "Se": 0.120, "Br": 0.120, "I": 0.139,
}  # fmt: skip
"""Covalent radii. Cordero et al., Dalton Trans. 2832 (2008), doi:10.1039/b801115j."""
OTHER_NM = 0.15
LONG, SHORT = 1.5, 1.15
"""A bond is at most so many times the sum of radii, two atoms without one are at least so many times it apart."""
LEAST_FRAMES = 20
"""With fewer there is not even a block of two frames for an error bar."""
CHECKED = 20
"""Frames, and residues, in which missing bonds are looked for."""


class DoctorError(CgcoreError, ValueError):
    """Input that no verdict can rest on, with what was wanted, what was found and the likely slip."""


def check(topology: Topology, frames: Frames):
    """Raise DoctorError for too few frames, forces that are none, or a bond graph that the distances contradict."""
    if frames.n_frames < LEAST_FRAMES:
        raise DoctorError(
            f"{frames.n_frames} frames are too few for any verdict; want at least {LEAST_FRAMES}, and some hundred that "
            "are independent for the symmetry bound"
        )
    if frames.force is not None:
        force = np.asarray(frames.force)
        if bad := int((~np.isfinite(force).all((1, 2))).sum()):
            raise DoctorError(
                f"{bad} of {frames.n_frames} frames have forces that are not finite; did the run blow up?"
            )
        if not force.any():
            raise DoctorError(
                "all forces are zero; want those of the simulation, or frames without forces. Did the run write forces "
                "(nstfout in GROMACS)?"
            )
    if frames.position.shape[1] == topology.n_atoms:
        _check_bonds(topology, frames)


def _check_bonds(topology: Topology, frames: Frames):
    """Compare mean distances with covalent radii: of bonds, and within residues of atoms that are not bonded."""
    radius = np.array([RADII_NM.get(e, OTHER_NM) for e in topology.elements])
    some = np.asarray(frames.position)[:: max(1, frames.n_frames // CHECKED)]
    box = np.asarray(frames.box, dtype=some.dtype)

    def compared(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean distance of each pair of atoms, nm, and the sum of their radii."""
        i, j = pairs.T
        return np.linalg.norm(displacement(some[:, i], some[:, j], box), axis=-1).mean(0), radius[i] + radius[j]

    def names(pair) -> list[str]:
        return [f"{topology.residues[atom]}:{topology.names[atom]}" for atom in pair]

    distance, radii = compared(topology.bonds)
    if (distance > LONG * radii).any():
        k = np.argmax(distance / radii)
        raise DoctorError(
            f"the bond {'–'.join(names(topology.bonds[k]))} is {distance[k]:.3f} nm long in the frames, at most "
            f"{LONG * radii[k]:.3f} nm were wanted; the bonds contradict the distances. Are the atoms of the trajectory in the "
            "order of the topology, and its lengths in nm?"
        )
    residues, bonded = np.asarray(topology.residue_index), {tuple(sorted(b)) for b in topology.bonds.tolist()}
    for residue in np.unique(residues)[:CHECKED]:
        members = np.flatnonzero(residues == residue)
        pairs = np.array(np.triu_indices(len(members), 1)).T
        pairs = np.array([p for p in members[pairs].tolist() if tuple(p) not in bonded], int).reshape(-1, 2)
        distance, radii = compared(pairs)
        if (distance < SHORT * radii).any():
            k = np.argmin(distance / radii)
            raise DoctorError(
                f"{' and '.join(names(pairs[k]))} are {distance[k]:.3f} nm apart in the frames and not bonded in the "
                "topology; is a bond missing (CONECT records), or are the atoms in another order?"
            )
