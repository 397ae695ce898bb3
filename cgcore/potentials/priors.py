"""Harmonic priors that hold bonds and stereocentres, read off the mapped reference and joined with a potential by `add`.

    U = 1/2 k (q - q0)^2,   q0 and var the moments of p(q) / J(q),   k = kT / var

of the sampled density p of a bond length or an improper dihedral q and its volume element J (r^2 for distances, 1 for
dihedrals). They have no parameters to train, so that training leaves them as they are. Coordinates are taken as independent
of each other; how far that is wrong is left to what is trained on top.
"""

from collections import defaultdict
from dataclasses import dataclass

import jax.numpy as jnp
import networkx
import numpy as np
from jax import Array

from cgcore.errors import CgcoreError

from .. import geometry
from ..frames import Frames
from ..mapping import Mapping
from ..units import kT
from .base import Potential
from .terms import Term, coordinates, samples

PRIORS = {
    "bonds": ("bond", "bonds of beads"),
    "improper": ("dihedral", "a bead that stays on one side of three bonded ones"),
}
"""Name of a prior -> kind of its coordinates, and what it holds."""


class PriorError(CgcoreError, ValueError):
    """Reference frames that a prior cannot be read off, with what was wanted and what was found."""


@dataclass(frozen=True, eq=False)
class Harmonic:
    """One well for each member of a term. k: (M,) kJ/mol/nm^2 or kJ/mol/rad^2; q0: (M,) nm or rad."""

    term: Term
    k: np.ndarray
    q0: np.ndarray

    def energy(self, position: Array, box: Array) -> Array:
        """1/2 sum k (q - q0)^2 in kJ/mol of one frame (N, 3) nm, dihedrals by the shorter way round."""
        q = coordinates(self.term, position, box)
        k, q0 = jnp.asarray(self.k, q.dtype), jnp.asarray(self.q0, q.dtype)  # the precision of the positions stays
        return 0.5 * jnp.sum(k * _from(self.term.kind, q, q0) ** 2)


def for_frames(
    priors: tuple[str, ...], mapping: Mapping, frames: Frames, temperature_K: float
) -> tuple[Potential, dict[str, list[dict]]]:
    """The sum of the named priors, and their parameters for a manifest.

    Args:
        priors: of PRIORS. "bonds" holds every bond of the beads; "improper" every bead with three bonded neighbours a, b, c
            that stays on one side of their plane in all frames, by the dihedral a, bead, b, c: the stereocentres that the
            map keeps by four beads, whose inversion it bars.
        frames: of the beads. Copies of a molecule share their parameters.

    Returns the potential, without parameters to train, and prior -> [{beads, k, q0, copies}], in kJ/mol, nm and rad.
    Raises PriorError for another name, for coordinates that do not spread, and where there is nothing to hold.
    """
    if unknown := set(priors) - PRIORS.keys():
        raise PriorError(f"no prior {sorted(unknown)}; there are {list(PRIORS)}")
    wells, table = [], {}
    for prior in priors:
        kind, wanted = PRIORS[prior]
        each = []
        for group in _groups(mapping, mapping.bonds if prior == "bonds" else three_bonded(mapping.bonds)):
            term = Term("-".join(mapping.beads[b] for b in group[0]), kind, group)
            q = np.concatenate(list(samples(term, frames)))
            weight = np.repeat(frames.weights, len(group))
            if prior == "bonds" or len(set(np.sin(q) > 0)) == 1:  # of one sign where the map keeps the stereocentre
                each.append(harmonic(term, q, temperature_K, weight))
        if not each:
            raise PriorError(f"prior {prior!r}: want {wanted}, map {mapping.name!r} has none in these frames")
        members, k, q0 = (
            np.concatenate(parts) for parts in zip(*((w.term.members, w.k, w.q0) for w in each), strict=True)
        )
        wells.append(Harmonic(Term(prior, kind, members), k, q0))
        table[prior] = [
            {"beads": w.term.name, "k": float(w.k[0]), "q0": float(w.q0[0]), "copies": len(w.k)} for w in each
        ]
    return build(*wells), table


def build(*wells: Harmonic) -> Potential:
    """The sum of wells as a potential without parameters."""

    def energy(params, position, box):
        return sum(w.energy(position, box) for w in wells)

    return Potential(lambda key: {}, energy, model=wells if len(wells) > 1 else wells[0])


def harmonic(term: Term, q: np.ndarray, temperature_K: float, weight: np.ndarray | float = 1.0) -> Harmonic:
    """One well for all members of a term from its samples q (X,), which count as their weights.

    Raises PriorError where these do not spread, and for angles: near 180 degrees their density is cut off, and its moments
    are no longer those of a spring.
    """
    if term.kind not in ("bond", "dihedral"):
        raise PriorError(f"{term.name}: want a bond or a dihedral, got {term.kind}; splines hold angles")
    weight = weight * (np.ones_like(q) if term.kind == "dihedral" else 1 / np.square(q))
    middle = np.angle(np.mean(weight * np.exp(1j * q))) if term.kind == "dihedral" else np.average(q, weights=weight)
    d = np.asarray(_from(term.kind, q, middle))
    mean = np.average(d, weights=weight)
    variance = np.average((d - mean) ** 2, weights=weight)
    if not variance > 1e-12 * max(1.0, middle**2):
        raise PriorError(f"{term.name}: want samples that spread, found {len(q)} all near {middle:.6g}")
    every = np.ones(len(term.members))
    return Harmonic(term, every * kT(temperature_K) / variance, every * (middle + mean))


def three_bonded(bonds: np.ndarray) -> np.ndarray:
    """(M, 4) neighbour, bead, neighbour, neighbour of each bead that has exactly three bonds; neighbours in rising order."""
    graph = networkx.Graph(np.asarray(bonds, int).reshape(-1, 2).tolist())
    centres = {bead: sorted(graph[bead]) for bead in sorted(graph) if graph.degree(bead) == 3}
    return np.array([(a, bead, b, c) for bead, (a, b, c) in centres.items()], int).reshape(-1, 4)


def _groups(mapping: Mapping, members: np.ndarray) -> list[np.ndarray]:
    """The members (M, k) of one place in molecules of one sequence of species together, as copies of each other."""
    molecule = geometry.molecules(mapping.bonds, len(mapping.beads))
    species = np.asarray(mapping.species)
    place = {}
    for number in range(molecule.max() + 1):
        beads = np.flatnonzero(molecule == number)
        place |= {int(bead): (k, tuple(species[beads].tolist())) for k, bead in enumerate(beads)}
    groups = defaultdict(list)
    for beads in members.tolist():
        groups[tuple(place[b] for b in beads)].append(beads)
    return [np.array(group) for group in groups.values()]


def _from(kind: str, q, middle):
    """q - middle; for dihedrals in [-pi, pi)."""
    d = q - middle
    return d - 2 * np.pi * jnp.floor((d + np.pi) / (2 * np.pi)) if kind == "dihedral" else d
