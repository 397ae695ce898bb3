"""A bias that grows where the replicas have been.

Every so often, each replica adds a Gaussian at its place s,

    V(s') += W exp(-(s' - s)^2 / 2 sigma^2),    W = W_0 exp(-V(s) / kT (gamma - 1)),

so that V tends to -(1 - 1 / gamma) F (Barducci, Bussi & Parrinello, Phys. Rev. Lett. 100, 020603, 2008,
doi:10.1103/PhysRevLett.100.020603). For time-dependent reweighting (Tiwary & Parrinello, J. Phys. Chem. B 119, 736, 2015,
doi:10.1021/jp504920s) the offset of each moment is kept:

    c(t) = kT ln [ int exp(gamma / (gamma - 1) V / kT) ds / int exp(1 / (gamma - 1) V / kT) ds ].
"""

from collections.abc import Callable
from functools import lru_cache

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import logsumexp

from ..config import MDConfig
from ..potentials.base import Potential
from ..simulate import Bias
from ..units import kT
from . import grid
from .config import MetadynamicsConfig, MetadynamicsError
from .hills import Hills, total
from .variables import Collective, values


def well_tempered(
    variables: tuple[Collective, ...],
    config: MetadynamicsConfig,
    md: MDConfig,
    *,
    before: Hills | None = None,
    model: str | None = None,
) -> Bias:
    """The bias for `simulate.run`; kept of each frame are, before its hill is added,

    cv (D,), where the replica is; bias (), V there, kJ/mol; offset (), c(t), kJ/mol; height (), of the hill, 0 where none
    was added, as outside the bounds of the grid and from the first failed frame on, where cv is 0, too.

    before: hills to begin with, which need the `simulate.model_id` of the model, for a bias holds for the one it grew on.
    Raises MetadynamicsError for no variables, a width below the grid spacing, hills that do not come at the end of a
    frame, and for hills to begin with of another model, other variables or other widths.
    """
    if not variables:
        raise MetadynamicsError("want at least one collective variable, got none")
    for v in variables:
        if v.width < v.axis.step:
            raise MetadynamicsError(
                f"variable {v.name!r}: hills of width {v.width:g} are below the grid spacing {v.axis.step:g}"
            )
    every, potential = config.frames_per_hill(md), _potential(variables)
    if before is not None:
        _check(before, variables, config, model)
        table = total(before, tuple(v.axis for v in variables))
        potential = potential._replace(init=lambda key: _potential(variables).init(key) | dict(grid=jnp.asarray(table)))
    kept = dict(cv=(len(variables),), bias=(), offset=(), height=())
    update = _update(variables, config, kT(md.temperature_K), every)
    return Bias(potential, update, kept, _identity(variables, config, md, before))


@lru_cache(maxsize=16)
def _potential(variables: tuple[Collective, ...]) -> Potential:
    """The energy of a memory, and the memory of nothing. Cached, so that a program with it is compiled once."""
    axes = tuple(v.axis for v in variables)

    def init(key):
        zero = jnp.zeros(())
        memory = dict(cv=jnp.zeros(len(axes)), bias=zero, offset=zero, height=zero)
        return memory | dict(grid=jnp.asarray(grid.empty(axes)), alive=jnp.ones((), bool))

    def energy(memory, position, box):
        return grid.value(axes, memory["grid"], values(variables, position, box))

    return Potential(init, energy)


@lru_cache(maxsize=16)
def _update(variables: tuple[Collective, ...], config: MetadynamicsConfig, thermal: float, every: int) -> Callable:
    """How memories change after a frame."""
    axes, widths = tuple(v.axis for v in variables), tuple(v.width for v in variables)
    gain = config.deepening - 1  # 1 / (gamma - 1)

    def look(memory, position, box, sound):
        alive = memory["alive"] & sound
        s = jnp.where(alive, values(variables, position, box), 0.0)
        V = grid.value(axes, memory["grid"], s)
        offset = level(grid.at_points(memory["grid"], len(axes)), config, thermal)
        height = jnp.where(alive & grid.inside(axes, s), config.height_kJ_mol * jnp.exp(-V * gain / thermal), 0.0)
        return memory | dict(cv=s, bias=V, offset=offset, height=height, alive=alive)

    def update(memory, position, box, sound, number):
        memory = jax.vmap(look, (0, 0, None, 0))(memory, position, box, sound)
        height = jnp.where(number % every == 0, memory["height"], 0.0)
        added = jax.vmap(lambda h, s: h * grid.hill(axes, widths, s))(height, memory["cv"])
        if config.shared:
            added = jnp.broadcast_to(added.sum(0, keepdims=True), added.shape)
        return memory | dict(height=height, grid=memory["grid"] + added)

    return update


def level(V: Array, config: MetadynamicsConfig, thermal: float) -> Array:
    """c(t), kJ/mol, of a bias at the points of its grid."""
    points = V / thermal
    return thermal * (logsumexp(config.deepening * points) - logsumexp((config.deepening - 1) * points))


def _identity(variables, config: MetadynamicsConfig, md: MDConfig, before: Hills | None) -> str:
    along = ", ".join(
        f"{v.name} (width {v.width:g}, {v.axis.bins} bins of {v.axis.low:g} to {v.axis.high:g})" for v in variables
    )
    kind = "shared" if config.shared else "independent"
    gamma = "no bias factor" if config.bias_factor is None else f"bias factor {config.bias_factor:g}"
    hills = f"{config.height_kJ_mol:g} kJ/mol every {config.pace} steps, {gamma}, {md.temperature_K:g} K, {kind}"
    return f"along {along}; hills of {hills}" + ("" if before is None else f", after {len(before.time)} hills")


def _check(before: Hills, variables: tuple[Collective, ...], config: MetadynamicsConfig, model: str | None):
    for what, found, wanted in (
        ("model", before.model, model),
        ("variables", before.names, tuple(v.name for v in variables)),
        ("widths", tuple(float(f"{w:.9g}") for w in before.widths), tuple(float(f"{v.width:.9g}") for v in variables)),
        ("bias factor", before.bias_factor, config.bias_factor),
    ):
        if found != wanted or (what == "model" and found is None):
            raise MetadynamicsError(
                f"hills to begin with are of the {what} {found}, want {wanted}; a bias holds for the model and the "
                "variables that it grew on"
            )
