"""Contestants that take turns, in this process or in processes of their own with so many cores each.

NumPy and the standard library only: programs in other environments import it.
"""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable

import numpy as np

TURN_S = 1.0
"""About how long one turn of a program takes."""

MARK = "turns: "
"""Begins the lines that are for the other side, among whatever libraries print."""

THREADS = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Program:
    """A program that calls `serve`, on the first so many of the cores that this process may use."""

    def __init__(self, command: list[str], cores: int):
        chosen = sorted(os.sched_getaffinity(0))[:cores]
        self.command = ["taskset", "--cpu-list", ",".join(map(str, chosen)), *command]
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | dict.fromkeys(THREADS, str(cores)) | {"OMP_PROC_BIND": "false"},
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def answer(self):
        """What the program says next. Raises SystemExit where it ends instead."""
        for line in self.process.stdout:
            if line.startswith(MARK):
                return json.loads(line.removeprefix(MARK))
        raise SystemExit(f"{' '.join(self.command)} ended without an answer, exit code {self.process.wait()}")

    def turn(self, name: str) -> float:
        """Seconds of one of its calls, the mean of a turn."""
        print(name, file=self.process.stdin, flush=True)
        return self.answer()


def serve(about: dict, calls: dict[str, Callable]):
    """Tell `about`, then for each name on standard input the seconds of that call, the mean of about TURN_S of them."""
    times = {name: max(2, math.ceil(TURN_S / _seconds(call, 2))) for name, call in calls.items()}
    print(MARK + json.dumps(about), flush=True)
    for name in map(str.strip, sys.stdin):
        print(MARK + json.dumps(_seconds(calls[name], times[name])), flush=True)


def timed(run: Callable) -> Callable[[], float]:
    """A call of `run` that returns its seconds."""
    return lambda: _seconds(run, 1)


def interleaved(turns: dict[str, Callable[[], float]], repeats: int) -> dict[str, np.ndarray]:
    """Seconds (repeats,) of each, which take turns; the first turn of each is not counted."""
    rounds = [[turn() for turn in turns.values()] for _ in range(repeats + 1)][1:]
    return dict(zip(turns, np.array(rounds).T, strict=True))


def told(name: str, seconds: Iterable[float], per: float = 1.0) -> dict[str, float]:
    """Median and range in milliseconds for each of `per`."""
    ms = 1e3 * np.asarray(seconds) / per
    return {f"{name}_ms": float(np.median(ms)), f"{name}_ms_low": float(ms.min()), f"{name}_ms_high": float(ms.max())}


def told_ratio(name: str, ratios: np.ndarray) -> dict[str, float]:
    """Median and range of ratios taken turn by turn."""
    return {name: float(np.median(ratios)), f"{name}_low": float(ratios.min()), f"{name}_high": float(ratios.max())}


def _seconds(call: Callable, times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times
