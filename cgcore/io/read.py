"""Trajectory files to `Frames` and back, by mdtraj. Lengths in nm, times in ps, forces in kJ/mol/nm.

What a file does not hold is `None` or an error, never a guess: no zero forces, no made-up times.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import mdtraj
import numpy as np
from mdtraj.formats import GroTrajectoryFile, XTCTrajectoryFile

from .. import geometry
from ..frames import Frames, Topology
from .packed import read_packed
from .raw import Raw, TrajectoryError, check_atoms, damaged, one_box
from .top import read_top
from .trr import read_trr


def read_topology(path) -> Topology:
    """The atoms of a PDB, GRO or GROMACS topology file (see `top.read_top`), named as in the file.

    Masses come from the elements, bonds from CONECT records and the standard residues (capping groups included),
    constraints from lines `REMARK   6 CONSTRAINT i j` as `cgcore reference` writes them; a .top has its own.
    Raises TrajectoryError for another format, an empty file, or an atom without a known element.
    """
    path = _existing(path, {".pdb", ".gro", ".top"})
    if path.suffix == ".top":
        return read_top(path)
    with damaged(path), warnings.catch_warnings():
        # The unit cell is not asked for here; `read` passes on what mdtraj has to say about it.
        warnings.filterwarnings("ignore", message="Unlikely unit cell vectors")
        standard = mdtraj.load(path).topology  # knows the bonds of standard residues under their standard names
        as_written = mdtraj.load_pdb(path, standard_names=False).topology if path.suffix == ".pdb" else None
    if as_written is not None:
        labels = [(atom.name, atom.residue.name) for atom in as_written.atoms]
    else:  # mdtraj renames the atoms of a GRO file in any case, so take the names from their columns
        lines = path.read_text().splitlines()[2 : 2 + standard.n_atoms]
        labels = [(line[10:15].strip(), line[5:10].strip()) for line in lines]
    if not labels:
        raise TrajectoryError(f"{path}: want atoms, found none")
    elements = [a.element for a in standard.atoms]
    for atom, element in zip(standard.atoms, elements, strict=True):
        if element is None or not element.mass > 0:
            raise TrajectoryError(f"{path}: atom {atom} has no known element; fill the element column of a PDB file")
    bonds = sorted({tuple(sorted((a.index, b.index))) for a, b in standard.bonds})
    return Topology(
        names=tuple(name for name, _ in labels),
        residues=tuple(residue for _, residue in labels),
        residue_index=tuple(a.residue.index for a in standard.atoms),
        elements=tuple(e.symbol for e in elements),
        mass=np.array([e.mass for e in elements]),
        bonds=np.array(bonds, dtype=int).reshape(-1, 2),
        constraints=_constraints(path),
    )


def _constraints(path: Path) -> np.ndarray:
    """(Q, 2) pairs of atoms that the simulation held at fixed distance."""
    rows = [line.split()[-2:] for line in path.read_text().splitlines() if line.startswith("REMARK   6 CONSTRAINT")]
    return np.array(rows, dtype=int).reshape(-1, 2) - 1


def read(
    path,
    topology: Topology,
    *,
    require_forces: bool = False,
    require_box: bool = False,
    stride: int = 1,
    frame_ps: float | None = None,
) -> Frames:
    """Every `stride`-th frame of a TRR, XTC, PDB, GRO or packed H5 file, molecules whole.

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
    check_atoms(path, raw.position.shape[1], topology.n_atoms)
    if require_forces and raw.force is None:
        raise TrajectoryError(
            f"{path}: want forces, the file has none; was it written with nstfout = 0, or without them?"
        )
    for what, values in (("positions", raw.position), ("forces", raw.force)):
        if values is not None and (bad := np.flatnonzero(~np.isfinite(values).all(axis=(1, 2)))).size:
            raise TrajectoryError(
                f"{path}: {what} of {bad.size} frames are not finite, first in frame {bad[0] * stride}"
            )
    box = raw.box.astype(raw.position.dtype)
    if require_box and np.isinf(box).any():
        raise TrajectoryError(f"{path}: want a box in all three dimensions, got {box.tolist()} nm (inf: not periodic)")
    return Frames(
        position=_whole(raw.position, topology.bonds, box),
        force=raw.force,
        box=box,
        time=_times(path, raw.time, len(raw.position), stride, frame_ps),
        names=topology.names,
    )


def _read_xtc(path: Path, n_atoms: int, stride: int) -> Raw:
    with damaged(path), XTCTrajectoryFile(str(path)) as file:
        position, time, _, vectors = file.read(stride=stride)
    return Raw(position, None, time, one_box(path, vectors))


def _read_pdb(path: Path, n_atoms: int, stride: int) -> Raw:
    with damaged(path):
        trajectory = mdtraj.load_pdb(path, stride=stride, standard_names=False)
    return Raw(trajectory.xyz, None, None, one_box(path, trajectory.unitcell_vectors))


def _read_gro(path: Path, n_atoms: int, stride: int) -> Raw:
    with damaged(path), GroTrajectoryFile(str(path)) as file:
        position, time, vectors = file.read(stride=stride)
    return Raw(position, None, time, one_box(path, vectors))


READERS: dict[str, Callable[[Path, int, int], Raw]] = {
    ".trr": read_trr,
    ".h5": read_packed,
    ".xtc": _read_xtc,
    ".pdb": _read_pdb,
    ".gro": _read_gro,
}


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
        position[split] = np.asarray(geometry.make_whole(jnp.asarray(position[split]), bonds, box))
    return position
