"""A molecule that turns itself inside out: the first passage of an inversion, to look at."""

from pathlib import Path

import numpy as np

from cgcore import mapping, store
from cgcore.book.amino_settings import setting
from cgcore.book.collect import manifests, parameters_of
from cgcore.config import FRAME_PS
from cgcore.reference import sets

CROSSING = "crossing.npz"
SHOWN = 20
"""Frames before and after."""
WITHIN = 0.5
"""rad from the bottom of a valley that a frame must be to be on its side."""


def write(runs: list[Path], folder: Path) -> list[Path]:
    """inversion/crossing.npz of the first run of Core Beta that goes from one hand to the other; nothing without one or
    without its trajectory.

    position (T, N, 3) nm; bonds, species, names; frame_ps.
    """
    for run in runs:
        which = setting(parameters_of(run))
        if (which.study, which.map, which.potential) != ("inversion", "core_beta", "mace"):
            continue
        _, made = manifests(run, ("fit", "metadynamics"))
        here = run / "metadynamics" / made["id"]
        if not (here / "position.npy").is_file():
            continue
        positions, chi = (np.load(here / f"{name}.npy", mmap_mode="r") for name in ("position", "cv"))
        for position, angle in zip(positions, chi, strict=True):
            if (frame := first_passage(angle.reshape(len(angle)))) is not None:
                return [_write(folder / "inversion" / CROSSING, position, frame, which)]
    return []


def first_passage(chi: np.ndarray) -> int | None:
    """The frame at which an angle (T,) rad, of two valleys at opposite signs, first arrives in the other; None if never."""
    bottom = np.median(np.abs(chi))
    side = np.where(np.abs(np.abs(chi) - bottom) < WITHIN, np.sign(chi), 0)
    settled = np.flatnonzero(side)
    turns = np.flatnonzero(np.diff(side[settled]))
    return int(settled[turns[0] + 1]) if len(turns) else None


def _write(path: Path, position: np.ndarray, frame: int, which) -> Path:
    topology, _ = sets.load("ala2", stride=1000)
    beads = mapping.load(which.map, topology, typing=which.typing, residue=which.residue)
    path.parent.mkdir(parents=True, exist_ok=True)
    store.write_npz(
        path,
        position=np.asarray(position[max(0, frame - SHOWN) : frame + SHOWN], np.float32),
        bonds=np.asarray(beads.bonds),
        species=np.array(beads.species),
        names=np.array(beads.beads),
        frame_ps=np.array(FRAME_PS),
    )
    return path
