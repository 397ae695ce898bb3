"""Topologies of other programs, by RDKit, OpenMM and MDAnalysis: atoms as the file names them, and the bonds that it has."""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..frames import Topology
from .elements import element
from .raw import TrajectoryError, damaged, plain_text


def read_molfile(path: Path) -> Topology:
    """The molecule of a MOL or SDF file, its atoms named by element and number: C1, C2, H3. By RDKit.

    Raises TrajectoryError for several molecules in one file, a file without hydrogens, and without RDKit.
    """
    try:
        from rdkit import Chem, rdBase
    except ImportError as error:
        raise TrajectoryError(f"{path}: RDKit reads it, and is not installed; `pip install cgcore[smarts]`") from error
    text = plain_text(path)
    records = [part for part in text.split("$$$$") if part.strip()]
    if len(records) != 1:
        raise TrajectoryError(
            f"{path}: want one molecule, found {len(records)}; copies of one are counted from the frames' topology"
        )
    with rdBase.BlockLogs():
        molecule = Chem.MolFromMolBlock(text, sanitize=False, removeHs=False)
    if molecule is None or not molecule.GetNumAtoms():
        raise TrajectoryError(f"{path}: want a whole {path.suffix[1:].upper()} file; it is cut off or damaged")
    symbols = [atom.GetSymbol() for atom in molecule.GetAtoms()]
    molecule.UpdatePropertyCache(strict=False)
    if hidden := sum(atom.GetNumImplicitHs() for atom in molecule.GetAtoms()):
        raise TrajectoryError(
            f"{path}: {hidden} hydrogens are not in it, and are in the frames; want the file with all of them"
        )
    names = [f"{symbol}{k}" for k, symbol in enumerate(symbols, start=1)]
    residue = "".join(molecule.GetProp("_Name").split()[:1] if molecule.HasProp("_Name") else "") or "MOL"
    found = [element(path, name, residue, symbol=symbol) for name, symbol in zip(names, symbols, strict=True)]
    bonds = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in molecule.GetBonds()]
    return _topology(names, [residue] * len(names), ["1"] * len(names), found, [e.mass for e in found], bonds)


def read_universe(path: Path) -> Topology:
    """The atoms of a TPR or PSF file, with the masses and bonds that it has. By MDAnalysis.

    Raises TrajectoryError without MDAnalysis.
    """
    try:
        import MDAnalysis
    except ImportError as error:
        raise TrajectoryError(
            f"{path}: MDAnalysis reads it, and is not installed; `pip install cgcore[mdanalysis]`"
        ) from error
    with damaged(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of coordinates that are not there
        universe = MDAnalysis.Universe(str(path), to_guess=())
        atoms = universe.atoms
        columns = [
            atoms.names,
            atoms.resnames,
            atoms.resids,
            getattr(atoms, "elements", [""] * len(atoms)),
            atoms.masses,
        ]
        bonds = universe.bonds.indices if hasattr(universe, "bonds") else []
        residue = atoms.resindices
    names, residues, numbers, symbols, masses = (list(map(str, c)) for c in columns)
    masses, sizes = [float(m) for m in masses], np.bincount(residue)
    found = [
        element(path, *of_atom, symbol=symbol, mass=mass, alone=sizes[r] == 1)
        for *of_atom, symbol, mass, r in zip(names, residues, symbols, masses, residue, strict=True)
    ]
    return _topology(names, residues, numbers, found, masses, bonds, residue.tolist())


class Structure(NamedTuple):
    """rows: name, residue, its number and element of each atom; residue_index: A; bonds; position (1, A, 3) nm."""

    rows: list[tuple[str, ...]]
    residue_index: list[int]
    bonds: list[tuple[int, ...]]
    position: np.ndarray


def read_cif(path: Path) -> Structure:
    """The first model of an mmCIF file, by OpenMM."""
    from openmm.app import PDBxFile
    from openmm.app.internal.pdbx.reader.PdbxReader import PdbxReader
    from openmm.unit import nanometer

    plain_text(path)
    blocks: list = []
    with damaged(path), open(path, encoding="utf-8") as file:
        PdbxReader(file).read(blocks)
        table = blocks[0].getObj("atom_site")
        rows = table.getRowList()
        at = {name: table.getAttributeIndex(name) for name in table.getAttributeList()}
        model = at.get("pdbx_PDB_model_num")
        first = [row for row in rows if model is None or row[model] == rows[0][model]]
        keys = [at.get(f"auth_{name}", at.get(f"label_{name}")) for name in ("atom_id", "comp_id", "seq_id")]
        atoms = [(*(row[key] for key in keys), row[at["type_symbol"]]) for row in first]
        loaded = PDBxFile(str(path))
        bonds = [tuple(sorted((a.index, b.index))) for a, b in loaded.topology.bonds()]
        position = np.array([loaded.getPositions(asNumpy=True).value_in_unit(nanometer)])
        residue_index = [a.residue.index for a in loaded.topology.atoms()]
    return Structure(atoms, residue_index, bonds, position)


def _topology(names, residues, numbers, elements, masses, bonds, residue_index=None) -> Topology:
    bonds = sorted({tuple(sorted(map(int, bond))) for bond in bonds})
    return Topology(
        names=tuple(names),
        residues=tuple(residues),
        residue_index=tuple(residue_index or [0] * len(names)),
        residue_labels=tuple(numbers),
        elements=tuple(e.symbol for e in elements),
        mass=np.array(masses, float),
        bonds=np.array(bonds, dtype=int).reshape(-1, 2),
    )
