"""The loops of `kernel.py` as a custom call of XLA: frames shared out among threads."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numba
import numpy as np

from ....store.files import digest
from .kernel import SPHERICAL, evaluate
from .lanes import LANES
from .xla import custom_call, dimension, floats, integers

BUFFERS = numba.types.int64[::1]


@numba.njit
def one_frame(arguments, results, b):
    """Energy and forces of frame b: position (B, N, 3), box (3,), index (1 or B, N, K) and `Weights`."""
    a = arguments
    n_frames, n = dimension(a, 0, 0), dimension(a, 0, 1)
    lists, slots = dimension(a, 2, 0), dimension(a, 2, 2)
    s, h, t0, t1 = dimension(a, 4, 0), dimension(a, 25, 0), dimension(a, 10, 0), dimension(a, 21, 0)
    intervals, p, couplings = dimension(a, 5, 0), dimension(a, 14, 0), dimension(a, 17, 0)
    floats(results, 0, (n_frames,))[b] = evaluate(
        floats(a, 0, (n_frames, n, 3))[b],
        floats(a, 1, (3,)),
        integers(a, 2, (lists, n, slots))[min(b, lists - 1)],
        integers(a, 3, (n,)),
        floats(a, 4, (s, LANES)),
        floats(a, 5, (intervals, 4, 4, LANES)),
        floats(a, 6, (intervals, 4, p, LANES)),
        floats(a, 7, (3,)),
        floats(a, 8, (s, 4, LANES, LANES)),
        floats(a, 9, (s, 4, LANES, LANES)),
        integers(a, 10, (t0, 4)),
        floats(a, 11, (s, t0, LANES)),
        floats(a, 12, (2, LANES, LANES)),
        floats(a, 13, (2, LANES, LANES)),
        integers(a, 14, (p, 6)),
        integers(a, 15, (dimension(a, 15, 0), 2)),
        integers(a, 16, (SPHERICAL,)),
        integers(a, 17, (couplings, 2)),
        floats(a, 18, (couplings,)),
        floats(a, 19, (p, LANES, LANES)),
        floats(a, 20, (p, LANES, LANES)),
        integers(a, 21, (t1, 4)),
        floats(a, 22, (s, t1, LANES)),
        floats(a, 23, (1, LANES)),
        floats(a, 24, (s, h, LANES)),
        floats(a, 25, (h, LANES)),
        floats(a, 26, (h,)),
        floats(results, 1, (n_frames, n, 3))[b],
    )


@lru_cache
def kernel_call(threads: bool) -> Callable:
    """call(result shapes, position, box, index, *weights), the machine code being made or read from disk at first use.

    threads: whether the frames of a batch are shared out among Numba's threads, or come one after the other.
    """
    # Numba keeps compiled functions by their own file and closure alone: the stamp stands for all that they call.
    stamp = digest(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))))

    def by_threads(arguments, results):
        _ = stamp
        for b in numba.prange(dimension(arguments, 0, 0)):
            one_frame(arguments, results, np.int64(b))

    def in_turn(arguments, results):
        _ = stamp
        for b in range(dimension(arguments, 0, 0)):
            one_frame(arguments, results, b)

    function = by_threads if threads else in_turn
    try:
        # What is compiled anew is inlined into its caller and rounds otherwise than what is read from disk: all read it.
        numba.njit(cache=True, parallel=threads)(function).compile((BUFFERS, BUFFERS))
        compiled = numba.njit(cache=True, parallel=threads)(function)
    except RuntimeError:  # no folder that can be written: compiled in each process
        compiled = numba.njit(parallel=threads)(function)
    return custom_call(f"cgcore_mace_{'threads' if threads else 'turn'}", compiled)
