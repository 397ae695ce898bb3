"""What the kernels read and write, by name; rows are of 32 channels.

G beads of all frames, K slots for the neighbours of each, P paths of the second layer; edge e = K g + s.
"""

import warp as wp

from .lanes import Rows, Wholes

Floats = wp.array(dtype=float)
Whole = wp.array(dtype=int)
Vectors = wp.array(dtype=wp.vec3)


@wp.struct
class Weights:
    """`native.arrays.Weights` with all axes but the last one of rows of channels in one."""

    species: Whole
    embedding: Rows
    table0: Rows
    table1: Rows
    grid: Floats  # first knot and step in sqrt(nm), cut-off
    linear0: Rows
    linear0_t: Rows
    terms0: Wholes
    poly0: Rows
    up: Rows
    up_t: Rows
    paths: Wholes
    coupled: Wholes
    spread: Wholes
    strengths: Rows
    linear1: Rows
    linear1_t: Rows
    terms1: Wholes
    poly1: Rows
    coefficients: Rows
    skip: Rows
    hidden: Rows
    readout: Floats
    ranges: wp.array4d(dtype=float)
    near: wp.array3d(dtype=int)


@wp.struct
class Scratch:
    """What the kernels leave for each other.

    who, back_slot, knot: sender of each edge, the slot that it has in the sender's own list, and the interval of its
    distance in the tables. edge: harmonics, unit vector, distance, and weights of six table rows for values and slopes.
    change: dE by distance and harmonics, by the vector, and the energy of the barriers, at BY, PULL and WALL.
    """

    a: Rows  # 16 G
    first: Rows  # G
    sent: Rows  # 4 G
    by_first: Rows  # G
    sums: Rows  # of the sums over neighbours of one bead
    coupled: Rows
    mixed: Rows  # 16 G
    da: Rows  # 16 G
    b: Rows  # 4 G
    edge: Rows  # K G
    change: Rows  # K G
    value: Rows  # K G P
    slope: Rows  # K G P
    back: Rows  # 4 K G
    who: Wholes
    back_slot: Wholes
    knot: Wholes
    count: Whole
    energy: Floats  # G


UNIT, DISTANCE, VALUE, SLOPE = 16, 19, 20, 26
"""Where a row of `edge` has what, after its 16 harmonics."""
PULL, WALL = 16, 19
"""Where a row of `change` has what, after dE by distance and harmonics."""
