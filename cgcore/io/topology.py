"""The atoms of PDB and GRO files, by mdtraj: names as written, elements and bonds only where they are sure."""

import warnings
from pathlib import Path

import mdtraj
import numpy as np

from .. import geometry
from ..frames import Topology
from .elements import element
from .held import check_bonds
from .raw import TrajectoryError, damaged, existing, plain_text
from .top import read_top

MOST_NUMBERED = 99_999
"""Atoms that five digits number; beyond, programs differ in what they write."""


def read_topology(path) -> Topology:
    """The atoms of a PDB, GRO or GROMACS topology file (see `top.read_top`), named as in the file.

    Elements are those of the file, or what residues and names agree on (see `elements`); masses come from the elements,
    bonds from CONECT records and the standard residues (capping groups included), constraints from lines
    `REMARK   6 CONSTRAINT i j` as `cgcore reference` writes them; a .top has its own.

    Raises TrajectoryError for another format, an empty file, an atom whose element is not clear, atoms that were left out
    (alternate locations), CONECT records beyond what five digits number, or bonds that the coordinates contradict.
    """
    path = existing(path, {".pdb", ".gro", ".top"})
    if path.suffix == ".top":
        return read_top(path)
    lines = plain_text(path).splitlines()
    rows = _pdb_rows(path, lines) if path.suffix == ".pdb" else _gro_rows(lines)
    with damaged(path), warnings.catch_warnings():
        # The unit cell is not asked for here; `read` passes on what mdtraj has to say about it.
        warnings.filterwarnings("ignore", message="Unlikely unit cell vectors")
        loaded = mdtraj.load(path)  # knows the bonds of standard residues under their standard names
    atoms = list(loaded.topology.atoms)
    if not atoms:
        raise TrajectoryError(f"{path}: want atoms, found none")
    if len(rows) != len(atoms):
        raise TrajectoryError(
            f"{path}: {len(rows)} atoms in the file, of which {len(atoms)} could be told apart; does it hold alternate "
            "locations, or one name twice in a residue? Want each atom once"
        )
    names, residues, numbers, symbols = zip(*rows, strict=True)
    elements = [
        element(path, name, residue, symbol=symbol, alone=atom.residue.n_atoms == 1)
        for atom, name, residue, symbol in zip(atoms, names, residues, symbols, strict=True)
    ]
    bonds = sorted({tuple(sorted((a.index, b.index))) for a, b in loaded.topology.bonds})
    constraints = [line.split()[-2:] for line in lines if line.startswith("REMARK   6 CONSTRAINT")]
    topology = Topology(
        names=names,
        residues=residues,
        residue_index=tuple(a.residue.index for a in atoms),
        residue_labels=numbers,
        elements=tuple(e.symbol for e in elements),
        mass=np.array([e.mass for e in elements]),
        bonds=np.array(bonds, dtype=int).reshape(-1, 2),
        constraints=np.array(constraints, dtype=int).reshape(-1, 2) - 1,
    )
    vectors = np.zeros((1, 3, 3)) if loaded.unitcell_vectors is None else loaded.unitcell_vectors[:1]
    check_bonds(path, topology, geometry.make_whole(loaded.xyz[:1], topology.bonds, vectors))
    return topology


def _pdb_rows(path: Path, lines: list[str]) -> list[tuple[str, str, str, str]]:
    """Name, residue, its number, and element if there is one, of the atoms of the first model."""
    first = lines[: next((k for k, line in enumerate(lines) if line.startswith("END")), len(lines))]
    atoms = [line for line in first if line.startswith(("ATOM  ", "HETATM"))]
    if len(atoms) > MOST_NUMBERED and any(line.startswith("CONECT") for line in lines):
        raise TrajectoryError(
            f"{path}: {len(atoms)} atoms, and CONECT records, which number {MOST_NUMBERED} at most; want the bonds from a .top"
        )
    return [(x[12:16].strip(), x[17:21].strip(), x[22:27].strip(), x[76:78].strip()) for x in atoms]


def _gro_rows(lines: list[str]) -> list[tuple[str, str, str, str]]:
    """The same of the first frame, where mdtraj renames atoms, and without elements."""
    atoms = lines[2 : 2 + int(lines[1])] if len(lines) > 1 and lines[1].strip().isdigit() else []
    return [(x[10:15].strip(), x[5:10].strip(), x[:5].strip(), "") for x in atoms]
