"""A sweep: many runs of one notebook, one folder each; what is done is skipped, what failed is kept, the rest goes on.

`run_notebook` makes each run, in a process of its own. A sweep only decides which, when, and with how many cores.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cgcore.book.resources import environment, pin
from cgcore.book.rows import DONE, ERROR, FAILURE, RUNNING, Row, begin, status_table
from cgcore.book.run import duration
from cgcore.book.summary import write_summary
from cgcore.config import ConfigError
from cgcore.errors import CgcoreError

POLL_S = 0.5


class SweepFailed(CgcoreError, RuntimeError):
    """Some runs of a sweep failed; the others are done."""


def sweep(template: Path, grid: Path, out: Path, *, jobs: int = 1, check: Callable | None = None) -> list[Row]:
    """Run every row that is not done, `jobs` at a time, print how it goes, and write the summary; the rows.

    A killed sweep goes on where it was, failed rows are tried again, and one that fails does not stop the others.
    Raises ConfigError before the first run (`plan`), and SweepFailed after the last where some failed.
    """
    if jobs < 1:
        raise ConfigError(f"jobs: want one or more, got {jobs}")
    rows, folder = begin(template, grid, out, check)
    todo = [row for row in rows if row.state not in (DONE, RUNNING)]
    print(f"{len(rows)} runs: {_counts(rows)}; {len(todo)} to do, {min(jobs, len(todo))} at a time", flush=True)
    failed = _Pool(template, grid, out, folder, jobs).run(rows, todo)
    print(status_table(rows), flush=True)
    print(f"Summary: {write_summary(folder, rows)}", flush=True)
    if failed:
        told = "\n".join(f"{row.index:4}  {row.label}\n{_why(row, folder)}" for row in failed)
        raise SweepFailed(f"{len(failed)} of {len(rows)} runs failed:\n{told}")
    return rows


class _Pool:
    """Processes of rows, each in its slot of cores."""

    def __init__(self, template: Path, grid: Path, out: Path, folder: Path, jobs: int):
        self.arguments = [str(Path(p).resolve()) for p in (template, grid)] + [str(out)]
        self.logs, self.out, self.jobs = folder / "logs", Path(out), jobs
        self.running: dict[int, tuple[Row, subprocess.Popen, float]] = {}

    def run(self, rows: list[Row], todo: list[Row]) -> list[Row]:
        """All rows to do, in their order; those that failed."""
        clock, waiting, finished, failed = time.perf_counter(), list(todo), 0, []
        self.logs.mkdir(parents=True, exist_ok=True)
        try:
            while waiting or self.running:
                for slot in sorted(set(range(self.jobs)) - self.running.keys()):
                    if waiting:
                        self._start(slot, waiting.pop(0))
                for slot, (row, process, started) in list(self.running.items()):
                    if process.poll() is None:
                        continue
                    del self.running[slot]
                    finished += 1
                    failed += [row] if row.state != DONE else []
                    self._tell(row, started, len(todo), finished, len(waiting), clock)
                time.sleep(POLL_S if self.running else 0)
        finally:
            for _, process, _ in self.running.values():
                process.terminate()
            for _, process, _ in self.running.values():
                process.wait()
        return failed

    def _start(self, slot: int, row: Row):
        code = "from cgcore.book.rows import main; main()"
        command = [sys.executable, "-c", code, *self.arguments, str(row.index)]
        with open(_log(self.logs.parent, row), "w") as log:
            environ = environment(slot, self.jobs, self.out)
            # In a session of its own, so that Ctrl-C reaches this process alone, which then ends the others.
            process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environ, start_new_session=True
            )
        pin(process.pid, slot, self.jobs)
        self.running[slot] = (row, process, time.perf_counter())
        print(f"{'started':10} {row.index:4}  {row.label}", flush=True)

    def _tell(self, row: Row, started: float, total: int, finished: int, waiting: int, clock: float):
        elapsed = time.perf_counter() - clock
        # Runs under way count half, on average.
        left = elapsed * (waiting + len(self.running) / 2) / (finished + len(self.running) / 2)
        took = duration(time.perf_counter() - started)
        state = DONE if row.state == DONE else FAILURE
        ahead = f", about {duration(left)} left" if waiting or self.running else ""
        print(f"{state:10} {row.index:4}  {row.label}  in {took}; {finished} of {total}{ahead}", flush=True)


def _log(folder: Path, row: Row) -> Path:
    return folder / "logs" / f"{row.index:03}.log"


def _why(row: Row, folder: Path) -> str:
    """What ended a run: its own words, or where to look."""
    _, found, words = _log(folder, row).read_text(errors="replace").rpartition(ERROR)
    if found:
        return words.strip()
    return f"it ended without a word, see {_log(folder, row)}; out of memory?"


def _counts(rows: list[Row]) -> str:
    states = [row.state for row in rows]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
