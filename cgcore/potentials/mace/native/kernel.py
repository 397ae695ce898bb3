"""Energy and forces of a packed MACE, written as loops for Numba.

The derivatives are written by hand, one sweep back through what `network.energy` says:

    A = sum_j R(r_ij) h_j Y(r_ij),  a = W A,  B = polynomial(a),  h = W' B + skip,  E = sum readout(h)

Three passes over the beads of a frame, each in pieces that do not wait for each other: `first_layer`, `second_layer`,
`pull_first_layer`. Arrays of rows of channels are indexed by the number of the row (`lanes.load`): of (N, 16, LANES) row
16 i + m.
"""

import numpy as np

from .arrays import Buffers
from .edges import FEW, SPHERICAL, allocating, barriers, find, jit, pull, push, radial, radial_values, room, rows
from .lanes import LANES, SUMMED, combine, fma, load, outer_of_two, splat, store, total, totals


@jit
def products(n, out, out_row, numbers, start, step, stride, count, rows, row):
    """`lanes.combine` for n = 2 l + 1 rows."""
    if n == 1:
        combine(1, out, out_row, numbers, start, step, stride, count, rows, row)
    elif n == 3:
        combine(3, out, out_row, numbers, start, step, stride, count, rows, row)
    elif n == 5:
        combine(5, out, out_row, numbers, start, step, stride, count, rows, row)
    else:
        combine(7, out, out_row, numbers, start, step, stride, count, rows, row)


@jit
def outer(n, out, out_row, step, left, left_row, stride, right, right_row, count):
    """`lanes.outer` of two rows with n = 2 l + 1."""
    if n == 3:
        outer_of_two(3, out, out_row, step, left, left_row, stride, right, right_row, count)
    elif n == 5:
        outer_of_two(5, out, out_row, step, left, left_row, stride, right, right_row, count)
    elif n == 7:
        outer_of_two(7, out, out_row, step, left, left_row, stride, right, right_row, count)


@jit
def mix(n, x, row, matrix, number, out, out_row):
    """n rows of x times matrix `number` of (..., LANES, LANES), as rows of out."""
    products(n, out, out_row, x, row * LANES, LANES, 1, LANES, matrix, number * LANES)


@jit
def add_to(out, row, value):
    """Add to a row."""
    store(out, row, load(out, row) + value)


@jit
def polynomial(terms, coefficients, species, a, row, out, out_row):
    """out_c = sum_i a_i (w_ci + sum_j a_j (w_cij + sum_l a_l w_cijl)), added up; coefficients (S, T, LANES).

    terms (T, 4): each w in this order, with its depth 0, 1 or 2, the row of its last factor, c, and the term after those
    below it.
    """
    first = species * len(terms)
    t = 0
    while t < len(terms):
        outer, end = load(coefficients, first + t), terms[t, 3]
        i, c = terms[t, 1], terms[t, 2]
        t += 1
        while t < end:
            middle, last = load(coefficients, first + t), terms[t, 3]
            j = terms[t, 1]
            t += 1
            while t < last:
                middle = fma(load(coefficients, first + t), load(a, row + terms[t, 1]), middle)
                t += 1
            outer = fma(middle, load(a, row + j), outer)
        store(out, out_row + c, fma(outer, load(a, row + i), load(out, out_row + c)))


@jit
def pull_polynomial(terms, coefficients, species, a, row, change, change_row, da):
    """dE/da of `polynomial` for dE/d out_c in rows of `change`, into `da` (16, LANES); sum_c change_c out_c as a row."""
    da[:] = 0
    first, value = species * len(terms), splat(np.float32(0))
    t = 0
    while t < len(terms):
        outer, end = load(coefficients, first + t), terms[t, 3]
        i, by_out = terms[t, 1], load(change, change_row + terms[t, 2])
        by_outer = by_out * load(a, row + i)
        t += 1
        while t < end:
            middle, last = load(coefficients, first + t), terms[t, 3]
            j = terms[t, 1]
            x = load(a, row + j)
            by_middle = by_outer * x
            t += 1
            while t < last:
                w, m = load(coefficients, first + t), terms[t, 1]
                middle = fma(w, load(a, row + m), middle)
                store(da, m, fma(by_middle, w, load(da, m)))
                t += 1
            outer = fma(middle, x, outer)
            store(da, j, fma(by_outer, middle, load(da, j)))
        store(da, i, fma(by_out, outer, load(da, i)))
        value = fma(by_outer, outer, value)
    return value


@jit
def contract(entries, strengths, rows, out):
    """out_r = sum over the entries (r, k) of strength x rows_k; entries (M, 2) in order of r."""
    t = 0
    for r in range(len(out)):
        result = splat(np.float32(0))
        while t < len(entries) and entries[t, 0] == r:
            result = fma(strengths[t], load(rows, entries[t, 1]), result)
            t += 1
        store(out, r, result)


@jit
def along(y, l2, s, rows, row):
    """sum_m Y_m rows_m of FEW edges from s on, over the harmonics of degree l2."""
    first = splat(np.float32(0))
    second, third, fourth = first, first, first
    for m in range(l2 * l2, (l2 + 1) * (l2 + 1)):
        x = load(rows, row)
        row += 1
        first, second = fma(y[m, s], x, first), fma(y[m, s + 1], x, second)
        third, fourth = fma(y[m, s + 2], x, third), fma(y[m, s + 3], x, fourth)
    return first, second, third, fourth


@jit
def by_harmonics(edges, s, change, sums):
    """Add up FEW edges' changes over channels: rows (FEW, 16) of `change` into `edges.dy` from s on."""
    for e in range(FEW):
        totals(change, SUMMED * e, sums, 0)
        for m in range(SPHERICAL):
            edges.dy[m, s + e] = sums[m]


@allocating
def first_layer(frame, w, start, stop, scratch):
    """Neighbours summed, mixed by degree and by the receiver's species into `a`; the polynomial, and what is sent."""
    edges = room(frame.index.shape[1])
    return _first_layer(frame, w, start, stop, scratch, edges, rows(4 * len(edges.who)), rows(SPHERICAL), rows(4))


@jit
def _first_layer(frame, w, start, stop, scratch, edges, value, summed, b):
    slots, energy = len(edges.who), 0.0
    for i in range(start, stop):
        count = find(edges, frame.position, frame.box, frame.index, i, w.grid, w.near)
        for s in range(count):
            radial_values(w.table0, edges, s, value)
            sent = load(w.embedding, w.species[edges.who[s]])
            for ell in range(4):
                store(value, ell * slots + s, load(value, ell * slots + s) * sent)
        for ell in range(4):
            m, n = ell * ell, 2 * ell + 1
            products(n, summed, m, edges.y, m * slots, slots, 1, count, value, ell * slots)
            mix(n, summed, m, w.linear0, 4 * w.species[i] + ell, scratch.a, SPHERICAL * i + m)
        b[:] = 0
        polynomial(w.terms0, w.poly0, w.species[i], scratch.a, SPHERICAL * i, b, 0)
        if len(w.paths):
            store(scratch.first, i, load(b, 0))
            mix(1, b, 0, w.up, 0, scratch.sent, 4 * i)
            mix(3, b, 1, w.up, 1, scratch.sent, 4 * i + 1)
        else:
            energy += total(load(b, 0) * load(w.coefficients, 0))
    return energy


@jit
def readouts(w, i, scalars, scratch, by_scalars):
    """Energy of one bead from its scalars in both layers; its derivatives into `by_scalars` and `scratch.by_first`.

    x_h = scalars . hidden_h + first_i . skip_h, E = sum_h readout_h silu(x_h) + first_i . coefficients.
    """
    x, y = scalars, load(scratch.first, i)
    by_x, by_y = splat(np.float32(0)), load(w.coefficients, 0)
    energy = np.float64(total(y * by_y))
    for h in range(len(w.readout)):
        of_x, of_y = load(w.hidden, h), load(w.skip, w.species[i] * len(w.readout) + h)
        value = total(fma(x, of_x, y * of_y))
        sigmoid = 1 / (1 + np.exp(-value))
        energy += w.readout[h] * value * sigmoid
        slope = np.float32(w.readout[h] * sigmoid * (1 + value * (1 - sigmoid)))
        by_x, by_y = fma(slope, of_x, by_x), fma(slope, of_y, by_y)
    store(by_scalars, 0, by_x)
    store(scratch.by_first, i, by_y)
    return energy


@allocating
def second_layer(frame, w, start, stop, scratch, by_sent, force):
    """Energy of the second layer and the readouts of beads from `start` to `stop`; what it changes in forces and in
    `sent` is added to `force` and `by_sent`.

    paths: (P, 5) degrees l1 (sent), l2 (harmonics), l3 (out), in order of l2, and the first of a path's rows among the sums
    over neighbours S_(p a b) and the coupled A_(p c).
    """
    edges, n_paths, end = room(frame.index.shape[1]), len(w.paths), w.paths[-1]
    slots = len(edges.who)
    buffers = Buffers(
        rows(n_paths * slots),
        rows(n_paths * slots),
        rows(4 * slots),
        rows(slots),
        rows(end[3] + (2 * end[0] + 1) * (2 * end[1] + 1)),
        rows(end[4] + 2 * end[2] + 1),
        rows(FEW * 4 * n_paths),
        rows(4 * FEW),
        rows(SUMMED * FEW),
        rows(SPHERICAL),
        rows(SPHERICAL),
        rows(7),
        rows(1),
        np.empty(SUMMED, np.float32),
    )
    return _second_layer(frame, w, start, stop, scratch, by_sent, force, edges, buffers)


@jit
def _second_layer(frame, w, start, stop, scratch, by_sent, force, edges, buffers):
    slots, paths, n_paths, energy = len(edges.who), w.paths, len(w.paths), 0.0
    value, slope, sent, row_product, summed, coupled, product, back, change, a, da, mixed, by_scalars, sums = buffers
    for i in range(start, stop):
        count = find(edges, frame.position, frame.box, frame.index, i, w.grid, w.near)
        for s in range(count):
            radial(w.table1, edges, s, value, slope)
            for c in range(4):
                store(sent, c * slots + s, load(scratch.sent, 4 * edges.who[s] + c))
        for p in range(n_paths):
            l1, l2, row = paths[p, 0], paths[p, 1], paths[p, 3]
            for c in range(l1 * l1, (l1 + 1) * (l1 + 1)):
                for s in range(count):
                    store(row_product, s, load(value, p * slots + s) * load(sent, c * slots + s))
                products(2 * l2 + 1, summed, row, edges.y, l2 * l2 * slots, slots, 1, count, row_product, 0)
                row += 2 * l2 + 1
        contract(w.coupled, w.strengths[0], summed, coupled)
        a[:] = 0
        for p in range(n_paths):
            n = 2 * paths[p, 2] + 1
            mix(n, coupled, paths[p, 4], w.linear1, p, mixed, 0)
            for c in range(n):
                add_to(a, paths[p, 2] ** 2 + c, load(mixed, c))
        by_scalars[:] = 1
        scalars = pull_polynomial(w.terms1, w.poly1, w.species[i], a, 0, by_scalars, 0, da)
        energy += readouts(w, i, scalars, scratch, by_scalars)
        for m in range(SPHERICAL):
            store(da, m, load(da, m) * load(by_scalars, 0))
        for p in range(n_paths):
            mix(2 * paths[p, 2] + 1, da, paths[p, 2] ** 2, w.linear1_t, p, coupled, paths[p, 4])
        contract(w.spread, w.strengths[1], coupled, summed)
        for s in range(0, count, FEW):
            pull_edges(w, edges, s, value, slope, sent, summed, product, back, change)
            by_harmonics(edges, s, change, sums)
            for e in range(FEW):
                for c in range(4):
                    add_to(by_sent, 4 * edges.who[s + e] + c, load(back, FEW * c + e))
        pull(edges, count)
        push(edges, count, i, force)
    return energy


@jit
def pull_edges(w, edges, s, value, slope, sent, summed, product, back, change):
    """Of dE/dS in `summed` for FEW edges from s on: dE by what is sent into `back` (4, FEW), by the distance and by the
    harmonics, still by channel, into `change` (FEW, 16)."""
    slots, paths = len(edges.who), w.paths
    back[:] = 0
    p, r0 = 0, splat(np.float32(0))
    r1, r2, r3 = r0, r0, r0
    for l2 in range(4):
        n, first_row, row, t = 2 * l2 + 1, paths[p, 3], paths[p, 3], 0
        while p < len(paths) and paths[p, 1] == l2:
            l1, at = paths[p, 0], p * slots + s
            for c in range(l1 * l1, (l1 + 1) * (l1 + 1)):
                b0, b1, b2, b3 = along(edges.y, l2, s, summed, row)
                to = c * slots + s
                x, y, by = load(sent, to), load(value, at), FEW * c
                store(product, t, x * y)
                store(back, by, fma(b0, y, load(back, by)))
                r0 = fma(b0, x * load(slope, at), r0)
                x, y = load(sent, to + 1), load(value, at + 1)
                store(product, t + 1, x * y)
                store(back, by + 1, fma(b1, y, load(back, by + 1)))
                r1 = fma(b1, x * load(slope, at + 1), r1)
                x, y = load(sent, to + 2), load(value, at + 2)
                store(product, t + 2, x * y)
                store(back, by + 2, fma(b2, y, load(back, by + 2)))
                r2 = fma(b2, x * load(slope, at + 2), r2)
                x, y = load(sent, to + 3), load(value, at + 3)
                store(product, t + 3, x * y)
                store(back, by + 3, fma(b3, y, load(back, by + 3)))
                r3 = fma(b3, x * load(slope, at + 3), r3)
                row, t = row + n, t + FEW
            p += 1
        outer(n, change, l2 * l2, SUMMED, product, 0, FEW, summed, first_row, t // FEW)
        outer(n, change, 2 * SUMMED + l2 * l2, SUMMED, product, 2, FEW, summed, first_row, t // FEW)
    store(change, 0, r0)
    store(change, SUMMED, r1)
    store(change, 2 * SUMMED, r2)
    store(change, 3 * SUMMED, r3)


@allocating
def pull_first_layer(frame, w, start, stop, scratch, force):
    """Energy of the barriers; forces of these and of the first layer, added to `force`: of beads from `start` to `stop`."""
    edges = room(frame.index.shape[1])
    slots = len(edges.who)
    buffers = rows(4 * slots), rows(4 * slots), rows(SPHERICAL), rows(SPHERICAL), rows(4), rows(4), rows(SUMMED * FEW)
    return _pull_first_layer(frame, w, start, stop, scratch, force, edges, buffers, np.empty(SUMMED, np.float32))


@jit
def _pull_first_layer(frame, w, start, stop, scratch, force, edges, buffers, sums):
    slots, n, energy = len(edges.who), len(frame.position), 0.0
    value, slope, da, summed, by_sent, db, change = buffers
    for i in range(start, stop):
        if len(w.paths):
            for c in range(4):
                result = splat(np.float32(0))
                for piece in range(len(scratch.by_sent)):
                    result += load(scratch.by_sent, 4 * (piece * n + i) + c)
                store(by_sent, c, result)
            mix(1, by_sent, 0, w.up_t, 0, db, 0)
            mix(3, by_sent, 1, w.up_t, 1, db, 1)
            add_to(db, 0, load(scratch.by_first, i))
        else:
            store(db, 0, load(w.coefficients, 0))
        pull_polynomial(w.terms0, w.poly0, w.species[i], scratch.a, SPHERICAL * i, db, 0, da)
        for ell in range(4):
            mix(2 * ell + 1, da, ell * ell, w.linear0_t, 4 * w.species[i] + ell, summed, ell * ell)
        count = find(edges, frame.position, frame.box, frame.index, i, w.grid, w.near)
        for s in range(count):
            radial(w.table0, edges, s, value, slope)
        for s in range(0, count, FEW):
            for e in range(FEW):
                sent = load(w.embedding, w.species[edges.who[s + e]])
                for ell in range(4):
                    x = load(value, ell * slots + s + e) * sent
                    for m in range(ell * ell, (ell + 1) * (ell + 1)):
                        store(change, SUMMED * e + m, x * load(summed, m))
                    store(slope, ell * slots + s + e, load(slope, ell * slots + s + e) * sent)
            r0 = splat(np.float32(0))
            r1, r2, r3 = r0, r0, r0
            for ell in range(4):
                b0, b1, b2, b3 = along(edges.y, ell, s, summed, ell * ell)
                at = ell * slots + s
                r0, r1 = fma(b0, load(slope, at), r0), fma(b1, load(slope, at + 1), r1)
                r2, r3 = fma(b2, load(slope, at + 2), r2), fma(b3, load(slope, at + 3), r3)
            store(change, 0, r0)
            store(change, SUMMED, r1)
            store(change, 2 * SUMMED, r2)
            store(change, 3 * SUMMED, r3)
            by_harmonics(edges, s, change, sums)
        energy += barriers(edges, count, w.ranges, w.species, i)
        pull(edges, count)
        push(edges, count, i, force)
    return energy
