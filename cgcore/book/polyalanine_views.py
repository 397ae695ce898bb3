"""Helices of either hand and a bond that switches, cut out of runs, to look at."""

from pathlib import Path

import numpy as np

from cgcore import mapping, store
from cgcore.analysis import chain_bonds, helix
from cgcore.analysis.chain_series import ca_beads
from cgcore.book.collect import manifests, parameters_of
from cgcore.book.polyalanine_tables import Setting, setting
from cgcore.config import FRAME_PS
from cgcore.reference import sets

SHOWN = 50
"""Frames of a picture."""
STEP = 4
"""Every so many of the run's on the way to a helix: 2 ps."""
HOLD = 2
SWITCHING = tuple(Setting(map="chain_ca", typing=typing) for typing in ("single", "alternating", "symmetric", "study"))


def write(runs: list[Path], folder: Path) -> list[Path]:
    """right.npz and left.npz, the way to the most helical frame of either hand in the CA run with all species different;
    switch.npz, the first new bond of the first CA run that has one. Those of which there are runs with trajectories.

    position (T, N, 3) nm; bonds (P, 2) at first; species, names, frame_ps.
    """
    found = {setting(parameters_of(run)): run for run in runs}
    written = []
    plain = found.get(Setting(map="chain_ca"))
    if plain is not None and (opened := _open(plain)):
        beads, position, first_bad = opened
        ca = ca_beads(beads)
        for name, sign in (("right", 1), ("left", -1)):
            replica, frame = _most(position[:, :, ca], first_bad, sign)
            chosen = np.arange(max(0, frame - STEP * (SHOWN - 1)), frame + 1)[::-STEP][::-1]
            written.append(_write(folder / f"{name}.npz", beads, position[replica, chosen], STEP * FRAME_PS))
    for which in SWITCHING:
        if (
            which in found
            and (opened := _open(found[which]))
            and (cut := _first_switch(opened[0], opened[1])) is not None
        ):
            return [*written, _write(folder / "switch.npz", opened[0], cut, FRAME_PS)]
    return written


def _open(run: Path) -> tuple[mapping.Mapping, np.ndarray, np.ndarray] | None:
    """Map, positions (C, T, N, 3) and first bad frames (C,) of a run; None where its trajectory was not kept."""
    folder = run / "md" / manifests(run)[1]["id"]
    if not (folder / "position.npy").is_file():
        return None
    parameters = parameters_of(run)
    topology, _ = sets.load("ala15_obc2", stride=100)
    beads = mapping.load(parameters["map"], topology, typing=parameters["typing"])
    status = np.load(folder / "status.npy")
    first_bad = np.where(status.any(1), (status != 0).argmax(1), status.shape[1])
    return beads, np.load(folder / "position.npy", mmap_mode="r"), first_bad


def _most(ca: np.ndarray, first_bad: np.ndarray, sign: int) -> tuple[int, int]:
    """Replica and frame of the largest sign * chi * Q among the frames that count."""
    counted = np.arange(ca.shape[1])[None] < first_bad[:, None]
    x = np.where(counted[..., None, None], ca, 0.0)
    order = np.where(counted, sign * helix.handedness(x) * helix.helicity(x), -np.inf)
    return tuple(int(i) for i in np.unravel_index(order.argmax(), order.shape))


def _first_switch(beads: mapping.Mapping, position: np.ndarray) -> np.ndarray | None:
    """The frames (T, N, 3) around the first new bond of the first replica that has one."""
    for x in position:
        switches = chain_bonds.follow(x, beads.bonds, hold=HOLD)
        if len(switches.frames):
            frame = int(switches.frames[0])
            return np.asarray(x[max(0, frame - SHOWN // 2) : min(frame + SHOWN // 2, len(switches.switched))])
    return None


def _write(path: Path, beads: mapping.Mapping, position: np.ndarray, frame_ps: float) -> Path:
    store.write_npz(
        path,
        position=np.asarray(position, np.float32),
        bonds=np.asarray(beads.bonds),
        species=np.array(beads.species),
        names=np.array(beads.beads),
        frame_ps=np.array(frame_ps),
    )
    return path
