"""All replicas of a reference simulation, side by side, with progress; killed at any moment it goes on."""

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
from ..units import PS_PER_NS, ns_per_day
from . import engine_openmm
from .errors import ReferenceRunError, check_disk
from .output import ATOM_BYTES, TOPOLOGY, Recorder, open_folder, working_in, write_manifest, write_topology
from .protocol import Protocol

POLL_S = 0.2


def simulate(
    protocol: Protocol,
    length_ns: float,
    out: Path,
    *,
    device: str = "auto",
    jobs: int | None = None,
    progress: bool = True,
) -> Path:
    """Bring every replica of a protocol to length_ns.

    What exists is gone on with from its last checkpoint; a longer length_ns adds to it.

    Args:
        out: the folder of the run.
        device: "auto" (a GPU where there is one), "cpu" or "cuda".
        jobs: replicas at once, as many as there are cores by default.

    Returns:
        The folder; `output` says what it holds.

    Raises:
        ConfigError: for a length without a frame, or a box too small for the cut-off.
        ReferenceRunError: for a folder of another protocol, a full disk, a missing GPU; and, after all other
            replicas have ended, for those that failed.
    """
    n_frames = round(length_ns * PS_PER_NS / protocol.frame_ps)
    if n_frames < 1:
        raise ConfigError(f"want at least one frame, got {length_ns} ns with frames every {protocol.frame_ps} ps")
    plan = engine_openmm.plan(protocol, device)
    folder, cores = open_folder(Path(out), protocol), os.cpu_count() or 1
    with working_in(folder):
        write_topology(folder / TOPOLOGY, plan.solute, plan.constraints)
        atoms, replicas = plan.solute.topology.n_atoms, range(protocol.replicas)
        jobs = min(protocol.replicas, jobs or plan.jobs)
        before = [Recorder(folder, r, atoms).frames for r in replicas]
        missing = [max(0, n_frames - n) for n in before]
        check_disk(folder, ATOM_BYTES * atoms * sum(missing))
        started, equilibration_ps = time.perf_counter(), 2 * protocol.equilibration_ps
        total_ps = protocol.replicas * (equilibration_ps + n_frames * protocol.frame_ps)
        with Progress(f"{protocol.system}, OpenMM on {plan.platform}", total_ps, shown=progress) as bar:
            for r in replicas:
                if not missing[r]:
                    bar.report(r, equilibration_ps + before[r] * protocol.frame_ps, "done")
            tasks = [(protocol, r, n_frames, folder) for r in replicas if missing[r]]
            common = {"device": device, "threads": max(1, cores // jobs)}
            errors = (_in_turn if jobs == 1 else _side_by_side)(tasks, common, bar.report, jobs)
        if errors:
            raise ReferenceRunError(f"{len(errors)} of {protocol.replicas} replicas failed; {errors[0]}") from errors[0]
        wall_s = time.perf_counter() - started
        write_manifest(folder, protocol, n_frames, sum(missing), wall_s, plan.platform, plan.versions)
    return folder


class Progress:
    """One bar over the nanoseconds of all replicas, equilibration included, with their speed and the time left."""

    def __init__(self, name: str, total_ps: float, *, shown: bool):
        self.reached_ps: dict[int, float] = {}
        self.started = time.perf_counter()
        layout = "{desc}: {percentage:3.0f}%|{bar}| {n:.4g}/{total:.4g} ns [{elapsed}<{remaining}{postfix}]"
        self.bar = tqdm(total=total_ps / PS_PER_NS, desc=name, bar_format=layout, disable=not shown)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bar.close()

    def report(self, number: int, ps: float, stage: str):
        """Say where a replica is; its first report says what an earlier run had done."""
        if self.bar.disable:
            return
        first = number not in self.reached_ps
        self.reached_ps[number] = max(ps, self.reached_ps.get(number, 0.0))
        new = min(sum(self.reached_ps.values()) / PS_PER_NS, self.bar.total) - self.bar.n
        if first:
            self.bar.initial += new
        self.bar.update(new)
        if elapsed := time.perf_counter() - self.started:
            speed = ns_per_day((self.bar.n - self.bar.initial) * PS_PER_NS, elapsed)
            self.bar.set_postfix_str(f"{stage}, {speed:.3g} ns/day in all", refresh=False)


def _in_turn(tasks: list[tuple], common: dict, report: Callable, jobs: int) -> list[ReferenceRunError]:
    errors = []
    for task in tasks:
        try:
            _replica(task, common, report)
        except ReferenceRunError as error:
            errors.append(error)
    return errors


def _side_by_side(tasks: list[tuple], common: dict, report: Callable, jobs: int) -> list[ReferenceRunError]:
    """Run replicas in processes of their own: OpenMM's Reference platform has one random stream a process.

    An interrupt lets every replica end with a checkpoint.
    """
    context = multiprocessing.get_context("spawn")
    reports, stop, errors = context.SimpleQueue(), context.Event(), []
    with ProcessPoolExecutor(jobs, context, initializer=_remember, initargs=(reports, stop)) as pool:
        waiting = {pool.submit(_in_worker, task, common) for task in tasks}
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=POLL_S)
                while not reports.empty():
                    report(*reports.get())
                for future in done:
                    error = future.exception()
                    if isinstance(error, ReferenceRunError):
                        errors.append(error)
                    elif error is not None:
                        raise error
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return errors


def _replica(task: tuple, common: dict, report: Callable, stop=None) -> int:
    number = task[1]
    return engine_openmm.produce(*task, **common, report=lambda ps, stage: report(number, ps, stage), stop=stop)


_worker: dict = {}
"""Of a worker process: the queue of its reports, what ends it, and a lock held while it simulates."""


def _remember(reports, stop):
    _worker.update(reports=reports, stop=_Stop(stop), busy=threading.Lock())
    end_with_parent(_worker["busy"])  # not before its checkpoint


class _Stop:
    """An event set by the parent or by its death: no worker may go on writing behind a run that was killed."""

    def __init__(self, event):
        self.event, self.parent = event, os.getppid()

    def is_set(self) -> bool:
        return os.getppid() != self.parent or self.event.is_set()

    def wait(self, timeout: float) -> bool:
        return self.event.wait(timeout) or self.is_set()


def _in_worker(task: tuple, common: dict) -> int:
    with _worker["busy"]:
        return _replica(task, common, lambda *news: _worker["reports"].put(news), _worker["stop"])
