"""The results of a chapter: runs by their resolved configuration, and one tidy table of what each found.

`results/<chapter>/` holds runs.json (run -> kind, configuration, sampling, cost), rows.csv (run, quantity, value, error,
unit, n), curves/<run>.npz, manifests/<run>.json and models/<run>.npz. Pages and figures ask for runs by short labels,
which `labels.toml` defines by configuration: a label that matches no run, or several, is an error.
"""

import csv
import io
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cgcore.errors import CgcoreError
from cgcore.store import StoreError, read_json, read_npz, read_toml, replacing, write_json, write_npz
from cgcore.store.files import SLIP, digest
from cgcore.store.runs import device, git_state, versions

BOOK = Path(__file__).parents[1]
RUNS, ROWS, LABELS = "runs.json", "rows.csv", "labels.toml"
PARTS = {"curves": ".npz", "manifests": ".json", "models": ".npz"}
COLUMNS = ("run", "quantity", "value", "error", "unit", "n")
ABSENT = "–"
SAMPLING = "sampling"
"""What a column is called that says how each run was sampled."""
THIN_SPACE, MINUS = "\u202f", "\u2212"  # between groups of three digits; of a number below zero
GIVEN = 4
"""A number that ends after so many digits was given so, as published ones are; what was computed does not end."""
ROUNDING = 1e-6
"""An error so small beside its value is not worth its digits."""
SMALL, RAISED = 1e-4, str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
"""Numbers below the first are told with a power of ten."""


class ResultError(CgcoreError, LookupError):
    """A result that a page asks for and that is not there, or not one."""


class Row(NamedTuple):
    """One quantity of one run; n: samples behind it, None where it is not a sampled number."""

    value: float | int | str | None
    error: float | None = None
    unit: str = ""
    n: int | None = None

    def text(self) -> str:
        """To two digits of its error as `0.312 ± 0.011`, to three digits where it has none; counts and numbers that are given
        to so few digits in full, words as they are."""
        value, error = self.value, self.error
        if value is None:
            return ABSENT
        if isinstance(value, str):
            return value
        if value < 0:
            return f"{MINUS}{self._replace(value=-value).text()}"
        if isinstance(value, int):
            return f"{value:,}".replace(",", THIN_SPACE)
        if 0 < abs(value) < SMALL:
            power = math.floor(math.log10(abs(value)))
            scaled = Row(value / 10.0**power, error and error / 10.0**power).text()
            told = f"({scaled})" if "±" in scaled else scaled
            return f"{told}·10{str(power).translate(RAISED)}"
        if not error or not math.isfinite(error) or error < ROUNDING * abs(value):
            given = float(f"{value:.{GIVEN}g}") == value
            return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.{GIVEN if given else 3}g}"
        places = max(0, 1 - math.floor(math.log10(error)))
        return f"{value:.{places}f} ± {error:.{places}f}"


@dataclass(frozen=True)
class Chapter:
    """The results in one folder. runs: by id; rows: by id and quantity."""

    folder: Path
    runs: dict[str, dict]
    rows: dict[str, dict[str, Row]]

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def labels(self) -> dict[str, dict]:
        """Label -> title and query, in the order of the tables."""
        return self._defined("labels")

    def table(self, name: str = "main") -> list[str]:
        """The labels of one table, in their order. Raises ResultError for a table that is not defined."""
        tables = self._defined("tables")
        if name not in tables:
            raise ResultError(f"no table {name!r} of {self.name} in {LABELS}; there are {sorted(tables)}")
        return tables[name]

    def _defined(self, what: str) -> dict:
        return _labels(self.folder.parents[1] / LABELS).get(self.name, {}).get(what, {})

    def run(self, label: str) -> str:
        """The id of the one run that a label names. Raises ResultError where there is none, or several."""
        if label not in self.labels:
            raise ResultError(f"no label {label!r} of {self.name} in {LABELS}")
        return self.one(**{key: value for key, value in self.labels[label].items() if key != "title"})

    def one(self, **query) -> str:
        """The id of the one run with these settings, named as in the configuration or by the last part of that name."""
        matching = [run for run, about in self.runs.items() if _matches(about, query)]
        if len(matching) != 1:
            there = f"runs {matching}" if matching else "none"
            raise ResultError(f"{self.name}: want one run with {query}, found {there}")
        return matching[0]

    def title(self, label: str) -> str:
        return self.labels[label].get("title", label)

    def row(self, label: str, quantity: str) -> Row:
        """One quantity of the run of a label. Raises ResultError where it has none."""
        rows = self.rows[self.run(label)]
        if quantity not in rows:
            raise ResultError(f"{self.name}: {label!r} has no {quantity!r}; it has {sorted(rows)}")
        return rows[quantity]

    def value(self, label: str, quantity: str, default=None):
        """The value of a quantity, or the default where the run has none."""
        value = self.rows[self.run(label)].get(quantity, Row(None)).value
        return default if value is None else value

    def curves(self, label: str) -> dict[str, np.ndarray]:
        """Arrays of the run of a label. Raises ResultError where it has none."""
        path = self.path("curves", self.run(label))
        if not path.is_file():
            raise ResultError(f"{self.name}: {label!r} has no curves")
        return read_npz(path)

    def model(self, label: str) -> Path:
        return self.path("models", self.run(label))

    def path(self, part: str, run: str) -> Path:
        """The file of a run in one of PARTS."""
        return self.folder / part / f"{run}{PARTS[part]}"

    def put(self, run: str, about: dict, table: dict, manifest: dict, curves: dict | None = None, replace: bool = True):
        """Take a run in, with its manifest and curves if it has any, in place of others of its kind and configuration.

        `save` writes the tables. Curves are kept in single precision, which halves what a chapter keeps.

        Args:
            about: kind, config, sampling and cost.

        Raises:
            StoreError: another run of the same configuration is there, and is not to be replaced.
        """
        for other in self.alike(about["kind"], about["config"]) - {run}:
            if not replace:
                raise StoreError(
                    f"{self.folder}: {other} is there, of the same configuration as {run} by other data or kernels; "
                    "--replace takes it out"
                )
            del self.runs[other], self.rows[other]
            for part in PARTS:
                self.path(part, other).unlink(missing_ok=True)
        self.runs[run], self.rows[run] = about, as_rows(table, table.get("n_frames"))
        for part, content in (("manifests", manifest), ("curves", curves)):
            if content:
                self.path(part, run).parent.mkdir(parents=True, exist_ok=True)
        if manifest:
            write_json(self.path("manifests", run), manifest)
        if curves:
            halved = {name: a.astype("f4") if a.dtype.kind == "f" else a for name, a in curves.items()}
            write_npz(self.path("curves", run), **halved)

    def alike(self, kind: str, config: dict) -> set[str]:
        """The ids of the runs of this kind and configuration, of which there should be one."""
        return {run for run, about in self.runs.items() if (about["kind"], about["config"]) == (kind, config)}


def sampling(chapter: Chapter, labels: list[str], dropped: Iterable[str] = ()) -> str:
    """What the numbers rest on, in sentences: rows that rest on the same share one, the largest part is the others."""
    titles: dict[str, list[str]] = {}
    for label in labels:
        if words := chapter.runs[chapter.run(label)].get("sampling"):
            titles.setdefault(words, []).append(_title(chapter, label, dropped))
    most = max(titles, key=lambda words: len(titles[words]), default="")
    if sum(map(len, titles.values())) == len(labels) > 1 and (len(titles) == 1 or len(titles[most]) > 2):
        del titles[most]
        titles[most] = ["All others" if titles else "Each row"]  # at the end
    return " ".join(f"{'; '.join(names)}: {words}." for words, names in titles.items())


def cells(chapter: Chapter, labels: list[str], quantities: list[str], dropped: Iterable[str] = ()) -> list[list[str]]:
    """A row of text per label: its title without the dropped words and the quantities, a dash where its run lacks one.

    Raises ResultError for a quantity that no run has.
    """
    runs = {label: chapter.run(label) for label in labels}
    rows = {
        label: chapter.rows[run] | {SAMPLING: Row(chapter.runs[run].get("sampling") or None)}
        for label, run in runs.items()
    }
    for quantity in quantities:
        if not any(quantity in of_run for of_run in rows.values()):
            available = sorted({name for of_run in rows.values() for name in of_run})
            raise ResultError(f"{chapter.name}: none of {labels} has {quantity!r}; known are {available}")
    return [
        [_title(chapter, k, dropped), *(r[q].text() if q in r else ABSENT for q in quantities)] for k, r in rows.items()
    ]


def load(folder: Path) -> Chapter:
    """The results of a chapter; empty where it has none yet."""
    folder = Path(folder)
    if not (folder / RUNS).is_file():
        return Chapter(folder, {}, {})
    runs = read_json(folder / RUNS)
    rows: dict[str, dict[str, Row]] = {run: {} for run in runs}
    with open(folder / ROWS, newline="", encoding="utf-8") as file:
        for number, line in enumerate(csv.DictReader(file), start=2):
            if line.keys() != set(COLUMNS) or line["run"] not in rows:
                raise StoreError(
                    f"{folder / ROWS}, line {number}: want {COLUMNS} of a run in {RUNS}, found {line}; {SLIP}"
                )
            values = (_number(line[key]) for key in ("value", "error"))
            rows[line["run"]][line["quantity"]] = Row(*values, line["unit"], _number(line["n"]))
    return Chapter(folder, runs, rows)


def save(chapter: Chapter):
    """Write runs.json and rows.csv, whole or not at all."""
    chapter.folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for run in chapter.runs:
        for quantity, row in chapter.rows[run].items():
            cells = (row.value, row.error, row.unit, row.n)
            writer.writerow([run, quantity, *("" if cell is None else cell for cell in cells)])
    with replacing(chapter.folder / ROWS) as file:
        file.write(text.getvalue().encode())
    write_json(chapter.folder / RUNS, chapter.runs)


def add(
    folder: Path,
    kind: str,
    config: dict,
    table: dict,
    *,
    manifest: dict,
    sampling: str = "",
    curves: dict | None = None,
) -> str:
    """Add what a study found to the results of a chapter, in place of the run of this kind and configuration; its id."""
    chapter, settings = load(folder), flat(config)
    run = next(iter(chapter.alike(kind, settings)), digest(json.dumps([kind, config, None], sort_keys=True).encode()))
    about = {"kind": kind, "config": settings, "sampling": sampling, "cost": {}}
    chapter.put(run, about, table, manifest, curves)
    save(chapter)
    return run


def made_here(**more) -> dict:
    """A manifest of what is computed now: versions, commit, device, date, and more that is told of it."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return {"versions": versions(), "git": git_state(), "device": device(), "date": date} | more


def as_rows(table: dict, n: int | None = None) -> dict[str, Row]:
    """A table of plain numbers, errors under the name with `_error`, as rows with units."""
    rows = {}
    for quantity, value in table.items():
        base, _, end = quantity.rpartition("_")
        if end == "error" and base in table:
            continue
        error = table.get(f"{quantity}_error")
        value = int(value) if isinstance(value, bool) else value
        rows[quantity] = Row(value, error, unit_of(quantity), n if error is not None else None)
    return rows


def unit_of(quantity: str) -> str:
    """The unit of a quantity, by the longest pattern of `[units]` in labels.toml that fits; "" for a plain number."""
    units = _labels(BOOK / LABELS).get("units", {})
    return units[max(patterns, key=len)] if (patterns := [p for p in units if fnmatch(quantity, p)]) else ""


def flat(config: dict, name: str = "") -> dict:
    """A nested configuration with dotted names, lists as they are."""
    settings = {}
    for key, value in config.items():
        settings |= flat(value, f"{name}{key}.") if isinstance(value, dict) else {f"{name}{key}": value}
    return settings


def _title(chapter: Chapter, label: str, dropped: Iterable[str]) -> str:
    """The title of a label without the dropped words, those between its commas."""
    words = {word.strip() for word in dropped}
    return ", ".join(part for part in chapter.title(label).split(", ") if part not in words)


def _matches(about: dict, query: dict) -> bool:
    settings = {"kind": about["kind"]} | about["config"]
    short = {key.rpartition(".")[2]: value for key, value in reversed(settings.items())}
    return all(settings.get(key, short.get(key)) == value for key, value in query.items())


@lru_cache
def _read(path: Path, changed: float) -> dict:
    return read_toml(path)


def _labels(path: Path) -> dict:
    return _read(path, path.stat().st_mtime) if path.is_file() else {}


def _number(text: str) -> float | int | str | None:
    """A cell as it was written: whole numbers stay whole, words stay words, nothing is None."""
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text or None
