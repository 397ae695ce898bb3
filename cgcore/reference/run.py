"""All replicas of a reference simulation, side by side, with progress; killed at any moment it goes on."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from ..config import check_range, check_type, whole_frames
from ..processes import cores, end_with_parent
from ..store import require_room
from ..store.files import held
from ..units import PS_PER_NS, ns_per_day
from . import engine_openmm
from .errors import ReferenceRunError
from .output import (
    ATOM_BYTES,
    LOCK,
    TOPOLOGY,
    Recorder,
    open_folder,
    read_manifest,
    verify,
    write_manifest,
    write_topology,
)
from .protocol import Protocol

POLL_S = 0.2
LATE_S = 60.0
"""Wall time within which a worker that is to end has reached a checkpoint."""


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

    What exists is gone on with from its last checkpoint; a longer length_ns adds to it, a shorter one leaves it as it is.
    SIGINT and SIGTERM, to this process or to all of its group, end every replica with a checkpoint.

    Args:
        out: the folder of the run.
        device: "auto" (a GPU where there is one), "cpu" or "cuda".
        jobs: replicas at once, as many as there are cores by default.

    Returns:
        The folder; `output` says what it holds.

    Raises:
        ConfigError: for a length that is no whole number of frames, or a box too small for the cut-off.
        StoreError: for a full disk, or a damaged file.
        ReferenceRunError: for a folder of another protocol, a missing GPU; and, after all other replicas have ended, for
            those that failed.
        KeyboardInterrupt: after an interrupt, when all replicas have ended.
    """
    n_frames = whole_frames("length_ns", length_ns, protocol.frame_ps / PS_PER_NS)
    check_type("jobs", jobs, int | None)
    check_range("jobs", jobs, least=1, most=10_000)
    plan = engine_openmm.plan(protocol, device)
    folder = open_folder(Path(out), protocol)
    with held(folder / LOCK):
        atoms, replicas = plan.solute.topology.n_atoms, range(protocol.replicas)
        jobs = min(protocol.replicas, jobs or plan.jobs)
        recorders, manifest = (
            [Recorder(folder, r, atoms, biased=bool(protocol.bias)) for r in replicas],
            read_manifest(folder),
        )
        before = [recorder.frames for recorder in recorders]
        missing = [max(0, n_frames - n) for n in before]
        if manifest and not any(missing) and set(before) == {manifest["frames"]}:
            verify(folder, manifest)
            return folder
        write_topology(folder / TOPOLOGY, plan.solute, plan.constraints)
        require_room(folder, ATOM_BYTES * atoms * sum(missing))
        started = time.perf_counter()
        total_ps = protocol.replicas * (protocol.before_ps + n_frames * protocol.frame_ps)
        with Progress(f"{protocol.system}, OpenMM on {plan.platform}", total_ps, shown=progress) as bar:
            for r in replicas:
                if not missing[r]:
                    bar.report(r, protocol.before_ps + before[r] * protocol.frame_ps, "done")
            tasks = [(protocol, r, n_frames, folder) for r in replicas if missing[r]]
            common = {"device": device, "threads": max(1, cores() // jobs)}
            with interrupts() as stop:
                errors = (_in_turn if jobs == 1 else _side_by_side)(tasks, common, bar.report, jobs, stop)
            if stop.is_set():
                raise KeyboardInterrupt
        if errors:
            raise ReferenceRunError(f"{len(errors)} of {protocol.replicas} replicas failed; {errors[0]}") from errors[0]
        wall_s = time.perf_counter() - started
        engine = plan.platform, plan.versions, plan.solute.box
        write_manifest(folder, recorders, protocol, sum(missing), wall_s, *engine)
    return folder


@contextmanager
def interrupts():
    """An event that SIGINT and SIGTERM set in place of what they usually do; a second one does what it usually does."""
    stop, before = threading.Event(), {}

    def ask(number, frame):
        stop.set()
        for each, handler in before.items():
            signal.signal(each, handler)

    if threading.current_thread() is threading.main_thread():  # no other may set handlers
        before |= {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


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


def _in_turn(tasks: list[tuple], common: dict, report: Callable, jobs: int, stop) -> list[ReferenceRunError]:
    errors = []
    for task in tasks:
        if stop.is_set():
            break
        try:
            _replica(task, common, report, stop)
        except ReferenceRunError as error:
            errors.append(error)
    return errors


def _side_by_side(tasks: list[tuple], common: dict, report: Callable, jobs: int, stop) -> list[ReferenceRunError]:
    """Run replicas in processes of their own: OpenMM's Reference platform has one random stream a process."""
    context = multiprocessing.get_context("spawn")
    reports, all_stop, errors = context.SimpleQueue(), context.Event(), []
    with ProcessPoolExecutor(jobs, context, initializer=_remember, initargs=(reports, all_stop)) as pool:
        waiting = {pool.submit(_in_worker, task, common) for task in tasks}
        try:
            while waiting:
                if stop.is_set() and not all_stop.is_set():
                    all_stop.set()
                    waiting = {future for future in waiting if not future.cancel()}
                done, waiting = wait(waiting, timeout=POLL_S)
                while not reports.empty():
                    report(*reports.get())
                for future in done:
                    error = future.exception()
                    if isinstance(error, ReferenceRunError):
                        errors.append(error)
                    elif error is not None and not stop.is_set():
                        raise error
        except BaseException:
            all_stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return errors


def _replica(task: tuple, common: dict, report: Callable, stop=None) -> int:
    number, folder = task[1], task[3]
    with held(folder / f".replica_{number:02d}.lock"):  # a worker whose parent was killed may be at its last frame
        return engine_openmm.produce(*task, **common, report=lambda ps, stage: report(number, ps, stage), stop=stop)


_worker: dict = {}
"""Of a worker process: the queue of its reports, what ends it, and a lock held while it simulates."""


def _remember(reports, stop):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the whole group: the parent says when to stop
    signal.signal(signal.SIGTERM, _end)  # as the pool sends when it breaks
    _worker.update(reports=reports, stop=_Stop(stop), busy=threading.Lock())
    end_with_parent(_worker["busy"])  # not before its checkpoint


def _end(*_):
    """End this worker: after its checkpoint where it simulates, soon where a killed one left it waiting for ever."""
    _worker["stop"].ended = True
    late = threading.Timer(LATE_S, os._exit, (1,))
    late.daemon = True
    late.start()
    if not _worker["busy"].locked():
        sys.exit(1)


class _Stop:
    """An event set by the parent or by its death: no worker may go on writing behind a run that was killed."""

    def __init__(self, event):
        self.event, self.parent, self.ended = event, os.getppid(), False

    def is_set(self) -> bool:
        return self.ended or os.getppid() != self.parent or self.event.is_set()

    def wait(self, timeout: float) -> bool:
        return self.event.wait(timeout) or self.is_set()


def _in_worker(task: tuple, common: dict) -> int:
    with _worker["busy"]:
        done = _replica(task, common, lambda *news: _worker["reports"].put(news), _worker["stop"])
    if _worker["stop"].ended:
        os._exit(1)  # a plain exit would be caught and reported
    return done
