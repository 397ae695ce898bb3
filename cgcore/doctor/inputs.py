"""Frames and topology that fit each other: checked before anything is said about them."""

import numpy as np

from cgcore.errors import CgcoreError
from cgcore.frames import Frames, Topology
from cgcore.io import Virial, check_bonds, check_forces, missing_bond
from cgcore.io.raw import check_finite
from cgcore.mapping import Mapping

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
        if missing := missing_bond(topology, frames):
            raise DoctorError(missing)
    if frames.force is None:
        return None
    graph = (topology.bonds, topology.constraints) if of_atoms else (mapping.bonds, mapping.bonds[:0])
    return check_forces("frames", frames, *graph, temperature_K)
