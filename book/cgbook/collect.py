"""From finished observations to the results of a chapter: rows, curves, manifests, networks; then its figures."""

import runpy
from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from cgbook import drawing, views
from cgbook.results import BOOK, Chapter, ResultError, flat, load, save
from cgcore import plots
from cgcore.potentials import saved
from cgcore.store import StoreError, read_json, read_npz, read_toml

DPI = 130
COST = ("training_s", "simulation_s", "updates", "s_per_epoch", "memory_GB")


def collect(observed: list[Path], folder: Path, *, replace: bool = False) -> list[Path]:
    """Add finished observations, folders <out>/<system>/<id>, to the results of a chapter, and draw its figures.

    A run that is there is left as it is: its name says all that it depends on. One of the same configuration that other
    data or kernels made is refused, since no label could tell the two apart, unless `replace` takes it out.

    Raises StoreError for a folder that is not a finished observation, and for a configuration that is there.
    """
    chapter, written = load(folder), []
    for path in observed:
        if not (path / "manifest.json").is_file():
            raise StoreError(f"{path}: want a finished observation, runs/<system>/<id>, with its manifest.json")
        made = read_json(path / "manifest.json", "id", "config", "data", "made_of", "results")
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


def sampling(manifest: dict) -> str:
    """What the numbers rest on, in words."""
    results, md = manifest["results"], manifest["config"]["md"]
    length_ps = md["n_frames"] * md["steps_per_frame"] * md["dt_ps"]
    words = f"{md['replicas']} replicas of {length_ps:g} ps"
    excluded = results.get("n_frames_excluded")
    frames = md["replicas"] * md["n_frames"]
    return words if excluded is None else f"{words}, {excluded} of {frames} frames excluded"


def draw(chapter: Chapter) -> list[Path]:
    """Draw every figure of the chapter for which there are results; the paths."""
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
    return written


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
