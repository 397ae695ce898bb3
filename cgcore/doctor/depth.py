"""How well the forces fix the depths of valleys beside each other, with the plain sum and with the least noisy force map."""

from typing import NamedTuple

import numpy as np

from cgcore import force_maps
from cgcore.analysis import torsion
from cgcore.doctor.molecule import Molecule
from cgcore.doctor.observables import Observable
from cgcore.frames import Frames, Topology
from cgcore.mapping import Mapping, MappingError, apply


class Depth(NamedTuple):
    """Along one dihedral, the standard error in kJ/mol of the free energy that the forces of all frames fix, by the plain sum
    of a bead's atoms and by the least noisy map (`reason` where there is none); samples: frames times copies of the molecule."""

    dihedral: str
    plain: float
    optimal: float | None
    samples: int
    reason: str


def depths(
    mapping: Mapping,
    topology: Topology,
    molecule: Molecule,
    looks: tuple[Observable, ...],
    beads: Frames,
    atoms: Frames | None,
) -> tuple[Depth, ...]:
    """One entry for each dihedral that is looked at; beads, atoms: with forces, atoms None if not known."""
    paths = {c: o for o in looks for c in o.coordinates if len(c) == 4}
    least, reason = None, "the frames are those of beads"
    if atoms is not None and paths:
        try:
            least, reason = apply(force_maps.optimal(mapping, topology, atoms), atoms), ""
        except MappingError as error:
            reason = str(error)
    found = []
    for path in paths:
        name = "–".join(molecule.beads[b] for b in path)
        optimal = None if least is None else _error(molecule, least, path)
        found.append(Depth(name, _error(molecule, beads, path), optimal, beads.n_frames * len(molecule.copies), reason))
    return tuple(found)


def _error(molecule: Molecule, beads: Frames, path: tuple[int, ...]) -> float:
    x, force = (molecule.select(np.asarray(a)) for a in (beads.position, beads.force))
    return torsion.pmf_from_mean_torque(*torsion.optimised_torque(x, force, path)).error_kJ_mol
