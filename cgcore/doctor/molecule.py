"""The kinds of molecules in a system: their beads, their atoms, and where the copies of each are."""

from dataclasses import dataclass

import networkx
import numpy as np

from cgcore import geometry
from cgcore.frames import Topology
from cgcore.mapping import Mapping

NO_BEAD = -1


@dataclass(frozen=True, kw_only=True)
class Molecule:
    """One kind of molecule with n beads and a atoms, of which the system has M copies."""

    beads: tuple[str, ...]  # n names, those of the first copy
    species: tuple[int, ...]  # n
    bonds: np.ndarray  # (P, 2) of its own beads
    elements: tuple[str, ...]  # a
    atoms: tuple[str, ...]  # a names
    labels: tuple[str, ...]  # a, with the residue, of the first copy: THR6:CB
    bead_of: tuple[int, ...]  # a, the bead that holds the atom, NO_BEAD for none
    atom_bonds: np.ndarray  # (Q, 2)
    copies: np.ndarray  # (M, n) indices into the system's beads
    atom_copies: np.ndarray  # (M, a) indices into the system's atoms

    @property
    def size(self) -> int:
        return len(self.beads)

    def bead_graph(self) -> networkx.Graph:
        """Beads with their `species`, and their bonds."""
        return _graph(self.bonds, species=self.species)

    def atom_graph(self) -> networkx.Graph:
        """Atoms with their `element` and `bead`, and their bonds."""
        return _graph(self.atom_bonds, element=self.elements, bead=self.bead_of)

    def select(self, position: np.ndarray) -> np.ndarray:
        """(T, N, 3) of all beads -> (T, M, n, 3) of the copies."""
        return np.asarray(position)[:, self.copies]


def kinds(mapping: Mapping, topology: Topology) -> tuple[Molecule, ...]:
    """The molecules that have beads, those with equal atoms, bonds, beads and species together."""
    bead_of = mapping.bead_of
    kinds_seen: dict[tuple, dict] = {}
    for atoms, atom_bonds in geometry.each_molecule(topology.bonds, topology.n_atoms):
        beads = np.unique(bead_of[atoms][bead_of[atoms] != NO_BEAD])
        if not len(beads):
            continue
        alike = {
            "species": tuple(mapping.species[b] for b in beads),
            "elements": tuple(topology.elements[a] for a in atoms),
            "atoms": tuple(topology.names[a] for a in atoms),
            "bead_of": tuple(int(np.searchsorted(beads, b)) if b != NO_BEAD else NO_BEAD for b in bead_of[atoms]),
        }
        told = {"labels": tuple(topology.atom(a) for a in atoms), "copies": [], "atom_copies": []}
        kind = kinds_seen.setdefault((*alike.values(), *atom_bonds), alike | told)
        kind["copies"].append(beads)
        kind["atom_copies"].append(atoms)
        kind["atom_bonds"] = np.array(atom_bonds, dtype=int).reshape(-1, 2)
    for kind in kinds_seen.values():
        first = kind["copies"][0]
        kind["beads"] = tuple(mapping.beads[b] for b in first)
        kind["bonds"] = np.searchsorted(first, mapping.bonds[np.isin(mapping.bonds[:, 0], first)]).reshape(-1, 2)
        kind |= {name: np.array(kind[name]) for name in ("copies", "atom_copies")}
    return tuple(Molecule(**kind) for kind in kinds_seen.values())


def _graph(bonds: np.ndarray, **labels) -> networkx.Graph:
    """A graph of as many nodes as each of the labels has entries."""
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(next(iter(labels.values())))))
    for name, values in labels.items():
        networkx.set_node_attributes(graph, dict(enumerate(values)), name)
    graph.add_edges_from(bonds.tolist())
    return graph
