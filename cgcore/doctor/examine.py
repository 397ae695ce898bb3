"""One call: everything that can be said of a mapping before a model is trained on it."""

from dataclasses import dataclass

import numpy as np

from cgcore.analysis.blocks import inefficiency
from cgcore.doctor import observables as look
from cgcore.doctor.depth import Depth, depths
from cgcore.doctor.errors import DoctorError
from cgcore.doctor.groups import Element, Symmetries, describe, symmetries
from cgcore.doctor.inputs import check
from cgcore.doctor.lengths import Lengths, lengths
from cgcore.doctor.molecule import Molecule, kinds
from cgcore.doctor.noise import Noise, noise
from cgcore.doctor.species import Typing, typing
from cgcore.doctor.stereo import Hands, Retention, blocks, hands, retention
from cgcore.doctor.symmetry import Bound, bound_of
from cgcore.doctor.unsampled import Unsampled, unsampled
from cgcore.doctor.vibrations import Vibration, fastest
from cgcore.frames import Frames, Topology
from cgcore.mapping import Mapping, apply

BLOCKS = 20
GAP_PS = 10.0
"""Frames closer in time than this are not compared for the noise floor: they share what was left out."""
SAMPLED = 300
"""Frames by which a symmetry is compared with the stereocentres."""


@dataclass(frozen=True, kw_only=True)
class Broken:
    """One symmetry of the model that the molecule does not have. path: what is in the way ("kept", "kept with inversion
    path"), or None where conformers of the molecule lead there."""

    element: Element
    name: str
    path: str | None
    bounds: tuple[Bound, ...]

    @property
    def worst(self) -> Bound | None:
        """The observable that suffers most, beyond noise."""
        return max(self.bounds, key=lambda b: b.excess, default=None)


@dataclass(frozen=True, kw_only=True)
class OfMolecule:
    """What was found for one kind of molecule; together: the bounds for all open symmetries at once."""

    molecule: Molecule
    looks: tuple[look.Observable, ...]
    symmetries: Symmetries
    hands: Hands
    broken: tuple[Broken, ...]
    together: tuple[Bound, ...]
    stereo: tuple[Retention, ...]
    typing: Typing
    vibration: Vibration | None
    depths: tuple[Depth, ...]
    independent: float  # frames, after correlation in time


@dataclass(frozen=True, kw_only=True)
class Examination:
    """All that was found: per kind of molecule, of the whole system, and of the forces where there are any."""

    mapping: Mapping
    temperature_K: float
    n_frames: int
    molecules: tuple[OfMolecule, ...]
    lengths: tuple[Lengths, ...]
    unsampled: tuple[Unsampled, ...]
    noise: Noise | None


def examine(
    mapping: Mapping,
    topology: Topology,
    frames: Frames,
    *,
    temperature_K: float = 300.0,
    observables: dict[str, tuple[tuple[str, ...], ...]] | None = None,
) -> Examination:
    """Which artefacts a model of positions and species trained with this mapping must or may have.

    frames: of the atoms, with forces or without, or of the beads (then the hands of stereocentres are not known, nor is
    what a better force map would save); one trajectory, or replicas one after another. observables: name -> one or two
    tuples of beads, such as {"phi, psi": (("C_ace", "N", "CA", "C"), ("N", "CA", "C", "N_nme"))}; by default the map's
    dihedrals, or those along its backbone. Raises DoctorError for too few frames or a bond graph that the distances
    contradict, MappingError for frames that do not fit the map.
    """
    check(topology, frames)
    mapped = frames.names == mapping.beads
    beads = frames if mapped else apply(mapping, frames)
    cuts = np.array_split(np.arange(frames.n_frames), BLOCKS)
    position = np.asarray(beads.position)
    found = tuple(
        _of_molecule(mapping, topology, m, beads, None if mapped else frames, cuts, temperature_K, observables)
        for m in kinds(mapping, topology)
    )
    return Examination(
        mapping=mapping,
        temperature_K=temperature_K,
        n_frames=frames.n_frames,
        molecules=found,
        lengths=lengths(mapping, [position[c] for c in cuts], np.asarray(frames.box, float)),
        unsampled=unsampled(mapping, position, np.asarray(frames.box, float)),
        noise=None
        if frames.force is None
        else noise(mapping, topology, None if mapped else frames, beads, gap_ps=GAP_PS),
    )


def _of_molecule(mapping, topology, molecule: Molecule, beads, atoms, cuts, temperature_K, chosen) -> OfMolecule:
    x = molecule.select(np.asarray(beads.position))
    hand = hands(molecule, None if atoms is None else molecule.select_atoms(atoms.position))
    kept = retention(molecule, hand, x)
    group = symmetries(molecule, hand.relative)
    looks = look.defaults(mapping, molecule) if chosen is None else look.chosen(chosen, mapping, molecule)
    if chosen is not None and not looks:
        raise DoctorError("no observable lies within one molecule of this kind; want beads of one molecule in each")
    g = _inefficiency(looks, x)
    pieces = [x[c].reshape(-1, *x.shape[2:]) for c in cuts]
    some = x.reshape(-1, *x.shape[2:])[:: max(1, x.shape[0] * x.shape[1] // SAMPLED)]
    how = {"temperature_K": temperature_K, "inefficiency": g}
    broken = tuple(
        Broken(
            element=element,
            name=describe(element, molecule),
            path=blocks(element, kept, some),
            bounds=tuple(bound_of(o, pieces, [element], **how) for o in looks),
        )
        for element in group.cosets
    )
    everything = [b.element for b in broken if b.path is None]
    together = tuple(bound_of(o, pieces, everything, **how) for o in looks) if len(everything) > 1 else ()
    return OfMolecule(
        molecule=molecule,
        looks=looks,
        symmetries=group,
        hands=hand,
        broken=broken,
        together=together,
        stereo=kept,
        typing=typing(molecule, group),
        vibration=fastest(molecule, mapping.mass[molecule.copies[0]], [x[c] for c in cuts], temperature_K),
        depths=() if beads.force is None else depths(mapping, topology, molecule, looks, beads, atoms),
        independent=x.shape[0] * x.shape[1] / g,
    )


def _inefficiency(looks, x: np.ndarray) -> float:
    """Frames worth one independent frame, by the slowest coordinate that is looked at; copies count as chains."""
    worst = 1.0
    for beads in {c for o in looks for c in o.coordinates}:
        values = look.measure(x, beads).T
        for series in (np.sin(values), np.cos(values)) if len(beads) == 4 else (values,):
            if np.ptp(series):
                worst = max(worst, inefficiency(series))
    return worst
