"""Who sees whom: the pairs of one frame, laid out densely by receiver so that messages are sums over an axis."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from .geometry import displacement


class Edges(NamedTuple):
    """Directed edges of N receivers with J slots each, and the D distinct lengths among them.

    vector: (N, J, 3) nm from sender to receiver, a constant unit vector in empty slots;
    distance: (D,) nm; expand: (D, ...) -> (N, J, ...), zero in empty slots; sender: (N, ...) -> values of the senders,
    broadcastable to (N, J, ...).
    """

    vector: Array
    distance: Array
    expand: Callable
    sender: Callable


def all_pairs(position: Array, box: Array) -> Edges:
    """Every ordered pair of distinct beads, J = N: exact and without a list, for molecules.

    Lengths are evaluated once for both directions of a pair. In a periodic box the cut-off must not exceed half of it.
    """
    n = position.shape[0]
    first, second = np.triu_indices(n, 1)
    upper = displacement(position[first], position[second], box)
    index = np.zeros((n, n), int)
    index[first, second] = index[second, first] = np.arange(len(first))
    # Row n receives: from a later bead the stored vector points the wrong way round.
    sign = np.sign(np.arange(n)[:, None] - np.arange(n)[None, :]).astype(position.dtype)
    unit = np.eye(n, dtype=position.dtype)[..., None] * np.array([1.0, 0.0, 0.0], position.dtype)
    mask = 1 - np.eye(n, dtype=position.dtype)

    def expand(values):
        return values[index] * mask.reshape(n, n, *(1,) * (values.ndim - 1))

    return Edges(
        vector=upper[index] * sign[..., None] + unit,
        distance=jnp.linalg.norm(upper, axis=-1),
        expand=expand,
        sender=lambda features: features[None],
    )


def mean_neighbours(position: np.ndarray, box: np.ndarray, cutoff: float) -> float:
    """Average number of neighbours within the cut-off over frames (T, N, 3) nm."""
    first, second = np.triu_indices(position.shape[1], 1)
    d = displacement(np.asarray(position[:, first]), np.asarray(position[:, second]), np.asarray(box))
    return float(2 * np.mean(np.sum(np.linalg.norm(d, axis=-1) < cutoff, axis=1)) / position.shape[1])
