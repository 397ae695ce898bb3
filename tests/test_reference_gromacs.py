"""The study's protocol by GROMACS: its inputs, short runs, what a killed one keeps, and what can be wrong."""

import dataclasses
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from chirality import handedness
from numpy.testing import assert_allclose

from cgcore import io
from cgcore.config import ConfigError
from cgcore.reference import errors, gmx, gromacs
from cgcore.reference.build import HEXANE_TOP
from cgcore.reference.errors import ReferenceRunError
from cgcore.reference.gromacs_stages import Replica, build, read_mdp, recipe
from cgcore.reference.protocol import protocol
from cgcore.reference.run import Progress, simulate
from cgcore.reference.system import start

ROOT = Path(__file__).parents[1]
ENVIRONMENT = ("GMX", "GMXBIN", "PATH")
needs_gmx = pytest.mark.skipif(
    not any(shutil.which(name) for name in gmx.NAMES), reason="GROMACS is not installed (apt-get install gromacs)"
)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def published(name, **changes):
    return dataclasses.replace(protocol(name, engine="gromacs"), **changes)


def small(name="ala2", **changes):
    """Seconds of work: little water, short cut-offs, hardly any equilibration."""
    values = dict(equilibration_ps=0.1, steps_per_frame=20, margin_nm=0.6, cutoff_nm=0.8)
    if name == "hexane":
        values = dict(equilibration_ps=0.05, steps_per_frame=10, cutoff_nm=0.9)
    return published(name, **values | changes)


@pytest.fixture(scope="module")
def gly2(tmp_path_factory):
    """A finished run of glycine: 4 frames, then 6."""
    os.environ["OMP_NUM_THREADS"] = "1"
    folder = tmp_path_factory.mktemp("gromacs") / "gly2"
    wanted = small("gly2")
    simulate(wanted, 4 * wanted.frame_ps / 1000, folder, progress=False)
    first = (folder / "replica_00.trr").read_bytes(), (folder / "replica_00.csv").read_text()
    simulate(wanted, 6 * wanted.frame_ps / 1000, folder, progress=False)
    return wanted, folder, first


# what GROMACS is told


def production(protocol, **values):
    return recipe("production", protocol, every=protocol.steps_per_frame, **{"first_step": 0, **values})


@pytest.mark.parametrize(
    "name, wanted",
    [
        (
            "hexane",
            {"dt": "0.001", "rlist": "1.22", "rcoulomb": "1.22", "rvdw": "1.22", "fourierspacing": "0.26"}
            | {"tc-grps": "System", "tau-t": "1", "ref-t": "300", "nstxout": "2000", "nstfout": "2000"},
        ),
        (
            "ala2",
            {"dt": "0.0005", "rcoulomb": "1", "rvdw": "1", "fourierspacing": "0.16", "nstxout": "2000"}
            | {"tc-grps": "Protein Non-Protein", "tau-t": "0.1 0.1", "ref-t": "300 300", "nstfout": "2000"},
        ),
    ],
)
def test_production_has_the_numbers_of_the_study(name, wanted):
    got = read_mdp(production(published(name), seed=3, n_steps=1000, first_step=400))
    common = {"integrator": "md", "constraints": "none", "coulombtype": "PME", "pme-order": "4", "vdwtype": "Cut-off"}
    common |= {"DispCorr": "EnerPres", "tcoupl": "V-rescale", "nsteps": "1000", "init-step": "400", "ld-seed": "3"}
    assert {key: got[key] for key in wanted | common} == wanted | common
    assert "pcoupl" not in got


def test_equilibration_is_minimisation_nvt_npt_for_peptides_and_a_melt_for_hexane():
    p = published("ala2")
    drawn = dict(gen_vel="yes", continuation="no", seed=7)
    assert read_mdp(recipe("minimisation", p))["integrator"] == "steep"
    nvt, npt = read_mdp(recipe("nvt", p, **drawn)), read_mdp(recipe("npt", p, seed=7))
    assert (nvt["gen-vel"], nvt["gen-temp"], nvt["gen-seed"], nvt["nsteps"]) == ("yes", "300", "7", "200000")
    assert (npt["pcoupl"], npt["ref-p"], npt["nsteps"], npt["gen-vel"]) == ("C-rescale", "1", "200000", "no")
    assert read_mdp(recipe("nvt", published("hexane"), temperature_K=600.0, **drawn))["ref-t"] == "600"


@pytest.mark.parametrize("every", [1, 30, 250, 2000])
def test_gromacs_need_not_change_an_interval(every):
    got = read_mdp(production(published("ala2", steps_per_frame=every), seed=1, n_steps=12_345))
    for key in ("nstxout", "nstfout", "nstenergy", "nstlog"):
        assert int(got[key]) % int(got["nstcalcenergy"]) == 0
    assert int(got["nstenergy"]) == every


@needs_gmx
def test_the_alkanes_of_opls_are_those_of_gromacs():
    """OpenMM reads our part of the force field, GROMACS its own."""
    ours = (HEXANE_TOP.parent / "oplsaa.ff" / "forcefield.itp").read_text()
    top = next(p for p in Path(shutil.which("gmx")).resolve().parents if (p / "share/gromacs/top").is_dir())
    folder = top / "share/gromacs/top/oplsaa.ff"
    theirs = [(folder / name).read_text() for name in ("forcefield.itp", "ffnonbonded.itp", "ffbonded.itp")]
    known = {row for text in theirs for row in rows_of(text)}
    assert len(rows_of(ours)) == 12 and set(rows_of(ours)) <= known


def rows_of(itp):
    """Every line of numbers, as words and numbers."""
    rows = [line.split(";")[0].split() for line in itp.splitlines() if line[:1] not in ("[", "#")]
    return [tuple(float(w) if re.fullmatch(r"[-+.\de]*\d[-+.\de]*", w) else w for w in row) for row in rows if row]


def test_hexane_is_opls_with_all_1_4_pairs():
    rows, section = {}, None
    for line in HEXANE_TOP.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[] ")
        elif section:
            rows.setdefault(section, []).append(line.split())
    assert rows["moleculetype"] == [["HEX", "3"]] and rows["molecules"] == [["HEX", "100"]]
    assert Counter(row[1] for row in rows["atoms"]) == {"opls_135": 2, "opls_136": 4, "opls_140": 14}
    assert_allclose(sum(float(row[6]) for row in rows["atoms"]), 0.0, atol=1e-12)
    counts = {title: len(rows[title]) for title in ("bonds", "angles", "dihedrals", "pairs")}
    assert counts == {"bonds": 19, "angles": 36, "dihedrals": 45, "pairs": 45}
    charges = {row[1]: float(row[6]) for row in rows["atoms"]}
    assert charges == {"opls_135": -0.18, "opls_136": -0.12, "opls_140": 0.06}
    ends = {frozenset((row[0], row[3])) for row in rows["dihedrals"]}
    assert {frozenset(row[:2]) for row in rows["pairs"]} == ends and len(ends) == len(rows["pairs"])
    assert {row[-1] for row in rows["dihedrals"]} == {"3"}


# runs


@needs_gmx
def test_a_run_leaves_the_solute_with_forces_and_a_log(gly2):
    wanted, folder, _ = gly2
    topology = io.read_topology(folder / "topology.pdb")
    frames = io.read(folder / "replica_00.trr", topology, require_forces=True, require_box=True)
    assert frames.names == start(wanted, 0).topology.names
    assert_allclose(frames.time, wanted.frame_ps * np.arange(1, 7), rtol=1e-6)
    i, j = topology.bonds.T
    assert np.linalg.norm(frames.position[:, i] - frames.position[:, j], axis=-1).max() < 0.18
    assert 300 < np.sqrt(np.mean(frames.force**2)) < 4000  # kJ/mol/nm
    log = np.loadtxt(folder / "replica_00.csv", delimiter=",", skiprows=1)
    assert log.shape == (6, 4)
    assert_allclose(log[:, 0], frames.time, rtol=1e-6)
    assert (log[:, 1] < -3000).all() and (np.abs(log[:, 2] - 300) < 60).all() and (np.abs(log[:, 3]) < 5).all()


@needs_gmx
def test_a_longer_run_adds_to_what_is_there(gly2):
    _, folder, (trajectory, log) = gly2
    assert (folder / "replica_00.trr").read_bytes().startswith(trajectory)
    assert (folder / "replica_00.csv").read_text().startswith(log)
    names = {path.name for path in (folder / "gromacs_00").iterdir()}
    assert "state_6.cpt" in names
    assert not {f"production_{k}.trr" for k in (0, 4)} & names


@needs_gmx
def test_the_next_segment_goes_on_from_the_very_state(gly2):
    """Four frames and two behind them are the six of a run in one piece, to the accuracy of single precision."""
    wanted, folder, _ = gly2
    whole = folder.with_name("whole")
    shutil.copytree(folder, whole)
    for path in [*whole.glob("replica_*"), *(whole / "gromacs_00").glob("production*")]:
        path.unlink()
    simulate(wanted, 6 * wanted.frame_ps / 1000, whole, progress=False)
    topology = io.read_topology(folder / "topology.pdb")
    pieces, once = (io.read(f / "replica_00.trr", topology) for f in (folder, whole))
    assert_allclose(pieces.position, once.position, atol=2e-5)
    assert_allclose(pieces.force, once.force, atol=1.0)  # kJ/mol/nm, of 1000


@needs_gmx
@pytest.mark.parametrize("killed_by", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_goes_on(tmp_path, killed_by):
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, 'tests')\n"
        "from test_reference_gromacs import small\nfrom cgcore.reference.run import simulate\n"
        "simulate(small('gly2', steps_per_frame=10), 0.0025, Path(sys.argv[1]), progress=False)"
    )
    folder, wanted = tmp_path / "run", small("gly2", steps_per_frame=10)
    trajectory = folder / "gromacs_00" / "production_0.trr"
    child = subprocess.Popen([sys.executable, "-c", code, folder], cwd=ROOT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (trajectory.is_file() and trajectory.stat().st_size > 200_000):
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    child.send_signal(killed_by)
    child.wait()
    log = folder / "gromacs_00" / "production_0.log"
    assert gmx.last_step(log) < 5000
    while "Finished mdrun" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    simulate(wanted, 0.0025, folder, progress=False)
    assert "Restarting from checkpoint" in log.read_text()
    frames = io.read(folder / "replica_00.trr", io.read_topology(folder / "topology.pdb"))
    assert_allclose(frames.time, wanted.frame_ps * np.arange(1, 501), rtol=1e-6)


@needs_gmx
def test_replicas_run_side_by_side_and_one_that_fails_stops_no_other(tmp_path):
    wanted = small("gly2", replicas=2)
    folder = simulate(wanted, 2 * wanted.frame_ps / 1000, tmp_path / "run", progress=False, jobs=2)
    first, second = ((folder / f"replica_{k:02d}.trr").read_bytes() for k in range(2))
    assert len(first) == len(second) and first != second
    (folder / "gromacs_00" / "state_2.cpt").unlink()
    with pytest.raises(ReferenceRunError, match=r"1 of 2 replicas failed; .*state_2.cpt: no such file"):
        simulate(wanted, 4 * wanted.frame_ps / 1000, folder, progress=False, jobs=2)
    assert len((folder / "replica_01.trr").read_bytes()) == 2 * len(second)


@needs_gmx
@pytest.mark.slow
def test_hexane_runs_at_the_density_asked_for(tmp_path):
    wanted = small("hexane")
    folder = simulate(wanted, 3 * wanted.frame_ps / 1000, tmp_path / "hexane", progress=False)
    frames = io.read(folder / "replica_00.trr", io.read_topology(folder / "topology.pdb"), require_forces=True)
    assert frames.position.shape == (3, 2000, 3)
    grams_per_litre = 100 * 86.178 / 6.02214076e23 / (frames.box.prod() * 1e-24)
    assert_allclose(grams_per_litre, 655, atol=3)  # 0.655 g/ml at 298 K
    carbons = frames.position.reshape(3, 100, 20, 3)
    assert np.linalg.norm(carbons[:, :, 0] - carbons[:, :, 16], axis=-1).max() < 0.75  # whole molecules


@needs_gmx
@pytest.mark.parametrize("chirality", ["L", "D"])
def test_gromacs_keeps_the_handedness_and_the_order_of_atoms(tmp_path, chirality):
    wanted = small("thr2", chirality=chirality)
    solute = start(wanted, 0)
    replica = Replica(gmx.find_gmx(), wanted, 0, tmp_path)
    replica.work.mkdir()
    build(replica, solute)
    assert replica.simulate("em", recipe("minimisation", wanted), stage="minimisation", c="start.gro")
    lines = (replica.work / "em.gro").read_text().splitlines()[2 : 2 + solute.topology.n_atoms]
    assert [line[10:15].strip() for line in lines] == list(solute.topology.names)
    position = np.array([[float(line[20 + 8 * k : 28 + 8 * k]) for k in range(3)] for line in lines])
    assert handedness(solute.topology, position) == handedness(solute.topology, solute.position)
    assert handedness(solute.topology, position)[0] == {"L": "S", "D": "R"}[chirality]


@needs_gmx
def test_an_event_ends_a_stage_in_order(tmp_path, gly2):
    wanted, folder, _ = gly2
    stop = Event()
    stop.set()
    shutil.copytree(folder, tmp_path / "copy")
    assert gromacs.produce(wanted, 0, 50_000, tmp_path / "copy", stop=stop) == 6


# what can be wrong


def test_gromacs_that_is_not_there(monkeypatch, tmp_path):
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ReferenceRunError, match="apt-get install gromacs.*conda-forge"):
        simulate(published("ala2"), 1.0, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setenv("GMX", str(tmp_path / "gmx"))
    with pytest.raises(ReferenceRunError, match="GMX=.*is no program"):
        gmx.find_gmx()


def fake_gmx(folder, text):
    path = folder / "gmx"
    path.write_text(f"#!/bin/sh\ncat << END\n{text}\nEND\nexit 1\n")
    path.chmod(0o755)
    return path


def test_gromacs_that_is_too_old(monkeypatch, tmp_path):
    fake_gmx(tmp_path, "GROMACS version:    2018.8\nMPI library:        thread_mpi\nGPU support: disabled")
    monkeypatch.delenv("GMX", raising=False)
    monkeypatch.setenv("GMXBIN", str(tmp_path))
    with pytest.raises(ReferenceRunError, match="is GROMACS 2018.8; want 2021 or newer"):
        gmx.find_gmx()


@needs_gmx
def test_a_box_too_small_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(ConfigError, match=r"a box of 1\.\d+ nm is too small for a cut-off of 1.0 nm"):
        simulate(small("gly2", margin_nm=0.3, cutoff_nm=1.0), 1.0, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@needs_gmx
def test_a_full_disk_is_told_before_anything_runs(monkeypatch, tmp_path):
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000_000)
    monkeypatch.setattr(errors.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ReferenceRunError, match=r"will write .* GB, the disk has 0.01 GB left"):
        simulate(published("ala2"), 500.0, tmp_path / "out")
    assert not (tmp_path / "out" / "gromacs_00").exists()


@needs_gmx
@pytest.mark.parametrize(
    "changes, message",
    [({"hydrogen_mass": 4.0}, "their own mass"), ({"steps_per_frame": 4_000_000}, "at least one frame")],
)
def test_what_gromacs_does_not_do(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        simulate(published("ala2", **changes), 1.0, tmp_path / "out")


@needs_gmx
def test_another_protocol_is_refused(gly2):
    wanted, folder, _ = gly2
    with pytest.raises(ReferenceRunError, match="cutoff_nm was 0.8, now 0.9"):
        simulate(dataclasses.replace(wanted, cutoff_nm=0.9), 0.001, folder)


@needs_gmx
def test_a_program_that_fails_is_quoted(tmp_path):
    (tmp_path / "bad.mdp").write_text("integrator = md\n")
    with pytest.raises(
        ReferenceRunError, match=r"(?s)`gmx.* grompp|`gmx grompp -f bad.mdp.*failed.*grompp.out.*nothing.gro"
    ):
        gmx.call(gmx.find_gmx(), "grompp", "-f", "bad.mdp", "-c", "nothing.gro", folder=tmp_path)


@needs_gmx
def test_a_checkpoint_of_another_run_is_told(tmp_path, gly2):
    _, folder, _ = gly2
    work = folder / "gromacs_00"
    shutil.copy(work / "npt.tpr", tmp_path / "x.tpr")
    shutil.copy(work / "nvt.cpt", tmp_path / "x.cpt")
    with pytest.raises(ReferenceRunError, match="(?s)checkpoint belongs to other files.*x.cpt"):
        gmx.mdrun(gmx.find_gmx(), "x", folder=tmp_path, last=200)


@needs_gmx
def test_a_missing_state_is_told(tmp_path, gly2):
    wanted, folder, _ = gly2
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "gromacs_00" / "state_6.cpt").unlink()
    with pytest.raises(ReferenceRunError, match=r"state_6.cpt: no such file, though 6 frames are there"):
        simulate(wanted, 0.001, tmp_path / "copy", progress=False)


def test_the_bar_counts_only_new_time(capsys):
    with Progress("x", 100.0, shown=True) as bar:
        bar.report(0, 40.0, "production")  # of an earlier run
        assert_allclose([bar.bar.n, bar.bar.initial], [0.04, 0.04])
        for ps in itertools.chain([60.0, 50.0, 130.0]):  # a log that was cut back, a segment longer than asked for
            bar.report(0, ps, "production")
        assert_allclose([bar.bar.n, bar.bar.initial], [0.1, 0.04])
    assert "ns/day" in capsys.readouterr().err


def test_the_last_step_is_read_from_the_tail_of_a_log(tmp_path):
    log = tmp_path / "md.log"
    assert gmx.last_step(log) == 0
    log.write_text(
        "".join(f"           Step           Time\n{k:15d} {k / 1000:15.5f}\n\n" for k in range(0, 5000, 100))
    )
    assert gmx.last_step(log) == 4900
