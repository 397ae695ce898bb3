"""Which beads are bonded to which, frame by frame: molecules of two beads paired anew by optimal matching.

A potential that sees only positions and species cannot know which beads are bonded. In each frame the beads are paired so
that the sum of squared bond lengths over the periodic box is the least; where the least sum belongs to other pairs than
the ones before, bonds have rearranged.
"""

from typing import NamedTuple

import numpy as np
import rustworkx
from scipy.spatial import cKDTree

from cgcore.analysis.blocks import event_rates
from cgcore.analysis.sample import Sample, wrapped
from cgcore.geometry import displacement, molecules
from cgcore.units import PS_PER_NS

REACH = 1.5
"""Candidates are as far apart as this times the longest bond of the pairs before."""
COST_NM2 = 1e-12
"""To which squared distances are rounded where they have to be whole numbers."""


class Rearrangements(NamedTuple):
    """Rearrangements of bonds in one replica.

    frames: (E,) from which each counts; beads: E arrays, which took part; switched: (T,) fraction of molecules whose two
    beads were not bonded at first.
    """

    frames: np.ndarray
    beads: tuple[np.ndarray, ...]
    rearranged: np.ndarray


def pairs_up(bonds: np.ndarray, n: int) -> bool:
    """Whether the bonds (P, 2) join all n beads in pairs, as matching wants."""
    return np.array_equal(np.sort(np.ravel(bonds)), np.arange(n))


def bonded_beads(bonds: np.ndarray) -> np.ndarray:
    """(N,) the bead that each is bonded to. Raises ValueError unless each bead has one bond."""
    bonds = np.asarray(bonds)
    if not pairs_up(bonds, 2 * len(bonds)):
        raise ValueError(
            "pair bonds: want every bead in one bond, as of two-site molecules; longer molecules do not pair up"
        )
    bonded = np.empty(2 * len(bonds), int)
    bonded[bonds], bonded[bonds[:, ::-1]] = bonds[:, ::-1], bonds
    return bonded


def match(x: np.ndarray, box: np.ndarray, bonded: np.ndarray, species: np.ndarray) -> np.ndarray:
    """Find the pairing (N,) of one frame (N, 3) nm with the least sum of squared distances, beginning with `bonded`.

    Pairs are of the species that are bonded in `bonded`. With b_i the bond of bead i there, that pairing is the best where
    no pair has d_ij^2 < (b_i^2 + b_j^2) / 2 (weak duality), which ends most frames; else rustworkx's blossom algorithm
    decides.
    """
    x, everyone = wrapped(x, box), np.arange(len(x))
    own = _square(x, box, everyone, bonded)
    i, j = _near(x, box, REACH * np.sqrt(own.max()))
    keep = np.isin(_pair(species, i, j), _pair(species, everyone, bonded)) & (bonded[i] != j)
    i, j = i[keep], j[keep]
    cost = _square(x, box, i, j)
    if not np.any(cost < (own[i] + own[j]) / 2):
        return bonded
    pairs = np.concatenate([np.stack([i, j], 1), np.stack([everyone, bonded], 1)])
    whole = np.rint(np.concatenate([cost, own]) / COST_NM2).astype(int)  # rustworkx adds whole numbers
    graph, most = rustworkx.PyGraph(multigraph=False), int(whole.max())
    graph.add_nodes_from(range(len(x)))
    graph.add_edges_from(list(zip(*pairs.T.tolist(), whole.tolist(), strict=True)))
    return bonded_beads(np.array(list(rustworkx.max_weight_matching(graph, True, lambda c: most - c))))


def follow(
    position: np.ndarray, box: np.ndarray, bonds: np.ndarray, species, *, hold: int, longest: float = 0.0
) -> Rearrangements:
    """Follow the bonds along the frames (T, N, 3) nm of one replica, which begin with the given bonds.

    Beads that hang together by the bonds that count and by those of the present frame are one rearrangement. It counts from
    the frame on in which all of them have kept their new bonds for `hold` frames without a break, and each of their old
    bonds has meanwhile been longer than the `longest` that a bond may be, nm: beads that turn back sooner have not
    rearranged, nor have whole molecules that lie across each other; those that turn back later do so a second time.
    """
    initial = settled = current = bonded_beads(bonds)
    everyone, species = np.arange(len(initial)), np.asarray(species)
    since, parted = np.zeros(len(initial), int), np.zeros(len(initial), bool)
    frames, beads, switched = [], [], np.empty(len(position))
    for t, x in enumerate(position):
        before, current = current, match(x, box, current, species)
        since = np.where(current == before, since + 1, 1)
        parted = (parted & (since > 1)) | (_square(x, box, everyone, settled) > longest**2)
        if np.any(current != settled):
            # Cycles of old and new bonds: all beads of one must have settled before any does.
            links = np.stack([np.tile(everyone, 2), np.concatenate([settled, current])], axis=1)
            cycle = molecules(links, len(initial))
            ready = np.ones(cycle.max() + 1, bool)
            np.logical_and.at(ready, cycle, (since >= hold) & parted)
            counts = ready[cycle] & (current != settled)
            beads += [np.flatnonzero(counts & (cycle == k)) for k in np.unique(cycle[counts])]
            frames += [t] * (len(beads) - len(frames))
            settled, parted = np.where(counts, current, settled), parted & ~counts
        switched[t] = np.mean(settled != initial)
    return Rearrangements(np.array(frames, int), tuple(beads), switched)


def rearrangements(
    sample: Sample, bonds: np.ndarray, species, *, hold_ps: float = 1.0, longest_nm: float = 0.0
) -> tuple[dict, np.ndarray]:
    """Count rearrangements (`follow`) over all replicas: a table, and (T,) the fraction of switched molecules over time.

    rearrangement_rate: new bonds per molecule and ns, with its 95 % confidence interval rearrangement_rate_low, rearrangement_rate_high, exact
    for a Poisson number of rearrangements; n_exchanges; switched: fraction of molecules whose beads were not bonded at
    first, mean over frames that count, and rearranged_end in each replica's last one.
    """
    hold = max(2, round(hold_ps / sample.frame_ps))
    replicas = [follow(x, sample.box, bonds, species, hold=hold, longest=longest_nm) for x in sample.replicas()]
    over_time = np.full((len(replicas), max(len(r.rearranged) for r in replicas)), np.nan)
    for series, r in zip(over_time, replicas, strict=True):
        series[: len(r.rearranged)] = r.rearranged
    new_bonds = [len(beads) / 2 for r in replicas for beads in r.beads]
    exposure = sample.n_frames * sample.frame_ps / PS_PER_NS * len(bonds)
    table = {
        "n_exchanges": len(new_bonds),
        **event_rates(len(new_bonds), float(np.mean(new_bonds)) if new_bonds else 2.0, exposure),
        "rearranged": float(np.concatenate([r.rearranged for r in replicas]).mean()),
        "rearranged_end": float(np.mean([r.rearranged[-1] for r in replicas])),
        "hold_ps": hold * sample.frame_ps,
    }
    return table | ({"longest_nm": longest_nm} if longest_nm else {}), np.nanmean(over_time, axis=0)


def nearer_neighbours(sample: Sample, bonds: np.ndarray, species, molecule: np.ndarray) -> list[np.ndarray]:
    """Whether a non-bonded neighbour of the bonded bead's species, in another molecule, is nearer than the bonded bead.

    Blocks (t, 2 P) of true or false, each bond seen from both of its beads; for molecules of any length.
    """
    species, bonds, box = np.asarray(species), np.asarray(bonds), sample.box
    here, there = np.concatenate([bonds, bonds[:, ::-1]]).T

    def nearer(x):
        x = wrapped(x, box)
        own = _square(x, box, here, there)
        i, j = _near(x, box, np.sqrt(own.max()))
        apart = molecule[i] != molecule[j]
        i, j = np.concatenate([i[apart], j[apart]]), np.concatenate([j[apart], i[apart]])
        nearest = np.full((len(x), species.max() + 1), np.inf)
        np.minimum.at(nearest, (i, species[j]), _square(x, box, i, j))
        return nearest[here, species[there]] < own

    return sample.per_frame(lambda frames: np.array([nearer(x) for x in frames]))


def _near(x: np.ndarray, box: np.ndarray, reach: float) -> np.ndarray:
    """(2, P) pairs i < j of wrapped positions no further apart than `reach`, nor than half the box."""
    return cKDTree(x, boxsize=box).query_pairs(min(reach, 0.499 * min(box)), output_type="ndarray").T


def _square(x: np.ndarray, box: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """(P,) nm^2 squared distances of beads i and j."""
    d = displacement(x[j], x[i], box)
    return np.einsum("pd,pd->p", d, d)


def _pair(species: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """(P,) one number for each unordered pair of species."""
    low, high = np.minimum(species[i], species[j]), np.maximum(species[i], species[j])
    return low * (species.max() + 1) + high
