"""Builders, systems and the OpenMM engine of the atomistic reference."""

import itertools
import json
import shutil
from pathlib import Path
from threading import Event

import numpy as np
import openmm as mm
import pytest
from chirality import handedness
from numpy.testing import assert_allclose, assert_array_equal
from openmm import unit
from referenced import dihedral, energies, quick, small_liquid

from cgcore import io, mapping, store
from cgcore.config import ConfigError
from cgcore.reference import engine_openmm, errors, system
from cgcore.reference.build import HEXANE_TOP, Structure, hexane, peptide
from cgcore.reference.engine_openmm import degrees_of_freedom, platform, produce
from cgcore.reference.protocol import SYSTEMS, protocol
from cgcore.reference.run import Progress, simulate

ROOT = Path(__file__).parents[1]
DIPEPTIDES = [name for name in SYSTEMS if name.endswith("2")]


def backbone(structure):
    t = structure.topology
    return {(r, n): structure.position[k] for k, (r, n) in enumerate(zip(t.residue_index, t.names, strict=True))}


@pytest.mark.parametrize("chirality", ["L", "D"])
@pytest.mark.parametrize("name", [*DIPEPTIDES, "ala15"])
def test_peptides_have_the_angles_and_the_handedness_asked_for(name, chirality):
    phi, psi = -60, -45
    built = peptide(name, "helix", chirality=chirality)
    sign = 1 if chirality == "L" else -1
    at = backbone(built)
    for k in range(1, len(SYSTEMS[name].residues) + 1):
        assert_allclose(dihedral(at[k - 1, "C"], at[k, "N"], at[k, "CA"], at[k, "C"]), sign * phi, atol=0.1)
        assert_allclose(dihedral(at[k, "N"], at[k, "CA"], at[k, "C"], at[k + 1, "N"]), sign * psi, atol=0.1)
        assert_allclose(abs(dihedral(at[k, "CA"], at[k, "C"], at[k + 1, "N"], at[k + 1, "H"])), 0, atol=0.1)
    expected = {"ala2": ["S"], "gly2": [], "pro2": ["S"], "thr2": ["S", "R"], "ala15": ["S"] * 15}[name]
    mirrored = [{"S": "R", "R": "S"}[label] for label in expected]
    assert handedness(built.topology, built.position) == (expected if chirality == "L" else mirrored)


def test_every_replica_can_start_from_one_conformation():
    phi = [
        float(
            dihedral(*(backbone(system.start(wanted, k))[atom] for atom in ((0, "C"), (1, "N"), (1, "CA"), (1, "C"))))
        )
        for wanted in (protocol("ala2", start="left"), protocol("ala2"))
        for k in range(4)
    ]
    assert min(phi[:4]) > 0 and np.ptp(phi[:4]) < 1e-6  # without a bias none of the others begins there
    assert max(phi[4:]) < 0
    with pytest.raises(ConfigError, match="start of ala2: want one of .* got 'lefty'; did you mean 'left'?"):
        protocol("ala2", start="lefty")
    with pytest.raises(ConfigError, match="start of pro2: want one of"):
        protocol("pro2", start="left")
    with pytest.raises(ConfigError, match="hexane starts from a crystal"):
        protocol("hexane", start="left")


def test_built_alanine_is_the_bundled_one():
    bundled = io.read_topology(store.data_file("ala2/topology.pdb"))
    built = peptide("ala2", "extended").topology
    assert (built.names, built.residues, built.elements) == (bundled.names, bundled.residues, bundled.elements)
    assert_array_equal(built.bonds, bundled.bonds)
    assert_allclose(built.mass, bundled.mass)


def test_real_alanine_is_recognised_as_l():
    topology = io.read_topology(store.data_file("ala2/topology.pdb"))
    frames = io.read(store.data_file("ala2/solute.trr"), topology, stride=1000)
    assert {tuple(handedness(topology, np.asarray(x))) for x in frames.position} == {("S",)}


def test_hexane_fills_its_box_without_overlaps_that_a_minimisation_cannot_undo():
    built = hexane(seed=3)
    assert_allclose(built.topology.mass.sum(), 8617.6, atol=0.1)
    carbons = built.position[np.array(built.topology.elements) == "C"]
    d = carbons[:, None] - carbons[None]
    d -= built.box * np.round(d / built.box)
    r = np.linalg.norm(d, axis=-1)
    molecule = np.arange(len(carbons)) // 6
    assert r[molecule[:, None] != molecule[None]].min() > 0.28
    chains = carbons.reshape(100, 6, 3)
    assert_allclose(np.linalg.norm(np.diff(chains, axis=1), axis=-1), 0.1529)
    for chain in chains[:5]:
        assert_allclose(abs(dihedral(*chain[:4])), 180)


LENNARD_JONES = {"C": (0.35, 0.276144), "H": (0.25, 0.12552)}  # nm, kJ/mol: Jorgensen et al. (1996)
CHARGES = {"opls_135": -0.18, "opls_136": -0.12, "opls_140": 0.06}


def test_opls_pairs_mix_geometrically(tmp_path, monkeypatch):
    """Two molecules, at a distance and further apart, by hand."""
    shutil.copytree(HEXANE_TOP.parent, tmp_path / "recipes")
    two = tmp_path / "recipes" / HEXANE_TOP.name
    two.write_text(HEXANE_TOP.read_text().replace("HEX 100", "HEX 2"))
    monkeypatch.setattr(system, "HEXANE_TOP", two)
    topology = io.read_topology(two)
    built = hexane(seed=1)
    position = built.position[:40] - built.position[:20].mean(axis=0)
    # Far apart in a big box, then 0.6 nm apart along x.
    position[20:] -= position[20:].mean(axis=0)
    apart, near = position.copy(), position.copy()
    apart[20:, 0] += 4.0
    near[20:, 0] += 0.6
    wanted = protocol("hexane", cutoff_nm=3.0)
    system_ = system._liquid(wanted, Structure(topology, position, np.full(3, 10.0)))
    for force in system_.getForces():
        if isinstance(force, mm.NonbondedForce):
            force.setNonbondedMethod(mm.NonbondedForce.CutoffPeriodic)
            force.setReactionFieldDielectric(1.0)
    difference = energies(system_, near)[0] - energies(system_, apart)[0]
    lines = HEXANE_TOP.read_text().split("[ atoms ]\n")[1].splitlines()[:20]
    charge = np.array([CHARGES[line.split()[1]] for line in lines] * 2)
    sigma, epsilon = np.array([LENNARD_JONES[e] for e in topology.elements]).T
    r = np.linalg.norm(near[:20, None] - near[None, 20:], axis=-1)
    s, e = np.sqrt(np.outer(sigma[:20], sigma[20:])), np.sqrt(np.outer(epsilon[:20], epsilon[20:]))
    by_hand = (4 * e * ((s / r) ** 12 - (s / r) ** 6) + 138.935456 * np.outer(charge[:20], charge[20:]) / r).sum()
    assert_allclose(charge.sum(), 0, atol=1e-12)
    assert_allclose(difference, by_hand, atol=1e-3)


def test_implicit_alanine_has_the_energies_of_openmm_s_own_builder():
    prepared = system.prepare(protocol("ala2"), 0)
    names = {type(force).__name__ for force in prepared.system.getForces()}
    assert {"HarmonicBondForce", "NonbondedForce", "GBSAOBCForce"} <= names
    assert prepared.system.getNumConstraints() == 0
    masses = [prepared.system.getParticleMass(k)._value for k in range(22)]
    assert_allclose(sum(masses), prepared.structure.topology.mass.sum(), atol=0.05)
    assert_allclose(masses[1], 4.0)


def test_water_fills_a_box_with_the_margin_of_the_study():
    prepared = system.prepare(protocol("gly2", solvent="tip3p"), 0)
    edge = np.ptp(prepared.structure.position, axis=0).max() + 2 * 1.2
    assert_allclose(prepared.box, edge)
    waters = (len(prepared.position) - 19) // 3
    assert 0.85 < waters * 18.015 / 0.6022 / 1000 / edge**3 < 1.05  # g/cm^3
    (nonbonded,) = [f for f in prepared.system.getForces() if isinstance(f, mm.NonbondedForce)]
    assert nonbonded.getCutoffDistance() == 1.0 * unit.nanometer
    assert nonbonded.getUseDispersionCorrection()
    alpha, *grid = nonbonded.getPMEParameters()
    assert_allclose(alpha._value, 3.12341, rtol=1e-5)  # what GROMACS prints for 1 nm and 1e-5
    assert min(grid) >= edge / 0.16


@pytest.mark.physics
def test_temperature_and_times_of_a_short_run(tmp_path):
    wanted = quick("ala2", every_ps=0.2, equilibration_ps=10.0)
    produce(wanted, 0, 200, tmp_path)
    log = np.loadtxt(tmp_path / "replica_00.csv", delimiter=",", skiprows=1)
    assert_allclose(log[:, 0], 0.2 * np.arange(1, 201))
    degrees = degrees_of_freedom(system.prepare(wanted, 0).system)
    assert degrees == 63
    temperature = log[:, 2]
    error = temperature.std() / np.sqrt(len(temperature) / 4)
    assert abs(temperature.mean() - 300) < 4 * error
    assert_allclose(temperature.std(), 300 * np.sqrt(2 / degrees), rtol=0.25)


def test_recorded_forces_are_those_of_the_recorded_positions(tmp_path):
    wanted = quick("thr2")
    folder = simulate(wanted, 0.001, tmp_path / "run", progress=False)
    topology = io.read_topology(folder / "topology.pdb")
    frames = io.read(folder / "replica_00.trr", topology, require_forces=True)
    prepared = system.prepare(wanted, 0)
    for x, f in zip(np.asarray(frames.position), np.asarray(frames.force), strict=True):
        _, force = energies(prepared.system, x.astype(float))
        assert_allclose(f, force, atol=2.0)  # positions in single precision under stiff bonds
        assert handedness(topology, x) == ["S", "R"]


@pytest.mark.parametrize("liquid", [False, True])
def test_a_stopped_run_goes_on_and_a_longer_one_adds(liquid, tmp_path):
    wanted = small_liquid("O", 30, 997.0, forcefield="tip3p") if liquid else quick()
    stop, seen = Event(), []

    def report(ps, stage):
        if stage == "production":
            seen.append(ps)
        if len(seen) == 3:
            stop.set()

    assert produce(wanted, 0, 8, tmp_path, report=report, stop=stop) == 3
    first = (tmp_path / "replica_00.trr").read_bytes()
    # Killed in the middle of writing: frames behind the checkpoint are dropped.
    with open(tmp_path / "replica_00.trr", "ab") as file:
        file.write(first[: len(first) // 3] + b"torn")
    with open(tmp_path / "replica_00.csv", "a") as file:
        file.write("0.8,1")
    assert produce(wanted, 0, 8, tmp_path) == 8
    assert produce(wanted, 0, 8, tmp_path) == 8
    assert_allclose(seen, 1.0 + 0.2 * np.arange(1, 4))
    whole = (tmp_path / "replica_00.trr").read_bytes()
    assert whole.startswith(first) and len(whole) * 3 == len(first) * 8
    log = np.loadtxt(tmp_path / "replica_00.csv", delimiter=",", skiprows=1)
    assert_allclose(log[:, 0], 0.2 * np.arange(1, 9))


def test_replicas_differ_and_seeds_repeat(tmp_path):
    wanted = quick("gly2", replicas=2)
    a = simulate(wanted, 0.001, tmp_path / "a", progress=False, jobs=2)
    b = simulate(wanted, 0.001, tmp_path / "b", progress=False, jobs=1)
    for k in range(2):
        assert (a / f"replica_{k:02d}.trr").read_bytes() == (b / f"replica_{k:02d}.trr").read_bytes()
    assert (a / "replica_00.trr").read_bytes() != (a / "replica_01.trr").read_bytes()
    manifest = json.loads((a / "manifest.json").read_text())
    assert manifest["length_ns"] == 0.001 and manifest["versions"]["openmm"] and manifest["frames"] == 5
    simulate(wanted, 0.0014, tmp_path / "a", progress=False, jobs=1)
    sittings = json.loads((tmp_path / "a" / "manifest.json").read_text())["sittings"]
    assert [s["frames"] for s in sittings] == [10, 4] and all(s["wall_s"] > 0 for s in sittings)


def test_a_constraint_between_beads_is_refused(tmp_path):
    folder = simulate(quick("ala2", constraints="h-bonds"), 0.0002, tmp_path / "run", progress=False)
    topology = io.read_topology(folder / "topology.pdb")
    assert len(topology.constraints) == 12
    assert mapping.load("united_atom", topology).mass.sum() == pytest.approx(topology.mass.sum())
    with pytest.raises(mapping.MappingError, match=r"distance of ALA\d:N and ALA\d:H fixed.*without constraints"):
        mapping.load("core", topology)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"name": "alanine"}, "unknown system 'alanine'; there are"),
        ({"name": "ala2", "solvent": "tip4p"}, "solvent: want one of"),
        ({"name": "hexane", "solvent": "tip3p"}, "hexane: want solvent none"),
        ({"name": "ala2", "engine": "gromacs"}, "unknown option 'engine'"),
        ({"name": "hexane", "chirality": "D"}, "not chiral"),
        ({"name": "ala2", "every_ps": 0.0011}, "no multiple of the step of 0.002 ps"),
        ({"name": "ala2", "every_ps": -1.0}, "--every-ps: want more than 0, got -1.0"),
        ({"name": "ala2", "replicas": 0}, "Protocol.replicas: want at least 1 and at most 10000, got 0"),
        ({"name": "ala2", "cutof_nm": 1.0}, "unknown option 'cutof_nm'; did you mean 'cutoff_nm'"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(arguments, message):
    with pytest.raises(ConfigError, match=message):
        protocol(**arguments)


def test_a_box_too_small_for_the_cutoff_is_refused():
    with pytest.raises(ConfigError, match=r"a box of \d\.\d+ nm is too small for a cut-off of 1.0 nm"):
        system.prepare(protocol("gly2", solvent="tip3p", margin_nm=0.3), 0)


def test_another_protocol_in_the_same_folder_is_refused(tmp_path):
    simulate(quick(), 0.0002, tmp_path / "run", progress=False)
    with pytest.raises(errors.ReferenceRunError, match="seed was 1, now 2"):
        simulate(quick(seed=2), 0.0002, tmp_path / "run", progress=False)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(errors.ReferenceRunError, match=r"files without a config.json: \['thesis.tex'\]"):
        simulate(quick(), 0.0002, tmp_path / "other", progress=False)


def test_a_checkpoint_that_counts_more_frames_than_there_are_is_refused(tmp_path):
    produce(quick(), 0, 3, tmp_path)
    trajectory = tmp_path / "replica_00.trr"
    trajectory.write_bytes(trajectory.read_bytes()[:100])
    with pytest.raises(errors.ReferenceRunError, match="0 frames, the checkpoint beside it counts 3"):
        produce(quick(), 0, 5, tmp_path)


def test_a_full_disk_is_seen_before(tmp_path):
    with pytest.raises(store.StoreError, match="this run will write .* GB, the disk has"):
        simulate(protocol("ala15", every_ps=0.002), 200.0, tmp_path / "run", progress=False)


def test_a_missing_gpu_is_named():
    if platform("auto", 22, False) == "CUDA":
        pytest.skip("this machine has a GPU")
    with pytest.raises(errors.ReferenceRunError, match="a GPU was asked for, OpenMM has only"):
        platform("cuda", 22, False)
    with pytest.raises(errors.ReferenceRunError, match="want auto, cpu or cuda, got 'gpu'"):
        platform("gpu", 22, False)
    assert (platform("auto", 22, False), platform("auto", 22, True)) == ("Reference", "CPU")


def test_an_exploding_replica_is_reported_and_its_frames_kept(tmp_path, monkeypatch):
    class Exploding(mm.LangevinMiddleIntegrator):
        frames = 0

        def step(self, n):
            self.frames += n == wanted.steps_per_frame
            self.setStepSize(0.002 if self.frames < 4 else 0.5)
            super().step(n)

    wanted = quick(equilibration_ps=0.1)
    monkeypatch.setattr(engine_openmm.mm, "LangevinMiddleIntegrator", Exploding)
    with pytest.raises(
        errors.ReferenceRunError, match=r"1 of 1 replicas failed; replica 0 exploded between 0.6 and 0.8 ps"
    ):
        simulate(wanted, 0.01, tmp_path / "run", progress=False)
    topology = io.read_topology(tmp_path / "run" / "topology.pdb")
    assert io.read(tmp_path / "run" / "replica_00.trr", topology).n_frames == 3


def test_packed_frames_lose_no_more_than_half_a_step(tmp_path):
    topology = io.read_topology(store.data_file("ala2/topology.pdb"))
    frames = io.read(store.data_file("ala2/solute.trr"), topology, stride=50)
    io.write_packed(tmp_path / "a.h5", frames)
    back = io.read(tmp_path / "a.h5", topology, require_forces=True, require_box=True)
    assert_allclose(back.position, frames.position, atol=1.001e-4)
    assert_allclose(back.force, frames.force, atol=1.001)
    assert_array_equal(back.time, frames.time)
    assert_allclose(back.box, frames.box)
    assert (tmp_path / "a.h5").stat().st_size < 0.5 * frames.n_frames * 22 * 24
    with pytest.raises(io.TrajectoryError, match="want frames with forces"):
        io.write_packed(tmp_path / "b.h5", type(frames)(**{**vars(frames), "force": None}))
    with pytest.raises(io.TrajectoryError, match="16 bits hold 32767"):
        io.write_packed(tmp_path / "b.h5", frames, position_step=1e-6)


def test_degrees_of_freedom_count_constraints_and_the_centre_of_mass():
    prepared = system.prepare(protocol("ala2", constraints="h-bonds"), 0)
    assert degrees_of_freedom(prepared.system) == 66 - 12 - 3
    assert len(system.solute_constraints(prepared)) == 12


def test_the_bar_counts_only_new_time(capsys):
    with Progress("x", 100.0, shown=True) as bar:
        bar.report(0, 40.0, "production")  # of an earlier run
        assert_allclose([bar.bar.n, bar.bar.initial], [0.04, 0.04])
        for ps in itertools.chain([60.0, 50.0, 130.0]):  # a log that was cut back, a segment longer than asked for
            bar.report(0, ps, "production")
        assert_allclose([bar.bar.n, bar.bar.initial], [0.1, 0.04])
    assert "ns/day" in capsys.readouterr().err
