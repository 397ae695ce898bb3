"""The paper's protocol by GROMACS, in segments of which the solute is kept.

GROMACS writes full frames of everything or none. A run is therefore cut into segments: the solute's frames of a
finished one join replica_00.trr, the next goes on from its checkpoint, and its large files go. What a replica works
with lies in gromacs_00/ beside its results, with the output of each program in a file PROGRAM.out.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event

import numpy as np

from ..config import ConfigError
from ..io import read, trr_frame
from .build import Structure
from .errors import ReferenceRunError
from .gmx import find_gmx, has_gpu, version
from .gromacs_stages import Replica, build, edge_nm, equilibrate, equilibrated, read_xvg, recipe
from .output import ATOM_BYTES, LOG_HEADER, Recorder
from .protocol import Protocol
from .system import Plan, check_box, start

SEGMENT_BYTES = 2e8
"""Of full frames, before they are reduced to the solute's."""

ATOMS_PER_NM3 = 100.0  # of water
DRIFT_HEADER = LOG_HEADER.replace("\n", ",drift_kJ_per_mol\n")


def plan(protocol: Protocol, device: str) -> Plan:
    """Say what will run where.

    Raises ConfigError for what GROMACS does not do or a box too small for the cut-off; ReferenceRunError without
    GROMACS or the GPU asked for.
    """
    gmx = find_gmx()
    if device == "cuda" and not has_gpu(gmx):
        raise ReferenceRunError(f"a GPU was asked for, {gmx} was built without; want another GROMACS or --device cpu")
    if protocol.hydrogen_mass is not None:
        raise ConfigError(f"GROMACS runs with hydrogens of their own mass; got {protocol.hydrogen_mass} g/mol for them")
    solutes = [start(protocol, r) for r in range(protocol.replicas)]
    check_box(protocol, np.array([edge_nm(protocol, solute) for solute in solutes]))
    solute = solutes[0]
    bonds, elements = solute.topology.bonds, np.array(solute.topology.elements)
    constrained = protocol.constraints == "h-bonds"
    constraints = bonds[(elements[bonds] == "H").any(axis=1)] if constrained else bonds[:0]
    water = ATOMS_PER_NM3 * edge_nm(protocol, solute) ** 3
    frame_bytes = ATOM_BYTES * (solute.topology.n_atoms if protocol.is_liquid else water)
    versions, jobs = {"gromacs": version(gmx)}, os.cpu_count() or 1
    return Plan(solute, constraints, device, jobs, versions, lambda n: min(SEGMENT_BYTES, frame_bytes * n))


def produce(
    protocol: Protocol,
    number: int,
    n_frames: int,
    folder: Path,
    *,
    device: str = "auto",
    threads: int = 1,
    report: Callable[[float, str], None] = lambda ps, stage: None,
    stop: Event | None = None,
) -> int:
    """Bring one replica to n_frames frames (a segment under way keeps its length) and return how many it has then.

    `report` gets the ps done, equilibration included, and the stage now and then; a set `stop` ends with a checkpoint.
    Raises ReferenceRunError for files that do not fit, and for a program that fails.
    """
    replica = Replica(find_gmx(), protocol, number, folder, threads, device, report, stop)
    work, every = replica.work, protocol.steps_per_frame
    solute = start(protocol, number)
    recorder = Recorder(folder, number, solute.topology.n_atoms, DRIFT_HEADER)
    while (done := recorder.frames) < n_frames:
        work.mkdir(exist_ok=True)
        if not (work / "start.gro").is_file():
            build(replica, solute)
        if not done and not equilibrate(replica):
            break
        recorder.resume()
        name = f"production_{done}"
        longest = max(1, int(SEGMENT_BYTES / (ATOM_BYTES * _atoms(work / "start.gro"))))
        n_steps = min(longest, n_frames - done) * every
        parameters = recipe(
            "production", protocol, seed=replica.seed, n_steps=n_steps, every=every, first_step=done * every
        )
        state = _checkpoint(work, done) if done else equilibrated(replica)
        before_ps = 2 * protocol.equilibration_ps
        if not replica.simulate(name, parameters, stage="production", before_ps=before_ps, **state):
            break
        frames, lines = _reduced(replica, name, solute, done, recorder.log)
        recorder.append(frames, lines)
        shutil.copy(work / f"{name}.cpt", work / f"state_{done + len(frames)}.cpt")
        recorder.checkpoint("GROMACS's checkpoint is in the folder of its files", done + len(frames))
        _tidy(work, done + len(frames))
    return recorder.frames


def _reduced(replica: Replica, name: str, solute: Structure, done: int, log: Path) -> tuple[list[bytes], list[str]]:
    """The solute's frames of a finished segment, molecules whole, and their lines of the log; its first is the start.

    GROMACS begins the conserved energy anew in each segment, so the drift goes on from the last line of the log.
    """
    protocol, work = replica.protocol, replica.work
    group = "System" if protocol.is_liquid else "Protein"
    files = ("-f", f"{name}.trr", "-s", f"{name}.tpr", "-o", "solute.trr")
    replica.call("trjconv", *files, "-force", "-novel", "-pbc", "whole", answer=f"{group}\n")
    replica.call("energy", "-f", f"{name}.edr", "-o", "energy.xvg", answer="Potential\nTemperature\nConserved-En.\n\n")
    names, table = read_xvg(work / "energy.xvg")
    columns = dict(zip(names, table.T[1:], strict=True))
    frames = read(work / "solute.trr", solute.topology, require_forces=True)
    if frames.n_frames != len(table):
        raise ReferenceRunError(
            f"{work / name}: {frames.n_frames} frames of positions, {len(table)} of energies; want as many of both. "
            f"Was one of the files cut? Remove {name}.* to make this segment again"
        )
    last = log.read_text().splitlines()[-1].split(",")[-1] if done else "0"
    drift = columns["Conserved En."] - columns["Conserved En."][0] + float(last)
    kept, lines = [], []
    for k in range(1, frames.n_frames):
        step = (done + k) * protocol.steps_per_frame
        time = step * protocol.dt_ps
        kept.append(trr_frame(frames.position[k], frames.force[k], frames.box, time, step))
        lines.append(f"{time:.10g},{columns['Potential'][k]:.4f},{columns['Temperature'][k]:.3f},{drift[k]:.4f}\n")
    return kept, lines


def _checkpoint(work: Path, done: int) -> dict:
    path = work / f"state_{done}.cpt"
    if not path.is_file():
        raise ReferenceRunError(
            f"{path}: no such file, though {done} frames are there; were the files of another run copied here? "
            "Remove this replica's files to make them again"
        )
    return dict(c="start.gro", t=path.name)


def _atoms(gro: Path) -> int:
    with open(gro) as file:
        next(file)
        return int(next(file))


def _tidy(work: Path, done: int):
    """Remove what production before so many frames left, but for its logs."""
    for path in [*work.glob("production_*"), *work.glob("state_*.cpt")]:
        if int(path.name.split(".")[0].split("_")[1]) < done and path.suffix not in (".log", ".mdp"):
            path.unlink()
