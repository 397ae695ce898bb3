"""What runs side by side share: cores, graphics cards, compiled programs."""

import hashlib
import os
import platform
from pathlib import Path

from cgcore.processes import cores

GPU_SHARE = 0.9
"""Of a card's memory, what JAX may take in all."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "NPROC")
"""NPROC sizes XLA's own pool on the processor."""
CACHE = "JAX_COMPILATION_CACHE_DIR"
MEMORY = "XLA_PYTHON_CLIENT_MEM_FRACTION"
DEVICES = "CUDA_VISIBLE_DEVICES"


def environment(slot: int, jobs: int) -> dict[str, str]:
    """The environment of the run in one of `jobs` slots; what the caller has set stays, but for threads and cards.

    Threads are as many as the slot's part of the cores; with more than one card listed in CUDA_VISIBLE_DEVICES each slot
    has one, and a card's memory is divided among its slots.
    """
    environ = dict(os.environ)
    cards = [card for card in environ.get(DEVICES, "").split(",") if card]
    if jobs > 1:
        environ |= dict.fromkeys(THREADS, str(max(1, cores() // jobs)))
        if len(cards) > 1:
            environ[DEVICES] = cards[slot % len(cards)]
        sharing = -(-jobs // max(1, len(cards)))
        environ.setdefault(MEMORY, f"{GPU_SHARE / sharing:.2f}")
    return environ


def share_programs(out: Path):
    """Let this process and those it starts keep compiled programs below `out`, so that equal ones are compiled once."""
    try:
        flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        flags = platform.processor()
    # a program for another processor may crash
    processor = f"{platform.machine()}_{hashlib.sha256(flags.encode()).hexdigest()[:8]}"
    os.environ.setdefault(CACHE, str((Path(out) / ".jax_cache" / processor).resolve()))
