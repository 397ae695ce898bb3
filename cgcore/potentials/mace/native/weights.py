"""From trained parameters to what the loops of `kernel.py` read: tables, folded matrices, sparse polynomials.

Linear maps that follow each other are multiplied once, in double precision; the radial networks become tables; of the
species only their own matrices are kept.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..couplings import clebsch_gordan, contraction_monomials
from ..network import RADIAL_DEPTH, SILU_GAIN, Model, radial_basis, radial_net
from .kernel import SPHERICAL
from .lanes import LANES


class Weights(NamedTuple):
    """The arguments of `kernel.evaluate` that do not change from frame to frame, in its order."""

    species: np.ndarray  # (N,)
    embedding: np.ndarray  # (S, LANES)
    table0: np.ndarray  # (knots - 1, 4, 4, LANES)
    table1: np.ndarray  # (knots - 1, 4, P, LANES)
    grid: np.ndarray  # first knot and step in sqrt(nm), cut-off
    linear0: np.ndarray  # (S, 4, LANES, LANES)
    linear0_t: np.ndarray
    terms0: np.ndarray  # (T, 4)
    poly0: np.ndarray  # (S, T, LANES)
    up: np.ndarray  # (2, LANES, LANES)
    up_t: np.ndarray
    paths: np.ndarray  # (P, 6), none for one layer
    pairs: np.ndarray
    ends: np.ndarray
    couplings: np.ndarray
    strengths: np.ndarray
    linear1: np.ndarray  # (P, LANES, LANES)
    linear1_t: np.ndarray
    terms1: np.ndarray
    poly1: np.ndarray
    coefficients: np.ndarray  # (1, LANES)
    skip: np.ndarray  # (S, H, LANES)
    hidden: np.ndarray  # (H, LANES)
    readout: np.ndarray  # (H,)


def weights(model: Model, params: dict, knots: int, shortest_nm: float) -> Weights:
    """Weights of a model with one or two layers and LANES channels, its radial functions at `knots` distances.

    shortest_nm: the distance of the first knot, below which radial functions stay as they are there.
    """
    c, n_species = model.config, model.n_species
    p = {name: np.asarray(value, np.float64) for name, value in params.items()}
    roots = np.linspace(math.sqrt(shortest_nm), math.sqrt(c.cutoff_nm), knots)
    embedding = p["node_embedding.linear.weight"].reshape(n_species, LANES) / math.sqrt(n_species)
    embedding = embedding @ _square(p["interactions.0.linear_up.weight"])[0]
    first = _square(p["interactions.0.linear.weight"]) / model.mean_neighbours
    by_species = p["interactions.0.skip_tp.weight"].reshape(4, LANES, n_species, LANES)
    linear0 = np.einsum("eab,ebsc->seac", first, by_species / math.sqrt(LANES * n_species))
    terms0, poly0 = _polynomial(model, p, 0)
    product = _square(p["products.0.linear.weight"])
    common = dict(
        species=np.array(model.species, np.int32),
        embedding=embedding,
        table0=_table(model, p, 0, roots),
        grid=np.array([roots[0], roots[1] - roots[0], c.cutoff_nm]),
        linear0=linear0,
        linear0_t=linear0.swapaxes(-1, -2),
        terms0=terms0,
        poly0=poly0,
        coefficients=(model.energy_scale / math.sqrt(LANES) * product[0] @ p["readouts.0.linear.weight"])[None],
    )
    second = _second(model, p, roots, product) if c.layers == 2 else _no_second()
    return Weights(**{name: _plain(array) for name, array in (common | second).items()})


def _second(model: Model, p: dict, roots: np.ndarray, product: np.ndarray) -> dict:
    c, n_species = model.config, model.n_species
    up = product @ _square(p["interactions.1.linear_up.weight"])
    terms, poly = _polynomial(model, p, 1)
    read = p["readouts.1.linear_1.weight"].reshape(LANES, c.readout_width) / math.sqrt(LANES)
    kept = p["interactions.1.skip_tp.weight"].reshape(LANES, n_species, LANES) / math.sqrt(LANES * n_species)
    skip = np.einsum("ab,bsc,ch->sha", product[0], kept, read)
    hidden = (_square(p["products.1.linear.weight"])[0] @ read).T
    readout = model.energy_scale * SILU_GAIN / math.sqrt(c.readout_width) * p["readouts.1.linear_2.weight"]
    return (
        dict(table1=_table(model, p, 1, roots), up=up, up_t=up.swapaxes(-1, -2), terms1=terms, poly1=poly)
        | dict(skip=skip, hidden=hidden, readout=readout)
        | _paths(model, p["interactions.1.linear.weight"] / model.mean_neighbours)
    )


def _no_second() -> dict:
    floats = dict.fromkeys(
        ("table1", "up", "up_t", "linear1", "linear1_t", "poly1", "skip"), np.zeros((1, 1, LANES, LANES))
    )
    whole = dict(paths=(0, 6), pairs=(0, 2), couplings=(0, 2), terms1=(0, 4), ends=(SPHERICAL,))
    return (
        floats
        | dict(hidden=np.zeros((1, LANES)), readout=np.zeros(1), strengths=np.zeros(1))
        | {name: np.zeros(shape, np.int32) for name, shape in whole.items()}
    )


def _paths(model: Model, linear: np.ndarray) -> dict:
    """The paths of the second layer, where each has its rows, and its part of the linear map that follows."""
    paths, couplings, strengths, matrices = [], [], [], []
    counts = {ell: sum(path[2] == ell for path in model.paths(1)) for ell in range(4)}
    blocks = np.split(linear.reshape(-1, LANES), np.cumsum([counts[ell] * LANES for ell in range(3)]))
    rows = np.zeros(3, int)  # of what is sent, of sums over neighbours, of coupled ones
    for l1, l2, l3 in model.paths(1):
        paths.append((l1, l2, l3, *rows))
        coupling = np.sqrt(2 * l3 + 1) * clebsch_gordan(l1, l2, l3)
        for a, b, out in np.argwhere(np.abs(coupling) > 1e-12):
            couplings.append((rows[2] + out, rows[1] + a * (2 * l2 + 1) + b))
            strengths.append(coupling[a, b, out])
        number = sum(path[2] == l3 for path in paths) - 1
        matrices.append(blocks[l3][number * LANES : (number + 1) * LANES] / math.sqrt(counts[l3] * LANES))
        rows += np.array([2 * l1 + 1, (2 * l1 + 1) * (2 * l2 + 1), 2 * l3 + 1])
    pairs, ends = [], []
    for m in range(SPHERICAL):
        for l1, l2, _, sent, summed, _ in paths if m else ():
            if l2 == math.isqrt(m):
                pairs += [(sent + a, summed + a * (2 * l2 + 1) + m - l2**2) for a in range(2 * l1 + 1)]
        ends.append(len(pairs))
    integers = dict(paths=paths, pairs=pairs, ends=ends, couplings=couplings)
    matrices = np.stack(matrices)
    return {name: np.array(value, np.int32) for name, value in integers.items()} | dict(
        strengths=np.array(strengths), linear1=matrices, linear1_t=matrices.swapaxes(-1, -2)
    )


def _square(weight: np.ndarray) -> np.ndarray:
    """Matrices (LANES, LANES), one for each degree, as `network.linear` normalises them."""
    return weight.reshape(-1, LANES, LANES) / math.sqrt(LANES)


def _table(model: Model, p: dict, layer: int, roots: np.ndarray) -> np.ndarray:
    """Cubic Hermite interpolation of the radial functions between sqrt(r) = roots: (knots - 1, 4, P, LANES)."""
    name = f"interactions.{layer}.conv_tp_weights.layer"
    net = {f"conv_tp_weights.layer{d}.weight": jnp.asarray(p[f"{name}{d}.weight"]) for d in range(RADIAL_DEPTH + 1)}
    last = net[f"conv_tp_weights.layer{RADIAL_DEPTH}.weight"] / math.sqrt(model.config.radial_width)

    def radial(root):
        return (radial_net(net, radial_basis(model.config, (root * root)[None])) @ last)[0]

    value, slope = jax.vmap(lambda root: jax.jvp(radial, (root,), (jnp.ones_like(root),)))(jnp.asarray(roots))
    f, g = np.asarray(value), (roots[1] - roots[0]) * np.asarray(slope)
    f, rise, g, end = f[:-1], f[1:] - f[:-1], g[:-1], g[1:]
    return np.stack([f, g, 3 * rise - 2 * g - end, g + end - 2 * rise], axis=1).reshape(len(f), 4, -1, LANES)


def _polynomial(model: Model, p: dict, layer: int) -> tuple[np.ndarray, np.ndarray]:
    """The symmetric contraction as terms (component, i, j, l), -1 for no factor, and coefficients (S, T, LANES)."""
    c, terms, coefficients = model.config, [], []
    ells = model.out_ells(layer)
    for degree in range(1, c.correlation + 1):
        monomials, couplings = contraction_monomials(c.max_ell, degree, ells, model.parity)
        suffix = "_max" if degree == c.correlation else f".{c.correlation - 1 - degree}"
        for ell in ells:
            trained = p[f"products.{layer}.symmetric_contractions.contractions.{ell}.weights{suffix}"]
            weighted = np.einsum("cmp,spk->cmsk", couplings[ell], trained)
            for component, monomial in np.argwhere(np.abs(couplings[ell]).max(-1) > 0):
                terms.append((ell**2 + component, *monomials[monomial], *[-1] * (3 - degree)))
                coefficients.append(weighted[component, monomial])
    return np.array(terms, np.int32), np.stack(coefficients, axis=1)


def _plain(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, array.dtype if array.dtype == np.int32 else np.float32)
