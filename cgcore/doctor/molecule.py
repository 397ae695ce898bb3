"""The kinds of molecules in a system: their beads, their atoms, and where the copies of each are."""

from dataclasses import dataclass

import networkx
import numpy as np

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
        graph = networkx.Graph()
        graph.add_nodes_from((k, {"species": s}) for k, s in enumerate(self.species))
        graph.add_edges_from(self.bonds.tolist())
        return graph

    def atom_graph(self) -> networkx.Graph:
        """Atoms with their `element` and `bead`, and their bonds."""
        graph = networkx.Graph()
        names = zip(self.elements, self.bead_of, strict=True)
        graph.add_nodes_from((k, {"element": e, "bead": b}) for k, (e, b) in enumerate(names))
        graph.add_edges_from(self.atom_bonds.tolist())
        return graph

    def select(self, position: np.ndarray) -> np.ndarray:
        """(T, N, 3) of all beads -> (T, M, n, 3) of the copies."""
        return np.asarray(position)[:, self.copies]

    def select_atoms(self, position: np.ndarray) -> np.ndarray:
        """(T, A, 3) of all atoms -> (T, M, a, 3) of the copies."""
        return np.asarray(position)[:, self.atom_copies]


def kinds(mapping: Mapping, topology: Topology) -> tuple[Molecule, ...]:
    """The molecules that have beads, those with equal atoms, bonds, beads and species together."""
    graph = networkx.Graph()
    graph.add_nodes_from(range(topology.n_atoms))
    graph.add_edges_from(topology.bonds.tolist())
    bead_of = np.full(topology.n_atoms, NO_BEAD)
    for bead, indices in enumerate(mapping.atoms):
        bead_of[list(indices)] = bead
    found: dict[tuple, list[tuple[list[int], list[int]]]] = {}
    for component in networkx.connected_components(graph):
        atoms = sorted(component)
        beads = sorted({int(b) for b in bead_of[atoms]} - {NO_BEAD})
        if beads:
            found.setdefault(_key(mapping, topology, graph, bead_of, atoms, beads), []).append((atoms, beads))
    return tuple(_molecule(mapping, topology, key, copies) for key, copies in found.items())


def _key(mapping, topology, graph, bead_of, atoms, beads) -> tuple:
    local_atom, local_bead = {a: k for k, a in enumerate(atoms)}, {b: k for k, b in enumerate(beads)}
    return (
        tuple(topology.names[a] for a in atoms),
        tuple(topology.elements[a] for a in atoms),
        tuple(local_bead.get(int(bead_of[a]), NO_BEAD) for a in atoms),
        tuple(mapping.species[b] for b in beads),
        tuple(sorted(tuple(sorted((local_atom[i], local_atom[j]))) for i, j in graph.subgraph(atoms).edges)),
    )


def _molecule(mapping: Mapping, topology: Topology, key: tuple, copies) -> Molecule:
    names, elements, bead_of, species, atom_bonds = key
    first = {bead: k for k, bead in enumerate(copies[0][1])}
    bonds = [(first[i], first[j]) for i, j in mapping.bonds.tolist() if i in first]
    return Molecule(
        beads=tuple(mapping.beads[b] for b in copies[0][1]),
        species=species,
        bonds=np.array(bonds, dtype=int).reshape(-1, 2),
        elements=elements,
        atoms=names,
        bead_of=bead_of,
        atom_bonds=np.array(atom_bonds, dtype=int).reshape(-1, 2),
        copies=np.array([beads for _, beads in copies]),
        atom_copies=np.array([atoms for atoms, _ in copies]),
    )
