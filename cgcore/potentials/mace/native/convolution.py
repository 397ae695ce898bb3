"""Loops of the convolution for training: the four derivatives of one four-linear form.

    Phi(R, Y, h, G) = sum over edges (i <- j), paths p, components a, b, c of CG^p_abc R_(ij p) Y_(ij b) h_(j a) G_(i p c)

R, Y belong to pairs, of which each is seen from both ends (Y_l changes by (-1)^l); h to senders, G to receivers. The
convolution is dPhi/dG; its derivatives, and theirs in turn, are derivatives of the same form by the other three. Each
kernel sums over the beads of one frame in order, with rows of WIDTH channels.
"""

import numpy as np

from .kernel import degree, jit
from .lanes import rows_of

WIDTH = 16
load, store, splat, total = rows_of(WIDTH)


@jit
def edges_of(row, receiver, index, pair, harmonics, who, which, y):
    """The senders, pairs and harmonics of the bead whose rows begin at `row`; how many, and the row after its last."""
    i, count, n, n_pairs = receiver[row], 0, index.shape[1], len(harmonics)
    while row < len(receiver) and receiver[row] == i:
        for s in range(n):
            code = pair[row, s]
            if code < n_pairs:
                p = code if code >= 0 else -1 - code
                who[count], which[count] = index[row, s], p
                for m in range(harmonics.shape[1]):
                    odd = code < 0 and degree(m) % 2 == 1
                    y[count, m] = -harmonics[p, m, 0] if odd else harmonics[p, m, 0]
                count += 1
        row += 1
    return count, row


@jit
def outer_rows(paths):
    """How many rows (p a b) there are."""
    l1, l2, first = paths[-1, 0], paths[-1, 1], paths[-1, 3]
    return first + (2 * l1 + 1) * (2 * l2 + 1)


@jit
def couple(couplings, strengths, components, c_row, outer):
    """T_(p a b) = sum_c CG G_(p c) of one receiver, whose components begin at row `c_row`."""
    outer[:] = 0
    for t in range(len(couplings)):
        component, row = couplings[t]
        store(outer, row, load(outer, row) + strengths[t] * load(components, c_row + component))


@jit
def by_received(paths, couplings, strengths, receiver, index, pair, radial, harmonics, sent, out):
    """dPhi/dG (N, C, WIDTH): the convolution."""
    n, n_paths, n_sent, n_out = len(sent), len(paths), sent.shape[1], out.shape[1]
    slots = len(out)
    who, which = np.empty(slots, np.int64), np.empty(slots, np.int64)
    y = np.zeros((slots, harmonics.shape[1]), np.float32)
    product, outer = np.empty((slots, WIDTH), np.float32), np.empty((outer_rows(paths), WIDTH), np.float32)
    out[:] = 0
    row = 0
    while row < len(receiver):
        i = receiver[row]
        count, row = edges_of(row, receiver, index, pair, harmonics, who, which, y)
        for p in range(n_paths):
            l1, l2, place = paths[p, 0], paths[p, 1], paths[p, 3]
            for a in range(l1 * l1, (l1 + 1) * (l1 + 1)):
                for s in range(count):
                    store(product, s, load(radial, n_paths * which[s] + p) * load(sent, n_sent * who[s] + a))
                for b in range(l2 * l2, (l2 + 1) * (l2 + 1)):
                    first, second, third, fourth = splat(np.float32(0)), splat(np.float32(0)), splat(np.float32(0)), splat(np.float32(0))
                    s = 0
                    while s + 3 < count:
                        first += y[s, b] * load(product, s)
                        second += y[s + 1, b] * load(product, s + 1)
                        third += y[s + 2, b] * load(product, s + 2)
                        fourth += y[s + 3, b] * load(product, s + 3)
                        s += 4
                    while s < count:
                        first += y[s, b] * load(product, s)
                        s += 1
                    store(outer, place, first + second + (third + fourth))
                    place += 1
        for t in range(len(couplings)):
            component, place = couplings[t]
            at = n_out * i + component
            store(out, at, load(out, at) + strengths[t] * load(outer, place))


@jit
def by_radial(paths, couplings, strengths, receiver, index, pair, harmonics, sent, received, out):
    """dPhi/dR (D, P, WIDTH)."""
    n_paths, n_sent, n_received = len(paths), sent.shape[1], received.shape[1]
    slots = len(sent)
    who, which = np.empty(slots, np.int64), np.empty(slots, np.int64)
    y = np.zeros((slots, harmonics.shape[1]), np.float32)
    outer = np.empty((outer_rows(paths), WIDTH), np.float32)
    out[:] = 0
    row = 0
    while row < len(receiver):
        i = receiver[row]
        count, row = edges_of(row, receiver, index, pair, harmonics, who, which, y)
        couple(couplings, strengths, received, n_received * i, outer)
        for s in range(count):
            for p in range(n_paths):
                l1, l2, place = paths[p, 0], paths[p, 1], paths[p, 3]
                at = n_paths * which[s] + p
                result = load(out, at)
                for a in range(l1 * l1, (l1 + 1) * (l1 + 1)):
                    inner = splat(np.float32(0))
                    for b in range(l2 * l2, (l2 + 1) * (l2 + 1)):
                        inner += y[s, b] * load(outer, place)
                        place += 1
                    result += load(sent, n_sent * who[s] + a) * inner
                store(out, at, result)


@jit
def by_sent(paths, couplings, strengths, receiver, index, pair, radial, harmonics, received, out):
    """dPhi/dh (N, A, WIDTH)."""
    n_paths, n_sent, n_received = len(paths), out.shape[1], received.shape[1]
    slots = len(out)
    who, which = np.empty(slots, np.int64), np.empty(slots, np.int64)
    y = np.zeros((slots, harmonics.shape[1]), np.float32)
    outer = np.empty((outer_rows(paths), WIDTH), np.float32)
    out[:] = 0
    row = 0
    while row < len(receiver):
        i = receiver[row]
        count, row = edges_of(row, receiver, index, pair, harmonics, who, which, y)
        couple(couplings, strengths, received, n_received * i, outer)
        for s in range(count):
            for p in range(n_paths):
                l1, l2, place = paths[p, 0], paths[p, 1], paths[p, 3]
                r = load(radial, n_paths * which[s] + p)
                for a in range(l1 * l1, (l1 + 1) * (l1 + 1)):
                    inner = splat(np.float32(0))
                    for b in range(l2 * l2, (l2 + 1) * (l2 + 1)):
                        inner += y[s, b] * load(outer, place)
                        place += 1
                    at = n_sent * who[s] + a
                    store(out, at, load(out, at) + r * inner)


@jit
def by_harmonics(paths, couplings, strengths, receiver, index, pair, radial, sent, received, out):
    """dPhi/dY (D, S, 1)."""
    n_paths, n_sent, n_received, n_harmonics = len(paths), sent.shape[1], received.shape[1], out.shape[1]
    outer = np.empty((outer_rows(paths), WIDTH), np.float32)
    change = np.empty((n_harmonics, WIDTH), np.float32)
    out[:] = 0
    for row in range(len(receiver)):
        i = receiver[row]
        if row == 0 or receiver[row - 1] != i:
            couple(couplings, strengths, received, n_received * i, outer)
        for s in range(index.shape[1]):
            code = pair[row, s]
            if code >= len(out):
                continue
            which = code if code >= 0 else -1 - code
            change[:] = 0
            for p in range(n_paths):
                l1, l2, place = paths[p, 0], paths[p, 1], paths[p, 3]
                r = load(radial, n_paths * which + p)
                for a in range(l1 * l1, (l1 + 1) * (l1 + 1)):
                    x = r * load(sent, n_sent * index[row, s] + a)
                    for b in range(l2 * l2, (l2 + 1) * (l2 + 1)):
                        store(change, b, load(change, b) + x * load(outer, place))
                        place += 1
            for m in range(n_harmonics):
                pulled = total(load(change, m))
                out[which, m, 0] += -pulled if code < 0 and degree(m) % 2 == 1 else pulled
