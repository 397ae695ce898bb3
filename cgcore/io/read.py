"""Trajectory files to `Frames`. Lengths in nm, times in ps, forces in kJ/mol/nm.

What a file does not hold is `None` or an error, never a guess: no zero forces, no made-up times.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .. import geometry
from ..frames import Frames, Topology
from .bonds import check_bonds
from .held import MOBILE, check_forces, rigid, with_constraints
from .raw import UNTOLD, TrajectoryError, Units, check_finite, existing, one_box
from .readers import READERS, read_raw
from .topology import read_topology


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
    forces=None,
    units: Units = UNTOLD,
    atoms: np.ndarray | None = None,
) -> Frames:
    """Every `stride`-th frame of a file of one of READERS, molecules whole.

    Returns position (T, A, 3) nm and force (T, A, 3) kJ/mol/nm in float32 as stored, time (T,) ps, and one box (3,) nm,
    inf where there is none, as for a single molecule, now whole, from a box that is triclinic or changes. `frame_ps` gives
    the spacing of files that carry no times, or only zeros; others refuse it. `temperature_K` of the run: what forces are
    held against, roughly. A TRR file that ends inside a frame yields its whole frames and a TruncatedTrajectoryWarning.
    `weight` (T',): what each frame of the file counts, of a run with a bias. `forces`: another file that has them, at the same
    times. `units` of files that do not state theirs. `atoms`: which of the topology to keep, ascending; the file has all of
    them, or just these.

    Raises TrajectoryError when the file and the topology differ in size, when forces or a box are required and missing,
    where units are not known, for several molecules in a box that is not orthorhombic or not constant, for numbers that are
    not finite, times that do not increase, bonds that are too long or too short, forces that do not belong to the positions, a
    file with no whole frame, or one of a run with a bias (a file `<stem>_bias.csv` lies beside it) without weights.
    """
    path = existing(path, READERS)
    if stride < 1:
        raise TrajectoryError(f"{path}: want a stride of 1 or more, got {stride}")
    raw = read_raw(path, topology, forces, stride, atoms, units)
    topology = topology if atoms is None else topology.take(atoms)
    if not len(raw.position):
        raise TrajectoryError(f"{path}: want at least one frame, found none")
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
    if vectors is not None and not np.isfinite(vectors).all():
        raise TrajectoryError(f"{path}: boxes that are not finite")
    if vectors is not None:
        position = geometry.make_whole(position, topology.bonds, vectors)
    n_molecules = int(geometry.molecules(topology.bonds, topology.n_atoms).max()) + 1
    box = one_box(path, vectors, n_molecules).astype(np.float32)
    if require_box and np.isinf(box).any():
        raise TrajectoryError(f"{path}: want a box in all three dimensions, got {box.tolist()} nm (inf: not periodic)")
    check_bonds(path, topology, position)
    frames = Frames(
        position=np.asarray(position, np.float32),
        force=None if raw.force is None else np.asarray(raw.force, np.float32),
        box=box,
        time=_times(path, raw.time, len(position), stride, frame_ps),
        names=topology.names,
        weight=weight,
    )
    if raw.force is not None:
        check_forces(path, frames, topology.bonds, rigid(topology, frames, MOBILE), temperature_K)
    return frames


def load(topology_file, trajectories: Sequence, **options) -> tuple[Topology, Frames]:
    """Read a topology and its frames: `read_replicas` with the atoms of a file."""
    return read_replicas(topology_file, read_topology(topology_file), trajectories, **options)


def read_replicas(
    where,
    topology: Topology,
    trajectories: Sequence,
    *,
    constraints: str | None = None,
    temperature_K: float = 300.0,
    n_frames: int | None = None,
    stride: int = 1,
    weights: Sequence = (),
    forces: Sequence = (),
    atoms: np.ndarray | None = None,
    **options,
) -> tuple[Topology, Frames]:
    """Read the frames of a topology, which is returned with the distances that the run held (see `held.with_constraints`).

    Args:
        where: the topology's file, for messages.
        trajectories: files, one for each replica; they follow one another, numbered where there are several.
        constraints: "none", "h-bonds" or "all-bonds", what the run had where its frames cannot tell.
        n_frames: how many of each file count, before the stride; None for all.
        weights: of each file's frames, where they are of runs with a bias and the file does not have them. Those of every
            file are divided by their mean: runs count as their frames.
        forces: files that have them, one for each trajectory, where these do not.
        atoms: which of the topology to keep, ascending.
        options: of `read`.
    """
    if weights and len(weights) != len(trajectories):
        raise TrajectoryError(
            f"{where}: want weights for each of {len(trajectories)} files, got them for {len(weights)}"
        )
    options |= {"temperature_K": temperature_K, "stride": stride}
    each = zip(trajectories, weights or [None] * len(trajectories), forces or [None] * len(trajectories), strict=True)
    parts = [
        read(file, topology, weight=weight, forces=other, atoms=atoms, **options)[: n_frames and -(-n_frames // stride)]
        for file, weight, other in each
    ]
    topology = topology if atoms is None else topology.take(atoms)
    for name, others in (("weight", "others of a run with a bias"), ("force", "others with forces")):
        without = [file for file, p in zip(trajectories, parts, strict=True) if getattr(p, name) is None]
        if 0 < len(without) < len(parts):
            raise TrajectoryError(f"{without[0]}: frames without {name}s beside {others}; want files of one kind")
    if parts[0].weight is not None:
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
                raise TrajectoryError(f"{where}: want one box for all replicas of several molecules, got {found} nm")
        frames = replace(frames, position=position, force=force, time=time, replica=replica, weight=weight, box=box)
    return with_constraints(where, topology, frames, constraints, temperature_K), frames


def _times(path, time, n_frames: int, stride: int, frame_ps: float | None) -> np.ndarray:
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
