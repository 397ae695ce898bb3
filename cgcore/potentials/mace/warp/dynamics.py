"""One step of Langevin dynamics of each bead, in the BAOAB splitting, with noise from a counter.

As `simulate.dynamics.step`: B: p += F dt/2;  A: x += p/m dt/2;  O: p <- c p + sqrt((1 - c^2) m kT) xi;  A;  B.
"""

import warp as wp

from .arrays import Floats, Scratch, Vectors, Whole
from .kernel import force_on

wp.set_module_options({"enable_backward": False})
words = wp.types.vector(length=4, dtype=wp.uint32)
A, B = wp.constant(wp.uint32(0xD2511F53)), wp.constant(wp.uint32(0xCD9E8D57))
C, D = wp.constant(wp.uint32(0x9E3779B9)), wp.constant(wp.uint32(0xBB67AE85))


@wp.func
def high(x: wp.uint32, y: wp.uint32) -> wp.uint32:
    return wp.uint32((wp.uint64(x) * wp.uint64(y)) >> wp.uint64(32))


@wp.func
def philox(key0: wp.uint32, key1: wp.uint32, x: words) -> words:
    """Four random words for a key and a counter: Philox4x32-10 (Salmon et al., SC11)."""
    for _ in range(10):
        x = words(high(B, x[2]) ^ x[1] ^ key0, B * x[2], high(A, x[0]) ^ x[3] ^ key1, A * x[0])
        key0 += C
        key1 += D
    return x


@wp.func
def normal(key0: wp.uint32, key1: wp.uint32, step: int, bead: int) -> wp.vec3:
    """Three standard normal numbers of one step and bead, by Box and Muller."""
    x = philox(key0, key1, words(wp.uint32(step), wp.uint32(bead), wp.uint32(0), wp.uint32(0)))
    u = wp.vec4()  # between 0 and 1, neither of them included
    for k in range(4):
        u[k] = (float(x[k] >> wp.uint32(9)) + 0.5) / 8388608.0
    r, s = wp.sqrt(-2.0 * wp.log(u[0])), wp.sqrt(-2.0 * wp.log(u[2]))
    return wp.vec3(r * wp.cos(wp.TAU * u[1]), r * wp.sin(wp.TAU * u[1]), s * wp.cos(wp.TAU * u[3]))


@wp.kernel
def integrate(
    s: Scratch,
    mass: Floats,
    keys: wp.array2d(dtype=wp.uint32),
    about: Floats,
    first_step: Whole,
    number: int,
    steps: int,
    position: Vectors,
    momentum: Vectors,
    force: Vectors,
    energy: Floats,
):
    """The end of step `number` - 1 of a call and the begin of step `number`, of one bead; energy: of each frame, after the last.

    about: dt ps, exp(-friction dt), and sqrt((1 - exp(-2 friction dt)) kT), zero for none. number: from 0 to `steps`, and
    -1 for forces alone.
    """
    g, lane = wp.tid()
    n = mass.shape[0]
    if number != 0:
        force[g] = force_on(s, g)
    if lane == 0 and number >= 0:
        m, dt = mass[g % n], about[0]
        p = momentum[g]
        if number > 0:
            p += 0.5 * dt * force[g]
        if number < steps:
            p += 0.5 * dt * force[g]
            x = position[g] + 0.5 * dt / m * p
            if about[2] > 0.0:
                xi = normal(keys[g // n, 0], keys[g // n, 1], first_step[0] + number, g % n)
                p = about[1] * p + about[2] * wp.sqrt(m) * xi
            position[g] = x + 0.5 * dt / m * p
        momentum[g] = p
    if lane == 0 and g % n == 0 and (number == steps or number == -1):
        whole = wp.float64(0.0)
        for i in range(n):
            whole += wp.float64(s.energy[g + i])
        energy[g // n] = float(whole)
