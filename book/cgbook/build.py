"""Build the book's HTML; make the whole book: runs, pages, HTML."""

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from cgbook import pdf
from cgbook.parameters import check_parameters
from cgbook.publish import publish
from cgbook.run import duration, run_notebook, run_record
from cgcore.config import Checked, ConfigError, from_dict
from cgcore.errors import CgcoreError
from cgcore.store import read_toml

PDF = Path("_build") / "book.pdf"


class BuildFailed(CgcoreError, RuntimeError):
    """Jupyter Book could not build the pages, or is a version that cannot."""


@dataclass(frozen=True, kw_only=True)
class BookRun(Checked):
    """One run of `book/runs.toml`: a template of `notebooks/`, its parameters and the page made of it."""

    template: str
    page: str
    title: str
    parameters: dict = field(default_factory=dict)


def build(root: Path = Path(".")) -> Path:
    """Build the HTML of the book whose `_config.yml` is in root, warnings as errors, and return its index.html.

    Raises BuildFailed where Jupyter Book is missing or not version 1, where it warns, or leaves no index.html.
    """
    root = Path(root).resolve()
    _require_version_1()
    shutil.rmtree(root / "_build", ignore_errors=True)
    start = "from jupyter_book.cli.main import main; main()"  # the command may not be on the path
    command = [sys.executable, "-c", start, "build", "book", "-W", "-n", "--keep-going", "--all"]
    done = subprocess.run(command, check=False, cwd=root, capture_output=True, text=True)
    index = root / "_build" / "html" / "index.html"
    if done.returncode or not index.is_file():
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        problems = [line for line in lines if "WARNING" in line or "ERROR" in line] or lines[-15:]
        raise BuildFailed(f"Jupyter Book ended with {done.returncode}:\n" + "\n".join(problems))
    print(f"The book is built. Open {index.as_uri()}", flush=True)
    return index


def make_book(
    profile: str = "quick", root: Path = Path("."), out: Path = Path("runs"), *, printed: bool = False
) -> Path:
    """Run the notebooks that `book/runs.toml` lists, publish their pages, build the HTML; return its index.html.

    Every run is checked before the first starts, and finished runs are reused. printed: also write PDF. Raises
    ConfigError, NotebookFailed, BuildFailed and NotPrinted as the steps do.
    """
    root = Path(root)
    if printed:
        pdf.browser()
    runs, clock = book_runs(root), time.perf_counter()
    _require_version_1()
    made_of = [(root / "notebooks" / f"{run.template}.ipynb", run.parameters | {"profile": profile}) for run in runs]
    for template, given in made_of:
        run_record(template, check_parameters(template, given))
    for number, (run, (template, given)) in enumerate(zip(runs, made_of, strict=True)):
        elapsed = time.perf_counter() - clock
        left = f"(about {duration(elapsed / number * (len(runs) - number))} of runs left)" if number else ""
        print(f"[{number + 1}/{len(runs) + 1}] {run.title} {left}", flush=True)
        executed = run_notebook(template, given, root / out)
        page = root / "book" / "runs" / run.template / f"{run.page}.ipynb"
        publish(executed, page, title=run.title, book=root / "book")
    print(f"[{len(runs) + 1}/{len(runs) + 1}] HTML", flush=True)
    index = build(root)
    if printed:
        pdf.print_book(index.parent, root / PDF)
    print(f"In all {duration(time.perf_counter() - clock)}", flush=True)
    return index


def book_runs(root: Path) -> list[BookRun]:
    """The runs that `book/runs.toml` lists, in their order."""
    path = Path(root) / "book" / "runs.toml"
    try:
        runs = [from_dict(BookRun, raw) for raw in read_toml(path, "run")["run"]]
    except (ConfigError, TypeError) as error:  # TypeError: a key that is missing, or no list of tables
        raise ConfigError(f"{path}: want tables [[run]] with template, page and title: {error}") from error
    return runs


def _require_version_1():
    try:
        import jupyter_book
    except ImportError as error:
        raise BuildFailed("Jupyter Book is not installed; `pip install 'cgcore[book]'` brings version 1") from error
    if not jupyter_book.__version__.startswith("1."):
        raise BuildFailed(f"want Jupyter Book 1, which reads _config.yml, found {jupyter_book.__version__}")
