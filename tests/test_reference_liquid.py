"""A liquid of anyone's molecule: its energy against RDKit, vacuum and itself, its simulation against what was asked for."""

import json

import numpy as np
import openmm as mm
import pytest
from numpy.testing import assert_allclose
from referenced import energies, small_liquid
from typer.testing import CliRunner

from cgcore import mapping, steps
from cgcore.cli import app
from cgcore.config import ConfigError
from cgcore.proposals import propose
from cgcore.reference import mmff, mmff_liquid, own, sets
from cgcore.reference.build import _copies
from cgcore.reference.engine_openmm import degrees_of_freedom
from cgcore.reference.protocol import protocol
from cgcore.reference.run import simulate
from cgcore.reference.system import prepare, set_pme, start
from cgcore.units import KB, KCAL

COULOMB = mmff.COULOMB * KCAL / 10
"""kJ nm/mol."""
WATER = (1, "OW", 0.0, 0.0), (2, "HW1", 0.957, 0.0), (3, "HW2", -0.24, 0.927)
METHANOL_G, AVOGADRO = 32.0419, 6.02214076e23


@pytest.fixture(scope="module")
def methanol(tmp_path_factory):
    """The protocol of a short run of 20 molecules, and its folder."""
    wanted = small_liquid("CO", 20, 792.0, friction_per_ps=10.0, every_ps=0.025, equilibration_ps=0.3)
    return wanted, simulate(wanted, 0.0015, tmp_path_factory.mktemp("liquid") / "run", progress=False, jobs=1)


@pytest.fixture(scope="module")
def melted(methanol):
    """The system, and the last positions of the run in double precision."""
    return prepare(methanol[0], 0), np.asarray(sets.load(methanol[1])[1].position[-1], float)


def placed(smiles: str, edge: float, centres, turns=True, cutoff_nm=1.0, grid_nm=0.1):
    """Conformers of a molecule at centres (n, 3) nm in a box, and their system."""
    models, box = own.structures(own.from_smiles(smiles), "x"), np.full(3, edge)
    x = np.concatenate([m.position - m.position.mean(0) + c for m, c in zip(models, centres, strict=False)])
    topology = _copies(models[0].topology, len(centres))
    built = mmff_liquid.system(topology, x, box, smiles, cutoff_nm)
    set_pme(built, cutoff_nm, np.ceil(box / grid_nm))
    return built, topology, x


def test_forces_are_the_gradient_of_the_energy(melted):
    prepared, x = melted
    direction = np.random.default_rng(0).standard_normal((3, *x.shape))
    force = energies(prepared.system, x)[1]
    for d in direction:
        up, down = (energies(prepared.system, x + sign * 1e-5 * d)[0] for sign in (1, -1))
        assert_allclose((down - up) / 2e-5, np.sum(force * d), rtol=1e-4, atol=0.1)


@pytest.mark.parametrize("smiles", ["CCO", "CC(=O)NC"])
def test_one_molecule_in_a_box_is_one_in_vacuum_among_its_images(smiles):
    """A dipole m in a lattice in a conductor has -2 pi/3 C m^2/V (de Leeuw, Perram & Smith, Proc. R. Soc. A 373, 27, 1980)."""
    edge = 2.2
    built, topology, x = placed(smiles, edge, np.zeros((1, 3)))
    (plain,) = [f for f in built.getForces() if isinstance(f, mm.NonbondedForce)]
    charge = np.array([plain.getParticleParameters(k)[0]._value for k in range(topology.n_atoms)])
    images = -2 * np.pi / 3 * COULOMB * np.sum((charge @ x) ** 2) / edge**3
    vacuum = energies(mmff.system(topology, x, smiles), x)[0]
    assert_allclose(energies(built, x)[0] - vacuum, images, rtol=0.05, atol=1e-4)


@pytest.mark.parametrize("smiles", ["CCO", "CC(=O)NC", "Clc1ccccc1", "CS(C)=O"])
def test_two_molecules_have_the_energy_that_rdkit_gives_them(smiles):
    """In a box so wide that cut-off and images do not count: both terms between molecules, with donors and acceptors."""
    from rdkit import Chem
    from rdkit.Chem import AllChem
    from rdkit.Geometry import Point3D

    for apart in (0.45, 0.7):
        built, topology, x = placed(smiles, 30.0, [[0, 0, 0], [apart, 0.1, 0]], cutoff_nm=14.0, grid_nm=0.5)
        one = mmff.typed(topology.take(np.arange(topology.n_atoms // 2)), smiles)[0]
        two = Chem.Mol(Chem.CombineMols(one, one))
        Chem.SanitizeMol(two)
        conformer = Chem.Conformer(topology.n_atoms)
        for atom, place in enumerate(10 * x):
            conformer.SetAtomPosition(atom, Point3D(*place))
        two.RemoveAllConformers()
        two.AddConformer(conformer)
        properties = AllChem.MMFFGetMoleculeProperties(two)
        field = AllChem.MMFFGetMoleculeForceField(two, properties, 1000.0, -1, False)
        energy, force = energies(built, x)
        assert_allclose(energy, field.CalcEnergy() * KCAL, rtol=1e-6, atol=2e-3)
        gradient = np.array(field.CalcGrad()).reshape(-1, 3) * KCAL * 10
        assert_allclose(force, -gradient, atol=2e-3 * np.abs(gradient).max())


def test_a_doubled_box_has_eight_times_the_energy_and_the_same_forces(methanol, melted):
    wanted, (prepared, x) = methanol[0], melted
    shifts = np.indices((2, 2, 2)).reshape(3, -1).T * prepared.box
    topology = _copies(own.structures(wanted.structure, "x")[0].topology, 160)
    eight = np.concatenate([x + shift for shift in shifts])
    built = mmff_liquid.system(topology, eight, 2 * prepared.box, "CO", wanted.cutoff_nm)
    # Odd: OpenMM fills in the shortest wave of an even grid, which is another one in the doubled box.
    set_pme(prepared.system, wanted.cutoff_nm, np.full(3, 17))
    set_pme(built, wanted.cutoff_nm, np.full(3, 34))
    (energy, force), (energies8, force8) = energies(prepared.system, x), energies(built, eight)
    assert_allclose(energies8, 8 * energy, rtol=1e-6)
    assert_allclose(force8, np.tile(force, (8, 1)), atol=1e-4 * np.abs(force).max())


@pytest.mark.physics
def test_energy_is_conserved(melted):
    """Without a thermostat, on the platform of the runs; the error of leapfrog goes with the square of the step."""
    prepared, x = melted
    spreads = []
    for dt_ps in (0.0005, 0.001):
        integrator = mm.VerletIntegrator(dt_ps)
        platform = mm.Platform.getPlatformByName("CPU")
        context = mm.Context(prepared.system, integrator, platform, {"Threads": "1"})
        context.setPositions(x)
        context.setVelocitiesToTemperature(300, 1)
        total = []
        for _ in range(40):
            integrator.step(round(0.006 / dt_ps))
            state = context.getState(energy=True)
            total.append((state.getPotentialEnergy() + state.getKineticEnergy())._value)
        thermal = degrees_of_freedom(prepared.system) * KB * 300
        assert abs(np.polyfit(np.arange(40), total, 1)[0]) * 40 < 0.005 * thermal
        spreads.append(np.std(total))
    assert 2.5 < spreads[1] / spreads[0] < 6


@pytest.mark.physics
def test_the_temperature_is_that_of_the_thermostat(methanol):
    log = np.loadtxt(methanol[1] / "replica_00.csv", delimiter=",", skiprows=1)[:, 2]
    degrees = degrees_of_freedom(prepare(methanol[0], 0).system)
    assert degrees == 3 * 20 * 6 - 3
    spread = 300 * np.sqrt(2 / degrees)
    assert abs(log.mean() - 300) < 4 * spread / np.sqrt(len(log) / 4)
    assert_allclose(log.std(), spread, rtol=0.4)


def test_the_density_asked_for_is_the_one_made_and_written(methanol):
    wanted, folder = methanol
    topology, frames = sets.load(folder)
    assert_allclose(topology.mass.sum(), 20 * METHANOL_G, rtol=1e-4)
    kg_m3 = 20 * METHANOL_G / 1e3 / AVOGADRO / (np.asarray(frames.box, float).prod() * 1e-27)
    assert_allclose(kg_m3, 792, rtol=1e-4)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["protocol"]["molecules"] == 20 and manifest["protocol"]["density_kg_m3"] == 792
    assert_allclose(manifest["box_nm"], frames.box, rtol=1e-6)
    assert sets.protocol_of(folder) == wanted


def test_written_forces_are_those_of_the_written_positions(methanol, melted):
    frames = sets.load(methanol[1])[1]
    assert_allclose(energies(melted[0].system, melted[1])[1], frames.force[-1], atol=5.0)


def test_molecules_begin_apart_in_turns_and_conformers_of_their_own():
    wanted = protocol("x", structure=own.from_smiles("CCCCO"), forcefield="mmff94", molecules=200, density_kg_m3=810.0)
    a, b = (start(wanted, k).position.reshape(200, 15, 3) for k in range(2))
    assert np.abs(a - b).max() > 0.1
    ends = np.linalg.norm(a[:, 0] - a[:, 4], axis=1)
    assert len(np.unique(ends.round(4))) == own.CONFORMERS
    gaps = np.linalg.norm(a[:, None, :, None] - a[None, :40, None], axis=-1).min((2, 3))
    assert gaps[gaps > 1e-9].min() > 0.14 and np.sort(gaps, axis=0)[1].min() > 0.25
    axes = (a[:, 4] - a[:, 0]) / ends[:, None]
    assert np.linalg.norm(axes.mean(0)) < 0.2  # of unit vectors at random 0.07


def test_every_command_takes_a_liquid(methanol, tmp_path):
    topology, frames = sets.load(methanol[1])
    found = propose(topology, frames, tmp_path, temperature_K=300.0)
    assert found
    config = steps.configure("molecule", reference=str(methanol[1]), map=str(tmp_path / "heavy_atom.toml"))
    assert config.potential.cutoff_nm > 0


def test_a_pdb_file_is_a_molecule_of_a_liquid_as_well(tmp_path):
    """Of water under any names of atoms and residue, and of residues that a force field of peptides has."""
    file = tmp_path / "w.pdb"
    lines = [
        f"ATOM  {k:5d}  {name:3} SOL A   1    {x:8.3f}{y:8.3f}   0.000  1.00  0.00           {name[0]}"
        for k, name, x, y in WATER
    ]
    file.write_text("\n".join([*lines, "CONECT    1    2", "CONECT    1    3", "END", ""]))
    water = protocol("w", structure=own.from_pdb(file), forcefield="tip3p", molecules=256, density_kg_m3=997.0)
    assert prepare(water, 0).system.getNumConstraints() == 3 * 256
    peptide = own.from_sequence("ACE-GLY-NME")
    wanted = protocol("p", structure=peptide, forcefield="amber14", molecules=60, density_kg_m3=1100.0)
    prepared = prepare(wanted, 0)
    assert prepared.system.getNumParticles() == 60 * 19 and wanted.hydrogen_mass is None
    assert prepared.system.usesPeriodicBoundaryConditions()


def test_rigid_water_is_a_liquid_of_one_bead_a_molecule(tmp_path):
    wanted = small_liquid("O", 30, 997.0, forcefield="tip3p", every_ps=0.01, equilibration_ps=0.05)
    folder = simulate(wanted, 0.0003, tmp_path / "run", progress=False, jobs=1)
    topology, frames = sets.load(folder)
    assert len(topology.constraints) == 3 * 30 and frames.n_frames == 30
    oxygen, hydrogen = np.asarray(frames.position).reshape(30, 30, 3, 3)[:, :, :2].transpose(2, 0, 1, 3)
    assert_allclose(np.linalg.norm(oxygen - hydrogen, axis=-1), 0.09572, atol=2e-5)
    file = tmp_path / "water.toml"
    file.write_text(
        'description = "water"\nleaves_atoms_out = false\n[residues.MOL]\nW = ["O1", "H1", "H2"]\n'
        '[typings.published]\ndescription = "one site"\nby = "composition"\n'
    )
    assert len(mapping.load(str(file), topology).beads) == 30


@pytest.mark.parametrize(
    "given, says",
    [
        ({"density_kg_m3": 0.789}, "--density: want 50 to 5000 kg/m³, got 0.789; g/cm³. That would be --density 789"),
        ({"density_kg_m3": 78900.0}, "--density: want 50 to 5000 kg/m³, got 78900$"),
        ({"density_kg_m3": None}, "--liquid and --density: want both"),
        ({"molecules": None}, "--liquid and --density: want both"),
        ({"molecules": 5}, "molecules: want at least 10"),
        ({"solvent": "tip3p"}, "want solvent none, got 'tip3p'"),
        ({"solvent": "obc2", "forcefield": "amber14"}, "want solvent none, got 'obc2'"),
        ({"constraints": "all-bonds"}, "want all-bonds for tip3p.* got 'all-bonds'"),
        ({"forcefield": "tip3p", "constraints": "none"}, "want all-bonds for tip3p.* got 'none'"),
        ({"structure": None, "forcefield": None}, "want a molecule by --smiles or a PDB file, got the system 'hexane'"),
        ({"molecules": 60}, "too small for a cut-off of 0.9 nm; want .* so --liquid 61 or more"),
        ({"molecules": 9999, "structure": "CCCCCCCCCC"}, "--liquid 9999: want at most 99999 atoms, so 3124 molecules"),
        ({"structure": "CC(=O)[O-]"}, "has the charge -128.00 in a periodic box"),
        ({"forcefield": "tip3p"}, "tip3p has no parameters"),
        ({"constraints": "h-bonds"}, "mmff94: simulated without constraints"),
    ],
)
def test_a_liquid_that_cannot_be_is_refused(given, says):
    options = {"structure": "CCO", "forcefield": "mmff94", "molecules": 128, "density_kg_m3": 789.0} | given
    if options["structure"]:
        options["structure"] = own.from_smiles(options["structure"])
    with pytest.raises(ConfigError, match=says):
        prepare(protocol("hexane", **options), 0)


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--smiles", "CCO", "--bias", "phi"], "is a liquid, simulated without bias"),
        (["--sequence", "ACE-VAL-NME"], "--liquid: want a small molecule, by --smiles or a PDB file, got --sequence"),
    ],
)
def test_options_that_a_liquid_does_not_go_with_are_refused(arguments, says):
    result = CliRunner().invoke(app, ["reference", *arguments, "--liquid", "128", "--density", "789"])
    assert result.exit_code == 1 and says in " ".join(result.output.split())
