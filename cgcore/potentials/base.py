"""What a potential is, how two are joined, and how one gets its neighbours."""

from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from functools import reduce
from operator import or_
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from cgcore.errors import CgcoreError

from ..frames import Frames, Status
from ..neighbors import (
    all_pairs,
    capacity_for,
    mean_neighbours,
    pairs_of_frames,
    row_index,
    rows,
    short_rows,
    short_rows_for,
)

ROOM_OF = {"mace": "mace", "nequip": "nequip", "splines": "splines", "barrier": "priors", "priors": "priors"}
"""Modules of potentials, and the rooms of kernels that they belong to."""


class PotentialError(CgcoreError, ValueError):
    """A potential that cannot be built as asked, with what was wanted and what was found."""


def always_valid(position: Array, box: Array) -> int:
    """Return OK: the check of a potential that has an energy for every frame."""
    return int(Status.OK)


class ListEnergy(NamedTuple):
    """The energy of a frame whose neighbours are known, for loops that keep lists of them.

    energy(params, position (N, 3), box (3,), index (N, K)) -> kJ/mol, where each bead's row holds all others within
    cutoff_nm, and perhaps some beyond, in rising order and then N in empty slots; K is for the caller to choose.
    check as in `Potential`, except for neighbours, which the caller has seen to. narrows: whether it picks those within the
    cut-off itself, so that longer rows cost it little.
    """

    cutoff_nm: float
    energy: Callable
    check: Callable = always_valid
    narrows: bool = False


class Potential(NamedTuple):
    """Pure functions of one frame; species and topology are fixed when it is built.

    init(key) -> params; energy(params, position (N, 3) nm, box (3,) nm with inf where not periodic) -> kJ/mol.
    periodic: whether it is meant for a liquid in its box; the beads of a molecule see each other directly.
    check(position, box) -> `frames.Status` bits: whether the energy of this frame can be had; where not it is NaN.
    listed: the same energy from neighbours that are handed in; None where it needs none.
    model: what it was built from, a dataclass or a tuple of them; with the parameters it says which potential this is.
    terms: the potentials that it is the sum of, none for a single one.
    together(params, position (B, N, 3), box) -> the sum of the energies of several frames, as of one graph; None where it
    gains nothing over `vmap`.
    advance: steps of dynamics of several frames in one call, with a search for neighbours of its own, as
    `mace.warp.call.advance`; None where others have to integrate.
    """

    init: Callable
    energy: Callable
    periodic: bool = False
    check: Callable = always_valid
    listed: ListEnergy | None = None
    model: object = None
    terms: tuple = ()
    together: Callable | None = None
    advance: Callable | None = None

    @property
    def identity(self) -> dict | list:
        """Kind and settings of the model, of each term of a sum; {"kind": None} where it was not built from a model."""
        if self.terms:
            return [term.identity for term in self.terms]
        if isinstance(self.model, tuple):
            return [_described(part) for part in self.model]
        return _described(self.model)

    @property
    def rooms(self) -> tuple[str, ...]:
        """The rooms of kernels (`store.kernels.ROOMS`) that compute it."""
        return tuple(sorted({ROOM_OF[kind.split(".")[0]] for kind in _kinds(self.identity) if kind}))


def _kinds(identity: dict | list) -> set[str]:
    parts = identity if isinstance(identity, list) else [identity]
    return set().union(*(_kinds(p) if isinstance(p, list) else {p["kind"]} for p in parts))


def _described(model) -> dict:
    if not is_dataclass(model):
        return {"kind": None}
    kind = type(model)
    return {"kind": f"{kind.__module__.removeprefix('cgcore.potentials.')}.{kind.__name__}"} | asdict(model)


def force(potential: Potential, params, position: Array, box: Array) -> Array:
    """Forces of one frame, F = -dU/dR: (N, 3) kJ/mol/nm."""
    return -jax.grad(potential.energy, argnums=1)(params, position, box)


def add(*terms: Potential) -> Potential:
    """The sum of potentials, periodic if one of them is; its params are the tuple of theirs."""

    def init(key):
        return tuple(t.init(k) for t, k in zip(terms, jax.random.split(key, len(terms)), strict=True))

    def energy(params, position, box):
        return sum(t.energy(p, position, box) for t, p in zip(terms, params, strict=True))

    def check(position, box):
        return reduce(or_, (t.check(position, box) for t in terms))

    return Potential(init, energy, any(t.periodic for t in terms), check, _add_listed(terms), terms=terms)


def _add_listed(terms: tuple[Potential, ...]) -> ListEnergy | None:
    """The sum from one list, as long as the longest cut-off asks for; terms that need none ignore it."""
    if not any(t.listed for t in terms):
        return None

    def energy(params, position, box, index):
        return sum(
            t.listed.energy(p, position, box, index) if t.listed else t.energy(p, position, box)
            for t, p in zip(terms, params, strict=True)
        )

    def check(position, box):
        return reduce(or_, ((t.listed or t).check(position, box) for t in terms))

    return ListEnergy(max(t.listed.cutoff_nm for t in terms if t.listed), energy, check)


def with_neighbours(
    init: Callable,
    energy: Callable,
    cutoff_nm: float,
    capacity: int | None,
    count: int | None = None,
    *,
    model: object = None,
    several: bool = False,
) -> Potential:
    """The potential with energy(params, edges): of all pairs of a molecule, or of a liquid's rows of `capacity` slots.

    count: into how many short rows these go, None to leave them as they are. A frame in which a bead has more neighbours
    than slots, or all together have more short rows, has the energy NaN and the status NEIGHBOURS_FULL. model: what the
    potential was built from. several: whether energy takes the edges of several frames, for the sum of their energies.
    """
    energy = _in_full_precision(energy)
    if capacity is None:
        return Potential(
            init,
            lambda params, position, box: energy(params, all_pairs(position, box)),
            model=model,
            together=(lambda params, position, box: energy(params, pairs_of_frames(position, box)))
            if several
            else None,
        )

    def found(position, box):
        index, full = row_index(position, box, cutoff_nm, capacity)
        if count is None:
            return rows(position, box, index), full
        edges, more = short_rows(position, box, index, count)
        return edges, full | more

    def of_list(params, position, box, index):
        return energy(params, rows(position, box, index))

    def of_frame(params, position, box):
        edges, full = found(position, box)
        return jnp.where(full, jnp.nan, 1.0).astype(position.dtype) * energy(params, edges)

    def check(position, box):
        return jnp.where(found(position, box)[1], Status.NEIGHBOURS_FULL, Status.OK)

    return Potential(init, of_frame, True, check, ListEnergy(cutoff_nm, of_list), model)


def _in_full_precision(energy: Callable) -> Callable:
    """The energy with matrix products in the precision of their factors, of which a graphics card drops half by default."""

    def evaluate(params, edges):
        with jax.default_matmul_precision("highest"):
            return energy(params, edges)

    return evaluate


def neighbour_statistics(frames: Frames, species: tuple[int, ...], cutoff_nm: float, liquid: bool) -> dict:
    """What a network's model takes from the frames' beads: mean_neighbours, and where they are a liquid capacity, the slots
    of its rows, and short_rows, how many of those it needs; None for a molecule.

    Beads of a liquid see their images in the frames' box; those of a molecule see each other directly, whatever box the
    reference had. Raises PotentialError unless there is one species a bead.
    """
    position = np.asarray(frames.position)
    if len(species) != position.shape[1]:
        raise PotentialError(f"want one species a bead, got {len(species)} for {position.shape[1]} beads")
    box = np.asarray(frames.box if liquid else np.full(3, np.inf), position.dtype)
    return {
        "mean_neighbours": mean_neighbours(position, box, cutoff_nm),
        "capacity": capacity_for(position, box, cutoff_nm) if liquid else None,
        "short_rows": short_rows_for(position, box, cutoff_nm) if liquid else None,
    }


def check_species(species: tuple[int, ...], n_species: int):
    """Raise PotentialError for a species that the model lacks: arrays would hand out another one's weights instead."""
    if strangers := sorted({s for s in species if not 0 <= s < n_species}):
        bead = next(i for i, s in enumerate(species) if s in strangers)
        raise PotentialError(
            f"species {strangers} are missing from a model of {n_species}, 0 ... {n_species - 1}; the first bead of one "
            f"is number {bead}. Is this another map or typing than the model was made for?"
        )


def differing(wanted, found) -> list[tuple]:
    """Up to three (place, shape, shape) of parameters that are not of one model's shapes; None where one is missing."""

    def shapes(params):
        return {
            jax.tree_util.keystr(path): np.shape(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(params)
        }

    wanted, found = shapes(wanted), shapes(found)
    places = sorted(wanted.keys() | found.keys())
    return [(k, wanted.get(k), found.get(k)) for k in places if wanted.get(k) != found.get(k)][:3]
