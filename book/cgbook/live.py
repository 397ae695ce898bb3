"""Models that run in a page: a script for each network that panels.toml names, with the reference that lies over what it does."""

from pathlib import Path

from cgbook import small_box
from cgbook.results import BOOK, Chapter, ResultError, load
from cgcore.export.load import load as loaded
from cgcore.export.source import find
from cgcore.export.web import page
from cgcore.export.web.model import model, script
from cgcore.steps import WALK_FRICTION_PER_PS
from cgcore.store import read_toml

FOLDER = "live"
TEMPERATURE_K = 300.0
"""Of the references."""
REFERENCE = "hexane"
"""The bundled set by which walls of the priors are found; networks may have learnt from more frames."""
DISTANCES = (0.2, 0.8, 60)
"""nm, nm and bins of `pairs.js`."""


def networks(chapter: str) -> dict[str, str]:
    """Label of a network -> label of its reference."""
    return read_toml(BOOK / "figures" / "panels.toml").get(chapter, {}).get("live", {})


def path(chapter: Chapter, label: str) -> Path:
    return chapter.folder / FOLDER / f"{label}.js"


def write(chapter: Chapter) -> list[Path]:
    """Write the scripts of a chapter whose runs are there, but those that are there of the same run; the paths.

    Friction is that of walks, by which barriers are passed soonest; populations do not depend on it.
    """
    missing = {label: reference for label, reference in networks(chapter.name).items() if not _written(chapter, label)}
    if not missing:
        return []
    more = _liquids(chapter, missing) if chapter.name == "hexane" else _molecules(chapter, missing)
    (chapter.folder / FOLDER).mkdir(exist_ok=True)
    for label, (fields, beside) in more.items():
        text = script(label, fields | {"run": chapter.run(label)})
        path(chapter, label).write_text(text + page.beside(label, **beside), encoding="utf-8")
    return [path(chapter, label) for label in more]


def _written(chapter: Chapter, label: str) -> bool:
    """Whether there is nothing to do: the script is there, or the run is not."""
    try:
        run = chapter.run(label)
    except ResultError as missing:
        print(f"{label}.js: not written, {missing}", flush=True)
        return True
    there = path(chapter, label)
    return there.is_file() and f'"run":"{run}"' in there.read_text(encoding="utf-8")


def _molecules(chapter: Chapter, labels: dict[str, str]) -> dict:
    """Label -> fields of the model, and what stands beside it: the contours of its reference, and the share at phi > 0."""
    references, out = load(BOOK / "results" / "reference"), {}
    for label, of in labels.items():
        curves = references.curves(of)
        contours = page.contours(curves["P"], curves["edges"], TEMPERATURE_K)
        lines = {"contours": contours, "phiPositive": references.value(of, "phi_positive")}
        source = loaded(find(chapter.model(label)))
        out[label] = model(source, label), {"reference": lines, "frictionPerPs": WALK_FRICTION_PER_PS}
    return out


def _liquids(chapter: Chapter, labels: dict[str, str]) -> dict:
    """The same of a liquid of pairs in a small box; all models begin where the one that knows its bonds has been."""
    small = {label: small_box.load_small(chapter.model(label), REFERENCE) for label in networks(chapter.name)}
    start = small_box.starts(next(of for of in small.values() if of.config.potential.bond_types))
    out = {}
    for label, reference in labels.items():
        curves = chapter.curves(reference)
        P, edges = curves["bond_AA"], curves["bond_AA_edges"]
        lines = {"distance": small_box.distances(P, edges, TEMPERATURE_K, *DISTANCES)}
        numbers = {"dtPs": small_box.DT_PS, "frictionPerPs": WALK_FRICTION_PER_PS}
        beside = numbers | {"reference": lines, "longestNm": float(edges[1:][P > 0].max())}
        out[label] = model(small[label]._replace(start=start), label), beside
    return out
