"""GROMACS TRR: positions and forces in single or double precision; walked, read, and written frame by frame."""

import mmap
import struct
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mdtraj.formats import TRRTrajectoryFile

from .errors import Raw, TrajectoryError, TruncatedTrajectoryWarning, same_size

CHUNK = 2048
"""Frames that are in memory at once while a stride is applied."""


TAG = b"GMX_trn_file"


class TRRIndex(NamedTuple):
    """Where the whole frames of a TRR file lie: frame k is bytes offsets[k]:offsets[k + 1], (T + 1,)."""

    offsets: np.ndarray
    n_atoms: int
    has_position: np.ndarray  # (T,) bool
    has_force: np.ndarray  # (T,) bool
    dropped_bytes: int  # after the last whole frame


def index_trr(path) -> TRRIndex:
    """Walk the headers of a TRR file; mdtraj can neither tell a truncated file nor which frames hold forces."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        offsets, headers = [0], []
        while (header := _trr_header(path, data, offsets[-1])) and header.end <= len(data):
            headers.append(header)
            offsets.append(header.end)
        dropped = len(data) - offsets[-1]
    if not headers:
        raise TrajectoryError(f"{path}: want a TRR file, found {dropped} bytes that hold no whole frame")
    if len(sizes := {h.n_atoms for h in headers}) > 1:
        raise TrajectoryError(f"{path}: the number of atoms changes between frames: {sorted(sizes)}")
    has_position, has_force = (np.array([getattr(h, size) > 0 for h in headers]) for size in ("x_size", "f_size"))
    return TRRIndex(np.array(offsets), headers[0].n_atoms, has_position, has_force, dropped)


class _TRRHeader(NamedTuple):
    n_atoms: int
    x_size: int
    f_size: int
    end: int  # of the frame, bytes from the start of the file


def _trr_header(path, data, start: int) -> _TRRHeader | None:
    """The header at a byte offset, None where the file ends inside it.

    XDR, big-endian: magic 1993, string length (twice), string padded to 4 bytes, ten block sizes (ir, e, box, vir,
    pres, top, sym, x, v, f), number of atoms, step, nre, then time and lambda as reals, then the blocks.
    """
    if start + 12 > len(data):
        return None
    magic, _, length = struct.unpack_from(">3i", data, start)
    at = start + 12 + length + (-length) % 4
    if magic != 1993 or not 0 < length < 256:
        raise TrajectoryError(
            f"{path}: byte {start} is not the start of a TRR frame; the file is damaged or no TRR file"
        )
    if at + 52 > len(data):
        return None
    *sizes, n_atoms, _, _ = struct.unpack_from(">13i", data, at)
    box, x, v, f = sizes[2], *sizes[7:]
    real = box // 9 if box else max(x, v, f) // (3 * max(n_atoms, 1))
    if min(sizes) < 0 or n_atoms < 1 or real not in (4, 8):
        raise TrajectoryError(
            f"{path}: the TRR frame at byte {start} has a damaged header ({n_atoms} atoms, sizes {sizes})"
        )
    return _TRRHeader(n_atoms, x, f, at + 52 + 2 * real + sum(sizes))


def read_trr(path: Path, n_atoms: int, stride: int) -> Raw:
    index = index_trr(path)
    same_size(path, index.n_atoms, n_atoms)
    n = len(index.has_position)
    for what, has, option in (("positions", index.has_position, "nstxout"), ("forces", index.has_force, "nstfout")):
        if 0 < has.sum() < n or (what == "positions" and not has.any()):
            raise TrajectoryError(
                f"{path}: {has.sum()} of {n} frames hold {what}; want all alike; did {option} differ in the run?"
            )
    if index.dropped_bytes:
        warnings.warn(TruncatedTrajectoryWarning(path, n, index.dropped_bytes), stacklevel=4)
    return _mdtraj_trr(path, n, stride, forces=bool(index.has_force[0]))


def _mdtraj_trr(path: Path, n: int, stride: int, *, forces: bool) -> Raw:
    """The first n frames, strided. The one place that uses mdtraj's private reader: its public one gives no forces."""
    parts = []
    with TRRTrajectoryFile(str(path)) as file:
        for start in range(0, n, CHUNK):
            position, time, _, vectors, _, _, force = file._read(
                min(CHUNK, n - start), None, get_velocities=False, get_forces=forces
            )
            keep = slice(-start % stride, None, stride)
            parts.append([a[keep].copy() for a in (position, time, vectors, *([force] if forces else []))])
    position, time, vectors, *force = (np.concatenate(p) for p in zip(*parts, strict=True))
    return Raw(position, force[0] if forces else None, time, vectors)


def trr_frame(position: np.ndarray, force: np.ndarray, box: np.ndarray, time: float, step: int) -> bytes:
    """One frame as GROMACS writes it in single precision; frames follow one another in a file, so a run can append.

    position (A, 3) nm, force (A, 3) kJ/mol/nm, box (3,) nm with inf where not periodic, time in ps.
    """
    n = len(position)
    vectors = np.diag(np.where(np.isfinite(box), box, 0.0))
    reals = np.concatenate([[time, 0.0], vectors.ravel(), np.ravel(position), np.ravel(force)])
    sizes = (0, 0, 36, 0, 0, 0, 0, 12 * n, 0, 12 * n)
    header = struct.pack(">3i12s13i", 1993, len(TAG) + 1, len(TAG), TAG, *sizes, n, step, 0)
    return header + reals.astype(">f4").tobytes()
