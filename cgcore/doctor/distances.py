"""Whether bonds are shorter than all other distances, so that a potential can tell a bonded bead from a neighbour."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from cgcore.analysis.blocks import Estimate, jackknife, poisson_interval
from cgcore.geometry import displacement
from cgcore.mapping import Mapping
from cgcore.neighbors import in_box
from cgcore.unsampled import HALF_BOX, UnsampledRange, unsampled_ranges

REACH = 1.6
"""Non-bonded neighbours are looked for up to this times the longest bond of the frame."""
MOST_LIQUID, MOST_MOLECULE = 400, 4000
"""Frames in which bonds are compared with other distances, evenly spread, of a liquid and of a molecule."""
MOST_UNSAMPLED = {True: 1000, False: 5000}
"""Frames in which unsampled ranges are looked for, evenly spread, of a liquid and of a molecule."""
EXTREME = 1e-4
"""Quantile that stands for the shortest or longest distance, so that one odd frame decides nothing."""


class Lengths(NamedTuple):
    """Bonds of one pair of species, each seen from both of its beads.

    bonded: range of the bonds (nm, EXTREME quantiles); of_species, of_kind: low quantile of the distance to the nearest
    bead without a bond that has the bonded bead's species, or its mass whatever the label, nan where none is within reach;
    error_rate: how often the nearest bead of the bonded bead's species is not bonded; at_most: its 95 % upper limit if
    frames are independent; samples: bonds seen.
    """

    pair: str
    bonded: tuple[float, float]
    of_species: float
    of_kind: float
    error_rate: Estimate
    at_most: float
    samples: int

    @property
    def closest(self) -> float:
        """Distance of the closest bead that could be taken for the bonded one, by its species or by what it is made of."""
        return float(np.fmin(self.of_species, self.of_kind))

    @property
    def separation(self) -> float:
        """Closest non-bonded neighbour over longest bond: below 1, the two ranges overlap.

        A label that tells equal beads apart does not change their distances, so neighbours of another species count.
        """
        return self.closest / self.bonded[1]


def lengths(mapping: Mapping, blocks: list[np.ndarray], box: np.ndarray) -> tuple[Lengths, ...]:
    """One entry for each pair of bonded species; blocks: sets of frames (t, N, 3) nm in a box (3,) nm, inf if open."""
    if not len(mapping.bonds):
        return ()
    stride = max(1, sum(map(len, blocks)) // (MOST_LIQUID if np.isfinite(box).all() else MOST_MOLECULE))
    species = np.array(mapping.species)
    mass_kind = np.unique(np.round(mapping.mass, 3), return_inverse=True)[1].reshape(-1)
    here, there = np.concatenate([mapping.bonds, mapping.bonds[:, ::-1]]).T
    bonded = np.zeros((len(species),) * 2, bool)
    bonded[here, there] = True

    def distances(x: np.ndarray) -> np.ndarray:
        """(3, 2P) nm of one frame: the bond, the nearest bead without a bond of the species, and of the mass."""
        own = np.linalg.norm(displacement(x[here], x[there], box), axis=-1)
        points, period = in_box(x, box)
        tree = cKDTree(points, boxsize=period)
        near = tree.sparse_distance_matrix(tree, min(REACH * own.max(), HALF_BOX * box.min()), output_type="ndarray")
        near = near[(near["i"] != near["j"]) & ~bonded[near["i"], near["j"]]]
        rows = [own]
        for label in (species, mass_kind):
            nearest = np.full((len(x), label.max() + 1), np.inf)
            np.minimum.at(nearest, (near["i"], label[near["j"]]), near["v"])
            rows.append(nearest[here, label[there]])
        return np.stack(rows)

    by_block = [np.array([distances(np.asarray(x, float)) for x in block[::stride]]) for block in blocks]
    pairs = np.sort(np.stack([species[here], species[there]]), axis=0)
    return tuple(
        _of_pair(_pair_name(mapping, (a, b)), [s[:, :, (pairs[0] == a) & (pairs[1] == b)] for s in by_block if len(s)])
        for a, b in np.unique(pairs, axis=1).T
    )


def unsampled(mapping: Mapping, position: np.ndarray, box: np.ndarray) -> tuple[UnsampledRange, ...]:
    """The ranges of distances without samples under the names of their species; position (T, N, 3), box (3,) nm."""
    stride = max(1, len(position) // MOST_UNSAMPLED[bool(np.isfinite(box).all())])
    ranges = unsampled_ranges(mapping.species, mapping.bonds, position[::stride], box)
    return tuple(r._replace(pair=_pair_name(mapping, r.pair)) for r in ranges)


def _pair_name(mapping: Mapping, pair) -> str:
    return "–".join(mapping.species_names[s] for s in pair)


def _of_pair(name: str, sampled: list[np.ndarray]) -> Lengths:
    """The bonds of one pair of species; sampled: blocks (t, 3, 2P) nm of what `distances` returns."""
    own, same_species, same_mass = np.concatenate(sampled).swapaxes(0, 1).reshape(3, -1)
    errors = np.array([[np.sum(s[:, 1] < s[:, 0]), s[:, 0].size] for s in sampled], float)
    rate = errors[:, 0].sum() / errors[:, 1].sum()
    return Lengths(
        pair=name,
        bonded=(float(np.quantile(own, EXTREME)), float(np.quantile(own, 1 - EXTREME))),
        of_species=_low(same_species),
        of_kind=_low(same_mass),
        error_rate=jackknife(lambda n: float(n[0] / n[1]), errors) if len(errors) > 1 else Estimate(rate, np.nan),
        at_most=poisson_interval(int(errors[:, 0].sum()))[1] / own.size,
        samples=own.size,
    )


def _low(distance: np.ndarray) -> float:
    """The low quantile, nan out of reach, of a sample in which what is out of reach is infinite."""
    value = np.sort(distance)[int(EXTREME * len(distance))]
    return float(value) if np.isfinite(value) else float("nan")
