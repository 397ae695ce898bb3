"""Trajectory files to `Frames` and back, by mdtraj. Lengths in nm, times in ps, forces in kJ/mol/nm.

What a file does not hold is `None` or an error, never a guess: no zero forces, no made-up times.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import mdtraj
import numpy as np
from mdtraj.formats import GroTrajectoryFile, XTCTrajectoryFile

from .. import geometry
from ..frames import Frames, Topology
from .held import MOBILE, check_bonds, check_forces, rigid, with_constraints
from .packed import read_packed
from .raw import Raw, TrajectoryError, check_atoms, check_finite, damaged, existing, one_box, plain_text
from .topology import read_topology
from .trr import read_trr


def read(
    path,
    topology: Topology,
    *,
    require_forces: bool = False,
    require_box: bool = False,
    stride: int = 1,
    frame_ps: float | None = None,
    temperature_K: float = 300.0,
    weight: np.ndarray | None = None,
) -> Frames:
    """Every `stride`-th frame of a TRR, XTC, PDB, GRO or packed H5 file, molecules whole.

    Returns position (T, A, 3) nm and force (T, A, 3) kJ/mol/nm in float32 as stored, time (T,) ps, and one box (3,) nm,
    inf where there is none, as for a single molecule, now whole, from a box that is triclinic or changes. `frame_ps` gives
    the spacing of files that carry no times, or only zeros; others refuse it. `temperature_K` of the run: what forces are
    held against, roughly. A TRR file that ends inside a frame yields its whole frames and a TruncatedTrajectoryWarning.
    `weight` (T',): what each frame of the file counts, of a run with a bias.

    Raises TrajectoryError when the file and the topology differ in size, when forces or a box are required and missing,
    for several molecules in a box that is not orthorhombic or not constant, for numbers that are not finite, times that do
    not increase, bonds that are too long, forces that do not belong to the positions, a file with no whole frame, or one of a
    run with a bias (a file `<stem>_bias.csv` lies beside it) without weights.
    """
    path = existing(path, READERS)
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
    check_finite(path, raw.position, raw.force, stride)
    weight = raw.weight if weight is None else np.asarray(weight)[::stride]
    if weight is None and path.with_name(f"{path.stem}_bias.csv").is_file():
        raise TrajectoryError(
            f"{path}: frames of a run with a bias, which do not count alike; want their weights, so the folder instead of the "
            "file: cgcore.reference.sets.load reads both"
        )
    if weight is not None and (len(weight) != len(raw.position) or not np.isfinite(weight).all() or weight.min() < 0):
        raise TrajectoryError(f"{path}: want a weight of zero or more for each of {len(raw.position)} frames")
    position, vectors = raw.position, raw.vectors
    if vectors is not None:
        position = geometry.make_whole(position, topology.bonds, vectors)
    n_molecules = int(geometry.molecules(topology.bonds, topology.n_atoms).max()) + 1
    box = one_box(path, vectors, n_molecules).astype(position.dtype)
    if require_box and np.isinf(box).any():
        raise TrajectoryError(f"{path}: want a box in all three dimensions, got {box.tolist()} nm (inf: not periodic)")
    check_bonds(path, topology, position)
    frames = Frames(
        position=position,
        force=raw.force,
        box=box,
        time=_times(path, raw.time, len(position), stride, frame_ps),
        names=topology.names,
        weight=weight,
    )
    if raw.force is not None:
        check_forces(path, frames, topology.bonds, rigid(topology, frames, MOBILE), temperature_K)
    return frames


def load(
    topology_file,
    trajectories: Sequence,
    *,
    constraints: str | None = None,
    temperature_K: float = 300.0,
    n_frames: int | None = None,
    stride: int = 1,
    weights: Sequence = (),
    **options,
) -> tuple[Topology, Frames]:
    """Read a topology and its frames, with the distances that the run held (see `held.with_constraints`).

    Args:
        trajectories: files, one for each replica; they follow one another, numbered where there are several.
        constraints: "none", "h-bonds" or "all-bonds", what the run had where its frames cannot tell.
        n_frames: how many of each file count, before the stride; None for all.
        weights: of each file's frames, where they are of runs with a bias and the file does not have them. Those of every
            file are divided by their mean: runs count as their frames.
        options: of `read`.
    """
    topology = read_topology(topology_file)
    if weights and len(weights) != len(trajectories):
        raise TrajectoryError(
            f"{topology_file}: want weights for each of {len(trajectories)} files, got them for {len(weights)}"
        )
    options |= {"temperature_K": temperature_K, "stride": stride}
    each = zip(trajectories, weights or [None] * len(trajectories), strict=True)
    parts = [
        read(file, topology, weight=weight, **options)[: n_frames and -(-n_frames // stride)] for file, weight in each
    ]
    without = [file for file, p in zip(trajectories, parts, strict=True) if p.weight is None]
    if 0 < len(without) < len(parts):
        raise TrajectoryError(
            f"{without[0]}: frames without weights beside others of a run with a bias; want files of one kind"
        )
    if not without:
        parts = [replace(p, weight=p.weight / p.weight.mean()) for p in parts]
    frames = parts[0]
    if len(parts) > 1:
        position, time = (np.concatenate([getattr(p, name) for p in parts]) for name in ("position", "time"))
        force, weight = (
            None if getattr(frames, name) is None else np.concatenate([getattr(p, name) for p in parts])
            for name in ("force", "weight")
        )
        replica = np.repeat(np.arange(len(parts)), [p.n_frames for p in parts])
        box = frames.box
        if not all(np.allclose(p.box, box, atol=1e-4) for p in parts):
            box = np.full(3, np.inf)
            if geometry.molecules(topology.bonds, topology.n_atoms).any():
                found = [p.box.tolist() for p in parts]
                raise TrajectoryError(
                    f"{topology_file}: want one box for all replicas of several molecules, got {found} nm"
                )
        frames = replace(frames, position=position, force=force, time=time, replica=replica, weight=weight, box=box)
    return with_constraints(topology_file, topology, frames, constraints, temperature_K), frames


def _read_xtc(path: Path, n_atoms: int, stride: int) -> Raw:
    with damaged(path), XTCTrajectoryFile(str(path)) as file:
        position, time, _, vectors = file.read(stride=stride)
    return Raw(position, None, time, vectors)


def _read_pdb(path: Path, n_atoms: int, stride: int) -> Raw:
    plain_text(path)
    with damaged(path):
        trajectory = mdtraj.load_pdb(path, stride=stride, standard_names=False)
    return Raw(trajectory.xyz, None, None, trajectory.unitcell_vectors)


def _read_gro(path: Path, n_atoms: int, stride: int) -> Raw:
    plain_text(path)
    with damaged(path), GroTrajectoryFile(str(path)) as file:
        position, time, vectors = file.read(stride=stride)
    return Raw(position, None, time, vectors)


READERS: dict[str, Callable[[Path, int, int], Raw]] = {
    ".trr": read_trr,
    ".h5": read_packed,
    ".xtc": _read_xtc,
    ".pdb": _read_pdb,
    ".gro": _read_gro,
}


def _times(path, time, n_frames: int, stride: int, frame_ps: float | None) -> np.ndarray:
    if time is not None and n_frames > 1 and not np.any(time):
        time = None  # some programs write zeros
    if time is not None:
        if frame_ps is not None:
            raise TrajectoryError(f"{path}: the file carries its own times; leave frame_ps out")
        time = np.asarray(time, dtype=np.float64)
    elif frame_ps is None and n_frames > 1:
        raise TrajectoryError(f"{path}: {n_frames} frames without times; give their spacing as frame_ps (--frame-ps)")
    else:
        time = np.arange(n_frames) * stride * (frame_ps or 0.0)
    if (back := np.flatnonzero(np.diff(time) <= 0)).size:
        k = back[0]
        raise TrajectoryError(
            f"{path}: times do not increase: {time[k]} ps is followed by {time[k + 1]} ps (frame {(k + 1) * stride}); "
            "were runs joined that overlap?"
        )
    return time
