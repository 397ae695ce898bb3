"""The benchmark's peer: MACE as a textbook writes it with e3nn-jax, in JAX-MD's own loop.

Edges are a sparse list with room for 1.4 times its length, made anew every step and sorted by length; the radial network
runs on every edge; messages are scattered to their receivers; the symmetric contraction is dense in e3nn-jax's bases.
It takes the parameters of `cgcore.potentials.mace`, so that both give the same energies.
"""

import functools
import itertools
import math

import e3nn_jax as e3nn
import jax
import jax.numpy as jnp
import numpy as np
from jax_md import partition, simulate, space

from cgcore.neighbors import row_index
from cgcore.potentials.base import ListEnergy, Potential
from cgcore.potentials.mace.couplings import contraction_basis
from cgcore.potentials.mace.network import RADIAL_DEPTH, Model, radial_basis, radial_net, readout
from cgcore.units import kT

ROOM = 1.4
"""Slots of the list for each edge."""


def energy(model: Model, params: dict, vector, senders, receivers):
    """kJ/mol of one frame from its edges: vectors (E, 3) nm from sender to receiver, N as receiver of empty ones."""
    c, k, species = model.config, model.config.channels, np.asarray(model.species)
    n = len(species)
    order = jnp.argsort(jnp.linalg.norm(vector, axis=-1))
    vector, senders, receivers = vector[order], senders[order], receivers[order]
    basis = radial_basis(c, jnp.linalg.norm(vector, axis=-1))
    harmonics = e3nn.spherical_harmonics(
        e3nn.Irreps.spherical_harmonics(c.max_ell), vector, normalize=True, normalization="component"
    )
    embedding = params["node_embedding.linear.weight"].reshape(model.n_species, k) / math.sqrt(model.n_species)
    h, total = e3nn.IrrepsArray(f"{k}x0e", embedding[species]), 0.0
    messages = e3nn.Irreps.spherical_harmonics(c.max_ell)
    for i in range(c.layers):
        weight = {name.split(".", 2)[2]: p for name, p in params.items() if name.startswith(f"interactions.{i}.")}
        radial = radial_net(weight, basis) @ (
            weight[f"conv_tp_weights.layer{RADIAL_DEPTH}.weight"] / math.sqrt(c.radial_width)
        )
        sent = linear(weight["linear_up.weight"], h)[senders]
        message = e3nn.tensor_product(sent, harmonics, filter_ir_out=messages)
        message = message * radial
        a = e3nn.IrrepsArray.zeros(message.irreps, (n,), message.dtype).at[receivers].add(message)
        a = linear(weight["linear.weight"], a) / model.mean_neighbours
        kept = e3nn.Irreps([(k, (ell, (-1) ** ell)) for ell in model.out_ells(i)])
        skip = None
        if i == 0:
            a = species_linear(weight["skip_tp.weight"], a, model.n_species, species)
        else:
            skip = species_linear(weight["skip_tp.weight"], h.filter(keep=kept), model.n_species, species)
        h = linear(params[f"products.{i}.linear.weight"], contraction(model, params, i, a, species))
        h = h if skip is None else h + skip
        total += jnp.sum(readout(params, i, h.filter(keep="0e").array))
    return model.energy_scale * total


def linear(weight, x: e3nn.IrrepsArray) -> e3nn.IrrepsArray:
    """One matrix for each irrep."""
    rows = [mul for mul, _ in x.irreps]
    width = weight.size // sum(rows)
    matrices = jnp.split(weight.reshape(-1, width), np.cumsum(rows)[:-1])
    chunks = [jnp.einsum("nui,uv->nvi", b, m / math.sqrt(m.shape[0])) for b, m in zip(x.chunks, matrices, strict=True)]
    return e3nn.from_chunks([(width, ir) for _, ir in x.irreps], chunks, x.shape[:-1], x.dtype)


def species_linear(weight, x: e3nn.IrrepsArray, n_species: int, species) -> e3nn.IrrepsArray:
    """One matrix for each irrep and species."""
    k = x.irreps[0].mul
    matrices = weight.reshape(len(x.irreps), k, n_species, -1) / math.sqrt(k * n_species)
    chunks = [jnp.einsum("nui,nuv->nvi", b, m.swapaxes(0, 1)[species]) for b, m in zip(x.chunks, matrices, strict=True)]
    return e3nn.from_chunks(x.irreps, chunks, x.shape[:-1], x.dtype)


def contraction(model: Model, params: dict, layer: int, a: e3nn.IrrepsArray, species) -> e3nn.IrrepsArray:
    """B = sum_nu w_nu(species) U_nu A ... A, bead by bead, one factor after the other."""
    c, ells = model.config, model.out_ells(layer)
    x = a.mul_to_axis().array  # (n, K, S)
    out = []
    for ell in ells:
        weights = [reduced_weights(model, params, layer, ell, order) for order in range(1, c.correlation + 1)]
        bases = [reduced_basis(c.max_ell, order, ell).astype(x.dtype) for order in range(1, c.correlation + 1)]

        def one(x, s, weights=weights, bases=bases):
            b = None
            for u, w in zip(reversed(bases), reversed(weights), strict=True):
                b = (
                    jnp.einsum("...jki,kc,cj->c...i", u, w[s], x)
                    if b is None
                    else jnp.einsum("c...ji,cj->c...i", b + jnp.einsum("...ki,kc->c...i", u, w[s]), x)
                )
            return b

        out.append(jax.vmap(one)(x, species))
    irreps = [(c.channels, (ell, (-1) ** ell)) for ell in ells]
    return e3nn.from_chunks(irreps, out, (len(species),), x.dtype)


@functools.cache
def reduced_basis(max_ell: int, order: int, ell: int) -> np.ndarray:
    """e3nn-jax's basis of symmetric products: (S, ..., S, paths, 2 ell + 1)."""
    ir = e3nn.Irrep(ell, (-1) ** ell)
    irreps = e3nn.Irreps.spherical_harmonics(max_ell)
    with jax.ensure_compile_time_eval():
        basis = e3nn.reduced_symmetric_tensor_product_basis(irreps, order, keep_ir=[ir])
        return np.asarray(basis.filter(keep=[ir]).chunks[0], np.float64)


@functools.cache
def change_of_basis(max_ell: int, order: int, ell: int) -> np.ndarray:
    """(paths of e3nn-jax, paths of mace-torch): the same symmetric polynomial by either basis."""
    ours = np.moveaxis(contraction_basis(max_ell, order, ell), 0, -1)  # (S, ..., S, paths, 2 ell + 1)
    permutations = list(itertools.permutations(range(order)))
    ours = sum(np.transpose(ours, (*p, order, order + 1)) for p in permutations) / len(permutations)
    flat = [np.moveaxis(b, order, -1).reshape(-1, b.shape[order]) for b in (reduced_basis(max_ell, order, ell), ours)]
    found, *_ = np.linalg.lstsq(*flat, rcond=None)
    return found


def reduced_weights(model: Model, params: dict, layer: int, ell: int, order: int):
    """(species, paths, K) of mace-torch's parameters in e3nn-jax's basis."""
    w = params[weight_name(model, layer, ell, order)]
    change = change_of_basis(model.config.max_ell, order, ell)
    return jnp.einsum("qp,spk->sqk", change.astype(w.dtype), w)


def weight_name(model: Model, layer: int, ell: int, order: int) -> str:
    """mace-torch's name for the contraction weights of one order, which it counts down from the highest."""
    suffix = "_max" if order == model.config.correlation else f".{model.config.correlation - 1 - order}"
    return f"products.{layer}.symmetric_contractions.contractions.{ell}.weights{suffix}"


def of_pairs(model: Model, displacement, params, position, senders, receivers):
    """kJ/mol of one frame from the beads of each edge, N in empty ones."""
    n = position.shape[0]
    vector = jax.vmap(displacement)(position[receivers % n], position[senders % n])
    far = jnp.full(3, model.config.cutoff_nm, position.dtype)
    return energy(model, params, jnp.where((receivers < n)[:, None], vector, far), senders, receivers)


def potential(model: Model) -> Potential:
    """The textbook energy as a potential of cgcore, for its loop."""
    n = len(model.species)
    if model.capacity is None:
        receivers, senders = map(jnp.asarray, np.nonzero(~np.eye(n, dtype=bool)))
        displacement, _ = space.free()
        return Potential(None, lambda params, x, box: of_pairs(model, displacement, params, x, senders, receivers))

    def of_list(params, position, box, index):
        receivers = jnp.where(index < n, jnp.arange(n)[:, None], n)
        return of_pairs(model, space.periodic(box)[0], params, position, index.ravel(), receivers.ravel())

    def of_frame(params, position, box):
        index, _ = row_index(position, box, model.config.cutoff_nm, model.capacity)
        return of_list(params, position, box, index)

    return Potential(None, of_frame, True, listed=ListEnergy(model.config.cutoff_nm, of_list))


class Loop:
    """The textbook's dynamics of (C, N, 3) nm: JAX-MD's Langevin integrator, with a list made anew every step."""

    def __init__(self, model: Model, params: dict, box, mass, starts, config):
        displacement, shift = space.free() if np.isinf(box).any() else space.periodic(np.asarray(box, starts.dtype))
        neighbours = partition.neighbor_list(
            displacement,
            np.where(np.isinf(box), 1.0, box),
            model.config.cutoff_nm,
            dr_threshold=0.0,
            capacity_multiplier=ROOM,
            disable_cell_list=True,
            format=partition.Sparse,
        )
        self.list = neighbours.allocate(starts[0])
        self.starts, self.mass, self.config = starts, jnp.asarray(mass, starts.dtype), config

        def of_list(position, neighbor, **_):
            return of_pairs(model, displacement, params, position, *neighbor.idx)

        self.energy = of_list
        integrator = (kT(config.temperature_K), config.friction_per_ps)
        self.init, apply = simulate.nvt_langevin(of_list, shift, config.dt_ps, *integrator)

        def chunk(state):
            def step(carry, _):
                state, list = carry
                list = list.update(state.position)
                return (apply(state, neighbor=list), list), None

            (state, list), _ = jax.lax.scan(step, (state, self.list), None, length=config.steps_per_frame)
            return state, list.did_buffer_overflow

        one = len(starts) == 1  # a single one is not batched, which would cost JAX-MD's list its branch
        self.chunk = jax.jit(chunk if one else jax.vmap(chunk))

    def begin(self):
        keys = jax.random.split(jax.random.key(self.config.seed), len(self.starts))
        start = jax.jit(lambda key, x: self.init(key, x, mass=self.mass, neighbor=self.list.update(x)))
        return start(keys[0], self.starts[0]) if len(self.starts) == 1 else jax.vmap(start)(keys, self.starts)
