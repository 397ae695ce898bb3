"""The tables and pictures of the chapter on potentials, from finished trainings."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from cgcore import plots, store
from cgcore.analysis import force_errors
from cgcore.analysis.blocks import Estimate, row
from cgcore.analysis.noise_floor import AGREE
from cgcore.book import potential_comparisons as comparisons
from cgcore.book.potential_comparisons import MAPS
from cgcore.book.potential_runs import HELD_OUT, PUBLISHED, SEED, Task, fitted, tasks
from cgcore.config import ConfigError, did_you_mean
from cgcore.processes import end_with_parent
from cgcore.store.runs import MANIFEST
from cgcore.units import MEV_PER_ANGSTROM

KEPT = {"task", "said"}
FORCE_MAP_KEYS = ("mapped_force_rms_meV_per_A", "force_rmse_meV_per_A", "force_mae_meV_per_A", "pair_force_error")


def make(
    names: list[str],
    runs: Path,
    folder: Path,
    *,
    profile: str = "laptop",
    hexane: str = "hexane",
    training: bool = True,
) -> list[Path]:
    """Fit the named potentials (all where none is named) in `runs`, then write what is finished; the files written.

    hexane: the reference of the liquid, a set or a folder of `cgcore reference`.

    Raises ConfigError for an unknown name.
    """
    known = tasks(profile, hexane)
    for name in names:
        if name not in known:
            raise ConfigError(f"no potential {name!r}; there are {list(known)}{did_you_mean(name, known)}")
    if training:
        # Each in a process of its own: what one holds of the memory would count for the next.
        own = dict(mp_context=get_context("spawn"), max_tasks_per_child=1, initializer=end_with_parent)
        with ProcessPoolExecutor(1, **own) as pool:
            for name in names or known:
                pool.submit(fitted, known[name], runs).result()
    return collect(runs, folder, known)


def collect(runs: Path, folder: Path, known: dict[str, Task]) -> list[Path]:
    """Write the tables and pictures of the finished trainings in `runs`, beside what `folder` has; the files written."""
    written = []
    done = finished(runs, known)
    for order, (name, task) in enumerate(sorted(known.items(), key=_place)):
        path = folder / task.group / f"{name}.json"
        if name in done:
            manifest, arrays = done[name]
            table = {k: v for k, v in manifest["results"].items() if k not in KEPT}
            if task.published:
                table |= {"published_mae": task.published}
                table |= {"over_published": 100 * (table["force_mae_meV_per_A"] / task.published - 1)}
            if task.group == "noise_floor":
                table |= floors(table)
            written += write(folder / task.group, task, order, table, manifest, arrays)
        elif path.is_file():
            comparisons.put(path, store.read_json(path) | {"label": task.label, "order": order})
    written += [
        *comparisons.differences(known, folder),
        *comparisons.seeds(known, folder),
        *comparisons.samples(known, folder),
        *_splines(done, known, folder),
    ]
    return written + draw(folder)


def _place(item: tuple[str, Task]) -> tuple:
    """Splines, MACE by cut-off, factors and layers, then what is trained otherwise."""
    fit = item[1].fit
    network = getattr(fit, "mace", None)
    if not network:
        return (2 if hasattr(fit, "nequip") else 0,)
    return 1, fit.train.seed != SEED, -network.layers, network.cutoff_nm, network.correlation


def finished(runs: Path, known: dict[str, Task]) -> dict[str, tuple[dict, dict]]:
    """Manifest and arrays of the finished trainings by name; of several the last."""
    found = {}
    for path in Path(runs).glob(f"fit/*/{MANIFEST}"):
        manifest = store.read_json(path)
        name = manifest["results"].get("task")
        if name in known and manifest["date"] >= found.get(name, [{"date": ""}])[0]["date"]:
            found[name] = (manifest, store.read_npz(path.parent / HELD_OUT))
    return found


def write(folder: Path, task: Task, order: int, table: dict, manifest: dict, arrays: dict) -> list[Path]:
    """One row of a table with the arrays behind it."""
    updates = f"{table['updates']} updates, " if "updates" in table else ""
    sampling = f"{updates}{table['train_frames']} frames to learn from, {table['valid_frames']} held out"
    paths = [folder / f"{task.name}.json", folder / f"{task.name}.npz"]
    folder.mkdir(parents=True, exist_ok=True)
    result = {"label": task.label, "order": order, "sampling": sampling, "table": table}
    store.write_json(paths[0], result | {"manifest": {k: v for k, v in manifest.items() if k != "results"}})
    store.write_npz(paths[1], **arrays)
    return paths


def floors(table: dict) -> dict:
    """In MAE's unit the root of each estimate, and how far apart the two are in standard errors."""
    rmse = {}
    for key in ("loss", "neighbours", "learning_curve"):
        if key in table:
            value, error = np.sqrt(table[key]) / MEV_PER_ANGSTROM, table[f"{key}_error"]
            rmse |= row(f"{key}_rmse", Estimate(float(value), float(error / table[key] * value / 2)))
    if {"neighbours", "learning_curve"} <= table.keys():
        error = np.hypot(table["neighbours_error"], table["learning_curve_error"])
        apart = abs(table["neighbours"] - table["learning_curve"]) / error
        rmse |= {"apart": float(apart), "agree": int(apart < AGREE)}
    return rmse


def _splines(done: dict, known: dict[str, Task], folder: Path) -> list[Path]:
    """The splines of all maps beside the study's MACE, and what the least noisy linear force map gains over the sum."""
    written = []
    for order, (map, label) in enumerate(MAPS.items()):
        names = (f"{map}_splines", f"{map}_splines_optimal")
        if names[0] not in done:
            continue
        plain, best = (done[n][0]["results"] if n in done else None for n in names)
        manifest = {"runs": [done[n][0]["id"] for n in names if n in done]}
        said = f"{plain['train_frames']} frames to learn from, {plain['valid_frames']} held out"
        common = {"label": label, "order": order, "sampling": said, "manifest": manifest}
        kept = {k: v for k, v in plain.items() if k not in KEPT}
        written.append(folder / "splines" / f"{map}.json")
        comparisons.put(written[-1], common | {"table": kept | {"study_mace_mae": PUBLISHED[map][1][1]}})
        if best:
            table = {"train_frames": plain["train_frames"]}
            for key in FORCE_MAP_KEYS:
                table |= {f"sum_{key}": plain[key], f"optimal_{key}": best[key], f"gain_{key}": plain[key] / best[key]}
            for which, result in (("sum", plain), ("optimal", best)):
                table |= {f"{which}_{k}_error": result[f"{k}_error"] for k in FORCE_MAP_KEYS if f"{k}_error" in result}
            written.append(folder / "force_map_gain" / f"{map}.json")
            comparisons.put(written[-1], common | {"table": table})
    return written


def draw(folder: Path) -> list[Path]:
    """The pictures of the chapter from the tables."""
    written = []
    for name, picture in (("published", _published), ("learning_curves", _learning_curves), ("force_maps", _gain)):
        with plots.style():
            if figure := picture(folder):
                written.append(folder / f"{name}.png")
                figure.savefig(written[-1], dpi=130)
                plt.close(figure)
    return written


def _published(folder: Path):
    """MAE of ours beside the study's, map by map; none where only splines are there."""
    maps = [m for m in MAPS if m != "alanine" and list((folder / m).glob("*_nu*.json"))]
    if not maps:
        return None
    figure, axes = plt.subplots(1, len(maps), figsize=(3.6 * len(maps), 4.8), squeeze=False)
    for ax, map in zip(axes.flat, maps, strict=True):
        rows = (p for p in (folder / map).glob("*.json") if "_seed" not in p.stem)
        found = sorted((store.read_json(p) for p in rows), key=lambda r: r["order"])
        at = np.arange(len(found))
        value, error = ([r["table"][f"force_mae_meV_per_A{suffix}"] for r in found] for suffix in ("", "_error"))
        ax.errorbar(at, value, error, fmt="o", capsize=3, label="here")
        study = [r["table"].get("published_mae", np.nan) for r in found]
        ax.plot(at, study, "_", markersize=16, markeredgewidth=2, color=plots.REFERENCE_COLOUR, label="study")
        ax.set_xticks(at, [r["label"].removeprefix("MACE ") for r in found], rotation=60, ha="right")
        ax.set(title=MAPS[map], ylabel="force MAE (meV/Å)" if ax is axes.flat[0] else "")
        ax.margins(x=0.1)
    axes.flat[0].legend()
    return figure


def _learning_curves(folder: Path):
    """Held-out RMSE against frames, with the noise floor from neighbours where there is one."""
    found = sorted((folder / "noise_floor").glob("*.json"), key=lambda p: store.read_json(p)["order"])
    if not found:
        return None
    figure, axes = plt.subplots(1, len(found), figsize=(3.2 * len(found), 3.2), squeeze=False)
    for ax, path in zip(axes.flat, found, strict=True):
        result, arrays = store.read_json(path), store.read_npz(path.with_suffix(".npz"))
        rmse = [force_errors.rmse(e) for e in arrays["errors"]]
        ax.errorbar(arrays["n_frames"], [e.value for e in rmse], [e.error for e in rmse], fmt="o-", capsize=3)
        table = result["table"]
        for key, label, colour in (
            ("learning_curve_rmse", "its limit", plots.PALETTE[0]),
            ("neighbours_rmse", "from neighbours", plots.PALETTE[1]),
        ):
            if key in table:
                value, error = table[key], table[f"{key}_error"]
                ax.axhline(value, color=colour, linestyle="--", label=label)
                ax.axhspan(value - error, value + error, color=colour, alpha=0.2, linewidth=0)
        ax.set(xscale="log", title=result["label"], xlabel="training frames")
        ax.legend()
    axes.flat[0].set_ylabel("held-out force RMSE (meV/Å)")
    return figure


def _gain(folder: Path):
    """RMS of the mapped forces, and RMSE and MAE of the splines, from the sum and from the least noisy map."""
    found = sorted((store.read_json(p) for p in (folder / "force_map_gain").glob("*.json")), key=lambda r: r["order"])
    if not found:
        return None
    keys = {"mapped_force_rms_meV_per_A": "RMS of forces", "force_rmse_meV_per_A": "RMSE", "force_mae_meV_per_A": "MAE"}
    figure, axes = plt.subplots(1, len(found), figsize=(3.0 * len(found), 3.0), squeeze=False, sharey=True)
    for ax, result in zip(axes.flat, found, strict=True):
        at = np.arange(len(keys))
        for offset, which, label in ((-0.2, "sum", "plain sum"), (0.2, "optimal", "least noisy")):
            ax.bar(at + offset, [result["table"][f"{which}_{key}"] for key in keys], 0.36, label=label)
        ax.set_xticks(at, keys.values())
        ax.set_title(result["label"])
    axes.flat[0].set_ylabel("meV/Å")
    axes.flat[-1].legend()
    return figure
