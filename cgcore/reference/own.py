"""Where anyone's molecule begins: a PDB file, a sequence of residues or a SMILES, as the text of a PDB file.

The text is a field of the protocol, so that the folder of a reference holds all that its replicas start from: one model for
each start. Sequences and SMILES are built by RDKit (ETKDG; Wang et al., J. Chem. Inf. Model. 60, 2044, 2020,
doi:10.1021/acs.jcim.0c00025), which is optional: `pip install cgcore[smarts]`.
"""

import re
import tempfile
from pathlib import Path

import numpy as np

from ..config import ConfigError
from ..frames import Topology
from ..geometry import molecules
from ..io import read, read_topology
from ..store.files import digest
from .build import Structure

ONE_LETTER = {
    "ALA": "A", "ARG": "R", "ASN": "N", "ASP": "D", "CYS": "C", "GLN": "Q", "GLU": "E", "GLY": "G", "HIS": "H", "ILE": "I",
    "LEU": "L", "LYS": "K", "MET": "M", "PHE": "F", "PRO": "P", "SER": "S", "THR": "T", "TRP": "W", "TYR": "Y", "VAL": "V",
}  # fmt: skip
CHARGED = {("ASP", "OD2"): -1, ("GLU", "OE2"): -1, ("LYS", "NZ"): 1, ("ARG", "NH1"): 1}
"""Side chains at pH 7; histidine is neutral."""
STARTS_DEG = {"extended": (-150.0, 150.0), "ppii": (-75.0, 145.0), "helix": (-60.0, -45.0)}
"""phi and psi of every residue, as the peptides of recipes/starts begin."""
SMILES = "REMARK   6 SMILES "
CONFORMERS, SEED = 4, 7
"""Starts of a molecule from SMILES."""


def from_pdb(path) -> str:
    """The text of a PDB file with all atoms, hydrogens too; each of its models is a start.

    Raises TrajectoryError for what `io.read_topology` refuses, ConfigError for a file without hydrogens.
    """
    topology = read_topology(path)
    if (n := int(molecules(topology.bonds, topology.n_atoms).max()) + 1) > 1:
        names = list(dict.fromkeys(topology.residues))
        raise ConfigError(
            f"{path}: want one molecule, found {n}, of residues {names[:8]}; take out water and ions, and other chains than one"
        )
    if "H" not in topology.elements:
        raise ConfigError(
            f"{path}: want all hydrogens, found none; add them first (OpenMM's Modeller.addHydrogens, PDBFixer, gmx pdb2gmx)"
        )
    text = Path(path).read_text(encoding="utf-8")
    structures(text, str(path))
    return text


def from_sequence(sequence: str) -> str:
    """A peptide such as "ACE-VAL-NME", its omega angles trans; one start for each of STARTS_DEG. Raises ConfigError."""
    Chem, _ = _rdkit("a sequence")
    names = sequence.upper().split("-")
    inner = [name for name in names if name not in ("ACE", "NME")]
    ends = names[0] == "ACE", names[-1] == "NME"
    if not inner or names != ["ACE"] * ends[0] + inner + ["NME"] * ends[1] or set(inner) - ONE_LETTER.keys():
        raise ConfigError(
            f"sequence: want residues joined by '-', perhaps between ACE and NME, such as ACE-VAL-NME, got {sequence!r}; residues are "
            f"{' '.join(ONE_LETTER)}"
        )
    molecule = Chem.RWMol(Chem.MolFromSequence("".join(ONE_LETTER[name] for name in inner)))
    for delta in [
        a for a in molecule.GetAtoms() if (a.GetPDBResidueInfo().GetResidueName(), _name(a)) == ("ILE", "CD1")
    ]:
        _name_isoleucine(delta)
    at = {(a.GetPDBResidueInfo().GetResidueNumber(), _name(a)): a.GetIdx() for a in molecule.GetAtoms()}
    for atom in molecule.GetAtoms():
        atom.SetFormalCharge(CHARGED.get((atom.GetPDBResidueInfo().GetResidueName(), _name(atom)), 0))
    last = len(inner)
    _end(molecule, at[last, "OXT"], "N" if ends[1] else "OXT", "NME" if ends[1] else inner[-1], last + ends[1])
    if ends[1]:
        molecule.GetAtomWithIdx(at[last, "OXT"]).SetAtomicNum(7)
        _add(molecule, "C", "CH3", "NME", last + 1, at[last, "OXT"])
    else:
        molecule.GetAtomWithIdx(at[last, "OXT"]).SetFormalCharge(-1)
    if ends[0]:
        carbon = _add(molecule, "C", "C", "ACE", 0, at[1, "N"])
        _add(molecule, "O", "O", "ACE", 0, carbon, Chem.BondType.DOUBLE)
        _add(molecule, "C", "CH3", "ACE", 0, carbon)
    else:
        molecule.GetAtomWithIdx(at[1, "N"]).SetFormalCharge(1)
    molecule = molecule.GetMol()
    Chem.SanitizeMol(molecule)
    molecule = _embedded(molecule, 1, sequence)
    at = {
        (a.GetPDBResidueInfo().GetResidueNumber(), _name(a)): a.GetIdx()
        for a in molecule.GetAtoms()
        if a.GetAtomicNum() > 1
    }
    positions = []
    for phi, psi in STARTS_DEG.values():
        for number in range(last + 2):
            backbone = [
                at.get((number + step, name)) for step, name in ((-1, "C"), (0, "N"), (0, "CA"), (0, "C"), (1, "N"))
            ]
            omega = [at.get((number - 1, "CA"), at.get((number - 1, "CH3"))), *backbone[:2]]
            _turn(molecule, [*omega, at.get((number, "CA"), at.get((number, "CH3")))], 180.0)
            _turn(molecule, backbone[:4], phi)
            _turn(molecule, backbone[1:], psi)
        positions.append(np.array(molecule.GetConformer().GetPositions()))
    return _text(molecule, positions)


def from_smiles(smiles: str) -> str:
    """A molecule by its SMILES, its stereocentres as written; CONFORMERS starts. Raises ConfigError."""
    Chem, rdBase = _rdkit("a SMILES")
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        raise ConfigError(f"smiles: RDKit cannot read {smiles!r}")
    if len(Chem.GetMolFrags(molecule)) > 1:
        raise ConfigError(f"smiles: want one molecule, {smiles!r} has {len(Chem.GetMolFrags(molecule))}")
    written = [atom for atom in molecule.GetAtoms() if atom.GetAtomicNum() == 1]
    if written or molecule.GetNumAtoms() + sum(atom.GetTotalNumHs() for atom in molecule.GetAtoms()) < 2:
        raise ConfigError(
            f"smiles: want a molecule of two atoms or more, its hydrogens not written out, got {smiles!r}"
        )
    left_open = [s for s in Chem.FindPotentialStereo(molecule) if s.specified == Chem.StereoSpecified.Unspecified]
    if left_open:
        words = [f"{'bond' if 'Bond' in str(s.type) else 'atom'} {s.centeredOn}" for s in left_open]
        raise ConfigError(
            f"smiles: {smiles!r} leaves open of which hand or side {', '.join(words)} is (from 0); write @ or @@, and / or \\ beside "
            "a double bond"
        )
    for atom in molecule.GetAtoms():
        info = Chem.AtomPDBResidueInfo(f"{atom.GetSymbol()}{atom.GetIdx() + 1}", residueName="MOL", residueNumber=0)
        atom.SetMonomerInfo(info)
    molecule = _embedded(molecule, CONFORMERS, smiles, numbered=True)
    return f"{SMILES}{smiles}\n" + _text(molecule, [np.array(c.GetPositions()) for c in molecule.GetConformers()])


def label(smiles: str) -> str:
    """A name for files: the formula of a SMILES, and six digits that tell isomers apart."""
    Chem, rdBase = _rdkit("a SMILES")
    from rdkit.Chem import rdMolDescriptors

    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        return "molecule"  # `from_smiles` says what is wrong
    formula = re.sub("[^A-Za-z0-9]", "", rdMolDescriptors.CalcMolFormula(molecule))
    return f"{formula}_{digest(Chem.MolToSmiles(molecule).encode())[:6]}"


def structures(text: str, name: str) -> list[Structure]:
    """The models of a PDB text. Raises what `io.read_topology` and `io.read` raise."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{re.sub('[^A-Za-z0-9]+', '_', Path(name).stem) or 'molecule'}.pdb"
        path.write_text(text, encoding="utf-8")
        topology: Topology = read_topology(path)
        frames = read(path, topology, frame_ps=1.0)
    return [Structure(topology, np.asarray(x, float), np.full(3, np.inf)) for x in frames.position]


def _rdkit(what: str):
    try:
        from rdkit import Chem, rdBase
    except ImportError as error:
        raise ConfigError(
            f"{what} takes RDKit, which is not installed: `pip install cgcore[smarts]`, or give a PDB file"
        ) from error
    return Chem, rdBase


def _name(atom) -> str:
    return atom.GetPDBResidueInfo().GetName().strip()


def _name_isoleucine(delta):
    """Call the carbon that CD1 is bonded to CG1, as PDB files do; RDKit may call it CG2."""
    (gamma,) = delta.GetNeighbors()
    (beta,) = [a for a in gamma.GetNeighbors() if _name(a) == "CB"]
    (other,) = [a for a in beta.GetNeighbors() if _name(a).startswith("CG") and a.GetIdx() != gamma.GetIdx()]
    gamma.GetPDBResidueInfo().SetName(" CG1"), other.GetPDBResidueInfo().SetName(" CG2")


def _end(molecule, index: int, name: str, residue: str, number: int):
    """Name the atom at the end of the chain."""
    info = molecule.GetAtomWithIdx(index).GetPDBResidueInfo()
    info.SetName(name), info.SetResidueName(residue), info.SetResidueNumber(number)


def _add(molecule, symbol: str, name: str, residue: str, number: int, to: int, order=None) -> int:
    Chem, _ = _rdkit("a sequence")
    atom = Chem.Atom(symbol)
    atom.SetMonomerInfo(Chem.AtomPDBResidueInfo(name, residueName=residue, residueNumber=number))
    index = molecule.AddAtom(atom)
    molecule.AddBond(to, index, order or Chem.BondType.SINGLE)
    return index


def smiles_of(text: str) -> str:
    """The SMILES that a PDB text was made of. Raises ConfigError for one of something else: it has no bond orders."""
    first = text.partition("\n")[0]
    if not first.startswith(SMILES):
        raise ConfigError("mmff94: a PDB file holds no bond orders and charges; want the molecule by --smiles")
    return first.removeprefix(SMILES)


def _embedded(molecule, n: int, name: str, *, numbered: bool = False):
    """Add hydrogens, numbered or named after the atoms they are bonded to, and n conformers, relaxed by MMFF94."""
    from rdkit import Chem
    from rdkit.Chem import AllChem

    molecule, count = Chem.AddHs(molecule, addResidueInfo=True), 0
    for atom in molecule.GetAtoms():
        hydrogens = [h for h in atom.GetNeighbors() if h.GetAtomicNum() == 1]
        for k, hydrogen in enumerate(hydrogens, start=1):
            count += 1
            stem = f"H{count}" if numbered else f"H{_name(atom)[1:]}{k if len(hydrogens) > 1 else ''}"
            of = atom.GetPDBResidueInfo()
            info = Chem.AtomPDBResidueInfo(stem, residueName=of.GetResidueName(), residueNumber=of.GetResidueNumber())
            hydrogen.SetMonomerInfo(info)
    options = AllChem.ETKDGv3()
    options.randomSeed = SEED
    if len(AllChem.EmbedMultipleConfs(molecule, n, options)) < n:
        raise ConfigError(f"{name}: RDKit finds no conformers in three dimensions; give a PDB file instead")
    AllChem.MMFFOptimizeMoleculeConfs(molecule)
    return molecule


def _turn(molecule, four: list, degrees: float):
    """Set a dihedral where all its atoms are there and no ring holds it."""
    from rdkit.Chem import rdMolTransforms

    if None not in four and not molecule.GetBondBetweenAtoms(*four[1:3]).IsInRing():
        rdMolTransforms.SetDihedralDeg(molecule.GetConformer(), *four, degrees)


def _text(molecule, positions: list[np.ndarray]) -> str:
    """Models of a PDB file, atoms in the order of their residues, with every bond as a CONECT record; positions in Å."""
    infos = [atom.GetPDBResidueInfo() for atom in molecule.GetAtoms()]
    order = sorted(range(len(infos)), key=lambda k: infos[k].GetResidueNumber())
    place = {k: n for n, k in enumerate(order, start=1)}
    names, first = {k: infos[k].GetName().strip() for k in order}, infos[order[0]].GetResidueNumber()
    lines = []
    for number, x in enumerate(positions, start=1):
        lines.append(f"MODEL     {number:4d}")
        for k in order:
            name, symbol = names[k], molecule.GetAtomWithIdx(k).GetSymbol()
            padded = f"{name:<4}" if len(name) == 4 or len(symbol) == 2 else f" {name:<3}"
            lines.append(
                f"ATOM  {place[k]:5d} {padded} {infos[k].GetResidueName():>3} A{infos[k].GetResidueNumber() - first + 1:4d}    "
                + "".join(f"{v:8.3f}" for v in x[k])
                + f"  1.00  0.00          {symbol:>2}"
            )
        lines.append("ENDMDL")
    bonds = sorted(sorted((place[b.GetBeginAtomIdx()], place[b.GetEndAtomIdx()])) for b in molecule.GetBonds())
    lines += [f"CONECT{i:5d}{j:5d}" for i, j in bonds]
    return "\n".join([*lines, "END", ""])
