"""Loops of the convolution for training: the four derivatives of one four-linear form.

    Phi(R, Y, h, G) = sum over edges (i <- j), paths p, components a, b, c of CG^p_abc R_(ij p) Y_(ij b) h_(j a) G_(i p c)

R and Y belong to lengths, of which each is seen from both ends (Y_l changes by (-1)^l); h to senders, G to receivers. The
convolution is dPhi/dG; its derivatives, and theirs in turn, are derivatives of the same form by the other three. The loops
go through the beads of one frame in order, and take FEW edges of a bead at once, so that what belongs to the bead is read
once for all of them. Arrays of channels are read as rows of LANES, `blocks` of which are one row of channels.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numba
import numpy as np

from .native import edges, lanes, xla
from .native.edges import FEW, allocating, jit
from .native.lanes import LANES, fma, load, splat, store, total
from .native.xla import compiled, custom_call, dimension, floats, integers, rank


@jit
def is_odd(component):
    """Whether one of the harmonics is of degree 1 or 3."""
    return 0 < component < 4 or component > 8


@jit
def edges_of(row, receiver, index, length, harmonics, who, which, y):
    """The senders, lengths and harmonics of the bead whose rows begin at `row`, filled up to a multiple of FEW with edges
    of no harmonics; how many, and the row after its last."""
    i, count, n_lengths = receiver[row], 0, len(harmonics)
    while row < len(receiver) and receiver[row] == i:
        for s in range(index.shape[1]):
            code = length[row, s]
            if code < n_lengths:
                number = code if code >= 0 else -1 - code
                who[count], which[count] = index[row, s], number
                for m in range(harmonics.shape[1]):
                    odd = code < 0 and is_odd(m)
                    y[count, m] = -harmonics[number, m, 0] if odd else harmonics[number, m, 0]
                count += 1
        row += 1
    while count % FEW:
        who[count], which[count] = who[count - 1], which[count - 1]
        y[count] = 0
        count += 1
    return count, row


@jit
def add_to(out, row, value):
    """Add to a row."""
    store(out, row, load(out, row) + value)


@jit
def outer_rows(paths):
    """How many rows (p a b) there are."""
    l1, l2, first = paths[-1, 0], paths[-1, 1], paths[-1, 3]
    return first + (2 * l1 + 1) * (2 * l2 + 1)


@jit
def couple(couplings, strengths, received, first, blocks, block, outer):
    """T_(p a b) = sum_c CG G_(p c) of the receiver whose components begin at row `first`."""
    outer[:] = 0
    for t in range(len(couplings)):
        component, row = couplings[t]
        g = load(received, (first + component) * blocks + block)
        store(outer, row, fma(strengths[t], g, load(outer, row)))


@allocating
def by_received(paths, couplings, strengths, receiver, index, length, radial, harmonics, sent, out):
    """dPhi/dG (N, C, K): the convolution."""
    n_paths, n_sent, n_out, blocks = len(paths), sent.shape[1], out.shape[1], out.shape[2] // LANES
    slots = len(out) + FEW
    who, which = np.empty(slots, np.int64), np.empty(slots, np.int64)
    y = np.zeros((slots, harmonics.shape[1]), np.float32)
    product = np.empty((slots, LANES), np.float32)
    outer = np.empty((outer_rows(paths), LANES), np.float32)
    out[:] = 0
    row = 0
    while row < len(receiver):
        i = receiver[row]
        count, row = edges_of(row, receiver, index, length, harmonics, who, which, y)
        for block in range(blocks):
            for p in range(n_paths):
                l1, l2, place = paths[p, 0], paths[p, 1], paths[p, 3]
                for a in range(l1 * l1, (l1 + 1) * (l1 + 1)):
                    for s in range(count):
                        r = load(radial, (n_paths * which[s] + p) * blocks + block)
                        store(product, s, r * load(sent, (n_sent * who[s] + a) * blocks + block))
                    for b in range(l2 * l2, (l2 + 1) * (l2 + 1)):
                        first = splat(np.float32(0))
                        second, third, fourth = first, first, first
                        for s in range(0, count, FEW):
                            first = fma(y[s, b], load(product, s), first)
                            second = fma(y[s + 1, b], load(product, s + 1), second)
                            third = fma(y[s + 2, b], load(product, s + 2), third)
                            fourth = fma(y[s + 3, b], load(product, s + 3), fourth)
                        store(outer, place, first + second + (third + fourth))
                        place += 1
            for t in range(len(couplings)):
                component, place = couplings[t]
                at = (n_out * i + component) * blocks + block
                store(out, at, fma(strengths[t], load(outer, place), load(out, at)))


@jit
def along(y, s, outer, place, n):
    """sum_b Y_b T_b of FEW edges from `s` on, over n rows of `outer` from `place` on; b0 = first harmonic is y's."""
    first = splat(np.float32(0))
    second, third, fourth = first, first, first
    start = n // 2 * (n // 2)  # n = 2 l + 1 harmonics begin at l^2
    for b in range(n):
        t = load(outer, place + b)
        first = fma(y[s, start + b], t, first)
        second = fma(y[s + 1, start + b], t, second)
        third = fma(y[s + 2, start + b], t, third)
        fourth = fma(y[s + 3, start + b], t, fourth)
    return first, second, third, fourth


@allocating
def by_radial(paths, couplings, strengths, receiver, index, length, harmonics, sent, received, out):
    """dPhi/dR (D, P, K)."""
    n_paths, n_sent, n_received, blocks = len(paths), sent.shape[1], received.shape[1], out.shape[2] // LANES
    slots = len(sent) + FEW
    who, which = np.empty(slots, np.int64), np.empty(slots, np.int64)
    y = np.zeros((slots, harmonics.shape[1]), np.float32)
    outer = np.empty((outer_rows(paths), LANES), np.float32)
    out[:] = 0
    row = 0
    while row < len(receiver):
        i = receiver[row]
        count, row = edges_of(row, receiver, index, length, harmonics, who, which, y)
        for block in range(blocks):
            couple(couplings, strengths, received, n_received * i, blocks, block, outer)
            for s in range(0, count, FEW):
                for p in range(n_paths):
                    l1, n, place = paths[p, 0], 2 * paths[p, 1] + 1, paths[p, 3]
                    first = splat(np.float32(0))
                    second, third, fourth = first, first, first
                    for a in range(l1 * l1, (l1 + 1) * (l1 + 1)):
                        w, x, v, u = along(y, s, outer, place, n)
                        first = fma(w, load(sent, (n_sent * who[s] + a) * blocks + block), first)
                        second = fma(x, load(sent, (n_sent * who[s + 1] + a) * blocks + block), second)
                        third = fma(v, load(sent, (n_sent * who[s + 2] + a) * blocks + block), third)
                        fourth = fma(u, load(sent, (n_sent * who[s + 3] + a) * blocks + block), fourth)
                        place += n
                    add_to(out, (n_paths * which[s] + p) * blocks + block, first)
                    add_to(out, (n_paths * which[s + 1] + p) * blocks + block, second)
                    add_to(out, (n_paths * which[s + 2] + p) * blocks + block, third)
                    add_to(out, (n_paths * which[s + 3] + p) * blocks + block, fourth)


@allocating
def by_sent(paths, couplings, strengths, receiver, index, length, radial, harmonics, received, out):
    """dPhi/dh (N, A, K)."""
    n_paths, n_sent, n_received, blocks = len(paths), out.shape[1], received.shape[1], out.shape[2] // LANES
    slots = len(out) + FEW
    who, which = np.empty(slots, np.int64), np.empty(slots, np.int64)
    y = np.zeros((slots, harmonics.shape[1]), np.float32)
    outer = np.empty((outer_rows(paths), LANES), np.float32)
    out[:] = 0
    row = 0
    while row < len(receiver):
        i = receiver[row]
        count, row = edges_of(row, receiver, index, length, harmonics, who, which, y)
        for block in range(blocks):
            couple(couplings, strengths, received, n_received * i, blocks, block, outer)
            for s in range(0, count, FEW):
                for p in range(n_paths):
                    l1, n, place = paths[p, 0], 2 * paths[p, 1] + 1, paths[p, 3]
                    for a in range(l1 * l1, (l1 + 1) * (l1 + 1)):
                        first, second, third, fourth = along(y, s, outer, place, n)
                        first = first * load(radial, (n_paths * which[s] + p) * blocks + block)
                        second = second * load(radial, (n_paths * which[s + 1] + p) * blocks + block)
                        third = third * load(radial, (n_paths * which[s + 2] + p) * blocks + block)
                        fourth = fourth * load(radial, (n_paths * which[s + 3] + p) * blocks + block)
                        add_to(out, (n_sent * who[s] + a) * blocks + block, first)
                        add_to(out, (n_sent * who[s + 1] + a) * blocks + block, second)
                        add_to(out, (n_sent * who[s + 2] + a) * blocks + block, third)
                        add_to(out, (n_sent * who[s + 3] + a) * blocks + block, fourth)
                        place += n


@allocating
def by_harmonics(paths, couplings, strengths, receiver, index, length, radial, sent, received, out):
    """dPhi/dY (D, S, 1)."""
    n_paths, n_sent, n_received, blocks = len(paths), sent.shape[1], received.shape[1], sent.shape[2] // LANES
    outer = np.empty((outer_rows(paths), LANES), np.float32)
    change = np.empty((out.shape[1], LANES), np.float32)
    out[:] = 0
    for block in range(blocks):
        for row in range(len(receiver)):
            if row == 0 or receiver[row - 1] != receiver[row]:
                couple(couplings, strengths, received, n_received * receiver[row], blocks, block, outer)
            for s in range(index.shape[1]):
                code = length[row, s]
                if code >= len(out):
                    continue
                number = code if code >= 0 else -1 - code
                change[:] = 0
                for p in range(n_paths):
                    l1, l2, place = paths[p, 0], paths[p, 1], paths[p, 3]
                    r = load(radial, (n_paths * number + p) * blocks + block)
                    for a in range(l1 * l1, (l1 + 1) * (l1 + 1)):
                        x = r * load(sent, (n_sent * index[row, s] + a) * blocks + block)
                        for b in range(l2 * l2, (l2 + 1) * (l2 + 1)):
                            store(change, b, fma(x, load(outer, place), load(change, b)))
                            place += 1
                for m in range(out.shape[1]):
                    pulled = total(load(change, m))
                    out[number, m, 0] += -pulled if code < 0 and is_odd(m) else pulled


DERIVATIVES = {"radial": by_radial, "harmonics": by_harmonics, "sent": by_sent, "received": by_received}


@numba.njit
def of_frames(buffers, number, n_frames, lead):
    """An argument or result of three axes behind those of frames, of which there are `lead`."""
    a, b = dimension(buffers, number, lead), dimension(buffers, number, lead + 1)
    return floats(buffers, number, (n_frames, a, b, dimension(buffers, number, lead + 2)))


@lru_cache
def derivative_call(wanted: str) -> Callable:
    """call(result shape, *the three other factors, receiver, index, length, paths, couplings, strengths)."""
    kernel = DERIVATIVES[wanted]

    def frames(stamp):
        def in_turn(a, results):
            _ = stamp
            lead = rank(a, 3) - 1  # of frames, the first axes of all arrays
            n_frames = 1
            for axis in range(lead):
                n_frames *= dimension(a, 3, axis)
            rows, slots = dimension(a, 4, lead), dimension(a, 4, lead + 1)
            n_paths, n_couplings = dimension(a, 6, lead), dimension(a, 7, lead)
            receiver, index = integers(a, 3, (n_frames, rows)), integers(a, 4, (n_frames, rows, slots))
            length = integers(a, 5, (n_frames, rows, slots))
            paths, couplings = integers(a, 6, (n_paths, 4)), integers(a, 7, (n_couplings, 2))
            strengths = floats(a, 8, (n_couplings,))
            first, second = of_frames(a, 0, n_frames, lead), of_frames(a, 1, n_frames, lead)
            third, out = of_frames(a, 2, n_frames, lead), of_frames(results, 0, n_frames, lead)
            for b in range(n_frames):
                kernel(
                    paths, couplings, strengths, receiver[b], index[b], length[b], first[b], second[b], third[b], out[b]
                )

        return in_turn

    code = compiled(frames, *(Path(module) for module in (__file__, edges.__file__, lanes.__file__, xla.__file__)))
    # One thread a call: XLA runs those that do not wait for each other side by side.
    return custom_call(f"cgcore_convolution_{wanted}", code, vmap_method="broadcast_all")
