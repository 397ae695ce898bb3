"""A trained MACE as the words that engine.c reads: folded matrices, sparse polynomials, and its radial networks as they are."""

import jax
import numpy as np

from ...neighbors import closest
from ...potentials.barrier import Barrier
from ...potentials.base import Potential
from ...potentials.compiled import flat
from ...potentials.mace import Model
from ...potentials.mace.native.lanes import LANES
from ...potentials.mace.native.pack import SHORTEST, can_join
from ...potentials.mace.native.weights import weights
from ...potentials.mace.network import RADIAL_DEPTH
from ..source import ExportError

MAGIC = 0x43474D32
KNOTS = 512
MOST_BEADS = 256
ORDER = (
    ("species", "near", "mass", "embedding", "net0", "linear0", "terms0", "poly0", "coefficients", "ranges"),
    ("net1", "up", "paths", "coupled", "strengths", "linear1", "terms1", "poly1", "skip", "hidden", "readout"),
)
"""Arrays of one layer, and those that a second one adds."""


def words(potential: Potential, params, mass: np.ndarray, position: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The potential as 32-bit words, integers and floats, the last a checksum.

    Args:
        mass: (N,) g/mol. position: (C, N, 3) nm, whose shortest distance says where tables begin; box: (3,) nm, inf where
            not periodic.

    Raises:
        ExportError: a potential that engine.c does not know.
    """
    (term, trained), *others = flat(potential, params)
    model, barriers = term.model, tuple(other.model for other, _ in others)
    _require(model, barriers, box)
    with jax.enable_x64(True):
        of = weights(model, trained, 2, SHORTEST * float(closest(position, box).min()), barriers)
    c, two = model.config, model.config.layers == 2
    used = np.isfinite(of.ranges[..., 0]).any((0, 1))
    arrays = of._asdict() | {"mass": mass, "ranges": of.ranges[:, :, used], "strengths": of.strengths[0]}
    arrays |= {f"net{layer}": _radial_network(model, trained, layer) for layer in range(c.layers)}
    counts = (len(model.species), model.n_species, len(of.paths), len(of.terms0), len(of.terms1), len(of.coupled))
    sizes = (len(of.readout) if two else 0, int(used.sum()), c.n_bessel, model.n_radial - c.n_bessel, of.near.shape[1])
    sizes += (c.envelope_power, c.radial_width, KNOTS)
    period = np.where(np.isfinite(box), box, 0) if model.capacity else np.zeros(3)
    parts = [np.array(counts + sizes), np.array([of.grid[0], c.cutoff_nm, *period], float)]
    parts += [arrays[name] for name in (*ORDER[0], *(ORDER[1] if two else ()))]
    raw = [_plain(part).view(np.uint32).ravel() for part in parts]
    head = np.array([MAGIC, 3 + sum(map(len, raw))], np.uint32)
    body = np.concatenate([head, *raw])
    return np.append(body, checksum(body))


def checksum(body: np.ndarray) -> np.uint32:
    """FNV-1a over words."""
    value = 2166136261
    for word in body.tolist():
        value = (value ^ word) * 16777619 & 0xFFFFFFFF
    return np.uint32(value)


def _require(model, barriers: tuple, box: np.ndarray):
    """Raise ExportError for what engine.c does not know, and for boxes in which beads would see two images of one."""
    if not isinstance(model, Model):
        raise ExportError("web: want a MACE, got another potential; `--to ase` and `--to openmm` carry it")
    c = model.config
    for name, found, wanted in (
        ("channels", c.channels, (LANES,)),
        ("max_ell", c.max_ell, (3,)),
        ("layers", c.layers, (1, 2)),
        ("correlation", c.correlation, (1, 2, 3)),
    ):
        if found not in wanted:
            raise ExportError(
                f"web: want {name} of {' or '.join(map(str, wanted))}, got {found}; `--to ase` carries it"
            )
    for barrier in barriers:
        if not isinstance(barrier, Barrier) or not can_join(barrier, model):
            raise ExportError(
                "web: want no priors but barrier and repulsion within the network's cut-off; `--to ase` carries others"
            )
    if len(model.species) > MOST_BEADS:
        raise ExportError(f"web: want at most {MOST_BEADS} beads, got {len(model.species)}; `--to openmm` is for more")
    if model.capacity and np.min(box) < 2 * c.cutoff_nm:
        raise ExportError(f"web: want a box of at least {2 * c.cutoff_nm} nm, got {box.tolist()}")


def _radial_network(model: Model, params: dict, layer: int) -> np.ndarray:
    """Its matrices one after the other; paths in order of their harmonics, as the other arrays have them."""
    name = f"interactions.{layer}.conv_tp_weights.layer"
    *inner, last = (np.asarray(params[f"{name}{d}.weight"]) for d in range(RADIAL_DEPTH + 1))
    paths = model.paths(layer)
    order = sorted(range(len(paths)), key=lambda path: paths[path][1])
    last = last.reshape(len(last), len(paths), LANES)[:, order]
    return np.concatenate([w.ravel() for w in (*inner, last)])


def _plain(array: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    return np.ascontiguousarray(array, np.int32 if np.issubdtype(array.dtype, np.integer) else np.float32)
