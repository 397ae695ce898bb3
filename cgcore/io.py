"""Trajectory files to `Frames` and back, by mdtraj. Lengths in nm, times in ps, forces in kJ/mol/nm.

What a file does not hold is `None` or an error, never a guess: no zero forces, no made-up times.
"""

import mmap
import struct
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import mdtraj
import numpy as np
from mdtraj.formats import GroTrajectoryFile, TRRTrajectoryFile, XTCTrajectoryFile

from . import geometry
from .frames import Frames, Topology

CHUNK = 2048
"""Frames that are in memory at once while a stride is applied."""


class TrajectoryError(ValueError):
    """A file that cannot be used, with what was wanted, what was found and the likely slip."""


class TruncatedTrajectoryWarning(UserWarning):
    """A trajectory that ends inside a frame: `frames` whole ones were kept, `dropped_bytes` were not read."""

    def __init__(self, path, frames: int, dropped_bytes: int):
        self.frames, self.dropped_bytes = frames, dropped_bytes
        super().__init__(
            f"{path}: the file ends inside a frame; kept the {frames} whole frames before it, dropped the last "
            f"{dropped_bytes} bytes"
        )


class Raw(NamedTuple):
    """What a reader returns: (T, N, 3) nm; (T, N, 3) kJ/mol/nm or None; (T,) ps or None; (T, 3, 3) nm or None."""

    position: np.ndarray
    force: np.ndarray | None
    time: np.ndarray | None
    vectors: np.ndarray | None


def read_topology(path) -> Topology:
    """The atoms of a PDB or GRO file, named as in the file.

    Masses come from the elements, bonds from CONECT records and the standard residues (capping groups included).
    Raises TrajectoryError for another format, an empty file, or an atom without a known element.
    """
    path = _existing(path, {".pdb", ".gro"})
    with _reading(path), warnings.catch_warnings():
        # The unit cell is not asked for here; `read` passes on what mdtraj has to say about it.
        warnings.filterwarnings("ignore", message="Unlikely unit cell vectors")
        standard = mdtraj.load(path).topology  # knows the bonds of standard residues under their standard names
        if path.suffix == ".pdb":
            atoms = list(mdtraj.load_pdb(path, standard_names=False).topology.atoms)
            names, residues = [a.name for a in atoms], [a.residue.name for a in atoms]
        else:  # mdtraj renames the atoms of a GRO file in any case, so take the names from their columns
            lines = path.read_text().splitlines()[2 : 2 + standard.n_atoms]
            names, residues = [line[10:15].strip() for line in lines], [line[5:10].strip() for line in lines]
    if not names:
        raise TrajectoryError(f"{path}: want atoms, found none")
    elements = [a.element for a in standard.atoms]
    for atom, element in zip(standard.atoms, elements, strict=True):
        if element is None or not element.mass > 0:
            raise TrajectoryError(f"{path}: atom {atom} has no known element; fill the element column of a PDB file")
    bonds = sorted({tuple(sorted((a.index, b.index))) for a, b in standard.bonds})
    return Topology(
        names=tuple(names),
        residues=tuple(residues),
        residue_index=tuple(a.residue.index for a in standard.atoms),
        elements=tuple(e.symbol for e in elements),
        mass=np.array([e.mass for e in elements]),
        bonds=np.array(bonds, dtype=int).reshape(-1, 2),
    )


def read(
    path,
    topology: Topology,
    *,
    require_forces: bool = False,
    require_box: bool = False,
    stride: int = 1,
    frame_ps: float | None = None,
) -> Frames:
    """Every `stride`-th frame of a TRR, XTC, PDB or GRO file, molecules whole.

    Returns position (T, A, 3) nm and force (T, A, 3) kJ/mol/nm in float32 as stored, time (T,) ps, and one box (3,) nm,
    inf where there is none. `frame_ps` gives the spacing of files that carry no times; others refuse it. A TRR file
    that ends inside a frame yields its whole frames and a TruncatedTrajectoryWarning.

    Raises TrajectoryError when the file and the topology differ in size, when forces or a box are required and missing,
    for a box that is not orthorhombic or not constant, for numbers that are not finite, times that do not increase, or
    a file with no whole frame.
    """
    path = _existing(path, READERS)
    if stride < 1:
        raise TrajectoryError(f"{path}: want a stride of 1 or more, got {stride}")
    raw = READERS[path.suffix](path, topology.n_atoms, stride)
    if not len(raw.position):
        raise TrajectoryError(f"{path}: want at least one frame, found none")
    _same_size(path, raw.position.shape[1], topology.n_atoms)
    if require_forces and raw.force is None:
        raise TrajectoryError(
            f"{path}: want forces, the file has none; was it written with nstfout = 0, or without them?"
        )
    for what, values in (("positions", raw.position), ("forces", raw.force)):
        if values is not None and (bad := np.flatnonzero(~np.isfinite(values).all(axis=(1, 2)))).size:
            raise TrajectoryError(
                f"{path}: {what} of {bad.size} frames are not finite, first in frame {bad[0] * stride}"
            )
    box = _box(path, raw.vectors, len(raw.position)).astype(raw.position.dtype)
    if require_box and np.isinf(box).any():
        raise TrajectoryError(f"{path}: want a box in all three dimensions, got {box.tolist()} nm (inf: not periodic)")
    return Frames(
        position=_whole(raw.position, topology.bonds, box),
        force=raw.force,
        box=box,
        time=_times(path, raw.time, len(raw.position), stride, frame_ps),
        names=topology.names,
    )


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


def _read_trr(path: Path, n_atoms: int, stride: int) -> Raw:
    index = index_trr(path)
    _same_size(path, index.n_atoms, n_atoms)
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


def _read_xtc(path: Path, n_atoms: int, stride: int) -> Raw:
    with _reading(path), XTCTrajectoryFile(str(path)) as file:
        position, time, _, vectors = file.read(stride=stride)
    return Raw(position, None, time, vectors)


def _read_pdb(path: Path, n_atoms: int, stride: int) -> Raw:
    with _reading(path):
        trajectory = mdtraj.load_pdb(path, stride=stride, standard_names=False)
    return Raw(trajectory.xyz, None, None, trajectory.unitcell_vectors)


def _read_gro(path: Path, n_atoms: int, stride: int) -> Raw:
    with _reading(path), GroTrajectoryFile(str(path)) as file:
        position, time, vectors = file.read(stride=stride)
    return Raw(position, None, time, vectors)


READERS: dict[str, Callable[[Path, int, int], Raw]] = {
    ".trr": _read_trr,
    ".xtc": _read_xtc,
    ".pdb": _read_pdb,
    ".gro": _read_gro,
}


def write_beads(path, position, names, *, box=None, time=None, residue: str = "CG", bonds=()):
    """Write beads as PDB (one model a frame, with CONECT records) or XTC, for viewers and downloads.

    position (T, N, 3) nm; names: N bead names; box (3,) nm or None; time (T,) ps, kept by XTC only; bonds (P, 2).
    A bead `C_ace` becomes atom C of residue ACE, one without a suffix an atom of `residue`. The element is a guess from
    the first letter (C where that is no element) and only for display.
    Raises TrajectoryError for another format or sizes that do not match.
    """
    path, position = Path(path), np.asarray(position, dtype=np.float32)
    if path.suffix not in {".pdb", ".xtc"}:
        raise TrajectoryError(f"{path}: want a name that ends in .pdb or .xtc")
    if position.ndim != 3 or position.shape[1:] != (len(names), 3):
        raise TrajectoryError(
            f"{path}: want positions (T, {len(names)}, 3) for {len(names)} beads, got {position.shape}"
        )
    top = mdtraj.Topology()
    chain, last = top.add_chain(), None
    for name in names:
        atom, _, suffix = name.partition("_")
        if last is None or last.name != (suffix.upper() or residue):
            last = top.add_residue(suffix.upper() or residue, chain)
        symbol = name[0] if name[0] in "CHNOS" else "C"
        top.add_atom(atom, mdtraj.element.Element.getBySymbol(symbol), last)
    for i, j in np.asarray(bonds, dtype=int).reshape(-1, 2):
        top.add_bond(top.atom(i), top.atom(j))
    periodic = box is not None and np.isfinite(box).all()
    trajectory = mdtraj.Trajectory(
        position,
        top,
        time=time,
        unitcell_lengths=np.tile(box, (len(position), 1)) if periodic else None,
        unitcell_angles=np.full((len(position), 3), 90.0) if periodic else None,
    )
    trajectory.save(str(path))


@contextmanager
def _reading(path: Path):
    """Say which file mdtraj could not read; on a damaged one it fails with whatever error its parser ran into."""
    try:
        yield
    except Warning:
        raise
    except Exception as error:
        raise TrajectoryError(
            f"{path}: want a whole {path.suffix[1:].upper()} file; it is cut off or damaged ({error})"
        ) from error


def _existing(path, suffixes) -> Path:
    path = Path(path)
    if path.suffix not in suffixes:
        raise TrajectoryError(
            f"{path}: want a file that ends in one of {sorted(suffixes)}, got {path.suffix or 'no ending'!r}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if not path.stat().st_size:
        raise TrajectoryError(f"{path}: the file is empty")
    return path


def _same_size(path, found: int, wanted: int):
    if found != wanted:
        slip = (
            "does the trajectory hold the solvent too?"
            if found > wanted
            else "does the topology hold the solvent too, or was only a part of the system written?"
        )
        raise TrajectoryError(f"{path}: {found} atoms in a frame, {wanted} in the topology; {slip}")


def _box(path, vectors, n_frames: int) -> np.ndarray:
    """(3,) nm from (T, 3, 3) box vectors, inf where zero or absent."""
    if vectors is None:
        return np.full(3, np.inf)
    lengths = np.diagonal(vectors, axis1=1, axis2=2)
    if np.abs(vectors - lengths[:, :, None] * np.eye(3)).max() > 1e-5 * max(lengths.max(), 1.0):
        raise TrajectoryError(f"{path}: want an orthorhombic box, got vectors {vectors[0].tolist()} nm")
    if np.ptp(lengths, axis=0).max() > 1e-5 * max(lengths.max(), 1.0):
        raise TrajectoryError(
            f"{path}: want one box for all {n_frames} frames, got lengths from {lengths.min(axis=0).tolist()} to "
            f"{lengths.max(axis=0).tolist()} nm; is this a run at constant pressure?"
        )
    return np.where(lengths[0] > 0, lengths[0], np.inf)


def _times(path, time, n_frames: int, stride: int, frame_ps: float | None) -> np.ndarray:
    if time is not None:
        if frame_ps is not None:
            raise TrajectoryError(f"{path}: the file carries its own times; leave frame_ps out")
        time = np.asarray(time, dtype=np.float64)
    elif frame_ps is None and n_frames > 1:
        raise TrajectoryError(f"{path}: {n_frames} frames without times; give their spacing as frame_ps")
    else:
        time = np.arange(n_frames) * stride * (frame_ps or 0.0)
    if (back := np.flatnonzero(np.diff(time) <= 0)).size:
        k = back[0]
        raise TrajectoryError(
            f"{path}: times do not increase: {time[k]} ps is followed by {time[k + 1]} ps (frame {(k + 1) * stride}); "
            "were runs joined that overlap?"
        )
    return time


def _whole(position: np.ndarray, bonds: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Make molecules whole in the frames where a bond is longer than half a box; leave the others as they are."""
    i, j = bonds.T
    split = (np.abs(position[:, i] - position[:, j]) > box / 2).any(axis=(1, 2))
    if split.any():
        position = position.copy()
        position[split] = np.asarray(geometry.whole(jnp.asarray(position[split]), bonds, box))
    return position
