"""The way from one basin to another along a periodic variable: how high, where, how often taken, how long to wait for."""

from typing import NamedTuple

import numpy as np

from ..units import KCAL, kT

PS = 1e-12
"""s."""
TEMPERATURES_K = np.arange(260.0, 401.0, 10.0)
"""At which `waits` are told."""


class Pass(NamedTuple):
    """minimum and top: places (rad) of the basin's lowest point and of the lowest pass out of it; height: F(top) -
    F(minimum), kJ/mol."""

    minimum: float
    top: float
    height: float


def lowest_pass(F: np.ndarray, points: np.ndarray, start: float) -> Pass:
    """From the basin on the side of `start` to its mirror image at the other sign, by 0 or by pi, whichever is lower.

    F (n,) kJ/mol at points (n,) rad, rising, of one period -pi to pi. The basin's minimum is sought on the side of start
    (its sign); that of the other side likewise, and between the two, either way round, the highest point.
    """
    side = points * np.sign(start) > 0
    near, far = (np.flatnonzero(s)[np.argmin(F[s])] for s in (side, ~side))
    order = (near + np.arange(len(F))) % len(F)
    there = int(np.flatnonzero(order == far)[0])
    ways = order[: there + 1], np.append(order[there:], near)
    top = min((way[np.argmax(F[way])] for way in ways), key=lambda i: F[i])
    return Pass(float(points[near]), float(points[top]), float(F[top] - F[near]))


def mirrored(F: np.ndarray) -> np.ndarray:
    """F(-s) for F(s), (..., n) at points of one whole period, the first of them -pi."""
    return F[..., -np.arange(F.shape[-1]) % F.shape[-1]]


def crossings(angle: np.ndarray, minimum: float, within: float = 0.5) -> int:
    """How often a walk (T,) rad went from within so many rad of the minimum to as near its mirror image, or back."""
    here, there = (np.abs(wrapped(angle - m)) < within for m in (minimum, -minimum))
    visits = np.where(here, 1, np.where(there, -1, 0))
    visits = visits[visits != 0]
    return int(np.count_nonzero(np.diff(visits)))


def wrapped(angle):
    """The same angle in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def rate(F: np.ndarray, points: np.ndarray, way: Pass, speed: float, temperature_K: float) -> float:
    """Crossings of the pass per ps by transition-state theory.

    k = sqrt(kT / 2 pi) <sqrt(Z)> exp(-F(top) / kT) / int_basin exp(-F / kT) ds,   Z = sum_i |ds/dr_i|^2 / m_i,

    the flux through the top in the one direction; speed is <sqrt(Z)> there, rad/nm/sqrt(g/mol). No crossing turns back,
    so that this is the most that the rate can be: friction makes the wait longer, never shorter.
    """
    thermal = kT(temperature_K)
    basin = points * np.sign(way.minimum) > 0
    width = np.exp(-(F[basin] - F[points == way.minimum][0]) / thermal).sum() * (points[1] - points[0])
    return float(np.sqrt(thermal / (2 * np.pi)) * speed * np.exp(-way.height / thermal) / width)


def across(
    points: np.ndarray,
    F_runs: np.ndarray,
    taken: np.ndarray,
    speed: float,
    temperature_K: float,
    *,
    side: float = 1.0,
    symmetric: bool = True,
) -> dict[str, float]:
    """What independent runs say of the way across: means over those that went, with errors of the mean, nan without any.

    barrier_kJ_mol, and in kcal/mol, from the basin's lowest point to the top of the lowest way to the other side;
    log10_wait_s, how long the model needs to invert, by transition-state theory (the least it can be).

    points (n,) rad of one period from -pi; F_runs (C, n) kJ/mol; taken (C,), how often each run went across; speed,
    <sqrt(Z)> at the top (see `rate`); side, the sign of the angle that the runs started from.
    symmetric: the model has the same energy for a mirror image, so that F(s) = F(-s): each run then counts with the mean
    of both sides. That is what two valleys filled one after the other, and not yet level, have to say of one.
    """
    way, F = way_across(F_runs, points, taken, side, symmetric), of_either_side(F_runs, symmetric)
    place = F[:, np.searchsorted(points, (way.minimum, way.top))]
    went = np.asarray(taken) > 0
    height = np.where(went, place[:, 1] - place[:, 0], np.nan)
    slow = [
        np.log10(PS / rate(f, points, way._replace(height=h), speed, temperature_K)) if w else np.nan
        for f, h, w in zip(F, height, went, strict=True)
    ]
    numbers = {"barrier_kJ_mol": height, "barrier_kcal_mol": height / KCAL, "log10_wait_s": np.array(slow)}
    return {f"{name}{of}": v for name, x in numbers.items() for of, v in zip(("", "_error"), average(x), strict=True)}


def waits(table: dict, temperature_K: float) -> dict[str, np.ndarray]:
    """The wait over temperature by the activation energy, from the table's two at one: temperature_K, log10_wait_s and
    its error, (K,) each; an activation energy of a single run counts as known."""
    slope = (1 / kT(TEMPERATURES_K) - 1 / kT(temperature_K)) / np.log(10)
    error = np.hypot(table["log10_wait_s_error"], np.nan_to_num(table["activation_kJ_mol_error"]) * slope)
    return {
        "temperature_K": TEMPERATURES_K,
        "log10_wait_s": table["log10_wait_s"] + table["activation_kJ_mol"] * slope,
        "log10_wait_s_error": error,
    }


def profile(
    F_runs: np.ndarray, taken: np.ndarray, temperature_K: float, *, symmetric: bool = True
) -> dict[str, np.ndarray]:
    """F, 0 at its lowest, and F_error (n,) kJ/mol, over the runs that went across, as in `across`, or over all if none did."""
    F, thermal = _counted(F_runs, taken, symmetric), kT(temperature_K)
    F = F + thermal * np.log(np.exp(-F / thermal).sum(1, keepdims=True))
    error = F.std(0, ddof=1) / np.sqrt(len(F)) if len(F) > 1 else np.full(F.shape[1], np.nan)
    return {"F": F.mean(0) - F.mean(0).min(), "F_error": error}


def of_either_side(F: np.ndarray, symmetric: bool) -> np.ndarray:
    """F (..., n), of a symmetric model the mean of both sides."""
    return (F + mirrored(F)) / 2 if symmetric else F


def way_across(F: np.ndarray, points: np.ndarray, taken: np.ndarray, side: float, symmetric: bool) -> Pass:
    """The pass of the mean over the runs that went across: each run's own maximum would be too high, and beside the top."""
    return lowest_pass(_counted(F, taken, symmetric).mean(0), points, side)


def _counted(F: np.ndarray, taken: np.ndarray, symmetric: bool) -> np.ndarray:
    went = np.asarray(taken) > 0
    # Of a run that never left, the other side is empty, and not the mirror image.
    return of_either_side(F[went], symmetric) if went.any() else F


def average(values: np.ndarray) -> tuple[float, float]:
    """Mean of what is finite and the error of that mean; nan where that takes more values."""
    values = values[np.isfinite(values)]
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return (float(values.mean()), float(error)) if len(values) else (np.nan, np.nan)
