"""The fastest form of a potential on this machine: the same energies, by other code."""

import numpy as np
from jax import Array

from .base import Potential, add
from .mace import Model
from .mace.native.pack import PackError, pack


def for_simulation(potential: Potential, params, position: Array, box: Array) -> tuple[Potential, object, list[dict]]:
    """The potential in its fastest form with its parameters, and what became of each term.

    Args:
        position: (C, N, 3) nm, frames on which a fast form is held against the potential before it is taken.
        box: (3,) nm, inf where not periodic.

    Returns:
        potential, params, and for each MACE a table: its engine, and of a packed one the knots of its tables and the
        relative errors of energies and forces, or why it was not packed.
    """
    if potential.terms:
        forms = [for_simulation(t, p, position, box) for t, p in zip(potential.terms, params, strict=True)]
        terms, params, engines = zip(*forms, strict=True)
        return add(*terms), tuple(params), [entry for several in engines for entry in several]
    if not isinstance(potential.model, Model):
        return potential, params, []
    try:
        packed = pack(potential.model, params, np.asarray(position), np.asarray(box))
    except PackError as refusal:
        return potential, params, [{"engine": "as trained", "why": str(refusal)}]
    errors = {"energy_error": packed.energy_error, "force_error": packed.force_error}
    return packed.potential, packed.weights, [{"engine": "packed", "knots": packed.knots} | errors]
