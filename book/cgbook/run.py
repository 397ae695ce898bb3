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

from cgbook.parameters import OUT_DIR, check_parameters, read_notebook, read_parameters
from cgcore import map_files
from cgcore.config import ConfigError, RunConfig
from cgcore.errors import MEMORY, CgcoreError
from cgcore.profiles import UNKNOWN_MAP, configure, system_table, systems
from cgcore.store import StoreError, read_json, replacing
from cgcore.store.bundled import SUMS, checksum, data_roots
from cgcore.store.files import digest, held
from cgcore.store.kernels import ROOMS, version
from cgcore.store.runs import CONFIG, git_state, versions

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
    over the resolved configuration, the cell sources, the kernels, and what the parameters name: sets, maps, files and
    folders. A finished run of the same hash is reused, one that another process is at is waited for. The notebook's own
    prints and progress bars go to the terminal.

    Raises:
        ConfigError: for the parameters.
        NotebookFailed: for an error in a cell; it leaves `failed.ipynb`.
    """
    template = Path(template)
    values = check_parameters(template, parameters)
    record = run_record(template, values)
    folder = run_folder(template, values, record, out)
    with held(lock_of(folder)):
        if is_finished(folder):
            print(f"{folder.name}: finished before, reused", flush=True)
        else:
            _run(template, values, record, folder, Path(out))
    return folder / EXECUTED


def _run(template: Path, values: dict, record: dict, folder: Path, out: Path):
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{folder.name}: started", flush=True)
    place = {OUT_DIR: _portable(out)} if OUT_DIR in read_parameters(template) else {}
    started, clock, part = datetime.now(UTC), time.perf_counter(), folder / "part.ipynb"
    _execute(template, part, values | place, failed=folder / FAILED)
    record |= {"started": started.strftime("%Y-%m-%d %H:%M UTC"), "wall_s": round(time.perf_counter() - clock, 1)}
    notebook = read_notebook(part)
    notebook.metadata["cgcore"] = record | {"device": _device(result_of(record, out))}
    with replacing(folder / EXECUTED) as file:
        file.write(nbformat.writes(notebook).encode())
    for other in (part, folder / FAILED):
        other.unlink(missing_ok=True)
    print(f"{folder.name}: done in {duration(record['wall_s'])}", flush=True)


def is_finished(folder: Path) -> bool:
    """Whether a run's folder holds its executed notebook, whole and with its record; one that is damaged is told of."""
    try:
        return "cgcore" in read_notebook(folder / EXECUTED).metadata
    except FileNotFoundError:
        return False
    except StoreError as error:
        print(f"{error}. Not taken for finished", flush=True)
        return False


def lock_of(folder: Path) -> Path:
    """The file that a process holds while it is at a run; beside the folder, which holds results alone."""
    return folder.with_name(f".{folder.name}.lock")


def run_record(template: Path, values: dict, made_by: dict | None = None) -> dict:
    """What is known of a run before it starts; made_by: `version_of` its template, where it is known.

    Raises ConfigError for values that cannot be run.
    """
    config = configured(template.stem, values).resolved() if template.stem in systems() else values
    about = {"template": template.name, "parameters": values, "config": config}
    about |= {"differing": readable(template, values, ", "), "seed": values.get("seed"), "data": _read_by(config)}
    return about | (made_by or version_of(template))


def configured(system: str, values: dict) -> RunConfig:
    """The configuration of a template's parameters. Raises ConfigError for mistakes, before frames are read for it."""
    if "maps" in system_table(system):
        config = configure(system, **values)
        check_there(config.data.reference)
        return config
    configure(system, of_map=UNKNOWN_MAP, **values)
    from cgcore import steps  # takes seconds, and frames of anyone's molecule more

    return steps.configure(system, **values)


def check_there(reference: str):
    """Raise ConfigError unless a reference is a bundled set or a folder, without what reads frames."""
    if not (Path(reference) / CONFIG).is_file() and not any(
        (root / reference / SUMS).is_file() for root in data_roots()
    ):
        raise ConfigError(f"reference: want a set of `cgcore sets` or a folder with its {CONFIG}, got {reference!r}")


def version_of(template: Path) -> dict:
    """What makes the runs of a template beside their parameters: its cells, the kernels, the commit, and versions."""
    cells, state = read_notebook(template).cells, git_state()
    return {
        "source": digest(json.dumps([[c.cell_type, c.source] for c in cells]).encode()),
        "kernels": {room: version(room) for room in ROOMS},
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


def _read_by(config: dict) -> str | None:
    """A hash of all that a configuration names: bundled sets by their checksums, maps, files, folders of `cgcore reference`."""
    found = []
    for name in sorted(set(_words(config))):
        places = [Path(name), *(root / name / SUMS for root in data_roots())]
        places += [path for path in map_files.bundled() if path.name == f"{name}.toml"]
        for place in places:
            files = sorted(place.glob("*")) if os.path.isfile(place / CONFIG) else [place]
            found += [[name, path.name, checksum(path)] for path in files if os.path.isfile(path)]
    return digest(json.dumps(found).encode()) if found else None


def _words(value) -> list[str]:
    """All words among nested values."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [word for item in value for word in _words(item)]
    return [value] if isinstance(value, str) and value else []


def result_of(record: dict, out: Path) -> dict | None:
    """The newest manifest of what a notebook observed with this configuration; None where it observed nothing.

    A manifest that is damaged, perhaps another run's, is told of and left out: the work is done by now.
    """
    same = []
    for path in sorted((Path(out) / Path(record["template"]).stem).glob("*/manifest.json")):
        try:
            manifest = read_json(path, "config", "date", "device")
        except StoreError as error:
            print(f"Left out: {error}", flush=True)
            continue
        same += [manifest] if manifest["config"] == record["config"] else []
    return max(same, key=lambda manifest: manifest["date"], default=None)


def _device(result: dict | None) -> str:
    """The accelerator that a result's manifest names, else the processor of this machine."""
    if result and result["device"]["platform"] != "cpu":
        return result["device"]["kind"]
    return f"{platform.machine()} CPU, {os.cpu_count()} threads"


def _execute(template: Path, part: Path, parameters: dict, failed: Path):
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from cgbook.kernel import ThisInterpreter

    logging.getLogger("papermill").addFilter(_is_no_false_alarm)
    before = {name: os.environ.get(name) for name in KERNEL}
    os.environ.update(KERNEL)
    try:
        papermill.execute_notebook(
            _literally(template),
            _literally(part),
            parameters=parameters,
            kernel_name="python3",
            language="python",
            kernel_manager_class=ThisInterpreter,
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
        if isinstance(error, DeadKernelError) or "Kernel died" in str(error):
            raise NotebookFailed(
                f"{template.name}: its process ended without a word; likely out of memory, or killed. The notebook up to "
                f"there is {failed}; {MEMORY}"
            ) from error
        raise
    finally:
        for name in KERNEL:
            os.environ.pop(name)
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _literally(path: Path) -> str:
    """A path as papermill takes it: it would put parameters in place of names in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _is_no_false_alarm(record: logging.LogRecord) -> bool:
    """Whether it is not papermill's "Passed unknown parameter", said of every `int | None`; names are checked before."""
    return not record.getMessage().startswith("Passed unknown parameter")


def _portable(folder: Path) -> str:
    """The folder relative to where the run starts, where it lies below, so that a page names nobody's home."""
    here, there = Path.cwd().resolve(), folder.resolve()
    return str(there.relative_to(here)) if there.is_relative_to(here) else str(there)
