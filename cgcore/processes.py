"""The cores there are, and workers that end with the process they work for: one that is killed cannot tell them to."""

import multiprocessing
import os
import sys
import threading
from contextlib import AbstractContextManager, nullcontext


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_with_parent(busy: AbstractContextManager | None = None) -> None:
    """End this worker process when its parent has ended, however that was; with a lock, not while another thread holds it.

    For the initializer of a pool, whose workers would otherwise go on with their task and then wait for another for ever;
    and for a process whose standard input is a pipe that the parent holds and never writes to.
    """
    threading.Thread(target=_wait, args=(busy or nullcontext(),), daemon=True).start()


def _wait(busy):
    if parent := multiprocessing.parent_process():
        parent.join()
    else:
        os.read(sys.stdin.fileno(), 1)  # not by Python's own reader, whose lock would break the end of the process
    with busy:
        os._exit(1)
