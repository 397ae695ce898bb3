"""Models that run in a page: a script for each network that panels.toml names, with the reference that lies over its surface."""

from pathlib import Path

from cgbook.results import BOOK, Chapter, ResultError, load
from cgcore.export.web import model_script, page
from cgcore.steps import WALK_FRICTION_PER_PS
from cgcore.store import read_toml

FOLDER = "live"
TEMPERATURE_K = 300.0
"""Of the references."""


def networks(chapter: str) -> dict[str, str]:
    """Label of a network -> label in the chapter `reference`."""
    return read_toml(BOOK / "figures" / "panels.toml").get(chapter, {}).get("live", {})


def path(chapter: Chapter, label: str) -> Path:
    return chapter.folder / FOLDER / f"{label}.js"


def write(chapter: Chapter) -> list[Path]:
    """Write the scripts of a chapter whose runs are there, but those that are there of the same run; the paths.

    Friction is that of walks, by which barriers are passed soonest; populations do not depend on it.
    """
    written = []
    for label, reference in networks(chapter.name).items():
        script = path(chapter, label)
        try:
            run = chapter.run(label)
        except ResultError as missing:
            print(f"{script.name}: not written, {missing}", flush=True)
            continue
        if script.is_file() and f'"run":"{run}"' in script.read_text(encoding="utf-8"):
            continue
        text = model_script(chapter.model(label), label)
        script.parent.mkdir(exist_ok=True)
        more = {"reference": surface(reference), "frictionPerPs": WALK_FRICTION_PER_PS}
        script.write_text(text + page.beside(label, **more), encoding="utf-8")
        written.append(script)
    return written


def surface(label: str) -> dict:
    """The contours of a reference, and its share at phi > 0."""
    references = load(BOOK / "results" / "reference")
    curves = references.curves(label)
    lines = page.contours(curves["P"], curves["edges"], TEMPERATURE_K)
    return {"contours": lines, "phiPositive": references.value(label, "phi_positive")}
