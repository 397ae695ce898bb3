"""An energy with a memory: it is added to the potential's, and changed by what the replicas have done."""

from collections.abc import Callable
from typing import NamedTuple

from ..potentials.base import Potential


class Bias(NamedTuple):
    """A history-dependent energy of C replicas.

    potential: its `init(key)` gives the memory of one replica as a dict of arrays, of which potential.energy(memory,
    position, box) is a pure function; so every force of every step has it, and a step sees one memory throughout.
    update(memory (C, ...), position (C, N, 3) nm, box (3,) nm, sound (C,), number) -> memory, after each frame: sound is
    false for a replica whose frame failed, number counts the frames done.
    recorded: entries of the memory, and their shapes in one replica, that are kept of each frame.
    identity: what the memory belongs to, in words; a run goes on from a state of the same identity only.
    """

    potential: Potential
    update: Callable
    recorded: dict[str, tuple[int, ...]]
    identity: str
