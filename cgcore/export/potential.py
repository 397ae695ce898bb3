"""A potential of any terms as two files: what each is built from, and their parameters."""

from pathlib import Path

import jax
import numpy as np

from ..potentials import barrier, priors, saved, splines
from ..potentials.base import Potential
from ..potentials.compiled import flat
from ..potentials.terms import Term
from ..store import load_tree, read_json, save_tree, write_json
from .source import ExportError

TERMS, PARAMS = "potential.json", "params.npz"


def write(folder: Path, potential: Potential, params):
    """Write potential.json and params.npz."""
    terms = flat(potential, params)
    write_json(folder / TERMS, [{"periodic": term.periodic, "model": term.identity} for term, _ in terms])
    save_tree(folder / PARAMS, [jax.tree.map(np.asarray, own) for _, own in terms])


def read(folder: Path) -> list[tuple[Potential, object]]:
    """The terms with their parameters. Raises ExportError for a kind that this version does not know."""
    models, params = read_json(folder / TERMS), load_tree(folder / PARAMS)
    built = [_build(model["model"], model["periodic"], folder / TERMS) for model in models]
    return list(zip(built, params, strict=True))


def _build(model: dict | list, periodic: bool, path: Path) -> Potential:
    parts = [dict(part) for part in (model if isinstance(model, list) else [model])]
    kind = {part.pop("kind") for part in parts}
    if kind == {"splines.Spline"}:
        each = [p | {"term": _term(p["term"]), "counts": np.array(p["counts"])} for p in parts]
        return splines.build(tuple(splines.Spline(**fields) for fields in each), liquid=periodic)
    if kind == {"priors.Harmonic"}:
        wells = [priors.Harmonic(_term(p["term"]), np.array(p["k"]), np.array(p["q0"])) for p in parts]
        return priors.build(*wells)
    if kind == {"barrier.Barrier"}:
        (fields,) = parts
        ranges = np.array(fields["ranges"], float)  # JSON has no infinity, by which empty ranges are marked
        ranges[np.isnan(ranges)] = np.inf
        return barrier.build(barrier.Barrier(**fields | {"species": tuple(fields["species"]), "ranges": ranges}))
    if len(kind) == 1 and (name := next(iter(kind)).split(".")[0]) in saved.KINDS:
        return saved.rebuilt(name, parts[0], path)[1]
    raise ExportError(f"{path}: potentials of {sorted(kind)}, which this version of cgcore does not know")


def _term(fields: list) -> Term:
    name, kind, members = fields
    return Term(name, kind, np.array(members, int))
