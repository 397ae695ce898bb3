"""A warp of 32 threads as the 32 channels of a row: what the threads of a block do together.

A block works on one bead. Its warps share out rows and edges, so that each number is added up by one of them, in the same
order whatever their number. On the processor the threads of a block are fibers, which take turns at each `sync`.
"""

import warp as wp

LANES = 32
Rows = wp.array2d(dtype=float)
"""Rows of 32 channels."""
Wholes = wp.array2d(dtype=int)
SPHERICAL = 16
"""Components of the harmonics, degrees 0 to 3."""
seven = wp.types.vector(length=7, dtype=float)
"""One number for each component of a degree up to 3."""
sixteen = wp.types.vector(length=SPHERICAL, dtype=float)


@wp.func_native("return WP_TILE_THREAD_IDX % 32;")
def lane() -> int:
    """The channel of this thread."""


@wp.func_native("return WP_TILE_THREAD_IDX / 32;")
def warp() -> int:
    """The number of its warp in the block."""


@wp.func
def warps() -> int:
    return wp.block_dim() // LANES


@wp.func
def mine(number: int) -> bool:
    """Whether this of several pieces of work is for the warp of this thread."""
    return number % warps() == warp()


@wp.func_native("WP_TILE_SYNC();")
def sync():
    """Wait for all threads of the block."""


@wp.func_native("""
#if defined(__CUDA_ARCH__)
    for (int k = 16; k > 0; k /= 2) x += __shfl_xor_sync(0xffffffffu, x, k);
    return x;
#else
    static float room[1024];
    const int own = WP_TILE_THREAD_IDX / 32 * 32;
    float sums[32];
    room[WP_TILE_THREAD_IDX] = x;
    WP_TILE_SYNC();
    for (int i = 0; i < 32; i++) sums[i] = room[own + i];
    WP_TILE_SYNC();
    for (int k = 16; k > 0; k /= 2)
        for (int i = 0; i < k; i++) sums[i] += sums[i + k];
    return sums[0];
#endif
""")
def total(x: float) -> float:
    """Sum over the lanes of a warp, halves added to each other; all threads of a block have to ask for one."""


@wp.func
def product(x: Rows, row: int, n: int, matrices: Rows, number: int) -> seven:
    """n rows of x times matrix `number`, LANES rows each."""
    out = seven()
    for k in range(LANES):
        w = matrices[LANES * number + k, lane()]
        for m in range(7):
            if m < n:
                out[m] += x[row + m, k] * w
    return out


@wp.func
def store(values: seven, n: int, out: Rows, row: int):
    for m in range(7):
        if m < n:
            out[row + m, lane()] = values[m]


@wp.func
def contract(entries: Wholes, strengths: Rows, side: int, x: Rows, x_row: int, out: Rows, out_row: int):
    """out_r = sum over the entries (r, k) of strength x_k; entries (M, 2) in order of r."""
    n = entries.shape[0]
    for r in range(warp(), entries[n - 1, 0] + 1, warps()):
        out[out_row + r, lane()] = 0.0  # some have no entry
    result = float(0.0)
    for t in range(n):
        r = entries[t, 0]
        if mine(r):
            result += strengths[side, t] * x[x_row + entries[t, 1], lane()]
            if entries[wp.min(t + 1, n - 1), 0] != r or t + 1 == n:
                out[out_row + r, lane()] = result
                result = 0.0


@wp.func
def polynomial(terms: Wholes, coefficients: Rows, species: int, a: Rows, out: Rows, g: int):
    """out_c = sum_i a_i (w_ci + sum_j a_j (w_cij + sum_l a_l w_cijl)), added up, of bead g; see `native.kernel.polynomial`."""
    n = terms.shape[0]
    first = species * n
    t = int(0)
    while t < n:
        outer = coefficients[first + t, lane()]
        end = terms[t, 3]
        i = terms[t, 1]
        c = terms[t, 2]
        t += 1
        while t < end:
            middle = coefficients[first + t, lane()]
            last = terms[t, 3]
            j = terms[t, 1]
            t += 1
            while t < last:
                middle += coefficients[first + t, lane()] * a[SPHERICAL * g + terms[t, 1], lane()]
                t += 1
            outer += middle * a[SPHERICAL * g + j, lane()]
        out[4 * g + c, lane()] = out[4 * g + c, lane()] + outer * a[SPHERICAL * g + i, lane()]


@wp.func
def pull_polynomial(terms: Wholes, coefficients: Rows, species: int, a: Rows, change: Rows, da: Rows, g: int) -> float:
    """dE/da of `polynomial` for dE/d out_c in `change`, into `da`; sum_c change_c out_c."""
    n = terms.shape[0]
    first = species * n
    for m in range(16):
        da[SPHERICAL * g + m, lane()] = 0.0
    value = float(0.0)
    t = int(0)
    while t < n:
        outer = coefficients[first + t, lane()]
        end = terms[t, 3]
        i = terms[t, 1]
        by_out = change[4 * g + terms[t, 2], lane()]
        by_outer = by_out * a[SPHERICAL * g + i, lane()]
        t += 1
        while t < end:
            middle = coefficients[first + t, lane()]
            last = terms[t, 3]
            j = terms[t, 1]
            x = a[SPHERICAL * g + j, lane()]
            by_middle = by_outer * x
            t += 1
            while t < last:
                w = coefficients[first + t, lane()]
                m = terms[t, 1]
                middle += w * a[SPHERICAL * g + m, lane()]
                da[SPHERICAL * g + m, lane()] = da[SPHERICAL * g + m, lane()] + by_middle * w
                t += 1
            outer += middle * x
            da[SPHERICAL * g + j, lane()] = da[SPHERICAL * g + j, lane()] + by_outer * middle
        da[SPHERICAL * g + i, lane()] = da[SPHERICAL * g + i, lane()] + by_out * outer
        value += by_outer * outer
    return value
