"""Runs of every kind that are killed, interrupted or started twice lose nothing that is promised to be kept."""

import os
import random
import signal
import subprocess
import time

import jobs
import numpy as np
import pytest

from cgcore import io
from cgcore.reference import output


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """What a kind leaves when nobody kills it."""
    made = {}

    def of(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            jobs.WORK[kind](folder)
            made[kind] = jobs.left(kind, folder)
        return made[kind]

    return of


@pytest.mark.parametrize(
    "kind, how",
    [("training", "group"), ("simulation", "parent"), ("walk", "group"), ("reference", "parent"), ("sweep", "parent")],
)
def test_killed_at_a_random_moment_it_goes_on_to_the_same_end(kind, how, unbroken, tmp_path):
    process = jobs.started(kind, tmp_path)
    time.sleep(random.uniform(0.0, 2.0))
    jobs.end(process, how)
    jobs.WORK[kind](tmp_path)
    assert jobs.left(kind, tmp_path) == unbroken(kind)
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("how", ["SIGTERM to the group", "kill -9 of a worker"])
def test_a_reference_that_is_interrupted_or_loses_a_worker_keeps_every_frame(tmp_path, how):
    """With the clock's checkpoints an hour apart, what is kept is what the interrupt kept."""
    process = jobs.started("reference", tmp_path, often=3600)
    folder = tmp_path / "reference"
    states = [folder / f"replica_{k:02d}.xml" for k in range(2)]
    end = time.monotonic() + 200
    while not all(state.is_file() for state in states):
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.3)
    if how == "SIGTERM to the group":
        assert jobs.end(process, "group", signal.SIGTERM) != 0
    else:
        workers = subprocess.run(["pgrep", "--parent", str(process.pid), "--full", "spawn_main"], capture_output=True)
        os.kill(int(workers.stdout.split()[-1]), signal.SIGKILL)
        assert process.wait() != 0
        assert "BrokenProcessPool" in (tmp_path / "words.txt").read_text()
    frames = [output.Recorder(folder, k, 19).frames for k in range(2)]
    assert sum(frame > 0 for frame in frames) == (2 if how == "SIGTERM to the group" else 1)
    for k in np.flatnonzero(frames):
        assert len(io.index_trr(folder / f"replica_{k:02d}.trr")) - 1 == frames[k]
