"""Frames held against themselves: forces that are of other positions, units or signs, and distances that the run kept rigid."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import openmm
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from openmm import unit
from typer.testing import CliRunner

from cgcore import force_maps, geometry, io, mapping, store
from cgcore.cli import app
from cgcore.doctor.findings import _forces
from cgcore.frames import Frames, Topology
from cgcore.io.held import LEAST, MOBILE, virial, with_constraints
from cgcore.reference import sets
from cgcore.reference.protocol import protocol
from cgcore.reference.system import prepare
from cgcore.units import kT

T = 300.0
NONE = np.zeros((0, 2), int)


@pytest.fixture(scope="module")
def alanine():
    return sets.load("ala2_obc2", stride=32)


@pytest.fixture(scope="module")
def held():
    """500 frames of capped alanine whose bonds with hydrogen were held, and the topology without a word of it."""
    made = prepare(protocol("ala2", constraints="h-bonds"), 0)
    integrator = openmm.LangevinMiddleIntegrator(T, 5.0, 0.002)
    integrator.setRandomNumberSeed(1)
    context = openmm.Context(made.system, integrator, openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(made.position)
    openmm.LocalEnergyMinimizer.minimize(context, maxIterations=200)
    context.setVelocitiesToTemperature(T, 1)
    integrator.step(500)
    position, force = [], []
    for _ in range(500):
        integrator.step(12)
        state = context.getState(positions=True, forces=True)
        position.append(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
        force.append(state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer))
    topology = io.read_topology(store.data_file("ala2/topology.pdb"))
    frames = Frames(
        position=np.array(position, np.float32),
        force=np.array(force, np.float32),
        box=np.full(3, np.inf, np.float32),
        time=np.arange(500) * 0.024,
        names=topology.names,
    )
    return topology, frames


def check(topology: Topology, frames: Frames, temperature_K: float = T):
    return io.check_forces("x.trr", frames, topology.bonds, topology.constraints, temperature_K)


@pytest.mark.physics
@pytest.mark.parametrize(
    "name, stride", [("ala2", 10), ("ala2_obc2", 30), ("pro2_obc2", 30), ("ala15_obc2", 60), ("hexane", 30)]
)
def test_forces_of_the_reference_sets_do_the_work_of_kT(name, stride):
    """In vacuum, in implicit and explicit solvent and in a liquid; bonds are a percent or two too warm by the time step."""
    topology, frames = sets.load(name, stride=stride)
    found = check(topology, frames)
    assert found.fits and abs(found.ratio - 1) < 0.03 + 4 * found.error
    assert found.error < 0.02 and not len(topology.constraints)


@pytest.mark.physics
def test_the_same_theorem_for_the_whole_molecule(alanine):
    """<sum f (r - r_mean)> = -3 (A - 1) kT, which is -157.1 kJ/mol for 22 atoms at 300 K, with an error ten times as large."""
    _, frames = alanine
    x, f = (np.asarray(a, float) for a in (frames.position, frames.force))
    work = ((x - x.mean(1, keepdims=True)) * f).sum((1, 2))
    error = np.std([b.mean() for b in np.array_split(work, 20)], ddof=1) / np.sqrt(20)
    assert -3 * 21 * kT(T) == pytest.approx(-157.14, abs=0.01)
    assert abs(work.mean() + 157.14) < 4 * error < 80


@pytest.mark.physics
@pytest.mark.parametrize("name", ["core", "core_beta", "heavy_atom", "united_atom"])
def test_mapped_forces_fit_mapped_positions(alanine, name):
    topology, frames = alanine
    m = mapping.load(name, topology)
    found = virial(mapping.apply(m, frames), m.bonds, NONE, T)
    assert abs(found.ratio - 1) < 0.03 + 4 * found.error and found.error < 0.1


LIES = {
    "kcal/mol/Å": (lambda f: f / 41.84, "they look like kcal/mol/Å; one of these is 41.84 kJ/mol/nm"),
    "kcal/mol/nm": (lambda f: f / 4.184, "they look like kcal/mol/nm; one of these"),
    "kJ/mol/Å": (lambda f: f / 10, "they look like kJ/mol/Å; one of these"),
    "eV/Å": (lambda f: f / 964.85, "they look like eV/Å; one of these"),
    "eV/nm": (lambda f: f / 96.485, "they look like eV/nm; one of these"),
    "Hartree/Bohr": (lambda f: f / 49614.8, "they look like Hartree/Bohr; one of these"),
    "gradients": (lambda f: -f, "they look like kJ/mol/nm with the opposite sign, gradients of the energy"),
    "gradients in eV/Å": (lambda f: -f / 964.85, "they look like eV/Å with the opposite sign"),
    "gradients in kcal/mol/Å": (lambda f: -f / 41.84, "they look like kcal/mol/Å with the opposite sign"),
    "of the frame before": (lambda f: np.roll(f, 1, 0), "those of the frame after do: shifted by one frame"),
    "of the frame after": (lambda f: np.roll(f, -1, 0), "those of the frame before do: shifted by one frame"),
    "of seven frames before": (lambda f: np.roll(f, 7, 0), "no unit explains that: of another run, shifted"),
    "backwards in time": (lambda f: f[::-1], "no unit explains that"),
    "of other atoms": (lambda f: f[:, ::-1], "do not belong to the positions"),
    "multiplied by a thousand": (lambda f: f * 1000, "do not belong to the positions"),
    "noise": (lambda f: np.random.default_rng(0).normal(0, 800, f.shape), "no unit explains that"),
    "zeros": (lambda f: 0 * f, "all forces are zero; .*nstfout"),
}


@pytest.mark.parametrize("lie", LIES)
def test_forces_that_are_of_something_else_are_refused(alanine, lie):
    topology, frames = alanine
    change, message = LIES[lie]
    wrong = replace(frames, force=np.asarray(change(frames.force), np.float32))
    with pytest.raises(io.TrajectoryError, match=message):
        check(topology, wrong)


@pytest.mark.parametrize("lie", ["kcal/mol/Å", "gradients", "eV/Å"])
def test_sixty_frames_are_enough_for_a_unit_or_a_sign(alanine, lie):
    topology, frames = alanine
    wrong = replace(frames[:60], force=LIES[lie][0](frames[:60].force))
    with pytest.raises(io.TrajectoryError, match=LIES[lie][1]):
        check(topology, wrong)


def test_no_window_of_right_frames_is_refused(alanine):
    """However few: what cannot be told is left alone."""
    topology, frames = alanine
    random = np.random.default_rng(0)
    for _ in range(300):
        n = int(random.integers(2, 80))
        start = int(random.integers(0, frames.n_frames - n))
        found = check(topology, frames[start : start + n], float(random.uniform(250, 350)))
        assert found.fits is (True if n >= 40 else found.fits)
        assert n >= LEAST or found.fits is None


def test_reading_and_the_doctor_hold_forces_against_positions(alanine, tmp_path):
    topology, frames = alanine[0], alanine[1][:261]  # of the first replica
    io.write_packed(tmp_path / "right.h5", frames)
    io.write_packed(tmp_path / "wrong.h5", replace(frames, force=-np.asarray(frames.force)))
    io.read(tmp_path / "right.h5", topology)
    with pytest.raises(io.TrajectoryError, match="gradients"):
        io.read(tmp_path / "wrong.h5", topology)
    pdb = store.data_file("ala2_obc2/topology.pdb")
    ran = CliRunner().invoke(app, ["doctor", "core", str(tmp_path / "wrong.h5"), "--topology", str(pdb)])
    assert ran.exit_code == 1 and "gradients" in ran.output


# Distances that the run kept


def test_rigid_distances_are_found_in_the_frames(held):
    topology, frames = held
    hydrogen = [(i, j) for i, j in topology.bonds.tolist() if "H" in (topology.elements[i], topology.elements[j])]
    assert len(hydrogen) == 12
    assert_array_equal(with_constraints("x", topology, frames).constraints, sorted(hydrogen))
    packed = replace(frames, position=(np.round(frames.position / 2e-4) * 2e-4).astype(np.float32))
    assert_array_equal(with_constraints("x", topology, packed).constraints, sorted(hydrogen))
    assert not len(with_constraints("x", topology, frames[: LEAST - 1]).constraints)
    stated = with_constraints("x", topology, frames[: LEAST - 1], "h-bonds")
    assert_array_equal(stated.constraints, sorted(hydrogen))


@pytest.mark.physics
def test_held_bonds_move_as_one_when_forces_are_held_against_positions(held):
    """Where their work is counted as if they were free, the forces seem to be wrong."""
    topology, frames = held
    found = check(with_constraints("x", topology, frames), frames)
    assert found.bonds == 9 and abs(found.ratio - 1) < 0.05 + 4 * found.error
    apart = virial(frames, topology.bonds, NONE, T)
    assert abs(apart.ratio - 1) > 0.2


def test_a_map_and_a_force_map_that_rigid_distances_forbid_are_refused(held, tmp_path):
    topology, frames = held
    known = with_constraints("x", topology, frames)
    with pytest.raises(mapping.MappingError, match="distance of ALA1:N and ALA1:H fixed.*without constraints"):
        mapping.load("core", known)
    united = mapping.load("united_atom", known)
    with pytest.raises(mapping.MappingError, match="held 12 distances fixed"):
        force_maps.optimised(united, known, frames)
    trajectory, pdb = tmp_path / "run.trr", store.data_file("ala2/topology.pdb")
    data = zip(frames.position, frames.force, frames.time, strict=True)
    trajectory.write_bytes(b"".join(io.trr_frame(x, f, frames.box, t, k) for k, (x, f, t) in enumerate(data)))
    read, _ = io.load(pdb, [trajectory])
    assert_array_equal(read.constraints, known.constraints)
    command = ["doctor", "core", str(trajectory), "--topology", str(pdb)]
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code == 1 and "held the distance of" in ran.output
    ran = CliRunner().invoke(app, [*command, "--constraints", "h-bond"])
    assert ran.exit_code == 1 and "did you mean 'h-bonds'" in ran.output


def rounded(frames: Frames) -> Frames:
    return replace(frames, position=(np.round(frames.position / 1e-3) * 1e-3).astype(np.float32))


@pytest.mark.parametrize(
    "what, change, stated, message",
    [
        ("held", None, "none", "12 distances .*vary by 0.0.* said to be 'none'"),
        ("held", None, "all-bonds", "9 distances .* said to be held fixed; .*made without constraints"),
        ("alanine", None, "h-bonds", "12 distances .*made without constraints"),
        ("alanine", None, "hbonds", "want one of .*got 'hbonds'"),
        ("held", rounded, None, "12 distances .*less than heat makes them.*--constraints.*none, h-bonds, all-bonds"),
    ],
)
def test_what_is_said_of_constraints_is_held_against_the_frames(request, what, change, stated, message):
    topology, frames = request.getfixturevalue(what)
    frames = change(frames) if change else frames
    with pytest.raises(io.TrajectoryError, match=message):
        with_constraints("x.trr", topology, frames, stated)


def test_what_frames_cannot_tell_is_believed(held):
    topology, frames = held
    assert len(with_constraints("x", topology, rounded(frames), "h-bonds").constraints) == 12
    assert not len(with_constraints("x", topology, replace(rounded(frames), force=None)).constraints)


def test_rigid_water_is_rigid_in_all_three_distances():
    """The ends of two rigid bonds are looked at, too."""
    random = np.random.default_rng(0)
    half, oh, n = np.radians(104.52 / 2), 0.09572, 60
    flat = oh * np.array([[0, 0, 0], [np.sin(half), np.cos(half), 0], [-np.sin(half), np.cos(half), 0]])
    turn = np.linalg.qr(random.normal(size=(n, 2, 3, 3)))[0]
    x = (flat @ turn).reshape(n, 6, 3) + np.repeat(random.uniform(0, 3, (n, 2, 3)), 3, axis=1)
    water = Topology(
        names=("OW", "HW1", "HW2") * 2,
        residues=("SOL",) * 6,
        residue_index=(0, 0, 0, 1, 1, 1),
        elements=("O", "H", "H") * 2,
        mass=np.array([16.0, 1.0, 1.0] * 2),
        bonds=np.array([[0, 1], [0, 2], [3, 4], [3, 5]]),
    )
    frames = Frames(
        position=x.astype(np.float32), force=None, box=np.full(3, np.inf), time=np.arange(n), names=water.names
    )
    assert with_constraints("x", water, frames).constraints.tolist() == [[0, 1], [0, 2], [1, 2], [3, 4], [3, 5], [4, 5]]
    assert_allclose(io.rigid(water, frames, MOBILE), io.rigid(water, frames))
    assert geometry.molecules(io.rigid(water, frames), 6).tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    "found, temperature_K, level, says",
    [
        (io.Virial(1.01, 0.005, 500, 21), 300.0, "clear", "bonds pull back as at 303 ± 2 K"),
        (io.Virial(0.75, 0.005, 500, 21), 400.0, "note", "bonds pull back as at 300 ± 2 K, not 400 K"),
        (io.Virial(0.75, 0.2, 500, 21), 400.0, "clear", "they belong to the positions"),
        (io.Virial(1.0, 3.0, 20, 2), 300.0, "note", "20 frames and 2 bonds that vary cannot tell"),
        (io.Virial(np.nan, np.nan, 12, 0), 300.0, "note", "not held against the positions: 12 frames"),
    ],
)
def test_the_doctor_says_what_forces_fit(found, temperature_K, level, says):
    (said,) = _forces(SimpleNamespace(virial=found, temperature_K=temperature_K))
    assert said.level == level and says in said.what


def test_a_short_run_in_which_bonds_hardly_move_tells_nothing(alanine):
    """Of frames a femtosecond apart, bonds seem rigid and their energies are what they happen to be."""
    topology, frames = alanine
    close = replace(frames[:40], time=np.arange(40) * 1e-3)
    assert check(topology, close).fits is None and not len(io.rigid(topology, close))
    assert not len(with_constraints("x", topology, close).constraints)


def test_replicas_in_different_boxes(alanine, tmp_path):
    """A molecule alone then has no box; several want one."""
    _, frames = alanine
    for k, edge in enumerate((3.0, 3.1)):
        io.write_packed(tmp_path / f"{k}.h5", replace(frames[:30], box=np.full(3, edge)))
    files = [tmp_path / "0.h5", tmp_path / "1.h5"]
    assert np.isinf(io.load(store.data_file("ala2_obc2/topology.pdb"), files)[1].box).all()
    lines = store.data_file("ala2_obc2/topology.pdb").read_text().splitlines()
    ions = [line[:12] + " NA   NA" + line[20:76] + "NA" for line in lines if line.startswith("ATOM")]
    (tmp_path / "ions.pdb").write_text("\n".join([f"{x[:22]}{k:4d}{x[26:]}" for k, x in enumerate(ions)] + ["END", ""]))
    with pytest.raises(io.TrajectoryError, match="want one box for all replicas of several molecules, got .*3.0.*3.09"):
        io.load(tmp_path / "ions.pdb", files)
