"""Run a template with papermill: strict parameters, one folder per run, finished runs reused, failed ones kept."""

import json
import logging
import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import nbformat

from cgbook.parameters import OUT_DIR, check_parameters, read_parameters
from cgcore.errors import CgcoreError
from cgcore.profiles import configure, systems
from cgcore.store import read_json
from cgcore.store.bundled import SUMS, data_roots
from cgcore.store.files import digest
from cgcore.store.kernels import ROOMS, version
from cgcore.store.runs import git_state, versions

EXECUTED, FAILED = "executed.ipynb", "failed.ipynb"
NOTEBOOKS = "notebooks"
"""Below `out`, where executed notebooks are; beside it the fits, simulations and observations that they share."""
KERNEL = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "CGCORE_OFFLINE_VIEW": "1"}
"""What a kernel inherits: figures in cells, whatever backend a cluster sets, and views that need no live kernel."""


class NotebookFailed(CgcoreError, RuntimeError):
    """A run that stopped with an error; its notebook is kept with the traceback."""


def run_notebook(template: Path, parameters: dict, out: Path) -> Path:
    """Run a template and return `out/notebooks/<system>/<readable>__<hash>/executed.ipynb`.

    The parameters are checked before anything runs, those of a system with a profile also by `configure`. The hash is
    over the resolved configuration, the cell sources, the kernels and the reference set: a finished run of the same hash
    is reused. The notebook's own prints and progress bars go to the terminal.

    Raises:
        ConfigError: for the parameters.
        NotebookFailed: for an error in a cell; it leaves `failed.ipynb`.
    """
    template = Path(template)
    values = check_parameters(template, parameters)
    record = run_record(template, values)
    folder = run_folder(template, values, record, out)
    executed = folder / EXECUTED
    if executed.exists():
        print(f"{folder.name}: finished before, reused", flush=True)
        return executed
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{folder.name}: started", flush=True)
    place = {OUT_DIR: _portable(Path(out))} if OUT_DIR in read_parameters(template) else {}
    started, clock, part = datetime.now(UTC), time.perf_counter(), folder / "part.ipynb"
    _execute(template, part, values | place, failed=folder / FAILED)
    record |= {"started": started.strftime("%Y-%m-%d %H:%M UTC"), "wall_s": round(time.perf_counter() - clock, 1)}
    notebook = nbformat.read(part, as_version=4)
    notebook.metadata["cgcore"] = record | {"device": _device(result_of(record, out))}
    nbformat.write(notebook, part)
    os.replace(part, executed)
    (folder / FAILED).unlink(missing_ok=True)
    print(f"{folder.name}: done in {duration(record['wall_s'])}", flush=True)
    return executed


def run_record(template: Path, values: dict) -> dict:
    """What is known of a run before it starts. Raises ConfigError for values that cannot be run."""
    config, reference = values, None
    if template.stem in systems():
        config = configure(template.stem, **values).resolved()
        reference = config["data"]["reference"]
    cells = nbformat.read(template, as_version=4).cells
    state = git_state()
    return {
        "template": template.name,
        "parameters": values,
        "config": config,
        "differing": readable(template, values, ", "),
        "seed": values.get("seed"),
        "source": digest(json.dumps([[c.cell_type, c.source] for c in cells]).encode()),
        "kernels": {room: version(room) for room in ROOMS},
        "data": _set_hash(reference),
        "commit": "none" if state is None else state["commit"][:10] + (" with changes" if state["dirty"] else ""),
        "versions": versions(),
    }


def run_folder(template: Path, values: dict, record: dict, out: Path) -> Path:
    """A folder that people can read and that no two different runs share: `map=core_nu=3__1a2b3c4d`."""
    text = json.dumps([record[key] for key in ("config", "source", "kernels", "data")], sort_keys=True)
    return Path(out) / NOTEBOOKS / template.stem / f"{readable(template, values)}__{digest(text.encode())[:8]}"


def readable(template: Path, values: dict, joint: str = "_") -> str:
    """The parameters that differ from the template's defaults, as `name=value`, at most 80 characters."""
    parameters = read_parameters(template)
    differing = [f"{k}={v}" for k, v in values.items() if v != parameters[k].default]
    text = joint.join(differing) or "defaults"
    return "".join(c if c.isalnum() or c in "=_.-+" + joint else "-" for c in text)[:80]


def duration(seconds: float) -> str:
    """Seconds as a person says them: `8 s`, `3 min 20 s`, `2 h 05 min`."""
    minutes, whole = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {whole:02d} s" if minutes else f"{whole} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _set_hash(reference: str | None) -> str | None:
    """Of a bundled set the hash of its checksums; of a folder none, since its frames are hashed when they are loaded."""
    for root in data_roots():
        if reference and (sums := root / reference / SUMS).is_file():
            return digest(sums.read_bytes())
    return None


def result_of(record: dict, out: Path) -> dict | None:
    """The newest manifest of what a notebook observed with this configuration; None where it observed nothing."""
    paths = (Path(out) / Path(record["template"]).stem).glob("*/manifest.json")
    same = [m for m in map(read_json, paths) if m["config"] == record["config"]]
    return max(same, key=lambda manifest: manifest["date"], default=None)


def _device(result: dict | None) -> str:
    """The accelerator that a result's manifest names, else the processor of this machine."""
    if result and result["device"]["platform"] != "cpu":
        return result["device"]["kind"]
    return f"{platform.machine()} CPU, {os.cpu_count()} threads"


def _execute(template: Path, part: Path, parameters: dict, failed: Path):
    import papermill
    from papermill.exceptions import PapermillExecutionError

    logging.getLogger("papermill").addFilter(_is_no_false_alarm)
    before = {name: os.environ.get(name) for name in KERNEL}
    os.environ.update(KERNEL)
    try:
        papermill.execute_notebook(
            template,
            part,
            parameters=parameters,
            progress_bar=False,
            stdout_file=sys.stdout,
            stderr_file=sys.stderr,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],  # else each start warns of unencrypted TCP
        )
    except BaseException as error:
        if part.exists():
            os.replace(part, failed)
        if isinstance(error, PapermillExecutionError):
            raise NotebookFailed(
                f"{template.name}, cell {error.cell_index}: {error.ename}: {error.evalue}\n"
                f"The notebook up to there, with the traceback, is {failed}"
            ) from error
        raise
    finally:
        for name in KERNEL:
            os.environ.pop(name)
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _is_no_false_alarm(record: logging.LogRecord) -> bool:
    """Whether it is not papermill's "Passed unknown parameter", said of every `int | None`; names are checked before."""
    return not record.getMessage().startswith("Passed unknown parameter")


def _portable(folder: Path) -> str:
    """The folder relative to where the run starts, where it lies below, so that a page names nobody's home."""
    here, there = Path.cwd().resolve(), folder.resolve()
    return str(there.relative_to(here)) if there.is_relative_to(here) else str(there)
