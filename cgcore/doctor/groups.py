"""Symmetries of the model that are none of the molecule: the cosets of H in G.

A potential of positions and species is invariant under G: the permutations of equal beads that leave the bead graph as it is,
each with and without a reflection. The potential of mean force is invariant only under H: the permutations that symmetries
of the atoms induce, with a reflection where these turn every stereocentre into its mirror image, and without one where they
turn none. What is in G and not in H is forced on the model and wrong. Permutations that change who is bonded to whom are
not here: they need a path, and `lengths` asks whether there is one.
"""

from collections import Counter
from itertools import islice, permutations, product
from typing import NamedTuple

import networkx
from networkx.algorithms.isomorphism import GraphMatcher, categorical_node_match

from cgcore.doctor.errors import DoctorError
from cgcore.doctor.molecule import Molecule

MOST = 5000
"""Automorphisms of a bead graph that are listed at most."""
MOST_LIFTS = 64
"""Symmetries of the atoms behind one permutation of the beads that are looked at."""


class Element(NamedTuple):
    """x -> parity * x[permutation] for the beads x (n, 3) of a molecule; parity -1 is a reflection through a point."""

    permutation: tuple[int, ...]
    parity: int

    def after(self, other: "Element") -> "Element":
        """This one applied to what the other makes."""
        return Element(tuple(other.permutation[k] for k in self.permutation), self.parity * other.parity)

    @property
    def moved(self) -> int:
        """How many beads it moves."""
        return sum(i != k for i, k in enumerate(self.permutation))

    @property
    def moves(self) -> bool:
        return self.moved > 0


class Stereocentre(NamedTuple):
    """An atom with four neighbours of which no two are alike."""

    atom: int
    neighbours: tuple[int, ...]  # four atoms


class Symmetries(NamedTuple):
    """model: G; molecule: H; cosets: one element of each coset of H in G but H itself, the simplest first."""

    model: tuple[Element, ...]
    molecule: tuple[Element, ...]
    cosets: tuple[Element, ...]


def automorphisms(molecule: Molecule) -> list[tuple[int, ...]]:
    """All permutations of the beads that keep species and bonds. Raises DoctorError for more than MOST."""
    graph = molecule.bead_graph()
    matcher = GraphMatcher(graph, graph, categorical_node_match("species", None))
    found = [tuple(m[k] for k in range(molecule.size)) for m in islice(matcher.isomorphisms_iter(), MOST + 1)]
    if len(found) > MOST:
        raise DoctorError(
            f"the typed bead graph of {molecule.beads[0]} ... {molecule.beads[-1]} has more than {MOST} symmetries; want "
            "hydrogens in the beads of their heavy atoms, or species that tell more of them apart"
        )
    return sorted(found)


def stereocentres(molecule: Molecule) -> tuple[Stereocentre, ...]:
    """Atoms with four different branches, by the graph of elements and bonds.

    Branches that differ only by a stereocentre further out count as alike, so that pseudo-asymmetric centres are left out;
    so are axes, helices and double bonds.
    """
    graph = molecule.atom_graph()
    chemical = _folded(graph, lambda leaf, parent: True)
    return tuple(
        Stereocentre(atom, tuple(sorted(graph[atom])))
        for atom in chemical
        if graph.degree(atom) == 4 and _all_differ(chemical, atom)
    )


def symmetries(molecule: Molecule, hands: dict[int, int]) -> Symmetries:
    """G, H and the cosets of one molecule. hands: atom -> +1 or -1 of each stereocentre, empty where there is none."""
    graph = molecule.atom_graph()
    folded = _folded(graph, lambda leaf, parent: graph.nodes[leaf]["bead"] in (-1, graph.nodes[parent]["bead"]))
    centres = [c for c in stereocentres(molecule) if c.atom in hands]
    G, H = [], []
    for permutation in automorphisms(molecule):
        parities = _lifted_parities(folded, graph, permutation, centres, hands)
        for parity in (1, -1):
            G.append(Element(permutation, parity))
            if parity in parities:
                H.append(Element(permutation, parity))
    return Symmetries(tuple(G), tuple(H), _cosets(G, H))


def _cosets(G: list[Element], H: list[Element]) -> tuple[Element, ...]:
    """Simplest elements of the cosets H g, by beads moved, then without reflection; p(h g x) = p(g x)."""
    seen, found = set(H), []
    for g in sorted(G, key=lambda g: (g.moved, -g.parity, g.permutation)):
        if g not in seen:
            found.append(g)
            seen |= {h.after(g) for h in H}
    return tuple(found)


def _lifted_parities(folded, graph, permutation, centres, hands) -> set[int]:
    """With which parities a permutation of the beads is a symmetry of the atoms."""
    moved = folded.copy()
    for node in moved:
        bead = moved.nodes[node]["bead"]
        moved.nodes[node]["bead"] = permutation[bead] if bead >= 0 else bead
    matcher = GraphMatcher(moved, folded, categorical_node_match(["label", "bead"], [None, None]))
    parities = set()
    for lift in islice(matcher.isomorphisms_iter(), MOST_LIFTS):
        signs = {_sign_of(lift, graph, centre, centres, hands) for centre in centres}
        if not signs:
            return {1, -1}
        parities |= signs if len(signs) == 1 else set()
    return parities


def _sign_of(lift: dict, graph, centre: Stereocentre, centres, hands) -> int:
    """+1 where the lift takes the centre to one of the same hand, -1 to one of the other."""
    image = next(c for c in centres if c.atom == lift[centre.atom])
    taken = [lift.get(n) for n in centre.neighbours]
    left = {graph.nodes[n]["element"]: n for n in image.neighbours if n not in taken}
    order = [
        image.neighbours.index(left[graph.nodes[n]["element"]] if t is None else t)
        for n, t in zip(centre.neighbours, taken, strict=True)
    ]
    inversions = sum(a > b for k, a in enumerate(order) for b in order[k + 1 :])
    return hands[centre.atom] * hands[image.atom] * (-1) ** inversions


def _folded(graph: networkx.Graph, may_fold) -> networkx.Graph:
    """The graph without the leaves that may be folded into their parent; `label` is an element with its folded leaves."""
    parent_of = {}
    for leaf in graph:
        if graph.degree(leaf) == 1:
            parent = next(iter(graph[leaf]))
            if graph.degree(parent) > 1 and may_fold(leaf, parent):
                parent_of[leaf] = parent
    folded = graph.copy()
    leaves = {node: [] for node in graph}
    for leaf, parent in parent_of.items():
        leaves[parent].append((graph.nodes[leaf]["element"], graph.nodes[leaf]["bead"] >= 0))
    folded.remove_nodes_from(parent_of)
    for node in folded:
        folded.nodes[node]["label"] = (folded.nodes[node]["element"], tuple(sorted(leaves[node])))
        folded.nodes[node]["leaves"] = tuple(sorted(element for element, _ in leaves[node]))
    return folded


def _all_differ(folded: networkx.Graph, atom: int) -> bool:
    leaves = folded.nodes[atom]["leaves"]
    if max(Counter(leaves).values(), default=0) > 1:
        return False
    return not any(_alike(folded, atom, a, b) for a, b in permutations(folded[atom], 2) if a < b)


def _alike(folded: networkx.Graph, centre: int, a: int, b: int) -> bool:
    """Whether some symmetry of the atoms fixes the centre and takes neighbour a to b."""

    def chemical(node):
        return folded.nodes[node]["element"], folded.nodes[node]["leaves"]

    if chemical(a) != chemical(b):
        return False
    marked = []
    for neighbour in (a, b):
        copy = networkx.Graph(folded.edges)
        for node in copy:
            copy.nodes[node]["is"] = (*chemical(node), node == centre, node == neighbour)
        marked.append(copy)
    return GraphMatcher(*marked, categorical_node_match("is", None)).is_isomorphic()


def describe(element: Element, molecule: Molecule) -> str:
    """In words: "mirror image", "exchange of A and B", "chain reversal with mirror image"."""
    mirror = "mirror image" if element.parity < 0 else ""
    if not element.moves:
        return mirror or "identity"
    ends = _ends(molecule)
    if ends and element.permutation[ends[0]] == ends[1]:
        words = "chain reversal"
    else:
        pairs = [(i, k) for i, k in enumerate(element.permutation) if i != k]
        shown = ", ".join(f"{molecule.beads[i]}→{molecule.beads[k]}" for i, k in pairs[:4])
        words = f"exchange {shown}" + (" ..." if len(pairs) > 4 else "")
    return f"{words} with {mirror}" if mirror else words


def longest_path(molecule: Molecule) -> list[int]:
    """The beads along the longest shortest path of the bead graph, the backbone of a chain."""
    lengths = dict(networkx.all_pairs_shortest_path(molecule.bead_graph()))
    every = (lengths[i][j] for i, j in product(lengths, repeat=2) if i <= j)
    return max(every, key=len)


def _ends(molecule: Molecule) -> tuple[int, int] | None:
    path = longest_path(molecule)
    return (path[0], path[-1]) if len(path) > 1 else None
