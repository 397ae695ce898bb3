"""Files of maps: which come with the package, and what one must say. `mapping` describes them."""

import tomllib
from collections import Counter
from importlib import resources
from pathlib import Path

from cgcore.errors import CgcoreError, read_text

from .config import did_you_mean

CAPS = {"ACE": "C", "NME": "N", "NH2": "N"}
"""Residues at the ends of a peptide, and the atom of each that belongs to the backbone."""


class MappingError(CgcoreError, ValueError):
    """A map that does not fit, with what was wanted, what was found and the likely slip."""


def bundled() -> list:
    """The files that come with the package, by name."""
    return sorted(
        (p for p in (resources.files("cgcore") / "maps").iterdir() if p.name.endswith(".toml")), key=lambda p: p.name
    )


def fits(table: dict) -> str:
    """What molecules a map takes, in words: those with its residues, or with its patterns, any, or any peptide."""
    if "atoms" in table:
        return "any molecule" if isinstance(table["atoms"], str) else "any peptide"
    return ", ".join(_residues(table)) or "by SMARTS"


def _residues(table: dict) -> list[str]:
    """The residues, without the caps, that a table names the atoms of."""
    return sorted(name.lower() for name in table.get("residues", {}).keys() - CAPS.keys())


def find(name, typing: str = "published", residue: str | None = None) -> dict:
    """The table of a bundled map or of a .toml file, of which the typing is known, and the residue where it lists some.

    Raises MappingError for what it has not.
    """
    names = {path.name.removesuffix(".toml"): path for path in bundled()}
    if str(name).endswith(".toml"):
        path, name = Path(name), Path(name).stem
        if not path.is_file():
            raise MappingError(f"{path}: no such file")
    elif name in names:
        path = names[name]
    else:
        raise MappingError(
            f"unknown map {name!r}; there are {sorted(names)}, or give a .toml file{did_you_mean(name, names)}"
        )
    table = read(path)
    if typing not in table["typings"]:
        known = sorted(table["typings"])
        raise MappingError(f"map {name!r}: unknown typing {typing!r}; there are {known}{did_you_mean(typing, known)}")
    by_tables = "residues" in table and "atoms" not in table
    if residue and by_tables and residue.lower() not in (known := _residues(table)):
        raise MappingError(
            f"map {name!r}: unknown residue {residue!r}; there are {known}{did_you_mean(residue, known)}"
        )
    return table


KEYS = {"description": str, "leaves_atoms_out": bool, "typings": dict}
OPTIONAL = {"residues": dict, "atoms": object, "dihedrals": dict, "smarts": dict}
OPTIONAL |= dict.fromkeys(("with_hydrogens", "bonds_through_left_out", "dihedrals_of_the_middle"), bool)
RULES = ("heavy", "all")
TYPING_KEYS = {"description": str, "by": str, "labels": dict}
TYPING_BY = ("composition", "residue", "bead", "nothing")


def read(path) -> dict:
    """Read and check a TOML table; what it says of atoms is checked against a topology later.

    Raises MappingError for a file that is none, keys that are missing, unknown or of the wrong type, and for an atom named
    twice.
    """
    try:
        table = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"{path}: not a TOML file: {error}") from error
    _check_keys(path, table, KEYS | OPTIONAL, optional=OPTIONAL.keys())
    if ("residues" in table or "atoms" in table) == ("smarts" in table):
        raise MappingError(
            f"{path}: want 'smarts', or 'atoms' and 'residues' or one of them, to name the atoms of beads by"
        )
    rule = table.get("atoms", "all")
    if rule not in RULES and not (isinstance(rule, list) and rule and all(isinstance(atom, str) for atom in rule)):
        raise MappingError(f"{path}: atoms: want a list of names, or one of {RULES}, got {rule!r}")
    for bead, pattern in table.get("smarts", {}).items():
        if not isinstance(pattern, str):
            raise MappingError(f"{path}, [smarts], bead {bead}: want a pattern in quotes, got {pattern!r}")
    for name, typing in table["typings"].items():
        where = f"{path}, [typings.{name}]"
        if not isinstance(typing, dict):
            raise MappingError(f"{where}: want a table with description and by or labels, got {typing!r}")
        _check_keys(where, typing, TYPING_KEYS, optional={"by", "labels"})
        if ("by" in typing) == ("labels" in typing):
            raise MappingError(f"{where}: want one of 'by' and 'labels'")
        if "by" in typing and typing["by"] not in TYPING_BY:
            raise MappingError(
                f"{where}: by = {typing['by']!r}; want one of {TYPING_BY}{did_you_mean(typing['by'], TYPING_BY)}"
            )
        for bead, label in typing.get("labels", {}).items():
            if not isinstance(label, str):
                raise MappingError(f"{where}: want a name in quotes as label of {bead}, got {label!r}")
    for name, beads in table.get("residues", {}).items():
        if not isinstance(beads, dict):
            raise MappingError(f"{path}, [residues.{name}]: want a table of beads, got {beads!r}")
        for bead, atoms in beads.items():
            if not isinstance(atoms, list) or not atoms or not all(isinstance(a, str) for a in atoms):
                raise MappingError(f"{path}, [residues.{name}], bead {bead}: want a list of atom names, got {atoms!r}")
        for atom, times in Counter(a for atoms in beads.values() for a in atoms).items():
            if times > 1:
                raise MappingError(
                    f"{path}, [residues.{name}]: atom {atom!r} is named {times} times; want it in one bead"
                )
    for key, four in table.get("dihedrals", {}).items():
        if not isinstance(four, list) or len(four) != 4:
            raise MappingError(f"{path}, [dihedrals], {key}: want four beads, got {four!r}")
    return table


def _check_keys(where, table: dict, types: dict, optional: set):
    for key, value in table.items():
        if key not in types:
            raise MappingError(f"{where}: unknown key {key!r}; known are {list(types)}{did_you_mean(key, types)}")
        if not isinstance(value, types[key]):
            raise MappingError(f"{where}: want {types[key].__name__} for {key!r}, got {value!r}")
    if missing := types.keys() - optional - table.keys():
        raise MappingError(f"{where}: missing key {min(missing)!r}")
