"""Groupings of a molecule by its functional groups and rings, as patterns that fit any file of it.

Found by SMARTS, which takes RDKit (`smarts`).
"""

from collections.abc import Iterator
from itertools import chain, count, pairwise
from string import ascii_lowercase
from typing import NamedTuple

import networkx
import numpy as np

from . import smarts
from .frames import Topology
from .mapping import formula

GROUPS = {
    "carboxyl": "[CX3:1](=[O:1])[$([OX2H1]),$([OX1]):1]",
    "ester": "[CX3:1](=[O:1])[OX2H0:1]",
    "amide": "[CX3:1](=[O:1])[NX3:1]",
    "carbonyl": "[CX3:1]=[O:1]",
    "nitro": "[NX3:1]~[OX1:1]",
    "nitrile": "[CX2:1]#[N:1]",
    "sulfonyl": "[SX4:1]~[OX1:1]",
    "sulfoxide": "[SX3:1]~[OX1:1]",
    "phosphate": "[PX4:1]~[O:1]",
    "halide": "[#6:1][F,Cl,Br,I:1]",
    "hydroxyl": "[OX2H1:1]",
    "thiol": "[SX2H1:1]",
    "ether": "[OX2H0:1]",
    "sulfide": "[SX2H0:1]",
    "amine": "[NX3,NX4:1]",
    "imine": "[CX3:1]=[NX2:1]",
}
"""Groups by name, the first that claims an atom has it; matches of one group that share atoms are one bead, such as CF3."""
RING = "ring"
MOST_CARBONS = 4
"""Of the longest chain in one bead of what lies between the groups."""


class Partition(NamedTuple):
    """beads: name and heavy atoms of each, of one molecule; patterns: SMARTS by name, None where no patterns tell them apart."""

    name: str
    description: str
    beads: list[tuple[str, frozenset[int]]]
    patterns: dict[str, str] | None


def partitions(topology: Topology) -> Iterator[Partition]:
    """Yield the groupings of the molecules, which are of one kind: with whole rings, and with rings in pairs of atoms.

    None for a molecule without groups and rings. Raises SmartsError for what `smarts.one_molecule` refuses.
    """
    molecule, atoms = smarts.one_molecule(topology)
    heavy = networkx.Graph()
    heavy.add_nodes_from(a.GetIdx() for a in molecule.GetAtoms() if a.GetAtomicNum() != 1)
    heavy.add_edges_from(
        (b.GetBeginAtomIdx(), b.GetEndAtomIdx(), {"ring": b.IsInRing()})
        for b in molecule.GetBonds()
        if {b.GetBeginAtomIdx(), b.GetEndAtomIdx()} <= set(heavy)
    )
    groups = _groups(molecule)
    rings = heavy.edge_subgraph([(i, j) for i, j, in_ring in heavy.edges(data="ring") if in_ring])
    whole = [(RING, frozenset(ring)) for ring in networkx.connected_components(rings)]
    # A group that a ring holds part of goes with the ring.
    whole = [(RING, ring.union(*(group for _, group in groups if group & ring))) for _, ring in whole]
    whole += [(name, group) for name, group in groups if not any(group & ring for _, ring in whole)]
    found = [("groups", "functional groups, each ring whole", whole)]
    if len(rings):
        left = rings.subgraph(set(rings).difference(*(group for _, group in groups)))
        pairs = groups + [(RING, pair) for pair in _pairs(left)]
        found += [("group_pairs", "functional groups, each ring in pairs of atoms", pairs)]
    for name, description, beads in found:
        if beads:
            beads = beads + _between(heavy, molecule, set().union(*(bead for _, bead in beads)))
            beads.sort(key=lambda bead: min(bead[1]))
            placed = [(stem, frozenset(int(atoms[k]) for k in bead)) for stem, bead in beads]
            yield Partition(name, description, placed, _patterns(molecule, beads))


def cut(graph: networkx.Graph, sites: int | None = None) -> list[set]:
    """The nodes of a tree in so many equal parts of its longest chain, side groups with their atom; at most MOST_CARBONS of
    it in a part where None."""
    path = max((p for _, paths in networkx.all_pairs_shortest_path(graph) for p in paths.values()), key=len)
    sides = graph.copy()
    sides.remove_edges_from(pairwise(path))
    parts: list[set] = [set() for _ in range(sites or -(-len(path) // MOST_CARBONS))]
    for atom, part in zip(path, equal_parts(len(path), len(parts)), strict=True):
        parts[part] |= networkx.node_connected_component(sides, atom)
    return parts


def equal_parts(n: int, k: int) -> np.ndarray:
    """(n,) part of each of n atoms in k parts, the same from either end, longer parts at the ends."""
    sizes = np.full(k, n // k)
    extra, ends = n % k, [*range((k + 1) // 2)]
    for place in ends:
        if extra >= 2 and place != k - 1 - place:
            sizes[[place, k - 1 - place]] += 1
            extra -= 2
    sizes[k // 2] += extra
    return np.repeat(np.arange(k), sizes)


def _groups(molecule) -> list[tuple[str, frozenset[int]]]:
    """The functional groups of a molecule: name and heavy atoms."""
    found, taken = [], set()
    for name, pattern in GROUPS.items():
        matches = networkx.Graph()
        for match in smarts.atoms_of(molecule, name, pattern):
            if not taken & match:
                networkx.add_path(matches, match)
        found += [(name, frozenset(group)) for group in networkx.connected_components(matches)]
        taken |= set(matches)
    return found


def _pairs(ring: networkx.Graph) -> list[frozenset[int]]:
    """The atoms of rings in bonded pairs, one that is left over with a pair beside it."""
    pairs = [set(pair) for pair in networkx.max_weight_matching(ring, maxcardinality=True)]
    for atom in set(ring) - set().union(*pairs):
        beside = [pair for pair in pairs if pair & set(ring[atom])]
        if beside:
            min(beside, key=len).add(atom)
        else:
            pairs.append({atom})
    return list(map(frozenset, pairs))


def _between(heavy: networkx.Graph, molecule, taken: set[int]) -> list[tuple[str, frozenset[int]]]:
    """What lies between groups and rings, named by its elements."""
    beads = []
    for component in networkx.connected_components(heavy.subgraph(set(heavy) - taken)):
        for part in cut(networkx.Graph(heavy.subgraph(component))):
            atoms = [molecule.GetAtomWithIdx(k) for k in sorted(part)]
            hydrogens = sum(a.GetTotalNumHs(includeNeighbors=True) for a in atoms)
            beads.append((formula([*(a.GetSymbol() for a in atoms), *["H"] * hydrogens]), frozenset(part)))
    return beads


def _patterns(molecule, beads: list[tuple[str, frozenset[int]]]) -> dict[str, str] | None:
    """Patterns that find beads, each a name and heavy atoms, with as little of their surroundings as tells those of a name from all
    others; where one pattern does not find them all, further ones are NAME_b, ... None where no patterns do: of atoms that
    a symmetry of the molecule exchanges, some lie in two beads."""
    found: dict[str, str] = {}
    covered: set[frozenset[int]] = set()
    for name, bead in beads:
        alike, around = {other for stem, other in beads if stem == name} - covered, bead
        while bead in alike - covered:
            pattern = _pattern(molecule, bead, around)
            images = set(smarts.atoms_of(molecule, name, pattern))
            if images <= alike:
                covered |= images
                more = (f"{name}_{letter(k)}" for k in count(1))
                found[next(key for key in chain([name], more) if key not in found)] = pattern
                continue
            near = {n for a in around for n in molecule.GetAtomWithIdx(a).GetNeighbors()}
            wider = around | {n.GetIdx() for n in near if n.GetAtomicNum() != 1}
            if wider == around:
                return None
            around = wider
    return found


def letter(k: int) -> str:
    """a, b, ..., z, 27, 28, ... for 0, 1, ..."""
    return ascii_lowercase[k] if k < len(ascii_lowercase) else str(k + 1)


def _pattern(molecule, bead: frozenset[int], around: frozenset[int]) -> str:
    """SMARTS of heavy atoms and what is around them, with their neighbours and hydrogens counted."""
    from rdkit import Chem

    symbols = []
    for atom in molecule.GetAtoms():
        element = atom.GetSymbol().lower() if atom.GetIsAromatic() else atom.GetSymbol()
        mark = ":1" if atom.GetIdx() in bead else ""
        symbols.append(f"[{element}X{atom.GetTotalDegree()}H{atom.GetTotalNumHs(includeNeighbors=True)}{mark}]")
    return Chem.MolFragmentToSmiles(molecule, sorted(around), atomSymbols=symbols)
