"""The loops of `kernel.py` as a custom call of XLA: replicas, or the pieces of one frame, shared out among threads."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numba
import numpy as np

from .arrays import Frame, Scratch, Weights
from .edges import SPHERICAL, rows
from .kernel import first_layer, pull_first_layer, second_layer
from .lanes import LANES
from .xla import compiled, custom_call, dimension, floats, integers

PIECES, BEADS = 8, 64
"""A frame is cut into so many pieces at most, of so many beads at least, whatever the number of threads: their sums are the
same whoever adds them up."""
PASSES, WHOLE = 3, -1
SHARED = 3 + len(Weights._fields)
"""Number of the last argument."""


@numba.njit
def frame_of(arguments, b):
    """Frame b of position (B, N, 3), box (3,), index (1 or B, N, K)."""
    a = arguments
    n_frames, n, lists, slots = dimension(a, 0, 0), dimension(a, 0, 1), dimension(a, 2, 0), dimension(a, 2, 2)
    return Frame(
        floats(a, 0, (n_frames, n, 3))[b],
        floats(a, 1, (3,)),
        integers(a, 2, (lists, n, slots))[min(b, lists - 1)],
    )


@numba.njit
def weights_of(arguments):
    """The arguments that follow, `Weights` in their order."""
    a = arguments
    s, h, t0, t1 = dimension(a, 4, 0), dimension(a, 24, 0), dimension(a, 10, 0), dimension(a, 20, 0)
    knots, p, couplings = dimension(a, 5, 0), dimension(a, 14, 0), dimension(a, 15, 0)
    return Weights(
        integers(a, 3, (dimension(a, 0, 1),)),
        floats(a, 4, (s, LANES)),
        floats(a, 5, (knots, 4, 3, LANES)),
        floats(a, 6, (knots, p, 3, LANES)),
        floats(a, 7, (4,)),
        floats(a, 8, (s, 4, LANES, LANES)),
        floats(a, 9, (s, 4, LANES, LANES)),
        integers(a, 10, (t0, 4)),
        floats(a, 11, (s, t0, LANES)),
        floats(a, 12, (2, LANES, LANES)),
        floats(a, 13, (2, LANES, LANES)),
        integers(a, 14, (p, 5)),
        integers(a, 15, (couplings, 2)),
        integers(a, 16, (couplings, 2)),
        floats(a, 17, (2, couplings)),
        floats(a, 18, (p, LANES, LANES)),
        floats(a, 19, (p, LANES, LANES)),
        integers(a, 20, (t1, 4)),
        floats(a, 21, (s, t1, LANES)),
        floats(a, 22, (1, LANES)),
        floats(a, 23, (s, h, LANES)),
        floats(a, 24, (h, LANES)),
        floats(a, 25, (h,)),
        floats(a, 26, (s, s, dimension(a, 26, 2), 3)),
        integers(a, 27, (dimension(a, 0, 1), dimension(a, 27, 1), 2)),
    )


@numba.njit
def pieces_of(arguments):
    """Into how many pieces a frame is cut."""
    return max(1, min(PIECES, dimension(arguments, 0, 1) // BEADS))


@numba.njit
def scratch_of(arguments, n):
    """The arrays of `Scratch` for a frame, or none of 0 beads; a plain tuple, for Numba's threads know no other."""
    second, pieces = n if dimension(arguments, 14, 0) else 0, pieces_of(arguments)
    return (
        rows(n * SPHERICAL).reshape(n, SPHERICAL, LANES),
        rows(second),
        rows(second * 4).reshape(second, 4, LANES),
        rows(second),
        rows(pieces * second * 4).reshape(pieces, second, 4, LANES),
        np.empty((pieces, n, 3), np.float32),
        np.zeros(pieces),
    )


@numba.njit
def one_pass(number, piece, arguments, b, arrays):
    """Pass 0, 1 or 2 over one piece of frame b."""
    frame, w, scratch = frame_of(arguments, b), weights_of(arguments), Scratch(*arrays)
    n, pieces = len(frame.position), len(scratch.energy)
    start, stop = n * piece // pieces, n * (piece + 1) // pieces
    if number == 0:
        scratch.energy[piece] = first_layer(frame, w, start, stop, scratch)
    elif number == 1:
        scratch.force[piece] = 0
        scratch.by_sent[piece] = 0
        if len(w.paths):
            scratch.energy[piece] = second_layer(
                frame, w, start, stop, scratch, scratch.by_sent[piece], scratch.force[piece]
            )
    else:
        scratch.energy[piece] += pull_first_layer(frame, w, start, stop, scratch, scratch.force[piece])


@numba.njit
def add_up(arguments, results, b, arrays):
    """Energy and forces of frame b from those of its pieces, in their order."""
    n_frames, n, scratch = dimension(arguments, 0, 0), dimension(arguments, 0, 1), Scratch(*arrays)
    energy, force = 0.0, floats(results, 1, (n_frames, n, 3))[b]
    force[:] = 0
    for piece in range(len(scratch.energy)):
        energy += scratch.energy[piece]
        for i in range(n):
            for c in range(3):
                force[i, c] += scratch.force[piece, i, c]
    floats(results, 0, (n_frames,))[b] = energy


@numba.njit
def one_task(arguments, results, arrays, number, task):
    """Frame `task` as a whole, or of a single frame, whose arrays are given, pass `number` over piece `task`."""
    whole, pieces = number == WHOLE, pieces_of(arguments)
    b, passes, own = (task, (0, PASSES), (0, pieces)) if whole else (0, (number, number + 1), (task, task + 1))
    if whole:
        arrays = scratch_of(arguments, dimension(arguments, 0, 1))
    for number in range(passes[0], passes[1]):
        for piece in range(own[0], own[1]):
            one_pass(number, piece, arguments, b, arrays)
    if whole:
        add_up(arguments, results, b, arrays)


@lru_cache
def kernel_call() -> Callable:
    """call(result shapes, position, box, index, *weights, shared), the machine code made or read from disk at first use.

    shared (1,): whether frames of a batch, or pieces of a single one, are shared out among Numba's threads.
    """

    def frames(stamp):
        def function(arguments, results):
            _ = stamp
            n_frames, pieces = dimension(arguments, 0, 0), pieces_of(arguments)
            single = n_frames == 1
            arrays = scratch_of(arguments, dimension(arguments, 0, 1) if single else 0)
            number, last, tasks = (0, PASSES, pieces) if single else (WHOLE, WHOLE + 1, n_frames)
            shared = integers(arguments, SHARED, (1,))[0] != 0
            while number < last:
                if shared:
                    for task in numba.prange(tasks):
                        one_task(arguments, results, arrays, number, np.int64(task))
                else:
                    for task in range(tasks):
                        one_task(arguments, results, arrays, number, task)
                number += 1
            if single:
                add_up(arguments, results, 0, arrays)

        return function

    code = compiled(frames, *sorted(Path(__file__).parent.glob("*.py")), parallel=True)
    return custom_call("cgcore_mace", code)
