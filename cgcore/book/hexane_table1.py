"""Table 1 of the study, its published values beside ours, as a table of the chapter and as files to download."""

import csv
import io
import math
import tomllib
from importlib import resources
from pathlib import Path

from cgcore import store
from cgcore.book.hexane_tables import MAPS, load, pick
from cgcore.book.results import ABSENT
from cgcore.store.files import replacing

PUBLISHED = "published_hexane.toml"
MEASURES = {
    "force": "force_mae_meV_per_A",
    "stability": "stable_ps",
    "speed": "ns_per_day_per_replica",
    "g_AA": "g_AA_mse",
    "g_AB": "g_AB_mse",
    "g_BB": "g_BB_mse",
}
"""What table 1 calls it -> our key. Units: meV/Å, ps, ns/day, 10^-3."""


def published() -> list[dict]:
    """The 18 cells of table 1: map, neighbours, cutoff_nm, nu, and each measure with its _sd; None for a dash."""
    raw = tomllib.loads((resources.files("cgcore.book") / PUBLISHED).read_text(encoding="utf-8"))
    cells = []
    for map in ("four_site", "three_site", "two_site"):
        for k, (neighbours, nu) in enumerate(zip(raw["neighbours"], raw["nu"], strict=True)):
            values = {name: _value(column[k]) for name, column in raw[map].items()}
            cells.append({"map": map, "neighbours": neighbours, "nu": nu} | values)
    return cells


def cells(folder: Path) -> list[dict]:
    """Ours and theirs, a line a cell: each measure with its _sd and _error, and as <measure>_published with its _sd.

    folder: collected runs (`hexane_tables.collect`). A cell without a run has the force error of the chapter on potentials,
    where that has one, and None for the rest.
    """
    found, lines = load(folder), []
    for theirs in published():
        network = dict(potential="mace", nu=theirs["nu"], layers=2, cutoff_nm=float(theirs["cutoff_nm"]))
        ours, _ = pick(found, map=theirs["map"], **network) or (_trained(folder.parent, theirs), {})
        line = {key: theirs[key] for key in ("map", "neighbours", "cutoff_nm", "nu")}
        line |= {"replicas": ours.get("n_replicas"), "ns": ours.get("ns")}
        for measure, key in MEASURES.items():
            if measure in theirs:
                line |= {measure: ours.get(key), f"{measure}_published": theirs[measure]}
                for end in ("_sd", "_error"):
                    line |= {measure + end: ours[key + end]} if ours.get(key + end) is not None else {}
                if theirs.get(f"{measure}_sd") is not None:
                    line[f"{measure}_published_sd"] = theirs[f"{measure}_sd"]
        lines.append(line)
    return lines


def _trained(results: Path, cell: dict) -> dict:
    """The table of the potential of a cell that was trained and not simulated: of more frames first, else empty."""
    name = f"{cell['map']}_nu{cell['nu']}_{round(1000 * float(cell['cutoff_nm']))}pm.json"
    paths = (results / chapter / cell["map"] / name for chapter in ("potentials_gpu", "potentials"))
    return next((store.read_json(path)["table"] for path in paths if path.is_file()), {})


def write(folder: Path) -> list[Path]:
    """table1/<cell>.json for the chapter's table, download/table1.csv and .json for readers; what was written."""
    lines = cells(folder)
    for name in ("table1", "download"):
        (folder / name).mkdir(exist_ok=True)
    paths = [folder / "download" / "table1.json", folder / "download" / "table1.csv"]
    store.write_json(paths[0], lines)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(k for line in lines for k in line)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    with replacing(paths[1]) as file:
        file.write(text.getvalue().encode())
    for number, line in enumerate(lines):
        sampling = f"{line['replicas']} replicas, {line['ns']:.3g} ns" if line["replicas"] else ABSENT
        label = f"{MAPS[line['map']]}, {line['cutoff_nm']:.2f} nm, ν = {line['nu']}"
        paths.append(folder / "table1" / f"{number:02}.json")
        store.write_json(paths[-1], {"label": label, "order": number, "sampling": sampling, "table": line})
    return paths


def _value(x: float) -> float | None:
    return None if math.isnan(x) else float(x)
