"""How long a time step may be, from which replicas survive with which."""

from typing import NamedTuple

import numpy as np


class StepLimit(NamedTuple):
    """How long a time step may be, fs.

    safe: the longest tried at which, as at all shorter ones, enough replicas survive, 0 if there is none; unsafe: the next
    one tried, nan if there is none; limit: where the survival, a straight line from step to step, falls below what is
    enough; error: of the limit, nan where all steps are safe and the limit is a bound.
    """

    safe: float
    unsafe: float
    limit: float
    error: float


def step_limit(
    step_fs: np.ndarray, survived: np.ndarray, enough: float = 0.95, n_draws: int = 1000, seed: int = 0
) -> StepLimit:
    """The longest safe time step from whether each replica survived (K, C) at each of K steps, which rise.

    The error joins that of the replicas, drawn anew with replacement, and that of the steps tried: where between two of
    them the limit lies is not known, width / sqrt(12). Raises ValueError for steps that do not rise.
    """
    step_fs, survived = np.asarray(step_fs, float), np.asarray(survived, bool)
    if survived.ndim != 2 or survived.shape[:1] != step_fs.shape or (np.diff(step_fs) <= 0).any() or step_fs[0] <= 0:
        raise ValueError(f"want rising steps (K,) and (K, C) survivals, got {step_fs} and shape {survived.shape}")
    fraction, n = survived.mean(1), survived.shape[1]
    safe = int(np.count_nonzero(np.minimum.accumulate(fraction) >= enough))
    if safe == len(step_fs):
        return StepLimit(step_fs[-1], np.nan, step_fs[-1], np.nan)
    drawn = np.random.default_rng(seed).binomial(n, fraction, size=(n_draws, len(fraction))) / n
    limits = [_falls_below(step_fs, f, enough) for f in drawn]
    tried = np.concatenate([[0.0], step_fs])
    error = np.hypot(np.std(limits), (tried[safe + 1] - tried[safe]) / np.sqrt(12))
    return StepLimit(tried[safe], tried[safe + 1], _falls_below(step_fs, fraction, enough), float(error))


def _falls_below(step_fs: np.ndarray, fraction: np.ndarray, enough: float) -> float:
    """Where the survival, 1 at no step and never rising, falls to `enough`; the last step if it does not."""
    x, y = np.concatenate([[0.0], step_fs]), np.minimum.accumulate(np.concatenate([[1.0], fraction]))
    below = np.flatnonzero(y < enough)
    if not below.size:
        return float(x[-1])
    k = below[0]
    return float(x[k - 1] + (y[k - 1] - enough) / (y[k - 1] - y[k]) * (x[k] - x[k - 1]))
