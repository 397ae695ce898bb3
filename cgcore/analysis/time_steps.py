"""How long a time step may be, from which replicas survive with which."""

from typing import NamedTuple

import numpy as np
from scipy.stats import binom

from ..units import KB

CHANCE = 0.05
"""Probability below which failures are not left to chance."""


class StepLimit(NamedTuple):
    """How long a time step may be, fs.

    safe: the longest tried at which, as at all shorter ones, no more replicas fail than chance allows if enough survive, 0
    if there is none; unsafe: the next one tried, nan if there is none; limit: where the survival, a straight line from step
    to step, falls below what is enough; error: of the limit, nan where all steps are safe and the limit is a bound.
    """

    safe: float
    unsafe: float
    limit: float
    error: float


def step_limit(
    step_fs: np.ndarray, survived: np.ndarray, enough: float = 0.95, n_draws: int = 1000, seed: int = 0
) -> StepLimit:
    """The longest safe time step from whether each replica survived (K, C) at each of K steps, which rise.

    A step is unsafe if so many failures have a probability below `CHANCE` where a share `enough` survives (binomial, one
    side): one replica of ten that fails where 95 % are enough says nothing against the step.
    The error joins that of the replicas, drawn anew with replacement, and that of the steps tried: where between two of
    them the limit lies is not known, width / sqrt(12). Raises ValueError for steps that do not rise.
    """
    step_fs, survived = np.asarray(step_fs, float), np.asarray(survived, bool)
    if survived.ndim != 2 or survived.shape[:1] != step_fs.shape or (np.diff(step_fs) <= 0).any() or step_fs[0] <= 0:
        raise ValueError(f"want rising steps (K,) and (K, C) survivals, got {step_fs} and shape {survived.shape}")
    alive, n = survived.sum(1), survived.shape[1]
    safe = _safe(alive, n, enough)
    if safe == len(step_fs):
        return StepLimit(step_fs[-1], np.nan, step_fs[-1], np.nan)
    drawn = np.random.default_rng(seed).binomial(n, alive / n, size=(n_draws, len(alive)))
    limits = [_falls_below(step_fs, a, n, enough) for a in drawn]
    tried = np.concatenate([[0.0], step_fs])
    error = np.hypot(np.std(limits), (tried[safe + 1] - tried[safe]) / np.sqrt(12))
    return StepLimit(tried[safe], tried[safe + 1], _falls_below(step_fs, alive, n, enough), float(error))


def heating(drift: float, n_beads: int, length_ps: float = 100.0) -> float:
    """By how many K a drift of the total energy, kJ/mol/ns, heats so many beads in so many ps; 100 ps are the paper's.

    As if they were harmonic, kB for each of 3 N - 6 vibrations and kB / 2 for translations and rotations:
    dT = drift t / ((3 N - 3) kB).
    """
    return drift * length_ps / 1000 / ((3 * n_beads - 3) * KB)


def _safe(alive: np.ndarray, n: int, enough: float) -> int:
    """How many of the steps, from the shortest on, are safe."""
    likely = binom.sf(n - alive - 1, n, 1 - enough) >= CHANCE
    return int(np.count_nonzero(np.logical_and.accumulate(likely)))


def _falls_below(step_fs: np.ndarray, alive: np.ndarray, n: int, enough: float) -> float:
    """Where the survival, 1 at no step, never rising and enough at safe ones, falls to `enough`; else the last step."""
    safe, fraction = _safe(alive, n, enough), alive / n
    if safe == len(step_fs):
        return float(step_fs[-1])
    fraction[:safe] = np.maximum(fraction[:safe], enough)
    x, y = np.concatenate([[0.0], step_fs]), np.minimum.accumulate(np.concatenate([[1.0], fraction]))
    at, before = safe + 1, safe
    return float(x[before] + (y[before] - enough) / (y[before] - y[at]) * (x[at] - x[before]))
