"""Linear maps of atomic forces to bead forces with less noise than the plain sum, and the same mean.

Any weights B with B C^T = 1, for position weights C, give forces whose mean at fixed bead positions is the mean force
(Ciccotti, Kapral & Vanden-Eijnden, ChemPhysChem 6, 1809, 2005). The plain sum is one choice;
the one of least variance is another (Krämer et al., J. Phys. Chem. Lett. 14, 3970, 2023).
"""

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from .frames import Frames, Topology
from .geometry import each_molecule
from .mapping import Mapping, MappingError

RIDGE = 1e-8
"""Added to the covariance, relative to its mean eigenvalue: in vacuum the forces of a molecule sum to zero."""


def optimised(mapping: Mapping, topology: Topology, frames: Frames) -> Mapping:
    """Return the same map with the force weights that make the mean square of the mapped forces least.

    Within each molecule, B = (C S^-1 C^T)^-1 C S^-1 minimises tr B S B^T subject to B C^T = 1, with S = <f f^T> over
    frames and directions (A, A). Molecules with the same atoms and beads share S and B. frames: of atoms, with forces,
    best those to train on. Raises MappingError for constraints, which the minimum would have to respect, for frames
    without forces or of another size, and for fewer force samples than ten an atom.
    """
    if frames.force is None:
        raise MappingError(f"map {mapping.name!r}: want frames with forces, these have none")
    if frames.position.shape[1] != topology.n_atoms:
        raise MappingError(f"want frames of {topology.n_atoms} atoms, got {frames.position.shape[1]}")
    if len(topology.constraints):
        raise MappingError(
            f"map {mapping.name!r}: the simulation held {len(topology.constraints)} distances fixed; the optimised "
            "force map is for runs without constraints"
        )
    bead_of = mapping.bead_of
    kinds: dict[tuple, list[tuple[np.ndarray, np.ndarray]]] = {}  # molecules with the same names, masses and beads
    for atoms, _ in each_molecule(topology.bonds, topology.n_atoms):
        beads, place = np.unique(np.append(bead_of[atoms], -1), return_inverse=True)
        if len(beads) > 1:
            names, mass = (tuple(values[a] for a in atoms) for values in (topology.names, topology.mass.round(9)))
            kinds.setdefault((names, mass, tuple(place)), []).append((atoms, beads[1:]))
    entries = []  # value, bead, atom
    for alike in kinds.values():
        first, beads = alike[0]
        samples = 3 * frames.n_frames * len(alike)
        if samples < 10 * len(first):
            raise MappingError(
                f"{samples} force samples for a molecule of {len(first)} atoms; want ten an atom, so more frames"
            )
        S = sum(_second_moment(np.asarray(frames.force[:, atoms], dtype=np.float64)) for atoms, _ in alike)
        S = S / len(alike)
        S += RIDGE * np.trace(S) / len(S) * np.eye(len(S))
        C = mapping.weights[beads][:, first].toarray()
        half = np.linalg.solve(S, C.T)
        B = np.linalg.solve(C @ half, half.T)
        entries += [(B.ravel(), np.repeat(here, len(atoms)), np.tile(atoms, len(here))) for atoms, here in alike]
    value, row, column = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    return replace(mapping, force_weights=csr_array((value, (row, column)), shape=mapping.weights.shape))


def _second_moment(force: np.ndarray) -> np.ndarray:
    """<f f^T> over frames and directions: (T, A, 3) -> (A, A)."""
    return np.einsum("tad,tbd->ab", force, force) / (3 * len(force))
