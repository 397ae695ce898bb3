"""Neighbours of a bead, 32 side by side: vectors, lengths, spherical harmonics and radial functions, with derivatives."""

from typing import NamedTuple

import numba
import numpy as np

from .lanes import LANES, fma, load, splat, sqrt, store

SPHERICAL = 16
"""Components of the harmonics, degrees 0 to 3."""
NODES = 6
"""Rows that a radial function is interpolated from: value, first and second derivative at both ends of an interval."""
LINE = 64
"""Bytes of a line of the processor's cache."""
FEW = 4
"""Edges of a bead that are taken at once, so that what belongs to the bead is read once for all of them."""

allocating = numba.njit(error_model="numpy")
jit = numba.njit(error_model="numpy", _nrt=False)
"""Without counts of references, which would cost more than the arithmetic; such functions make no arrays."""
f32 = np.float32


class Edges(NamedTuple):
    """Room for S = 32 B edges of one bead, of which rows (..., B, 32) hold 32 each.

    who: their senders; vector (3, S) from sender to receiver and of length one; distance; y: harmonics (16, S), and dy dE
    by them, with dE by the distance in place of the first, which does not change; interval and weights (12, S): where
    radial functions are read, by what factors they are summed, and by what factors their derivatives.
    """

    who: np.ndarray
    vector: np.ndarray
    distance: np.ndarray
    y: np.ndarray
    dy: np.ndarray
    interval: np.ndarray
    weights: np.ndarray


@allocating
def rows(n):
    """Room for n rows, which begin where lines of the cache do: half of the loads would touch two of them otherwise."""
    room = np.empty(LANES * n + LINE // 4, np.float32)
    start = -room.ctypes.data % LINE // 4
    return room[start : start + LANES * n].reshape(n, LANES)


@allocating
def room(slots):
    """Edges for beads with so many slots, a multiple of 32 with place to fill up."""
    s = (slots + FEW + LANES - 1) // LANES * LANES
    return Edges(
        np.empty(s, np.int64),
        rows(3 * s // LANES).reshape(3, s),
        rows(s // LANES).reshape(s),
        rows(SPHERICAL * s // LANES).reshape(SPHERICAL, s),
        rows(SPHERICAL * s // LANES).reshape(SPHERICAL, s),
        np.empty(s, np.int64),
        rows(2 * NODES * s // LANES).reshape(2 * NODES, s),
    )


@jit
def find(edges, position, box, index, i, grid, near):
    """Fill in the neighbours of bead i within the cut-off; how many, with those that fill the last FEW.

    grid: first knot and step of the radial functions in sqrt(r), the cut-off, and the number of knots; near (N, B, 2): beads
    whose edges to a bead have tables of their own, and which, counted from the end of the first. What fills up is the bead
    itself at the cut-off, where radial functions end with zero slope.
    """
    n, count, cutoff = len(position), 0, grid[2]
    for s in range(index.shape[1]):
        j = index[i, s]
        if j < n:
            square = f32(0)
            for c in range(3):
                d = position[i, c] - position[j, c]
                if box[c] > 0:
                    d -= box[c] * np.rint(d / box[c])
                edges.vector[c, count] = d
                square += d * d
            if square < cutoff * cutoff:
                edges.who[count] = j
                count += 1
    blocks = (count + LANES - 1) // LANES
    for s in range(count, LANES * blocks):
        edges.who[s] = i
        edges.vector[0, s], edges.vector[1, s], edges.vector[2, s] = cutoff, f32(0), f32(0)
    for block in range(blocks):
        _lengths(edges, block)
        _harmonics(edges, block)
        _weights(edges, block, grid)
    for s in range(count):
        for b in range(near.shape[1]):
            if near[i, b, 0] == edges.who[s]:
                edges.interval[s] += near[i, b, 1] * np.int64(grid[3])
    return (count + FEW - 1) // FEW * FEW


@jit
def _row(array, component, block):
    return component * (array.shape[1] // LANES) + block


@jit
def _lengths(edges, block):
    v = edges.vector
    x, y, z = load(v, _row(v, 0, block)), load(v, _row(v, 1, block)), load(v, _row(v, 2, block))
    r = sqrt(fma(x, x, fma(y, y, z * z)))
    store(edges.distance, block, r)
    store(v, _row(v, 0, block), x / r)
    store(v, _row(v, 1, block), y / r)
    store(v, _row(v, 2, block), z / r)


@jit
def _harmonics(edges, block):
    """Real spherical harmonics of degrees 0 to 3 with |Y_l|^2 = 2 l + 1, in e3nn's order."""
    v, out = edges.vector, edges.y
    x, y, z = load(v, _row(v, 0, block)), load(v, _row(v, 1, block)), load(v, _row(v, 2, block))
    xx, yy, zz = x * x, y * y, z * z
    s3, s5, s7 = f32(3**0.5), f32(5**0.5), f32(7**0.5)
    f, g = f32(7**0.5 * (5 / 6) ** 0.5), f32(7**0.5 * (3 / 8) ** 0.5)
    a, b, h = s3 * (x * z), f32(3**0.5 / 2) * (zz - xx), f32(4) * yy - (xx + zz)
    store(out, _row(out, 0, block), splat(f32(1)))
    store(out, _row(out, 1, block), s3 * x)
    store(out, _row(out, 2, block), s3 * y)
    store(out, _row(out, 3, block), s3 * z)
    store(out, _row(out, 4, block), s5 * a)
    store(out, _row(out, 5, block), f32(15**0.5) * (x * y))
    store(out, _row(out, 6, block), s5 * (yy - f32(0.5) * (xx + zz)))
    store(out, _row(out, 7, block), f32(15**0.5) * (y * z))
    store(out, _row(out, 8, block), s5 * b)
    store(out, _row(out, 9, block), f * fma(a, z, b * x))
    store(out, _row(out, 10, block), f32(35**0.5) * (a * y))
    store(out, _row(out, 11, block), g * (h * x))
    store(out, _row(out, 12, block), s7 * (y * (yy - f32(1.5) * (xx + zz))))
    store(out, _row(out, 13, block), g * (z * h))
    store(out, _row(out, 14, block), f32(35**0.5) * (b * y))
    store(out, _row(out, 15, block), f * (b * z - a * x))


@jit
def pull(edges, count):
    """Of dE by distance and harmonics in `edges.dy` the gradient by the vectors, in place of the vectors."""
    for block in range((count + LANES - 1) // LANES):
        _pull(edges, block)


@jit
def _pull(edges, block):
    v, c = edges.vector, edges.dy
    x, y, z = load(v, _row(v, 0, block)), load(v, _row(v, 1, block)), load(v, _row(v, 2, block))
    c1, c2, c3 = load(c, _row(c, 1, block)), load(c, _row(c, 2, block)), load(c, _row(c, 3, block))
    c4, c5, c6 = load(c, _row(c, 4, block)), load(c, _row(c, 5, block)), load(c, _row(c, 6, block))
    c7, c8, c9 = load(c, _row(c, 7, block)), load(c, _row(c, 8, block)), load(c, _row(c, 9, block))
    c10, c11, c12 = load(c, _row(c, 10, block)), load(c, _row(c, 11, block)), load(c, _row(c, 12, block))
    c13, c14, c15 = load(c, _row(c, 13, block)), load(c, _row(c, 14, block)), load(c, _row(c, 15, block))
    s3, s5, s7 = f32(3**0.5), f32(5**0.5), f32(7**0.5)
    s15, s35 = f32(15**0.5), f32(35**0.5)
    f, g = f32(7**0.5 * (5 / 6) ** 0.5), f32(7**0.5 * (3 / 8) ** 0.5)
    xx, yy, zz = x * x, y * y, z * z
    a, b, h = s3 * (x * z), f32(3**0.5 / 2) * (zz - xx), f32(4) * yy - (xx + zz)
    # dE by a, b and h, through which degrees 2 and 3 are written.
    da = fma(s5, c4, fma(f, c9 * z - c15 * x, s35 * (c10 * y)))
    db = fma(s5, c8, fma(f, fma(c9, x, c15 * z), s35 * (c14 * y)))
    dh = g * fma(c11, x, c13 * z)
    c12 = s7 * c12
    gx = fma(s3, c1, fma(s15, c5 * y, fma(f, c9 * b - c15 * a, g * (c11 * h)))) - s5 * (c6 * x)
    gx = gx + (s3 * (da * z - db * x) - fma(f32(2), dh * x, f32(3) * (c12 * (x * y))))
    gy = fma(s3, c2, fma(s15, fma(c5, x, c7 * z), fma(f32(2) * s5, c6 * y, s35 * fma(c10, a, c14 * b))))
    gy = gy + fma(c12, f32(3) * yy - f32(1.5) * (xx + zz), f32(8) * (dh * y))
    gz = fma(s3, c3, fma(s15, c7 * y, fma(f, fma(c9, a, c15 * b), g * (c13 * h)))) - s5 * (c6 * z)
    gz = gz + (s3 * fma(da, x, db * z) - fma(f32(2), dh * z, f32(3) * (c12 * (z * y))))
    radial, r = load(c, _row(c, 0, block)), load(edges.distance, block)
    along = fma(gx, x, fma(gy, y, gz * z)) / r
    store(v, _row(v, 0, block), gx / r + (radial - along) * x)
    store(v, _row(v, 1, block), gy / r + (radial - along) * y)
    store(v, _row(v, 2, block), gz / r + (radial - along) * z)


@jit
def barriers(edges, count, ranges, species, i):
    """Energy of the barriers between bead i and its neighbours, half of each pair's; half of dE/dr is added to `edges.dy`.

    ranges: (S, S, G, 3) by both species, from and to in nm and kJ/mol/nm^2; one from zero is a wall, others are hills, as in
    `potentials.barrier`.
    """
    energy = 0.0
    for s in range(count):
        r, j = edges.distance[s], edges.who[s]
        for g in range(ranges.shape[2]):
            low, high, k = ranges[species[i], species[j], g]
            if low < r < high:
                w = f32(1) if low == 0 else high - low
                x = (high - r) / w
                y, slope = (x, f32(-1)) if low == 0 else (x * (1 - x), f32(2) * x - f32(1))
                energy += k / 4 * (w * y) ** 2
                edges.dy[0, s] += k / 2 * w * y * slope
    return energy


@jit
def push(edges, count, i, force):
    """Newton's third law: add to `force` (N, 3) what `pull` left."""
    for s in range(count):
        for c in range(3):
            force[i, c] -= edges.vector[c, s]
            force[edges.who[s], c] += edges.vector[c, s]


@jit
def _weights(edges, block, grid):
    """Quintic Hermite interpolation in t, 0 ... 1 over an interval between knots, and its derivative by r.

    Below the first knot, where no frame comes, radial functions are constant.
    """
    first, step, knots, out = grid[0], grid[1], np.int64(grid[3]), edges.weights
    for s in range(LANES * block, LANES * (block + 1)):
        root = np.sqrt(edges.distance[s])
        at = max((root - first) / step, f32(0))
        interval = min(np.int64(at), knots - 2)
        edges.interval[s] = interval
        t = at - f32(interval)
        per_r = f32(0.5) / (root * step) if at > 0 else f32(0)
        u = f32(1) - t
        t2, u2 = t * t, u * u
        rise = t2 * t * (f32(10) + t * (f32(6) * t - f32(15)))
        bend = f32(30) * t2 * u2 * per_r
        out[0, s], out[5, s] = f32(1) - rise, rise
        out[1, s] = t * u2 * u * (f32(1) + f32(3) * t)
        out[4, s] = -u * t2 * t * (f32(1) + f32(3) * u)
        out[2, s] = f32(0.5) * t2 * u2 * u
        out[3, s] = f32(0.5) * u2 * t2 * t
        out[6, s], out[11, s] = -bend, bend
        out[7, s] = per_r * u2 * (f32(1) + f32(2) * t - f32(15) * t2)
        out[10, s] = per_r * t2 * (f32(1) + f32(2) * u - f32(15) * u2)
        out[8, s] = per_r * t * u2 * (f32(1) - f32(2.5) * t)
        out[9, s] = -per_r * u * t2 * (f32(1) - f32(2.5) * u)


@jit
def radial(table, edges, s, value, slope):
    """P radial functions of edge s and their derivatives by r, into rows p S + s.

    table: (knots, P, 3, LANES), kinds of edges one after the other: value and two derivatives by t.
    """
    n, slots, w = table.shape[1], len(edges.who), edges.weights
    w0, w1, w2 = splat(w[0, s]), splat(w[1, s]), splat(w[2, s])
    w3, w4, w5 = splat(w[3, s]), splat(w[4, s]), splat(w[5, s])
    d0, d1, d2 = splat(w[6, s]), splat(w[7, s]), splat(w[8, s])
    d3, d4, d5 = splat(w[9, s]), splat(w[10, s]), splat(w[11, s])
    row = 3 * n * edges.interval[s]
    for p in range(n):
        at, end = row + 3 * p, row + 3 * (n + p)
        f, g, h = load(table, at), load(table, at + 1), load(table, at + 2)
        k, m, o = load(table, end), load(table, end + 1), load(table, end + 2)
        store(value, p * slots + s, fma(w0, f, fma(w1, g, w2 * h)) + fma(w5, k, fma(w4, m, w3 * o)))
        store(slope, p * slots + s, fma(d0, f, fma(d1, g, d2 * h)) + fma(d5, k, fma(d4, m, d3 * o)))


@jit
def radial_values(table, edges, s, value):
    """`radial` without derivatives."""
    n, slots, w = table.shape[1], len(edges.who), edges.weights
    row = 3 * n * edges.interval[s]
    for p in range(n):
        at, end = row + 3 * p, row + 3 * (n + p)
        low = fma(w[0, s], load(table, at), fma(w[1, s], load(table, at + 1), w[2, s] * load(table, at + 2)))
        high = fma(w[5, s], load(table, end), fma(w[4, s], load(table, end + 1), w[3, s] * load(table, end + 2)))
        store(value, p * slots + s, low + high)
