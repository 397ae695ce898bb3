"""What the loops of `kernel.py` read and write, by name."""

from typing import NamedTuple

import numpy as np


class Weights(NamedTuple):
    """What does not change from frame to frame."""

    species: np.ndarray  # (N,)
    embedding: np.ndarray  # (S, LANES)
    table0: np.ndarray  # (kinds of edges x knots, 4, 3, LANES), see `edges.radial`
    table1: np.ndarray  # (kinds of edges x knots, P, 3, LANES)
    grid: np.ndarray  # first knot and step in sqrt(nm), cut-off, number of knots
    linear0: np.ndarray  # (S, 4, LANES, LANES)
    linear0_t: np.ndarray
    terms0: np.ndarray  # (T, 4), see `polynomial`
    poly0: np.ndarray  # (S, T, LANES)
    up: np.ndarray  # (2, LANES, LANES)
    up_t: np.ndarray
    paths: np.ndarray  # (P, 5), none for one layer; see `second_layer`
    coupled: np.ndarray  # (M, 2) rows of A and S, by A; see `contract`
    spread: np.ndarray  # (M, 2) rows of S and A, by S
    strengths: np.ndarray  # (2, M) of both
    linear1: np.ndarray  # (P, LANES, LANES)
    linear1_t: np.ndarray
    terms1: np.ndarray
    poly1: np.ndarray
    coefficients: np.ndarray  # (1, LANES)
    skip: np.ndarray  # (S, H, LANES)
    hidden: np.ndarray  # (H, LANES)
    readout: np.ndarray  # (H,)
    ranges: np.ndarray  # (S, S, G, 3), see `edges.barriers`
    near: np.ndarray  # (N, B, 2) beads that bonds lead to, N in empty slots, and by how many


class Frame(NamedTuple):
    """Positions (N, 3), the sides of the box (3,), zero where there is none, and neighbours (N, K), N in empty slots."""

    position: np.ndarray
    box: np.ndarray
    index: np.ndarray


class Scratch(NamedTuple):
    """What the passes leave for each other; of what a piece adds to beads of others each of Q pieces has its own."""

    a: np.ndarray  # (N, 16, LANES)
    first: np.ndarray  # (N, LANES) scalars of the first layer
    sent: np.ndarray  # (N, 4, LANES)
    by_first: np.ndarray  # (N, LANES)
    by_sent: np.ndarray  # (Q, N, 4, LANES)
    force: np.ndarray  # (Q, N, 3)
    energy: np.ndarray  # (Q,) in double precision


class Buffers(NamedTuple):
    """Rows that the second layer needs for one bead, by their names there."""

    value: np.ndarray
    slope: np.ndarray
    sent: np.ndarray
    row_product: np.ndarray
    summed: np.ndarray
    coupled: np.ndarray
    product: np.ndarray
    back: np.ndarray
    change: np.ndarray
    a: np.ndarray
    da: np.ndarray
    mixed: np.ndarray
    by_scalars: np.ndarray
    sums: np.ndarray
