"""GROMACS TRR: positions and forces in single or double precision; walked, read, and written frame by frame.

The reader of mdtraj gives no forces, and can neither tell a truncated file nor which frames hold forces.
"""

import mmap
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .raw import Raw, TrajectoryError, TruncatedTrajectoryWarning, chosen

MAGIC, TAG = 1993, b"GMX_trn_file"
BOX, POSITION, FORCE = 2, 7, 9  # of the ten blocks of a frame


class _Header(NamedTuple):
    n_atoms: int
    real: int  # bytes of a number: 4 or 8
    sizes: tuple[int, ...]  # bytes of the blocks ir, e, box, vir, pres, top, sym, x, v, f
    body: int  # where time and lambda stand, before the blocks

    def numbers(self, data, block: int | None) -> np.ndarray:
        """The numbers of a block, or the time for None, in single precision."""
        if block is None:
            start, count = self.body, 1
        else:
            start, count = self.body + 2 * self.real + sum(self.sizes[:block]), self.sizes[block] // self.real
        return np.frombuffer(data, f">f{self.real}", count, start).astype(np.float32)

    @property
    def end(self) -> int:
        return self.body + 2 * self.real + sum(self.sizes)


def index_trr(path) -> np.ndarray:
    """Walk the headers of a TRR file: frame k is bytes offsets[k]:offsets[k + 1], (T + 1,), for T whole frames.

    Raises TrajectoryError where it holds no whole frame, or is damaged.
    """
    with _mapped(path) as data:
        return np.array([0, *(header.end for header in _headers(path, data))])


def read_trr(path: Path, n_atoms: int, stride: int, atoms: np.ndarray | None) -> Raw:
    """Read every `stride`-th frame of a TRR file in single precision; a truncated one with a warning."""
    with _mapped(path) as data:
        headers = _headers(path, data)
        some = chosen(path, headers[0].n_atoms, n_atoms, atoms)
        kept = headers[::stride]
        for what, block, option in (
            ("positions", POSITION, "nstxout"),
            ("forces", FORCE, "nstfout"),
            ("a box", BOX, "pbc"),
        ):
            has = np.array([header.sizes[block] > 0 for header in headers])
            if 0 < has[::stride].sum() < len(kept):
                every = max(1, int(np.diff(np.flatnonzero(has)[:2], prepend=0)[-1]))
                slip = (
                    f"take every {every}. frame (--stride {every})"
                    if has[::every].all()
                    else f"did {option} differ in the run?"
                )
                raise TrajectoryError(
                    f"{path}: {has.sum()} of {len(headers)} frames hold {what}; want all alike; {slip}"
                )
        position, force, vectors = (
            np.array([header.numbers(data, block).reshape(-1, 3)[atoms] for header in kept])
            if kept[0].sizes[block]
            else None
            for block, atoms in ((POSITION, some), (FORCE, some), (BOX, slice(None)))
        )
        time = np.array([header.numbers(data, None)[0] for header in kept])
        dropped = len(data) - headers[-1].end
    if dropped:
        warnings.warn(TruncatedTrajectoryWarning(path, len(headers), dropped), stacklevel=4)
    return Raw(position, force, time, vectors)


def trr_frame(position: np.ndarray, force: np.ndarray | None, box: np.ndarray, time: float, step: int) -> bytes:
    """One frame as GROMACS writes it in single precision; frames follow one another in a file, so a run can append.

    position (A, 3) nm, force (A, 3) kJ/mol/nm or None, box (3,) nm with inf where not periodic, time in ps.
    """
    n, force = len(position), () if force is None else force
    vectors = np.diag(np.where(np.isfinite(box), box, 0.0))
    reals = np.concatenate([[time, 0.0], vectors.ravel(), np.ravel(position), np.ravel(force)])
    sizes = (0, 0, 36, 0, 0, 0, 0, 12 * n, 0, 12 * len(force))
    header = struct.pack(">3i12s13i", MAGIC, len(TAG) + 1, len(TAG), TAG, *sizes, n, step, 0)
    return header + reals.astype(">f4").tobytes()


@contextmanager
def _mapped(path) -> Iterator[mmap.mmap]:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def _headers(path, data) -> list[_Header]:
    """The headers of all whole frames."""
    headers, end = [], 0
    while (header := _header(path, data, end)) and header.end <= len(data):
        headers.append(header)
        end = header.end
    if not headers:
        raise TrajectoryError(f"{path}: want a TRR file, found {len(data)} bytes that hold no whole frame")
    if len(counts := {h.n_atoms for h in headers}) > 1:
        raise TrajectoryError(f"{path}: the number of atoms changes between frames: {sorted(counts)}")
    return headers


def _header(path, data, start: int) -> _Header | None:
    """The header at a byte offset, None where the file ends inside it.

    XDR, big-endian: magic, string length (twice), string padded to 4 bytes, ten block sizes, number of atoms, step,
    nre, then time and lambda as reals, then the blocks.
    """
    if start + 12 > len(data):
        return None
    magic, _, length = struct.unpack_from(">3i", data, start)
    at = start + 12 + length + (-length) % 4
    if magic != MAGIC or not 0 < length < 256:
        raise TrajectoryError(
            f"{path}: byte {start} is not the start of a TRR frame; the file is damaged or no TRR file"
        )
    if at + 52 > len(data):
        return None
    *sizes, n_atoms, _, _ = struct.unpack_from(">13i", data, at)
    # The size of a number is written nowhere: a box has nine of them, an atom three.
    real = sizes[BOX] // 9 if sizes[BOX] else max(sizes[POSITION:]) // (3 * max(n_atoms, 1))
    if min(sizes) < 0 or n_atoms < 1 or real not in (4, 8):
        raise TrajectoryError(
            f"{path}: the TRR frame at byte {start} has a damaged header ({n_atoms} atoms, sizes {sizes})"
        )
    return _Header(n_atoms, real, tuple(sizes), at + 52)
