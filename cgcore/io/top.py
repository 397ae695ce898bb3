"""Atoms and bonds of a GROMACS topology (.top): what a GRO or TRR file does not hold."""

from itertools import pairwise
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
    atoms: list[tuple[str, tuple[str, str], float]]  # name, number and name of the residue, mass
    bonds: list[tuple[int, int]]  # from 0


def read_top(path: Path) -> Topology:
    """Read the atoms of all molecules that [ molecules ] counts, in its order, with the bonds of [ bonds ].

    Names, residues and masses are those of [ atoms ] (eight columns: masses written out), elements the ones of nearest
    mass. Included files are not read, and conditional lines (#ifdef) are taken as they stand.

    Raises TrajectoryError for a molecule that is counted but not defined in this file, an atom
    without a mass or with one that is no element's, or a bond to an atom that is not there.
    """
    molecules, counts = _parse(path)
    if not counts:
        raise TrajectoryError(f"{path}: want a section [ molecules ], found none; is this an .itp file?")
    atoms, residue_index, bonds = [], [], []
    for kind, count in counts:
        if kind not in molecules:
            raise TrajectoryError(
                f"{path}: [ molecules ] counts {count} {kind!r}, this file defines {sorted(molecules)}; included files "
                "are not read: leave out the solvent, or write the molecule out here"
            )
        molecule = molecules[kind]
        residue = np.cumsum([1] + [a[1] != b[1] for a, b in pairwise(molecule.atoms)])[: len(molecule.atoms)]
        for _ in range(count):
            bonds += [(i + len(atoms), j + len(atoms)) for i, j in molecule.bonds]
            residue_index += (residue + (residue_index[-1] if residue_index else -1)).tolist()
            atoms += molecule.atoms
    return Topology(
        names=tuple(name for name, _, _ in atoms),
        residues=tuple(residue for _, (_, residue), _ in atoms),
        residue_index=tuple(residue_index),
        elements=tuple(_element(path, name, mass) for name, _, mass in atoms),
        mass=np.array([mass for _, _, mass in atoms]),
        bonds=np.array(sorted(bonds), dtype=int).reshape(-1, 2),
    )


def _parse(path: Path) -> tuple[dict[str, _Molecule], list[tuple[str, int]]]:
    """The molecules that the file defines, and how many there are of each."""
    molecules, counts, section = {}, [], ""
    for number, text in enumerate(path.read_text().splitlines(), start=1):
        line = text.split(";")[0].strip()
        if line.startswith("["):
            section = line.strip("[] ")
        elif line and not line.startswith("#"):
            try:
                _add_line(molecules, counts, section, line.split())
            except (ValueError, IndexError) as error:
                where = f"{path}, line {number}, [ {section} ]"
                raise TrajectoryError(f"{where}: {error}; found {text.strip()!r}") from error
    return molecules, counts


def _add_line(molecules: dict[str, _Molecule], counts: list, section: str, words: list[str]):
    """Add one line of a section to the molecule that was begun last, or to the counts."""
    if section == "moleculetype":
        molecules[words[0]] = _Molecule([], [])
    elif section == "molecules":
        counts.append((words[0], int(words[1])))
    elif section in ("atoms", "bonds"):
        if not molecules:
            raise ValueError("want a [ moleculetype ] before it")
        atoms, bonds = list(molecules.values())[-1]
        if section == "atoms":
            if len(words) < 8:
                raise ValueError("want eight columns, the last of them the mass")
            atoms.append((words[4], (words[2], words[3]), float(words[7])))
        else:
            i, j = sorted((int(words[0]) - 1, int(words[1]) - 1))
            if not 0 <= i < j < len(atoms):
                raise ValueError(f"want a bond between two of {len(atoms)} atoms")
            bonds.append((i, j))


def _element(path: Path, name: str, mass: float) -> str:
    nearest = min(ELEMENTS, key=lambda e: abs(e.mass - mass))
    if abs(nearest.mass - mass) > TOLERANCE:
        raise TrajectoryError(f"{path}: atom {name} has mass {mass} g/mol, which is no element's; a united atom?")
    return nearest.symbol
