"""What a potential is, and how two are joined."""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import Array


class Potential(NamedTuple):
    """A pair of pure functions; species and topology are fixed when it is built.

    init(key) -> params; energy(params, position (N, 3) nm, box (3,) nm with inf where not periodic) -> kJ/mol.
    """

    init: Callable
    energy: Callable


def force(potential: Potential, params, position: Array, box: Array) -> Array:
    """Forces of one frame, F = -dU/dR: (N, 3) kJ/mol/nm."""
    return -jax.grad(potential.energy, argnums=1)(params, position, box)


def add(*terms: Potential) -> Potential:
    """The sum of potentials; its params are the tuple of theirs."""

    def init(key):
        return tuple(t.init(k) for t, k in zip(terms, jax.random.split(key, len(terms)), strict=True))

    def energy(params, position, box):
        return sum(t.energy(p, position, box) for t, p in zip(terms, params, strict=True))

    return Potential(init, energy)
