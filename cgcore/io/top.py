"""Atoms and bonds of a GROMACS topology (.top): what a GRO or TRR file does not hold."""

from pathlib import Path
from typing import NamedTuple

import mdtraj
import numpy as np

from ..frames import Topology
from .raw import TrajectoryError

ELEMENTS = [e for e in vars(mdtraj.element).values() if isinstance(e, mdtraj.element.Element) and e.mass > 0]

TOLERANCE = 0.2
"""How far a mass may be from that of its element, g/mol."""


class _Molecule(NamedTuple):
    names: list[str]
    residues: list[tuple[str, str]]  # number and name
    mass: list[float]
    bonds: list[tuple[int, int]]  # from 0


def read_top(path: Path) -> Topology:
    """The atoms of all molecules that [ molecules ] counts, in its order, with the bonds of [ bonds ].

    Names, residues and masses are those of [ atoms ] (eight columns: masses written out), elements the ones of nearest
    mass. Included files are not read, and conditional lines (#ifdef) are taken as they stand.

    Raises TrajectoryError for a molecule that is counted but not defined in this file, an atom
    without a mass or with one that is no element's, or a bond to an atom that is not there.
    """
    molecules, counts = _sections(path)
    if not counts:
        raise TrajectoryError(f"{path}: want a section [ molecules ], found none; is this an .itp file?")
    names, residues, residue_index, mass, bonds = [], [], [], [], []
    for kind, count in counts:
        if kind not in molecules:
            raise TrajectoryError(
                f"{path}: [ molecules ] counts {count} {kind!r}, this file defines {sorted(molecules)}; included files "
                "are not read: leave out the solvent, or write the molecule out here"
            )
        molecule = molecules[kind]
        runs = np.cumsum([0] + [a != b for a, b in zip(molecule.residues, molecule.residues[1:], strict=False)])
        for _ in range(count):
            bonds += [(i + len(names), j + len(names)) for i, j in molecule.bonds]
            residue_index += (runs + (residue_index[-1] + 1 if residue_index else 0)).tolist()
            names += molecule.names
            residues += [name for _, name in molecule.residues]
            mass += molecule.mass
    return Topology(
        names=tuple(names),
        residues=tuple(residues),
        residue_index=tuple(residue_index),
        elements=tuple(_element(path, name, m) for name, m in zip(names, mass, strict=True)),
        mass=np.array(mass),
        bonds=np.array(sorted(bonds), dtype=int).reshape(-1, 2),
    )


def _sections(path: Path) -> tuple[dict[str, _Molecule], list[tuple[str, int]]]:
    molecules: dict[str, _Molecule] = {}
    counts, section = [], ""
    for number, text in enumerate(path.read_text().splitlines(), start=1):
        line = text.split(";")[0].strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line.strip("[] ")
            continue
        try:
            _take(molecules, counts, section, line.split())
        except (ValueError, IndexError) as error:
            raise TrajectoryError(f"{path}, line {number}, [ {section} ]: {error}; found {text.strip()!r}") from error
    return molecules, counts


def _take(molecules: dict, counts: list, section: str, words: list[str]):
    """One line of a section into the molecule that was begun last, or into the counts."""
    if section == "moleculetype":
        molecules[words[0]] = _Molecule([], [], [], [])
    elif section == "molecules":
        counts.append((words[0], int(words[1])))
    elif section in ("atoms", "bonds") and not molecules:
        raise ValueError("want a [ moleculetype ] before it")
    elif section == "atoms":
        molecule = list(molecules.values())[-1]
        if len(words) < 8:
            raise ValueError("want eight columns, the last of them the mass")
        molecule.names.append(words[4])
        molecule.residues.append((words[2], words[3]))
        molecule.mass.append(float(words[7]))
    elif section == "bonds":
        molecule = list(molecules.values())[-1]
        i, j = sorted((int(words[0]) - 1, int(words[1]) - 1))
        if not 0 <= i < j < len(molecule.names):
            raise ValueError(f"want a bond between two of {len(molecule.names)} atoms")
        molecule.bonds.append((i, j))


def _element(path: Path, name: str, mass: float) -> str:
    nearest = min(ELEMENTS, key=lambda e: abs(e.mass - mass))
    if abs(nearest.mass - mass) > TOLERANCE:
        raise TrajectoryError(f"{path}: atom {name} has mass {mass} g/mol, which is no element's; a united atom?")
    return nearest.symbol
