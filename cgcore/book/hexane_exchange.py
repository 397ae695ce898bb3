"""Two molecules that swap halves: the first such exchange in a run of the two-site model, to look at."""

from pathlib import Path

import numpy as np

from cgcore import mapping, store
from cgcore.analysis import pair_bonds
from cgcore.book.collect import manifests, parameters_of
from cgcore.book.hexane_tables import Setting, setting
from cgcore.config import FRAME_PS
from cgcore.reference import sets

EXCHANGE = "exchange.npz"
SHOWN = 30
"""Frames before and after."""
HOLD = 4
"""Frames that new partners must stay together, so that the picture ends as it says."""


def write(runs: list[Path], folder: Path) -> list[Path]:
    """exchange.npz of the first exchange of two molecules in the plain MACE run of two sites; nothing without one or
    without its trajectory.

    position (T, 4, 3) nm, both molecules near each other; bonds (2, 2) at first; species, names: the molecule of each bead;
    frame_ps.
    """
    wanted = (run for run in runs if _plain_mace(setting(parameters_of(run))))
    if (run := next(wanted, None)) is None:
        return []
    trajectory = run / "md" / manifests(run)[1]["id"] / "position.npy"
    if not trajectory.is_file():
        return []
    positions = np.load(trajectory, mmap_mode="r")
    topology, atoms = sets.load("hexane", stride=100)
    beads = mapping.load("two_site", topology, residue="hex")
    box, bonds = np.asarray(atoms.box, float), np.asarray(beads.bonds)
    for position in positions:
        found = pair_bonds.follow(position, box, bonds, beads.species, hold=HOLD)
        for frame, taking_part in zip(found.frames, found.beads, strict=True):
            if len(taking_part) == 4:
                return [_write(folder / EXCHANGE, position, box, frame, bonds[np.isin(bonds, taking_part).all(1)])]
    return []


def _plain_mace(which: Setting) -> bool:
    return (which.map, which.potential, which.nu, which.plain) == ("two_site", "mace", 2, True)


def _write(path: Path, position: np.ndarray, box: np.ndarray, frame: int, bonds: np.ndarray) -> Path:
    x = np.asarray(position[max(0, frame - SHOWN) : frame + SHOWN], float)[:, bonds.ravel()]
    apart = x - x[:, :1]
    whole = apart - box * np.rint(apart / box)
    store.write_npz(
        path,
        position=whole.astype(np.float32),
        bonds=np.array([[0, 1], [2, 3]]),
        species=np.array([0, 0, 1, 1]),
        names=np.array(["first molecule"] * 2 + ["second molecule"] * 2),
        frame_ps=np.array(FRAME_PS),
    )
    return path
