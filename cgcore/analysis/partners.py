"""Which beads are bonded to which, frame by frame: molecules of two beads paired anew by optimal matching.

A potential that sees only positions and species cannot know which beads are bonded. In each frame the beads are paired so
that the sum of squared bond lengths over the periodic box is the least; where the least sum belongs to other pairs than
the ones before, bonds have switched.
"""

from typing import NamedTuple

import numpy as np
import rustworkx
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.stats import chi2

from cgcore.analysis.sample import Sample, wrapped
from cgcore.units import PS_PER_NS

REACH = 1.5
"""Candidates are as far apart as this times the longest bond of the pairs before."""
COST_NM2 = 1e-12
"""To which squared distances are rounded where they have to be whole numbers."""


class Switches(NamedTuple):
    """Exchanges of partners in one replica. frames: (E,) from which each counts; beads: E arrays, which took part;
    switched: (T,) fraction of molecules whose two beads were not bonded at first."""

    frames: np.ndarray
    beads: tuple[np.ndarray, ...]
    switched: np.ndarray

    @property
    def molecules(self) -> np.ndarray:
        """(E,) molecules that each exchange took part in."""
        return np.array([len(beads) / 2 for beads in self.beads])


def pairs_up(bonds: np.ndarray, n: int) -> bool:
    """Whether the bonds (P, 2) join all n beads in pairs, as matching wants."""
    return np.array_equal(np.sort(np.ravel(bonds)), np.arange(n))


def partner_of(bonds: np.ndarray) -> np.ndarray:
    """(N,) the bead that each is bonded to. Raises ValueError unless each bead has one bond."""
    bonds = np.asarray(bonds)
    if not pairs_up(bonds, 2 * len(bonds)):
        raise ValueError(
            "partners: want every bead in one bond, as of two-site molecules; longer molecules do not pair up"
        )
    partner = np.empty(2 * len(bonds), int)
    partner[bonds[:, 0]], partner[bonds[:, 1]] = bonds[:, 1], bonds[:, 0]
    return partner


def match(x: np.ndarray, box: np.ndarray, partner: np.ndarray, species: np.ndarray) -> np.ndarray:
    """The pairing (N,) of one frame (N, 3) nm with the least sum of squared distances; `partner` is where to begin.

    Pairs are of the species that are bonded in `partner`. With b_i the bond of bead i in `partner`, that pairing is the
    best where no pair has d_ij^2 < (b_i^2 + b_j^2) / 2 (weak duality), which ends most frames; else rustworkx's blossom
    algorithm decides.
    """
    x, everyone = wrapped(x, box), np.arange(len(x))
    own = _square(x, box, everyone, partner)
    i, j = _near(x, box, REACH * np.sqrt(own.max()))
    keep = np.isin(_pair(species, i, j), _pair(species, everyone, partner)) & (partner[i] != j)
    i, j = i[keep], j[keep]
    cost = _square(x, box, i, j)
    if not np.any(cost < (own[i] + own[j]) / 2):
        return partner
    return _blossom(
        np.concatenate([np.stack([i, j], 1), np.stack([everyone, partner], 1)]), np.concatenate([cost, own])
    )


def _blossom(pairs: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """The pairing (N,) out of candidates (P, 2) of least total cost (P,) nm^2."""
    graph = rustworkx.PyGraph(multigraph=False)
    graph.add_nodes_from(range(pairs.max() + 1))
    whole = np.rint(cost / COST_NM2).astype(int)  # rustworkx adds whole numbers
    graph.add_edges_from(list(zip(*pairs.T.tolist(), whole.tolist(), strict=True)))
    most = int(whole.max())
    return partner_of(np.array(list(rustworkx.max_weight_matching(graph, True, lambda c: most - c))))


def follow(
    position: np.ndarray, box: np.ndarray, bonds: np.ndarray, species, *, hold: int, longest: float = 0.0
) -> Switches:
    """Exchanges of partners along the frames (T, N, 3) nm of one replica, which begin with the given bonds.

    Beads that hang together by the bonds that count and by those of the present frame are one exchange. It counts from
    the frame on in which all of them have kept their new partners for `hold` frames without a break, and each of their old
    bonds has meanwhile been longer than the `longest` that a bond may be, nm: beads that turn back sooner have not switched,
    nor have whole molecules that lie across each other; those that turn back later make a second exchange.
    """
    initial = settled = current = partner_of(bonds)
    everyone, species = np.arange(len(initial)), np.asarray(species)
    since, parted = np.zeros(len(initial), int), np.zeros(len(initial), bool)
    frames, beads, switched = [], [], np.empty(len(position))
    for t, x in enumerate(position):
        before, current = current, match(x, box, current, species)
        since = np.where(current == before, since + 1, 1)
        parted = (parted & (since > 1)) | (_square(x, box, everyone, settled) > longest**2)
        if np.any(current != settled):
            part = _component(settled, current)
            kept = np.full(part.max() + 1, hold)
            np.minimum.at(kept, part, since)
            apart = np.ones(part.max() + 1, bool)
            np.logical_and.at(apart, part, parted)
            counts = ((kept >= hold) & apart)[part] & (current != settled)
            beads += [np.flatnonzero(counts & (part == k)) for k in np.unique(part[counts])]
            frames += [t] * (len(beads) - len(frames))
            settled, parted = np.where(counts, current, settled), parted & ~counts
        switched[t] = np.mean(settled != initial)
    return Switches(np.array(frames, int), tuple(beads), switched)


def switching(
    sample: Sample, bonds: np.ndarray, species, *, hold_ps: float = 1.0, longest_nm: float = 0.0
) -> tuple[dict, np.ndarray]:
    """How often bonds switch (`follow`), over all replicas: a table, and (T,) the fraction of switched molecules over time.

    switch_rate: new bonds per molecule and ns, with its 95 % confidence interval switch_rate_low, switch_rate_high, exact
    for a Poisson number of exchanges (Garwood, Biometrika 28, 437 (1936)); n_exchanges; switched: fraction of molecules
    whose beads were not bonded at first, mean over frames that count, and switched_end in each replica's last one.
    """
    hold = max(2, round(hold_ps / sample.frame_ps))
    found = [follow(x, sample.box, bonds, species, hold=hold, longest=longest_nm) for x in sample.replicas()]
    exposure = sample.n_frames * sample.frame_ps / PS_PER_NS * len(bonds)
    longest = max(len(s.switched) for s in found)
    over_time = np.full((len(found), longest), np.nan)
    for row, s in zip(over_time, found, strict=True):
        row[: len(s.switched)] = s.switched
    new = np.concatenate([s.molecules for s in found])
    table = rates(new, exposure, [s.switched for s in found])
    table |= {"switch_hold_ps": hold * sample.frame_ps} | ({"switch_longest_nm": longest_nm} if longest_nm else {})
    return table, np.nanmean(over_time, axis=0)


def rates(new: np.ndarray, exposure: float, switched: list[np.ndarray]) -> dict:
    """The table of `switching` from the new bonds of each exchange (E,), molecules times ns, and (T,) of each replica."""
    low, high = poisson_interval(len(new))
    size = float(new.mean()) if len(new) else 2.0
    return {
        "n_exchanges": len(new),
        "switch_rate": float(new.sum() / exposure),
        "switch_rate_low": low * size / exposure,
        "switch_rate_high": high * size / exposure,
        "switched": float(np.concatenate(switched).mean()),
        "switched_end": float(np.mean([s[-1] for s in switched])),
    }


def poisson_interval(n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact confidence interval of the mean of a Poisson variable seen as n."""
    tail = (1 - confidence) / 2
    low = float(chi2.ppf(tail, 2 * n)) / 2 if n else 0.0
    return low, float(chi2.ppf(1 - tail, 2 * n + 2)) / 2


def nearer_strangers(sample: Sample, bonds: np.ndarray, species, molecule: np.ndarray) -> list[np.ndarray]:
    """Whether a bead of another molecule, of the partner's species, is nearer than the bonded partner.

    Blocks (t, 2 P) of true or false, each bond seen from both of its beads; for molecules of any length.
    """
    species, bonds = np.asarray(species), np.asarray(bonds)
    here, there = np.concatenate([bonds, bonds[:, ::-1]]).T
    box = sample.box
    return sample.per_frame(lambda frames: np.array([_nearer(x, box, here, there, species, molecule) for x in frames]))


def _nearer(x, box, here, there, species, molecule):
    """(2 P,) of one frame."""
    x = wrapped(x, box)
    own = _square(x, box, here, there)
    i, j = _near(x, box, np.sqrt(own.max()))
    strangers = molecule[i] != molecule[j]
    i, j = np.concatenate([i[strangers], j[strangers]]), np.concatenate([j[strangers], i[strangers]])
    nearest = np.full((len(x), species.max() + 1), np.inf)
    np.minimum.at(nearest, (i, species[j]), _square(x, box, i, j))
    return nearest[here, species[there]] < own


def _near(x: np.ndarray, box: np.ndarray, reach: float) -> np.ndarray:
    """(2, P) pairs i < j of wrapped positions no further apart than `reach`, nor than half the box."""
    return cKDTree(x, boxsize=box).query_pairs(min(reach, 0.499 * min(box)), output_type="ndarray").T


def _square(x: np.ndarray, box: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    d = x[i] - x[j]
    d -= box * np.rint(d / box)
    return np.einsum("pd,pd->p", d, d)


def _pair(species: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """(P,) one number for each unordered pair of species."""
    low, high = np.minimum(species[i], species[j]), np.maximum(species[i], species[j])
    return low * (species.max() + 1) + high


def _component(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N,) which cycle of two pairings each bead is in."""
    beads = np.arange(len(first))
    graph = coo_array((np.ones(2 * len(beads)), (np.tile(beads, 2), np.concatenate([first, second]))))
    return connected_components(graph, directed=False)[1]
