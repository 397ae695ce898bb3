"""Run a template with papermill: strict parameters, one folder per run, finished runs reused, failed ones kept."""

import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import nbformat

from cgcore.book import provenance
from cgcore.book.parameters import OUT_DIR, check_parameters, read_parameters
from cgcore.errors import CgcoreError
from cgcore.store.runs import versions

EXECUTED, FAILED = "executed.ipynb", "failed.ipynb"
KERNEL = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "CGCORE_OFFLINE_VIEW": "1"}
"""Environment of the kernels; the latter as `cgcore.viewer` reads it."""


class NotebookFailed(CgcoreError, RuntimeError):
    """A run that stopped with an error; its notebook is kept with the traceback."""


def run_notebook(template: Path, parameters: dict, out: Path, *, check: Callable | None = None) -> Path:
    """Run a template and return `out/<system>/<readable>__<hash>/executed.ipynb`.

    The parameters are checked before anything runs (`check_parameters`); `check(**parameters)`, where given, also looks
    at the values, without `out_dir`, which names the run's folder to the notebook. The hash is over the complete
    parameters, the cell sources, the kernels of cgcore and the files in the template's `data` folder: a finished run
    of the same hash is reused. The notebook's own prints and progress bars go to the terminal.

    Raises ConfigError for the parameters, NotebookFailed for an error in a cell; the latter leaves `failed.ipynb`.
    """
    template = Path(template)
    complete = check_parameters(template, parameters)
    values = {k: v for k, v in complete.items() if k != OUT_DIR}
    if check is not None:
        check(**values)
    record = run_record(template, values)
    folder = Path(out) / template.stem / run_name(template, values, record)
    executed = folder / EXECUTED
    if executed.exists():
        print(f"{folder.name}: finished before, reused", flush=True)
        return executed
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{folder.name}: started", flush=True)
    if OUT_DIR in complete:
        complete[OUT_DIR] = _portable(folder)
    started, clock = datetime.now(UTC), time.perf_counter()
    part = folder / "part.ipynb"
    _execute(template, part, complete, failed=folder / FAILED)
    record |= {"started": started.strftime("%Y-%m-%d %H:%M UTC"), "wall_s": round(time.perf_counter() - clock, 1)}
    record["device"] = provenance.device(folder)
    notebook = nbformat.read(part, as_version=4)
    notebook.metadata["cgcore"] = dict(notebook.metadata.get("cgcore", {})) | record
    nbformat.write(notebook, part)
    os.replace(part, executed)
    (folder / FAILED).unlink(missing_ok=True)
    print(f"{folder.name}: done in {duration(record['wall_s'])}", flush=True)
    return executed


def run_name(template: Path, values: dict, record: dict) -> str:
    """A folder name that people can read and that no two different runs share: `map=core_nu=3__1a2b3c4d`."""
    text = json.dumps([values, record["source"], record["code"], record["data"]], sort_keys=True)
    return f"{readable(template, values)}__{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def readable(template: Path, values: dict, joint: str = "_") -> str:
    """The parameters that differ from the template's defaults, as `name=value`, at most 80 characters."""
    known = read_parameters(template)
    differing = [f"{k}={v}" for k, v in values.items() if v != known[k].default]
    text = joint.join(differing) or "defaults"
    return "".join(c if c.isalnum() or c in "=_.-+" + joint else "-" for c in text)[:80]


def duration(seconds: float) -> str:
    """Seconds as a person says them: `8 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def run_record(template: Path, values: dict) -> dict:
    """What is known of a run before it starts."""
    data = provenance.data_hash(template.parent / "data")
    return {
        "template": template.name,
        "parameters": values,
        "differing": readable(template, values, ", "),
        "seed": values.get("seed"),
        "source": provenance.source_hash(nbformat.read(template, as_version=4).cells),
        "code": provenance.code_hash(),
        "data": data,
        "commit": provenance.commit(),
        "versions": versions(),
    }


def _execute(template: Path, part: Path, parameters: dict, failed: Path):
    import papermill
    from papermill.exceptions import PapermillExecutionError

    try:
        with _without_false_alarm(), _kernel_environment():
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


@contextmanager
def _without_false_alarm():
    """Silence papermill's "Passed unknown parameter", which it says of every `int | None`; names are checked before."""
    logger = logging.getLogger("papermill")

    def keep(record):
        return not record.getMessage().startswith("Passed unknown parameter")

    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)


@contextmanager
def _kernel_environment():
    """Keep figures in cells, whatever backend is set in the environment, as on many clusters; ask for views without widgets."""
    before = {name: os.environ.get(name) for name in KERNEL}
    os.environ.update(KERNEL)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _portable(folder: Path) -> str:
    """The folder relative to where the run starts, where it lies below, so that a page names nobody's home."""
    here, there = Path.cwd().resolve(), folder.resolve()
    return str(there.relative_to(here)) if there.is_relative_to(here) else str(there)
