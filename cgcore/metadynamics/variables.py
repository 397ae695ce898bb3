"""From names of beads to functions of positions."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from .. import geometry
from ..config import did_you_mean
from .config import MetadynamicsConfig, MetadynamicsError, Variable
from .grid import Axis

QUANTITIES = {2: geometry.distances, 3: geometry.angles, 4: geometry.dihedrals}


class Collective(NamedTuple):
    """A variable of one system: function(position (N, 3) nm, box (3,) nm) -> (), the hills' width, and its grid."""

    name: str
    function: Callable
    width: float
    axis: Axis


@lru_cache(maxsize=16)
def collectives(config: MetadynamicsConfig, beads: tuple[str, ...]) -> tuple[Collective, ...]:
    """The variables of a configuration for a molecule of these beads, of which MetadynamicsError is raised if one lacks."""
    return tuple(_collective(variable, beads) for variable in config.variables)


def _collective(variable: Variable, beads: tuple[str, ...]) -> Collective:
    for bead in (bead for term in variable.beads for bead in term):
        if bead not in beads:
            raise MetadynamicsError(
                f"variable {variable.name!r}: no bead {bead!r}; the map has {list(beads)}{did_you_mean(bead, beads)}"
            )
    terms = [
        (coefficient, QUANTITIES[len(term)], np.array([[beads.index(bead) for bead in term]]))
        for coefficient, term in zip(variable.coefficients, variable.beads, strict=True)
    ]

    def function(position, box):
        return sum(coefficient * quantity(position, index, box)[0] for coefficient, quantity, index in terms)

    low, high = variable.bounds
    return Collective(variable.name, function, variable.width, Axis(low, high, variable.bins, variable.periodic))


def values(variables: tuple[Collective, ...], position, box):
    """(D,) of one frame."""
    return jnp.stack([variable.function(position, box) for variable in variables])
