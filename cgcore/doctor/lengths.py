"""Whether bonded and non-bonded distances are of different lengths, so that a potential can tell a partner from a stranger."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from cgcore.analysis.blocks import Estimate, jackknife, poisson_interval
from cgcore.analysis.sample import wrapped
from cgcore.mapping import Mapping

REACH = 1.6
"""Strangers are looked for up to this times the longest bond of the frame."""
MOST_FRAMES = 400
"""Frames of a liquid that are looked at, evenly spread."""
EXTREME = 1e-4
"""Quantile that stands for the shortest or longest distance, so that one odd frame decides nothing."""
BINS = 120


class Lengths(NamedTuple):
    """Bonds of one pair of species, each seen from both of its beads.

    bonded: range of the bonds (nm, EXTREME quantiles); of_species, of_kind: low quantile of the distance to the nearest
    bead without a bond that has the partner's species, or the partner's mass whatever its label, nan where none is within
    reach; overlap: of the densities of bonded and of_species distances; error_rate: how often the nearest bead of the
    partner's species is not a partner; at_most: its 95 % upper limit if frames are independent; error_rate_kind: of the
    partner's mass; samples: bonds seen.
    """

    pair: str
    bonded: tuple[float, float]
    of_species: float
    of_kind: float
    overlap: float
    error_rate: Estimate
    error_rate_kind: Estimate
    at_most: float
    samples: int

    @property
    def closest(self) -> float:
        """Distance of the closest bead that could be taken for the partner, by its species or by what it is made of."""
        known = [d for d in (self.of_species, self.of_kind) if np.isfinite(d)]
        return min(known, default=float("nan"))

    @property
    def separation(self) -> float:
        """Closest stranger over longest bond: below 1, the two ranges overlap.

        A label that tells equal beads apart does not change their distances, so strangers of another species count.
        """
        return self.closest / self.bonded[1]


def lengths(mapping: Mapping, blocks: list[np.ndarray], box: np.ndarray) -> tuple[Lengths, ...]:
    """One entry for each pair of bonded species; blocks: sets of frames (t, N, 3) nm in a box (3,) nm, inf if open."""
    if not len(mapping.bonds):
        return ()
    total = sum(map(len, blocks))
    stride = max(1, total // MOST_FRAMES) if np.isfinite(box).all() else max(1, total // (10 * MOST_FRAMES))
    species = np.array(mapping.species)
    made_of = masses(mapping.mass)
    here, there = np.concatenate([mapping.bonds, mapping.bonds[:, ::-1]]).T
    seen = [
        np.array([_nearest(x, box, mapping.bonds, here, there, (species, made_of)) for x in b[::stride]])
        for b in blocks
    ]
    seen = [s for s in seen if len(s)]  # (t, 3, 2P) each: own, nearest of the partner's species, of its mass
    names = mapping.species_names
    kind = np.array([tuple(sorted((a, b))) for a, b in zip(species[here], species[there], strict=True)])
    found = []
    for a, b in sorted({(int(a), int(b)) for a, b in kind}):
        mine = (kind == (a, b)).all(1)
        found.append(_of_pair(f"{names[a]}–{names[b]}", [s[:, :, mine] for s in seen]))
    return tuple(found)


def masses(mass: np.ndarray) -> np.ndarray:
    """(N,) one number for beads of one mass, whatever their labels."""
    return np.unique(np.round(mass, 3), return_inverse=True)[1].reshape(-1)


def _of_pair(name: str, seen: list[np.ndarray]) -> Lengths:
    own, same, other = np.concatenate(seen).swapaxes(0, 1).reshape(3, -1)
    errors = [np.array([[np.sum(s[:, k] < s[:, 0]), s[:, 0].size] for s in seen], float) for k in (1, 2)]
    rate, rate_any = (_rate(e) for e in errors)
    return Lengths(
        pair=name,
        bonded=(float(np.quantile(own, EXTREME)), float(np.quantile(own, 1 - EXTREME))),
        of_species=_low(same),
        of_kind=_low(other),
        overlap=_overlap(own, same),
        error_rate=rate,
        error_rate_kind=rate_any,
        at_most=poisson_interval(int(errors[0][:, 0].sum()))[1] / own.size,
        samples=own.size,
    )


def _rate(errors: np.ndarray) -> Estimate:
    if len(errors) < 2:
        return Estimate(float(errors[:, 0].sum() / errors[:, 1].sum()), float("nan"))
    return jackknife(lambda n: float(n[0] / n[1]), errors)


def _low(distance: np.ndarray) -> float:
    """The low quantile, of a sample in which what is out of reach is infinite."""
    value = np.sort(distance)[int(EXTREME * len(distance))]
    return float(value) if np.isfinite(value) else float("nan")


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Sum over bins of the smaller of two normalised histograms; 0 where nothing is within reach."""
    if not np.isfinite(b).any():
        return 0.0
    bins = np.linspace(0, max(a.max(), b[np.isfinite(b)].max()) * (1 + 1e-9), BINS + 1)
    p, q = np.histogram(a, bins)[0] / a.size, np.histogram(b[np.isfinite(b)], bins)[0] / b.size
    return float(np.minimum(p, q).sum())


def _nearest(x, box, bonds, here, there, labellings) -> np.ndarray:
    """(1 + L, 2P) nm of one frame: the bond, and for each labelling the nearest bead without a bond that has the partner's."""
    x = np.asarray(x, float)
    d = x[here] - x[there]
    d -= np.where(np.isfinite(box), box, 0.0) * np.rint(d / np.where(np.isfinite(box), box, np.inf))
    own = np.linalg.norm(d, axis=-1)
    if np.isfinite(box).all():
        place, reach = wrapped(x, box), min(REACH * own.max(), 0.499 * min(box))
        tree = cKDTree(place, boxsize=box)
    else:
        place, reach = x, REACH * own.max()
        tree = cKDTree(place)
    found = tree.sparse_distance_matrix(tree, reach, output_type="ndarray")
    i, j, distance = found["i"], found["j"], found["v"]
    n = len(x)
    partner = np.zeros(n * n, bool)
    partner[bonds[:, 0] * n + bonds[:, 1]] = partner[bonds[:, 1] * n + bonds[:, 0]] = True
    keep = (i != j) & ~partner[i * n + j]
    i, j, distance = i[keep], j[keep], distance[keep]
    rows = [own]
    for label in labellings:
        nearest = np.full((n, label.max() + 1), np.inf)
        np.minimum.at(nearest, (i, label[j]), distance)
        rows.append(nearest[here, label[there]])
    return np.stack(rows)
