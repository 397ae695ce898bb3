"""Short trajectories of beads to play on pages, cut out of simulations: helices, rearranged bonds, an inversion.

A view has position (T, N, 3) nm, bonds (P, 2), or (T, P, 2) where they rearrange, species, names and frame_ps.
"""

from pathlib import Path

import numpy as np

from cgcore import mapping
from cgcore.analysis import chain_bonds, pair_bonds
from cgcore.analysis.chain_series import series
from cgcore.geometry import dihedrals, displacement
from cgcore.mapping import Mapping
from cgcore.metadynamics.inversion import PAPER
from cgcore.reference import sets
from cgcore.store import write_npz

AROUND = 25
"""Frames before and after an event."""
HOLD = {"exchange": 4, "switch": 2}
"""Frames that new bonds must last, so that the view ends as it says."""
SHOWN, STEP = 50, 4
"""Frames of the way to a helix, and every so many of the simulation's."""
WIDE_NM = 100.0
"""A box in which cut-out molecules meet no image."""
NEAR_VALLEY = 0.5
"""rad from the bottom of a valley that a frame must be to be on its side."""


def write(observation: dict, runs: Path, folder: Path, *, replace: bool = False) -> list[Path]:
    """Cut the views of an observation out of its simulations, where <runs>/md/<id> has their trajectories; the paths.

    A view that is there stays unless it is to be replaced.

    Args:
        observation: its manifest. folder: of the chapter.
    """
    config, data = observation["config"], observation["config"]["data"]
    simulation = runs / "md" / observation["made_of"]["simulations"][0]
    cut = CUTS.get((config["protocol"], data["map"]))
    if cut is None or not (simulation / "position.npy").is_file():
        return []
    topology, atoms = sets.load(data["reference"], stride=100)
    beads = mapping.load(data["map"], topology, typing=data["typing"], residue=data["residue"])
    position, status = (np.load(simulation / f"{name}.npy", mmap_mode="r") for name in ("position", "status"))
    valid = np.logical_and.accumulate(status == 0, axis=1)
    frame_ps, written = config["md"]["steps_per_frame"] * config["md"]["dt_ps"], []
    usual = {"bonds": np.asarray(beads.bonds), "species": np.array(beads.species), "names": np.array(beads.beads)}
    for name, view in cut(position, valid, beads, np.asarray(atoms.box, float)).items():
        path = folder / f"{name}.npz"
        if replace or not path.is_file():
            view["position"] = view["position"].astype(np.float32)
            write_npz(path, **usual | view | {"frame_ps": np.array(frame_ps * view.pop("every", 1))})
            written.append(path)
    return written


def exchange(position: np.ndarray, valid: np.ndarray, beads: Mapping, box: np.ndarray) -> dict:
    """The first two molecules of two beads that swap halves, near each other; the species are the molecules."""
    bonds = np.asarray(beads.bonds)
    for x, counted in zip(position, valid, strict=True):
        x = np.asarray(x[counted], float)
        events = pair_bonds.follow(x, box, bonds, beads.species, hold=HOLD["exchange"])
        for frame, rearranged in zip(events.frames, events.beads, strict=True):
            if len(rearranged) == 4:
                own = bonds[np.isin(bonds, rearranged).all(1)]
                shown = _around(x, frame)[:, own.ravel()]
                names = np.repeat(["first molecule", "second molecule"], 2)
                view = {"position": displacement(shown[:, :1], shown, box), "species": np.array([0, 0, 1, 1])}
                return {"exchange": view | {"bonds": paired(view["position"]), "names": names}}
    return {}


def paired(position: np.ndarray) -> np.ndarray:
    """The bonds (T, 2, 2) of two molecules of two beads (T, 4, 3) nm, which begin as neighbours in the list."""
    bonded, bonds = pair_bonds.bonded_beads([[0, 1], [2, 3]]), []
    for x in np.asarray(position, float):
        bonded = pair_bonds.match(x, np.full(3, WIDE_NM), bonded, np.zeros(4, int))
        bonds.append([(i, int(j)) for i, j in enumerate(bonded) if i < j])
    return np.array(bonds)


def chained(position: np.ndarray, bonds: np.ndarray) -> np.ndarray:
    """The bonds (T, N - 1, 2) of a chain (T, N, 3) nm, which begins with these."""
    of_frames = []
    for x in position:
        bonds = chain_bonds.tree(x, map(tuple, bonds))
        of_frames.append(bonds)
    return np.array(of_frames)


def crossing(position: np.ndarray, valid: np.ndarray, beads: Mapping, box: np.ndarray) -> dict:
    """The first transition from one handedness of CA to the other."""
    four = [beads.beads.index(name) for name in PAPER.beads]
    for x in position:
        angle = np.asarray(dihedrals(np.asarray(x, float), [four], np.full(3, np.inf)))[:, 0]
        if (frame := first_passage(angle)) is not None:
            return {"crossing": {"position": _around(x, frame)}}
    return {}


def first_passage(angle: np.ndarray) -> int | None:
    """The frame at which an angle (T,) rad, of two valleys at opposite signs, first arrives in the other; None if never."""
    size = np.abs(angle)
    side = np.where(np.abs(size - np.median(size)) < NEAR_VALLEY, np.sign(angle), 0)
    settled = np.flatnonzero(side)
    passages = np.flatnonzero(np.diff(side[settled]))
    return int(settled[passages[0] + 1]) if len(passages) else None


def chain(position: np.ndarray, valid: np.ndarray, beads: Mapping, box: np.ndarray) -> dict:
    """The ways to the most helical frame of either handedness, and the first new bond, where there is one."""
    measured, views = series(position, valid, beads), {}
    order = np.where(valid, measured["chi"] * measured["q"], 0.0)
    for name, place in (("right", order.argmax()), ("left", order.argmin())):
        replica, frame = np.unravel_index(place, order.shape)
        chosen = np.arange(max(0, frame - STEP * (SHOWN - 1)), frame + 1)[::-STEP][::-1]
        views[name] = {"position": position[replica, chosen], "every": STEP}
    for x in position:
        events = chain_bonds.follow(x, beads.bonds, hold=HOLD["switch"])
        if len(events.frames):
            shown = _around(x[: len(events.rearranged)], int(events.frames[0]))
            return views | {"switch": {"position": shown, "bonds": chained(shown, beads.bonds)}}
    return views


def _around(x: np.ndarray, frame: int) -> np.ndarray:
    return np.asarray(x[max(0, frame - AROUND) : frame + AROUND])


CUTS = {("nvt", "two_site"): exchange, ("inversion", "core_beta"): crossing, ("nvt", "chain_ca"): chain}
"""By protocol and map."""
