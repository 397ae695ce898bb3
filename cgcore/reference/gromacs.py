"""The study's protocol by GROMACS, in segments of which the solute is kept.

GROMACS writes full frames of everything or none. A run is therefore cut into segments: the solute's frames of a
finished one join replica_00.trr, the next goes on from its checkpoint, and its large files go. What a replica works with
lies in gromacs_00/ beside its results, with the output of each program in a file PROGRAM.out.
"""

import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event

import numpy as np

from ..config import ConfigError
from ..io import read, trr_frame
from ..units import PS_PER_NS
from .build import Structure
from .errors import ReferenceError, check_disk
from .gmx import find_gmx, has_gpu, version
from .gromacs_inputs import production
from .gromacs_setup import Replica, build, edge_nm, equilibrate, equilibrated, read_xvg
from .output import TOPOLOGY, Recorder, open_folder, working_in, write_manifest, write_topology
from .progress import Progress
from .protocol import Protocol, system
from .system import check_box, start

SEGMENT_BYTES = 2e8
"""Of full frames, before they are reduced to the solute's."""

ATOM_BYTES = 24  # of one frame: position and force in single precision
ATOMS_PER_NM3 = 100.0  # of water
LOG_HEADER = "time_ps,potential_kJ_per_mol,temperature_K,drift_kJ_per_mol\n"


def run(
    protocol: Protocol,
    length_ns: float,
    folder: Path,
    *,
    device: str = "auto",
    jobs: int | None = None,
    progress: bool = True,
) -> Path:
    """Bring every replica of a protocol to length_ns by GROMACS and return the folder (`output` says what it holds).

    device: "auto" (a GPU where GROMACS was built for one), "cpu" or "cuda". jobs replicas run at once, as many as there
    are cores by default. What exists is gone on with from its last checkpoint; a longer length_ns adds to it. Raises
    ConfigError for a length without a frame or a box too small for the cut-off; ReferenceError without GROMACS or the
    GPU asked for, for a folder of another protocol, a full disk, or a program that fails.
    """
    if protocol.engine != "gromacs":
        raise ConfigError(f"want a protocol of engine gromacs, got one of {protocol.engine!r}")
    gmx = find_gmx()
    if device == "cuda" and not has_gpu(gmx):
        raise ReferenceError(f"a GPU was asked for, {gmx} was built without; want another GROMACS or --device cpu")
    n_frames = round(length_ns * PS_PER_NS / protocol.frame_ps)
    if n_frames < 1:
        raise ConfigError(f"want at least one frame, got {length_ns} ns with frames every {protocol.frame_ps} ps")
    if protocol.hydrogen_mass is not None:
        raise ConfigError(f"GROMACS runs with hydrogens of their own mass; got {protocol.hydrogen_mass} g/mol for them")
    solute = start(protocol, 0)
    check_box(protocol, np.array([edge_nm(protocol, start(protocol, r)) for r in range(protocol.replicas)]))
    folder = open_folder(Path(folder), protocol)
    with working_in(folder):
        write_topology(folder / TOPOLOGY, solute, _constrained(protocol, solute))
        cores = os.cpu_count() or 1
        jobs = min(protocol.replicas, jobs or cores)
        missing = [
            max(0, n_frames - Recorder(folder, r, solute.topology.n_atoms).frames) for r in range(protocol.replicas)
        ]
        check_disk(folder, disk_bytes(protocol, solute, missing, jobs))
        stop, threads, started = Event(), max(1, cores // jobs), time.perf_counter()
        total_ps = protocol.replicas * (2 * protocol.equilibration_ps + n_frames * protocol.frame_ps)
        with Progress(protocol.system, total_ps, shown=progress) as bar:

            def one(number: int) -> int:
                def report(ps: float, stage: str):
                    bar.report(number, ps, stage)

                return produce(Replica(gmx, protocol, number, folder, threads, device, report, stop), n_frames)

            _all(one, protocol.replicas, jobs, stop)
        wall_s = time.perf_counter() - started
        write_manifest(folder, protocol, n_frames, sum(missing), wall_s, device, {"gromacs": version(gmx)})
    return folder


def produce(replica: Replica, n_frames: int) -> int:
    """Bring one replica to n_frames frames (a segment under way keeps its length) and return how many it has then."""
    protocol, work, every = replica.protocol, replica.work, replica.protocol.steps_per_frame
    solute = start(protocol, replica.number)
    recorder = Recorder(replica.folder, replica.number, solute.topology.n_atoms)
    before_ps = 2 * protocol.equilibration_ps
    if recorder.frames >= n_frames:
        replica.report(before_ps + recorder.frames * protocol.frame_ps, "done")
    while (done := recorder.frames) < n_frames:
        work.mkdir(exist_ok=True)
        if not (work / "start.gro").is_file():
            build(replica, solute)
        if not done and not equilibrate(replica):
            break
        if recorder.resume() is None:
            recorder.trajectory.unlink(missing_ok=True)
            recorder.log.write_text(LOG_HEADER)
        name = f"production_{done}"
        most = max(1, int(SEGMENT_BYTES / (ATOM_BYTES * _atoms(work / "start.gro"))))
        n_steps = min(most, n_frames - done) * every
        parameters = production(protocol, replica.seed, n_steps, done * every)
        state = _checkpoint(work, done) if done else equilibrated(replica)
        if not replica.simulate(name, parameters, said="production", before_ps=before_ps, **state):
            break
        frames, lines = reduced(replica, name, solute, done, recorder.log)
        recorder.append(frames, lines)
        shutil.copy(work / f"{name}.cpt", work / f"state_{done + len(frames)}.cpt")
        recorder.checkpoint("GROMACS's checkpoint is in the folder of its files", done + len(frames))
        _tidy(work, done + len(frames))
    return recorder.frames


def reduced(replica: Replica, name: str, solute: Structure, done: int, log: Path) -> tuple[list[bytes], list[str]]:
    """The solute's frames of a finished segment, molecules whole, and their lines of the log; its first is the start.

    GROMACS begins the conserved energy anew in each segment, so the drift goes on from the last line of the log.
    """
    protocol, work = replica.protocol, replica.work
    group = "System" if system(protocol.system).is_liquid else "Protein"
    files = ("-f", f"{name}.trr", "-s", f"{name}.tpr", "-o", "solute.trr")
    replica.call("trjconv", *files, "-force", "-novel", "-pbc", "whole", answer=f"{group}\n")
    replica.call("energy", "-f", f"{name}.edr", "-o", "energy.xvg", answer="Potential\nTemperature\nConserved-En.\n\n")
    names, table = read_xvg(work / "energy.xvg")
    columns = dict(zip(names, table.T[1:], strict=True))
    frames = read(work / "solute.trr", solute.topology, require_forces=True)
    if frames.n_frames != len(table):
        raise ReferenceError(
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


def disk_bytes(protocol: Protocol, solute: Structure, missing: list[int], jobs: int) -> float:
    """What is still to be written: the solute's frames, and a segment of full ones for each replica at work."""
    atoms = solute.topology.n_atoms
    full = atoms if system(protocol.system).is_liquid else ATOMS_PER_NM3 * edge_nm(protocol, solute) ** 3
    return ATOM_BYTES * atoms * sum(missing) + jobs * min(SEGMENT_BYTES, ATOM_BYTES * full * max(missing))


def _all(one: Callable[[int], int], replicas: int, jobs: int, stop: Event):
    """Run replicas in threads; the first that fails lets the others end in order, with their checkpoints."""
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(one, number) for number in range(replicas)]
        try:
            for future in as_completed(waiting):
                future.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _constrained(protocol: Protocol, solute: Structure) -> np.ndarray:
    """(P, 2) bonds of the solute that are held fixed."""
    bonds, elements = solute.topology.bonds, np.array(solute.topology.elements)
    return bonds[(elements[bonds] == "H").any(axis=1)] if protocol.constraints == "h-bonds" else bonds[:0]


def _checkpoint(work: Path, done: int) -> dict:
    path = work / f"state_{done}.cpt"
    if not path.is_file():
        raise ReferenceError(
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
