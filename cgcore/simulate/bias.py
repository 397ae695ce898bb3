"""An energy with a history: it is added to the potential's, and changed by what the replicas have done."""

from collections.abc import Callable
from typing import NamedTuple

from ..potentials.base import Potential


class Bias(NamedTuple):
    """A history-dependent energy of C replicas.

    potential: its `init(key)` gives the state of one replica as a dict of arrays, of which potential.energy(state,
    position, box) is a pure function; so every force of every step has it, and a step sees one state throughout.
    update(state (C, ...), position (C, N, 3) nm, box (3,) nm, valid (C,), number) -> state, after each frame: valid is
    false for a replica whose frame failed, number counts the frames done.
    recorded: entries of the state, and their shapes in one replica, that are kept of each frame.
    identity: what the bias is, as plain values; part of what names a run.
    """

    potential: Potential
    update: Callable
    recorded: dict[str, tuple[int, ...]]
    identity: dict
