"""All replicas of a reference simulation, side by side, with progress; killed at any moment it goes on."""

import itertools
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from pathlib import Path

from tqdm import tqdm

from ..config import ConfigError
from ..processes import end_with_parent
from ..units import ns_per_day
from . import gromacs
from .engine_openmm import platform, produce, version
from .errors import ReferenceError, check_disk
from .output import TOPOLOGY, Recorder, open_folder, working_in, write_manifest, write_topology
from .protocol import Protocol
from .system import prepare, solute_constraints

POLL_S = 0.2
ATOM_BYTES = 24  # of one frame: position and force in single precision


def simulate(
    protocol: Protocol,
    length_ns: float,
    out: Path,
    *,
    device: str = "auto",
    jobs: int | None = None,
    progress: bool = True,
) -> Path:
    """Bring every replica of a protocol to length_ns by its engine; the folder, of which `output` says what it holds.

    jobs replicas run at once, as many as there are cores by default. What exists is gone on with; a longer length_ns
    adds to it. Raises ConfigError for a length without a frame, ReferenceError for a folder of another protocol, a
    full disk, a missing GPU, and after all other replicas have ended for those that failed.
    """
    engine = gromacs.run if protocol.engine == "gromacs" else _by_openmm
    return engine(protocol, length_ns, Path(out), device=device, jobs=jobs, progress=progress)


def _by_openmm(protocol: Protocol, length_ns: float, out: Path, *, device: str, jobs: int | None, progress: bool):
    n_frames = round(length_ns * 1000 / protocol.frame_ps)
    if n_frames < 1:
        raise ConfigError(f"want at least one frame, got {length_ns} ns with frames every {protocol.frame_ps} ps")
    prepared = prepare(protocol, 0)
    solute = prepared.structure.topology.n_atoms
    name = platform(device, prepared.system.getNumParticles(), protocol.periodic)
    folder = open_folder(out, protocol)
    with working_in(folder):
        write_topology(folder / TOPOLOGY, prepared.structure, solute_constraints(prepared))
        before = [Recorder(folder, r, solute).frames for r in range(protocol.replicas)]
        check_disk(folder, sum(max(0, n_frames - n) for n in before) * solute * ATOM_BYTES)
        cores = os.cpu_count() or 1
        jobs = min(protocol.replicas, jobs or (1 if name == "CUDA" else cores))
        started = time.perf_counter()
        common = {"device": device, "threads": max(1, cores // jobs)}
        missing = [(r, n) for r, n in enumerate(before) if n < n_frames]
        with tqdm(
            total=n_frames * protocol.replicas,
            initial=sum(min(n, n_frames) for n in before),
            unit="frame",
            desc=f"{protocol.system}, {name}",
            disable=not progress,
        ) as bar:
            tasks = [(protocol, r, n_frames, folder) for r, _ in missing]
            ticks = _ticks(bar, protocol.frame_ps)
            errors = _in_turn(tasks, common, ticks) if jobs == 1 else _side_by_side(tasks, common, ticks, jobs)
        if errors:
            raise ReferenceError(f"{len(errors)} of {protocol.replicas} replicas failed; {errors[0]}") from errors[0]
        new, wall_s = sum(max(0, n_frames - n) for n in before), time.perf_counter() - started
        write_manifest(folder, protocol, n_frames, new, wall_s, name, {"openmm": version()})
    return folder


def _ticks(bar: tqdm, frame_ps: float) -> Callable[[], None]:
    """A function to call after every frame of any replica."""
    started, count = time.perf_counter(), itertools.count(1)

    def tick():
        speed = ns_per_day(next(count) * frame_ps, time.perf_counter() - started)
        bar.set_postfix_str(f"{speed:.0f} ns/day in all", refresh=False)
        bar.update()

    return tick


def _in_turn(tasks: list[tuple], common: dict, tick: Callable) -> list[ReferenceError]:
    errors = []
    for task in tasks:
        try:
            produce(*task, **common, on_frame=tick)
        except ReferenceError as error:
            errors.append(error)
    return errors


def _side_by_side(tasks: list[tuple], common: dict, tick: Callable, jobs: int) -> list[ReferenceError]:
    """Replicas in processes of their own: OpenMM's Reference platform has one random stream a process.

    An interrupt lets every replica end with a checkpoint.
    """
    context = multiprocessing.get_context("spawn")
    frames, stop, errors = context.SimpleQueue(), context.Event(), []
    with ProcessPoolExecutor(jobs, context, initializer=_remember, initargs=(frames, stop)) as pool:
        waiting = {pool.submit(_produce, task, common) for task in tasks}
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=POLL_S)
                while not frames.empty():
                    frames.get()
                    tick()
                for future in done:
                    error = future.exception()
                    if isinstance(error, ReferenceError):
                        errors.append(error)
                    elif error is not None:
                        raise error
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return errors


_worker: dict = {}
"""Of a worker process: the queue that counts frames, what ends it, and a lock held while it simulates."""


def _remember(frames, stop):
    _worker.update(frames=frames, stop=_Stop(stop), busy=threading.Lock())
    end_with_parent(_worker["busy"])  # not before its checkpoint


class _Stop:
    """Set by the parent or by its death: no worker may go on writing behind a run that was killed."""

    def __init__(self, event):
        self.event, self.parent = event, os.getppid()

    def is_set(self) -> bool:
        return os.getppid() != self.parent or self.event.is_set()


def _produce(task: tuple, common: dict) -> int:
    with _worker["busy"]:
        return produce(*task, **common, on_frame=lambda: _worker["frames"].put(None), stop=_worker["stop"])
