"""Which reader a file has, by its ending; what it reads in the units of the project, with forces of another file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..frames import Topology
from . import formats
from .hdf5 import read_hdf5
from .raw import Raw, TrajectoryError, Units, converted, existing
from .text_formats import read_lammps, read_xyz
from .trr import read_trr

TIME_TOLERANCE, FROM_PS = 2e-7, 500.0
"""Relative difference of times that is the rounding of single precision, and the time from which on it grows."""

READERS: dict[str, Callable[[Path, int, int, np.ndarray | None], Raw]] = {
    ".trr": read_trr,
    ".xtc": formats.read_xtc,
    ".dcd": formats.read_dcd,
    ".pdb": formats.read_pdb,
    ".gro": formats.read_gro,
    ".npz": formats.read_npz,
    **dict.fromkeys((".h5", ".hdf5", ".h5md"), read_hdf5),
    **dict.fromkeys((".nc", ".ncdf", ".netcdf"), formats.read_netcdf),
    **dict.fromkeys((".lammpstrj", ".dump"), read_lammps),
    **dict.fromkeys((".xyz", ".extxyz"), read_xyz),
}
VECTORS = (".dcd", ".xyz")
"""Formats of one vector an atom, in which NAMD and CP2K write forces in place of positions."""


def read_raw(path: Path, topology: Topology, forces, stride: int, atoms: np.ndarray | None, units: Units) -> Raw:
    """What the file has, in nm, kJ/mol/nm and ps, with the forces of another file where one is given."""
    raw = READERS[path.suffix](path, topology.n_atoms, stride, atoms)
    if raw.position is None:
        raise TrajectoryError(f"{path}: want positions, found forces alone; give such a file as `forces` (--forces)")
    raw = converted(path, raw, units)
    if forces is None:
        return raw
    if raw.force is not None:
        raise TrajectoryError(f"{path}: has forces of its own; leave {forces} out")
    other = READERS[existing(forces, READERS).suffix](Path(forces), topology.n_atoms, 1, atoms)
    if other.force is None and Path(forces).suffix in VECTORS:
        other = other._replace(force=other.position, units=other.units._replace(force=None))
    if other.force is None:
        raise TrajectoryError(f"{forces}: want forces, the file has none")
    other = converted(Path(forces), other._replace(position=None, vectors=None), units)
    return raw._replace(force=other.force[_matched(path, forces, raw, other, stride)])


def _matched(path, forces, raw: Raw, other: Raw, stride: int) -> np.ndarray:
    """Which frames of forces belong to the positions: those of their times, or where one has none, the same in turn."""
    n = len(raw.position)
    if raw.time is None or other.time is None:
        if len(range(0, len(other.force), stride)) != n:
            raise TrajectoryError(
                f"{forces}: {len(other.force)} frames without times to tell which belong to the {n} of {path} (stride {stride}); "
                "want as many"
            )
        return np.arange(0, len(other.force), stride)
    nearest = _nearest(other.time, raw.time)
    late = np.abs(other.time[nearest] - raw.time) > TIME_TOLERANCE * np.maximum(np.abs(raw.time), FROM_PS)
    if late.any():
        k = np.flatnonzero(late)[0]
        raise TrajectoryError(
            f"{forces}: no forces at {raw.time[k]:g} ps, the nearest are at {other.time[nearest[k]]:g} ps; {n - late.sum()} of {n} frames "
            f"of {path} have some. Are they written less often? Then take every so many frames (--stride)"
        )
    return nearest


def _nearest(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which of the times known, ascending, is nearest to each that is wanted."""
    if len(known) == 1:
        return np.zeros(len(wanted), int)
    after = np.clip(np.searchsorted(known, wanted), 1, len(known) - 1)
    return after - (wanted - known[after - 1] < known[after] - wanted)
