"""A trained network as one file: all that fixes it and its parameters, so that it moves on without being trained again."""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ..config import ConfigError, MACEConfig, NequIPConfig, from_dict
from ..store import load_tree, read_json, save_tree
from . import mace, nequip
from .base import Potential, PotentialError, differing

KINDS = {"mace": (mace, MACEConfig), "nequip": (nequip, NequIPConfig)}


def write(path: Path, model: mace.Model | nequip.Model, params) -> Path:
    """Write a trained network as an npz of its parameters with its model as JSON; the path."""
    kind = next(kind for kind, (module, _) in KINDS.items() if isinstance(model, module.Model))
    about = json.dumps({"kind": kind, "model": dataclasses.asdict(model)})
    save_tree(path, {"model": np.array(about), "params": jax.tree.map(np.asarray, params)})
    return Path(path)


def read(path: Path) -> tuple[mace.Model | nequip.Model, Potential, dict]:
    """The model, its potential, kJ/mol for positions in nm, and the trained parameters.

    Args:
        path: a file that `write` wrote, or the folder of a finished fit, fit/<id>.

    Raises:
        StoreError: a file that is not whole.
        PotentialError: a file of something else, of a kind or setting that this version does not know, or whose parameters
            are not those of its model.
    """
    about, trained = _of_fit(path) if Path(path).is_dir() else _of_file(path)
    model, potential = rebuilt(about["kind"], about["model"], path)
    if wrong := differing(jax.eval_shape(potential.init, jax.random.key(0)), trained):
        raise PotentialError(f"{path}: parameters that are not those of the model: {wrong} (name, wanted, found)")
    return model, potential, jax.tree.map(jnp.asarray, trained)


def rebuilt(kind: str, fields: dict, path: Path) -> tuple[mace.Model | nequip.Model, Potential]:
    """The model of plain values, as JSON has them, and its potential. Raises PotentialError as `read`, which names the path."""
    if kind not in KINDS:
        raise PotentialError(f"{path}: want a network of {sorted(KINDS)}, got {kind!r}")
    module, config = KINDS[kind]
    values = {name: _tuples(value) for name, value in fields.items()}
    try:
        model = module.Model(**values | {"config": from_dict(config, fields["config"])})
    except (ConfigError, TypeError) as error:
        raise PotentialError(f"{path}: written by another version of cgcore: {error}") from error
    return model, module.build(model)


def _of_file(path: Path) -> tuple[dict, dict]:
    tree = load_tree(path)
    if not isinstance(tree, dict) or tree.keys() != {"model", "params"}:
        raise PotentialError(f"{path}: want a trained network with its model, as potentials.saved.write leaves it")
    return json.loads(str(tree["model"])), tree["params"]


def _of_fit(folder: Path) -> tuple[dict, dict]:
    """A fit's folder holds its model as what names the run, and its parameters once."""
    if not (folder / "params.npz").is_file():
        raise PotentialError(f"{folder}: want the folder of a finished fit, which holds params.npz")
    identity = read_json(folder / "config.json")["config"]["potential"]
    if not isinstance(identity, dict):
        raise PotentialError(f"{folder}: want the fit of a network, found one of splines")
    fields = {name: value for name, value in identity.items() if name != "kind"}
    return {"kind": identity["kind"].split(".")[0], "model": fields}, load_tree(folder / "params.npz")["best"]


def _tuples(value):
    """JSON's lists as the tuples they were."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
