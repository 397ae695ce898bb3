"""From trained parameters to what the loops of `kernel.py` read: tables, folded matrices, sparse polynomials.

Linear maps that follow each other are multiplied once, in double precision; the radial networks become tables; of the
species only their own matrices are kept.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ....neighbors import bond_graph
from ...barrier import Barrier
from ..couplings import clebsch_gordan, contraction_monomials
from ..network import KINDS, RADIAL_DEPTH, SILU_GAIN, Model, radial_inputs, radial_net
from .arrays import Weights
from .lanes import LANES


def weights(model: Model, params: dict, knots: int, shortest_nm: float, barriers: tuple[Barrier, ...] = ()) -> Weights:
    """Weights of a model with one or two layers and LANES channels, its radial functions at `knots` distances.

    shortest_nm: the distance of the first knot, below which radial functions stay as they are there. barriers: of the same
    species, added to the energy.
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
        grid=np.array([roots[0], roots[1] - roots[0], c.cutoff_nm, knots]),
        linear0=linear0,
        linear0_t=linear0.swapaxes(-1, -2),
        terms0=terms0,
        poly0=poly0,
        ranges=_ranges(n_species, barriers),
        near=np.stack(bond_graph(model.bonds, len(model.species)), axis=-1).astype(np.int32),
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
    order = [list(model.paths(1)).index(path) for path in _by_harmonics(model)]
    readout = model.energy_scale * SILU_GAIN / math.sqrt(c.readout_width) * p["readouts.1.linear_2.weight"]
    return (
        dict(table1=_table(model, p, 1, roots)[:, order], up=up, up_t=up.swapaxes(-1, -2), terms1=terms, poly1=poly)
        | dict(skip=skip, hidden=hidden, readout=readout)
        | _paths(model, p["interactions.1.linear.weight"] / model.mean_neighbours)
    )


def _no_second() -> dict:
    floats = dict.fromkeys(
        ("table1", "up", "up_t", "linear1", "linear1_t", "poly1", "skip"), np.zeros((1, 1, LANES, LANES))
    )
    whole = dict(paths=(0, 5), coupled=(0, 2), spread=(0, 2), terms1=(0, 4))
    return (
        floats
        | dict(hidden=np.zeros((1, LANES)), readout=np.zeros(1), strengths=np.zeros((2, 1)))
        | {name: np.zeros(shape, np.int32) for name, shape in whole.items()}
    )


def _paths(model: Model, linear: np.ndarray) -> dict:
    """The paths of the second layer, where each has its rows, and its part of the linear map that follows."""
    paths, couplings, strengths, matrices = [], [], [], []
    of_ell = {ell: [path for path in model.paths(1) if path[2] == ell] for ell in range(4)}
    blocks = np.split(linear.reshape(-1, LANES), np.cumsum([len(of_ell[ell]) * LANES for ell in range(3)]))
    rows = np.zeros(2, int)  # of sums over neighbours, of coupled ones
    for l1, l2, l3 in _by_harmonics(model):
        paths.append((l1, l2, l3, *rows))
        coupling = np.sqrt(2 * l3 + 1) * clebsch_gordan(l1, l2, l3)
        for a, b, out in np.argwhere(np.abs(coupling) > 1e-12):
            couplings.append((rows[1] + out, rows[0] + a * (2 * l2 + 1) + b))
            strengths.append(coupling[a, b, out])
        number = of_ell[l3].index((l1, l2, l3))
        matrices.append(blocks[l3][number * LANES : (number + 1) * LANES] / math.sqrt(len(of_ell[l3]) * LANES))
        rows += np.array([(2 * l1 + 1) * (2 * l2 + 1), 2 * l3 + 1])
    couplings, matrices = np.array(couplings), np.stack(matrices)
    orders = [np.argsort(couplings[:, side], kind="stable") for side in (0, 1)]
    integers = dict(paths=paths, coupled=couplings[orders[0]], spread=couplings[orders[1], ::-1])
    return {name: np.array(value, np.int32) for name, value in integers.items()} | dict(
        strengths=np.array(strengths)[orders], linear1=matrices, linear1_t=matrices.swapaxes(-1, -2)
    )


def _by_harmonics(model: Model) -> list[tuple[int, int, int]]:
    """The paths (l1, l2, l3) of the second layer in order of l2."""
    return sorted(model.paths(1), key=lambda path: path[1])


def _ranges(n_species: int, barriers: tuple[Barrier, ...]) -> np.ndarray:
    ranges = [np.full((n_species, n_species, 1, 3), np.inf)]
    for barrier in barriers:
        stiffness = np.full((*barrier.ranges.shape[:3], 1), barrier.stiffness)
        missing = n_species - len(barrier.ranges)  # species that no bead has
        both = np.concatenate([barrier.ranges, stiffness], axis=-1)
        ranges.append(np.pad(both, ((0, missing), (0, missing), (0, 0), (0, 0)), constant_values=np.inf))
    return np.concatenate(ranges, axis=2)


def _square(weight: np.ndarray) -> np.ndarray:
    """Matrices (LANES, LANES), one for each degree, as `network.linear` normalises them."""
    return weight.reshape(-1, LANES, LANES) / math.sqrt(LANES)


def _table(model: Model, p: dict, layer: int, roots: np.ndarray) -> np.ndarray:
    """The radial functions at sqrt(r) = roots, with both derivatives by it in steps: (kinds x knots, P, 3, LANES)."""
    name = f"interactions.{layer}.conv_tp_weights.layer"
    net = {f"conv_tp_weights.layer{d}.weight": jnp.asarray(p[f"{name}{d}.weight"]) for d in range(RADIAL_DEPTH + 1)}
    last = net[f"conv_tp_weights.layer{RADIAL_DEPTH}.weight"] / math.sqrt(model.config.radial_width)

    def radial(root, kind):
        return (radial_net(net, radial_inputs(model.config, (root * root)[None], kind[None])) @ last)[0]

    def slope(root, kind):
        return jax.jvp(radial, (root, kind), (jnp.ones_like(root), np.zeros((), jax.dtypes.float0)))[1]

    def all_three(root, kind):
        return radial(root, kind), *jax.jvp(lambda r: slope(r, kind), (root,), (jnp.ones_like(root),))

    step, kinds = roots[1] - roots[0], KINDS if model.config.bond_types else 1
    points = jnp.tile(jnp.asarray(roots), kinds), jnp.repeat(jnp.arange(kinds), len(roots))
    value, first, second = map(np.asarray, jax.jit(jax.vmap(all_three))(*points))
    table = np.stack([part.reshape(len(value), -1, LANES) for part in (value, step * first, step**2 * second)], axis=2)
    table[len(roots) - 1 :: len(roots)] = 0  # at the cut-off, to the last digit
    return table


def _polynomial(model: Model, p: dict, layer: int) -> tuple[np.ndarray, np.ndarray]:
    """The symmetric contraction as `kernel.polynomial` reads it: terms (T, 4) and coefficients (S, T, LANES)."""
    c, weights = model.config, {}
    for degree in range(1, c.correlation + 1):
        monomials, couplings = contraction_monomials(c.max_ell, degree, model.out_ells(layer), model.parity)
        suffix = "_max" if degree == c.correlation else f".{c.correlation - 1 - degree}"
        for ell in model.out_ells(layer):
            trained = p[f"products.{layer}.symmetric_contractions.contractions.{ell}.weights{suffix}"]
            weighted = np.einsum("cmp,spk->cmsk", couplings[ell], trained)
            for component, monomial in np.argwhere(np.abs(couplings[ell]).max(-1) > 0):
                factors = ell**2 + component, *map(int, monomials[monomial])
                weights[factors] = weighted[component, monomial]
    wanted = sorted({factors[:n] for factors in weights for n in range(2, len(factors) + 1)})  # each before those below
    none = np.zeros((model.n_species, LANES))
    terms = [
        (len(f) - 2, f[-1], f[0], next((t for t in range(k + 1, len(wanted)) if wanted[t][: len(f)] != f), len(wanted)))
        for k, f in enumerate(wanted)
    ]
    return np.array(terms, np.int32), np.stack([weights.get(f, none) for f in wanted], axis=1)


def _plain(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, array.dtype if array.dtype == np.int32 else np.float32)
