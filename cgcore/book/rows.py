"""The rows of a sweep: what each is, where it lies, how far it is; and one row run in this process."""

import fcntl
import os
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cgcore.book.grid import read_grid
from cgcore.book.resources import CACHE, cache_folder
from cgcore.book.run import EXECUTED, FAILED, NotebookFailed, readable, run_name, run_notebook, run_record
from cgcore.book.summary import write_summary
from cgcore.config import ConfigError
from cgcore.store import read_json, write_json

SWEEP = "sweep.json"
VERSION = ("template", "source", "code", "data")
"""Of a run's record, what must be one and the same in a sweep."""
ERROR = "\nThe run failed: "
DONE, FAILURE, RUNNING, UNFINISHED, NEW = "done", "failed", "running", "unfinished", "new"


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


def plan(template: Path, grid: Path, out: Path, *, check: Callable | None = None) -> list[Row]:
    """The rows of a sweep, all checked; nothing is written.

    Raises ConfigError for a grid that cannot be run (`read_grid`), or a sweep that another version of the notebook, the
    code or the data began.
    """
    template, out = Path(template), Path(out)
    record = run_record(template, {})
    rows = []
    for index, values in enumerate(read_grid(grid, template, check=check)):
        folder = out / template.stem / run_name(template, values, record)
        rows.append(Row(index=index, values=values, label=readable(template, values, " "), folder=folder))
    _check_version(sweep_folder(template, grid, out) / SWEEP, {key: record[key] for key in VERSION})
    return rows


def sweep_folder(template: Path, grid: Path, out: Path) -> Path:
    """Where a sweep keeps its version, its logs and its summary; the runs are beside those of other sweeps."""
    return Path(out) / "sweeps" / f"{Path(template).stem}_{Path(grid).stem}"


def run_row(template: Path, grid: Path, out: Path, index: int, *, check: Callable | None = None) -> Path:
    """Run one row in this process, as a task of an array job does; its executed notebook.

    Raises as `plan` and `run_notebook`, and ConfigError for a row that is not there or that another process is running.
    """
    rows, folder = begin(template, grid, out, check)
    if not 0 <= index < len(rows):
        raise ConfigError(f"index: want 0 to {len(rows) - 1} for the {len(rows)} rows of {grid}, got {index}")
    row = rows[index]
    os.environ.setdefault(CACHE, cache_folder(out))  # for the notebook's kernel, which inherits it
    with _holding(row.folder):
        executed = run_notebook(template, row.values, out)
    if executed.parent != row.folder:
        raise ConfigError(f"{row.folder.name}: the code or the data changed while the run began; start it again")
    write_summary(folder, rows)
    return executed


def status_table(rows: list[Row]) -> str:
    """The rows with their states, as text."""
    width = max(len(row.label) for row in rows)
    return "\n".join(f"{row.index:4}  {row.state:10}  {row.label:{width}}  {row.folder}" for row in rows)


def main():
    """A row in a process of its own: template, grid, folder of runs and number as arguments, checked by who calls."""
    template, grid, out, index = sys.argv[1:]
    try:
        run_row(Path(template), Path(grid), Path(out), int(index))
    except (ConfigError, NotebookFailed) as error:
        sys.exit(f"{ERROR}{error}")


def begin(template: Path, grid: Path, out: Path, check: Callable | None) -> tuple[list[Row], Path]:
    """The rows and the folder of a sweep, which from now on belongs to this version."""
    rows, folder = plan(template, grid, out, check=check), sweep_folder(template, grid, out)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / SWEEP).is_file():
        record = run_record(Path(template), {})
        write_json(folder / SWEEP, {k: record[k] for k in (*VERSION, "commit", "versions")})
    return rows, folder


def _check_version(path: Path, wanted: dict):
    if not path.is_file():
        return
    found = read_json(path)
    if differing := [key for key in VERSION if found.get(key) != wanted[key]]:
        told = ", ".join(f"{key} {found.get(key)}, now {wanted[key]}" for key in differing)
        raise ConfigError(
            f"{path.parent}: another version began this sweep ({told}), and a table must not mix two. Go back to commit "
            f"{found.get('commit')}, choose another --out, or remove this folder to make all runs anew"
        )


def _lock(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


@contextmanager
def _holding(folder: Path):
    """Hold a run's folder for this process; the lock goes with the process, however it ends."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(_lock(folder), "w") as file:
        try:
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
