"""The bundled maps of peptides on every residue and on sequences: beads, bonds, dihedrals, and which stereocentres they keep."""

from dataclasses import replace
from functools import cache

import mdtraj
import numpy as np
import pytest
from doctoring import frames
from typer.testing import CliRunner

from cgcore import mapping
from cgcore.cli import app
from cgcore.doctor.molecule import kinds
from cgcore.doctor.stereo import LOST, PATH, handedness, retention
from cgcore.doctor.symmetry import observables
from cgcore.mapping import MappingError
from cgcore.reference import own, sets

HEAVY = {
    "ALA": 5, "ARG": 11, "ASN": 8, "ASP": 8, "CYS": 6, "GLN": 9, "GLU": 9, "GLY": 4, "HIS": 10, "ILE": 8,
    "LEU": 8, "LYS": 9, "MET": 8, "PHE": 11, "PRO": 7, "SER": 6, "THR": 7, "TRP": 14, "TYR": 12, "VAL": 7,
}  # fmt: skip
"""Heavy atoms of a residue in a chain. The caps have three and two."""
SIDE = {
    "VAL": "CB CG1 CG2",
    "ILE": "CB CG1 CG2 CD1",
    "HIS": "CB CG ND1 CD2 CE1 NE2",
    "TRP": "CB CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2",
}
"""Side chains in the order of the beads, that of PDB files."""


@pytest.fixture(autouse=True)
def rdkit():
    return pytest.importorskip("rdkit")


@cache
def peptide(sequence: str):
    return own.structures(own.from_sequence(sequence), "peptide")


def sample(sequence: str, n: int, noise_nm: float) -> np.ndarray:
    """(3 n, A, 3) nm: frames about the three starts."""
    random = np.random.default_rng(0)
    starts = np.repeat([start.position for start in peptide(sequence)], n, axis=0)
    return starts + noise_nm * random.standard_normal(starts.shape)


def states(name: str, sequence: str) -> dict:
    """What a map keeps of each stereocentre."""
    topology = peptide(sequence)[0].topology
    beads, x = mapping.load(name, topology), sample(sequence, 20, 0.002)
    (kind,) = kinds(beads, topology)
    mapped = mapping.apply(beads, frames(x, topology.names))
    of_atoms = handedness(kind, x[:, kind.atom_copies])
    return {kept.centre: kept.state for kept in retention(kind, of_atoms, kind.select(mapped.position))}


@pytest.mark.parametrize("residue", HEAVY)
def test_every_residue_has_its_beads_and_a_beta_carbon_keeps_its_hand(residue):
    sequence = f"ACE-{residue}-NME"
    topology = peptide(sequence)[0].topology
    core, heavy, united = (mapping.load(name, topology) for name in ("core", "heavy_atom", "united_atom"))
    assert core.beads == ("C_ace", "N", "CA", "C", "N_nme")
    assert len(heavy.beads) == len(united.beads) == HEAVY[residue] + 5
    assert heavy.beads == united.beads
    assert united.mass.sum() == pytest.approx(topology.mass.sum(), rel=1e-12)
    phi_psi = {key: tuple(core.beads[b] for b in four) for key, four in core.dihedrals.items()}
    assert phi_psi == {"phi": ("C_ace", "N", "CA", "C"), "psi": ("N", "CA", "C", "N_nme")}
    if residue in SIDE:
        assert heavy.beads == ("CH3_ace", "C_ace", "O_ace", "N", "CA", *SIDE[residue].split(), "C", "O", "N_nme", "CH3_nme")  # fmt: skip
    if residue == "GLY":
        with pytest.raises(
            MappingError, match="map 'core_beta': no residue of the topology has an atom 'CB'; want a map"
        ):
            mapping.load("core_beta", topology)
        return
    beta = mapping.load("core_beta", topology)
    assert beta.beads == ("C_ace", "N", "CA", "CB", "C", "N_nme")
    assert beta.bonds.tolist() == [[0, 1], [1, 2], [2, 3], [2, 4], [4, 5]]
    assert states("core", sequence)["CA"] == LOST
    assert states("core_beta", sequence)["CA"] == PATH


def test_two_residues_one_of_them_glycine():
    beads = mapping.load("core_beta", peptide("ACE-ALA-GLY-NME")[0].topology)
    assert " ".join(beads.beads) == "C_ace N_1 CA_1 CB C_1 N_2 CA_2 C_2 N_nme"
    assert beads.bonds.tolist() == [[0, 1], [1, 2], [2, 3], [2, 4], [4, 5], [5, 6], [6, 7], [7, 8]]
    assert " ".join(beads.species_names[s] for s in beads.species) == "C N C C C N C C N"
    named = {key: " ".join(beads.beads[b] for b in four) for key, four in beads.dihedrals.items()}
    assert named == {
        "phi_1": "C_ace N_1 CA_1 C_1",
        "psi_1": "N_1 CA_1 C_1 N_2",
        "phi_2": "C_1 N_2 CA_2 C_2",
        "psi_2": "N_2 CA_2 C_2 N_nme",
    }
    middle = mapping.load("chain_core_beta", peptide("ACE-ALA-GLY-NME")[0].topology)
    assert middle.dihedrals == {"phi": (0, 1, 2, 4), "psi": (1, 2, 4, 5)}


def test_three_residues_without_caps():
    """The last has one more oxygen; the first has no phi, the last no psi."""
    topology = peptide("ALA-ALA-ALA")[0].topology
    beads = {
        name: mapping.load(name, topology) for name in ("core", "core_beta", "heavy_atom", "united_atom", "chain_ca")
    }
    assert [len(m.beads) for m in beads.values()] == [9, 12, 16, 16, 3]
    assert [len(m.bonds) for m in beads.values()] == [8, 11, 15, 15, 2]
    assert list(beads["core"].dihedrals) == ["psi_1", "phi_2", "psi_2", "phi_3"]
    assert beads["core"].dihedrals["phi_2"] == (2, 3, 4, 5)
    assert beads["heavy_atom"].beads[-3:] == ("C_3", "O_3", "OXT")
    assert beads["chain_ca"].dihedrals == {}
    assert states("core_beta", "ALA-ALA-ALA") == {"ALA1:CA": PATH, "ALA2:CA": PATH, "ALA3:CA": PATH}


def test_two_chains_have_no_dihedrals_between_them():
    one = peptide("ALA-ALA-ALA")[0].topology
    n, residues = one.n_atoms, max(one.residue_index) + 1
    two = {name: getattr(one, name) * 2 for name in ("names", "residues", "elements", "residue_labels")}
    two["residue_index"] = (*one.residue_index, *(k + residues for k in one.residue_index))
    two |= {"mass": np.tile(one.mass, 2), "bonds": np.concatenate([one.bonds, one.bonds + n])}
    beads = mapping.load("core", replace(one, **two))
    assert list(beads.dihedrals) == ["psi_1", "phi_2", "psi_2", "phi_3", "psi_4", "phi_5", "psi_5", "phi_6"]


def test_a_hairpin_by_its_alpha_carbons():
    """The sequence of chignolin: no typing is of alanine."""
    topology = peptide("GLY-TYR-ASP-PRO-GLU-THR-GLY-THR-TRP-GLY")[0].topology
    beads = mapping.load("chain_ca", topology)
    assert beads.beads == beads.species_names == tuple(f"CA_{k}" for k in range(1, 11))
    assert beads.bonds.tolist() == [[k, k + 1] for k in range(9)]
    assert len(mapping.load("core_beta", topology).beads) == 30 + 7
    assert len(mapping.load("core", topology).dihedrals) == 18
    with pytest.raises(MappingError, match="a label for 'CA_11', which is no bead"):
        mapping.load("chain_ca", topology, typing="symmetric")


def test_an_amide_at_the_end_and_the_order_of_a_file_do_not_matter():
    topology = peptide("ACE-VAL-NME")[0].topology
    atoms = enumerate(zip(topology.residues, topology.names, strict=True))
    amide = topology.take(np.array([k for k, (residue, name) in atoms if residue != "NME" or name == "N"]))
    amide = replace(amide, residues=tuple("NH2" if r == "NME" else r for r in amide.residues))
    assert mapping.load("core", amide).beads == ("C_ace", "N", "CA", "C", "N_nh2")
    assert mapping.load("core", amide).dihedrals["psi"] == (1, 2, 3, 4)
    order = np.random.default_rng(0).permutation(topology.n_atoms)
    order = order[np.argsort(np.array(topology.residue_index)[order], kind="stable")]
    place = np.argsort(order)
    mixed = {
        k: tuple(getattr(topology, k)[a] for a in order) for k in ("names", "residues", "elements", "residue_index")
    }
    mixed |= {"mass": topology.mass[order], "bonds": np.sort(place[topology.bonds], axis=1), "residue_labels": ()}
    assert mapping.load("heavy_atom", replace(topology, **mixed)).beads == mapping.load("heavy_atom", topology).beads


def test_what_is_no_peptide_is_told_so():
    (built, *_) = own.structures(own.from_smiles("CCO"), "ethanol")
    for name in ("core", "core_beta", "chain_ca", "chain_core"):
        with pytest.raises(
            MappingError,
            match=rf"map '{name}' is of peptides: want residues with N, CA and C, perhaps between caps ACE, NME, NH2; residue MOL1 "
            "has no 'N'.*propose",
        ):
            mapping.load(name, built.topology)
    assert mapping.load("heavy_atom", built.topology).beads == ("C1", "C2", "O3")
    united = mapping.load("united_atom", built.topology)
    assert [united.species_names[s] for s in united.species] == ["CH3", "CH2", "OH"]
    assert united.dihedrals == {}


def test_the_doctor_takes_a_bundled_map_of_a_sequence(tmp_path):
    """The command, of files that anyone may have: it looks at every phi and psi, and writes a map with typings beside the rule."""
    sequence = "ACE-ALA-GLY-NME"
    topology, x = peptide(sequence)[0].topology, sample(sequence, 40, 0.004)
    (tmp_path / "mine.pdb").write_text(own.from_sequence(sequence))
    with mdtraj.formats.XTCTrajectoryFile(str(tmp_path / "mine.xtc"), "w") as file:
        file.write(x.astype(np.float32), time=np.arange(len(x), dtype=np.float32))
    files = [str(tmp_path / "mine.xtc"), "--topology", str(tmp_path / "mine.pdb"), "--out", str(tmp_path)]
    ended = CliRunner().invoke(app, ["doctor", "core_beta", *files])
    assert ended.exit_code == 0, ended.output
    assert "1 of 1 stereocentres kept" in ended.output
    beads = mapping.load("core_beta", topology)
    (kind,) = kinds(beads, topology)
    assert [o.name for o in observables(beads, kind)] == ["phi_1, psi_1", "psi_1, phi_2", "phi_2, psi_2"]
    assert mapping.load(tmp_path / "core_beta_doctor.toml", topology, typing="doctor").beads == beads.beads


@pytest.mark.parametrize("name, n", [("core", 47), ("core_beta", 62)])
def test_a_chain_of_alanine_by_the_map_of_one_residue(name, n):
    """The same beads as the chain's own map; dihedrals of all residues in place of the middle's."""
    topology, _ = sets.load("ala15_obc2", stride=5000)
    all_of_it, middle = mapping.load(name, topology), mapping.load(f"chain_{name}", topology)
    assert len(all_of_it.beads) == n and all_of_it.beads == middle.beads
    assert all_of_it.species == middle.species
    assert list(all_of_it.dihedrals)[:3] == ["phi_1", "psi_1", "phi_2"] and len(all_of_it.dihedrals) == 30
    assert middle.dihedrals == {"phi": all_of_it.dihedrals["phi_8"], "psi": all_of_it.dihedrals["psi_8"]}
    assert tuple(middle.beads[b] for b in middle.dihedrals["phi"]) == ("C_7", "N_8", "CA_8", "C_8")
