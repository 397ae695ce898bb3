"""Which hand the stereocentres of a peptide have, by the rule of Cahn, Ingold and Prelog."""

import numpy as np

from cgcore.frames import Topology


def stereocentres(topology: Topology) -> list[tuple[int, int, int, int]]:
    """Chiral carbons of the residues known here: (centre, a, b, c), neighbours by falling priority, hydrogen left out."""
    centres = {"CA": ("N", "C", "CB"), ("THR", "CB"): ("OG1", "CA", "CG2")}
    index = {(r, n): k for k, (r, n) in enumerate(zip(topology.residue_index, topology.names, strict=True))}
    centres_found = []
    for atom, (number, residue, name) in enumerate(
        zip(topology.residue_index, topology.residues, topology.names, strict=True)
    ):
        partners = centres.get((residue, name), centres.get(name))
        if partners and all((number, p) in index for p in partners):
            centres_found.append((atom, *(index[number, p] for p in partners)))
    return centres_found


def handedness(topology: Topology, position: np.ndarray) -> list[str]:
    """R or S (Cahn, Ingold and Prelog) for each stereocentre of one frame (A, 3) nm.

    Seen with the hydrogen behind, the neighbours a, b, c run anticlockwise (S) where a . (b x c) > 0 from the centre.
    L-amino acids of this package are S at CA; L-threonine is R at CB.
    """
    labels = []
    for centre, *partners in stereocentres(topology):
        a, b, c = (position[p] - position[centre] for p in partners)
        labels.append("S" if np.dot(a, np.cross(b, c)) > 0 else "R")
    return labels
