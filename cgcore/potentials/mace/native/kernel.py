"""Energy and forces of a packed MACE, written as loops for Numba.

The derivatives are written by hand, one sweep back through what `network.energy` says:

    A = sum_j R(r_ij) h_j Y(r_ij),  a = W A,  B = polynomial(a),  h = W' B + skip,  E = sum readout(h)

Arrays of rows of channels are indexed by the number of the row (`lanes.load`): of (N, 16, LANES) row 16 i + m.
"""

import numba
import numpy as np

from .lanes import LANES, load, splat, store, total

SPHERICAL = 16
"""Components of the harmonics, degrees 0 to 3."""

jit = numba.njit(fastmath={"contract", "reassoc", "nsz", "arcp"}, error_model="numpy")


@jit
def shortest(position, box, receiver, sender, vector):
    """The vector from sender to receiver into `vector` (3,); its length."""
    square = np.float32(0)
    for i in range(3):
        d = position[receiver, i] - position[sender, i]
        if box[i] > 0:
            d -= box[i] * np.rint(d / box[i])
        vector[i] = d
        square += d * d
    return np.sqrt(square)


@jit
def harmonics(vector, distance, out):
    """Real spherical harmonics of degrees 0 to 3 with |Y_l|^2 = 2 l + 1, in e3nn's order, into `out` (16,)."""
    x, y, z = vector[0] / distance, vector[1] / distance, vector[2] / distance
    xx, yy, zz = x * x, y * y, z * z
    s3, s5, s7 = np.float32(3**0.5), np.float32(5**0.5), np.float32(7**0.5)
    out[0] = 1
    out[1], out[2], out[3] = s3 * x, s3 * y, s3 * z
    a, b = s3 * x * z, s3 / 2 * (zz - xx)
    out[4], out[5], out[7], out[8] = s5 * a, s5 * s3 * x * y, s5 * s3 * y * z, s5 * b
    out[6] = s5 * (yy - (xx + zz) / 2)
    f, g, h = np.float32((5 / 6) ** 0.5), np.float32((3 / 8) ** 0.5), 4 * yy - (xx + zz)
    out[9], out[10], out[11] = s7 * f * (a * z + b * x), s7 * s5 * a * y, s7 * g * h * x
    out[12] = s7 * y * (2 * yy - 3 * (xx + zz)) / 2
    out[13], out[14], out[15] = s7 * g * z * h, s7 * s5 * b * y, s7 * f * (b * z - a * x)


@jit
def pull_harmonics(vector, distance, change, radial, out):
    """Of dE/dY (16,) and dE/dr the gradient by the vector, into `out` (3,)."""
    x, y, z = vector[0] / distance, vector[1] / distance, vector[2] / distance
    s3, s5, s7 = np.float32(3**0.5), np.float32(5**0.5), np.float32(7**0.5)
    f, g = np.float32((5 / 6) ** 0.5), np.float32((3 / 8) ** 0.5)
    a, b, h = s3 * x * z, s3 / 2 * (z * z - x * x), 4 * y * y - (x * x + z * z)
    c = change
    # dE by a, b and h, through which degrees 2 and 3 are written.
    da = s5 * c[4] + s7 * (f * (c[9] * z - c[15] * x) + s5 * c[10] * y)
    db = s5 * c[8] + s7 * (f * (c[9] * x + c[15] * z) + s5 * c[14] * y)
    dh = s7 * g * (c[11] * x + c[13] * z)
    gx = s3 * c[1] + s5 * (s3 * c[5] * y - c[6] * x) + s7 * (f * (c[9] * b - c[15] * a) + g * c[11] * h)
    gy = s3 * c[2] + s5 * (s3 * (c[5] * x + c[7] * z) + 2 * c[6] * y) + s7 * s5 * (c[10] * a + c[14] * b)
    gz = s3 * c[3] + s5 * (s3 * c[7] * y - c[6] * z) + s7 * (f * (c[9] * a + c[15] * b) + g * c[13] * h)
    gx += -3 * s7 * c[12] * x * y + da * s3 * z - db * s3 * x - 2 * dh * x
    gy += s7 * c[12] * (3 * y * y - np.float32(1.5) * (x * x + z * z)) + 8 * dh * y
    gz += -3 * s7 * c[12] * z * y + da * s3 * x + db * s3 * z - 2 * dh * z
    along = gx * x + gy * y + gz * z
    out[0] = (gx - along * x) / distance + radial * x
    out[1] = (gy - along * y) / distance + radial * y
    out[2] = (gz - along * z) / distance + radial * z


@jit
def look_up(table, grid, distance, value, slope, first):
    """Cubic interpolation on a grid of sqrt(r): P radial functions and their derivatives by r, from row `first` on.

    table: (intervals, 4, P, LANES) coefficients of the powers of t, 0 ... 1 over an interval; grid: first knot and step.
    Below the first knot, where no frame comes, the functions are constant.
    """
    root, step = np.sqrt(distance), grid[1]
    at = max((root - grid[0]) / step, np.float32(0))
    interval = min(np.int64(at), table.shape[0] - 1)
    t = at - np.float32(interval)
    per_r = np.float32(0.5) / (root * step) if at > 0 else np.float32(0)
    n, row = table.shape[2], 4 * interval * table.shape[2]
    for p in range(n):
        c0, c1 = load(table, row + p), load(table, row + n + p)
        c2, c3 = load(table, row + 2 * n + p), load(table, row + 3 * n + p)
        store(value, first + p, c0 + t * (c1 + t * (c2 + t * c3)))
        store(slope, first + p, per_r * (c1 + t * (np.float32(2) * c2 + np.float32(3) * t * c3)))


@jit
def mix(x, row, matrix, number, out, out_row):
    """Row of x times matrix `number` of (..., LANES, LANES), added to a row of out."""
    x, row, number = x.ravel(), row * LANES, number * LANES
    result, other = load(out, out_row), splat(np.float32(0))
    third, fourth = other, other
    for k in range(0, LANES, 4):  # four sums, for one would wait for each of its additions
        result += x[row + k] * load(matrix, number + k)
        other += x[row + k + 1] * load(matrix, number + k + 1)
        third += x[row + k + 2] * load(matrix, number + k + 2)
        fourth += x[row + k + 3] * load(matrix, number + k + 3)
    store(out, out_row, result + other + (third + fourth))


@jit
def polynomial(terms, coefficients, species, a, row, out, out_row):
    """out_c = sum over terms (c, i, j, l) of coefficient * a_i a_j a_l; -1 stands for no factor.

    a_i is row `row + i`, out_c row `out_row + c`; coefficients (S, T, LANES).
    """
    for t in range(len(terms)):
        c, i, j, m = terms[t]
        term = load(coefficients, species * len(terms) + t) * load(a, row + i)
        if j >= 0:
            term = term * load(a, row + j)
        if m >= 0:
            term = term * load(a, row + m)
        store(out, out_row + c, load(out, out_row + c) + term)


@jit
def pull_polynomial(terms, coefficients, species, a, row, change, change_row, out, out_row):
    """dE/da of `polynomial` for dE/dB in `change`, added to `out`."""
    for t in range(len(terms)):
        c, i, j, m = terms[t]
        w = load(coefficients, species * len(terms) + t) * load(change, change_row + c)
        if j < 0:
            store(out, out_row + i, load(out, out_row + i) + w)
        elif m < 0:
            x, y = load(a, row + i), load(a, row + j)
            store(out, out_row + i, load(out, out_row + i) + w * y)
            store(out, out_row + j, load(out, out_row + j) + w * x)
        else:
            x, y, z = load(a, row + i), load(a, row + j), load(a, row + m)
            store(out, out_row + i, load(out, out_row + i) + w * y * z)
            store(out, out_row + j, load(out, out_row + j) + w * x * z)
            store(out, out_row + m, load(out, out_row + m) + w * x * y)


@jit
def degree(component):
    """l of one of the 16 components."""
    if component == 0:
        return 0
    if component < 4:
        return 1
    return 2 if component < 9 else 3


@jit
def neighbours_of(position, box, index, i, cutoff, who, vector, distance, y):
    """Neighbours of bead i within the cut-off: numbers, vectors, lengths and harmonics; how many."""
    count = 0
    for s in range(index.shape[1]):
        j = index[i, s]
        if j < len(position):
            r = shortest(position, box, i, j, vector[count])
            if r < cutoff:
                who[count], distance[count] = j, r
                harmonics(vector[count], r, y[count])
                count += 1
    return count


@jit
def push(force, i, j, pull):
    """Newton's third law: of the gradient by the vector from j to i."""
    for c in range(3):
        force[i, c] -= pull[c]
        force[j, c] += pull[c]


@jit
def first_layer(position, box, index, species, embedding, table, grid, linear, a):
    """a (N, 16, LANES), added up: neighbours summed, then mixed by degree and by the receiver's species."""
    slots = index.shape[1]
    who, vector, distance = np.empty(slots, np.int64), np.empty((slots, 3), np.float32), np.empty(slots, np.float32)
    y = np.empty((slots, SPHERICAL), np.float32)
    value, slope = np.empty((slots, 4, LANES), np.float32), np.empty((slots, 4, LANES), np.float32)
    summed = np.empty((SPHERICAL, LANES), np.float32)
    for i in range(len(position)):
        count = neighbours_of(position, box, index, i, grid[2], who, vector, distance, y)
        for s in range(count):
            look_up(table, grid, distance[s], value, slope, 4 * s)
            sent = load(embedding, species[who[s]])
            for ell in range(4):
                store(value, 4 * s + ell, load(value, 4 * s + ell) * sent)
        for m in range(SPHERICAL):
            row, result = degree(m), splat(np.float32(0))
            for s in range(count):
                result += y[s, m] * load(value, 4 * s + row)
            store(summed, m, result)
        for m in range(SPHERICAL):
            mix(summed, m, linear, 4 * species[i] + degree(m), a, SPHERICAL * i + m)


@jit
def pull_first_layer(position, box, index, species, embedding, table, grid, linear_t, change, force):
    """Forces of dE/da (N, 16, LANES) of the first layer, added to `force` (N, 3)."""
    slots = index.shape[1]
    who, vector, distance = np.empty(slots, np.int64), np.empty((slots, 3), np.float32), np.empty(slots, np.float32)
    y, dy = np.empty((slots, SPHERICAL), np.float32), np.empty(SPHERICAL, np.float32)
    value, slope = np.empty((4, LANES), np.float32), np.empty((4, LANES), np.float32)
    summed, pull = np.empty((SPHERICAL, LANES), np.float32), np.empty(3, np.float32)
    for i in range(len(position)):
        count = neighbours_of(position, box, index, i, grid[2], who, vector, distance, y)
        for m in range(SPHERICAL):
            store(summed, m, splat(np.float32(0)))
            mix(change, SPHERICAL * i + m, linear_t, 4 * species[i] + degree(m), summed, m)
        for s in range(count):
            look_up(table, grid, distance[s], value, slope, 0)
            sent, radial = load(embedding, species[who[s]]), splat(np.float32(0))
            for ell in range(4):
                x, back = load(value, ell) * sent, splat(np.float32(0))
                for m in range(ell * ell, (ell + 1) * (ell + 1)):
                    pulled = load(summed, m)
                    dy[m] = total(x * pulled)
                    back += y[s, m] * pulled
                radial += back * sent * load(slope, ell)
            pull_harmonics(vector[s], distance[s], dy, total(radial), pull)
            push(force, i, who[s], pull)


@jit
def readouts(coefficients, skip, species, hidden, readout, first, i, last, change_first):
    """Energy of one bead from its scalars in both layers; its derivatives by `last` into it, by `first` added up.

    x_h = last . hidden_h + first_i . skip_h, E = sum_h readout_h silu(x_h) + first_i . coefficients; hidden (H, LANES),
    skip (S, H, LANES).
    """
    x, y = load(last, 0), load(first, i)
    by_x, by_y = splat(np.float32(0)), load(coefficients, 0)
    energy = total(y * by_y)
    for h in range(len(readout)):
        of_x, of_y = load(hidden, h), load(skip, species * len(readout) + h)
        value = total(x * of_x + y * of_y)
        sigmoid = 1 / (1 + np.exp(-value))
        energy += readout[h] * value * sigmoid
        slope = readout[h] * sigmoid * (1 + value * (1 - sigmoid))
        by_x += slope * of_x
        by_y += slope * of_y
    store(last, 0, by_x)
    store(change_first, i, load(change_first, i) + by_y)
    return energy


@jit
def second_layer(
    position, box, index, species, sent, table, grid, paths, pairs, ends, couplings, strengths, linear, linear_t, terms, poly,
    first, coefficients, skip, hidden, readout, force, change_sent, change_first,
):  # fmt: skip
    """Energy of the second layer and the readouts. What it changes in forces, in `sent` (N, 4, LANES) and in the scalars
    of the first layer `first` (N, LANES) is added to `force`, `change_sent` and `change_first`.

    paths: (P, 6) degrees l1 (sent), l2 (harmonics), l3 (out), and the first of a path's rows among the products with what
    is sent X_(p a), the sums over neighbours S_(p a b), and the coupled A_(p c); pairs: (Q, 2) rows of X and S that meet
    in Y_m, those of m from ends[m - 1] to ends[m]; couplings: (M, 2) rows of A and S, with `strengths` (M,).
    """
    slots, n_paths = index.shape[1], len(paths)
    who, vector, distance = np.empty(slots, np.int64), np.empty((slots, 3), np.float32), np.empty(slots, np.float32)
    y, dy = np.empty((slots, SPHERICAL), np.float32), np.empty(SPHERICAL, np.float32)
    value = np.empty((slots, n_paths, LANES), np.float32)
    slope = np.empty((slots, n_paths, LANES), np.float32)
    end = paths[n_paths - 1]
    product = np.empty((end[3] + 2 * end[0] + 1, LANES), np.float32)
    summed = np.empty((end[4] + (2 * end[0] + 1) * (2 * end[1] + 1), LANES), np.float32)
    coupled = np.empty((end[5] + 2 * end[2] + 1, LANES), np.float32)
    a, da = np.empty((SPHERICAL, LANES), np.float32), np.empty((SPHERICAL, LANES), np.float32)
    last, pull = np.empty((1, LANES), np.float32), np.empty(3, np.float32)
    row_product = np.empty((slots, LANES), np.float32)
    energy = 0.0
    for i in range(len(position)):
        count = neighbours_of(position, box, index, i, grid[2], who, vector, distance, y)
        for s in range(count):
            look_up(table, grid, distance[s], value, slope, n_paths * s)
        for p in range(n_paths):
            l1, l2, row = paths[p, 0], paths[p, 1], paths[p, 4]
            for c in range(l1 * l1, (l1 + 1) * (l1 + 1)):
                for s in range(count):
                    store(row_product, s, load(value, n_paths * s + p) * load(sent, 4 * who[s] + c))
                for m in range(l2 * l2, (l2 + 1) * (l2 + 1)):
                    result = splat(np.float32(0))
                    for s in range(count):
                        result += y[s, m] * load(row_product, s)
                    store(summed, row, result)
                    row += 1
        coupled[:] = 0
        for t in range(len(couplings)):
            row, column = couplings[t]
            store(coupled, row, load(coupled, row) + strengths[t] * load(summed, column))
        a[:] = 0
        for p in range(n_paths):
            for c in range(2 * paths[p, 2] + 1):
                mix(coupled, paths[p, 5] + c, linear, p, a, paths[p, 2] ** 2 + c)
        last[:] = 0
        polynomial(terms, poly, species[i], a, 0, last, 0)
        energy += readouts(coefficients, skip, species[i], hidden, readout, first, i, last, change_first)
        da[:] = 0
        pull_polynomial(terms, poly, species[i], a, 0, last, 0, da, 0)
        coupled[:] = 0
        for p in range(n_paths):
            for c in range(2 * paths[p, 2] + 1):
                mix(da, paths[p, 2] ** 2 + c, linear_t, p, coupled, paths[p, 5] + c)
        summed[:] = 0
        for t in range(len(couplings)):
            row, column = couplings[t]
            store(summed, column, load(summed, column) + strengths[t] * load(coupled, row))
        for s in range(count):
            j, radial = who[s], splat(np.float32(0))
            for p in range(n_paths):
                l1, l2, row = paths[p, 0], paths[p, 1], paths[p, 4]
                r, dr = load(value, n_paths * s + p), load(slope, n_paths * s + p)
                for c in range(l1 * l1, (l1 + 1) * (l1 + 1)):
                    x, back = load(sent, 4 * j + c), splat(np.float32(0))
                    for m in range(l2 * l2, (l2 + 1) * (l2 + 1)):
                        back += y[s, m] * load(summed, row)
                        row += 1
                    store(product, paths[p, 3] + c - l1 * l1, r * x)
                    store(change_sent, 4 * j + c, load(change_sent, 4 * j + c) + back * r)
                    radial += back * x * dr
            for m in range(1, SPHERICAL):
                result = splat(np.float32(0))
                for t in range(ends[m - 1], ends[m]):
                    result += load(product, pairs[t, 0]) * load(summed, pairs[t, 1])
                dy[m] = total(result)
            pull_harmonics(vector[s], distance[s], dy, total(radial), pull)
            push(force, i, j, pull)
    return energy


@jit
def evaluate(
    position, box, index, species, embedding, table0, table1, grid, linear0, linear0_t, terms0, poly0, up, up_t,
    paths, pairs, ends, couplings, strengths, linear1, linear1_t, terms1, poly1, coefficients, skip, hidden, readout, force,
):  # fmt: skip
    """Energy of one frame (N, 3), its forces into `force`; without paths, of a network of one layer."""
    n, components = len(position), 4 if len(paths) else 1
    a, da = np.zeros((n, SPHERICAL, LANES), np.float32), np.zeros((n, SPHERICAL, LANES), np.float32)
    b, db = np.zeros((n, components, LANES), np.float32), np.zeros((n, components, LANES), np.float32)
    force[:] = 0
    first_layer(position, box, index, species, embedding, table0, grid, linear0, a)
    for i in range(n):
        polynomial(terms0, poly0, species[i], a, SPHERICAL * i, b, components * i)
    energy = 0.0
    if components == 1:
        for i in range(n):
            store(db, i, load(coefficients, 0))
            energy += total(load(b, i) * load(coefficients, 0))
    else:
        sent, change_sent = np.zeros((n, 4, LANES), np.float32), np.zeros((n, 4, LANES), np.float32)
        first, change_first = np.empty((n, LANES), np.float32), np.zeros((n, LANES), np.float32)
        for i in range(n):
            store(first, i, load(b, 4 * i))
            for c in range(4):
                mix(b, 4 * i + c, up, degree(c), sent, 4 * i + c)
        energy += second_layer(
            position, box, index, species, sent, table1, grid, paths, pairs, ends, couplings, strengths, linear1, linear1_t,
            terms1, poly1, first, coefficients, skip, hidden, readout, force, change_sent, change_first,
        )  # fmt: skip
        for i in range(n):
            for c in range(4):
                mix(change_sent, 4 * i + c, up_t, degree(c), db, 4 * i + c)
            store(db, 4 * i, load(db, 4 * i) + load(change_first, i))
    for i in range(n):
        pull_polynomial(terms0, poly0, species[i], a, SPHERICAL * i, db, components * i, da, SPHERICAL * i)
    pull_first_layer(position, box, index, species, embedding, table0, grid, linear0_t, da, force)
    return energy
