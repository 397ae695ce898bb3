"""A bias that grows where a replica has been, and what a run with it leaves of each frame.

Every so often, each replica adds a Gaussian at its place s,

    V(s') += W exp(-(s' - s)^2 / 2 sigma^2),    W = W_0 exp(-V(s) / kT (gamma - 1)),

so that V tends to -(1 - 1 / gamma) F (Barducci, Bussi & Parrinello, Phys. Rev. Lett. 100, 020603, 2008,
doi:10.1103/PhysRevLett.100.020603). For time-dependent reweighting (Tiwary & Parrinello, J. Phys. Chem. B 119, 736, 2015,
doi:10.1021/jp504920s) the offset of each moment is kept:

    c(t) = kT ln [ int exp(gamma / (gamma - 1) V / kT) ds / int exp(1 / (gamma - 1) V / kT) ds ].
"""

import math
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp

from ..config import MDConfig, did_you_mean
from ..geometry import dihedrals
from ..potentials.base import Potential
from ..simulate import Bias, Simulation
from ..units import kT
from . import grid
from .config import MetadynamicsConfig, MetadynamicsError

RECORDED = ("cv", "bias", "offset", "height")
"""What is kept of each frame."""


class Variable(NamedTuple):
    """A periodic variable of one system: function(position (N, 3) nm, box (3,) nm) -> (), the hills' width, and its grid."""

    name: str
    function: Callable
    width: float
    axis: grid.Axis


@lru_cache(maxsize=16)
def dihedral(config: MetadynamicsConfig, beads: tuple[str, ...]) -> Variable:
    """Make the variable of a configuration, chi, for a molecule of these beads.

    Cached, so that a program with it is compiled once. Raises MetadynamicsError where one of its four beads is not there.
    """
    for bead in config.beads:
        if bead not in beads:
            raise MetadynamicsError(
                f"variable 'chi': no bead {bead!r}; the map has {list(beads)}{did_you_mean(bead, beads)}"
            )
    index = np.array([[beads.index(bead) for bead in config.beads]])
    axis = grid.Axis(-math.pi, math.pi, config.bins)
    return Variable("chi", lambda position, box: dihedrals(position, index, box)[0], config.width, axis)


def well_tempered(variable: Variable, config: MetadynamicsConfig, md: MDConfig) -> Bias:
    """Make the bias for `simulate.run`.

    Kept of each frame are, before its hill is added: cv (), where the replica is; bias (), V there, and offset (), c(t),
    kJ/mol; height () of the hill, kJ/mol, 0 where none was added, as from the first failed frame on, where cv is 0, too.
    Raises MetadynamicsError for a width below the grid spacing, and hills that do not come at the end of a frame.
    """
    axis = variable.axis
    if variable.width < axis.step:
        raise MetadynamicsError(
            f"variable {variable.name!r}: hills of width {variable.width:g} are below the grid spacing {axis.step:g}"
        )
    update = _update(variable, config, kT(md.temperature_K), config.frames_per_hill(md))
    younger = ("symmetric", "growing_frames")  # at their defaults they are not in the names of runs
    named = {name: value for name, value in asdict(config).items() if value or name not in younger}
    identity = {"kind": "well-tempered metadynamics"} | named | {"bins": axis.bins}
    return Bias(_potential(variable), update, dict.fromkeys(RECORDED, ()), identity)


@lru_cache(maxsize=16)
def _potential(variable: Variable) -> Potential:
    """The energy of a bias state, and the state without any hill; cached as `dihedral`."""

    def init(key):
        zero = jnp.zeros(())
        empty = jnp.asarray(np.zeros((variable.axis.bins, 2)))
        return dict(cv=zero, bias=zero, offset=zero, height=zero, grid=empty, alive=jnp.ones((), bool))

    def energy(state, position, box):
        return grid.value(variable.axis, state["grid"], variable.function(position, box))

    return Potential(init, energy)


@lru_cache(maxsize=16)
def _update(variable: Variable, config: MetadynamicsConfig, thermal: float, every: int) -> Callable:
    """How the bias states of C replicas change after a frame."""
    gain = config.deepening - 1  # 1 / (gamma - 1)
    last = config.growing_frames or np.iinfo(np.int32).max

    def observe(state, position, box, valid):
        alive = state["alive"] & valid
        s = jnp.where(alive, variable.function(position, box), 0.0)
        V = grid.value(variable.axis, state["grid"], s)
        height = jnp.where(alive, config.height_kJ_mol * jnp.exp(-V * gain / thermal), 0.0)
        return state | dict(
            cv=s, bias=V, offset=_offset(state["grid"][:, 0], config, thermal), height=height, alive=alive
        )

    def update(state, position, box, valid, number):
        state = jax.vmap(observe, (0, 0, None, 0))(state, position, box, valid)
        height = jnp.where((number % every == 0) & (number <= last), state["height"], 0.0)
        table = state["grid"] + height[:, None, None] * _hills(variable, config, state["cv"])
        if config.growing_frames:
            table = jnp.where(number == last, _mean_of(table, state["alive"]), table)
        return state | dict(height=height, grid=table)

    return update


def _mean_of(table: Array, alive: Array) -> Array:
    """The mean over the replicas that are alive of tables (C, n, 2), for each of them."""
    counted = jnp.where(alive[:, None, None], table, 0.0)
    return jnp.broadcast_to(counted.sum(0) / jnp.maximum(alive.sum(), 1), table.shape)


def _hills(variable: Variable, config: MetadynamicsConfig, s):
    """Tables (..., n, 2) of hills of height one at s (...), and at -s where the bias is symmetric."""
    there = grid.hill(variable.axis, variable.width, s)
    return there + grid.hill(variable.axis, variable.width, -s) if config.symmetric else there


def _offset(V: Array, config: MetadynamicsConfig, thermal: float) -> Array:
    """c(t), kJ/mol, of a bias at the points of its grid."""
    reduced = V / thermal
    return thermal * (logsumexp(config.deepening * reduced) - logsumexp((config.deepening - 1) * reduced))


class BiasedTrajectory(NamedTuple):
    """What a run with a bias left of C replicas and T frames, before each frame's hill.

    cv (C, T) the variable; bias, offset c(t) and height of the hill (C, T) kJ/mol; valid (C, T) whether a frame counts.
    """

    cv: np.ndarray
    bias: np.ndarray
    offset: np.ndarray
    height: np.ndarray
    valid: np.ndarray


def biased_trajectory(run: Simulation) -> BiasedTrajectory:
    """The biased trajectory of a simulation with this bias."""
    arrays = (run.recorded[name].astype(float) for name in RECORDED)
    return BiasedTrajectory(*arrays, run.ensemble.valid)


def final_bias(trajectory: BiasedTrajectory, variable: Variable, config: MetadynamicsConfig) -> np.ndarray:
    """Add up each replica's hills in double precision: the bias after the last frame, (C, n, 2) as tables of `grid`."""
    return np.stack([
        np.tensordot(height[height > 0], _hills(variable, config, cv[height > 0]), axes=1)
        for cv, height in zip(trajectory.cv, trajectory.height, strict=True)
    ])  # fmt: skip


def reweighting(trajectory: BiasedTrajectory, temperature_K: float) -> np.ndarray:
    """exp((V(s_t, t) - c(t)) / kT) of each frame (C, T), mean 1, 0 where a frame does not count (Tiwary & Parrinello).

    Raises ValueError where no frame counts.
    """
    valid = trajectory.valid
    if not valid.any():
        raise ValueError("reweighting: want frames that count, got none")
    exponent = (trajectory.bias - trajectory.offset) / kT(temperature_K)
    weights = np.where(valid, np.exp(np.where(valid, exponent - exponent[valid].max(), 0.0)), 0.0)
    return weights / weights[valid].mean()
