"""Readers of HDF5 by three conventions: ours (`packed`), H5MD, and MDTraj's."""

from pathlib import Path

import h5py
import numpy as np

from .formats import box_vectors, cell_vectors
from .packed import read_packed
from .raw import Raw, TrajectoryError, Units, chosen, damaged


def read_hdf5(path: Path, n_atoms: int, stride: int, atoms: np.ndarray | None) -> Raw:
    """HDF5 by any of three conventions: ours (`packed`), H5MD, or MDTraj's."""
    with damaged(path):
        file = h5py.File(path, "r")
    with file:
        if "h5md" in file:
            return _read_h5md(path, file, n_atoms, stride, atoms)
        if "coordinates" in file:
            return _read_mdtraj(path, file, n_atoms, stride, atoms)
    return read_packed(path, n_atoms, stride, atoms)


def _read_mdtraj(path: Path, file: h5py.File, n_atoms: int, stride: int, atoms: np.ndarray | None) -> Raw:
    some = chosen(path, file["coordinates"].shape[1], n_atoms, atoms)
    with damaged(path):
        position = _frames(file["coordinates"], stride, some)
        time = np.array(file["time"][::stride], float) if "time" in file else None
        cell = [file[name][::stride] for name in ("cell_lengths", "cell_angles") if name in file]
    return Raw(position, None, time, cell_vectors(*cell) if len(cell) == 2 else None)


def _read_h5md(path: Path, file: h5py.File, n_atoms: int, stride: int, atoms: np.ndarray | None) -> Raw:
    groups = [name for name, group in file.get("particles", {}).items() if "position" in group]
    if len(groups) != 1:
        raise TrajectoryError(f"{path}: want one group of particles with positions, found {groups}")
    group = file["particles"][groups[0]]
    with damaged(path):
        found = {name: group[name] for name in ("position", "force") if name in group}
        some = chosen(path, found["position"]["value"].shape[1], n_atoms, atoms)
        arrays = {name: _frames(element["value"], stride, some) for name, element in found.items()}
        times = {name: _h5md_times(element) for name, element in found.items() if "time" in element}
        units = {name: _unit(element["value"]) for name, element in found.items()}
        vectors = _h5md_box(group.get("box"), stride)
    if len({len(a) for a in arrays.values()}) > 1 or len({t.tobytes() for t in times.values()}) > 1:
        raise TrajectoryError(
            f"{path}: forces were not written at the times of the positions; want both in the same frames"
        )
    time = None if not times else times["position"][::stride]
    at = _unit(found["position"]["time"]) if times else None
    return Raw(
        arrays["position"], arrays.get("force"), time, vectors, units=Units(units["position"], units.get("force"), at)
    )


def _h5md_times(element: h5py.Group) -> np.ndarray:
    """Times of all frames: each its own, or a spacing from an offset."""
    time = element["time"]
    if time.shape:
        return np.array(time, float)
    return time.attrs.get("offset", 0.0) + float(time[()]) * np.arange(len(element["value"]))


def _h5md_box(box: h5py.Group | None, stride: int) -> np.ndarray | None:
    if box is None or "edges" not in box:
        return None
    edges = box["edges"]
    edges = np.array(edges["value"][::stride] if isinstance(edges, h5py.Group) else edges[()][None], float)
    periodic = [_text(word) != "none" for word in np.ravel(box.attrs.get("boundary", ["periodic"] * 3))]
    return box_vectors(edges) * np.array(periodic)[:, None]


def _frames(data: h5py.Dataset, stride: int, atoms: np.ndarray | slice) -> np.ndarray:
    """Every so many frames of some atoms, in single precision; the whole is never in memory."""
    kept = [np.asarray(data[k], np.float32)[atoms] for k in range(0, len(data), stride)]
    return np.array(kept, np.float32).reshape(len(kept), -1, 3)


def _unit(data: h5py.Dataset) -> str | None:
    unit = data.attrs.get("unit")
    return None if unit is None else _text(unit)


def _text(value) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
