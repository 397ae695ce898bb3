"""Energy and forces of a packed MACE in four launches, of a block for each bead; the network is that of `native.kernel`.

    A = sum_j R(r_ij) h_j Y(r_ij),  a = W A,  B = polynomial(a),  h = W' B + skip,  E = sum readout(h)

What an edge changes in its sender is kept with the edge, and the sender collects it from its own neighbours: no number is
added up by several blocks, so that sums have one order.
"""

import warp as wp

from .arrays import PULL, SLOPE, VALUE, WALL, Floats, Scratch, Vectors, Weights, Whole
from .edges import describe, pull, radial, search, slot_of
from .lanes import (
    LANES,
    SPHERICAL,
    contract,
    lane,
    mine,
    polynomial,
    product,
    pull_polynomial,
    seven,
    sixteen,
    store,
    sync,
    total,
    warp,
    warps,
)

wp.set_module_options({"enable_backward": False})


@wp.func
def gather(s: Scratch, paths: int, p: int, c: int, g: int, ell: int, row: int):
    """sum_j R_j h_j Y_j of one path and one component c of what is sent, over the harmonics of degree ell; into `sums`."""
    out = seven()
    for slot in range(s.count[g]):
        e = s.who.shape[1] * g + slot
        x = s.value[paths * e + p, lane()] * s.sent[4 * s.who[g, slot] + c, lane()]
        for m in range(7):
            if m < 2 * ell + 1:
                out[m] += s.edge[e, ell * ell + m] * x
    store(out, 2 * ell + 1, s.sums, row)


@wp.kernel
def first_layer(w: Weights, s: Scratch, position: Vectors, box: Floats, fullest: Whole):
    """Neighbours are found and summed, mixed by degree and by the receiver's species; the polynomial, and what is sent."""
    g, thread = wp.tid()
    n, slots, own = w.species.shape[0], s.who.shape[1], s.sums.shape[0] // s.count.shape[0] * g
    species = w.species[g % n]
    search(w, s, position, box, fullest, g)
    count = s.count[g]
    for slot in range(thread, count, wp.block_dim()):
        describe(w, s, position, box, g, slot)
    sync()
    for ell in range(4):
        if mine(ell):
            out = seven()
            for slot in range(count):
                e = slots * g + slot
                x = radial(w.table0, 4, s.knot[g, slot], ell, s.edge, e, VALUE)
                x *= w.embedding[w.species[s.who[g, slot] % n], lane()]
                for m in range(wp.static(2 * ell + 1)):
                    out[m] += s.edge[e, ell * ell + m] * x
            store(out, 2 * ell + 1, s.sums, own + ell * ell)
    sync()
    for ell in range(4):
        if mine(ell):
            mixed = product(s.sums, own + ell * ell, 2 * ell + 1, w.linear0, 4 * species + ell)
            store(mixed, 2 * ell + 1, s.a, SPHERICAL * g + ell * ell)
    sync()
    if mine(0):
        for c in range(4):
            s.b[4 * g + c, lane()] = 0.0
        polynomial(w.terms0, w.poly0, species, s.a, s.b, g)
        s.first[g, lane()] = s.b[4 * g, lane()]
    sync()
    if w.paths.shape[0] > 0:
        if mine(0):
            store(product(s.b, 4 * g, 1, w.up, 0), 1, s.sent, 4 * g)
            store(product(s.b, 4 * g + 1, 3, w.up, 1), 3, s.sent, 4 * g + 1)
    else:
        energy = total(s.first[g, lane()] * w.coefficients[0, lane()])
        if thread == 0:
            s.energy[g] = energy


@wp.kernel
def second_layer(w: Weights, s: Scratch):
    """The second layer and the readouts of a bead, and back to its edges: their changes, and what they send back."""
    g, thread = wp.tid()
    beads, slots, paths, count = s.count.shape[0], s.who.shape[1], w.paths.shape[0], s.count[g]
    own, own_coupled = s.sums.shape[0] // beads * g, s.coupled.shape[0] // beads * g
    species = w.species[g % w.species.shape[0]]
    for t in range(warp(), count * paths, warps()):
        slot, p = t // paths, t % paths
        e = slots * g + slot
        s.value[paths * e + p, lane()] = radial(w.table1, paths, s.knot[g, slot], p, s.edge, e, VALUE)
        s.slope[paths * e + p, lane()] = radial(w.table1, paths, s.knot[g, slot], p, s.edge, e, SLOPE)
    sync()
    turn = int(0)
    for p in range(paths):
        l1 = w.paths[p, 0]
        row = own + w.paths[p, 3]
        for c in range(l1 * l1, (l1 + 1) * (l1 + 1)):
            for ell in range(4):
                if ell == w.paths[p, 1] and mine(turn):
                    gather(s, paths, p, c, g, ell, row)
            row += 2 * w.paths[p, 1] + 1
            turn += 1
    sync()
    contract(w.coupled, w.strengths, 0, s.sums, own, s.coupled, own_coupled)
    sync()
    for ell in range(4):
        if mine(ell):
            mixed = seven()
            for p in range(paths):
                if w.paths[p, 2] == ell:
                    mixed += product(s.coupled, own_coupled + w.paths[p, 4], 2 * ell + 1, w.linear1, p)
            store(mixed, 2 * ell + 1, s.mixed, SPHERICAL * g + ell * ell)
    sync()
    if mine(0):
        s.b[4 * g, lane()] = 1.0
        scalars = pull_polynomial(w.terms1, w.poly1, species, s.mixed, s.b, s.da, g)
        s.b[4 * g, lane()] = scalars
    sync()
    # x_h = scalars . hidden_h + first . skip_h, E = sum_h readout_h silu(x_h) + first . coefficients
    x, y, hidden = s.b[4 * g, lane()], s.first[g, lane()], w.readout.shape[0]
    by_x = float(0.0)
    by_y = w.coefficients[0, lane()]
    energy = total(y * by_y)
    for h in range(hidden):
        of_x, of_y = w.hidden[h, lane()], w.skip[hidden * species + h, lane()]
        value = total(x * of_x + y * of_y)
        sigmoid = 1.0 / (1.0 + wp.exp(-value))
        energy += w.readout[h] * value * sigmoid
        slope = w.readout[h] * sigmoid * (1.0 + value * (1.0 - sigmoid))
        by_x += slope * of_x
        by_y += slope * of_y
    if thread == 0:
        s.energy[g] = energy
    if mine(0):
        s.by_first[g, lane()] = by_y
    for m in range(warp(), SPHERICAL, warps()):
        s.da[SPHERICAL * g + m, lane()] = s.da[SPHERICAL * g + m, lane()] * by_x
    sync()
    for p in range(warp(), paths, warps()):
        for ell in range(4):
            if ell == w.paths[p, 2]:
                back = product(s.da, SPHERICAL * g + ell * ell, 2 * ell + 1, w.linear1_t, p)
                store(back, 2 * ell + 1, s.coupled, own_coupled + w.paths[p, 4])
    sync()
    contract(w.spread, w.strengths, 1, s.coupled, own_coupled, s.sums, own)
    sync()
    for slot0 in range(0, count, warps()):
        pull_edge(w, s, g, wp.min(slot0 + warp(), count - 1), slot0 + warp() < count, own)


@wp.func
def pull_edge(w: Weights, s: Scratch, g: int, slot: int, there: bool, own: int):
    """Of dE/dS in `sums` what one edge gets: dE by its distance and harmonics, and by what is sent."""
    paths, e, j = w.paths.shape[0], s.who.shape[1] * g + slot, s.who[g, slot]
    by, back = sixteen(), wp.vec4()
    for ell in range(4):
        for p in range(paths):
            if w.paths[p, 1] == ell:
                l1 = w.paths[p, 0]
                row = own + w.paths[p, 3]
                value = s.value[paths * e + p, lane()]
                slope = s.slope[paths * e + p, lane()]
                for c in range(4):
                    if c >= l1 * l1 and c < (l1 + 1) * (l1 + 1):
                        x = s.sent[4 * j + c, lane()]
                        along = float(0.0)
                        for m in range(wp.static(2 * ell + 1)):
                            change = s.sums[row + (c - l1 * l1) * (2 * ell + 1) + m, lane()]
                            along += s.edge[e, ell * ell + m] * change
                            if ell > 0:
                                by[ell * ell + m] += x * value * change
                        back[c] += along * value
                        by[0] += along * x * slope
    for c in range(4):
        if there:
            s.back[4 * e + c, lane()] = back[c]
    for m in range(SPHERICAL):
        change = total(by[m])
        if there and lane() == 0:
            s.change[e, m] = s.change[e, m] + change


@wp.kernel
def pull_first_layer(w: Weights, s: Scratch):
    """What the beads that see a bead send back to it, through its first layer to its edges."""
    g, thread = wp.tid()
    n, slots, count = w.species.shape[0], s.who.shape[1], s.count[g]
    own, species = s.sums.shape[0] // s.count.shape[0] * g, w.species[g % n]
    for slot in range(thread, count, wp.block_dim()):
        s.back_slot[g, slot] = slot_of(s, s.who[g, slot], g)
    sync()
    if w.paths.shape[0] > 0:
        for c in range(warp(), 4, warps()):
            sent = float(0.0)
            for slot in range(count):
                sent += s.back[4 * (slots * s.who[g, slot] + s.back_slot[g, slot]) + c, lane()]
            s.sums[own + c, lane()] = sent
        sync()
        if mine(0):
            scalars = product(s.sums, own, 1, w.up_t, 0)
            s.b[4 * g, lane()] = scalars[0] + s.by_first[g, lane()]
            store(product(s.sums, own + 1, 3, w.up_t, 1), 3, s.b, 4 * g + 1)
    elif mine(0):
        s.b[4 * g, lane()] = w.coefficients[0, lane()]
    if mine(0):
        pull_polynomial(w.terms0, w.poly0, species, s.a, s.b, s.da, g)
    sync()
    for ell in range(4):
        if mine(ell):
            back = product(s.da, SPHERICAL * g + ell * ell, 2 * ell + 1, w.linear0_t, 4 * species + ell)
            store(back, 2 * ell + 1, s.sums, own + ell * ell)
    sync()
    for slot0 in range(0, count, warps()):
        slot, there = wp.min(slot0 + warp(), count - 1), slot0 + warp() < count
        e, by = slots * g + slot, sixteen()
        sent = w.embedding[w.species[s.who[g, slot] % n], lane()]
        for ell in range(4):
            x = sent * radial(w.table0, 4, s.knot[g, slot], ell, s.edge, e, VALUE)
            slope = sent * radial(w.table0, 4, s.knot[g, slot], ell, s.edge, e, SLOPE)
            for m in range(wp.static(2 * ell + 1)):
                change = s.sums[own + ell * ell + m, lane()]
                by[0] += s.edge[e, ell * ell + m] * change * slope
                if ell > 0:
                    by[ell * ell + m] += x * change
        for m in range(SPHERICAL):
            change = total(by[m])
            if there and lane() == 0:
                s.change[e, m] = s.change[e, m] + change
        if there and lane() == 0:
            pull(s, e)
    sync()
    if thread == 0:
        energy = s.energy[g]
        for slot in range(count):
            energy += s.change[slots * g + slot, WALL]
        s.energy[g] = energy


@wp.func
def force_on(s: Scratch, g: int) -> wp.vec3:
    """The force on a bead: what its edges pull, and those of its neighbours that end in it."""
    out = wp.vec3()
    for slot in range(lane(), s.count[g], LANES):
        e, back = s.who.shape[1] * g + slot, s.who.shape[1] * s.who[g, slot] + s.back_slot[g, slot]
        for c in range(3):
            out[c] += s.change[back, PULL + c] - s.change[e, PULL + c]
    return wp.vec3(total(out[0]), total(out[1]), total(out[2]))
