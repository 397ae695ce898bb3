"""From biased replicas back to the distribution of the model itself, with errors."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ..analysis.blocks import Estimate, jackknife
from ..units import kT
from . import grid
from .bias import level
from .config import MetadynamicsConfig
from .hills import hills_of, total
from .variables import Collective
from .walk import Walk


def balanced_weights(walk: Walk, temperature_K: float) -> np.ndarray:
    """exp((V(s_t, t) - c(t)) / kT) of each frame (C, T), mean 1, 0 where a frame does not count.

    From the bias that the frame felt (Tiwary & Parrinello, J. Phys. Chem. B 119, 736, 2015).
    """
    return _weights((walk.bias - walk.offset) / kT(temperature_K), walk.valid)


def last_bias_weights(
    walk: Walk, tables: np.ndarray, variables: tuple[Collective, ...], config: MetadynamicsConfig, temperature_K: float
) -> np.ndarray:
    """exp(V_end(s_t) / kT) of each frame (C, T), mean 1, 0 where a frame does not count; tables as of `last_bias`.

    As if all frames had felt the bias of the end: right once that grows by no more than a constant (Branduardi, Bussi &
    Parrinello, J. Chem. Theory Comput. 8, 2247, 2012).
    """
    axes, thermal = tuple(v.axis for v in variables), kT(temperature_K)
    of_frames = jax.vmap(jax.vmap(partial(grid.value, axes), (None, 0)))
    V = np.asarray(of_frames(jnp.asarray(tables), jnp.asarray(walk.cv)), float)
    # The bias of each replica has a zero of its own.
    zero = [float(level(grid.at_points(table, len(axes)), config, thermal)) for table in tables]
    return _weights((V - np.array(zero)[:, None]) / thermal, walk.valid)


def last_bias(walk: Walk, variables: tuple[Collective, ...], config: MetadynamicsConfig) -> np.ndarray:
    """The bias of each replica after the walk's last frame: (C, n_1, 2, ...), tables of `grid`."""
    axes, replicas = tuple(v.axis for v in variables), range(len(walk.cv))
    if config.shared:
        table = total(hills_of(walk, variables, config), axes)
        return np.stack([table for _ in replicas])
    return np.stack([total(hills_of(walk, variables, config, replica=c), axes) for c in replicas])


def from_bias(
    tables: np.ndarray, variables: tuple[Collective, ...], config: MetadynamicsConfig, temperature_K: float
) -> Estimate:
    """F = -gamma / (gamma - 1) V at the points of the grid, kJ/mol, with the error of the mean over independent replicas.

    (C, n_1, 2, ...) -> (n_1, ...), such that int exp(-F / kT) ds = 1 over the grid. Of a shared bias the error is nan.
    """
    axes, thermal = tuple(v.axis for v in variables), kT(temperature_K)
    F = np.stack([-config.deepening * grid.at_points(np.asarray(table, float), len(axes)) for table in tables])
    F = F.reshape(len(F), -1)
    ends = np.exp(-(F - F.min(1, keepdims=True)) / thermal) * _cells(axes)
    F = F - F.min(1, keepdims=True) + thermal * np.log(ends.sum(1, keepdims=True))
    shape = tuple(len(axis.points) for axis in axes)
    if config.shared or len(F) < 2:
        return Estimate(F[0].reshape(shape), np.full(shape, np.nan))
    return Estimate(F.mean(0).reshape(shape), (F.std(0, ddof=1) / np.sqrt(len(F))).reshape(shape))


def free_energy(
    values: np.ndarray, weights: np.ndarray, edges: list[np.ndarray], temperature_K: float, n_blocks: int = 1
) -> Estimate:
    """F = -kT ln p of any values (C, T, D) of weighted frames (C, T), kJ/mol, with p their density: (M_1, ..., M_D).

    The error is that of leaving out one block at a time: the replicas, or n_blocks contiguous pieces of each. nan in bins
    that a block alone has filled.
    """
    size = np.prod(np.meshgrid(*map(np.diff, edges), indexing="ij"), axis=0)
    values, weights = np.asarray(values, float), np.asarray(weights, float)
    length = values.shape[1] // n_blocks
    blocks = [
        np.histogramdd(v[k * length : (k + 1) * length], edges, weights=w[k * length : (k + 1) * length])[0]
        for v, w in zip(values, weights, strict=True)
        for k in range(n_blocks)
    ]

    def statistic(counts):
        p = np.maximum(counts, 0) / (counts.sum() * size)
        F = np.full(p.shape, np.nan)
        F[p > 1e-12 * p.max()] = -kT(temperature_K) * np.log(p[p > 1e-12 * p.max()])
        return F

    return jackknife(statistic, np.stack(blocks))


def error_by_blocks(
    values: np.ndarray, weights: np.ndarray, edges: list[np.ndarray], temperature_K: float, numbers: tuple[int, ...]
) -> np.ndarray:
    """The root mean square error (K,) of the free energy, kJ/mol, from so many blocks of each replica.

    It rises as blocks get longer, for frames of one block are correlated, until they are independent: that level is the
    error. A level that is never reached is a run too short. Bins whose error cannot be had are left out.
    """
    errors = [free_energy(values, weights, edges, temperature_K, n).error for n in numbers]
    return np.array([np.sqrt(np.nanmean(e**2)) for e in errors])


def effective_frames(weights: np.ndarray) -> float:
    """(sum w)^2 / sum w^2: so many frames of equal weight are worth as much."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def _weights(exponent: np.ndarray, valid: np.ndarray) -> np.ndarray:
    if not valid.any():
        raise ValueError("no frame counts, so that there is nothing to weigh")
    weights = np.where(valid, np.exp(np.where(valid, exponent - exponent[valid].max(), 0.0)), 0.0)
    return weights / weights[valid].mean()


def _cells(axes: tuple[grid.Axis, ...]) -> np.ndarray:
    """(n_1 ... n_D,) volume of the grid that each point stands for, half of it at bounds."""
    volume = np.ones(1)
    for axis in axes:
        length = np.full(len(axis.points), axis.step)
        if not axis.periodic:
            length[[0, -1]] /= 2
        volume = np.outer(volume, length).ravel()
    return volume
