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
    bead_of = np.full(topology.n_atoms, NO_BEAD)
    for bead, members in enumerate(mapping.atoms):
        bead_of[list(members)] = bead
    number = geometry.molecules(topology.bonds, topology.n_atoms)
    copies: dict[tuple, list[tuple[np.ndarray, np.ndarray]]] = {}
    for atoms in np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1]):
        beads = np.unique(bead_of[atoms][bead_of[atoms] != NO_BEAD])
        if len(beads):
            local = [int(np.searchsorted(beads, b)) if b != NO_BEAD else NO_BEAD for b in bead_of[atoms]]
            bonds = topology.bonds[number[topology.bonds[:, 0]] == number[atoms[0]]]
            alike = (
                tuple(topology.names[a] for a in atoms),
                tuple(topology.elements[a] for a in atoms),
                tuple(local),
                tuple(mapping.species[b] for b in beads),
                tuple(sorted(map(tuple, np.sort(np.searchsorted(atoms, bonds), axis=1).tolist()))),
            )
            copies.setdefault(alike, []).append((beads, atoms))
    molecules = []
    for (names, elements, local, species, atom_bonds), places in copies.items():
        first = places[0][0]
        molecules.append(
            Molecule(
                beads=tuple(mapping.beads[b] for b in first),
                species=species,
                bonds=np.searchsorted(first, mapping.bonds[np.isin(mapping.bonds[:, 0], first)]).reshape(-1, 2),
                elements=elements,
                atoms=names,
                bead_of=local,
                atom_bonds=np.array(atom_bonds, dtype=int).reshape(-1, 2),
                copies=np.array([beads for beads, _ in places]),
                atom_copies=np.array([atoms for _, atoms in places]),
            )
        )
    return tuple(molecules)


def _graph(bonds: np.ndarray, **labels) -> networkx.Graph:
    """A graph of as many nodes as each of the labels has entries."""
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(next(iter(labels.values())))))
    for name, values in labels.items():
        networkx.set_node_attributes(graph, dict(enumerate(values)), name)
    graph.add_edges_from(bonds.tolist())
    return graph
