"""The barrier of a finished inversion, read from the free energies of its runs as `cgcore.metadynamics.barrier` reads them
today: a better reading reaches simulations that took hours, without another."""

import numpy as np

from cgcore import mapping
from cgcore.book.amino_settings import SO3, Setting
from cgcore.metadynamics import dihedral
from cgcore.metadynamics.barrier import passage_times, profile, transition
from cgcore.metadynamics.inversion import PAPER, speeds
from cgcore.profiles.amino_acids import mirror_symmetric, reference_set
from cgcore.reference import sets

READ_BY = {"made_by": ["cgcore.metadynamics.barrier"]}
"""The code behind barrier and wait, which may be newer than the simulation."""


def read_anew(which: Setting, table: dict, arrays: dict, md: dict) -> tuple[dict, dict]:
    """Table and arrays with barrier and wait by `barrier.transition`. md: the simulation's settings, for its temperature.

    Runs of before the speed at the top was kept have it from the frame there that they kept.
    """
    crossings = table["crossings"]
    taken = np.array(crossings.split(", "), int) if isinstance(crossings, str) else np.array(crossings)
    known = {k: np.nan if v is None else v for k, v in table.items()}
    if "speed" not in known:
        known["speed"] = _speed(which, arrays)
    symmetric = mirror_symmetric(which.residue, "SO3" if SO3 in which.extras else "O3")
    points, F = arrays["points"], arrays["F_runs"]
    side = float(np.sign(points[F.mean(0).argmin()]))
    T = md["temperature_K"]
    found = transition(points, F, taken, known["speed"], T, side=side, symmetric=symmetric)
    profiles = profile(F, taken, T, symmetric=symmetric) | passage_times(known | found, T)
    return table | {"speed": known["speed"]} | found, arrays | profiles


def _speed(which: Setting, arrays: dict) -> float:
    if "transition_state" not in arrays:
        return float("nan")
    topology, _ = sets.load(reference_set(which.residue, which.reference), stride=1000)
    beads = mapping.load(which.map, topology, typing=which.typing, residue=which.residue)
    return float(speeds(arrays["transition_state"][None], beads.mass, dihedral(PAPER, beads.beads))[0])
