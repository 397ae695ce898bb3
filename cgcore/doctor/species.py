"""Typing: which beads the molecule itself tells apart, what the species tell apart, and the fewest species that suffice."""

from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import networkx
from networkx.algorithms.isomorphism import GraphMatcher, categorical_node_match

from cgcore.doctor.groups import Symmetries
from cgcore.doctor.molecule import Molecule
from cgcore.mapping import Mapping

TYPING, COARSEST = "doctor", "doctor_coarsest"


class Typing(NamedTuple):
    """orbits: classes of beads that symmetries of the molecule exchange; typed_orbits: classes that symmetries of the typed
    bead graph exchange; must_differ: pairs of beads that only the latter exchange; proposed: species of the beads, the
    fewest that add no symmetry and keep beads of different composition apart; coarsest: the fewest of all."""

    orbits: tuple[tuple[int, ...], ...]
    typed_orbits: tuple[tuple[int, ...], ...]
    must_differ: tuple[tuple[int, int], ...]
    proposed: tuple[int, ...]
    coarsest: tuple[int, ...]


def typing(molecule: Molecule, symmetries: Symmetries) -> Typing:
    """Compare the orbits, and merge the molecule's own into the fewest species, best first those of one composition."""
    H = {g.permutation for g in symmetries.molecule}
    orbits = _orbits(H, molecule.size)
    typed = _orbits({g.permutation for g in symmetries.model}, molecule.size)
    where = {bead: k for k, orbit in enumerate(orbits) for bead in orbit}
    pairs = (pair for orbit in typed for pair in combinations(orbit, 2))
    composition = _compositions(molecule)
    proposed = _merged(molecule, H, where, lambda a, b: composition[a] == composition[b])
    coarsest = _merged(molecule, H, dict(enumerate(proposed)), lambda a, b: True)
    return Typing(orbits, typed, tuple(p for p in pairs if where[p[0]] != where[p[1]]), proposed, coarsest)


def proposal(text: str, mapping: Mapping, molecule: Molecule, found: Typing) -> str:
    """The map file with the proposed typings behind its own: TOML that `cgcore.mapping.load` takes with typing="doctor".

    text: the file that was examined; typings of an earlier proposal in it are left out.
    """
    head = text.split("\n# Proposed by `cgcore doctor`")[0].rstrip("\n")
    parts = [
        head,
        "\n\n# Proposed by `cgcore doctor`: species that add no symmetry which the molecule does not have.\n",
    ]
    for name, species, words in (
        (TYPING, found.proposed, "fewest species that add no symmetry, beads of different composition apart"),
        (COARSEST, found.coarsest, "fewest species that add no symmetry"),
    ):
        labels = ", ".join(f'"{bead}" = "{label}"' for bead, label in _labels(mapping, molecule, species).items())
        parts.append(f'\n[typings.{name}]\ndescription = "{words}"\nlabels = {{ {labels} }}\n')
    return "".join(parts)


def map_text(name) -> str:
    """The text of a bundled map or a map file."""
    from importlib import resources

    path = Path(name) if str(name).endswith(".toml") else resources.files("cgcore") / "maps" / f"{name}.toml"
    return path.read_text(encoding="utf-8")


def _labels(mapping: Mapping, molecule: Molecule, species: tuple[int, ...]) -> dict[str, str]:
    """Bead -> label; in a liquid the name without the number of the molecule, where that is enough."""
    every = {mapping.beads[bead]: s for copy in molecule.copies for bead, s in zip(copy, species, strict=True)}
    if len(molecule.copies) > 1:
        stems: dict[str, set[int]] = {}
        for bead, s in every.items():
            stems.setdefault(bead.rpartition("_")[0], set()).add(s)
        if all(len(labels) == 1 for labels in stems.values()):
            every = {stem: labels.pop() for stem, labels in stems.items()}
    return {name: f"S{s + 1}" for name, s in every.items()}


def _orbits(permutations: set[tuple[int, ...]], n: int) -> tuple[tuple[int, ...], ...]:
    graph = networkx.Graph()
    graph.add_nodes_from(range(n))
    graph.add_edges_from((k, i) for p in permutations for k, i in enumerate(p))
    return tuple(sorted(tuple(sorted(c)) for c in networkx.connected_components(graph)))


def _compositions(molecule: Molecule) -> list[tuple[str, ...]]:
    return [
        tuple(sorted(e for e, b in zip(molecule.elements, molecule.bead_of, strict=True) if b == bead))
        for bead in range(molecule.size)
    ]


def _merged(molecule: Molecule, H: set, label: dict[int, int], may_merge) -> tuple[int, ...]:
    """Merge classes as long as the typed bead graph has no symmetry outside H; (n,) labels from 0.

    Once is enough: a merger that adds a symmetry now also adds it when more classes have been merged.
    """
    label = [label[k] for k in range(molecule.size)]
    kept: list[int] = []
    for s in dict.fromkeys(label):
        for into in kept:
            trial = [into if t == s else t for t in label]
            if may_merge(label.index(into), label.index(s)) and _adds_nothing(molecule, trial, H):
                label = trial
                break
        else:
            kept.append(s)
    order = list(dict.fromkeys(label))
    return tuple(order.index(s) for s in label)


def _adds_nothing(molecule: Molecule, label: list[int], H: set) -> bool:
    graph = molecule.bead_graph()
    networkx.set_node_attributes(graph, dict(enumerate(label)), "species")
    matcher = GraphMatcher(graph, graph, categorical_node_match("species", None))
    return all(tuple(m[k] for k in range(molecule.size)) in H for m in matcher.isomorphisms_iter())
