"""From one basin to its mirror image along a periodic variable: the saddle, its height, how often and how soon it is crossed."""

from typing import NamedTuple

import numpy as np

from ..units import KCAL, kT

PS = 1e-12
"""s."""
TEMPERATURES_K = np.arange(260.0, 401.0, 10.0)
"""At which `passage_times` are given."""
FLAT, MOST_FLAT = 1e-3, 0.05
"""Within which part of its range a free energy is flat, and over which part of its points a summit may be."""


class Saddle(NamedTuple):
    """minimum and top: places (rad) of the basin's lowest point and of the lowest saddle; height: F(top) - F(minimum), kJ/mol."""

    minimum: float
    top: float
    height: float


def lowest_saddle(F: np.ndarray, points: np.ndarray, side: float) -> Saddle:
    """Find the saddle from the basin at one sign of the angle to that at the other, by 0 or by pi, whichever is lower.

    F (n,) kJ/mol at points (n,) rad, rising, of one period from -pi; side: the sign of the basin to begin with. Between the
    minima of both signs the highest point is taken, either way round.
    """
    here = points * np.sign(side) > 0
    near, far = (np.flatnonzero(s)[np.argmin(F[s])] for s in (here, ~here))
    order = (near + np.arange(len(F))) % len(F)
    half = int(np.flatnonzero(order == far)[0])
    paths = order[: half + 1], np.append(order[half:], near)
    top = min((path[np.argmax(F[path])] for path in paths), key=lambda i: F[i])
    return Saddle(float(points[near]), float(points[top]), float(F[top] - F[near]))


def transition_path(
    F_runs: np.ndarray, points: np.ndarray, n_transitions: np.ndarray, side: float, symmetric: bool
) -> Saddle:
    """Find the saddle of the mean F of the runs that crossed: each run's own maximum would be too high, and beside the top."""
    return lowest_saddle(_counted(F_runs, n_transitions, symmetric).mean(0), points, side)


def mirrored(F: np.ndarray) -> np.ndarray:
    """F(-s) for F(s), (..., n) at points of one whole period, the first of them -pi."""
    return F[..., -np.arange(F.shape[-1]) % F.shape[-1]]


def wrapped(angle):
    """The same angle in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def count_transitions(angle: np.ndarray, minimum: float, within: float = 0.5) -> int:
    """Count how often angle (T,) rad went from within so many rad of the minimum to as near its mirror image, or back."""
    here, there = (np.abs(wrapped(angle - m)) < within for m in (minimum, -minimum))
    visits = np.where(here, 1, np.where(there, -1, 0))
    return int(np.count_nonzero(np.diff(visits[visits != 0])))


def rate(F: np.ndarray, points: np.ndarray, saddle: Saddle, speed: float, temperature_K: float) -> float:
    """Crossings of the saddle per ps by transition-state theory.

        k = sqrt(kT / 2 pi) <sqrt(Z)> exp(-F(top) / kT) / int_basin exp(-F / kT) ds,   Z = sum_i |ds/dr_i|^2 / m_i,

    the flux through the top in the one direction; speed is <sqrt(Z)> there, rad/nm/sqrt(g/mol). No crossing turns back,
    so that this is the most that the rate can be: friction makes the passage later, never sooner.
    """
    thermal = kT(temperature_K)
    basin = points * np.sign(saddle.minimum) > 0
    width = np.exp(-(F[basin] - F[points == saddle.minimum][0]) / thermal).sum() * (points[1] - points[0])
    return float(np.sqrt(thermal / (2 * np.pi)) * speed * np.exp(-saddle.height / thermal) / width)


def transition(
    points: np.ndarray,
    F_runs: np.ndarray,
    n_transitions: np.ndarray,
    speed: float,
    temperature_K: float,
    *,
    side: float = 1.0,
    symmetric: bool = True,
) -> dict[str, float]:
    """Sum up independent runs: means over those that crossed, with errors of the mean, nan without any.

    barrier_kJ_mol, and in kcal/mol, from the basin's lowest point to the top of the lowest saddle; log10_passage_time_s, the mean
    first-passage time by transition-state theory (the least it can be).

    Args:
        points: (n,) rad of one period from -pi; F_runs: (C, n) kJ/mol; n_transitions: (C,) of each run.
        speed: <sqrt(Z)> at the top (see `rate`); side: the sign of the angle that the runs started from.
        symmetric: the model has the same energy for a mirror image, so that F(s) = F(-s): each run then counts with the
            mean of both sides, for two valleys filled one after the other may not be level yet.
    """
    saddle = transition_path(F_runs, points, n_transitions, side, symmetric)
    F = _of_either_side(F_runs, symmetric)
    crossed = np.asarray(n_transitions) > 0
    bottom, top = F[:, np.searchsorted(points, (saddle.minimum, saddle.top))].T
    height, log10_wait = np.full((2, len(F)), np.nan)
    for c in np.flatnonzero(crossed):
        height[c] = top[c] - bottom[c]
        log10_wait[c] = np.log10(PS / rate(F[c], points, saddle._replace(height=height[c]), speed, temperature_K))
    numbers = {"barrier_kJ_mol": height, "barrier_kcal_mol": height / KCAL, "log10_passage_time_s": log10_wait}
    return {f"{name}{of}": v for name, x in numbers.items() for of, v in zip(("", "_error"), average(x), strict=True)}


def passage_times(table: dict, temperature_K: float) -> dict[str, np.ndarray]:
    """Extrapolate the mean first-passage time over temperature by the activation energy, both from a table at one.

    temperature_K, log10_passage_time_s and its error, (K,) each; nan by the activation energy of a single run, of which nobody
    knows how wrong it is.
    """
    slope = (1 / kT(TEMPERATURES_K) - 1 / kT(temperature_K)) / np.log(10)
    error = np.hypot(table["log10_passage_time_s_error"], table["activation_kJ_mol_error"] * slope)
    log10_wait = table["log10_passage_time_s"] + table["activation_kJ_mol"] * slope
    return {
        "temperature_K": TEMPERATURES_K,
        "log10_passage_time_s": np.where(np.isfinite(error), log10_wait, np.nan),
        "log10_passage_time_s_error": error,
    }


def profile(
    F_runs: np.ndarray, n_transitions: np.ndarray, temperature_K: float, *, symmetric: bool = True
) -> dict[str, np.ndarray]:
    """F, 0 at its lowest, and F_error (n,) kJ/mol, over the runs that crossed, as in `transition`, or over all if none did."""
    F, thermal = _counted(F_runs, n_transitions, symmetric), kT(temperature_K)
    F = F + thermal * np.log(np.exp(-F / thermal).sum(1, keepdims=True))
    error = F.std(0, ddof=1) / np.sqrt(len(F)) if len(F) > 1 else np.full(F.shape[1], np.nan)
    return {"F": F.mean(0) - F.mean(0).min(), "F_error": error}


def without_flat_top(F: np.ndarray) -> np.ndarray:
    """F (n,) with nan where no hill fell: there metadynamics leaves F flat at its top, which says nothing."""
    flat = F.max() - FLAT * np.ptp(F) < F
    return np.where(flat, np.nan, F) if flat.mean() > MOST_FLAT else F


def average(values: np.ndarray) -> tuple[float, float]:
    """Mean of what is finite and the error of that mean; nan where that takes more values."""
    values = values[np.isfinite(values)]
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return (float(values.mean()), float(error)) if len(values) else (np.nan, np.nan)


def _of_either_side(F: np.ndarray, symmetric: bool) -> np.ndarray:
    return (F + mirrored(F)) / 2 if symmetric else F


def _counted(F_runs: np.ndarray, n_transitions: np.ndarray, symmetric: bool) -> np.ndarray:
    crossed = np.asarray(n_transitions) > 0
    # Of a run that never left, the other side is empty, and not the mirror image.
    return _of_either_side(F_runs[crossed], symmetric) if crossed.any() else F_runs
