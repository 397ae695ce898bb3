"""The fastest form of a potential on this machine: the same energies, by other code."""

import numpy as np
from jax import Array

from .barrier import Barrier
from .base import Potential, add
from .mace import Model
from .mace.native.pack import PackError, can_join, pack


def for_simulation(potential: Potential, params, position: Array, box: Array) -> tuple[Potential, object, list[dict]]:
    """The potential in its fastest form with its parameters, and what became of each term.

    Args:
        position: (C, N, 3) nm, frames on which a fast form is held against the potential before it is taken.
        box: (3,) nm, inf where not periodic.

    Returns:
        potential, params, and for each MACE a table: its engine, and of a packed one the knots of its tables, the barriers
        that became part of it and the relative errors of energies and forces, or why it was not packed.
    """
    terms, tables, joined = flat(potential, params), [], []
    for k, (term, trained) in enumerate(terms):
        if not isinstance(term.model, Model):
            continue
        free = (t.model for t, _ in terms if isinstance(t.model, Barrier) and t.model not in joined)
        barriers = tuple(barrier for barrier in free if can_join(barrier, term.model))
        try:
            packed = pack(term.model, trained, np.asarray(position), np.asarray(box), barriers=barriers)
        except PackError as refusal:
            tables.append({"engine": "as trained", "why": str(refusal)})
            continue
        errors = {"energy_error": packed.energy_error, "force_error": packed.force_error}
        tables.append({"engine": "packed", "knots": packed.knots, "barriers": len(barriers)} | errors)
        terms[k], joined = (packed.potential, packed.weights), [*joined, *barriers]
    terms = [pair for pair in terms if pair[0].model not in joined]
    if len(terms) == 1:
        return *terms[0], tables
    potentials, params = zip(*terms, strict=True)
    return add(*potentials), params, tables


def flat(potential: Potential, params) -> list[tuple[Potential, object]]:
    """The terms of a sum, and of sums in it, with their parameters."""
    if not potential.terms:
        return [(potential, params)]
    return [pair for term, own in zip(potential.terms, params, strict=True) for pair in flat(term, own)]
