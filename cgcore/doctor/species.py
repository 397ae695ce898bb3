"""Bead types: which beads the molecule itself tells apart, what the species tell apart, and the fewest that suffice."""

from importlib import resources
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cgcore import geometry
from cgcore.doctor.groups import Symmetries, permutations
from cgcore.doctor.molecule import Molecule
from cgcore.errors import read_text
from cgcore.mapping import Mapping

HEADING = "# Proposed by `cgcore doctor`: species that add no symmetry which the molecule does not have.\n"
PROPOSED = {
    "doctor": "fewest species that add no symmetry, beads of different composition apart",
    "doctor_coarsest": "fewest species that add no symmetry",
}
"""Typings of a proposed map file, with what is said of them."""


class Typing(NamedTuple):
    """What bead types there must be.

    orbits: classes of beads that symmetries of the molecule exchange; typed_orbits: classes that symmetries of the typed
    bead graph exchange; must_differ: pairs of beads that only the latter exchange; proposed: species of the beads, the
    fewest that add no symmetry and keep beads of different composition apart; coarsest: the fewest of all.
    """

    orbits: tuple[tuple[int, ...], ...]
    typed_orbits: tuple[tuple[int, ...], ...]
    must_differ: tuple[tuple[int, int], ...]
    proposed: tuple[int, ...]
    coarsest: tuple[int, ...]


def typing(molecule: Molecule, symmetries: Symmetries) -> Typing:
    """Compare the orbits, and merge the molecule's own into the fewest species, best first those of one composition."""
    allowed = {g.permutation for g in symmetries.molecule}
    orbit, typed_orbit = (_orbits(group, molecule.size) for group in (symmetries.molecule, symmetries.model))
    must_differ = [
        (a, b) for members in _members(typed_orbit) for a, b in combinations(members, 2) if orbit[a] != orbit[b]
    ]
    atoms = list(zip(molecule.bead_of, molecule.elements, strict=True))
    composition = [sorted(e for b, e in atoms if b == bead) for bead in range(molecule.size)]
    proposed = _merged(molecule, allowed, orbit, lambda a, b: composition[a] == composition[b])
    coarsest = _merged(molecule, allowed, proposed, lambda a, b: True)
    return Typing(_members(orbit), _members(typed_orbit), tuple(must_differ), proposed, coarsest)


def proposal(text: str, mapping: Mapping, molecule: Molecule, types: Typing) -> str:
    """The map file with the proposed typings behind its own: TOML that `cgcore.mapping.load` takes with typing="doctor".

    text: the file that was examined; typings of an earlier proposal in it are left out.
    """
    parts = [text.split(f"\n{HEADING[:30]}")[0].rstrip("\n"), f"\n\n{HEADING}"]
    for (name, words), species in zip(PROPOSED.items(), (types.proposed, types.coarsest), strict=True):
        labels = ", ".join(f'"{bead}" = "S{s + 1}"' for bead, s in _by_name(mapping, molecule, species).items())
        parts.append(f'\n[typings.{name}]\ndescription = "{words}"\nlabels = {{ {labels} }}\n')
    return "".join(parts)


def map_text(name) -> str:
    """The text of a bundled map or a map file."""
    path = Path(name) if str(name).endswith(".toml") else resources.files("cgcore") / "maps" / f"{name}.toml"
    return read_text(path)


def _by_name(mapping: Mapping, molecule: Molecule, species: tuple[int, ...]) -> dict[str, int]:
    """Bead -> species; in a liquid the name without the number of the molecule, where that is enough."""
    every = {mapping.beads[bead]: s for copy in molecule.copies for bead, s in zip(copy, species, strict=True)}
    if len(molecule.copies) == 1:
        return every
    stems = {(bead.rpartition("_")[0], s) for bead, s in every.items()}
    unique = len({stem for stem, _ in stems}) == len(stems)
    return {bead.rpartition("_")[0]: s for bead, s in every.items()} if unique else every


def _orbits(group, n: int) -> np.ndarray:
    """(n,) number of the orbit of each bead: the beads that the elements of a group take to each other."""
    return geometry.molecules([pair for g in group for pair in enumerate(g.permutation)], n)


def _members(orbit: np.ndarray) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(np.flatnonzero(orbit == k).tolist()) for k in range(orbit.max() + 1))


def _merged(molecule: Molecule, allowed: set, classes, may_merge) -> tuple[int, ...]:
    """Merge classes as long as the typed bead graph has only allowed permutations; (n,) species from 0.

    Once is enough: a merger that adds a symmetry now also adds it when more classes have been merged.
    """
    species, kept = list(classes), []
    for s in dict.fromkeys(species):
        for into in kept:
            trial = [into if t == s else t for t in species]
            alike = may_merge(species.index(into), species.index(s))
            if alike and all(p in allowed for p in permutations(molecule, trial)):
                species = trial
                break
        else:
            kept.append(s)
    order = list(dict.fromkeys(species))
    return tuple(order.index(s) for s in species)
