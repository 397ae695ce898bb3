"""From finished observations to the results of a chapter: rows, curves, manifests, networks; then its figures."""

import json
import runpy
from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from cgbook import drawing, live, views
from cgbook.results import BOOK, Chapter, ResultError, flat, load, save
from cgcore import acceptance, plots, reweighting, steps
from cgcore.potentials import saved
from cgcore.reference import sets
from cgcore.store import StoreError, read_json, read_npz, read_toml
from cgcore.store.files import digest

DPI = 130
LEARNT = ("force_mae_meV_per_A", "force_rmse_meV_per_A", "updates", "training_s")
COST = ("training_s", "simulation_s", "updates", "s_per_epoch", "memory_GB")


TESTED = {"acceptance": acceptance.FILE, "reweighted": reweighting.FILE}
"""Kinds of runs that hold what a command found of an observation, and its file."""
TESTS = {
    "depth against the reference": "depth_kJ_mol",
    "second half less first": "halves",
    "depth less that of the walked": "less_walked_kJ_mol",
    "started inside less outside, second half": "starts",
    "failed replicas": "failed",
    "extrapolating frames": "extrapolating",
    "heating at constant energy": "heating_K",
}
"""Quantities of the tests."""


def collect(observed: list[Path], folder: Path, *, replace: bool = False, tests_only: bool = False) -> list[Path]:
    """Add finished observations, folders <out>/<system>/<id>, to the results of a chapter, and draw its figures.

    A run that is there is left as it is: its name says all that it depends on. One of the same configuration that other
    data or kernels made is refused, since no label could tell the two apart, unless `replace` takes it out. What
    `cgcore accept` and `cgcore reweight` found of an observation are runs of their own; tests_only adds nothing else.

    Raises StoreError for a folder that is not a finished observation, and for a configuration that is there.
    """
    chapter, written = load(folder), []
    for path in observed:
        if not (path / "manifest.json").is_file():
            raise StoreError(f"{path}: want a finished observation, runs/<system>/<id>, with its manifest.json")
        made = read_json(path / "manifest.json", "id", "config", "data", "made_of", "results")
        tests = [kind for kind, file in TESTED.items() if (path / file).is_file()]
        for kind in tests:
            _put_tests(chapter, kind, made, read_json(path / TESTED[kind], "against", "tests"), replace)
        if tests_only:
            if not tests:
                raise StoreError(f"{path}: want what `cgcore accept` or `cgcore reweight` finds, got none of {TESTED}")
            continue
        curves = read_npz(path / "curves.npz")
        ours = {name: array for name, array in curves.items() if not name.startswith("reference_")}
        theirs = {name.removeprefix("reference_"): array for name, array in curves.items() if name not in ours}
        theirs |= {name: array for name, array in ours.items() if name == "r" or name.endswith("edges")}
        about = {"kind": "simulation", "config": flat(made["config"]), "sampling": sampling(made)}
        about["cost"] = {name: made["results"][name] for name in COST if made["results"].get(name) is not None}
        manifest = {name: value for name, value in made.items() if name != "results"}
        chapter.put(made["id"], about, made["results"], manifest, ours, replace)
        if made["config"]["potential"]["potential"] != "spline":
            model, _, params = saved.read(path.parents[1] / "fit" / made["made_of"]["fit"])
            (folder / "models").mkdir(exist_ok=True)
            saved.write(chapter.path("models", made["id"]), model, params)
        if table := read_json(path / "reference.json"):
            data = {name: made["config"]["data"][name] for name in ("reference", "residue", "map", "typing")}
            about = {"kind": "reference", "config": flat({"data": data}), "sampling": "", "cost": {}}
            earlier = next((k for k, run in chapter.runs.items() if _is_reference_of(run, about["config"])), None)
            if earlier is None or replace:
                name, about = earlier or made["data"]["compared"], chapter.runs.get(earlier, about)
                chapter.put(name, about, table, {"data": made["data"]}, theirs)
        written += views.write(made, path.parents[1], folder, replace=replace)
    save(chapter)
    return written + draw(load(folder))


def _put_tests(chapter: Chapter, kind: str, made: dict, found: dict, replace: bool):
    """Take in tests of an observation, each with its number, verdict and share, and what the training rests on."""
    learnt, given = made["config"]["data"]["reference"], {k: found[k] for k in ("verdict", "walked") if k in found}
    table = dict(given)
    for test in found["tests"]:
        where, _, end = test["name"].rpartition(": ")
        place = where.replace(": ", "_").replace(" ", "_")
        name = "_".join(filter(None, (place, TESTS.get(end, end.replace(" ", "_")))))
        table |= {name: test["value"], f"{name}_error": test["error"], f"{name}_verdict": test["verdict"]}
        for whose, share in ((place, test["ours"]), (f"reference_{place.partition('_')[2]}", test["theirs"])):
            table |= {} if share is None else {whose: share[0], f"{whose}_error": share[1]}
    table |= {name: made["results"][name] for name in LEARNT if name in made["results"]}
    table["atomistic_ns"] = sets.length_ns(learnt)
    length = found.get("walk_ps", acceptance.WALK_PS)
    walks = f"{acceptance.WALKS} walks of {length:g} ps, of which the first {steps.FILLING_PS:g} ps do not count"
    about = {
        "kind": kind,
        "config": flat(made["config"] | {"against": found["against"]}),
        "sampling": walks if kind == "acceptance" else f"the same {walks}, reweighted",
        "cost": {name: made["results"][name] for name in COST if made["results"].get(name) is not None},
    }
    run = digest(json.dumps([kind, made["id"], found["against"]]).encode())
    manifest = {name: value for name, value in made.items() if name != "results"} | {"against": found["against"]}
    chapter.put(run, about, table, manifest, None, replace)


def sampling(manifest: dict) -> str:
    """What the numbers rest on, in words."""
    results, md = manifest["results"], manifest["config"]["md"]
    length_ps = md["n_frames"] * md["steps_per_frame"] * md["dt_ps"]
    words = f"{md['replicas']} replicas of {length_ps:g} ps"
    excluded = results.get("n_frames_excluded")
    frames = md["replicas"] * md["n_frames"]
    return words if excluded is None else f"{words}, {excluded} of {frames} frames excluded"


def draw(chapter: Chapter) -> list[Path]:
    """Draw every figure of the chapter for which there are results, and write its scripts of models; the paths."""
    written = []
    for name, figure_of in figures(chapter.name).items():
        try:
            with plots.style():
                figure = figure_of(chapter)
        except ResultError as missing:
            print(f"{name}: not drawn, {missing}", flush=True)
            continue
        written.append(chapter.folder / f"{name}.png")
        figure.savefig(written[-1], dpi=DPI)
        plt.close(figure)
    return written + live.write(chapter)


def figures(chapter: str) -> dict[str, Callable[[Chapter], Figure]]:
    """What draws each figure of a chapter: `draw` of `figures/<chapter>_<name>.py`, or an entry of panels.toml.

    It returns a figure, or raises ResultError where a label has no run yet.
    """
    draws = {}
    for path in sorted((BOOK / "figures").glob(f"{chapter}_*.py")):
        draws[path.stem.removeprefix(f"{chapter}_")] = runpy.run_path(str(path))["draw"]
    panels = read_toml(BOOK / "figures" / "panels.toml").get(chapter, {})
    draws |= {name: partial(drawing.surfaces, places=rows) for name, rows in panels.get("surfaces", {}).items()}
    return draws | {name: partial(drawing.maps, **table) for name, table in panels.get("maps", {}).items()}


def _is_reference_of(run: dict, config: dict) -> bool:
    """Whether a run holds the reference's own numbers; maps that share them are not told apart."""
    return run["kind"] == "reference" and all(config.get(name) == value for name, value in run["config"].items())
