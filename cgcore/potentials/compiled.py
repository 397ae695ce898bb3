"""The fastest form of a potential on this machine: the same energies, by other code."""

import os
from importlib.util import find_spec

import jax
import numpy as np
from jax import Array

from .barrier import Barrier
from .base import Potential, add
from .mace import Model
from .mace.native.pack import PackError, can_join, pack

ON_WARP = "CGCORE_WARP"
"""Environment: not empty where packed models are to run as on a graphics card, with Warp, on the processor; for tests."""


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
            warp = _warp()
            packed = pack(
                term.model,
                trained,
                np.asarray(position),
                np.asarray(box),
                barriers=barriers,
                frames=warp and warp.frames,
            )
        except PackError as refusal:
            tables.append({"engine": "as trained", "why": str(refusal)})
            continue
        errors = {"energy_error": packed.energy_error, "force_error": packed.force_error}
        engine = "packed, by Warp" if warp else "packed"
        tables.append({"engine": engine, "knots": packed.knots, "barriers": len(barriers)} | errors)
        alone = packed.potential._replace(advance=warp and warp.advance)
        terms[k], joined = (alone, packed.weights), [*joined, *barriers]
    terms = [pair for pair in terms if pair[0].model not in joined]
    if len(terms) == 1:
        return *terms[0], tables
    potentials, params = zip(*terms, strict=True)
    return add(*potentials), params, tables


def _warp():
    """The module of kernels for graphics cards, None where machine code for the processor is to be taken.

    Raises:
        PackError: JAX computes on a card, and Warp is not installed or cannot use it.
    """
    if jax.default_backend() == "cpu" and not os.environ.get(ON_WARP):
        return None
    if find_spec("warp") is None:
        raise PackError(f"want Warp to run packed models on {jax.default_backend()}: pip install 'cgcore[gpu]'")
    from .mace.warp import call  # Warp is an extra

    if jax.default_backend() != "cpu" and not call.wp.is_cuda_available():
        raise PackError("Warp finds no card that it can use: want one of NVIDIA's with a driver for CUDA 13")
    return call


def flat(potential: Potential, params) -> list[tuple[Potential, object]]:
    """The terms of a sum, and of sums in it, with their parameters."""
    if not potential.terms:
        return [(potential, params)]
    return [pair for term, own in zip(potential.terms, params, strict=True) for pair in flat(term, own)]
