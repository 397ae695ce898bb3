"""NequIP (Batzner et al., Nat. Commun. 13, 2453, 2022): JAX-MD's network under the contract of `Potential`.

Two things differ from MACE: a bead alone has an energy, a constant of its species; and the energy ends at the cut-off as
(1 - r / r_c)^3 at first, as (1 - r / r_c)^2 once the frequencies of its Bessel functions are trained.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import jraph
import numpy as np
from jax import Array
from jax_md import nn

from ..config import NequIPConfig
from ..frames import Frames
from ..neighbors import Edges
from .base import Potential, check_species, neighbour_statistics, with_neighbours

HALF_UNIT = 0.5
"""The cut-off in the network's unit of length. Its cut-off function falls over the last half unit, here over all of
the neighbour_statistics: over the last half Å alone, the many neighbours near the cut-off speak as loudly as the bonds, and a
liquid's bonds are hardly learnt."""

FIRST_LAYER = 0.09
"""Factor of the radial network's first layer as drawn: Bessel functions are about 4 / HALF_UNIT^2 large, and its
preactivations become about one, as MACE's are."""

ENERGY_SCALE = 10.0
"""kJ/mol: with it, parameters as drawn give forces below those of the data."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """All that fixes a NequIP besides its parameters; fields as those of `mace.Model`."""

    config: NequIPConfig
    species: tuple[int, ...]
    n_species: int
    mean_neighbours: float
    energy_scale: float = ENERGY_SCALE
    capacity: int | None = None
    short_rows: int | None = None

    def __post_init__(self):
        check_species(self.species, self.n_species)

    @property
    def network(self) -> nn.nequip.NequIPEnergyModel:
        """JAX-MD's module: hidden scalars and vectors, each with a self-connection and a gate."""
        c = self.config
        odd = "e" if c.symmetry == "SO3" else "o"
        return nn.nequip.NequIPEnergyModel(
            graph_net_steps=c.layers,
            use_sc=True,
            nonlinearities={"e": "raw_swish", "o": "tanh"},
            n_elements=self.n_species,
            hidden_irreps=f"{c.channels}x0e + {c.channels}x1{odd}",
            sh_irreps=" + ".join(f"1x{ell}{odd if ell % 2 else 'e'}" for ell in range(c.max_ell + 1)),
            num_basis=c.n_bessel,
            r_max=HALF_UNIT,
            radial_net_n_hidden=c.radial_width,
            radial_net_n_layers=c.radial_depth,
            shift=0.0,
            scale=self.energy_scale,
            n_neighbors=self.mean_neighbours,
        )


def for_frames(config: NequIPConfig, species: tuple[int, ...], frames: Frames, *, liquid: bool = False) -> Model:
    """The model of the frames' beads; liquid as in `mace.for_frames`."""
    found = neighbour_statistics(frames, species, config.cutoff_nm, liquid)
    return Model(config=config, species=tuple(species), n_species=max(species) + 1, **found)


def build(model: Model) -> Potential:
    """The potential: energy(params, position (N, 3), box (3,)) in kJ/mol; periodic for a liquid."""
    return with_neighbours(
        lambda key: init(key, model),
        lambda params, edges: energy(model, params, edges),
        model.config.cutoff_nm,
        model.capacity,
        model.short_rows,
        model=model,
    )


def init(key: Array, model: Model) -> dict:
    """Random parameters as JAX-MD draws them but for the first radial layers, in the precision of the session."""
    lone = jraph.GraphsTuple(
        nodes=jnp.eye(model.n_species)[:1],
        edges=jnp.array([[2.0 * HALF_UNIT, 0.0, 0.0]]),
        senders=jnp.zeros(1, int),
        receivers=jnp.zeros(1, int),
        n_node=jnp.ones(1, int),
        n_edge=jnp.ones(1, int),
        globals=None,
    )
    params = jax.tree.map(lambda p: p.astype(float), _quietly(model.network.init, key, lone))
    for i in range(model.config.layers):
        first = params["params"][f"NequIPConvolution_{i}"]["MLP_0"]["Dense_0"]
        first["kernel"] = FIRST_LAYER * first["kernel"]
    return params


def energy(model: Model, params: dict, edges: Edges) -> Array:
    """Energy of one frame: `energy_scale` times the sum over beads of the network's output."""
    n, (rows, slots, _) = len(model.species), edges.vector.shape
    dtype = edges.vector.dtype
    # The radial network has no biases: what is beyond the cut-off sends nothing.
    far = np.array([2.0 * model.config.cutoff_nm, 0.0, 0.0], dtype)
    there = edges.expand(jnp.ones_like(edges.distance))[..., None] > 0
    graph = jraph.GraphsTuple(
        nodes=jax.nn.one_hot(np.asarray(model.species), model.n_species, dtype=dtype),
        edges=HALF_UNIT / model.config.cutoff_nm * jnp.where(there, edges.vector, far).reshape(-1, 3),
        senders=jnp.broadcast_to(edges.sender(jnp.arange(n)), (rows, slots)).reshape(-1),
        receivers=jnp.repeat(jnp.arange(n) if edges.receiver is None else edges.receiver, slots),
        n_node=jnp.array([n]),
        n_edge=jnp.array([rows * slots]),
        globals=None,
    )
    return _quietly(model.network.apply, params, graph)[0, 0]


def _quietly(function: Callable, *args):
    """Call JAX-MD, which uses old names of e3nn-jax."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return function(*args)
