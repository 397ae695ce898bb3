"""Numbers that a map and its frames suggest, where nobody says others: cut-off, time step, batch, length of the training.

The cut-offs are rules that give those which the paper chose for its maps: a bead of a liquid sees twenty others, and one of a
molecule a little more than three bonds.
"""

import math
from dataclasses import dataclass

import numpy as np

from . import data, mapping, neighbors
from .config import ConfigError
from .doctor.molecule import kinds
from .doctor.vibrations import fastest
from .frames import Frames, Topology
from .mapping import Mapping
from .profiles import system_table
from .reference import sets

NEIGHBOURS, BONDS = 20, 3.1
LEAST_NM, STEP_NM = 0.5, 0.05
"""The shortest cut-off, and what all are multiples of."""
STEPS_PS = (0.0005, 0.001, 0.002)
"""The longest of them is the paper's for maps without hydrogens."""
LARGE, MOST_FRAMES = 10, 32
"""Beads of a large molecule are more; frames of a batch are at most so many."""
FEWEST = 10
"""Molecules of a kind that make a liquid."""
LOOKED_AT = 400
"""Frames, evenly spread."""


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """size: what profiles call the kind of system, None for a small molecule; edges: pairs of beads in reach, both ways."""

    liquid: bool
    size: str | None
    cutoff_nm: float
    dt_ps: float
    temperature_K: float
    edges: float
    frames: int

    def settings(self, profile: dict, frames: int | None, held_out: float) -> dict:
        """What a profile's file would say of the map: batch and epochs are those of as many updates as the profile has."""
        numbers = profile | (profile.get(self.size, {}) if self.size else {})
        batch = int(min(MOST_FRAMES, max(1, numbers["edges"] // max(1.0, self.edges))))
        learnt = max(1, round((frames or self.frames) * (1 - held_out)))
        batch = max(1, min(batch, learnt // 4))  # between held-out blocks some more are left out
        train = {"batch_size": batch, "epochs": max(1, math.ceil(numbers["updates"] * batch / learnt))}
        chosen = {"cutoff_nm": self.cutoff_nm, "dt_ps": self.dt_ps, "temperature_K": self.temperature_K, "train": train}
        return chosen | ({"size": self.size} if self.size else {})


def of_map(
    system: str,
    *,
    reference: str,
    map: str,
    typing: str = "published",
    profile: str = "quick",
    cutoff_nm: float | None = None,
    frames: int | None = None,
    **others,
) -> dict:
    """What the profile of a system would say of a map, read from the frames of a reference; see `profiles.configure`."""
    known = system_table(system)
    topology, atoms = sets.load(reference)
    beads = mapping.load(map, topology, typing=typing)
    found = suggest(beads, topology, atoms, sets.temperature_K(reference), cutoff_nm)
    held_out = known["data"]["valid_blocks"] / known["data"]["blocks"]
    return found.settings(known["profiles"].get(profile, {}), frames, held_out)


def is_liquid(beads: Mapping, topology: Topology) -> bool:
    """Whether beads are of many molecules, in a box full of them. Raises ConfigError for several that are no liquid."""
    counts = [len(m.copies) for m in kinds(beads, topology)]
    if sum(counts) == 1:
        return False
    if max(counts) < FEWEST:
        raise ConfigError(
            f"map {beads.name!r}: want beads of one molecule, or of a liquid with {FEWEST} or more of a kind, got {sum(counts)} "
            "molecules; a map may leave the others out"
        )
    return True


def suggest(
    beads: Mapping, topology: Topology, atoms: Frames, temperature_K: float, cutoff_nm: float | None = None
) -> Suggestion:
    """Look at some frames (T, A, 3) nm of the atoms through the map."""
    some = atoms[:: max(1, atoms.n_frames // LOOKED_AT)]
    frames = some if some.names == beads.beads else mapping.apply(beads, some)
    molecules, box, liquid = kinds(beads, topology), np.asarray(frames.box, float), is_liquid(beads, topology)
    if liquid and not np.isfinite(box).all():
        raise ConfigError(f"map {beads.name!r}: want a box for several molecules, these frames have none")
    box = box if liquid else np.full(3, np.inf)
    cutoff_nm = cutoff_nm or _cutoff(beads, frames, box)
    few = np.asarray(frames.position[:: max(1, frames.n_frames // 10)])
    edges = len(beads.beads) * neighbors.mean_neighbours(few, box, cutoff_nm)
    steps = [
        found.step_fs / 1000
        for m in molecules
        if (found := fastest(m, beads.mass[m.copies[0]], np.array_split(m.select(frames.position), 5), temperature_K))
    ]
    safe = min((s for s in steps if np.isfinite(s)), default=STEPS_PS[1])
    dt_ps = max((s for s in STEPS_PS if s <= safe), default=STEPS_PS[0])
    size = "liquid" if liquid else "large" if len(beads.beads) > LARGE else None
    return Suggestion(
        liquid=liquid,
        size=size,
        cutoff_nm=cutoff_nm,
        dt_ps=dt_ps,
        temperature_K=temperature_K,
        edges=edges,
        frames=atoms.n_frames,
    )


def _cutoff(beads: Mapping, frames, box: np.ndarray) -> float:
    if np.isfinite(box).all():
        density = len(beads.beads) / box.prod()
        reach = (3 * NEIGHBOURS / (4 * np.pi * density)) ** (1 / 3)
    elif len(beads.bonds):
        reach = BONDS * float(np.mean(data.bond_lengths(frames, beads.bonds)))
    else:
        reach = LEAST_NM
    return round(max(LEAST_NM, STEP_NM * round(reach / STEP_NM)), 3)
