"""Energies and forces in ASE, OpenMM and LAMMPS against ours, and short runs there, with the real programs."""

import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import openmm
import pytest
from ase import units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from numpy.testing import assert_allclose
from openmm import unit
from sources import BOX, KINDS, MD, exported, source

from cgcore import simulate
from cgcore.export import ExportError, ase, folder, lammps
from cgcore.export import openmm as of_openmm
from cgcore.export.load import exact
from cgcore.potentials.mace.exchange import EV
from cgcore.units import KB, KCAL

TIGHT = 1e-5
needs_lmp = pytest.mark.skipif(shutil.which("lmp") is None, reason="LAMMPS is not installed (apt-get install lammps)")


def same(found, wanted):
    """To 1e-5 of the root mean square."""
    assert np.linalg.norm(np.subtract(found, wanted)) <= TIGHT * np.linalg.norm(wanted)


def reference_context(system, dt_ps=MD.dt_ps):
    integrator = openmm.LangevinMiddleIntegrator(MD.temperature_K, MD.friction_per_ps, dt_ps)
    integrator.setRandomNumberSeed(3)
    return openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ase_and_openmm_have_our_energies_and_forces(kind, tmp_path):
    made = exported(kind, ase, tmp_path)
    energy, force = exact(made)
    assert np.abs(force).max() > 10, "the frames feel something"
    beads = ase.atoms(tmp_path)
    assert beads.arrays["species"].tolist() == list(made.labels) and beads.pbc.all() == made.molecule.liquid
    assert_allclose(beads.get_masses(), made.molecule.mass)
    _, system, _ = of_openmm.system(tmp_path)
    context = reference_context(system)
    for x, u, f in zip(made.start, energy, force, strict=True):
        beads.positions = 10 * x
        same(EV * beads.get_potential_energy(), u)
        same(10 * EV * beads.get_forces(), f)
        context.setPositions(x)
        state = context.getState(energy=True, forces=True)
        same(state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole), u)
        same(state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer), f)
    if made.molecule.liquid:
        beads.positions += 10 * BOX * np.arange(3)  # other images
        same(10 * EV * beads.get_forces(), force[-1])


def lmp(where, script: str) -> str:
    """What lmp prints of a script in a folder."""
    (where / "test.in").write_text(script)
    ended = subprocess.run(["lmp", "-in", "test.in"], cwd=where, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


ONCE = """include system.in
thermo_style custom step pe
thermo_modify format float %.12g
dump f all custom 1 forces.dump id fx fy fz
dump_modify f sort id format float %.12g
run 0
"""


@needs_lmp
@pytest.mark.parametrize("kind", ["splines", "liquid of splines"])
def test_lammps_tables_have_our_energies_and_forces(kind, tmp_path):
    """Dihedrals with their sign, pairs that leave bonded beads out, and barriers that do not."""
    made = exported(kind, lammps, tmp_path)
    energy, force = exact(made)
    printed = lmp(tmp_path, ONCE)
    same(KCAL * float(printed.split("PotEng")[1].split()[1]), energy[0])
    found = np.loadtxt(tmp_path / "forces.dump", skiprows=9)[:, 1:]
    same(10 * KCAL * found, force[0])


SILENT = "-screen", "none", "-log", "none"


def found_by(lmp) -> tuple[float, np.ndarray]:
    """kJ/mol, (N, 3) kJ/mol/nm of LAMMPS in Python, as its positions are now."""
    lmp.command("run 0")
    force, tags = lmp.numpy.extract_atom("f"), lmp.numpy.extract_atom("id")
    n = lmp.extract_global("nlocal")
    return KCAL * lmp.get_thermo("pe"), 10 * KCAL * force[:n][np.argsort(tags[:n])]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if "splines" not in kind])
def test_lammps_by_python_has_our_energies_and_forces(kind, tmp_path):
    made = exported(kind, lammps, tmp_path)
    energy, force = exact(made)
    lmp = lammps.started(tmp_path, arguments=SILENT)
    lmp.command("thermo_modify norm no")
    for x, u, f in zip(made.start, energy, force, strict=True):
        lmp.scatter_atoms("x", 1, 3, np.ctypeslib.as_ctypes(10 * x.ravel()))
        found = found_by(lmp)
        same(found[0], u)
        same(found[1], f)


def test_lammps_stops_where_a_potential_fails(tmp_path, monkeypatch):
    exported("mace", lammps, tmp_path)
    lmp, told = lammps.started(tmp_path, arguments=SILENT), []
    lmp.command("fix move all nve")
    lmp.command("run 0")

    def fail(*_):
        raise ExportError("no finite energy")

    monkeypatch.setattr(lammps.Forces, "__call__", fail)
    monkeypatch.setattr(sys, "unraisablehook", lambda error: told.append(str(error.exc_value)))
    with pytest.raises(Exception, match="halt"):
        lmp.command("run 10")
    assert told[0] == "no finite energy"


def test_lammps_by_python_leaves_tables_to_lmp(tmp_path):
    exported("splines", lammps, tmp_path)
    with pytest.raises(ExportError, match="tables run by `lmp -in run.in`"):
        lammps.started(tmp_path)


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """Of the molecule of splines."""
    return simulated("splines", tmp_path_factory.mktemp("ours"))


def simulated(kind: str, out_dir, **more) -> tuple[float, np.ndarray]:
    """Temperature, K, and ends of a branch, nm, of our simulation; more: of its configuration."""
    made = source(kind)
    start = np.resize(made.start, (MD.replicas, *made.start.shape[1:]))
    config = replace(MD, n_frames=200, **more)
    run = simulate.run(made.potential, made.params, made.molecule, start, config, out_dir)
    settled = slice(20, None)
    kelvin = 2 * run.ensemble.kinetic[:, settled] / (3 * start.shape[1] * KB)
    return float(kelvin.mean()), ends(run.ensemble.position[:, settled])


def ends(position) -> np.ndarray:
    return np.linalg.norm(np.asarray(position)[..., 2, :] - np.asarray(position)[..., 5, :], axis=-1).ravel()


def agrees(kelvin: list, position: list, ours):
    """Temperatures of some 300 K within five standard errors, and mean and width of a distance beside ours."""
    theirs, blocks = ends(np.array(position)), np.array_split(np.array(kelvin), 10)
    error = np.std([np.mean(b) for b in blocks], ddof=1) / np.sqrt(10)
    assert abs(np.mean(kelvin) - MD.temperature_K) < 5 * error + 3, f"{np.mean(kelvin):.0f} ± {error:.0f} K"
    assert abs(ours[0] - MD.temperature_K) < 6
    means = [b.mean() for b in np.array_split(theirs, 10)]
    error = np.std(means, ddof=1) / np.sqrt(10)
    assert abs(theirs.mean() - ours[1].mean()) < 5 * error + 1e-4
    assert_allclose(theirs.std(), ours[1].std(), rtol=0.15)


EVERY, FRAMES = 10, 800


@pytest.mark.physics
@pytest.mark.slow
def test_a_short_run_in_ase(ours, tmp_path):
    exported("splines", ase, tmp_path)
    beads, kelvin, position = ase.atoms(tmp_path), [], []
    rng = np.random.default_rng(4)
    thermalize_momenta(beads, MD.temperature_K, rng=rng)
    step, friction = 1000 * MD.dt_ps * units.fs, MD.friction_per_ps / (1000 * units.fs)
    md = Langevin(beads, step, temperature_K=MD.temperature_K, friction=friction, fixcm=False, rng=rng)
    for _ in range(FRAMES):
        md.run(EVERY)
        kelvin.append(beads.get_kinetic_energy() / (1.5 * len(beads) * units.kB))
        position.append(beads.positions / 10)
    agrees(kelvin, position, ours)


@pytest.mark.physics
@pytest.mark.slow
def test_a_short_run_in_openmm(ours, tmp_path):
    exported("splines", of_openmm, tmp_path)
    _, system, start = of_openmm.system(tmp_path)
    again = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system))
    context, kelvin, position = reference_context(again), [], []
    context.setPositions(start)
    context.setVelocitiesToTemperature(MD.temperature_K, 5)
    for _ in range(FRAMES):
        context.getIntegrator().step(EVERY)
        state = context.getState(energy=True, positions=True)
        kinetic = state.getKineticEnergy().value_in_unit(unit.kilojoule_per_mole)
        kelvin.append(2 * kinetic / (3 * len(start) * KB))
        position.append(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
    agrees(kelvin, position, ours)


@needs_lmp
@pytest.mark.physics
@pytest.mark.slow
def test_a_short_run_in_lammps(ours, tmp_path):
    exported("splines", lammps, tmp_path)
    script = (tmp_path / "run.in").read_text()
    more = f"dump x all custom {EVERY} x.dump id xu yu zu\ndump_modify x sort id\nthermo {EVERY}\ncompute_modify thermo_temp extra/dof 0\n"
    printed = lmp(tmp_path, script.replace("thermo        100\n", more).replace("run           1000", "run 40000"))
    rows = printed.split("PotEng")[1].split("Loop")[0].split("\n")[200:-1]
    frames = (tmp_path / "x.dump").read_text().split("ITEM: TIMESTEP")[200:]
    position = [np.loadtxt(frame.split("zu\n")[1].splitlines())[:, 1:] / 10 for frame in frames]
    agrees([float(row.split()[1]) for row in rows if row.split()], position, ours)


@pytest.mark.physics
@pytest.mark.slow
def test_a_short_run_of_a_network_in_lammps(tmp_path):
    exported("mace", lammps, tmp_path / "model")
    lmp, kelvin, position = lammps.started(tmp_path / "model", fast=True, arguments=SILENT), [], []
    kT, damp, slow = MD.temperature_K, 1000 / MD.friction_per_ps, MD.dt_ps / 4  # a network of random weights is stiff
    lmp.commands_string(
        f"velocity all create {kT} 5\nfix m all nve\nfix h all langevin {kT} {kT} {damp} 6\ntimestep {1000 * slow}"
    )
    lmp.command("compute_modify thermo_temp extra/dof 0")
    for frame in range(FRAMES + 100):
        lmp.command(f"run {4 * EVERY} pre {'yes' if frame == 0 else 'no'} post no")
        if frame >= 100:
            n = lmp.extract_global("nlocal")
            order = np.argsort(lmp.numpy.extract_atom("id")[:n])
            kelvin.append(lmp.get_thermo("temp"))
            position.append(lmp.numpy.extract_atom("x")[:n][order] / 10)
    agrees(kelvin, position, simulated("mace", tmp_path / "ours", dt_ps=slow, steps_per_frame=4 * MD.steps_per_frame))


@pytest.mark.slow
def test_mace_torch_opens_the_network(tmp_path):
    """In a process of its own: torch warns as it is loaded."""
    if find_spec("mace") is None:
        pytest.skip("mace-torch is not installed (uv sync --extra mace-torch)")
    code = f"""
import sys; sys.path.insert(0, {str(__file__.rpartition("/")[0])!r})
from pathlib import Path; import numpy as np
from sources import exported; from cgcore.export import mace_torch; from cgcore.export.folder import read
folder = Path({str(tmp_path)!r}); exported("mace", mace_torch, folder)
known, beads = read(folder), mace_torch.atoms(folder)
for x, u, f in zip(known.position, known.energy, known.force):
    beads.positions = 10 * x
    print("FOUND", abs(beads.get_potential_energy() * {EV} / u - 1), np.abs(beads.get_forces() * {10 * EV} - f).max() / np.abs(f).max())
"""
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    errors = [list(map(float, line.split()[1:])) for line in ended.stdout.splitlines() if line.startswith("FOUND")]
    assert len(errors) == 4 and np.max(errors) < TIGHT, ended.stderr


def test_what_has_no_energy_is_said(tmp_path):
    exported("liquid of mace", ase, tmp_path)
    beads = ase.atoms(tmp_path)
    beads.set_cell([9.0, 24.0, 24.0])
    with pytest.raises(ExportError, match=r"want sides of at least 1\.000 nm, got \[0\.9"):
        beads.get_potential_energy()
    beads.set_cell([24.0] * 3)
    beads.pbc = False
    with pytest.raises(ExportError, match="want sides of at least"):
        beads.get_potential_energy()
    beads.pbc = True
    beads.set_cell([24, 24, 24, 90, 90, 80])
    with pytest.raises(ExportError, match="want a rectangular cell"):
        beads.get_potential_energy()
    with pytest.raises(ExportError, match="want positions of 48 beads"):
        ase.calculator(tmp_path).forces(np.zeros((3, 3)))


def test_a_folder_that_was_changed_is_refused(tmp_path):
    exported("splines", ase, tmp_path)
    text = (tmp_path / folder.BEADS).read_text()
    (tmp_path / folder.BEADS).write_text(text.replace("14.0", "15.0", 1))
    with pytest.raises(ExportError, match=r"beads\.json: not the file that was exported"):
        ase.atoms(tmp_path)
    with pytest.raises(ExportError, match=r"want a folder that `cgcore export` made"):
        of_openmm.system(tmp_path / "elsewhere")
