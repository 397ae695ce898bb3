"""Workers end with the process they work for, also where that is killed outright."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

POOL = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from cgcore.processes import end_with_parent

def work(path, seconds):
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(seconds)

if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=end_with_parent) as pool:
        pool.submit(work, sys.argv[1], 600).result()
"""


@pytest.mark.parametrize("killed_by", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_ends_with_its_killed_parent(tmp_path, killed_by):
    script, told = tmp_path / "pool.py", tmp_path / "pid"
    script.write_text(POOL)
    parent = subprocess.Popen([sys.executable, str(script), str(told)], stderr=subprocess.DEVNULL)
    _until(lambda: told.is_file() and told.read_text(), "the worker began")
    worker = int(told.read_text())
    parent.send_signal(killed_by)
    parent.wait()
    _until(lambda: not _runs(worker), "the worker ended")


def _runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _until(happened, what: str, seconds: float = 60.0):
    limit = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < limit, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)
