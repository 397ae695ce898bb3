"""Runs of every kind that are killed or interrupted lose nothing that is promised to be kept; `long.py` has more of it."""

import random
import signal
import time

import jobs
import pytest

from cgcore import io
from cgcore.reference import output


@pytest.mark.parametrize("kind, how", [("chain", "group"), ("sweep", "parent")])
def test_killed_at_a_random_moment_it_goes_on_to_the_same_end(kind, how, tmp_path):
    """A training, a simulation and a metadynamics in turn, to the last bit; and a sweep, whose rows end with it."""
    process = jobs.started(kind, tmp_path / "killed")
    time.sleep(random.uniform(0.0, 5.0))
    jobs.end(process, how)
    jobs.WORK[kind](tmp_path / "killed")
    assert not list(tmp_path.rglob("*.part"))
    wanted = {"2": "4", "3": "9"}
    if kind == "chain":
        jobs.WORK[kind](tmp_path / "unbroken")
        wanted = jobs.left(kind, tmp_path / "unbroken")
    assert jobs.left(kind, tmp_path / "killed") == wanted


def test_a_reference_that_a_scheduler_ends_keeps_every_frame_and_goes_on(tmp_path):
    """With the clock's checkpoints an hour apart, what is kept is what SIGTERM to the whole group kept."""
    process = jobs.started("reference", tmp_path, often=3600)
    folder = tmp_path / "reference"
    states = [folder / f"replica_{k:02d}.xml" for k in range(2)]
    end = time.monotonic() + 250
    while not all(state.is_file() for state in states):
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.3)
    assert jobs.end(process, "group", signal.SIGTERM) != 0
    kept = [(folder / f"replica_{k:02d}.trr").read_bytes() for k in range(2)]
    frames = [output.Recorder(folder, k, 19).frames for k in range(2)]
    assert min(frames) > 0
    assert [len(io.index_trr(folder / f"replica_{k:02d}.trr")) - 1 for k in range(2)] == frames
    jobs.reference(tmp_path, jobs=1)
    assert jobs.left("reference", tmp_path) == {"frames": "200"}
    for k in range(2):
        assert (folder / f"replica_{k:02d}.trr").read_bytes().startswith(kept[k])
