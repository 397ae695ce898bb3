"""The terms of a classical force field: which beads share a bond, an angle, a dihedral or a non-bonded potential."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import jax
import numpy as np
from jax import Array

from .. import geometry
from ..frames import Frames
from ..mapping import Mapping

EXCLUDED = 3
"""Beads up to so many bonds apart have no non-bonded interaction: the partners of bonds, angles and dihedrals."""

CHUNK = 20_000
"""Coordinates that are in memory at once."""


class Kind(NamedTuple):
    """coordinate(position (..., N, 3), members (M, k), box) -> (..., M)."""

    coordinate: Callable
    unit: str


KINDS = {
    "bond": Kind(geometry.distances, "nm"),
    "angle": Kind(geometry.angles, "rad"),
    "dihedral": Kind(geometry.dihedrals, "rad"),
    "pair": Kind(geometry.distances, "nm"),
}


class Term(NamedTuple):
    """M interactions of one kind between beads of the same species: they share one potential."""

    name: str  # such as bond_A-B
    kind: str  # of KINDS
    members: np.ndarray  # (M, 2, 3 or 4) bead indices


def terms(mapping: Mapping) -> tuple[Term, ...]:
    """Bonds, angles and dihedrals along the bonds of the beads, and pairs more than EXCLUDED bonds apart.

    Grouped by species; A-B and B-A are one group. Groups without members are left out.
    """
    n = len(mapping.beads)
    members = {kind: geometry.paths(mapping.bonds, n, k) for kind, k in (("bond", 2), ("angle", 3), ("dihedral", 4))}
    members["pair"] = geometry.pairs_apart(mapping.bonds, n, EXCLUDED)
    species = np.array(mapping.species)
    found = []
    for kind, rows in members.items():
        there, back = species[rows], species[rows][:, ::-1]
        base = len(mapping.species_names) ** np.arange(rows.shape[1])[::-1]
        group = np.minimum(there @ base, back @ base)
        for g in np.unique(group):
            names = [mapping.species_names[g // b % len(mapping.species_names)] for b in base]
            found.append(Term(f"{kind}_{'-'.join(names)}", kind, rows[group == g]))
    return tuple(found)


def coordinates(term: Term, position: Array, box: Array) -> Array:
    """Distances (nm), angles or dihedrals (rad) of a term's members: (..., N, 3) -> (..., M)."""
    return KINDS[term.kind].coordinate(position, term.members, box)


class Evaluated(NamedTuple):
    """X = t M coordinates of a term in t frames, for linear algebra in NumPy."""

    value: np.ndarray  # (X,) nm or rad
    gradient: np.ndarray  # (X, k, 3) of the value in the positions of its k beads
    members: np.ndarray  # (X, k) beads, counted through all frames


def evaluate(term: Term, position: np.ndarray, box: np.ndarray) -> Evaluated:
    """Coordinates and gradients of a term's members in frames (t, N, 3) nm."""
    t, n, _ = position.shape
    members = (term.members + n * np.arange(t)[:, None, None]).reshape(-1, term.members.shape[1])
    beads = np.asarray(position, np.float64).reshape(-1, 3)[members]
    value, gradient = _compiled(term.kind)(beads, np.asarray(box, np.float64))
    return Evaluated(np.asarray(value, np.float64), np.asarray(gradient, np.float64), members)


def chunks(terms: tuple[Term, ...], frames: Frames) -> Iterator[slice]:
    """Frames at a time such that at most some CHUNK coordinates of the terms are in memory, but one frame at least."""
    size = max(1, CHUNK // sum(len(t.members) for t in terms))
    yield from (slice(start, start + size) for start in range(0, frames.n_frames, size))


def samples(term: Term, frames: Frames) -> Iterator[np.ndarray]:
    """Coordinates of all members over the frames, (X,) at a time."""
    for part in chunks((term,), frames):
        yield evaluate(term, np.asarray(frames.position[part]), frames.box).value


@cache
def _compiled(kind: str) -> Callable:
    """Beads (X, k, 3) nm, box (3,) -> coordinates (X,) and their gradients (X, k, 3)."""

    def one(beads, box):
        return KINDS[kind].coordinate(beads, np.arange(beads.shape[0])[None], box)[0]

    return jax.jit(jax.vmap(jax.value_and_grad(one), (0, None)))
