"""MACE (Batatia et al., NeurIPS 2022) in plain JAX, with the parameters and the numbers of mace-torch.

One frame at a time. Features are a list with one array (N, 2 l + 1, K) for each degree l, channels K last; edges are
in rows of one receiver each (`neighbors.Edges`). Parameters are a flat dict under mace-torch's own names and shapes, so
that models move between the two codes unchanged.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import e3nn_jax as e3nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...config import MACEConfig
from ...frames import Frames
from ...neighbors import REACH, Edges, bond_graph, bond_kind
from ..base import Potential, PotentialError, check_species, neighbour_statistics, with_neighbours
from .convolution import convolve
from .couplings import contraction_monomials, convolution_paths

SILU_GAIN = 1.6791767923989418
"""1 / rms of silu(x) for x ~ N(0, 1), as e3nn (torch) sampled it; models carry it implicitly."""

KINDS = REACH + 1
"""Of edges where they are told apart: so many bonds between the ends, 0 for more or none."""

HIDDEN_MAX_ELL = 1  # 32x0e + 32x1o
RADIAL_DEPTH = 3  # hidden layers of the radial network


ENERGY_SCALE = 0.5
"""kJ/mol: with it, parameters as drawn give forces far below those of the data, and training starts from nearly
nothing. Chosen by the held-out loss of short trainings of the Core map."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """All that fixes a MACE besides its parameters.

    species: one of 0 ... n_species - 1 for each bead; mean_neighbours normalises sums over neighbours;
    energy_scale multiplies the output. capacity: slots of a liquid's rows of neighbours, None for a molecule, whose
    beads all see each other; short_rows: into how many of those they go, None for one row a bead; bonds: (P, 2) pairs, if
    the configuration has bond-typed edges.
    Raises PotentialError for a species that is none and for typed edges without bonds.
    """

    config: MACEConfig
    species: tuple[int, ...]
    n_species: int
    mean_neighbours: float
    energy_scale: float = ENERGY_SCALE
    capacity: int | None = None
    short_rows: int | None = None
    bonds: tuple[tuple[int, int], ...] = ()

    def __post_init__(self):
        check_species(self.species, self.n_species)
        if self.config.bond_types != bool(self.bonds):
            raise PotentialError(
                "want bonds with bond_types, and none without; got "
                f"bond_types = {self.config.bond_types} and {len(self.bonds)} bonds"
            )

    @property
    def parity(self) -> bool:
        """Whether true and pseudo-tensors are kept apart, so that mirror images have one energy."""
        return self.config.symmetry == "O3"

    @property
    def n_radial(self) -> int:
        """Inputs of the radial network: Bessel functions, and the kinds of edges if they are told apart."""
        return self.config.n_bessel + (KINDS if self.config.bond_types else 0)

    def out_ells(self, layer: int) -> tuple[int, ...]:
        """Degrees that a layer hands on; the last one only scalars."""
        return (0,) if layer == self.config.layers - 1 else tuple(range(HIDDEN_MAX_ELL + 1))

    def paths(self, layer: int) -> list[tuple[int, int, int]]:
        """(l_hidden, l_edge, l_out) of a layer's convolution; the first layer's hidden features are scalars."""
        return convolution_paths(HIDDEN_MAX_ELL if layer else 0, self.config.max_ell, self.parity)


def for_frames(
    config: MACEConfig, species: tuple[int, ...], frames: Frames, *, liquid: bool = False, bonds=()
) -> Model:
    """The model of the frames' beads, with the sums over neighbours normalised by what the frames have of them.

    liquid: beads see their images in the frames' box, each as many as the fullest bead of the frames has within the
    cut-off, plus a margin. A molecule's beads see each other directly, whatever box the reference had.
    bonds: (P, 2), needed with config.bond_types.
    """
    return Model(
        config=config,
        species=tuple(species),
        n_species=max(species) + 1,
        **neighbour_statistics(frames, species, config.cutoff_nm, liquid),
        bonds=tuple((int(i), int(j)) for i, j in bonds) if config.bond_types else (),
    )


def build(model: Model) -> Potential:
    """The potential: energy(params, position (N, 3), box (3,)) in `energy_scale` units; periodic for a liquid."""
    return with_neighbours(
        lambda key: init(key, model),
        lambda params, edges: energy(model, params, edges),
        model.config.cutoff_nm,
        model.capacity,
        model.short_rows,
        model=model,
        several=True,
    )


def shapes(model: Model) -> dict[str, tuple[int, ...]]:
    """Name and shape of every parameter, in mace-torch's order."""
    c, k, s = model.config, model.config.channels, model.n_species
    out = {"node_embedding.linear.weight": (s * k,)}
    for i in range(c.layers):
        paths = model.paths(i)
        widths = [model.n_radial, *[c.radial_width] * RADIAL_DEPTH, len(paths) * k]
        out[f"interactions.{i}.linear_up.weight"] = ((1 + HIDDEN_MAX_ELL * (i > 0)) * k * k,)
        for d, pair in enumerate(pairwise(widths)):
            out[f"interactions.{i}.conv_tp_weights.layer{d}.weight"] = pair
        out[f"interactions.{i}.linear.weight"] = (len(paths) * k * k,)
        skipped = len(model.out_ells(i)) if i else c.max_ell + 1
        out[f"interactions.{i}.skip_tp.weight"] = (skipped * k * s * k,)
    for i in range(c.layers):
        for ell in model.out_ells(i):
            name = f"products.{i}.symmetric_contractions.contractions.{ell}.weights"
            for degree in range(c.correlation, 0, -1):
                n_paths = contraction_monomials(c.max_ell, degree, (ell,), model.parity)[1][ell].shape[-1]
                suffix = "_max" if degree == c.correlation else f".{c.correlation - 1 - degree}"
                out[name + suffix] = (s, n_paths, k)
        out[f"products.{i}.linear.weight"] = (len(model.out_ells(i)) * k * k,)
    for i in range(c.layers):
        if 0 < i == c.layers - 1:
            out[f"readouts.{i}.linear_1.weight"] = (k * c.readout_width,)
            out[f"readouts.{i}.linear_2.weight"] = (c.readout_width,)
        else:
            out[f"readouts.{i}.linear.weight"] = (k,)
    return out


def init(key: Array, model: Model) -> dict[str, Array]:
    """Random parameters as e3nn draws them, N(0, 1); contraction weights N(0, 1) / paths.

    The first radial layer is scaled by cutoff^(3/2) to cancel the unit of the Bessel functions, so that a model starts
    alike in nm and in Å.
    """
    table = shapes(model)
    params = {}
    for (name, shape), k in zip(table.items(), jax.random.split(key, len(table)), strict=True):
        params[name] = jax.random.normal(k, shape)
        if "contractions" in name:
            params[name] /= shape[1]
        if name.endswith("conv_tp_weights.layer0.weight"):
            params[name] *= model.config.cutoff_nm**1.5
    return params


def energy(model: Model, params: dict, edges: Edges) -> Array:
    """Energy of one frame, or of several in one graph: `energy_scale` times the sum over beads and layers of the readouts.

    Layer: A = sum_j R(r_ij) CG (h_j, Y(r_ij)) / mean_neighbours, B = sum_nu w_nu U_nu A^nu, h = W B + skip.
    """
    c, n = model.config, len(model.species)
    species = np.resize(model.species, n if edges.receiver is not None else len(edges.index))
    harmonics = spherical_harmonics(c.max_ell, edges.apart)
    kind = bond_kind(bond_graph(model.bonds, n), tuple(end % n for end in edges.ends)) if c.bond_types else None
    basis = radial_inputs(c, edges.distance, kind)
    h = [params["node_embedding.linear.weight"].reshape(model.n_species, 1, -1)[species] / math.sqrt(model.n_species)]
    total = 0.0
    for i in range(c.layers):
        weight = {n.split(".", 2)[2]: p for n, p in params.items() if n.split(".")[:2] == ["interactions", str(i)]}
        kept = range(len(model.out_ells(i)))
        hidden = radial_net(weight, basis)
        last = weight[f"conv_tp_weights.layer{RADIAL_DEPTH}.weight"] / math.sqrt(c.radial_width)
        a = convolve(tuple(model.paths(i)), edges, harmonics, hidden, last, linear(weight["linear_up.weight"], h))
        a = [block / model.mean_neighbours for block in linear(weight["linear.weight"], a)]
        if i == 0:
            a = species_linear(weight["skip_tp.weight"], a, model.n_species, species)
            skip = [0.0 for _ in kept]
        else:
            skip = species_linear(weight["skip_tp.weight"], [h[ell] for ell in kept], model.n_species, species)
        b = linear(params[f"products.{i}.linear.weight"], symmetric_contraction(model, params, i, a, species))
        h = [new + old for new, old in zip(b, skip, strict=True)]
        total += jnp.sum(readout(params, i, h[0][:, 0]))
    return model.energy_scale * total


def spherical_harmonics(max_ell: int, vector: Array) -> Array:
    """Real spherical harmonics Y of the directions (..., 3), degrees 0 ... max_ell: (..., (max_ell + 1)^2).

    "component" normalisation: |Y_l|^2 = 2 l + 1.
    """
    irreps = e3nn.Irreps.spherical_harmonics(max_ell)
    return e3nn.spherical_harmonics(irreps, vector, normalize=True, normalization="component").array


def radial_inputs(config: MACEConfig, distance: Array, kind: Array | None) -> Array:
    """What the radial network reads of edges (D,): the basis, and which of KINDS they are (D,) if these are told apart.

    Kinds come times a Bessel function, for the network has no biases: what is zero at the cut-off stays smooth there.
    """
    basis = radial_basis(config, distance)
    if not config.bond_types:
        return basis
    return jnp.concatenate([basis, basis[:, :1] * jax.nn.one_hot(kind, KINDS, dtype=basis.dtype)], axis=1)


def radial_basis(config: MACEConfig, distance: Array) -> Array:
    """Bessel functions times the polynomial envelope (Gasteiger et al., ICLR 2020): (D,) -> (D, n_bessel).

    sqrt(2 / c) sin(n pi r / c) / r * (1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2)), x = r / c < 1.
    """
    cutoff, p = config.cutoff_nm, config.envelope_power
    r = distance[:, None]
    x = r / cutoff
    bessel = math.sqrt(2 / cutoff) * jnp.sin(jnp.arange(1, config.n_bessel + 1)[None] * math.pi * x) / r
    envelope = 1 - (p + 1) * (p + 2) / 2 * x**p + p * (p + 2) * x ** (p + 1) - p * (p + 1) / 2 * x ** (p + 2)
    return bessel * jnp.where(x < 1, envelope, 0.0)


def radial_net(weight: dict, x: Array) -> Array:
    """Hidden layers of the radial network: (D, 8) -> (D, width). No biases: what vanishes at the cut-off stays zero."""
    for d in range(RADIAL_DEPTH):
        w = weight[f"conv_tp_weights.layer{d}.weight"]
        x = SILU_GAIN * jax.nn.silu(x @ (w / math.sqrt(w.shape[0])))
    return x


def linear(weight: Array, blocks: list[Array]) -> list[Array]:
    """One matrix for each degree, N(0, 1) weights normalised by sqrt(inputs)."""
    parts = np.cumsum([block.shape[-1] for block in blocks])
    width = weight.size // int(parts[-1])
    matrices = jnp.split(weight.reshape(-1, width), parts[:-1])
    return [block @ (m / math.sqrt(m.shape[0])) for block, m in zip(blocks, matrices, strict=True)]


def species_linear(weight: Array, blocks: list[Array], n_species: int, species: np.ndarray) -> list[Array]:
    """One matrix for each degree and species, normalised by sqrt(inputs * n_species)."""
    channels = blocks[0].shape[-1]
    matrices = weight.reshape(len(blocks), channels, n_species, -1) / math.sqrt(channels * n_species)
    # The beads of a species together, with one product for all of them: no bead gets a copy of its matrix.
    beads = [np.flatnonzero(species == s) for s in range(n_species)]
    place = np.argsort(np.concatenate(beads))

    def product(block, matrix):
        parts = [block[of] @ matrix[:, s] for s, of in enumerate(beads) if len(of)]
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts)[place]

    return [product(b, m) for b, m in zip(blocks, matrices, strict=True)]


def symmetric_contraction(
    model: Model, params: dict, layer: int, blocks: list[Array], species: np.ndarray
) -> list[Array]:
    """B_l = sum_nu w_nu(species) U_nu A ... A (nu factors), as a sparse polynomial in the components of A.

    The products of components first, then one matrix over them: their derivatives stay as small as they are, while those
    of a nested polynomial do not, and a step of training with nu = 3 takes several times as long.
    """
    c, ells = model.config, model.out_ells(layer)
    a = [block[:, m] for block in blocks for m in range(block.shape[1])]
    total = dict.fromkeys(ells, 0.0)
    for degree in range(1, c.correlation + 1):
        monomials, coefficients = contraction_monomials(c.max_ell, degree, ells, model.parity)
        suffix = "_max" if degree == c.correlation else f".{c.correlation - 1 - degree}"
        product = _products(a, monomials.tolist())
        matrices = [coefficients[ell].swapaxes(1, 2).reshape(-1, len(monomials)) for ell in ells]
        coupled = jnp.tensordot(np.concatenate(matrices).astype(product.dtype), product, 1)
        parts = jnp.split(coupled, np.cumsum([len(m) for m in matrices])[:-1])
        for ell, part in zip(ells, parts, strict=True):
            w = params[f"products.{layer}.symmetric_contractions.contractions.{ell}.weights{suffix}"][species]
            part = part.reshape(2 * ell + 1, w.shape[1], *product.shape[1:])
            total[ell] += jnp.einsum("cpnk,npk->nck", part, w)
    return [total[ell] for ell in ells]


def _products(a: list[Array], monomials: list[list[int]]) -> Array:
    """The products a_i a_j ... over index lists (M, degree), those of fewer factors made once: (M, N, K)."""
    made = {(i,): factor for i, factor in enumerate(a)}

    def product(index):
        if index not in made:
            made[index] = a[index[0]] * product(index[1:])
        return made[index]

    return jnp.stack([product(tuple(index)) for index in monomials])


def readout(params: dict, layer: int, scalars: Array) -> Array:
    """Energy of each bead from its scalars (N, K): linear, or after the last of several layers a small network."""
    name = f"readouts.{layer}"
    if f"{name}.linear.weight" in params:
        return linear(params[f"{name}.linear.weight"], [scalars])[0]
    (x,) = linear(params[f"{name}.linear_1.weight"], [scalars])
    return linear(params[f"{name}.linear_2.weight"], [SILU_GAIN * jax.nn.silu(x)])[0]
