"""One call: everything that can be said of a mapping before a model is trained on it."""

from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import numpy as np

from cgcore.analysis.blocks import inefficiency
from cgcore.doctor.distances import Lengths, lengths, unsampled
from cgcore.doctor.forces import Noise, PmfError, noise, optimised, pmf_errors
from cgcore.doctor.groups import Element, Symmetries, describe, symmetries
from cgcore.doctor.inputs import check
from cgcore.doctor.molecule import Molecule, kinds
from cgcore.doctor.species import Typing, typing
from cgcore.doctor.stereo import LOST, Handedness, Retention, handedness, held_by_pyramids, obstacle, retention
from cgcore.doctor.symmetry import Bound, Observable, bound_of, handed, measure, observables, of_centre
from cgcore.doctor.vibrations import Vibration, fastest
from cgcore.frames import Frames, Topology
from cgcore.io import Virial
from cgcore.mapping import Mapping, apply
from cgcore.unsampled import UnsampledRange

BLOCKS = 20
GAP_PS = 10.0
"""Frames closer in time than this are not compared for the noise floor: they share what was left out."""
UNKNOWN_PATH = "unknown"
BOUND_BIT, DEVIATIONS = 0.02, 4.0
"""By how much, and by how many standard errors, frames must differ from their mirror images where the graph of the atoms says
that they have none: many dihedrals are looked at."""
MOST_REFLECTIONS = 8
SAMPLED = 300
"""Frames by which a symmetry is compared with the stereocentres."""


@dataclass(frozen=True, kw_only=True)
class Broken:
    """One symmetry of the model that the molecule does not have. path: what is in the way ("kept", "kept with inversion
    path", "unknown" where only the frames tell), or None where conformers of the molecule lead there."""

    element: Element
    name: str
    path: str | None
    bounds: tuple[Bound, ...]

    @property
    def worst(self) -> Bound | None:
        """The observable that suffers most, beyond noise."""
        return worst_of(self.bounds)


@dataclass(frozen=True, kw_only=True)
class OfMolecule:
    """What was found for one kind of molecule."""

    molecule: Molecule
    observables: tuple[Observable, ...]
    symmetries: Symmetries
    handedness: Handedness
    broken: tuple[Broken, ...]
    stereo: tuple[Retention, ...]
    typing: Typing
    vibration: Vibration | None
    pmf_errors: tuple[PmfError, ...]
    independent: float  # frames, after correlation in time


@dataclass(frozen=True, kw_only=True)
class Examination:
    """All that was found: per kind of molecule, of the whole system, and of the forces where there are any."""

    mapping: Mapping
    beads: Frames
    temperature_K: float
    molecules: tuple[OfMolecule, ...]
    lengths: tuple[Lengths, ...]
    unsampled: tuple[UnsampledRange, ...]
    noise: Noise | None
    virial: Virial | None

    @property
    def n_frames(self) -> int:
        return self.beads.n_frames


def examine(mapping: Mapping, topology: Topology, frames: Frames, *, temperature_K: float = 300.0) -> Examination:
    """Which artefacts a model of positions and species trained with this mapping must or may have.

    frames: of the atoms, with forces or without, or of the beads (then the handedness of stereocentres is not known, nor
    what a better force map would save); one trajectory, or replicas one after another. Raises DoctorError for too few frames
    or a bond that is missing, TrajectoryError for bonds or forces that the positions contradict, MappingError for frames that
    do not fit the map.
    """
    # Of the plain sum of forces, beside which the optimised map is put, whichever a run takes.
    mapping = replace(mapping, force_weights=(mapping.weights != 0).astype(float))
    found = check(mapping, topology, frames, temperature_K)
    atoms, beads = (None, frames) if frames.names == mapping.beads else (frames, apply(mapping, frames))
    position, box = np.asarray(beads.position), np.asarray(frames.box, float)
    cuts = np.array_split(np.arange(frames.n_frames), BLOCKS)
    better = (None, "") if frames.force is None else optimised(mapping, topology, atoms, frames.n_frames)
    return Examination(
        mapping=mapping,
        beads=beads,
        temperature_K=temperature_K,
        molecules=tuple(
            _of_molecule(mapping, molecule, beads, atoms, better, cuts, temperature_K)
            for molecule in kinds(mapping, topology)
        ),
        lengths=lengths(mapping, [position[c] for c in cuts], box),
        unsampled=unsampled(mapping, position, box),
        noise=None if frames.force is None else noise(mapping, topology, atoms, beads, gap_ps=GAP_PS),
        virial=found,
    )


def _of_molecule(mapping, molecule: Molecule, beads, atoms, better, cuts, temperature_K) -> OfMolecule:
    x = molecule.select(beads.position)
    of_atoms = handedness(molecule, None if atoms is None else np.asarray(atoms.position)[:, molecule.atom_copies])
    kept = retention(molecule, of_atoms, x)
    group = symmetries(molecule, of_atoms.relative)
    shown = observables(mapping, molecule)
    # Each run with a bias has its own, and so a mean of its own; others must have one mean.
    runs = [x] if beads.weight is None else [x[i[v]] for i, v in zip(*beads.by_replica(), strict=True)]
    g = _inefficiency(shown, runs) * beads.n_frames / beads.counting
    pieces = [x[c].reshape(-1, *x.shape[2:]) for c in cuts]
    weights = None if beads.weight is None else [np.repeat(beads.weights[c], x.shape[1]) for c in cuts]
    of_frames = {"temperature_K": temperature_K, "inefficiency": g, "weights": weights}
    some = x.reshape(-1, *x.shape[2:])[:: max(1, x.shape[0] * x.shape[1] // SAMPLED)]
    against = _against_reflections(molecule, group, some, partial(bound_of, blocks=pieces, **of_frames))
    if against:  # by the graphs there are some, and the frames know better
        group = group.unreflected
        shown += tuple(o for o in handed(molecule) if o.name == worst_of(against).observable)
    paths = {e: UNKNOWN_PATH if against and e.parity < 0 else obstacle(e, kept, some) for e in group.cosets}
    found = {e: tuple(bound_of(o, pieces, e, **of_frames) for o in shown) for e in paths}
    hidden = any(paths[e] and not differs(worst_of(found[e])) for e in paths)
    centres = tuple(of_centre(c.centre, c.beads) for c in kept if hidden and c.state != LOST)
    if centres:  # the dihedrals hardly show what these do
        found = {e: found[e] + tuple(bound_of(o, pieces, e, **of_frames) for o in centres) for e in paths}
    return OfMolecule(
        molecule=molecule,
        observables=shown + centres,
        symmetries=group,
        handedness=of_atoms,
        broken=tuple(Broken(element=e, name=describe(e, molecule), path=paths[e], bounds=found[e]) for e in paths),
        stereo=kept,
        typing=typing(molecule, group),
        vibration=fastest(molecule, mapping.mass[molecule.copies[0]], [x[c] for c in cuts], temperature_K),
        pmf_errors=() if beads.force is None else pmf_errors(molecule, shown, beads, *better),
        independent=x.shape[0] * x.shape[1] / g,
    )


def _against_reflections(molecule: Molecule, group: Symmetries, some: np.ndarray, bound) -> list[Bound]:
    """What in the frames contradicts the reflections that the molecule has by the graphs; empty where one of them holds.

    Those are looked at that keep every pyramid of beads of one hand, the simplest first: which of two hydrogens of a CH2 is the
    first is a matter of labels, and the reflection exchanges them. some: (K, n, 3) nm, any frames.
    """
    found = []
    for reflection in islice(held_by_pyramids(group.reflections, molecule, some), MOST_REFLECTIONS):
        bounds = (bound(o, element=reflection) for o in handed(molecule))
        if not (against := [b for b in bounds if differs(b)]):
            return []
        found += against
    return found


def worst_of(bounds) -> Bound | None:
    """The bound that is largest beyond noise; of equals, as the two halves of a chain that is reversed, the first."""
    return max(bounds, key=lambda b: round(b.excess, 9), default=None)


def differs(bound: Bound | None) -> bool:
    """Whether the frames are not as their images, beyond noise."""
    return bound is not None and bound.excess > BOUND_BIT and bound.sure(DEVIATIONS)


def _inefficiency(shown, runs: list[np.ndarray]) -> float:
    """Frames worth one independent frame, by the slowest coordinate that is looked at, of runs (t, K, n, 3) nm; copies K count as
    chains."""
    worst = 1.0
    for beads in {c for o in shown for c in o.coordinates}:
        values = [measure(x, beads).T for x in runs]
        for turn in (np.sin, np.cos) if len(beads) == 4 else (np.asarray,):
            found = [inefficiency(series) for series in map(turn, values) if np.ptp(series)]
            worst = max(worst, float(np.mean(found or [1.0])))
    return worst
