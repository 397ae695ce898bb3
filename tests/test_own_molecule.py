"""Anyone's molecule: built from a sequence or a SMILES, simulated by its force field, and what its map suggests."""

import dataclasses

import numpy as np
import openmm as mm
import pytest
from numpy.testing import assert_allclose
from referenced import dihedral, energies
from typer.testing import CliRunner

from cgcore import mapping, steps, suggestions
from cgcore.cli import app
from cgcore.config import ConfigError
from cgcore.profiles import system_table
from cgcore.reference import mmff, own, sets
from cgcore.reference.engine_openmm import produce
from cgcore.reference.output import open_folder
from cgcore.reference.protocol import protocol
from cgcore.reference.run import simulate
from cgcore.reference.system import prepare
from cgcore.smarts import _molecule
from cgcore.units import KCAL

CENTRES = {"GLY": {}, "ILE": {"CA": "S", "CB": "S"}, "THR": {"CA": "S", "CB": "R"}, "CYS": {"CA": "R"}}
"""Stereocentres of L residues by the rules of Cahn, Ingold and Prelog, where not S alone."""
SMALL = [
    "C[C@H](O)CC",
    "C[S@](=O)CC",
    "C[C@H](Cl)[C@@H](Cl)C",
    "Clc1cccc(C)c1-c1c(C)cccc1Cl",
    "CC#N",
    "C=CC=O",
    "c1ccncc1",
    "CC(=O)NC",
    "CC(=O)[O-]",
    "CS(C)=O",  # whose bond orders valences alone would not tell
    "C/C=C/C",
    "CCCCCCc1ccccc1",
]


def of_sequence(sequence: str, **options):
    return protocol(
        sequence, structure=own.from_sequence(sequence), forcefield="amber99sbildn", equilibration_ps=0.5, **options
    )


def centres(built) -> dict[str, str]:
    """R or S of each stereocentre by name, from where the atoms are."""
    from rdkit import Chem

    t = built.topology
    bonds = tuple(map(tuple, t.bonds.tolist()))
    molecule = placed(_molecule(t.elements, bonds, ""), built.position)
    Chem.AssignStereochemistryFrom3D(molecule)
    found = Chem.FindMolChiralCenters(molecule, useLegacyImplementation=False)
    return {built.topology.names[atom]: label for atom, label in found}


def placed(molecule, x):
    """The molecule with one conformer x (A, 3) nm."""
    from rdkit import Chem
    from rdkit.Geometry import Point3D

    conformer = Chem.Conformer(len(x))
    for atom, place in enumerate(np.asarray(x, float) * 10):
        conformer.SetAtomPosition(atom, Point3D(*place))
    molecule.RemoveAllConformers()
    molecule.AddConformer(conformer)
    return molecule


@pytest.mark.parametrize("residue", own.ONE_LETTER)
def test_every_residue_is_built_left_handed_and_has_parameters(residue):
    """Bonds of the built molecule are those of the force field's template, or OpenMM would refuse it."""
    found = own.structures(own.from_sequence(f"ACE-{residue}-NME"), residue)
    assert [len(found), len({s.topology.n_atoms for s in found})] == [3, 1]
    assert all(centres(built) == CENTRES.get(residue, {"CA": "S"}) for built in found)
    prepared = prepare(of_sequence(f"ACE-{residue}-NME"), 0)
    assert prepared.system.getNumParticles() == found[0].topology.n_atoms
    assert np.isfinite(energies(prepared.system, prepared.position)[0])


def test_starts_have_the_angles_that_they_are_named_after():
    for built, (phi, psi) in zip(
        own.structures(own.from_sequence("ACE-VAL-ALA-NME"), "x"), own.STARTS_DEG.values(), strict=True
    ):
        t = built.topology
        at = {(r, n): built.position[k] for k, (r, n) in enumerate(zip(t.residue_index, t.names, strict=True))}
        for k in (1, 2):
            assert_allclose(dihedral(at[k - 1, "C"], at[k, "N"], at[k, "CA"], at[k, "C"]), phi, atol=0.5)
            assert_allclose(dihedral(at[k, "N"], at[k, "CA"], at[k, "C"], at[k + 1, "N"]), psi, atol=0.5)
            omega = dihedral(at[k, "CA"], at[k, "C"], at[k + 1, "N"], at.get((k + 1, "CA"), at.get((k + 1, "CH3"))))
            assert_allclose(abs(omega), 180, atol=0.5)


def test_names_are_those_of_the_bundled_alanine_so_that_its_maps_fit():
    (built, *_), (bundled, _) = (
        own.structures(own.from_sequence("ACE-ALA-NME"), "x"),
        sets.load("ala2_obc2", stride=5000),
    )
    labels = [sorted(zip(t.residues, t.names, strict=True)) for t in (built.topology, bundled)]
    assert labels[0] == labels[1]
    for name in ("core", "core_beta", "heavy_atom", "united_atom", "atomistic"):
        assert sorted(mapping.load(name, built.topology).beads) == sorted(mapping.load(name, bundled).beads)


def test_a_peptide_without_caps_is_a_zwitterion():
    (built, *_) = own.structures(own.from_sequence("ALA-LYS-GLU"), "x")
    assert "OXT" in built.topology.names
    system = prepare(of_sequence("ALA-LYS-GLU"), 0).system
    (field,) = [f for f in system.getForces() if isinstance(f, mm.NonbondedForce)]
    charge = [field.getParticleParameters(k)[0]._value for k in range(field.getNumParticles())]
    assert_allclose(sum(charge), 0.0, atol=1e-9)


@pytest.mark.parametrize("smiles", SMALL)
def test_mmff94_has_the_energy_and_the_forces_of_rdkit(smiles):
    """At conformers, and where every atom was moved at random by 0.01 nm, so that every term pulls."""
    from rdkit.Chem import AllChem

    random = np.random.default_rng(1)
    for built in own.structures(own.from_smiles(smiles), smiles)[:2]:
        x = built.position + 0.01 * random.standard_normal(built.position.shape)
        system = mmff.system(built.topology, built.position, smiles)
        energy, force = energies(system, x)
        molecule, properties = mmff.typed(built.topology, smiles)
        field = AllChem.MMFFGetMoleculeForceField(placed(molecule, x), properties)
        assert_allclose(energy, field.CalcEnergy() * KCAL, rtol=1e-6, atol=1e-4)
        gradient = np.array(field.CalcGrad()).reshape(-1, 3) * KCAL * 10
        # RDKit's gradient of a stretch-bend term is of single precision's size.
        assert_allclose(force, -gradient, atol=2e-3 * np.abs(gradient).max())


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: own.from_sequence("VALA"), "want residues joined by '-'.*got 'VALA'"),
        (lambda: own.from_sequence("ACE-NME"), "want residues joined by '-'.*got 'ACE-NME'"),
        (lambda: own.from_sequence("ALA-ACE"), "want residues joined by '-'.*got 'ALA-ACE'"),
        (lambda: own.from_smiles("C1CC"), "RDKit cannot read 'C1CC'"),
        (lambda: own.from_smiles("CC(O)CC"), "leaves open of which hand or side atom 1 is"),
        (lambda: own.from_smiles("CC=CC"), "leaves open of which hand or side bond 1 is"),
        (lambda: own.from_smiles("CC.CC"), "want one molecule, 'CC.CC' has 2"),
        (lambda: own.from_smiles("[2H]OC"), "its hydrogens not written out"),
        (lambda: own.from_smiles("[Cl-]"), "want a molecule of two atoms or more"),
        (lambda: protocol("x", structure="...", forcefield="amber"), "forcefield: want one of"),
        (lambda: protocol("ala2", forcefield="mmff94"), "ala2 has its own"),
        (lambda: protocol("x", structure="...", forcefield="mmff94", solvent="obc2"), "want solvent none, got 'obc2'"),
    ],
)
def test_what_cannot_be_built_is_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


def test_files_without_hydrogens_or_parameters_are_refused(tmp_path):
    lines = own.from_sequence("ACE-VAL-NME").splitlines()
    heavy = tmp_path / "heavy.pdb"
    heavy.write_text("\n".join(line for line in lines if not line.startswith("ATOM") or line.split()[-1] != "H"))
    with pytest.raises(ConfigError, match="want all hydrogens, found none"):
        own.from_pdb(heavy)
    strange = protocol("x", structure=own.from_smiles("CCO"), forcefield="amber99sbildn")
    with pytest.raises(ConfigError, match="amber99sbildn has no parameters.*--forcefield mmff94"):
        prepare(strange, 0)
    without = protocol("x", structure=own.from_sequence("ACE-GLY-NME"), forcefield="mmff94")
    with pytest.raises(ConfigError, match="a PDB file holds no bond orders and charges; want the molecule by --smiles"):
        prepare(without, 0)
    charged = protocol("x", structure=own.from_sequence("ACE-LYS-NME"), forcefield="amber99sbildn", solvent="tip3p")
    with pytest.raises(ConfigError, match="has the charge 1.00 in a periodic box"):
        prepare(charged, 0)
    two = tmp_path / "two.pdb"
    lines = own.from_sequence("ACE-GLY-NME").splitlines()
    atoms = [line for line in lines[: lines.index("ENDMDL")] if line.startswith("ATOM")]
    water = "HETATM   20  O   HOH B   9      30.000  30.000  30.000  1.00  0.00           O"
    two.write_text("\n".join([*atoms, water, *(line for line in lines if line.startswith("CONECT")), "END", ""]))
    with pytest.raises(ConfigError, match="want one molecule, found 2, of residues .*HOH"):
        own.from_pdb(two)


def test_commands_name_what_they_want():
    for arguments, message in (
        (["reference"], "want one of SYSTEM, --sequence, --smiles, got none"),
        (["reference", "ala2", "--smiles", "CC"], "got ['SYSTEM', '--smiles']"),
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 1
        assert message in result.output


def test_a_reference_of_anyone_s_molecule_is_one_that_every_step_takes(tmp_path):
    """Simulated in vacuum, read back with its forces, gone on with, and refused to another molecule."""
    text = own.from_smiles("C[C@H](O)CC")
    wanted = protocol("butanol", structure=text, forcefield="mmff94", every_ps=0.02, equilibration_ps=0.05, replicas=2)
    folder = simulate(wanted, 0.0006, tmp_path / "butanol", jobs=1, progress=False)
    topology, frames = sets.load(folder)
    assert (topology.n_atoms, frames.n_frames) == (15, 60)
    assert sets.protocol_of(folder) == wanted
    system = prepare(wanted, 0).system
    assert_allclose(energies(system, np.asarray(frames.position[7], float))[1], frames.force[7], atol=0.1)
    assert simulate(wanted, 0.0006, folder, progress=False) == folder
    with pytest.raises(Exception, match="holds another simulation: structure was"):
        open_folder(folder, dataclasses.replace(wanted, structure=own.from_smiles("CCCC")))
    assert produce(wanted, 0, 30, folder) == 30


PAPER = {
    "ala2_obc2": {"core": 0.5, "core_beta": 0.5, "heavy_atom": 0.5, "united_atom": 0.5, "atomistic": 0.5},
    "hexane": {"four_site": 0.65, "three_site": 0.7, "two_site": 0.8},
    "ala15_obc2": {"chain_ca": 1.2, "chain_core": 0.5, "chain_core_beta": 0.5},
}


@pytest.mark.parametrize("reference", PAPER)
def test_rules_give_the_cut_offs_and_steps_of_the_paper(reference):
    topology, atoms = sets.load(reference)
    for name, cutoff_nm in PAPER[reference].items():
        found = suggestions.suggest(mapping.load(name, topology), topology, atoms, 300.0)
        assert found.cutoff_nm == cutoff_nm
        assert found.liquid == (reference == "hexane")
        if reference != "ala15_obc2":  # chains with a backbone: 2 fs in the paper, 1 fs by their fastest bond
            assert found.dt_ps == (0.0005 if name == "atomistic" else 0.002)


def test_an_update_takes_as_long_for_every_map():
    """As many pairs in each, but no more than 32 frames; and as many updates as the profile says."""
    laptop = system_table("molecule")["profiles"]["laptop"]
    for name, batch in (("core_beta", 32), ("heavy_atom", 12), ("atomistic", 2)):
        config = steps.configure("molecule", profile="laptop", reference="ala2_obc2", map=name)
        assert config.train.batch_size == batch
        updates = config.train.epochs * 0.9 * 33348 / batch
        assert laptop["updates"] <= updates < laptop["updates"] + 0.9 * 33348 / batch
    liquid = steps.configure("molecule", reference="hexane", map="three_site", frames=100)
    assert (liquid.train.batch_size, liquid.train.epochs) == (1, 6)
    assert liquid.md.replicas == 2
    paper = steps.configure("molecule", profile="paper", reference="hexane", map="three_site")
    assert paper.train.batch_size == 32  # as the paper's
    assert steps.configure("molecule", reference="hexane", map="two_site", cutoff_nm=1.0).potential.cutoff_nm == 1.0


@pytest.mark.parametrize(
    "given, message",
    [
        ({"map": "core"}, "reference: want a set"),
        ({"reference": "ala2_obc2"}, "map: want str"),
        ({"reference": "ala2_obc2", "map": "core", "protocol": "inversion"}, "protocol: want one of"),
        ({"reference": "ala2_obc2", "map": "core", "dt_ps": 0.0007}, "dt_ps: want whole frames"),
        ({"reference": "ala2_obc2", "map": "nowhere.toml"}, "nowhere.toml: no such file"),
        ({"reference": "nowhere", "map": "core"}, "no reference set 'nowhere'"),
    ],
)
def test_parameters_of_the_template_are_checked(given, message):
    with pytest.raises(ValueError, match=message):
        steps.configure("molecule", **given)


def test_several_molecules_that_are_no_liquid_are_refused():
    topology, _ = sets.load("hexane", stride=100)
    beads = mapping.load("three_site", topology)
    pair = topology.n_atoms // 50
    few = dataclasses.replace(
        topology,
        **{name: getattr(topology, name)[:pair] for name in ("names", "residues", "residue_index", "elements", "mass")},
        residue_labels=topology.residue_labels[:pair],
        bonds=topology.bonds[(topology.bonds < pair).all(1)],
    )
    assert suggestions.is_liquid(beads, topology)
    with pytest.raises(
        ConfigError, match="want beads of one molecule, or of a liquid with 10 or more of a kind, got 2"
    ):
        suggestions.is_liquid(mapping.load("three_site", few), few)


def test_every_function_of_the_book_that_a_command_calls_is_there():
    """They are looked up by name, and only when asked for."""
    import importlib
    import re
    from pathlib import Path

    from cgcore.cli import of_book

    found = re.findall(r'of_book\("(\w+)"\)\.(\w+)\(', Path(of_book.__file__).read_text())
    assert len(found) > 8
    for module, function in found:
        assert callable(getattr(importlib.import_module(f"cgbook.{module}"), function))


def test_a_short_reference_has_batches_that_its_frames_fill():
    """What is left out between held-out blocks is not known to the suggestion."""
    found = suggestions.Suggestion(
        liquid=False, size=None, cutoff_nm=0.5, dt_ps=0.002, temperature_K=300.0, edges=20.0, frames=20
    )
    profile = system_table("molecule")["profiles"]["quick"]
    assert found.settings(profile, None, 0.1)["train"]["batch_size"] <= 4
