"""A sweep: many runs of one notebook, one folder each; what is done is skipped, what failed is kept, the rest goes on.

`run_notebook` makes each run, in a process of its own. A sweep only decides which, when, and with how many cores; on a
cluster Snakemake or an array job decides that, and each task runs one row.
"""

import csv
import io
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has none: there a row must not be started twice
    fcntl = None

import nbformat

from cgbook.grid import read_grid
from cgbook.resources import environment, pin, share_programs
from cgbook.run import (
    EXECUTED,
    FAILED,
    NotebookFailed,
    duration,
    readable,
    result_of,
    run_folder,
    run_notebook,
    run_record,
)
from cgcore.config import ConfigError
from cgcore.errors import CgcoreError
from cgcore.store import read_json, replacing, write_json

SWEEP = "sweep.json"
VERSION = ("template", "source", "kernels")
"""Of a run's record, what must be one and the same in a sweep."""
ERROR = "\nThe run failed: "
DONE, FAILURE, RUNNING, UNFINISHED, NEW = "done", "failed", "running", "unfinished", "new"
POLL_S = 0.5


class SweepFailed(CgcoreError, RuntimeError):
    """Some runs of a sweep failed; the others are done."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run of a sweep: its number from 0, complete parameters, a name to read, and its folder."""

    index: int
    values: dict
    label: str
    folder: Path

    @property
    def state(self) -> str:
        """What its folder says: done, running (in some process), failed, unfinished or new."""
        if (self.folder / EXECUTED).is_file():
            return DONE
        if _held(self.folder):
            return RUNNING
        if (self.folder / FAILED).is_file():
            return FAILURE
        return UNFINISHED if self.folder.is_dir() else NEW


def plan(template: Path, grid: Path, out: Path) -> list[Row]:
    """The rows of a sweep, all checked; nothing is written.

    Raises ConfigError for a grid that cannot be run (`read_grid`), or a sweep that another version of the notebook or
    the kernels began.
    """
    template, rows = Path(template), []
    for index, values in enumerate(read_grid(grid, template)):
        record = run_record(template, values)
        folder = run_folder(template, values, record, out)
        rows.append(Row(index=index, values=values, label=readable(template, values, " "), folder=folder))
    _check_version(sweep_folder(template, grid, out) / SWEEP, {key: record[key] for key in VERSION})
    return rows


def sweep_folder(template: Path, grid: Path, out: Path) -> Path:
    """Where a sweep keeps its version, its logs and its summary; the runs are beside those of other sweeps."""
    return Path(out) / "sweeps" / f"{Path(template).stem}_{Path(grid).stem}"


def sweep(template: Path, grid: Path, out: Path, *, jobs: int = 1) -> list[Row]:
    """Run every row that is not done, `jobs` at a time, print how it goes, and write the summary; the rows.

    A killed sweep goes on where it was, failed rows are tried again, and one that fails does not stop the others.
    Raises ConfigError before the first run (`plan`), and SweepFailed after the last where some failed.
    """
    if jobs < 1:
        raise ConfigError(f"jobs: want one or more, got {jobs}")
    rows, folder = _begin(template, grid, out)
    todo = [row for row in rows if row.state not in (DONE, RUNNING)]
    print(f"{len(rows)} runs: {_counts(rows)}; {len(todo)} to do, {min(jobs, len(todo))} at a time", flush=True)
    failed = _Pool(template, grid, out, folder, jobs).run(todo)
    print(status_table(rows), flush=True)
    print(f"Summary: {write_summary(folder, rows, out)}", flush=True)
    if failed:
        reasons = "\n".join(f"{row.index:4}  {row.label}\n{_why(row, folder)}" for row in failed)
        raise SweepFailed(f"{len(failed)} of {len(rows)} runs failed:\n{reasons}")
    return rows


def run_row(template: Path, grid: Path, out: Path, index: int) -> Path:
    """Run one row in this process, as a task of a cluster does; its executed notebook.

    Raises as `plan` and `run_notebook`, and ConfigError for a row that is not there or that another process is running.
    """
    rows, folder = _begin(template, grid, out)
    if not 0 <= index < len(rows):
        raise ConfigError(f"index: want 0 to {len(rows) - 1} for the {len(rows)} rows of {grid}, got {index}")
    row = rows[index]
    share_programs(out)  # for the notebook's kernel, which inherits it
    with _holding(row.folder):
        executed = run_notebook(template, row.values, out)
    if executed.parent != row.folder:
        raise ConfigError(f"{row.folder.name}: the code or the data changed while the run began; start it again")
    write_summary(folder, rows, out)
    return executed


def status_table(rows: list[Row]) -> str:
    """The rows with their states, as text."""
    width = max(len(row.label) for row in rows)
    return "\n".join(f"{row.index:4}  {row.state:10}  {row.label:{width}}  {row.folder}" for row in rows)


def write_summary(folder: Path, rows: list[Row], out: Path) -> Path:
    """Write summary.csv and summary.json of the rows that are done: number, parameters, time and what was observed."""
    lines = []
    for row in (row for row in rows if row.state == DONE):
        record = nbformat.read(row.folder / EXECUTED, as_version=4).metadata.get("cgcore", {})
        about = {"index": row.index, "run": row.folder.name} | {key: record.get(key) for key in ("wall_s", "device")}
        result = result_of(record, out) or {"results": {}}
        lines.append(about | row.values | {k: v for k, v in result["results"].items() if not isinstance(v, list)})
    write_json(folder / "summary.json", lines)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(k for line in lines for k in line)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    with replacing(folder / "summary.csv") as file:
        file.write(text.getvalue().encode())
    return folder / "summary.csv"


def main():
    """A row in a process of its own: template, grid, folder of runs and number as arguments, checked by who calls."""
    template, grid, out, index = sys.argv[1:]
    try:
        run_row(Path(template), Path(grid), Path(out), int(index))
    except (ConfigError, NotebookFailed) as error:
        sys.exit(f"{ERROR}{error}")


class _Pool:
    """Processes of rows, each in its slot of cores."""

    def __init__(self, template: Path, grid: Path, out: Path, folder: Path, jobs: int):
        self.arguments = [str(Path(p).resolve()) for p in (template, grid)] + [str(out)]
        self.folder, self.out, self.jobs = folder, Path(out), jobs
        self.running: dict[int, tuple[Row, subprocess.Popen, float]] = {}

    def run(self, todo: list[Row]) -> list[Row]:
        """All rows to do, in their order; those that failed."""
        clock, waiting, finished, failed = time.perf_counter(), list(todo), 0, []
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
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
        command = [sys.executable, "-c", "from cgbook.sweep import main; main()", *self.arguments, str(row.index)]
        with open(_log(self.folder, row), "w") as log:
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


def _begin(template: Path, grid: Path, out: Path) -> tuple[list[Row], Path]:
    """The rows and the folder of a sweep, which from now on belongs to this version."""
    rows, folder = plan(template, grid, out), sweep_folder(template, grid, out)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / SWEEP).is_file():
        record = run_record(Path(template), rows[0].values)
        write_json(folder / SWEEP, {k: record[k] for k in (*VERSION, "commit", "versions")})
    return rows, folder


def _check_version(path: Path, wanted: dict):
    if not path.is_file():
        return
    stored = read_json(path)
    if differing := [key for key in VERSION if stored.get(key) != wanted[key]]:
        told = ", ".join(f"{key} {stored.get(key)}, now {wanted[key]}" for key in differing)
        raise ConfigError(
            f"{path.parent}: another version began this sweep ({told}), and a table must not mix two. Go back to commit "
            f"{stored.get('commit')}, choose another --out, or remove this folder to make all runs anew"
        )


@contextmanager
def _holding(folder: Path):
    """Hold a run's folder for this process; the lock goes with the process, however it ends."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(_lock(folder), "w") as file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(f"{folder}: another process is at this run; wait for it") from error
        yield


def _held(folder: Path) -> bool:
    if not _lock(folder).is_file():
        return False
    try:
        with _holding(folder):
            return False
    except ConfigError:
        return True


def _lock(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


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
