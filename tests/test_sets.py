"""Reference sets: what travels with the project, and how one is made from a simulation."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest
from chirality import handedness
from make_set import bundle
from numpy.testing import assert_allclose

from cgcore import data, io, store
from cgcore.config import ConfigError
from cgcore.reference import sets
from cgcore.reference.protocol import SYSTEMS, protocol
from cgcore.reference.run import simulate

SETS = {entry.name: entry for entry in sets.available()}
LIMIT_MB = 70


def test_all_sets_together_stay_small_and_say_what_they_are_good_for():
    total = sum(p.stat().st_size for root in store.bundled.data_roots() for p in root.rglob("*") if p.is_file())
    assert total < LIMIT_MB * 1e6
    for entry in SETS.values():
        assert len(entry.good_for.split()) > 3 and "\n" not in entry.good_for
        assert entry.system in SYSTEMS


@pytest.mark.parametrize("name", SETS)
def test_a_set_holds_what_it_says(name):
    topology, frames = sets.load(name)
    entry = SETS[name]
    assert frames.n_frames == entry.frames
    runs = np.zeros(frames.n_frames, int) if frames.replica is None else frames.replica
    assert np.array_equal(np.unique(runs), np.arange(entry.replicas)) and np.all(np.diff(runs) >= 0)
    for run in range(entry.replicas):
        time = frames.time[runs == run]
        assert_allclose(np.diff(time), entry.spacing_ps, rtol=2e-3)
    assert_allclose(np.diff(frames.sampled_ps), entry.spacing_ps, rtol=2e-3)
    i, j = topology.bonds.T
    length = np.linalg.norm(frames.position[::50, i] - frames.position[::50, j], axis=-1)
    assert length.min() > 0.08 and length.max() < 0.19
    # Forces of an isolated or periodic whole sum to (nearly) nothing, those of a solute in water do not.
    if entry.solvent in ("none", "obc2"):
        assert np.abs(np.asarray(frames.force[::50], dtype=float).sum(1)).mean() < 2.0 * np.sqrt(topology.n_atoms)
    expected = {"thr2": ["S", "R"], "gly2": [], "hexane": [], "ala15": ["S"] * 15}.get(entry.system, ["S"])
    for position in np.asarray(frames.position[:: max(1, frames.n_frames // 20)]):
        assert handedness(topology, position) == expected


@pytest.mark.parametrize("name", SETS)
def test_checksums_are_complete_and_right(name):
    folder = store.data_file(f"{name}/{sets.SET}").parent
    subprocess.run(["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"], cwd=folder, check=True)
    named = {line.split()[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    assert named == {p.name for p in folder.iterdir()} - {"SHA256SUMS", "README.md"}


def test_a_set_is_made_from_a_simulation_and_reads_back(tmp_path):
    wanted = protocol("gly2", every_ps=0.1, equilibration_ps=0.2, replicas=2)
    run = simulate(wanted, 0.001, tmp_path / "run", progress=False, jobs=1)
    target = bundle(run, tmp_path / "gly2_short", good_for="this test and nothing else", stride=2)
    _, whole = sets.load(run)
    assert whole.n_frames == 20
    assert_allclose(whole.time, np.tile(0.1 * np.arange(1, 11), 2), rtol=1e-6)
    assert_allclose(whole.sampled_ps, 0.1 * np.arange(1, 21), rtol=1e-6)
    assert whole.replica.tolist() == [0] * 10 + [1] * 10
    entry = store.read_json(target / sets.SET)
    assert (entry["frames"], entry["spacing_ps"]) == (10, pytest.approx(0.2))
    topology = io.read_topology(target / "topology.pdb")
    packed = io.read(target / "replica_01.h5", topology, require_forces=True)
    assert_allclose(packed.position, whole.position[10::2], atol=1.1e-4)
    assert_allclose(packed.force, whole.force[10::2], atol=1.1)
    assert "this test and nothing else" in (target / "README.md").read_text()


FOUR_RUNS = {
    1: ([(0, 16673), (20010, 33348)], [(16674, 20009)]),
    2: ([(0, 6669), (10005, 23343), (26679, 33348)], [(6670, 10004), (23344, 26678)]),
}
SPLITS = {
    "ala15_obc2": {
        1: ([(0, 3349), (4021, 6700)], [(3350, 4020)]),
        2: ([(0, 1339), (2011, 4689), (5361, 6700)], [(1340, 2010), (4690, 5360)]),
    },
    "ala2": {
        1: ([(0, 6256), (7533, 12535)], [(6268, 7521)]),
        2: ([(0, 2495), (3772, 8762), (10040, 12535)], [(2507, 3760), (8774, 10028)]),
    },
    "hexane": {
        1: ([(0, 315), (380, 631)], [(316, 379)]),
        2: ([(0, 125), (190, 441), (506, 631)], [(126, 189), (442, 505)]),
    },
} | dict.fromkeys(("ala2_obc2", "gly2_obc2", "pro2_obc2", "thr2_obc2"), FOUR_RUNS)
"""First frame and end of the stretches that are trained on and held out, by the number of ten blocks held out, with gaps
of 5 ps: published models were trained on these."""


@pytest.mark.parametrize("name", SPLITS)
def test_training_and_held_out_frames_stay_what_they_were(name):
    frames = sets.load(name)[1]
    numbered = replace(frames, position=np.arange(frames.n_frames)[:, None, None], force=None)
    for valid_blocks, wanted in SPLITS[name].items():
        split = data.split_blocks(numbered, 10, valid_blocks, 5.0)
        assert (stretches(split.train), stretches(split.valid)) == wanted


def stretches(frames):
    """(First, end) of each run of consecutive frames that are numbered by their position."""
    number = frames.position.ravel()
    parts = np.split(number, np.flatnonzero(np.diff(number) != 1) + 1)
    return [(int(part[0]), int(part[-1]) + 1) for part in parts]


def test_unknown_sets_are_named_with_those_there_are(tmp_path):
    with pytest.raises(ConfigError, match=r"no reference set 'hexan'; there are .*did you mean 'hexane'"):
        sets.load("hexan")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="is not finished; let it run"):
        sets.load(tmp_path)
