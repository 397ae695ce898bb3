"""What the collections of finished runs share: their manifests and parameters, one table and arrays for each, read again."""

import shutil
from pathlib import Path

import nbformat
import numpy as np

from cgcore import store
from cgcore.book.run import EXECUTED
from cgcore.config import TrainConfig

FIT_KEYS = ("force_mae_meV_per_A", "force_rmse_meV_per_A", "updates", "updates_per_s")
OPTIMAL = "optimal forces"
"""What a run with `force_maps.optimised` is called."""

MODEL, MODELS = "model.npz", "models"
"""A trained network in its fit, by `potentials.saved`, and the folder of those that are published."""


def manifests(run: Path, kinds: tuple[str, ...] = ("fit", "md")) -> tuple[dict, ...]:
    """The manifests of the steps of one run, by default of its fit and its simulation. StoreError if it is not finished."""
    check_finished(run)
    made = store.read_json(run / "result.json")
    return tuple(store.read_json(run / kind / made[kind] / "manifest.json") for kind in kinds)


def check_finished(run: Path):
    """Raise StoreError for a folder without an executed notebook."""
    if not (run / EXECUTED).is_file():
        raise store.StoreError(f"{run}: want a finished run with {EXECUTED}; an unfinished one goes on when run again")


def parameters_of(run: Path) -> dict:
    """The notebook's parameters that made a finished run. StoreError if it is not finished."""
    return _record(run)["parameters"]


def wall_s(run: Path) -> float:
    """How long a finished run took from its first cell to its last, s. StoreError if it is not finished."""
    return _record(run)["wall_s"]


def _record(run: Path) -> dict:
    check_finished(run)
    return nbformat.read(run / EXECUTED, as_version=4).metadata["cgcore"]


def settings_of(runs: list[Path], setting) -> dict:
    """The runs by what `setting` makes of their parameters. StoreError for two of one, and for one that is not finished."""
    found = {}
    for run in runs:
        which = setting(parameters_of(run))
        if which in found:
            raise store.StoreError(f"{run} and {found[which]} are both {which.label}; want one of them")
        found[which] = run
    return found


def seed_words(parameters: dict) -> list[str]:
    """The seed in words, unless it is the usual one."""
    seed = parameters.get("seed", TrainConfig().seed)
    return [f"seed {seed}"] if seed != TrainConfig().seed else []


def write(folder: Path, stem: str, result: dict, arrays: dict) -> list[Path]:
    """Write a table and its arrays, these in single precision, which halves what a chapter keeps; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{stem}.json", folder / f"{stem}.npz"]
    store.write_json(paths[0], result)
    store.write_npz(paths[1], **{k: a.astype(np.float32) if a.dtype.kind == "f" else a for k, a in arrays.items()})
    return paths


def publish_model(run: Path, fit: dict, folder: Path, stem: str) -> list[Path]:
    """Put the trained network of a run's fit beside its table, models/<stem>.npz; nothing where there is none (splines)."""
    trained, path = run / "fit" / fit["id"] / MODEL, folder / MODELS / f"{stem}.npz"
    if not trained.is_file():
        return []
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(trained, path)
    return [path]


def read(paths, setting) -> dict:
    """Tables and arrays that `write` wrote, by the `setting` in their manifests (its keywords), in their order."""
    results = {path: store.read_json(path) for path in paths}
    found = {}
    for path in sorted(results, key=lambda p: (results[p]["order"], p.name)):
        raw = results[path]["manifest"]["setting"]
        which = setting(**raw | {"extras": tuple(raw["extras"])})
        found[which] = results[path]["table"], store.read_npz(path.with_suffix(".npz"))
    return found
