"""Symmetries of the model that are none of the molecule: the cosets of H in G.

A potential of positions and species is invariant under G: the permutations of equal beads that leave the bead graph as it is,
each with and without a reflection. The potential of mean force is invariant only under H: the permutations that symmetries
of the atoms induce, with a reflection where these turn every stereocentre into its mirror image, and without one where they
turn none. What is in G and not in H is forced on the model and wrong. Permutations that change who is bonded to whom are
not here: they need a path, and `distances` asks whether there is one.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, islice, product
from typing import NamedTuple

import networkx
from networkx.algorithms.isomorphism import GraphMatcher, categorical_node_match

from cgcore.doctor.inputs import DoctorError
from cgcore.doctor.molecule import NO_BEAD, Molecule

MOST = 5000
"""Automorphisms of a bead graph that are listed at most."""
LONE_PAIR = {"S", "Se", "P", "As"}
"""Elements whose pyramids of three neighbours do not turn inside out; those of nitrogen do. With four they count as carbon."""
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
    """An atom with four neighbours, or a lone pair in place of one, of which no two are alike."""

    atom: int
    neighbours: tuple[int, ...]  # four atoms, or three beside a lone pair


class Symmetries(NamedTuple):
    """model: G; molecule: H; cosets: one element of each coset of H in G but H itself, the simplest first."""

    model: tuple[Element, ...]
    molecule: tuple[Element, ...]
    cosets: tuple[Element, ...]

    @property
    def reflections(self) -> list[Element]:
        """The reflections among the symmetries of the molecule, the simplest first."""
        return sorted((h for h in self.molecule if h.parity < 0), key=lambda h: (h.moved, h.permutation))

    @property
    def unreflected(self) -> "Symmetries":
        """The same of a molecule that has no reflection after all."""
        return _of_groups(self.model, tuple(h for h in self.molecule if h.parity > 0))


def permutations(molecule: Molecule, species: tuple[int, ...] | None = None) -> Iterator[tuple[int, ...]]:
    """The automorphisms of the bead graph: permutations that keep bonds, and species, other ones where these are given."""
    graph = (molecule if species is None else replace(molecule, species=species)).bead_graph()
    for isomorphism in GraphMatcher(graph, graph, categorical_node_match("species", None)).isomorphisms_iter():
        yield tuple(isomorphism[k] for k in range(molecule.size))


def stereocentres(molecule: Molecule) -> tuple[Stereocentre, ...]:
    """Atoms with four different branches, or three beside a lone pair that stays, by the graph of elements and bonds.

    Branches that differ only by a stereocentre further out count as alike, so that pseudo-asymmetric centres are left out;
    so are axes, helices and double bonds, of which only frames tell (`symmetry.shows`).
    """
    graph = molecule.atom_graph()
    chemical = _folded(graph, lambda leaf, parent: True)
    return tuple(
        Stereocentre(atom, tuple(sorted(graph[atom])))
        for atom, node in chemical.nodes.items()
        if graph.degree(atom) in ({3, 4} if graph.nodes[atom]["element"] in LONE_PAIR else {4})
        and len(set(node["leaves"])) == len(node["leaves"])
        and not any(_alike(chemical, atom, a, b) for a, b in combinations(sorted(chemical[atom]), 2))
    )


def symmetries(molecule: Molecule, handedness: dict[int, int]) -> Symmetries:
    """G, H and the cosets of one molecule; handedness: atom -> +1 or -1 of each stereocentre, empty where there is none.

    Raises DoctorError for more than MOST permutations in G.
    """
    every = sorted(islice(permutations(molecule), MOST + 1))
    if len(every) > MOST:
        raise DoctorError(
            f"the typed bead graph of {molecule.beads[0]} ... {molecule.beads[-1]} has more than {MOST} symmetries; want "
            "hydrogens in the beads of their heavy atoms, or species that tell more of them apart"
        )
    graph = molecule.atom_graph()
    folded = _folded(graph, lambda leaf, parent: graph.nodes[leaf]["bead"] in (NO_BEAD, graph.nodes[parent]["bead"]))
    centres = {c.atom: c for c in stereocentres(molecule) if c.atom in handedness}
    G, H = [], []
    for permutation in every:
        parities = _parities(folded, graph, permutation, centres, handedness)
        G += [Element(permutation, parity) for parity in (1, -1)]
        H += [Element(permutation, parity) for parity in (1, -1) if parity in parities]
    return _of_groups(tuple(G), tuple(H))


def _of_groups(G: tuple[Element, ...], H: tuple[Element, ...]) -> Symmetries:
    covered, cosets = set(H), []
    for g in sorted(G, key=lambda g: (g.moved, -g.parity, g.permutation)):
        if g not in covered:
            cosets.append(g)
            covered |= {h.after(g) for h in H}  # H g: p(h g x) = p(g x), one bound for all
    return Symmetries(G, H, tuple(cosets))


def _parities(folded, graph, permutation, centres: dict[int, Stereocentre], handedness) -> set[int]:
    """With which parities a permutation of the beads is a symmetry of the atoms."""
    moved = folded.copy()
    for node in moved.nodes.values():
        node["bead"] = permutation[node["bead"]] if node["bead"] != NO_BEAD else NO_BEAD
    matcher = GraphMatcher(moved, folded, categorical_node_match(["label", "bead"], [None, None]))
    parities = set()
    for lift in islice(matcher.isomorphisms_iter(), MOST_LIFTS):
        signs = {
            _turned(lift, graph, centre, centres[lift[centre.atom]]) * handedness[atom] * handedness[lift[atom]]
            for atom, centre in centres.items()
        }
        if not signs:
            return {1, -1}
        parities |= signs if len(signs) == 1 else set()
    return parities


def _turned(lift: dict, graph, centre: Stereocentre, image: Stereocentre) -> int:
    """The sign of the permutation in which the lift takes the neighbours of a centre to those of its image.

    Neighbours that were folded away, at most one of an element, go to the one of their element that is left.
    """
    targets = [lift.get(n) for n in centre.neighbours]
    left = {graph.nodes[n]["element"]: n for n in image.neighbours if n not in targets}
    order = [
        image.neighbours.index(left[graph.nodes[n]["element"]] if target is None else target)
        for n, target in zip(centre.neighbours, targets, strict=True)
    ]
    return (-1) ** sum(a > b for a, b in combinations(order, 2))


def _folded(graph: networkx.Graph, may_fold) -> networkx.Graph:
    """The graph without the leaves that may be folded into their parent, else three hydrogens alone make six symmetries.

    `leaves` are the elements of a node's folded leaves; `label` its element with them, and whether they are in beads.
    """
    parents = {n: next(iter(graph[n])) for n in graph if graph.degree(n) == 1}
    parents = {leaf: p for leaf, p in parents.items() if graph.degree(p) > 1 and may_fold(leaf, p)}
    folded = graph.copy()
    folded.remove_nodes_from(parents)
    for n, node in folded.nodes.items():
        leaves = [graph.nodes[leaf] for leaf, parent in parents.items() if parent == n]
        node["leaves"] = tuple(sorted(leaf["element"] for leaf in leaves))
        node["label"] = node["element"], tuple(sorted((leaf["element"], leaf["bead"] >= 0) for leaf in leaves))
    return folded


def _alike(folded: networkx.Graph, centre: int, a: int, b: int) -> bool:
    """Whether some symmetry of the atoms fixes the centre and takes neighbour a to b."""

    def marked(neighbour: int) -> networkx.Graph:
        copy = networkx.Graph(folded.edges)
        for n in copy:
            copy.nodes[n]["mark"] = folded.nodes[n]["element"], folded.nodes[n]["leaves"], n == centre, n == neighbour
        return copy

    return networkx.vf2pp_is_isomorphic(marked(a), marked(b), node_label="mark")


def describe(element: Element, molecule: Molecule) -> str:
    """In words: "mirror image", "exchange of A and B", "chain reversal with mirror image"."""
    mirror = "mirror image" if element.parity < 0 else ""
    if not element.moves:
        return mirror or "identity"
    path = backbone(molecule)
    if len(path) > 1 and element.permutation[path[0]] == path[-1]:
        words = "chain reversal"
    else:
        pairs = [f"{molecule.beads[i]}→{molecule.beads[k]}" for i, k in enumerate(element.permutation) if i != k]
        words = f"exchange {', '.join(pairs[:4])}" + (" ..." if len(pairs) > 4 else "")
    return f"{words} with {mirror}" if mirror else words


def backbone(molecule: Molecule) -> list[int]:
    """The beads along the longest shortest path of the bead graph."""
    paths = dict(networkx.all_pairs_shortest_path(molecule.bead_graph()))
    return max((paths[i][j] for i, j in product(paths, repeat=2) if i <= j), key=len)
