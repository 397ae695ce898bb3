"""The dense layout of pairs against a plain double loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgcore.neighbors import all_pairs, mean_neighbours

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
