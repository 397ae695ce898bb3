"""Potentials beside each other on the same held-out frames, and those frames beside all: tables of the chapter on potentials."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from cgcore import data, mapping, store
from cgcore.analysis import force_errors
from cgcore.analysis.blocks import Estimate, row
from cgcore.book.potential_runs import Task
from cgcore.frames import Frames
from cgcore.reference import sets
from cgcore.store.runs import device, git_state, versions

MAPS = {"four_site": "four-site", "three_site": "three-site", "two_site": "two-site", "alanine": "alanine, Core"}
CENTRAL = {
    "four_site": "four_site_nu2_650pm",
    "three_site": "three_site_nu2_700pm",
    "two_site": "two_site_nu2_800pm",
    "alanine": "alanine_mace",
}
"""Of each map the network beside which every other potential is put: MACE with nu = 2 and the larger cut-off."""


def differences(known: dict[str, Task], folder: Path) -> list[Path]:
    """MAE of one potential less that of another on the same held-out frames, with paired errors: who is better.

    Of all rows of `folder`, whichever run wrote them.
    """
    written, fits = [], {}
    for name, task in known.items():
        path = folder / task.group / f"{name}.json"
        if task.group in MAPS and path.is_file():
            fits[name] = (store.read_json(path), store.read_npz(path.with_suffix(".npz")))
    place = {name: (list(MAPS).index(known[name].group), found["order"]) for name, (found, _) in fits.items()}
    for name in sorted(fits, key=place.get):
        task, (found, arrays) = known[name], fits[name]
        other = CENTRAL[task.group]
        if name == other or other not in fits:
            continue
        central, central_arrays = fits[other]
        apart = force_errors.difference(arrays["errors"], central_arrays["errors"])
        table = row("difference", apart) | {"sigma": float(abs(apart.value) / apart.error)}
        if task.published and known[other].published:
            table |= {"published_difference": task.published - known[other].published}
        result = {
            "label": f"{MAPS[task.group]}: {task.label} less {known[other].label}",
            "order": len(written),
            "sampling": "",
            "table": table,
            "manifest": {"runs": [found["manifest"]["id"], central["manifest"]["id"]]},
        }
        written.append(folder / "differences" / f"{name}_{other}.json")
        put(written[-1], result)
    return written


def seeds(known: dict[str, Task], folder: Path) -> list[Path]:
    """MAE of one cell of the study's table 1 less that of another, means over seeds with the standard error that they make.

    Of cells with two seeds or more in `folder`, beside the network in CENTRAL. What the held-out frames add to the error is
    common to both and left out.
    """
    written, cells = [], {}
    for name, task in known.items():
        path = folder / task.group / f"{name}.json"
        if task.published and path.is_file():
            cells.setdefault(name.partition("_seed")[0], []).append(store.read_json(path))
    for name, found in cells.items():
        task, other = known[name], CENTRAL[known[name].group]
        central = cells.get(other, [])
        if name == other or min(len(found), len(central)) < 2:
            continue
        mae = [np.array([r["table"]["force_mae_meV_per_A"] for r in cell]) for cell in (found, central)]
        error = np.sqrt(sum(m.var(ddof=1) / len(m) for m in mae))
        table = row("difference", Estimate(float(mae[0].mean() - mae[1].mean()), float(error)))
        table |= {"n_seeds": len(found), "published_difference": task.published - known[other].published}
        result = {
            "label": f"{MAPS[task.group]}: {task.label} less {known[other].label}",
            "order": len(written),
            "sampling": f"{len(found)} and {len(central)} seeds",
            "table": table,
            "manifest": {"runs": [r["manifest"]["id"] for r in (*found, *central)]},
        }
        written.append(folder / "seeds" / f"{name}_{other}.json")
        put(written[-1], result)
    return written


def samples(known: dict[str, Task], folder: Path) -> list[Path]:
    """For each liquid with rows in `folder`, how large the mapped forces of its held-out frames are beside those of all.

    An error is nearly all noise of the map, which is in proportion: held-out blocks of weak forces have small errors.
    """
    written = []
    for order, (map, name) in enumerate(CENTRAL.items()):
        task = known[name]
        if not task.liquid or not (folder / map).is_dir():
            continue
        topology, frames = sets.load(task.system)
        d = task.fit.data
        beads = mapping.apply(mapping.load(d.map, topology, typing=d.typing, residue=d.residue), frames)
        split = data.split_blocks(beads, d.blocks, d.valid_blocks, d.gap_ps)
        size = {k: _mean_size(f) for k, f in (("held_out", split.valid), ("all", beads))}
        table = row("held_out_size", size["held_out"]) | row("all_size", size["all"])
        table |= {"weaker": 100 * (1 - size["held_out"].value / size["all"].value)}
        if (central := folder / map / f"{name}.json").is_file():
            over = store.read_json(central)["table"]["over_published"]
            table |= {"over": over, "left": over + table["weaker"]}
        result = {
            "label": MAPS[map],
            "order": order,
            "sampling": f"{split.valid.n_frames} frames held out of {beads.n_frames}",
            "table": table,
            "manifest": {
                "config": asdict(d),
                "data": {Path(task.system).name: store.data_hash(frames.position, frames.force)},
                "versions": versions(),
                "git": git_state(),
                "device": device(),
            },
        }
        written.append(folder / "samples" / f"{map}.json")
        put(written[-1], result)
    return written


def put(path: Path, result: dict):
    """Write a row of a table, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    store.write_json(path, result)


def _mean_size(frames: Frames) -> Estimate:
    """Mean absolute component of the mapped forces, meV/Å: the MAE of predicting none."""
    return force_errors.mae(force_errors.by_frame(np.zeros_like(frames.force), frames))
