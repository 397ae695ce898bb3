"""Readers of XTC, DCD, NetCDF, npz, GRO and PDB files, by mdtraj and SciPy: frames as stored, and the units that they are in.

A reader takes a path, the number of atoms of the topology, a stride, and which atoms are wanted (None for all); it returns `Raw`.
"""

import warnings
from pathlib import Path

import mdtraj
import numpy as np
from mdtraj.formats import DCDTrajectoryFile, GroTrajectoryFile, XTCTrajectoryFile
from mdtraj.utils.unitcell import lengths_and_angles_to_box_vectors
from scipy.io import netcdf_file

from ..store import read_npz as read_npz_file
from .raw import Raw, TrajectoryError, Units, chosen, damaged, plain_text

AMBER = Units("Å", "kcal/mol/Å", "ps")
DCD_HEADER = 84
"""Bytes of the first record of a DCD file, by which the order of bytes is known."""
ARRAYS = ("position", "force", "time", "box", "weight")


def read_xtc(path: Path, n_atoms: int, stride: int, atoms: np.ndarray | None) -> Raw:
    with damaged(path), XTCTrajectoryFile(str(path)) as file:
        in_file = file.read(n_frames=1)[0].shape[1]
    some = _indices(chosen(path, in_file, n_atoms, atoms))
    with damaged(path), XTCTrajectoryFile(str(path)) as file:
        position, time, _, vectors = file.read(stride=stride, atom_indices=some)
    return Raw(position, None, time, vectors)


def read_dcd(path: Path, n_atoms: int, stride: int, atoms: np.ndarray | None) -> Raw:
    """A DCD file of any program; its header's times are in units that programs do not agree on, so that it has none."""
    with damaged(path), DCDTrajectoryFile(str(path)) as file:
        in_file = file.read(n_frames=1)[0].shape[1]
    some = _indices(chosen(path, in_file, n_atoms, atoms))
    with damaged(path), DCDTrajectoryFile(str(path)) as file:
        position, lengths, angles = file.read(stride=stride, atom_indices=some)
    with open(path, "rb") as file:
        first, _, counted = np.frombuffer(file.read(12), "<i4")
    counted = int(counted if first == DCD_HEADER else counted.byteswap())
    if len(position) < len(range(0, counted, stride)):
        raise TrajectoryError(
            f"{path}: its header counts {counted} frames, {len(position)} could be read (stride {stride}); it is cut off or damaged. "
            "MDTraj's `mdconvert` writes those that are whole to a file of their own"
        )
    return Raw(position, None, None, cell_vectors(lengths, angles), units=Units("Å", None, None))


def read_netcdf(path: Path, n_atoms: int, stride: int, atoms: np.ndarray | None) -> Raw:
    """A NetCDF file by AMBER's convention, with forces where there are some (ntwf)."""
    with damaged(path):
        file = netcdf_file(path, "r", mmap=True)
    with warnings.catch_warnings(), file:
        warnings.filterwarnings("ignore", message="Cannot close a netcdf_file")  # to which an error on its way refers
        return _read_amber(path, file.variables, n_atoms, stride, atoms)


def _read_amber(path: Path, found: dict, n_atoms: int, stride: int, atoms: np.ndarray | None) -> Raw:
    if "coordinates" not in found:
        raise TrajectoryError(
            f"{path}: want a NetCDF trajectory by AMBER's convention, with coordinates; found {sorted(found)}"
        )
    some = chosen(path, found["coordinates"].shape[1], n_atoms, atoms)
    arrays, units = {}, []
    with damaged(path):
        for name, usual in zip(("coordinates", "forces", "time"), AMBER, strict=True):
            units.append(getattr(found.get(name), "units", b"").decode() or usual)
            if name in found:
                values = found[name][::stride]
                arrays[name] = np.array(values if name == "time" else values[:, some]) * getattr(
                    found[name], "scale_factor", 1
                )
        cell = [np.array(found[name][::stride], float) for name in ("cell_lengths", "cell_angles") if name in found]
    position, force, time = (arrays.get(name) for name in ("coordinates", "forces", "time"))
    return Raw(position, force, time, cell_vectors(*cell) if len(cell) == 2 else None, units=Units(*units))


def read_npz(path: Path, n_atoms: int, stride: int, atoms: np.ndarray | None) -> Raw:
    """Arrays `position` and `force` (T, A, 3), `time` (T,), `box` ([T,] 3 [, 3]) and `weight` (T,), of which forces alone suffice."""
    found = read_npz_file(path)
    if (unknown := found.keys() - set(ARRAYS)) or not {"position", "force"} & found.keys():
        raise TrajectoryError(
            f"{path}: want arrays named {list(ARRAYS)}, got {sorted(unknown or found)}; rename them, or leave them out"
        )
    frames = {name: found[name] for name in ("position", "force") if name in found}
    for name, values in frames.items():
        if values.ndim != 3 or values.shape[2] != 3 or len(values) != len(next(iter(frames.values()))):
            raise TrajectoryError(
                f"{path}: want {name} of as many frames, atoms and directions (T, A, 3), got {values.shape}"
            )
    n, box = len(next(iter(frames.values()))), found.get("box")
    position, force = (
        frames[name][::stride, chosen(path, frames[name].shape[1], n_atoms, atoms)] if name in frames else None
        for name in ("position", "force")
    )
    for name in {"time", "weight"} & found.keys():
        if found[name].shape != (n,):
            raise TrajectoryError(f"{path}: want {name} of {n} frames, got {found[name].shape}")
    if box is not None and box.shape not in {(3,), (3, 3), (n, 3), (n, 3, 3)}:
        raise TrajectoryError(f"{path}: want box of shape (3,), (3, 3), ({n}, 3) or ({n}, 3, 3), got {box.shape}")
    if box is not None:
        each = box.ndim == 3 or (box.ndim == 2 and box.shape != (3, 3))
        box = np.broadcast_to(box_vectors(box if each else box[None]), (n, 3, 3))[::stride]
    time, weight = (found[name][::stride] if name in found else None for name in ("time", "weight"))
    return Raw(position, force, time, box, weight, units=Units())


def read_pdb(path: Path, n_atoms: int, stride: int, atoms: np.ndarray | None) -> Raw:
    plain_text(path)
    with damaged(path):
        trajectory = mdtraj.load_pdb(path, stride=stride, standard_names=False)
    some = chosen(path, trajectory.n_atoms, n_atoms, atoms)
    return Raw(trajectory.xyz[:, some], None, None, trajectory.unitcell_vectors)


def read_gro(path: Path, n_atoms: int, stride: int, atoms: np.ndarray | None) -> Raw:
    plain_text(path)
    with damaged(path), GroTrajectoryFile(str(path)) as file:
        position, time, vectors = file.read(stride=stride)
    return Raw(position[:, chosen(path, position.shape[1], n_atoms, atoms)], None, time, vectors)


def cell_vectors(lengths: np.ndarray, angles: np.ndarray) -> np.ndarray | None:
    """Vectors (T, 3, 3) of cells of lengths (T, 3) and angles (T, 3) in degrees; None where a length is zero."""
    if not np.all(lengths):
        return None
    return np.stack(lengths_and_angles_to_box_vectors(*np.transpose(lengths), *np.transpose(angles)), axis=1)


def box_vectors(box: np.ndarray) -> np.ndarray:
    """Vectors (T, 3, 3) of edges (T, 3), zero or infinite where not periodic, or of what is vectors already."""
    box = np.where(np.isfinite(box), box, 0.0)
    return box if box.ndim == 3 else box[:, :, None] * np.eye(3)


def _indices(some: np.ndarray | slice) -> np.ndarray | None:
    return None if isinstance(some, slice) else some
