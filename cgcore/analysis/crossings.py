"""Passages between the two sides of the barrier at phi = 0, and whether they are as frequent there as back.

A frame on a barrier is on the side that was visited last, so that to look over it is no passage. At equilibrium as many pass one way as the other: rate in = rate out * p / (1 - p), with p the share of the inside.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import binom

from cgcore.analysis.blocks import poisson_interval
from cgcore.units import PS_PER_NS

INSIDE, BARRIERS = (30.0, 90.0), (-30.0, 150.0)
"""Degrees of phi: the core of the left-handed basin; beyond the barriers on both sides of it are the other basins."""


class Passages(NamedTuple):
    """Of replicas, in ns: how often they left the inside, how often they entered it, and for how long they were where.

    inside: one array (T,) a replica, where its frames are.
    """

    escapes: int
    entries: int
    inside_ns: float
    outside_ns: float
    inside: list[np.ndarray]


def passages(phi: list[np.ndarray], frame_ps: float) -> Passages:
    """Follow phi (T,) rad of every replica through the cores; before the first visit to a side, by the sign of phi.

    Raises ValueError for an angle that is not finite.
    """
    if not all(np.isfinite(one).all() for one in phi):
        raise ValueError("phi: want finite angles")
    sides = [_side(np.degrees(one)) for one in phi]
    turns = [np.diff(side.astype(int)) for side in sides]
    n_inside, n = sum(int(side.sum()) for side in sides), sum(map(len, sides))
    return Passages(
        sum(int((turn < 0).sum()) for turn in turns),
        sum(int((turn > 0).sum()) for turn in turns),
        n_inside * frame_ps / PS_PER_NS,
        (n - n_inside) * frame_ps / PS_PER_NS,
        sides,
    )


def _side(degrees: np.ndarray) -> np.ndarray:
    inside, between = ((low < degrees) & (degrees < high) for low, high in (INSIDE, BARRIERS))
    last = np.maximum.accumulate(np.where(inside | ~between, np.arange(len(degrees)), -1))
    return np.where(last < 0, (degrees > 0)[0], inside[last])


def detailed_balance(escapes: int, inside_ns: float, entries: int, outside_ns: float, share: float) -> dict:
    """Hold entries against those that the escapes and the share of the inside lead to.

    Returns escape_rate (1/ns) and entries_expected, each with the exact 95 % interval _low and _high of a Poisson number of
    escapes, and entries_p: given how many passages there are in all, the probability of a number of entries as unlikely as
    this one, or more (two-sided, binomial). The share counts as exact, and passages as independent of each other.
    """
    if not (0 < share < 1 and inside_ns > 0):
        raise ValueError(f"want a share between 0 and 1 and time inside, got {share} and {inside_ns} ns")
    odds = share / (1 - share) * outside_ns / inside_ns
    low, high = poisson_interval(escapes)
    n, each = escapes + entries, odds / (1 + odds)
    chances = binom.pmf(np.arange(n + 1), n, each)
    return {
        "escape_rate": escapes / inside_ns,
        "escape_rate_low": low / inside_ns,
        "escape_rate_high": high / inside_ns,
        "entries_expected": escapes * odds,
        "entries_expected_low": low * odds,
        "entries_expected_high": high * odds,
        "entries_p": float(chances[chances <= chances[entries] * (1 + 1e-9)].sum()),
    }
