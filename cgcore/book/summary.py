"""One table over the finished runs of a sweep, as CSV for spreadsheets and as JSON."""

import csv
import io
from pathlib import Path

import nbformat

from cgcore.book.run import EXECUTED
from cgcore.store import read_json, write_json
from cgcore.store.files import replacing

RESULT = "result.json"


def write_summary(folder: Path, rows: list) -> Path:
    """Write summary.csv and summary.json of the rows that are done: number, parameters, time and small numbers.

    Numbers are those of the run's result.json and of the manifests that it names, their places joined by dots:
    "md.liquid.gauche_ABBA". Returns the CSV's path.
    """
    done = [row for row in rows if (row.folder / EXECUTED).is_file()]
    lines = [_line(row) for row in done]
    write_json(folder / "summary.json", lines)
    columns = list(dict.fromkeys(name for line in lines for name in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    with replacing(folder / "summary.csv") as file:
        file.write(text.getvalue().encode())
    return folder / "summary.csv"


def numbers(folder: Path) -> dict:
    """The small numbers of one run, from its result.json and the manifests of the folders it names (`fit`, `md`)."""
    if not (folder / RESULT).is_file():
        return {}
    found = {}
    for key, value in read_json(folder / RESULT).items():
        manifest = folder / key / str(value) / "manifest.json"
        found |= flat(read_json(manifest)["results"] if manifest.is_file() else value, key)
    return found


def flat(value, name: str) -> dict:
    """Nested tables as one, names joined by dots; lists are left out."""
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in flat(inner, f"{name}.{key}").items()}
    return {} if isinstance(value, list) else {name: value}


def _line(row) -> dict:
    record = nbformat.read(row.folder / EXECUTED, as_version=4).metadata.get("cgcore", {})
    about = {"index": row.index, "run": row.folder.name, "wall_s": record.get("wall_s"), "device": record.get("device")}
    return about | row.values | numbers(row.folder)
