"""Tables made of published rows alone: potentials beside each other on the same held-out frames, and table 1 of the paper.

`cgcore comparisons` writes, for the chapters "potentials" and "hexane", the rows of kind "differences", "seeds" and
"table1", and how far simulated networks are from splines. A row compares runs of one sample: the same reference, the
same held-out frames.
"""

import csv
import io
import math
import tomllib
from collections import defaultdict
from itertools import product
from pathlib import Path

import numpy as np

from cgbook.results import ABSENT, BOOK, Chapter, add, as_rows, load, made_here, save
from cgcore.analysis import force_errors
from cgcore.analysis.blocks import Estimate, row
from cgcore.store import read_npz, write_json
from cgcore.store.files import replacing

CENTRAL = {
    "four_site": "four_site_nu2_650pm",
    "three_site": "three_site_nu2_700pm",
    "two_site": "two_site_nu2_800pm",
    "core": "alanine_mace",
}
"""Of each map the network beside which every other potential is put: MACE with nu = 2 and the larger cut-off."""
SAMPLE = "hexane"
"""The reference that all cells of table 1 learn from: the set that comes with the project."""
MEASURES = {
    "force": "force_mae_meV_per_A",
    "stability": "stable_ps",
    "speed": "ns_per_day_per_replica",
    "g_AA": "g_AA_mse",
    "g_AB": "g_AB_mse",
    "g_BB": "g_BB_mse",
}
"""What table 1 calls it -> our quantity."""


def make(results: Path):
    """Write all rows anew from what the chapters under `results` hold."""
    compare(results / "potentials")
    less_splines(results / "hexane")
    table1(results)


def compare(folder: Path):
    """MAE of each potential less that of the central one of its map: paired over frames, and over seeds."""
    _beside_published(folder)
    chapter, fits = load(folder), defaultdict(dict)
    for run, about in chapter.runs.items():
        if about["kind"] == "fit" and about["config"]["data.force_map"] == "sum":
            fits[about["config"]["data.reference"]][case(about["config"])] = run
    for reference, by_case in fits.items():
        kind, of = ("", {}) if reference in (SAMPLE, "ala2") else ("gpu/", {"reference": reference})
        for name, run in by_case.items():
            central = CENTRAL[chapter.runs[run]["config"]["data.map"]]
            if name == central or central not in by_case:
                continue
            errors = [read_npz(chapter.path("curves", r))["errors"] for r in (run, by_case[central])]
            apart = force_errors.difference(*errors)
            table = row("difference", apart) | {"sigma": abs(apart.value) / apart.error}
            table |= _published(chapter, run, by_case[central])
            pair = {"case": f"{name}_{central}"} | of
            add(folder, f"{kind}differences", pair, table, manifest={"runs": [run, by_case[central]]})
        if not kind:
            _seeds(folder, chapter, by_case)
    _gains(folder, chapter)


def _beside_published(folder: Path):
    """Add the paper's MAE to the fits of its cells, and to splines that of its starred cell: nu = 2, 20 neighbours."""
    chapter = load(folder)
    for run, about in chapter.runs.items():
        if about["kind"] != "fit" or about["config"]["data.force_map"] != "sum":
            continue
        for cell in published():
            rows, theirs = chapter.rows[run], cell["force"]
            if _cell_of(cell).items() <= about["config"].items():
                mae = rows[MEASURES["force"]].value
                rows |= as_rows({"published_mae": theirs, "over_published": 100 * (mae / theirs - 1)})
            starred = cell["nu"] == 2 and cell["neighbours"] == 20
            if starred and case(about["config"]) == f"{cell['map']}_splines":
                rows |= as_rows({"published_mace_mae": theirs})
    save(chapter)


def _seeds(folder: Path, chapter: Chapter, by_case: dict[str, str]):
    """Means over seeds, with the error that those make; what the held-out frames add is common to both and left out."""
    cells = defaultdict(list)
    for name, run in by_case.items():
        cells[name.partition("_seed")[0]].append(run)
    for name, runs in cells.items():
        others = cells[CENTRAL[chapter.runs[runs[0]]["config"]["data.map"]]]
        if runs == others or min(len(runs), len(others)) < 2:
            continue
        maes = [np.array([chapter.rows[r][MEASURES["force"]].value for r in cell]) for cell in (runs, others)]
        error = np.sqrt(sum(mae.var(ddof=1) / len(mae) for mae in maes))
        table = row("difference", Estimate(float(maes[0].mean() - maes[1].mean()), float(error)))
        table |= {"n_seeds": len(runs)} | _published(chapter, runs[0], others[0])
        pair = {"case": f"{name}_{case(chapter.runs[others[0]]['config'])}"}
        sampling = f"{len(runs)} and {len(others)} seeds"
        add(folder, "seeds", pair, table, manifest={"runs": [*runs, *others]}, sampling=sampling)


def _gains(folder: Path, chapter: Chapter):
    """What the optimised force map makes of splines beside the plain sum: both, and the ratio."""
    fits = {
        (c["data.map"], c["data.force_map"]): chapter.rows[run]
        for run, about in chapter.runs.items()
        if about["kind"] == "fit"
        and (c := about["config"])["potential.potential"] == "spline"
        and c["data.reference"] == SAMPLE
    }
    for map, _ in filter(lambda key: key[1] == "optimised", fits):
        both = [fits[map, force_map] for force_map in ("sum", "optimised")]
        n = both[0]["train_frames"].value
        table = {"train_frames": n}
        of_forces = [f"{name}_meV_per_A" for name in ("mapped_force_rms", "force_rmse", "force_mae")]
        for quantity in (*of_forces, "pair_force_error"):
            values = [rows[quantity].value for rows in both]
            table[f"gain_{quantity}"] = values[0] / values[1]
            for name, rows in zip(("sum", "optimised"), both, strict=True):
                table |= {f"{name}_{quantity}": rows[quantity].value, f"{name}_{quantity}_error": rows[quantity].error}
        sampling = f"{n} frames to learn from, {both[0]['valid_frames'].value} held out"
        add(folder, "force_map_gain", {"case": map}, table, manifest=made_here(), sampling=sampling)


def less_splines(folder: Path):
    """Add to each simulated network its MAE less that of the simulated splines on the same frames, where both are there."""
    chapter, sample = load(folder), ("data.map", "data.reference", "data.frames", "data.force_map")
    held_out = {
        run: curves["held_out_errors"]
        for run, about in chapter.runs.items()
        if about["kind"] == "simulation" and "held_out_errors" in (curves := read_npz(chapter.path("curves", run)))
    }
    of = {run: [chapter.runs[run]["config"].get(name) for name in sample] for run in held_out}
    for run, theirs in product(held_out, held_out):
        kinds = [chapter.runs[r]["config"]["potential.potential"] == "spline" for r in (run, theirs)]
        if kinds == [False, True] and of[run] == of[theirs]:
            apart = force_errors.difference(held_out[run], held_out[theirs])
            chapter.rows[run] |= as_rows(row("less_splines", apart))
    save(chapter)


def _published(chapter: Chapter, run: str, central: str) -> dict:
    """The same difference by the paper, where it has both."""
    paper = [chapter.rows[r].get("published_mae") for r in (run, central)]
    return {"published_difference": paper[0].value - paper[1].value} if all(p and p.value for p in paper) else {}


def case(config: dict) -> str:
    """Map, potential, cut-off, and what is unusual: the name of a fit in a comparison."""
    map, potential = config["data.map"], config["potential.potential"]
    if map == "core":
        return f"alanine_{potential}"
    if potential == "spline":
        return f"{map}_splines"
    network = "nequip" if potential == "nequip" else f"nu{config['potential.correlation']}"
    name = f"{map}_{network}_{round(1000 * config['potential.cutoff_nm'])}pm"
    name += "_layer1" if config["potential.layers"] == 1 else ""
    return name + (f"_seed{config['train.seed']}" if config["train.seed"] != 22 else "")


def published() -> list[dict]:
    """The 18 cells of the paper's table 1: map, neighbours, cutoff_nm, nu, each measure with its _sd; None for a dash."""
    raw = tomllib.loads((BOOK / "published" / "hexane.toml").read_text(encoding="utf-8"))
    columns = (
        (m, k, n, nu)
        for m in CENTRAL
        if m in raw
        for k, (n, nu) in enumerate(zip(raw["neighbours"], raw["nu"], strict=True))
    )
    return [
        {"map": m, "neighbours": n, "nu": nu}
        | {name: None if math.isnan(values[k]) else float(values[k]) for name, values in raw[m].items()}
        for m, k, n, nu in columns
    ]


def table1(results: Path):
    """Ours and theirs, a row a cell, and as files to download.

    The force errors are those of the chapter on potentials: one sample, as many updates for all cells of a map. What is
    simulated is so by the run of least training on that sample.
    """
    chapter, potentials = load(results / "hexane"), load(results / "potentials")
    lines = []
    for number, theirs in enumerate(published()):
        cell = {"map": theirs["map"], "nu": theirs["nu"], "cutoff_nm": theirs["cutoff_nm"]}
        fits, runs = _of_cell(potentials, "fit", cell), _of_cell(chapter, "simulation", cell)
        run = min(runs, key=lambda r: chapter.rows[r]["updates"].value, default=None)
        ours = {} if run is None else chapter.rows[run]
        ours |= {MEASURES["force"]: potentials.rows[next(iter(fits))][MEASURES["force"]]} if fits else {}
        line = {key: theirs[key] for key in ("map", "neighbours", "cutoff_nm", "nu")}
        for name, key in (("replicas", "n_replicas"), ("ns", "ns"), ("updates", "updates")):
            line[name] = ours[key].value if key in ours else None
        for measure, key in MEASURES.items():
            if measure in theirs:
                line |= {measure: ours[key].value if key in ours else None, f"{measure}_published": theirs[measure]}
                line |= {f"{measure}_error": ours[key].error} if key in ours and ours[key].error else {}
                line |= {f"{measure}_sd": ours[f"{key}_sd"].value} if f"{key}_sd" in ours else {}
                sd = theirs.get(f"{measure}_sd")
                line |= {} if sd is None else {f"{measure}_published_sd": sd}
        lines.append(line)
        sampling = f"{line['replicas']} replicas, {line['ns']:.3g} ns" if line["replicas"] else ABSENT
        made = {"runs": [*filter(None, (run, *fits))]}
        add(results / "hexane", "table1", {"case": f"{number:02}"}, line, manifest=made, sampling=sampling)
    download = results / "hexane" / "download"
    write_json(download / "table1.json", lines)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(k for line in lines for k in line)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    with replacing(download / "table1.csv") as file:
        file.write(text.getvalue().encode())


def _of_cell(chapter: Chapter, kind: str, cell: dict) -> list[str]:
    """The runs of one cell with the plain sum of forces and the usual seed, on SAMPLE."""
    wanted = _cell_of(cell) | {"data.force_map": "sum", "data.reference": SAMPLE, "train.seed": 22}
    runs = chapter.runs.items()
    return [r for r, about in runs if about["kind"] == kind and wanted.items() <= about["config"].items()]


def _cell_of(cell: dict) -> dict:
    """What the configuration of a run in one cell of table 1 has."""
    network = {"potential": "mace", "layers": 2, "bond_types": False}
    network |= {"correlation": cell["nu"], "cutoff_nm": cell["cutoff_nm"]}
    return {"data.map": cell["map"]} | {f"potential.{name}": value for name, value in network.items()}
