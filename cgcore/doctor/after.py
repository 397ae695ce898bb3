"""After training: does the energy have the symmetries that were foretold, and how often does a simulation use them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from cgcore.analysis import bonding, partners
from cgcore.analysis.sample import of_ensemble
from cgcore.doctor import observables
from cgcore.doctor.errors import DoctorError
from cgcore.doctor.examine import Examination, OfMolecule
from cgcore.doctor.groups import Element
from cgcore.doctor.lengths import masses
from cgcore.doctor.stereo import LOST, volume
from cgcore.frames import Ensemble, Frames, Status
from cgcore.units import PS_PER_NS

SAME = 1e-4
"""Change of energy, relative to its spread over frames, below which an energy has a symmetry: single precision."""


class Invariance(NamedTuple):
    """An energy under one symmetry g. change: root mean square of E(g x) - E(x), kJ/mol; spread: standard deviation of E."""

    name: str
    change: float
    spread: float

    @property
    def holds(self) -> bool:
        return self.change <= SAME * self.spread


class Rate(NamedTuple):
    """Events in so many ns, and their rate per ns with its exact 95 % interval for a Poisson number (Garwood, 1936)."""

    events: int
    ns: float
    per_ns: float
    low: float
    high: float


def invariances(energy: Callable, found: Examination, beads: Frames, *, n_frames: int = 50) -> tuple[Invariance, ...]:
    """The mirror and exchange tests: E(g x) against E(x) for a reflection and every symmetry that was found to be broken.

    energy: position (N, 3) nm -> kJ/mol of all beads, any callable (close over parameters and box). Exchanges act on the
    first copy of a molecule alone, reflections on the whole system through its centre. Raises DoctorError for fewer than
    two frames, which have no spread.
    """
    position = np.asarray(beads.position, float)[:: max(1, beads.n_frames // n_frames)]
    if len(position) < 2:
        raise DoctorError(f"want at least two frames to compare energies, got {len(position)}")
    before = np.array([float(energy(x)) for x in position])
    tests = {"mirror image": -position}
    for m in found.molecules:
        for broken in m.broken:
            if broken.element.moves:
                moved = position.copy()
                first = m.molecule.copies[0]
                moved[:, first] = position[:, first[list(broken.element.permutation)]]
                tests[broken.name] = moved * broken.element.parity
    spread = float(before.std())
    return tuple(
        Invariance(
            name,
            float(np.sqrt(np.mean([(float(energy(x)) - e) ** 2 for x, e in zip(moved, before, strict=True)]))),
            spread,
        )
        for name, moved in tests.items()
    )


def rate(events: int, ns: float) -> Rate:
    """A number of independent events in so many ns."""
    low, high = partners.poisson_interval(int(events))
    return Rate(int(events), float(ns), events / ns, low / ns, high / ns)


def changes(state: np.ndarray, valid: np.ndarray, hold: int) -> np.ndarray:
    """(C,) how often each replica's state (C, T) changed and stayed so for `hold` frames; frames that do not count end it."""
    counts = np.zeros(len(state), int)
    for c, (series, counted) in enumerate(zip(state, valid, strict=True)):
        series = series[counted]
        if not len(series):
            continue
        settled, since = series[0], 0
        for now in series[1:]:
            since = since + 1 if now != settled else 0
            if since >= hold:
                settled, since = now, 0
                counts[c] += 1
    return counts


def inversions(run: Ensemble, m: OfMolecule, *, hold_ps: float = 1.0) -> dict[str, Rate]:
    """Changes of the sign of each stereocentre's volume that last, over replicas and copies of the molecule."""
    return {
        centre.centre: _rate(run, volume(_of(run, m), centre.beads) > 0, hold_ps)
        for centre in m.stereo
        if centre.state != LOST
    }


def flips(run: Ensemble, m: OfMolecule, reference: Frames, *, hold_ps: float = 1.0) -> dict[str, Rate]:
    """How often a molecule goes over to the side that a broken symmetry makes of it, and stays: directions and hands.

    A frame is on the other side where the reference has its image more often than it, in the observable that tells them
    apart best; frames that the reference has on neither side stay where they were.
    """
    found = {}
    x = _of(run, m)
    known = m.molecule.select(reference.position)
    known = known.reshape(-1, *known.shape[2:])
    identity = Element(tuple(range(m.molecule.size)), 1)
    for broken in m.broken:
        if broken.worst is None:
            continue
        look = next(o for o in m.looks if o.name == broken.worst.observable)
        bins = observables.edges(look, known)
        here, there = (observables.counts(look, known, g, bins) for g in (identity, broken.element))
        side = np.sign(here - there)[observables.place(look, x.reshape(-1, *x.shape[3:]), identity, bins)]
        found[broken.name] = _rate(run, _carried(side.reshape(x.shape[:3])) < 0, hold_ps)
    return found


def failures(run: Ensemble) -> Rate:
    """Replicas that failed over the time until they did: an exponential time to failure has the mean 1 / rate."""
    return rate(run.n_failed, _ns(run))


def overflows(run: Ensemble) -> int:
    """Replicas whose neighbour rows were once too short, so that pairs were left out."""
    return int(np.count_nonzero(np.asarray(run.status) & Status.NEIGHBOURS_FULL))


def switches(run: Ensemble, found: Examination, box, *, alike: str = "species", hold_ps: float = 1.0) -> dict | None:
    """How often bonds switched, as `bonding.switching` says it: a rate per molecule and ns with its 95 % interval.

    box: (3,) nm, inf for molecules in vacuum. alike: partners are sought among beads of the same "species", or of the same
    "mass", whatever their labels. None for beads without bonds.
    """
    mapping, box = found.mapping, np.asarray(box, float)
    if not len(mapping.bonds):
        return None
    kinds = {"species": np.asarray(mapping.species), "mass": masses(mapping.mass)}[alike]
    if np.isfinite(box).all() and partners.pairs_up(mapping.bonds, len(mapping.beads)):
        return partners.switching(of_ensemble(run, box), mapping.bonds, kinds, hold_ps=hold_ps)[0]
    replicas = [np.asarray(x)[v] for x, v in zip(run.position, run.valid, strict=True) if v.any()]
    frame_ps = float(np.median(np.diff(np.asarray(run.time))))
    return bonding.switching(replicas, box, frame_ps, mapping.bonds, kinds, hold_ps=hold_ps)


def _of(run: Ensemble, m: OfMolecule) -> np.ndarray:
    """(C, T, M, n, 3) nm; where a frame does not count some fixed points, so that every volume and dihedral is defined."""
    points = np.random.default_rng(0).normal(size=run.position.shape[2:])
    position = np.where(run.valid[:, :, None, None], np.asarray(run.position), points)
    return position[:, :, m.molecule.copies]


def _rate(run: Ensemble, state: np.ndarray, hold_ps: float) -> Rate:
    """state: (C, T, M)."""
    time = np.asarray(run.time)
    hold = max(2, round(hold_ps / float(np.median(np.diff(time)))))
    per_copy = [changes(state[..., k], run.valid, hold).sum() for k in range(state.shape[-1])]
    return rate(int(np.sum(per_copy)), _ns(run) * state.shape[-1])


def _carried(side: np.ndarray) -> np.ndarray:
    """Sides (C, T, M) in which zero, undecided, takes the value before it, and the first side at the beginning."""
    side = side.copy()
    for t in range(1, side.shape[1]):
        side[:, t] = np.where(side[:, t] == 0, side[:, t - 1], side[:, t])
    return np.where(side == 0, 1, side)


def _ns(run: Ensemble) -> float:
    frame_ps = float(np.median(np.diff(np.asarray(run.time))))
    return int(np.count_nonzero(run.valid)) * frame_ps / PS_PER_NS
