"""How much of the mapped force is noise, and what the least noisy force map would save."""

from typing import NamedTuple

import numpy as np

from cgcore import force_maps
from cgcore.analysis.noise_floor import Floor, from_neighbours
from cgcore.data import DataError, force_rms
from cgcore.frames import Frames, Topology
from cgcore.mapping import Mapping, MappingError, apply
from cgcore.units import MEV_PER_ANGSTROM

MOST_BEADS, MOST_FRAMES = 24, 4000
"""Above which the search for nearly equal frames is not worth its time."""


class Noise(NamedTuple):
    """Forces per Cartesian component, meV/Å. rms: of the mapped forces; floor: root mean square noise, which no function
    of bead positions explains, None where it cannot be had (`reason`); rms_optimal: of the forces under the least noisy
    linear map, fitted to one half of the frames and applied to the other; rms_plain: under the plain sum there."""

    rms: float
    floor: float | None
    floor_error: float | None
    reason: str
    rms_optimal: float | None
    rms_plain: float | None
    reason_optimal: str


def noise(mapping: Mapping, topology: Topology, atoms: Frames | None, beads: Frames, *, gap_ps: float) -> Noise:
    """The noise of a map; atoms: frames of all atoms with forces, or None where only those of beads are known."""
    floor = _floor(beads, gap_ps)
    optimal = plain = None
    reason = "the frames are those of beads; want the forces on all atoms"
    if atoms is not None:
        half = atoms.n_frames // 2
        try:
            better = force_maps.optimal(mapping, topology, atoms[:half])
            optimal = force_rms(apply(better, atoms[half:])) / MEV_PER_ANGSTROM
            plain = force_rms(beads[half:]) / MEV_PER_ANGSTROM
            reason = ""
        except MappingError as error:
            reason = str(error)
    root = error = None
    if floor.estimate is not None and floor.estimate.value > 0:
        root = float(np.sqrt(floor.estimate.value)) / MEV_PER_ANGSTROM
        error = floor.estimate.error / (2 * np.sqrt(floor.estimate.value)) / MEV_PER_ANGSTROM
    return Noise(force_rms(beads) / MEV_PER_ANGSTROM, root, error, floor.reason, optimal, plain, reason)


def _floor(beads: Frames, gap_ps: float) -> Floor:
    """From frames that are nearly alike, without a model: what the mean force changes between them is still in it."""
    if len(beads.names) > MOST_BEADS:
        return Floor("neighbours", None, f"{len(beads.names)} beads: no two frames are nearly alike")
    thinned = beads[:: max(1, beads.n_frames // MOST_FRAMES)]
    try:
        return Floor("neighbours", from_neighbours(thinned, thinned.force, gap_ps=gap_ps))
    except DataError as error:
        return Floor("neighbours", None, str(error))
