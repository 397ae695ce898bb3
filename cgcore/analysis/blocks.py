"""Errors from blocks that are (nearly) independent: replicas of a simulation, or contiguous pieces of one trajectory."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.stats import chi2


class Estimate(NamedTuple):
    """A value and its standard error, in the same unit."""

    value: float | np.ndarray
    error: float | np.ndarray


def row(name: str, estimate: Estimate) -> dict:
    """An estimate as two entries of a table: name and name_error."""
    return {name: estimate.value, f"{name}_error": estimate.error}


def pieces(x: np.ndarray, valid: np.ndarray, n_blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut one trajectory (T,) and its valid frames into contiguous blocks: two arrays (B, ceil(T / B)).

    The last block is filled up with frames that do not count.
    """
    if not 2 <= n_blocks <= len(x):
        raise ValueError(f"blocks: want 2 to {len(x)} for {len(x)} frames, got {n_blocks}")
    fill = -len(x) % n_blocks
    return np.pad(x, (0, fill)).reshape(n_blocks, -1), np.pad(valid, (0, fill)).reshape(n_blocks, -1)


def filled(blocks: np.ndarray) -> np.ndarray:
    """The blocks (B, ...) that hold any count. Raises ValueError where fewer than two do."""
    blocks = np.asarray(blocks)
    blocks = blocks[blocks.reshape(len(blocks), -1).any(1)]
    if len(blocks) < 2:
        raise ValueError(
            f"want at least two blocks that hold frames, got {len(blocks)}; without them there is no error bar"
        )
    return blocks


def jackknife(statistic: Callable, blocks: np.ndarray) -> Estimate:
    """A statistic of the sum of blocks (B, ...), with the error of leaving out one block at a time.

    With theta_b the statistic without block b, error^2 = (B - 1) / B * sum_b (theta_b - mean theta)^2. Holds for smooth
    nonlinear statistics of counts, such as a divergence of histograms. Empty blocks are left out.
    Efron & Stein, Ann. Stat. 9, 586 (1981), doi:10.1214/aos/1176345462.
    """
    blocks = filled(blocks)
    total, n = blocks.sum(0), len(blocks)
    without = np.array([statistic(total - b) for b in blocks])
    error = np.sqrt((n - 1) / n * ((without - without.mean(0)) ** 2).sum(0))
    return Estimate(statistic(total), error if error.ndim else float(error))


def ratio(numerators: np.ndarray, denominators: np.ndarray, function: Callable = lambda mean: mean) -> Estimate:
    """A function of sum(numerators) / sum(denominators), such as a mean from sums and counts in blocks (B, ...) each."""
    value, error = jackknife(lambda total: function(total[0] / total[1]), np.stack([numerators, denominators], axis=1))
    return Estimate(value if np.ndim(value) else float(value), error)


def block_mean(x: np.ndarray, n_blocks: int | None = None) -> Estimate:
    """Mean of x (C, T) and its standard error from blocks of equal length.

    The blocks are the C chains, or where `n_blocks` is given each chain's so many contiguous pieces; up to n_blocks - 1
    frames at a chain's end are then left out.
    """
    x = np.atleast_2d(x)
    n = n_blocks or 1
    length = x.shape[1] // n
    if length == 0:
        raise ValueError(f"blocks: want at most {x.shape[1]} for {x.shape[1]} frames, got {n}")
    means = x[:, : length * n].reshape(-1, length).mean(1)
    if means.size < 2:
        raise ValueError("one chain in one block has no error bar; give n_blocks")
    return Estimate(float(means.mean()), float(means.std(ddof=1) / np.sqrt(means.size)))


def autocorrelation(x: np.ndarray) -> np.ndarray:
    """Normalised autocorrelation of x (C, T) about the mean of all chains, averaged over chains: (T,), 1 at lag 0.

    rho(k) is the sum over C (T - k) products, so that late lags are noisy but not damped.
    """
    x = np.atleast_2d(np.asarray(x, float))
    T = x.shape[1]
    d = x - x.mean()
    if not np.any(d):
        raise ValueError("a constant series has no autocorrelation")
    size = next_fast_len(2 * T - 1, real=True)
    products = irfft(np.abs(rfft(d, size)) ** 2, size)[:, :T].mean(0) / np.arange(T, 0, -1)
    return products / products[0]


def inefficiency(x: np.ndarray, window: float = 5.0) -> float:
    """Statistical inefficiency g = 1 + 2 sum_k rho(k) of x (C, T), the number of frames that are worth one independent frame.

    The sum ends at the first lag k >= window * g / 2 (Sokal's self-consistent window). A trajectory shorter than some
    fifty correlation times gives too small a value.
    """
    g = 2 * np.cumsum(autocorrelation(x)) - 1
    ends = np.flatnonzero(np.arange(len(g)) >= window * g / 2)
    return float(max(1.0, g[ends[0] if ends.size else -1]))


def between_halves(distance: Callable, blocks: np.ndarray, n_splits: int = 50, seed: int = 0) -> float:
    """Mean distance between the sums of two random halves of the blocks: what sampling noise alone gives.

    Divergences are never negative, so noise does not average out of them. To leading order they grow as 1 / frames:
    two samples with half-split values a and b and one true distribution are (a + b) / 4 apart.
    """
    blocks = filled(blocks)
    rng = np.random.default_rng(seed)
    half = len(blocks) // 2
    values = []
    for _ in range(n_splits):
        order = rng.permutation(len(blocks))
        values.append(distance(blocks[order[:half]].sum(0), blocks[order[half : 2 * half]].sum(0)))
    return float(np.mean(values))


def if_symmetric(statistic: Callable, image: Callable, blocks: np.ndarray, n_draws: int = 50, seed: int = 0) -> float:
    """Mean of a symmetry index if the system had the symmetry: each block is replaced by its image or not, at random.

    A symmetric system gives a block and its image with equal probability, so this is the index's noise floor for just
    these blocks with all their correlations inside.
    """
    blocks = filled(blocks)
    rng = np.random.default_rng(seed)
    images = image(blocks)
    coins = rng.integers(2, size=(n_draws, len(blocks)) + (1,) * (blocks.ndim - 1)).astype(bool)
    return float(np.mean([statistic(np.where(coin, images, blocks).sum(0)) for coin in coins]))


def bootstrap(statistic: Callable, n_blocks: int, n_draws: int, seed: int = 0) -> list:
    """What a statistic of block indices (B,) gives for blocks drawn with replacement, n_draws times."""
    rng = np.random.default_rng(seed)
    return [statistic(rng.integers(n_blocks, size=n_blocks)) for _ in range(n_draws)]


def poisson_interval(n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact confidence interval of the mean of a Poisson variable seen as n. Garwood, Biometrika 28, 437 (1936)."""
    tail = (1 - confidence) / 2
    low = float(chi2.ppf(tail, 2 * n)) / 2 if n else 0.0
    return low, float(chi2.ppf(1 - tail, 2 * n + 2)) / 2


def event_rates(n_events: int, size: float, exposure: float) -> dict:
    """The table of a rate from events of a mean size: rearrangement_rate, with its exact 95 % interval _low and _high."""
    low, high = poisson_interval(n_events)
    per = size / exposure if exposure else float("nan")
    return {
        "rearrangement_rate": n_events * per,
        "rearrangement_rate_low": low * per,
        "rearrangement_rate_high": high * per,
    }
