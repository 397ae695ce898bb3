"""Atoms and bonds of a GROMACS topology (.top): what a GRO or TRR file does not hold."""

import os
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cgcore.errors import read_text

from ..frames import Topology
from .elements import element
from .raw import TrajectoryError

READ = ("atomtypes", "moleculetype", "atoms", "bonds", "constraints", "settles", "molecules")
PARAMETERS = (
    "defaults bondtypes angletypes dihedraltypes pairtypes constrainttypes cmaptypes nonbond_params implicit_genborn_params "
    "system pairs pairs_nb angles dihedrals exclusions cmap position_restraints distance_restraints dihedral_restraints "
    "orientation_restraints angle_restraints angle_restraints_z"
)
"""Sections that say nothing of atoms, bonds and constraints."""
OF_MOLECULE = (
    "virtual_sites1",
    "virtual_sites2",
    "virtual_sites3",
    "virtual_sites4",
    "virtual_sitesn",
    "polarization",
    "water_polarization",
    "thole_polarization",
)
"""Sections of one molecule that do, and are not read: another molecule may be counted."""
UNBONDED = {"6", "9", "10"}
"""Functions of [ bonds ] that are no chemical bonds for GROMACS either."""


class _Atom(NamedTuple):
    where: str  # file and line
    name: str
    residue: tuple[str, str]  # number and name
    number: str  # atomic, or ""
    mass: str  # "" where neither the atom nor its type has one


class _Molecule(NamedTuple):
    """unknown: a section that may say what is bonded or held, which matters where the molecule is counted."""

    atoms: list[_Atom]
    bonds: list[tuple[int, int]]  # from 0
    constraints: list[tuple[int, int]]
    unknown: list[str]


class _Parsed(NamedTuple):
    """What a file and those that it includes define. unread: included files that were not found."""

    types: dict[str, tuple[str, str]]  # type of atom -> atomic number or "", mass
    molecules: dict[str, _Molecule]
    counts: list[tuple[str, int]]
    unread: list[str]


def read_top(path: Path) -> Topology:
    """Read the atoms of all molecules that [ molecules ] counts, in its order, with their bonds and constraints.

    Masses are those of [ atoms ], or of [ atomtypes ]; elements those of the atomic numbers of [ atomtypes ], or what
    residue, name and mass agree on. Conditions (#ifdef) hold for what the file itself defines. Included files are read
    where they are found, beside the file, in $GMXLIB and in GROMACS' own folder: a force field is often not needed.

    Raises TrajectoryError for a section whose meaning is not known here, a molecule that is counted but not defined, an atom
    without a mass or whose element is not clear, or a bond to an atom that is not there.
    """
    parsed = _Parsed({}, {}, [], [])
    section = ""
    for where, text in _lines(path, set(), parsed.unread):
        if text.startswith("["):
            section = text.strip("[] ")
            if section not in (*READ, *PARAMETERS.split()):
                if section not in OF_MOLECULE or not parsed.molecules:
                    raise TrajectoryError(
                        f"{where}: [ {section} ] may say what is bonded or held, and is not read here"
                    )
                list(parsed.molecules.values())[-1].unknown.append(f"{where}: [ {section} ]")
            continue
        try:
            _add_line(parsed, section, text.split(), where)
        except (ValueError, IndexError) as error:
            raise TrajectoryError(f"{where}, [ {section} ]: {error}; found {text!r}") from error
    if not parsed.counts:
        raise TrajectoryError(f"{path}: want a section [ molecules ], found none; is this an .itp file?")
    atoms, residue_index, bonds, constraints = [], [], [], []
    for kind, count in parsed.counts:
        if kind not in parsed.molecules:
            raise TrajectoryError(
                f"{path}: [ molecules ] counts {count} {kind!r}, this file defines {sorted(parsed.molecules)}; included "
                f"files that were not found: {parsed.unread or 'none'}. Leave out the solvent, write the molecule out "
                "here, set GMXLIB, or take the .tpr of the run, which has all"
            )
        molecule = parsed.molecules[kind]
        if molecule.unknown:
            raise TrajectoryError(f"{molecule.unknown[0]} may say what is bonded or held, and is not read here")
        residue = np.cumsum([1] + [a.residue != b.residue for a, b in pairwise(molecule.atoms)])[: len(molecule.atoms)]
        found = [(a.name, a.residue, *_mass_and_element(a, parsed.unread)) for a in molecule.atoms]
        for _ in range(count):
            for pairs, all_pairs in ((molecule.bonds, bonds), (molecule.constraints, constraints)):
                all_pairs += [(i + len(atoms), j + len(atoms)) for i, j in pairs]
            residue_index += (residue + (residue_index[-1] if residue_index else -1)).tolist()
            atoms += found
    return Topology(
        names=tuple(name for name, *_ in atoms),
        residues=tuple(residue for _, (_, residue), *_ in atoms),
        residue_index=tuple(residue_index),
        residue_labels=tuple(number for _, (number, _), *_ in atoms),
        elements=tuple(symbol for *_, symbol in atoms),
        mass=np.array([mass for _, _, mass, _ in atoms]),
        bonds=np.array(sorted(set(bonds)), dtype=int).reshape(-1, 2),
        constraints=np.array(sorted(set(constraints)), dtype=int).reshape(-1, 2),
    )


def _lines(path: Path, defined: set[str], unread: list[str]) -> Iterator[tuple[str, str]]:
    """(File and line number, text) of the lines that count, those of included files in their place."""
    conditions: list[bool] = []
    for number, text in enumerate(read_text(path).replace("\\\n", " ").splitlines(), start=1):
        line, where = text.split(";")[0].strip(), f"{path}, line {number}"
        command, _, rest = line.partition(" ")
        if command in ("#ifdef", "#ifndef"):
            conditions.append((rest.strip() in defined) == (command == "#ifdef"))
        elif command in ("#else", "#endif"):
            if not conditions:
                raise TrajectoryError(f"{where}: {command} without an #ifdef before it")
            last = conditions.pop()
            conditions += [not last] if command == "#else" else []
        elif not line or line.startswith("*") or not all(conditions):
            continue
        elif command == "#define":
            defined.add(rest.split()[0])
        elif command == "#include":
            name = rest.strip(' "<>')
            found = [folder / name for folder in _places(path.parent) if (folder / name).is_file()]
            unread += [] if found else [name]
            for file in found[:1]:
                yield from _lines(file, defined, unread)
        elif line.startswith("#"):
            raise TrajectoryError(f"{where}: {command} is not known here; want the file as `gmx grompp -pp` writes it")
        else:
            yield where, line
    if conditions:
        raise TrajectoryError(f"{path}: an #ifdef without #endif; was the file cut off?")


def _add_line(parsed: _Parsed, section: str, words: list[str], where: str):
    """Add one line of a section to the molecule that was begun last, to the types of atoms, or to the counts."""
    if section == "moleculetype":
        if words[0] in parsed.molecules:
            raise ValueError("a molecule of this name is defined before")
        parsed.molecules[words[0]] = _Molecule([], [], [], [])
    elif section == "molecules":
        parsed.counts.append((words[0], int(words[1])))
    elif section == "atomtypes":
        # name, type of bonds and atomic number, of which two may be missing, then mass, charge, and a letter
        letter = max(k for k, word in enumerate(words) if k > 2 and word in "ASVD")
        number = words[letter - 3] if letter > 3 and words[letter - 3].isdigit() else ""
        parsed.types[words[0]] = (number if number != "0" else "", words[letter - 2])
    elif section in READ:
        if not parsed.molecules:
            raise ValueError("want a [ moleculetype ] before it")
        molecule = list(parsed.molecules.values())[-1]
        if section == "atoms":
            number, mass = parsed.types.get(words[1], ("", ""))
            mass = words[7] if len(words) > 7 else mass
            molecule.atoms.append(_Atom(where, words[4], (words[2], words[3]), number, mass))
            return
        first, second = int(words[0]) - 1, int(words[1]) - 1
        water = [(first, first + 1), (first, first + 2), (first + 1, first + 2)]  # oxygen before its hydrogens
        pairs = water if section == "settles" else [(first, second)]
        for i, j in map(sorted, pairs):
            if not 0 <= i < j < len(molecule.atoms):
                raise ValueError(f"want a bond between two of {len(molecule.atoms)} atoms")
            if section != "bonds":
                molecule.constraints.append((i, j))
            if {"bonds": words[2] not in UNBONDED, "constraints": words[2] == "1", "settles": i == first}[section]:
                molecule.bonds.append((i, j))


def _mass_and_element(atom: _Atom, unread: list[str]) -> tuple[float, str]:
    """Of an atom of a molecule that is counted: force fields define ions that no run has."""
    try:
        mass = float(atom.mass)
    except ValueError as error:
        raise TrajectoryError(
            f"{atom.where}, [ atoms ]: want eight columns, the last of them the mass, or [ atomtypes ] with it; included files that "
            f"were not found: {unread or 'none'}; found {atom.mass or 'no mass'!r}"
        ) from error
    return mass, element(atom.where, atom.name, atom.residue[1], symbol=atom.number, mass=mass).symbol


def _places(beside: Path) -> list[Path]:
    """Where included files may lie: beside the file, in $GMXLIB, and in the installation of GROMACS, where there is one."""
    program = shutil.which("gmx") or shutil.which("gmx_mpi")
    prefixes = Path(program).resolve().parents if program else ()
    installed = [os.environ.get("GMXDATA", ""), *(str(prefix / "share" / "gromacs") for prefix in prefixes)]
    folders = [os.environ.get("GMXLIB", ""), *(str(Path(folder) / "top") for folder in installed if folder)]
    return [beside, *(Path(folder) for folder in folders if folder)]
