"""The page element in which a model runs: its files, and the reference's contours that lie over its surface."""

import base64
import html
import json
from importlib import resources

import contourpy
import numpy as np
from scipy.ndimage import gaussian_filter

from ...units import kT

PARTS = ("engine", "measure", "tally", "pairs", "molecule", "surface", "peptide", "liquid", "panel", "run", "live")
"""Scripts in the order in which each needs those before it."""
WORKER = ("engine", "measure", "worker")
LEVELS = (5.0, 10.0, 15.0)
"""kJ/mol of the reference's contours."""
SMOOTH = 0.5
"""Bins, the width of the Gaussian that takes the sampling noise off the contours."""
SPECK = 9
"""Points of the longest line that is left out: it goes round one bin, which a frame or two visited."""
SMALLEST = 1e-9
"""Of the largest probability, where the logarithm ends; far beyond the highest contour."""


def files() -> dict[str, str]:
    """Name -> text of what every model needs: the element, its style, and the engine as a page can hand it to a worker."""
    folder = resources.files(__package__)
    text = {name: folder.joinpath(f"{name}.js").read_text(encoding="utf-8") for name in {*PARTS, *WORKER}}
    wasm = base64.b64encode(folder.joinpath("engine.wasm").read_bytes()).decode()
    worker = json.dumps("\n".join(text[name] for name in WORKER))
    return {
        "live.js": "\n".join(text[name] for name in PARTS),
        "live.css": folder.joinpath("live.css").read_text(encoding="utf-8"),
        "engine.wasm.js": f'CgWasm = "{wasm}";\nCgWorker = {worker};\n',
    }


def index(title: str, name: str) -> str:
    """The text of index.html beside `files` and the script of one model: the element alone."""
    models = html.escape(json.dumps({name: title}))
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{html.escape(title)}</title>
<link rel="stylesheet" href="live.css">
<body style="font-family: sans-serif; max-width: 50rem; margin: 1rem auto; padding: 0 1rem">
<h1>{html.escape(title)}</h1>
<figure class="cg-live" data-folder="./" data-models="{models}"><p>This page wants a browser with WebAssembly.</p></figure>
<script src="live.js"></script>
"""


def contours(P: np.ndarray, edges: np.ndarray, temperature_K: float) -> dict[str, list[list[int]]]:
    """Lines of equal free energy of a distribution P (M, M) over phi and psi, edges (M + 1,) in rad, smoothed by SMOOTH bins.

    Returns kJ/mol -> lines, each phi, psi, phi, psi, ... in whole degrees, cut at the edge of the map.
    """
    middle = np.degrees(edges[:-1] + edges[1:]) / 2
    smooth = gaussian_filter(np.asarray(P, float), SMOOTH, mode="wrap")
    F = -kT(temperature_K) * np.log(np.maximum(smooth / smooth.max(), SMALLEST))
    around = np.pad(F, 1, mode="wrap")
    at = np.concatenate([[middle[-1] - 360], middle, [middle[0] + 360]])
    lines = contourpy.contour_generator(at, at, around.T)
    kept = {f"{level:g}": [line for line in lines.lines(level) if len(line) > SPECK] for level in LEVELS}
    return {level: [np.round(line).astype(int).ravel().tolist() for line in several] for level, several in kept.items()}


def beside(name: str, **more) -> str:
    """What follows a model's script to give it more: `reference` to compare with ({contours, phiPositive}: the share at phi > 0),
    another `frictionPerPs`."""
    return f"Object.assign(CgModels.{name}, {json.dumps(more, separators=(',', ':'))});\n"
