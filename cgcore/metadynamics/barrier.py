"""The way from one basin to another along a periodic variable: how high, where, how often taken, how long to wait for."""

from typing import NamedTuple

import numpy as np

from ..units import kT

PS = 1e-12
"""s."""


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
