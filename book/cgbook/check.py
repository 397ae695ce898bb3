"""Published numbers computed again from published curves: what a reader can verify without running anything.

Of every run with curves: symmetries and shares of a Ramachandran surface, divergences of distributions and errors of g beside
those of its reference, force errors of the held-out frames, barriers of inversion; what runs of the blind test say by the
rule, and what follows from them. Of every run: that it has a manifest.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cgbook import blind
from cgbook.results import PARTS, Chapter, ResultError, Row, load
from cgcore.analysis import force_errors
from cgcore.analysis.ramachandran import BINS
from cgcore.analysis.surface import asymmetry, exchanged, jensen_shannon, reflected
from cgcore.metadynamics import barrier
from cgcore.store import read_npz

RELATIVE, ABSOLUTE = 1e-3, 1e-6
"""How far a number may be from its recomputation, for curves are in single precision."""
KELVIN = 300.0
"""Of all inversions."""
IMAGES = {
    "point_symmetry": reflected,
    "chain_symmetry": exchanged,
    "mirror_chain_symmetry": lambda P: exchanged(reflected(P)),
}


class Checked(NamedTuple):
    """A published number beside its recomputation."""

    chapter: str
    run: str
    quantity: str
    published: float | str
    again: float | str

    @property
    def agrees(self) -> bool:
        if isinstance(self.published, str):
            return self.again == self.published
        return bool(np.isclose(self.again, self.published, rtol=RELATIVE, atol=ABSOLUTE))


def check(results: Path) -> tuple[list[Checked], list[str]]:
    """Every number that can be computed again, and the runs without a manifest."""
    chapters = [load(path.parent) for path in sorted(results.glob("*/runs.json"))]
    bare = [f"{c.name}/{run}" for c in chapters for run in c.runs if not c.path("manifests", run).is_file()]
    return [checked for c in chapters for of in (_of_chapter, _of_blind_test) for checked in of(c)], bare


def _of_chapter(chapter: Chapter) -> Iterator[Checked]:
    for run, rows in chapter.rows.items():
        path = chapter.path("curves", run)
        if not path.is_file():
            continue
        curves = {name: np.asarray(a, float) for name, a in read_npz(path).items() if a.dtype.kind in "fiu"}
        again = _of_surface(curves) | _of_distributions(curves, _reference(chapter, run), rows) | _of_errors(curves)
        if "transitions" in rows:
            again |= _of_barrier(curves, rows)
        for quantity, value in again.items():
            published = rows[quantity].value if quantity in rows else None
            if isinstance(published, int | float):
                yield Checked(chapter.name, run, quantity, float(published), float(value))


def _of_blind_test(chapter: Chapter) -> Iterator[Checked]:
    """What each run and its seeds say, and the counts of the matrix."""
    judged, counts, again = blind.words_of(chapter), Counter(), {}
    for run, about in chapter.runs.items():
        if about["kind"] == "blind_run":
            again[run] = {"observed": blind.judge(blind.row_of(chapter, run))}
        if about["kind"] == "blind":
            again[run] = {"observed": blind.agreed(judged[about["config"]["case"], about["config"]["question"]])}
            counts[chapter.rows[run]["expected"].value, again[run]["observed"]] += 1
    again |= {run: blind.matrix(counts) for run, about in chapter.runs.items() if about["kind"] == "blind_counts"}
    for run, table in again.items():
        for name, value in table.items():
            yield Checked(chapter.name, run, name, chapter.rows[run][name].value, value)


def _of_surface(curves: dict) -> dict[str, float]:
    """Symmetries in the bins of the analysis, and the share of phi > 0, of P (phi, psi)."""
    if "P" not in curves:
        return {}
    P, fine = curves["P"], len(curves["P"]) // BINS
    coarse = P.reshape(BINS, fine, BINS, fine).sum((1, 3))
    shares = {"phi_positive": P[len(P) // 2 :].sum() / P.sum()}
    return shares | {name: asymmetry(coarse, image) for name, image in IMAGES.items()}


def _reference(chapter: Chapter, run: str) -> dict[str, np.ndarray]:
    """Curves of the reference of a simulation, by its map; empty without one."""
    config = chapter.runs[run]["config"]
    wanted = {key: config.get(f"data.{key}") for key in ("reference", "map", "typing", "residue")}
    if chapter.runs[run]["kind"] != "simulation":
        return {}
    for query in (wanted, {"map": wanted["map"]}):
        try:
            path = chapter.path("curves", chapter.one(kind="reference", **query))
        except ResultError:
            continue
        return {name: np.asarray(a, float) for name, a in read_npz(path).items()} if path.is_file() else {}
    return {}


def _of_distributions(ours: dict, theirs: dict, rows: dict[str, Row]) -> dict[str, float]:
    """Divergences of densities in the same bins, and the mean square error of g in 10^-3."""
    again = {}
    for name in ours.keys() & theirs.keys():
        if f"{name}_js" in rows and f"{name}_edges" in ours and ours[name].shape == theirs[name].shape:
            again[f"{name}_js"] = jensen_shannon(*(_binned(d[name], ours[f"{name}_edges"]) for d in (ours, theirs)))
        if f"{name}_mse_all" in rows:
            again[f"{name}_mse_all"] = 1e3 * np.square(ours[name] - theirs[name]).mean()
    return again


def _binned(density: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Shares of the bins (M,) and, last, of what lies outside, which counts in the norm of a density."""
    inside = density * np.diff(edges)
    return np.append(inside, max(0.0, 1 - inside.sum()))


def _of_errors(curves: dict) -> dict[str, float]:
    """MAE and RMSE from the mean absolute and square error of each held-out frame."""
    if "errors" not in curves:
        return {}
    pair = ("mae", force_errors.mae), ("rmse", force_errors.rmse)
    return {f"force_{name}_meV_per_A": f(curves["errors"]).value for name, f in pair}


def _of_barrier(curves: dict, rows: dict[str, Row]) -> dict[str, float]:
    """The barrier and the passage time of an inversion, from the free energies of its runs."""
    crossed = np.array([int(n) for n in str(rows["transitions"].value).split(",")])
    if not crossed.any():
        return {}
    found = barrier.transition(curves["points"], curves["F_runs"], crossed, rows["speed"].value, KELVIN)
    return {name: found[name] for name in ("barrier_kcal_mol", "log10_passage_time_s")}


def say(results: Path) -> tuple[str, bool]:
    """What `cgcore check-results` prints, and whether all is well."""
    found, bare = check(results)
    wrong = [c for c in found if not c.agrees]
    files = sum(len(list(results.glob(f"*/{part}/*{end}"))) for part, end in PARTS.items())
    lines = [f"{len(found)} published numbers computed again from {files} files; {len(found) - len(wrong)} agree"]
    lines += [
        f"✗ {c.chapter}/{c.run} {c.quantity}: published {_told(c.published)}, again {_told(c.again)}" for c in wrong
    ]
    lines += [f"✗ {name}: no manifest" for name in bare]
    return "\n".join(lines), not wrong and not bare


def _told(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"
