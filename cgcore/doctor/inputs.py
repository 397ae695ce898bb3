"""Frames and topology that fit each other: checked before anything is said about them."""

import numpy as np

from cgcore.errors import CgcoreError
from cgcore.frames import Frames, Topology
from cgcore.geometry import displacement
from cgcore.io import Virial, check_bonds, check_forces
from cgcore.io.held import CHECKED, radii
from cgcore.io.raw import check_finite
from cgcore.mapping import Mapping

SHORT = 1.15
"""Two atoms without a bond are at least so many times the sum of their radii apart."""
LEAST_FRAMES = 20
"""With fewer there is not even a block of two frames for an error bar."""


class DoctorError(CgcoreError, ValueError):
    """Input that no verdict can rest on, with what was wanted, what was found and the likely slip."""


def check(mapping: Mapping, topology: Topology, frames: Frames, temperature_K: float) -> Virial | None:
    """Raise DoctorError for too few frames or a missing bond, TrajectoryError for what `io.read` refuses of frames.

    frames: of atoms or of the beads. Returns what was found of their forces, None without.
    """
    if frames.n_frames < LEAST_FRAMES:
        raise DoctorError(
            f"{frames.n_frames} frames are too few for any verdict; want at least {LEAST_FRAMES}, and some hundred that "
            "are independent for the symmetry bound"
        )
    if frames.force_error is not None:
        raise DoctorError(
            "frames of held beads are chosen for what they cover, and are no sample of the molecule; want the reference behind "
            "them (`reference` in their config.json)"
        )
    check_finite("frames", frames.position, frames.force)
    of_atoms = frames.position.shape[1] == topology.n_atoms
    if of_atoms:
        check_bonds("frames", topology, np.asarray(frames.position))
        _check_missing(topology, frames)
    if frames.force is None:
        return None
    graph = (topology.bonds, topology.constraints) if of_atoms else (mapping.bonds, mapping.bonds[:0])
    return check_forces("frames", frames, *graph, temperature_K)


def _check_missing(topology: Topology, frames: Frames):
    """Compare mean distances with covalent radii: within residues of atoms that are not bonded."""
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
        if (ratio < SHORT).any():
            k = np.argmin(ratio)
            raise DoctorError(
                f"{topology.atom(i[k])} and {topology.atom(j[k])} are {distance[k]:.3f} nm apart in the frames and not bonded "
                "in the topology; is a bond missing (CONECT records), or are the atoms in another order?"
            )
