"""Frames with forces in few bytes: integers of a stated step in HDF5, for reference sets that travel with the project.

Positions are stored as differences between an atom and the one before it in the file, which are small where neighbours
in the file are bonded; forces as they are. Both as 16-bit integers, byte-shuffled and deflated. Reading restores
float32. The largest error is half a step: 1e-4 nm and 1 kJ/mol/nm with the steps given here.
"""

from pathlib import Path

import h5py
import numpy as np

from ..frames import Frames
from .raw import Raw, TrajectoryError, check_finite, chosen, damaged

POSITION_STEP = 2e-4  # nm
FORCE_STEP = 2.0  # kJ/mol/nm
LARGEST = np.iinfo(np.int16).max


def write_packed(path, frames: Frames, *, position_step: float = POSITION_STEP, force_step: float = FORCE_STEP):
    """Write frames (positions, forces, times, box, weights where there are some) as HDF5.

    Raises TrajectoryError for frames without forces, numbers that are not finite, or beyond 32767 steps: 6.5 nm between
    neighbours in the file, or 65 MJ/mol/nm.
    """
    if frames.force is None:
        raise TrajectoryError(f"{path}: want frames with forces, these have none")
    check_finite(path, frames.position, frames.force)
    position = np.rint(np.asarray(frames.position, dtype=np.float64) / position_step).astype(np.int64)
    columns = {
        "position_difference": (np.diff(position, axis=1, prepend=0), position_step, "nm, from the atom before"),
        "force": (np.rint(np.asarray(frames.force, dtype=np.float64) / force_step), force_step, "kJ/mol/nm"),
    }
    for name, (steps, _, _) in columns.items():
        if (largest := np.abs(steps).max(initial=0)) > LARGEST:
            raise TrajectoryError(
                f"{path}: {name} reaches {largest:.0f} steps, 16 bits hold {LARGEST}; want a larger step or whole "
                "molecules"
            )
    with h5py.File(path, "w") as file:
        file.attrs["box_nm"] = np.asarray(frames.box, dtype=np.float64)
        file["time_ps"] = np.asarray(frames.time, dtype=np.float64)
        if frames.weight is not None:
            file["weight"] = np.asarray(frames.weight, dtype=np.float64)
        for name, (steps, step, unit) in columns.items():
            n, atoms, _ = steps.shape
            chunks = (max(1, min(n, 2**18 // atoms)), atoms, 3)
            packing = dict(chunks=chunks, shuffle=True, compression="gzip", compression_opts=9)
            file.create_dataset(name, data=steps.astype(np.int16), **packing).attrs.update(step=step, unit=unit)


def read_packed(path: Path, n_atoms: int, stride: int, atoms: np.ndarray | None) -> Raw:
    """Every `stride`-th frame of a file of `write_packed`."""
    with damaged(path):
        file = h5py.File(path, "r")
    with file:
        if missing := {"position_difference", "force", "time_ps"} - file.keys():
            raise TrajectoryError(f"{path}: no {sorted(missing)} in it; want an HDF5 file of cgcore.io.write_packed")
        with damaged(path):
            steps, force = (file[name][::stride] for name in ("position_difference", "force"))
            scales = [np.float32(file[name].attrs["step"]) for name in ("position_difference", "force")]
            time, box = file["time_ps"][::stride], file.attrs["box_nm"]
            weight = file["weight"][::stride] if "weight" in file else None
    some = chosen(path, force.shape[1], n_atoms, atoms)
    position, force = np.cumsum(steps, axis=1, dtype=np.int32)[:, some] * scales[0], force[:, some]
    vectors = np.broadcast_to(np.diag(np.where(np.isfinite(box), box, 0.0)), (len(time), 3, 3))
    return Raw(position.astype(np.float32), (force * scales[1]).astype(np.float32), time, vectors, weight)
