"""Neighbours of a bead, each thread its own: search, distance, harmonics, tables, barriers, and their derivatives."""

import warp as wp

from .arrays import DISTANCE, PULL, SLOPE, UNIT, VALUE, WALL, Floats, Scratch, Vectors, Weights, Whole
from .lanes import LANES, SPHERICAL, Rows, lane, sixteen, sync, warp

S3, S5, S7, S15, S35 = (wp.constant(float(n**0.5)) for n in (3, 5, 7, 15, 35))
F, G = wp.constant(7**0.5 * (5 / 6) ** 0.5), wp.constant(7**0.5 * (3 / 8) ** 0.5)


@wp.func
def apart(position: Vectors, i: int, j: int, box: Floats) -> wp.vec3:
    """From bead j to bead i, nm, by the nearest image where the box has a length."""
    d = position[i] - position[j]
    for c in range(3):
        if box[c] > 0.0:
            d[c] -= box[c] * wp.rint(d[c] / box[c])
    return d


@wp.func
def search(w: Weights, s: Scratch, position: Vectors, box: Floats, fullest: Whole, g: int):
    """The neighbours of bead g in rising order: each thread looks at some beads in a row, and writes after those before it."""
    n, slots, start = w.species.shape[0], s.who.shape[1], g // w.species.shape[0] * w.species.shape[0]
    thread, threads = LANES * warp() + lane(), wp.block_dim()
    each = (n + threads - 1) // threads
    begin, end = start + wp.min(thread * each, n), start + wp.min(thread * each + each, n)
    own = int(0)
    for j in range(begin, end):
        if near(position, g, j, box, w.grid[2]):
            own += 1
    s.b[4 * g + warp(), lane()] = float(own)
    sync()
    place, count = int(0), int(0)
    for t in range(threads):
        found = int(s.b[4 * g + t // LANES, t % LANES])
        count += found
        if t < thread:
            place += found
    for j in range(begin, end):
        if near(position, g, j, box, w.grid[2]):
            if place < slots:
                s.who[g, place] = j
            place += 1
    if thread == 0:
        s.count[g] = wp.min(count, slots)
        fullest[g] = wp.max(fullest[g], count)
    sync()


@wp.func
def near(position: Vectors, i: int, j: int, box: Floats, cutoff: float) -> bool:
    return i != j and wp.length_sq(apart(position, i, j, box)) < cutoff * cutoff


@wp.func
def describe(w: Weights, s: Scratch, position: Vectors, box: Floats, g: int, slot: int):
    """Of one edge all that does not depend on channels: see `Scratch`."""
    n, e, j = w.species.shape[0], s.who.shape[1] * g + slot, s.who[g, slot]
    d = apart(position, g, j, box)
    r = wp.length(d)
    u = d / r
    harmonics(u, s.edge, e)
    for c in range(3):
        s.edge[e, UNIT + c] = u[c]
    s.edge[e, DISTANCE] = r
    knot = interpolation(w, s.edge, e, r)
    for b in range(w.near.shape[1]):
        if w.near[g % n, b, 0] == j % n:
            knot += w.near[g % n, b, 1] * int(w.grid[3])
    s.knot[g, slot] = knot
    for m in range(SPHERICAL):
        s.change[e, m] = 0.0
    barriers(w, s.change, e, r, w.species[g % n], w.species[j % n])


@wp.func
def interpolation(w: Weights, edge: Rows, e: int, r: float) -> int:
    """The interval in the tables, and by what their rows are multiplied; see `native.edges._weights`."""
    root = wp.sqrt(r)
    at = wp.max((root - w.grid[0]) / w.grid[1], 0.0)
    interval = wp.min(int(at), int(w.grid[3]) - 2)
    t = at - float(interval)
    per_r = float(0.0)
    if at > 0.0:
        per_r = 0.5 / (root * w.grid[1])
    u = 1.0 - t
    t2, u2 = t * t, u * u
    rise = t2 * t * (10.0 + t * (6.0 * t - 15.0))
    bend = 30.0 * t2 * u2 * per_r
    edge[e, VALUE] = 1.0 - rise
    edge[e, VALUE + 1] = t * u2 * u * (1.0 + 3.0 * t)
    edge[e, VALUE + 2] = 0.5 * t2 * u2 * u
    edge[e, VALUE + 3] = 0.5 * u2 * t2 * t
    edge[e, VALUE + 4] = -u * t2 * t * (1.0 + 3.0 * u)
    edge[e, VALUE + 5] = rise
    edge[e, SLOPE] = -bend
    edge[e, SLOPE + 1] = per_r * u2 * (1.0 + 2.0 * t - 15.0 * t2)
    edge[e, SLOPE + 2] = per_r * t * u2 * (1.0 - 2.5 * t)
    edge[e, SLOPE + 3] = -per_r * u * t2 * (1.0 - 2.5 * u)
    edge[e, SLOPE + 4] = per_r * t2 * (1.0 + 2.0 * u - 15.0 * u2)
    edge[e, SLOPE + 5] = bend
    return interval


@wp.func
def radial(table: Rows, paths: int, knot: int, p: int, edge: Rows, e: int, weights: int) -> float:
    """Radial function p of an edge with weights of VALUE, its derivative by the distance with those of SLOPE."""
    out = float(0.0)
    for q in range(3):
        out += edge[e, weights + q] * table[3 * (paths * knot + p) + q, lane()]
    for q in range(3):  # value and two derivatives at the other end, whose weights stand in the opposite order
        out += edge[e, weights + 5 - q] * table[3 * (paths * knot + paths + p) + q, lane()]
    return out


@wp.func
def harmonics(u: wp.vec3, out: Rows, e: int):
    """Real spherical harmonics of degrees 0 to 3 with |Y_l|^2 = 2 l + 1, in e3nn's order."""
    x, y, z = u[0], u[1], u[2]
    xx, yy, zz = x * x, y * y, z * z
    a, b, h = S3 * x * z, 0.5 * S3 * (zz - xx), 4.0 * yy - (xx + zz)
    out[e, 0] = 1.0
    out[e, 1] = S3 * x
    out[e, 2] = S3 * y
    out[e, 3] = S3 * z
    out[e, 4] = S5 * a
    out[e, 5] = S15 * x * y
    out[e, 6] = S5 * (yy - 0.5 * (xx + zz))
    out[e, 7] = S15 * y * z
    out[e, 8] = S5 * b
    out[e, 9] = F * (a * z + b * x)
    out[e, 10] = S35 * a * y
    out[e, 11] = G * h * x
    out[e, 12] = S7 * y * (yy - 1.5 * (xx + zz))
    out[e, 13] = G * z * h
    out[e, 14] = S35 * b * y
    out[e, 15] = F * (b * z - a * x)


@wp.func
def pull(s: Scratch, e: int):
    """dE by the vector of an edge from dE by its distance, in place of the first harmonic, and by its harmonics."""
    x, y, z = s.edge[e, UNIT], s.edge[e, UNIT + 1], s.edge[e, UNIT + 2]
    c = sixteen()
    for m in range(SPHERICAL):
        c[m] = s.change[e, m]
    xx, yy, zz = x * x, y * y, z * z
    a, b, h = S3 * x * z, 0.5 * S3 * (zz - xx), 4.0 * yy - (xx + zz)
    # dE by a, b and h, through which degrees 2 and 3 are written.
    da = S5 * c[4] + F * (c[9] * z - c[15] * x) + S35 * c[10] * y
    db = S5 * c[8] + F * (c[9] * x + c[15] * z) + S35 * c[14] * y
    dh = G * (c[11] * x + c[13] * z)
    d = S7 * c[12]
    gx = S3 * c[1] + S15 * c[5] * y + F * (c[9] * b - c[15] * a) + G * c[11] * h - S5 * c[6] * x
    gx += S3 * (da * z - db * x) - 2.0 * dh * x - 3.0 * d * x * y
    gy = S3 * c[2] + S15 * (c[5] * x + c[7] * z) + 2.0 * S5 * c[6] * y + S35 * (c[10] * a + c[14] * b)
    gy += d * (3.0 * yy - 1.5 * (xx + zz)) + 8.0 * dh * y
    gz = S3 * c[3] + S15 * c[7] * y + F * (c[9] * a + c[15] * b) + G * c[13] * h - S5 * c[6] * z
    gz += S3 * (da * x + db * z) - 2.0 * dh * z - 3.0 * d * z * y
    u, g = wp.vec3(x, y, z), wp.vec3(gx, gy, gz)
    out = (g - wp.dot(g, u) * u) / s.edge[e, DISTANCE] + c[0] * u
    for k in range(3):
        s.change[e, PULL + k] = out[k]


@wp.func
def barriers(w: Weights, change: Rows, e: int, r: float, a: int, b: int):
    """Half the energy of a pair in ranges that no frame has, and half of dE/dr; as `native.edges.barriers`."""
    energy, by = float(0.0), float(0.0)
    for g in range(w.ranges.shape[2]):
        low, high, k = w.ranges[a, b, g, 0], w.ranges[a, b, g, 1], w.ranges[a, b, g, 2]
        if low < r and r < high:
            width, slope = float(1.0), float(-1.0)
            if low > 0.0:
                width = high - low
            x = (high - r) / width
            y = x
            if low > 0.0:
                y = x * (1.0 - x)
                slope = 2.0 * x - 1.0
            energy += 0.25 * k * width * width * y * y
            by += 0.5 * k * width * y * slope
    change[e, 0] = by
    change[e, WALL] = energy


@wp.func
def slot_of(s: Scratch, g: int, j: int) -> int:
    """Where bead j is among the neighbours of bead g, which stand in rising order."""
    low, high = int(0), s.count[g] - 1
    while low < high:
        middle = (low + high) // 2
        if s.who[g, middle] < j:
            low = middle + 1
        else:
            high = middle
    return low
