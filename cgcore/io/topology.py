"""The atoms of PDB, mmCIF and GRO files, by mdtraj and OpenMM, and of other programs' files: names as written, elements and bonds
only where they are sure."""

import warnings
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import mdtraj
import numpy as np

from .. import geometry
from ..frames import Topology
from ..store import read_json, write_json
from .bonds import check_bonds
from .elements import element
from .raw import TrajectoryError, damaged, existing, plain_text
from .structures import read_cif, read_molfile, read_universe
from .top import read_top

MOST_NUMBERED = 99_999
"""Atoms that five digits number; beyond, programs differ in what they write."""


def read_topology(path) -> Topology:
    """The atoms of a PDB, mmCIF, GRO, GROMACS topology (see `top.read_top`), MOL, SDF, TPR, PSF file, or one of `save_topology`.

    Names are those of the file, and so are elements, or what residues and names agree on (see `elements`); masses come from the elements,
    bonds from CONECT records and the standard residues (capping groups included), constraints from lines
    `REMARK   6 CONSTRAINT i j` as `cgcore reference` writes them; a .top has its own.

    Raises TrajectoryError for another format, an empty file, an atom whose element is not clear, atoms that were left out
    (alternate locations), CONECT records beyond what five digits number, or bonds that the coordinates contradict.
    """
    path = existing(path, {".pdb", ".gro", *CIF, *OTHERS})
    if path.suffix in OTHERS:
        return OTHERS[path.suffix](path)
    constraints: list[list[str]] = []
    if path.suffix in CIF:
        rows, residue_index, bonds, position = read_cif(path)
        vectors = np.zeros((1, 3, 3))
    else:
        lines = plain_text(path).splitlines()
        rows = _pdb_rows(path, lines) if path.suffix == ".pdb" else _gro_rows(lines)
        with damaged(path), warnings.catch_warnings():
            # The unit cell is not asked for here; `read` passes on what mdtraj has to say about it.
            warnings.filterwarnings("ignore", message="Unlikely unit cell vectors")
            loaded = mdtraj.load(path)  # knows the bonds of standard residues under their standard names
        residue_index, position = [a.residue.index for a in loaded.topology.atoms], loaded.xyz[:1]
        bonds = [tuple(sorted((a.index, b.index))) for a, b in loaded.topology.bonds]
        constraints = [line.split()[-2:] for line in lines if line.startswith("REMARK   6 CONSTRAINT")]
        vectors = np.zeros((1, 3, 3)) if loaded.unitcell_vectors is None else loaded.unitcell_vectors[:1]
    if not residue_index:
        raise TrajectoryError(f"{path}: want atoms, found none")
    if len(rows) != len(residue_index):
        raise TrajectoryError(
            f"{path}: {len(rows)} atoms in the file, of which {len(residue_index)} could be told apart; does it hold alternate "
            "locations, or one name twice in a residue? Want each atom once"
        )
    names, residues, numbers, symbols = zip(*rows, strict=True)
    sizes = np.bincount(residue_index)
    elements = [
        element(path, name, residue, symbol=symbol, alone=sizes[r] == 1)
        for name, residue, symbol, r in zip(names, residues, symbols, residue_index, strict=True)
    ]
    topology = Topology(
        names=names,
        residues=residues,
        residue_index=tuple(residue_index),
        residue_labels=numbers,
        elements=tuple(e.symbol for e in elements),
        mass=np.array([e.mass for e in elements]),
        bonds=np.array(sorted(set(bonds)), dtype=int).reshape(-1, 2),
        constraints=np.array(constraints, dtype=int).reshape(-1, 2) - 1,
    )
    check_bonds(path, topology, geometry.make_whole(position, topology.bonds, vectors))
    return topology


def save_topology(path: Path, topology: Topology):
    """Write all that a topology has, as JSON that `read_topology` takes: a PDB file has no masses, and few letters for names."""
    write_json(path, {field.name: getattr(topology, field.name) for field in fields(topology)})


def _saved(path: Path) -> Topology:
    table = read_json(path, *(field.name for field in fields(Topology)))
    pairs = {name: np.array(table.pop(name), dtype=int).reshape(-1, 2) for name in ("bonds", "constraints")}
    return Topology(mass=np.array(table.pop("mass"), float), **pairs, **{k: tuple(v) for k, v in table.items()})


OTHERS: dict[str, Callable[[Path], Topology]] = {
    ".top": read_top,
    ".mol": read_molfile,
    ".sdf": read_molfile,
    ".tpr": read_universe,
    ".psf": read_universe,
    ".json": _saved,
}
CIF = (".cif", ".mmcif")


def with_bonds_of(where, topology: Topology, other: Topology) -> Topology:
    """The topology with the bonds of another one of the same atoms, or of each of its molecules in turn.

    Raises TrajectoryError where that one has other elements.
    """
    copies, rest = divmod(topology.n_atoms, other.n_atoms)
    if rest or topology.elements != other.elements * copies:
        raise TrajectoryError(
            f"{where}: want bonds between the {topology.n_atoms} atoms of the topology, {' '.join(topology.elements[:8])} …, found "
            f"{other.n_atoms}, {' '.join(other.elements[:8])} …; the elements want to be the same in the same order"
        )
    bonds = np.concatenate([other.bonds + k * other.n_atoms for k in range(copies)])
    return replace(topology, bonds=bonds)


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
