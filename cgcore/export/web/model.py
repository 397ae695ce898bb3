"""Model files of pages: NAME.js, a classic script that puts a model with its start and its weights on `CgModels`."""

import base64
import json
import re

import jax
import numpy as np

from ...store import data_hash
from ..load import Source, exact
from ..source import ExportError
from .weights import words

NAME = re.compile(r"[A-Za-z_]\w*")


def script(name: str, fields: dict) -> str:
    """A model as a script. Raises ExportError for a name that is none in JavaScript."""
    if not NAME.fullmatch(name):
        raise ExportError(f"want a name of letters, digits and underscores for a model file, got {name!r}")
    text = json.dumps(fields, allow_nan=False, separators=(",", ":"))
    return f"(self.CgModels ??= {{}}).{name} = {text};\n"


def model(source: Source, title: str) -> dict:
    """What a page needs of a potential, as plain values.

    Positions are flat, (3 N,) nm; starts has several, by the hand of the molecule where it has one: D is the mirror image of
    what was sampled, L. check: energy and forces of the first start, in double precision.
    """
    config, molecule = source.config, source.molecule
    start = source.start if molecule.liquid else source.start - source.start.mean(1, keepdims=True)
    start = np.asarray(start, np.float32).astype(float)
    energy, force = exact(source._replace(start=start[:1]))
    mirrored = start * np.array([-1.0, 1.0, 1.0])
    starts = {"L": start, "D": mirrored} if source.handed else {"start": start}
    binary = words(source.potential, source.params, molecule.mass, start, molecule.box).astype("<u4").tobytes()
    return {
        "title": title,
        "system": config.system,
        "map": config.data.map,
        "typing": config.data.typing,
        "symmetry": config.potential.symmetry,
        "names": list(molecule.names),
        "species": list(source.labels),
        "mass": _rounded(molecule.mass, 5),
        "bonds": np.asarray(molecule.bonds, int).tolist(),
        "box": _rounded(molecule.box, 7) if molecule.liquid else None,
        "dtPs": config.md.dt_ps,
        "frictionPerPs": config.md.friction_per_ps,
        "temperatureK": config.md.temperature_K,
        "starts": {hand: [_rounded(frame, 7) for frame in frames] for hand, frames in starts.items()},
        "dihedrals": {name: list(map(int, four)) for name, four in source.dihedrals.items()},
        "check": {"position": _rounded(start[0], 7), "energy": float(energy[0]), "force": _rounded(force[0], 4)},
        "parameters": data_hash(*map(np.asarray, jax.tree.leaves(source.params))),
        "weights": base64.b64encode(binary).decode(),
    }


def _rounded(values: np.ndarray, digits: int) -> list[float]:
    return np.asarray(values, float).round(digits).ravel().tolist()
