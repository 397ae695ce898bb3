"""A sweep: many runs of one notebook, one folder each; what is done is skipped, what failed is kept, the rest goes on.

`run_notebook` makes each run, in a process of its own. A sweep only decides which, when, and with how many cores; on a
cluster Snakemake or an array job decides that, and each task runs one row.
"""

import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from cgbook import resources
from cgbook.grid import read_grid
from cgbook.parameters import read_notebook
from cgbook.run import (
    EXECUTED,
    FAILED,
    duration,
    is_finished,
    lock_of,
    readable,
    result_of,
    run_folder,
    run_notebook,
    run_record,
    version_of,
)
from cgcore.config import ConfigError, check_range, check_type
from cgcore.errors import CgcoreError
from cgcore.store import read_json, replacing, write_json
from cgcore.store.files import is_held

SWEEP = "sweep.json"
VERSION = ("template", "source", "kernels")
"""Of a run's record, what must be one and the same in a sweep."""
ERROR = "\nError: "
"""How the command that makes a row begins the words for what ended it."""
ONE_ROW = "from cgcore.processes import end_with_parent; end_with_parent(); from cgcore.cli import app; app()"
"""The command `cgcore`, which ends with the sweep, so that none goes on unwatched; what it had reached is gone on with."""
DONE, FAILURE, RUNNING, UNFINISHED, NEW = "done", "failed", "running", "unfinished", "new"
POLL_S = 0.5


class SweepFailed(CgcoreError, RuntimeError):
    """Some runs of a sweep failed; the others are done."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run of a sweep: its number from 0, complete parameters, a name to read, its folder and its log."""

    index: int
    values: dict
    label: str
    folder: Path
    log: Path

    @property
    def state(self) -> str:
        """What its folder says: done, running (in some process), failed, unfinished or new."""
        if is_finished(self.folder):
            return DONE
        if is_held(lock_of(self.folder)):
            return RUNNING
        if (self.folder / FAILED).is_file():
            return FAILURE
        return UNFINISHED if self.folder.is_dir() else NEW


def plan(template: Path, grid: Path, out: Path) -> list[Row]:
    """The rows of a sweep, all checked; nothing is written.

    Raises ConfigError for a grid that cannot be run (`read_grid`), or a sweep that another version of the notebook or
    the kernels began.
    """
    template, rows, folder = Path(template), [], sweep_folder(template, grid, out)
    all_values, made_by = read_grid(grid, template), version_of(template)
    for index, values in enumerate(all_values):
        record = run_record(template, values, made_by)
        place = {"folder": run_folder(template, values, record, out), "log": folder / "logs" / f"{index:03}.log"}
        rows.append(Row(index=index, values=values, label=readable(template, values, " "), **place))
    begun = read_json(folder / SWEEP, *VERSION) if (folder / SWEEP).is_file() else record
    if differing := [f"{key} {begun.get(key)}, now {record[key]}" for key in VERSION if begun.get(key) != record[key]]:
        raise ConfigError(
            f"{folder}: another version began this sweep ({', '.join(differing)}), and a table must not mix two. Go back to "
            f"commit {begun.get('commit')}, choose another --out, or remove this folder to make all runs anew"
        )
    return rows


def sweep_folder(template: Path, grid: Path, out: Path) -> Path:
    """Where a sweep keeps its version, its logs and its summary; the runs are beside those of other sweeps."""
    return Path(out) / "sweeps" / f"{Path(template).stem}_{Path(grid).stem}"


def sweep(template: Path, grid: Path, out: Path, *, jobs: int = 1) -> list[Row]:
    """Run every row that is not done, `jobs` at a time, print how it goes, and write the summary; the rows.

    A killed sweep goes on where it was, failed rows are tried again, and one that fails does not stop the others. Rows that
    another process is at are waited for. Raises ConfigError before the first run (`plan`), and SweepFailed after the last
    where some failed.
    """
    check_type("jobs", jobs, int)
    check_range("jobs", jobs, least=1, most=1000)
    rows, folder = _begin(template, grid, out)
    states = Counter(row.state for row in rows)
    todo = [row for row in rows if row.state != DONE]
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    print(f"{len(rows)} runs: {counts}; {len(todo)} to do, {min(jobs, len(todo))} at a time", flush=True)
    _run_all(todo, ["sweep", str(Path(template).resolve()), str(Path(grid).resolve()), "--out", str(out)], jobs)
    print(status_table(rows), flush=True)
    print(f"Summary: {write_summary(folder, rows, out)}", flush=True)
    if failed := [row for row in todo if row.state != DONE]:
        reasons = "\n".join(f"{row.index:4}  {row.label}\n{_why(row)}" for row in failed)
        raise SweepFailed(f"{len(failed)} of {len(rows)} runs failed:\n{reasons}")
    return rows


def run_row(template: Path, grid: Path, out: Path, index: int) -> Path:
    """Run one row in this process, as a task of a cluster does; its executed notebook.

    Raises as `plan` and `run_notebook`, and ConfigError for a row that is not there.
    """
    rows, folder = _begin(template, grid, out)
    if not 0 <= index < len(rows):
        raise ConfigError(f"index: want 0 to {len(rows) - 1} for the {len(rows)} rows of {grid}, got {index}")
    row = rows[index]
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
    import pandas as pd

    lines = []
    for row in (row for row in rows if row.state == DONE):
        record = read_notebook(row.folder / EXECUTED).metadata["cgcore"]
        about = {"index": row.index, "run": row.folder.name} | {key: record.get(key) for key in ("wall_s", "device")}
        results = (result_of(record, out) or {}).get("results", {})
        lines.append(about | row.values | {k: v for k, v in results.items() if not isinstance(v, list)})
    write_json(folder / "summary.json", lines)
    with replacing(folder / "summary.csv") as file:
        # as objects, so that whole numbers stay whole in a column with gaps
        file.write(pd.DataFrame(lines, dtype=object).to_csv(index=False).encode())
    return folder / "summary.csv"


def _begin(template: Path, grid: Path, out: Path) -> tuple[list[Row], Path]:
    """The rows and the folder of a sweep, which from now on belongs to this version."""
    rows, folder = plan(template, grid, out), sweep_folder(template, grid, out)
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    if not (folder / SWEEP).is_file():
        record = run_record(Path(template), rows[0].values)
        write_json(folder / SWEEP, {k: record[k] for k in (*VERSION, "commit", "versions")})
    resources.share_programs(out)  # for the kernels of notebooks, which inherit it
    return rows, folder


def _run_all(todo: list[Row], arguments: list[str], jobs: int):
    """Run rows in their order, each in a process of its own in one of `jobs` slots, and print how it goes."""
    command = [sys.executable, "-c", ONE_ROW, *arguments, "--index"]
    clock, waiting, running = time.perf_counter(), list(todo), {}
    try:
        while waiting or running:
            for slot in sorted(set(range(jobs)) - running.keys())[: len(waiting)]:
                row = waiting.pop(0)
                # In a session of its own, so that Ctrl-C reaches this process alone, which then ends the others.
                streams = {"stdin": subprocess.PIPE, "stderr": subprocess.STDOUT, "start_new_session": True}
                with open(row.log, "w") as log:
                    environ = resources.environment(slot, jobs)
                    process = subprocess.Popen([*command, str(row.index)], stdout=log, env=environ, **streams)
                running[slot] = row, process, time.perf_counter()
                print(f"{'started':10} {row.index:4}  {row.label}", flush=True)
            time.sleep(POLL_S)
            for slot in [slot for slot, (_, process, _) in running.items() if process.poll() is not None]:
                row, process, started = running.pop(slot)
                process.communicate()  # closes the pipe
                state = DONE if row.state == DONE else FAILURE
                now, finished = time.perf_counter(), len(todo) - len(waiting) - len(running)
                # Runs under way count half, on average.
                left = (now - clock) * (len(waiting) + len(running) / 2) / (finished + len(running) / 2)
                ahead = f", about {duration(left)} left" if waiting or running else ""
                progress = f"in {duration(now - started)}; {finished} of {len(todo)}{ahead}"
                print(f"{state:10} {row.index:4}  {row.label}  {progress}", flush=True)
    finally:
        for _, process, _ in running.values():
            process.terminate()
        for _, process, _ in running.values():
            process.communicate()


def _why(row: Row) -> str:
    """What ended a run: its own words, or where to look."""
    _, ended, words = ("\n" + row.log.read_text(errors="replace")).rpartition(ERROR)
    return words.strip() if ended else f"it ended without a word, see {row.log}; out of memory?"
