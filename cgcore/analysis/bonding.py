"""Which beads are bonded to which, frame by frame, for molecules of any length: bonds found anew by optimal matching.

A potential that sees only positions and species cannot know which beads are bonded. In each frame every bead keeps the
number of its bonds to each kind of bead, and of all bond graphs with these numbers the one with the least sum of squared
lengths over the periodic box is taken (a minimum-weight perfect b-matching, one for each pair of kinds); where that has
other bonds than the ones before, bonds have switched. For molecules of two beads it is the matching of `partners`.
"""

from itertools import combinations_with_replacement
from typing import NamedTuple

import networkx
import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array
from scipy.spatial import cKDTree

from cgcore.analysis.partners import rates
from cgcore.analysis.sample import wrapped
from cgcore.units import PS_PER_NS

REACH, FAR = 1.5, 3.0
"""Candidates are as far apart as REACH times the longest bond there is, and at most FAR times the longest at first."""
SAME = 1e-9
"""Gain of squared length, relative to all of it, that counts as none."""

Bonds = frozenset[tuple[int, int]]


class Switches(NamedTuple):
    """Exchanges of partners in one replica. frames: (E,) from which each counts; new: (E,) bonds that each made; switched:
    (T,) fraction of molecules that have not all of their first bonds."""

    frames: np.ndarray
    new: np.ndarray
    switched: np.ndarray


def rebond(x: np.ndarray, box: np.ndarray, bonds: Bonds, kinds: np.ndarray, reach: float = np.inf) -> Bonds:
    """The bonds i < j of one frame (N, 3) nm with the least sum of squared lengths; `bonds` is where to begin.

    With B_i the longest bond of bead i in `bonds` to beads of that kind, these bonds are the best where no other pair has
    d_ij^2 < (B_i^2 + B_j^2) / 2: each new bond takes the place of one old end at either bead. That ends most frames; else
    an integer programme is solved. reach: nm, no candidate is further apart. box: (3,) nm, inf if open.
    """
    pairs = np.array(sorted(bonds))
    open_ = not np.isfinite(box).all()
    x = np.asarray(x, float) if open_ else wrapped(x, box)
    own = _square(x, box, pairs)
    near = min(REACH * float(np.sqrt(own.max())), reach, np.inf if open_ else 0.499 * float(min(box)))
    tree = cKDTree(x, boxsize=None if open_ else box)
    others = {tuple(p) for p in np.sort(tree.query_pairs(near, output_type="ndarray"), axis=1).tolist()} - bonds
    if not others:
        return bonds
    others = np.array(sorted(others))
    found = []
    for a, b in combinations_with_replacement(np.unique(kinds), 2):
        mine, theirs = (p[(np.sort(kinds[p], axis=1) == (a, b)).all(1)] for p in (pairs, others))
        found += _of_kinds(x, box, mine, theirs) if len(mine) else []
    return frozenset(found)


def follow(position: np.ndarray, box: np.ndarray, bonds: np.ndarray, kinds: np.ndarray, *, hold: int) -> Switches:
    """Exchanges of partners along the frames (T, N, 3) nm of one replica, which begin with the given bonds (P, 2).

    Bonds that came and went since the last exchange and share beads are one exchange. It counts from the frame on in which
    all of them have been so for `hold` frames: what turns back sooner has not switched, later it is a second exchange.
    """
    pairs = np.sort(np.asarray(bonds), axis=1)
    first = settled = current = frozenset(map(tuple, pairs.tolist()))
    reach = FAR * float(np.sqrt(_square(np.asarray(position[0], float), box, pairs).max()))
    changed: dict[tuple[int, int], int] = {}
    frames, new, switched = [], [], np.empty(len(position))
    molecules = [frozenset(m.edges) for m in _parts(first)]
    for t, x in enumerate(position):
        before, current = current, rebond(x, box, current, kinds, reach)
        changed |= dict.fromkeys(before ^ current, t)
        for part in _parts(current ^ settled):
            pairs = frozenset(tuple(sorted(p)) for p in part.edges)
            if t - max(changed[p] for p in pairs) + 1 >= hold:
                frames.append(t)
                new.append(len(pairs & current))
                settled ^= pairs
        switched[t] = np.mean([any(tuple(sorted(p)) not in settled for p in m) for m in molecules])
    return Switches(np.array(frames, int), np.array(new, int), switched)


def switching(
    replicas: list[np.ndarray], box: np.ndarray, frame_ps: float, bonds: np.ndarray, kinds, *, hold_ps: float = 1.0
) -> dict:
    """How often bonds switch, over all replicas (t, N, 3) nm: the table of `partners.switching`, for any bead graph.

    switch_rate: new bonds per molecule and ns, with its 95 % interval switch_rate_low, switch_rate_high, exact for a
    Poisson number of exchanges (Garwood, Biometrika 28, 437 (1936)).
    """
    hold, box = max(2, round(hold_ps / frame_ps)), np.asarray(box, float)
    found = [follow(x, box, bonds, np.asarray(kinds), hold=hold) for x in replicas]
    molecules = len(_parts(frozenset(map(tuple, np.asarray(bonds).tolist()))))
    exposure = sum(map(len, replicas)) * frame_ps / PS_PER_NS * molecules
    new = np.concatenate([s.new for s in found])
    return rates(new, exposure, [s.switched for s in found]) | {"switch_hold_ps": hold * frame_ps}


def _of_kinds(x, box, mine: np.ndarray, others: np.ndarray) -> list[tuple[int, int]]:
    """The best bonds between two kinds of beads, which have `mine`; others: pairs of these kinds."""
    own = _square(x, box, mine)
    longest = np.full(len(x), -np.inf)
    np.maximum.at(longest, mine.ravel(), np.repeat(own, 2))
    others = others[np.isfinite(longest[others]).all(1)]
    cost = _square(x, box, others)
    if not np.any(cost < longest[others].sum(1) / 2):
        return list(map(tuple, mine.tolist()))
    pairs, squares = np.concatenate([mine, others]), np.concatenate([own, cost])
    at = coo_array(
        (np.ones(2 * len(pairs)), (pairs.ravel(), np.repeat(np.arange(len(pairs)), 2))), (len(x), len(pairs))
    )
    degree = np.bincount(mine.ravel(), minlength=len(x)).astype(float)
    best = milp(
        squares / own.max(),
        integrality=np.ones(len(pairs)),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(at.tocsc(), degree, degree),
        options={"mip_rel_gap": 0.0},
    )
    chosen = best.x > 0.5
    better = squares[chosen].sum() < own.sum() * (1 - SAME)
    return list(map(tuple, (pairs[chosen] if better else mine).tolist()))


def _parts(pairs: Bonds) -> list[networkx.Graph]:
    """The graphs that hang together by these pairs."""
    graph = networkx.Graph(pairs)
    return [graph.subgraph(beads) for beads in networkx.connected_components(graph)]


def _square(x: np.ndarray, box: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    d = x[pairs[:, 0]] - x[pairs[:, 1]]
    d -= np.where(np.isfinite(box), box, 0.0) * np.rint(d / box)
    return np.einsum("pd,pd->p", d, d)
