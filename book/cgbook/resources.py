"""What runs side by side share: cores, a graphics card, compiled programs."""

import hashlib
import os
import platform
from pathlib import Path

GPU_SHARE = 0.9
"""Of a card's memory, what JAX may take in all."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
"""NPROC sizes XLA's own pool on the processor."""
CACHE = "JAX_COMPILATION_CACHE_DIR"
MEMORY = "XLA_PYTHON_CLIENT_MEM_FRACTION"
DEVICES = "CUDA_VISIBLE_DEVICES"


def environment(slot: int, jobs: int, out: Path) -> dict[str, str]:
    """The environment of the run in one of `jobs` slots; what the caller has set stays, but for threads and cards.

    Threads are the slot's cores; with more than one card listed in CUDA_VISIBLE_DEVICES each slot has one, and a card's
    memory is divided among its slots. All runs keep their compiled programs in one folder below `out`, so that equal
    programs are compiled once.
    """
    environ = dict(os.environ)
    cards = [card for card in environ.get(DEVICES, "").split(",") if card]
    if jobs > 1:
        environ |= dict.fromkeys(THREADS, str(len(cores(slot, jobs))))
        if len(cards) > 1:
            environ[DEVICES] = cards[slot % len(cards)]
        sharing = -(-jobs // max(1, len(cards)))
        environ.setdefault(MEMORY, f"{GPU_SHARE / sharing:.2f}")
    environ.setdefault(CACHE, cache_folder(out))
    return environ


def share_programs(out: Path):
    """Let this process and those it starts keep compiled programs where the runs below `out` do."""
    os.environ.setdefault(CACHE, cache_folder(out))


def cache_folder(out: Path) -> str:
    """Where the runs below `out` keep their compiled programs."""
    return str((Path(out) / ".jax_cache" / _processor()).resolve())


def cores(slot: int, jobs: int) -> list[int]:
    """The cores of one of `jobs` slots: equal parts, or one core for several where there are more jobs than cores."""
    known = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    each = max(1, len(known) // jobs)
    first = slot * each % len(known)
    return known[first : first + each]


def pin(pid: int, slot: int, jobs: int):
    """Hold a process, and those it starts, to its slot's cores; where the system cannot, threads alone must do."""
    if jobs > 1 and hasattr(os, "sched_setaffinity"):
        try:
            os.sched_setaffinity(pid, cores(slot, jobs))
        except ProcessLookupError:
            return  # ended already; whoever waits for it will see how


def _processor() -> str:
    """A name for machines whose programs may be exchanged: a program for another processor may crash."""
    try:
        flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        flags = platform.processor()
    return f"{platform.machine()}_{hashlib.sha256(flags.encode()).hexdigest()[:8]}"
