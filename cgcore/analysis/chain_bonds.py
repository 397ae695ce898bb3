"""Which beads of a chain are bonded, frame by frame, from where they are; and how its runs break.

A chain with or without side beads is a tree of N - 1 bonds. Where its bonds are shorter than all other distances, they are
the minimum spanning tree of the distances, which needs no list of bonds. A frame whose tree is another one is a chain of
other bonds: they have rearranged. Beads that only touch are no bond: the one that it would replace has to be longer by
TOLERANCE_NM.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import pdist, squareform

from cgcore.analysis.blocks import event_rates
from cgcore.units import PS_PER_NS

TOLERANCE_NM = 0.05
"""How much longer than another distance a bond must be to give way to it: the paper's criterion of a broken bond."""
LEAST_NM = 1e-6  # SciPy takes a distance of zero for none
ENDINGS = WHOLE, REARRANGED, STRETCHED, NOT_FINITE = "whole", "rearranged", "stretched", "not_finite"


class Rearrangements(NamedTuple):
    """New bonds of one replica.

    frames: (E,) from which each counts; gained: (E, 2) beads; switched: (T,) fraction of the first bonds that are not there.
    """

    frames: np.ndarray
    gained: np.ndarray
    rearranged: np.ndarray


def tree(x: np.ndarray, before: Iterable[tuple[int, int]] = ()) -> np.ndarray:
    """(N - 1, 2) bonds i < j, sorted, of the minimum spanning tree of positions (N, 3) nm.

    before: bonds that were there, which count as shorter by TOLERANCE_NM.
    """
    distance = squareform(pdist(np.asarray(x, float)))
    for i, j in before:
        distance[[i, j], [j, i]] = max(distance[i, j] - TOLERANCE_NM, LEAST_NM)
    edges = np.sort(np.argwhere(minimum_spanning_tree(distance).toarray()), axis=1)
    return edges[np.lexsort(edges.T[::-1])]


def follow(position: np.ndarray, bonds: np.ndarray, *, hold: int) -> Rearrangements:
    """Follow the bonds of one replica (T, N, 3) nm whose first bonds are (P, 2), a tree.

    A bond counts as new from the frame on in which it has been one of the tree for `hold` frames without a break, while
    the one that it replaces was longer by TOLERANCE_NM; that is lost with it, and new again if it comes back. Frames from
    the first that is not finite on are not looked at. Raises ValueError for bonds that are no tree.
    """
    n = position.shape[1]
    first = {tuple(sorted(bond)) for bond in np.asarray(bonds).tolist()}
    if len(first) != n - 1:
        raise ValueError(f"chain: want the {n - 1} bonds of a tree of {n} beads, got {len(first)}; has it a ring?")
    settled, since = set(first), dict.fromkeys(first, hold)
    finite = np.isfinite(position).all((-1, -2))
    end = len(finite) if finite.all() else int(finite.argmin())
    usual = _only_these(position[:end], np.asarray(bonds))
    frames, gained, switched = [], [], np.empty(end)
    for t, x in enumerate(position[:end]):
        present = first if usual[t] and settled == first else set(map(tuple, tree(x, settled).tolist()))
        since = {bond: min(since.get(bond, 0) + 1, hold) for bond in present}
        if new := sorted(bond for bond in present - settled if since[bond] >= hold):
            frames, gained, settled = frames + [t] * len(new), gained + new, (settled & present) | set(new)
        switched[t] = len(first - settled) / len(first)
    return Rearrangements(np.array(frames, int), np.array(gained, int).reshape(-1, 2), switched)


def rearrangements(
    position: np.ndarray, bonds: np.ndarray, frame_ps: float, *, hold_ps: float = 1.0
) -> tuple[dict, list[Rearrangements]]:
    """Count new bonds over replicas (C, T, N, 3) nm of a chain: a table, and the rearrangements of each replica.

    All finite frames are looked at, also those after a replica has failed: a rearrangement is how it may fail. rearrangement_rate:
    new bonds per chain and ns, with its 95 % confidence interval _low, _high for a Poisson number of events (new bonds of
    one frame are one event); n_rearrangements; n_replicas_rearranged; rearranged_end: fraction of the first bonds that are not there
    in each replica's last finite frame, mean over replicas.
    """
    hold = max(2, round(hold_ps / frame_ps))
    replicas = [follow(x, bonds, hold=hold) for x in position]
    exposure = sum(len(r.rearranged) for r in replicas) * frame_ps / PS_PER_NS
    events, new = sum(len(set(r.frames.tolist())) for r in replicas), sum(len(r.frames) for r in replicas)
    table = {
        "n_rearrangements": new,
        "n_replicas_rearranged": sum(len(r.frames) > 0 for r in replicas),
        **event_rates(events, new / events if events else 1.0, exposure),
        "rearranged_end": float(np.mean([r.rearranged[-1] if len(r.rearranged) else 1.0 for r in replicas])),
        "hold_ps": hold * frame_ps,
    }
    return table, replicas


def endings(first_bad: np.ndarray, position: np.ndarray, replicas: list[Rearrangements], within: int) -> list[str]:
    """How each replica (T, N, 3) ends.

    WHOLE; NOT_FINITE where its first bad frame is; REARRANGED where a new bond counts no later than `within` frames after its
    first bad one; STRETCHED else: a bond off its length, between the same beads.
    """
    kinds = []
    for bad, x, r in zip(np.asarray(first_bad), position, replicas, strict=True):
        if bad >= position.shape[1]:
            kinds.append(WHOLE)
        elif not np.isfinite(x[bad]).all():
            kinds.append(NOT_FINITE)
        else:
            kinds.append(REARRANGED if np.any(r.frames <= bad + within) else STRETCHED)
    return kinds


def _only_these(position: np.ndarray, bonds: np.ndarray) -> np.ndarray:
    """(T,) whether no other distance is short enough to replace a bond, so that the tree need not be looked for."""
    i, j = np.triu_indices(position.shape[1], k=1)
    bonded = np.isin(i * position.shape[1] + j, np.sort(bonds, axis=1) @ [position.shape[1], 1])
    distances = (pdist(x) for x in np.asarray(position, float))
    return np.array([d[bonded].max() - TOLERANCE_NM < d[~bonded].min() for d in distances], bool)
