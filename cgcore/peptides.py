"""Beads by rule: which atoms of a residue a map takes, whatever the residue, and the dihedrals of a chain of residues."""

from collections.abc import Iterator

from .frames import Topology
from .map_files import CAPS, MappingError

BACKBONE = ("N", "CA", "C")
REMOTENESS = "BGDEZH"
"""Second letters of the heavy atoms of a side chain, from the backbone outwards."""


def beads(map: str, wanted: str | list[str], topology: Topology, residue: dict[str, int], near) -> dict[str, list[str]]:
    """Bead -> names of its atoms, of one residue by the rule of a map file.

    Args:
        map: its name, for messages.
        wanted: "all", "heavy", or names of atoms of a peptide.
        residue: the atoms of the residue by name.
        near: the atoms that each atom is bonded to, of which hydrogens come along.

    Raises:
        MappingError: names of atoms are wanted, and the residue is none of a peptide.
    """
    first, element = min(residue.values()), topology.elements
    name = topology.residues[first]
    if isinstance(wanted, list) and name in CAPS:
        taken = [CAPS[name]] if CAPS[name] in wanted and CAPS[name] in residue else []
    elif isinstance(wanted, list):
        if missing := [atom for atom in BACKBONE if atom not in residue]:
            raise MappingError(
                f"map {map!r} is of peptides: want residues with N, CA and C, perhaps between caps {', '.join(CAPS)}; residue "
                f"{topology.residue(first)} has no {missing[0]!r}. Leave water and ions out (`cgcore import --select protein`); for "
                "a molecule that is no peptide there are the maps heavy_atom and united_atom, and `cgcore propose`"
            )
        taken = [atom for atom in wanted if atom in residue]
    else:
        taken = [atom for atom in residue if wanted == "all" or element[residue[atom]] != "H"]
        if wanted == "heavy" and (name in CAPS or residue.keys() >= set(BACKBONE)):
            taken.sort(key=_place)
    suffix = f"_{name.lower()}" if name in CAPS else ""
    return {
        f"{atom}{suffix}": [atom, *(topology.names[h] for h in near[residue[atom]] if element[h] == "H")]
        for atom in taken
    }


def _place(atom: str) -> tuple:
    """Sorts heavy atoms as N, CA, the side chain outwards, C, O, whatever order a file has them in."""
    if atom in ("N", "CA", "C", "O"):
        return {"N": 0, "CA": 1, "C": 3, "O": 4}[atom], 0, ""
    known = len(atom) > 1 and atom[1] in REMOTENESS
    return (2, REMOTENESS.index(atom[1]), atom[2:]) if known else (5, 0, atom)


def dihedrals(topology: Topology) -> Iterator[tuple[str, int, tuple[int, int, int, int]]]:
    """Yield phi and psi along the residues of a peptide: which of them, of which residue from 0, and its four atoms.

    The residue before and the one after are those of the file, unless the chain ends between them.
    """
    residues: dict[int, dict[str, int]] = {}
    for atom, (index, name) in enumerate(zip(topology.residue_index, topology.names, strict=True)):
        residues.setdefault(index, {})[name] = atom
    chain, near = list(residues.values()), neighbours(topology)

    def joined(carbon: int | None, nitrogen: int | None) -> bool:
        # Where a file lacks the bonds between residues, C has two; the map is then refused, and not left without dihedrals.
        return None not in (carbon, nitrogen) and (nitrogen in near[carbon] or len(near[carbon]) < 3)

    inner = [k for k, residue in enumerate(chain) if residue.keys() >= set(BACKBONE)]
    for number, k in enumerate(inner):
        backbone = tuple(chain[k][atom] for atom in BACKBONE)
        before, after = chain[k - 1].get("C") if k else None, chain[k + 1].get("N") if k + 1 < len(chain) else None
        if joined(before, backbone[0]):
            yield "phi", number, (before, *backbone)
        if joined(backbone[2], after):
            yield "psi", number, (*backbone, after)


def neighbours(topology: Topology) -> list[list[int]]:
    """The atoms that each atom is bonded to."""
    near: list[list[int]] = [[] for _ in topology.names]
    for i, j in topology.bonds.tolist():
        near[i].append(j)
        near[j].append(i)
    return near
