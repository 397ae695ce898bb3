"""The dense layout of pairs against a plain double loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgcore.neighbors import (
    SHORT,
    NeighbourError,
    all_pairs,
    bond_graph,
    bond_kind,
    capacity_for,
    closest,
    mean_neighbours,
    neighbour_counts,
    pairs_of_frames,
    row_index,
    rows,
    short_rows,
    short_rows_for,
)

BOXES = {"vacuum": np.full(3, np.inf), "periodic": np.array([1.0, 1.2, 1.5]), "slab": np.array([1.0, 1.2, np.inf])}


@pytest.fixture(scope="module")
def position() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 1, (6, 3))


def shortest(position: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(N, N, 3) from sender (second) to receiver (first): the shortest of the 27 images."""
    images = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), -1).reshape(-1, 3) * np.where(np.isinf(box), 0, box)
    d = (position[:, None] - position[None])[:, :, None] + images
    nearest = np.linalg.norm(d, axis=-1).argmin(-1)
    return np.take_along_axis(d, nearest[..., None, None], 2)[:, :, 0]


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_vectors_point_from_sender_to_receiver(position, box):
    edges = all_pairs(jnp.asarray(position), jnp.asarray(box))
    wanted = shortest(position, box)
    apart = ~np.eye(6, dtype=bool)
    assert_allclose(edges.vector[apart], wanted[apart], rtol=1e-13, atol=1e-15)
    assert edges.distance.shape == (15,)
    assert_allclose(edges.expand(edges.distance), np.linalg.norm(wanted, axis=-1), rtol=1e-13)


def test_empty_slots_are_unit_vectors_and_zero_values(position):
    """A constant unit vector has harmonics and gradients; the mask removes what it contributes."""
    edges = all_pairs(jnp.asarray(position), jnp.asarray(BOXES["vacuum"]))
    itself = np.arange(6)
    assert_array_equal(edges.vector[itself, itself], np.tile([1.0, 0, 0], (6, 1)))
    values = jnp.ones((15, 4, 2))
    assert edges.expand(values).shape == (6, 6, 4, 2)
    assert_array_equal(edges.expand(values)[..., 0, 0], 1 - np.eye(6))


def test_sums_over_senders(position):
    """sum_j f(r_ij) q_j by the layout, and by a loop."""
    q = np.random.default_rng(1).normal(size=6)
    edges = all_pairs(jnp.asarray(position), jnp.asarray(BOXES["vacuum"]))
    got = jnp.sum(edges.expand(jnp.exp(-edges.distance)) * edges.sender(q), axis=1)
    wanted = [
        sum(np.exp(-np.linalg.norm(position[i] - position[j])) * q[j] for j in range(6) if j != i) for i in range(6)
    ]
    assert_allclose(got, wanted, rtol=1e-13)


def test_gradients_are_finite_and_sum_to_zero(position):
    def energy(x):
        edges = all_pairs(x, jnp.asarray(BOXES["vacuum"]))
        norm = jnp.linalg.norm(edges.vector, axis=-1)
        return jnp.sum(edges.expand(edges.distance**-3) * jnp.cos(norm))

    gradient = jax.grad(energy)(jnp.asarray(position))
    assert np.isfinite(gradient).all()
    assert_allclose(gradient.sum(0), 0, atol=1e-10 * np.abs(gradient).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_that_of_the_positions(position, dtype):
    edges = all_pairs(jnp.asarray(position, dtype), jnp.asarray(BOXES["periodic"], dtype))
    assert {edges.vector.dtype, edges.distance.dtype, edges.expand(edges.distance).dtype} == {np.dtype(dtype)}


def test_mean_number_of_neighbours():
    """Three beads in a row 0.2 nm apart: 0, 4/3 and 2 neighbours each as the cut-off grows; and over two frames."""
    row = np.array([[[0, 0, 0], [0.2, 0, 0], [0.4, 0, 0]]])
    vacuum = BOXES["vacuum"]
    assert [mean_neighbours(row, vacuum, c) for c in (0.1, 0.3, 0.5)] == pytest.approx([0, 4 / 3, 2])
    both = np.concatenate([row, 3 * row])
    assert mean_neighbours(both, vacuum, 0.3) == pytest.approx(2 / 3)
    assert mean_neighbours(row, np.array([0.6, 9, 9]), 0.3) == pytest.approx(2)


CUTOFF = 0.45


@pytest.fixture(scope="module")
def liquid() -> np.ndarray:
    return np.random.default_rng(2).uniform(0, 1, (40, 3)) * BOXES["periodic"]


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_rows_hold_what_is_within_the_cutoff(liquid, box):
    """Vectors, lengths, ends and senders of the rows are those of all pairs within the cut-off, and nothing else."""
    index, full = row_index(jnp.asarray(liquid), jnp.asarray(box), CUTOFF, 30)
    assert not full
    edges = rows(jnp.asarray(liquid), jnp.asarray(box), index)
    wanted = shortest(liquid, box)
    length = np.linalg.norm(wanted, axis=-1)
    near = (length < CUTOFF) & ~np.eye(40, dtype=bool)
    there = np.asarray(index) < 40
    assert_array_equal(there.sum(1), near.sum(1))
    assert_array_equal(neighbour_counts(liquid[None], box, CUTOFF)[0], near.sum(1))
    receiver, sender = np.nonzero(near)  # in rising order, as the rows are
    assert_allclose(edges.vector[there], wanted[receiver, sender], rtol=1e-12, atol=1e-14)
    assert_array_equal(edges.vector[~there], np.tile([1.0, 0, 0], (int((~there).sum()), 1)))
    assert_allclose(edges.distance.reshape(there.shape)[there], length[near], rtol=1e-12)
    assert_array_equal(edges.expand(jnp.ones(edges.distance.shape)), there)
    assert_array_equal(edges.sender(jnp.arange(40))[there], sender)
    first, second = (np.asarray(end).reshape(there.shape)[there] for end in edges.ends)
    assert_array_equal(first, receiver)
    assert_array_equal(second, sender)


def test_rows_and_all_pairs_have_one_contract(liquid):
    """sum_j f(r_ij) q_j and its gradient, by either layout."""
    box, q = jnp.asarray(BOXES["periodic"]), np.random.default_rng(1).normal(size=40)

    def total(x, edges):
        weight = edges.expand(jnp.maximum(0, CUTOFF - edges.distance) ** 3)
        return jnp.sum(weight * edges.sender(q) * (1 + edges.vector[..., 0] ** 2))

    def listed(x):
        return total(x, rows(x, box, row_index(x, box, CUTOFF, 30)[0]))

    (a, da), (b, db) = (
        jax.value_and_grad(f)(jnp.asarray(liquid)) for f in (listed, lambda x: total(x, all_pairs(x, box)))
    )
    assert_allclose(a, b, rtol=1e-12)
    assert_allclose(da, db, rtol=1e-10, atol=1e-12 * np.abs(db).max())


@pytest.mark.parametrize("spare", [0, 3])
def test_short_rows_hold_the_same_neighbours(liquid, spare):
    """Every directed edge once, however beads with none, one or many rows follow one another; sums by bead agree."""
    box = jnp.asarray(BOXES["periodic"])
    x = np.concatenate([liquid, [[0.5, 0.6, 30.0]]])  # the last bead is alone
    box = box.at[2].set(60.0)
    index, _ = row_index(jnp.asarray(x), box, CUTOFF, 30)
    long = rows(jnp.asarray(x), box, index)
    needed = int((-(-np.asarray(index < 41).sum(1) // SHORT)).sum())
    assert needed > 41
    edges, full = short_rows(jnp.asarray(x), box, index, needed + spare)
    assert not full and edges.vector.shape == (needed + spare, SHORT, 3)
    met = np.asarray(edges.expand(jnp.ones(edges.distance.shape))) > 0
    there = np.asarray(long.expand(jnp.ones(long.distance.shape))) > 0
    bead = np.broadcast_to(np.asarray(edges.receiver)[:, None], met.shape)
    pairs = sorted(zip(bead[met], np.asarray(edges.index)[met], strict=True))
    assert pairs == sorted(zip(*(np.asarray(end)[there.ravel()] for end in long.ends), strict=True))
    for e, filled in ((edges, met), (long, there), (all_pairs(jnp.asarray(x), box), ~np.eye(41, dtype=bool))):
        backwards = np.asarray(e.length) < 0
        number = np.where(backwards, -1 - np.asarray(e.length), e.length)
        assert (number[~filled] == len(e.distance)).all()
        bead = np.arange(len(filled)) if e.receiver is None else np.asarray(e.receiver)
        ends = np.stack([np.broadcast_to(bead[:, None], filled.shape), e.index], axis=-1)
        ends = np.where(backwards[..., None], ends[..., ::-1], ends)
        assert_array_equal(ends[filled], np.stack(e.ends, axis=-1)[number[filled]])
        sign = np.where(backwards, -1, 1)[..., None]
        assert_array_equal((sign * e.apart[np.minimum(number, len(e.apart) - 1)])[filled], e.vector[filled])
    assert_array_equal(edges.vector[~met], np.tile([1.0, 0, 0], (int((~met).sum()), 1)))
    q = np.random.default_rng(1).normal(size=(41, 2))
    wanted, sums = (e.receive((e.expand(e.distance)[..., None] * e.sender(q)).sum(axis=1), 41) for e in (long, edges))
    assert_allclose(sums, wanted, rtol=1e-12, atol=1e-14)
    assert short_rows(jnp.asarray(x), box, index, needed - 1)[1]
    assert short_rows_for(x[None], np.asarray(box), CUTOFF) == int(np.ceil(1.05 * needed))


def test_several_frames_are_one_graph_of_which_none_sees_another(position):
    box = jnp.asarray(BOXES["vacuum"])
    x = jnp.stack([jnp.asarray(position), 1.1 * jnp.asarray(position)])
    n = x.shape[1]
    together = pairs_of_frames(x, box)
    q = np.random.default_rng(2).normal(size=(2 * n, 3))
    for frame, part in enumerate((slice(0, n), slice(n, 2 * n))):
        edges, met = all_pairs(x[frame], box), ~np.eye(n, dtype=bool)
        assert_allclose(together.vector[part][met], edges.vector[met], rtol=1e-13, atol=1e-15)
        assert_allclose(together.expand(together.distance)[part], edges.expand(edges.distance), rtol=1e-13)
        sent = jnp.broadcast_to(edges.sender(q[part]), (n, n, 3))
        assert_array_equal(together.sender(q)[part][met], sent[met])
        lengths = slice(frame * len(edges.distance), (frame + 1) * len(edges.distance))
        assert_allclose(together.apart[lengths], edges.apart, rtol=1e-13, atol=1e-15)
        for end, of_one in zip(together.ends, edges.ends, strict=True):
            assert_array_equal(end[lengths], of_one + frame * n)


def test_an_overflow_is_flagged(liquid):
    box = BOXES["periodic"]
    fullest = int(neighbour_counts(liquid[None], box, CUTOFF).max())
    for capacity, flag in ((fullest, False), (fullest - 1, True)):
        index, full = row_index(jnp.asarray(liquid), jnp.asarray(box), CUTOFF, capacity)
        assert (index.shape, bool(full)) == ((40, capacity), flag)


def test_slots_are_those_of_the_fullest_row_and_a_margin(liquid):
    box = BOXES["periodic"]
    frames = np.stack([liquid, 0.9 * liquid])
    fullest = neighbour_counts(frames, box, CUTOFF).max()
    assert capacity_for(frames, box, CUTOFF) == int(np.ceil(1.15 * fullest))
    assert capacity_for(frames[:, :5], box, CUTOFF) <= 4
    with pytest.raises(NeighbourError, match=r"at most half the box, 0.500 nm, got 0.51 nm"):
        capacity_for(frames, box, 0.51)
    with pytest.raises(NeighbourError, match="want frames in a box, these have none"):
        capacity_for(frames, BOXES["vacuum"], CUTOFF)


def test_bonds_between_beads():
    """A ring of five with a tail of four: shortest ways of up to three bonds; bead 9 is alone."""
    bonds = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (4, 5), (5, 6), (6, 7), (7, 8)]
    ways = np.full((10, 10), 99)
    for i, j in bonds:
        ways[i, j] = ways[j, i] = 1
    for k in range(10):  # Floyd and Warshall
        ways = np.minimum(ways, ways[:, [k]] + ways[[k]])
    wanted = np.where((ways <= 3) & ~np.eye(10, dtype=bool), ways, 0)
    first, second = map(np.ravel, np.indices((10, 10)))
    assert_array_equal(bond_kind(bond_graph(bonds, 10), (first, second)).reshape(10, 10), wanted)
    assert_array_equal(bond_kind(bond_graph([], 3), (np.arange(3), np.array([1, 2, 0]))), 0)


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_the_closest_pair_of_each_frame(liquid, box):
    frames = np.stack([liquid, 1.1 * liquid])
    apart = np.array([np.linalg.norm(shortest(x, box), axis=-1) + 9 * np.eye(len(x)) for x in frames])
    assert_allclose(closest(frames, box), apart.min((1, 2)), rtol=1e-12)
