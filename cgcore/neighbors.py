"""Who sees whom: the pairs of one frame, laid out densely by receiver so that messages are sums over an axis.

Two layouts with one contract (`Edges`): all pairs, for molecules, and padded rows of what is within the cut-off, for
liquids. Rows come from all beads (`row_index`, O(N^2)), from the cells around a bead (`cell_index`, O(N)), or from longer
rows that were found a few steps before (`narrow`).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.sparse import coo_array, eye_array
from scipy.spatial import KDTree

from cgcore.errors import CgcoreError

from .geometry import displacement

MARGIN = 1.15
"""Slots of a row for each neighbour of the fullest row among the frames that a model is made from."""

ROWS_MARGIN = 1.05
"""Short rows for each that the frame with most of them has: all beads together vary less than one."""

CHUNK = 2_000_000
"""Distances that are in memory at once."""

SHORT = 8
"""Slots of a short row. Where each bead has one row, as long as the fullest bead's, nearly half of the slots are empty."""

SORTED = 64
"""Rows up to so long are sorted to narrow them; of longer ones the CPU selects the largest faster than it sorts."""

REACH = 3
"""Bonds away up to which beads count as bonded: partners, and the ends of angles and dihedrals."""


class NeighbourError(CgcoreError, ValueError):
    """Frames in which neighbours cannot be found as asked, with what was wanted and what was found."""


class Edges(NamedTuple):
    """Directed edges of N beads in R rows with J slots each, and the D distinct lengths among them.

    vector: (R, J, 3) nm from sender to receiver, a constant unit vector in empty slots;
    distance: (D,) nm, 1 in empty slots; ends: the two beads of each length, integers (D,) and (D,);
    expand: (D, ...) -> (R, J, ...), zero in empty slots; sender: (N, ...) -> values of the senders, broadcastable to
    (R, J, ...), some bead's in empty slots; receiver: (R,) the bead of each row, rising; None for one row a bead.

    The same as numbers, for loops: apart (D, 3) nm, the vector of each length from its second end to its first; index
    (R, J), the senders; length (R, J), which of the lengths: l where the receiver is its first end, -1 - l where it is its
    second, D in empty slots.
    """

    vector: Array
    distance: Array
    ends: tuple[Array, Array]
    expand: Callable
    sender: Callable
    apart: Array
    index: Array
    length: Array
    receiver: Array | None = None

    def receive(self, sums: Array, n: int) -> Array:
        """Sums over the slots of each row (R, ...) to those over all of each of n beads (n, ...)."""
        if self.receiver is None:
            return sums
        return jax.ops.segment_sum(sums, self.receiver, n, indices_are_sorted=True)


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

    length = np.where(sign < 0, index, -1 - index)
    np.fill_diagonal(length, len(first))
    return Edges(
        vector=upper[index] * sign[..., None] + unit,
        distance=jnp.linalg.norm(upper, axis=-1),
        ends=(first, second),
        expand=expand,
        sender=lambda features: features[None],
        apart=-upper,
        index=np.broadcast_to(np.arange(n), (n, n)),
        length=length,
    )


def pairs_of_frames(position: Array, box: Array) -> Edges:
    """All pairs of each of the frames (B, N, 3) as the edges of one of B N beads, of which those of a frame see each other."""
    n_frames, n, _ = position.shape
    one = all_pairs(jnp.zeros((n, 3), position.dtype), box)
    first, second = one.ends
    n_lengths = len(first)
    apart = displacement(position[:, second], position[:, first], box).reshape(-1, 3)
    frame = np.arange(n_frames)[:, None]
    number = np.where(one.length < 0, -1 - one.length, one.length) + n_lengths * frame[..., None]
    length = np.where(one.length < 0, -1 - number, number)
    length[:, np.arange(n), np.arange(n)] = n_frames * n_lengths
    index, length = (np.asarray(one.index) + n * frame[..., None]).reshape(-1, n), length.reshape(-1, n)
    there = length < n_frames * n_lengths
    number = np.where(there, number.reshape(-1, n), 0)

    def expand(values):
        return values[number] * there.astype(values.dtype).reshape(*there.shape, *(1,) * (values.ndim - 1))

    vector = apart[number] * np.where(length < 0, -1, 1).astype(position.dtype)[..., None]
    return Edges(
        vector=jnp.where(there[..., None], vector, np.array([1.0, 0.0, 0.0], position.dtype)),
        distance=jnp.linalg.norm(apart, axis=-1),
        ends=tuple((end + n * frame).reshape(-1) for end in (first, second)),
        expand=expand,
        sender=lambda features: features[index],
        apart=apart,
        index=index,
        length=length,
    )


def rows(position: Array, box: Array, index: Array) -> Edges:
    """The listed neighbours, J = K: `index` (N, K) holds the senders of each receiver and N in empty slots."""
    n, k = index.shape
    there = index < n
    receiver = jnp.arange(n)[:, None]
    index = jnp.where(there, index, receiver)
    ends = (jnp.broadcast_to(receiver, index.shape).reshape(-1), index.reshape(-1))

    def expand(values):
        values = values.reshape(n, k, *values.shape[1:])
        return values * there.astype(values.dtype).reshape(n, k, *(1,) * (values.ndim - 2))

    vector = _vector(position, box, *ends, there.reshape(-1))
    return Edges(
        vector=vector.reshape(n, k, 3),
        distance=jnp.linalg.norm(vector, axis=-1),
        ends=ends,
        expand=expand,
        sender=lambda features: features[index],
        apart=vector,
        index=index,
        length=jnp.where(there, jnp.arange(n * k).reshape(n, k), n * k),
    )


def short_rows(position: Array, box: Array, index: Array, count: int) -> tuple[Edges, Array]:
    """The same neighbours, each bead's in as many rows of SHORT slots as they fill, `count` in all; the overflow flag.

    `index` has its senders in rising order and its empty slots at the end of each row. The flag is true where there are
    more rows than `count`: those of the last beads are then missing. Lengths are evaluated once for both directions.
    """
    n, k = index.shape
    filled = jnp.sum(index < n, axis=1)
    needed = -(-filled // SHORT)
    row_ends = jnp.cumsum(needed)
    row = jnp.arange(count)
    receiver = jnp.minimum(jnp.searchsorted(row_ends, row, side="right"), n - 1)
    slot = (row - (row_ends - needed)[receiver])[:, None] * SHORT + jnp.arange(SHORT)[None]
    there = (row < row_ends[-1])[:, None] & (slot < filled[receiver][:, None])
    cell = receiver[:, None], jnp.minimum(slot, k - 1)
    length, ends, pairs = _lengths(index, count * SHORT // 2)
    apart = _vector(position, box, *ends, pairs)
    length = jnp.where(there, length[cell], len(apart))
    number = jnp.clip(jnp.where(length < 0, -1 - length, length), 0, len(apart) - 1)
    sender = jnp.where(there, jnp.minimum(index[cell], n - 1), receiver[:, None])

    def expand(values):
        return values[number] * there.astype(values.dtype).reshape(*there.shape, *(1,) * (values.ndim - 1))

    vector = jnp.where(length[..., None] < 0, -apart[number], apart[number])
    edges = Edges(
        vector=jnp.where(there[..., None], vector, np.array([1.0, 0.0, 0.0], position.dtype)),
        distance=jnp.linalg.norm(apart, axis=-1),
        ends=ends,
        expand=expand,
        sender=lambda features: features[sender],
        apart=apart,
        index=sender,
        length=length,
        receiver=receiver,
    )
    return edges, row_ends[-1] > count


def _lengths(index: Array, most: int) -> tuple[Array, tuple[Array, Array], Array]:
    """The distinct lengths of rows (N, K) of senders in rising order, N in empty slots; at most `most` of them.

    Returns which length each slot has (N, K), as `Edges.length`; the beads of each, (most,) and (most,); and which of these
    there are.
    """
    n, k = index.shape
    bead = jnp.arange(n)[:, None]
    before = jnp.sum(index < bead, axis=1)
    own = jnp.sum(index < n, axis=1) - before  # lengths are numbered by their first bead, the one of lower number
    start = jnp.cumsum(own) - own
    sender = jnp.minimum(index, n - 1)
    place = jnp.sum(index[sender] < bead[..., None], axis=-1)  # of the receiver in the sender's own row
    length = start[:, None] + jnp.arange(k) - before[:, None]
    length = jnp.where(index > bead, length, -1 - (start - before)[sender] - place)
    number = jnp.where((index > bead) & (index < n), length, most)
    first, second = (
        jnp.zeros(most, index.dtype).at[number].set(value, mode="drop", unique_indices=False)
        for value in (jnp.broadcast_to(bead, index.shape).astype(index.dtype), index)
    )
    return length, (first, second), jnp.arange(most) < jnp.sum(own)


def _vector(position: Array, box: Array, first: Array, second: Array, there: Array) -> Array:
    """(D, 3) nm from the second to the first bead of each pair, a constant unit vector where there is none."""
    vector = displacement(position[second], position[first], box)
    return jnp.where(there[:, None], vector, np.array([1.0, 0.0, 0.0], position.dtype))


def row_index(position: Array, box: Array, cutoff: float, capacity: int) -> tuple[Array, Array]:
    """Neighbours within the cut-off (N, K = capacity), in rising order and then N in empty slots; and the overflow flag.

    The flag is true where a bead has more neighbours than slots: those that come last are then missing.
    """
    index, fullest = all_rows(position, box, cutoff, capacity)
    return index, fullest > capacity


def all_rows(position: Array, box: Array, cutoff: float, capacity: int) -> tuple[Array, Array]:
    """Rows as `row_index` has them, and how many neighbours the bead with the most has."""
    n = position.shape[0]
    within = _within(position, box, cutoff)
    index = _first(jnp.where(within, jnp.arange(n)[None], n), n, capacity)
    return index, jnp.max(jnp.sum(within, axis=1, dtype=jnp.int32))


def narrow(position: Array, box: Array, index: Array, cutoff: float, capacity: int) -> tuple[Array, Array]:
    """Of listed beads (N, J), N in empty slots, those within the cut-off: rows (N, capacity) and the fullest's number.

    Each bead may be listed once in a row, and in any order.
    """
    n = position.shape[0]
    there = index < n
    position = jax.lax.stop_gradient(position)
    d = displacement(position[jnp.where(there, index, 0)], position[:, None], box)
    near = there & (jnp.sum(d * d, axis=-1) < cutoff**2)
    return _first(jnp.where(near, index, n), n, capacity), jnp.max(jnp.sum(near, axis=1, dtype=jnp.int32))


def cell_index(position: Array, box: Array, cells: tuple[int, int, int], capacity: int) -> tuple[Array, Array]:
    """All beads in the 27 cells around each (N, 27 * capacity), itself left out, N in empty slots; the overflow flag.

    The box is cut into `cells`, at least three along each axis, of which each must be as long as the cut-off wanted.
    """
    n, shape = position.shape[0], np.array(cells)
    fraction = jax.lax.stop_gradient(position) / box
    grid = (fraction - jnp.floor(fraction)) * shape.astype(position.dtype)
    from jax_md import partition  # loads all of JAX-MD: seconds that the doctor and error messages need not wait

    table = partition.cell_list(shape.astype(float), 1.0).update(grid, capacity)
    beads = table.id_buffer.reshape(-1, capacity)
    around = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), -1).reshape(1, 27, 3)
    cell = (table.particle_cell_id[:, None] + around) % shape
    # JAX-MD counts cells with the first axis fastest.
    found = beads[cell @ np.array([1, cells[0], cells[0] * cells[1]])].reshape(n, -1)
    return jnp.where(found == jnp.arange(n)[:, None], n, found), table.did_buffer_overflow


def _first(index: Array, n: int, capacity: int) -> Array:
    """The smallest `capacity` numbers of each row (N, J), in rising order; none is larger than n."""
    capacity = min(capacity, index.shape[1])
    if index.shape[1] <= SORTED:
        return jnp.sort(index, axis=1)[:, :capacity]
    # Single precision holds bead numbers up to 2^24 and has a fast selection of the largest on the CPU.
    return -jax.lax.top_k(-index.astype(jnp.float32), capacity)[0].astype(index.dtype)


def _within(position: Array, box: Array, cutoff: float) -> Array:
    """(N, N) true for pairs of distinct beads within the cut-off."""
    position = jax.lax.stop_gradient(position)
    d = displacement(position[:, None], position[None], box)
    return (jnp.sum(d * d, axis=-1) < cutoff**2) & ~np.eye(position.shape[0], dtype=bool)


def neighbour_counts(position: np.ndarray, box: np.ndarray, cutoff: float) -> np.ndarray:
    """Neighbours within the cut-off of every bead in frames (T, N, 3) nm: (T, N)."""
    n_frames, n, _ = position.shape
    first, second = np.triu_indices(n, 1)
    counts = np.empty((n_frames, n), int)
    size = max(1, CHUNK // max(1, len(first)))
    for start in range(0, n_frames, size):
        part = np.asarray(position[start : start + size])
        d = displacement(part[:, first], part[:, second], np.asarray(box))
        square = np.zeros((len(part), n, n), bool)
        square[:, first, second] = np.linalg.norm(d, axis=-1) < cutoff
        counts[start : start + size] = square.sum(axis=1) + square.sum(axis=2)
    return counts


def fullest_row(position: np.ndarray, box: np.ndarray, cutoff: float) -> int:
    """Neighbours of the bead that has most of them in frames (C, N, 3) nm, in O(N) memory."""
    trees = (_tree(frame, box) for frame in position)
    return max(int(np.max(tree.query_ball_point(tree.data, cutoff, return_length=True))) for tree in trees) - 1


def closest(position: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Shortest distance of two beads in each of the frames (C, N, 3) nm: (C,) nm."""
    return nearest(position, box).min(axis=1)


def nearest(position: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Distance of each bead to its nearest other in frames (C, N, 3) nm: (C, N) nm."""
    trees = (_tree(frame, box) for frame in position)
    return np.array([tree.query(tree.data, k=2)[0][:, 1] for tree in trees]).reshape(position.shape[:2])


def _tree(frame: np.ndarray, box: np.ndarray) -> KDTree:
    points, period = in_box(frame, box)
    return KDTree(points, boxsize=period)


def in_box(frame: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The beads of a frame (N, 3) nm, in their box where they have one, and its sides (3,), zero where it has none."""
    side = np.where(np.isinf(box), 0.0, box).astype(float)  # for scipy zero is no period
    periodic = side > 0
    frame = np.asarray(frame, float)
    frame = np.where(periodic, frame % np.where(periodic, side, 1.0), frame)
    return np.where(periodic & (frame >= side), 0.0, frame), side


def fullest_cell(position: np.ndarray, box: np.ndarray, cells: tuple[int, int, int]) -> int:
    """Beads in the fullest of the cells that a box is cut into, over frames (C, N, 3) nm."""
    fraction = np.asarray(position, float) / box
    which = np.minimum(((fraction - np.floor(fraction)) * cells).astype(int), np.array(cells) - 1)
    flat = which @ np.array([1, cells[0], cells[0] * cells[1]])
    return max(int(np.bincount(frame).max()) for frame in flat)


def mean_neighbours(position: np.ndarray, box: np.ndarray, cutoff: float) -> float:
    """Average number of neighbours within the cut-off over frames (T, N, 3) nm."""
    return float(np.mean(neighbour_counts(position, box, cutoff).sum(axis=1)) / position.shape[1])


def capacity_for(position: np.ndarray, box: np.ndarray, cutoff: float) -> int:
    """Slots that rows need: those of the fullest row in frames (T, N, 3) nm, plus a margin; at most N - 1.

    Raises NeighbourError where the box has no finite side, or one shorter than two cut-offs, within which a bead would
    meet two images of another.
    """
    if np.isinf(box).all():
        raise NeighbourError("rows of neighbours are for liquids: want frames in a box, these have none")
    if cutoff > (half := float(np.min(box)) / 2):
        raise NeighbourError(f"want a cut-off of at most half the box, {half:.3f} nm, got {cutoff} nm")
    fullest = int(neighbour_counts(position, box, cutoff).max())
    return min(math.ceil(MARGIN * fullest), position.shape[1] - 1)


def short_rows_for(position: np.ndarray, box: np.ndarray, cutoff: float) -> int:
    """Rows of SHORT slots that frames (T, N, 3) nm need at most, plus a margin."""
    counts = neighbour_counts(position, box, cutoff)
    return math.ceil(ROWS_MARGIN * int((-(-counts // SHORT)).sum(axis=1).max()))


def bond_graph(bonds, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Beads at most REACH bonds (P, 2) away from each of n beads: partners (N, B), n in empty slots, and steps (N, B)."""
    i, j = np.asarray(bonds, int).reshape(-1, 2).T
    one = (coo_array((np.ones(2 * len(i)), (np.r_[i, j], np.r_[j, i])), shape=(n, n)) + eye_array(n)).tocsr()
    within, reached = eye_array(n, format="csr"), []
    for _ in range(REACH):
        within = ((within @ one) > 0).astype(int)
        reached.append(within)
    times = sum(reached).tocoo()  # a bead d bonds away is within d ... REACH
    apart = times.row != times.col
    receiver, sender, steps = times.row[apart], times.col[apart], REACH + 1 - times.data[apart]
    order = np.lexsort((sender, receiver))
    receiver, sender, steps = receiver[order], sender[order], steps[order]
    slot = np.arange(len(receiver)) - np.searchsorted(receiver, receiver)
    partners = np.full((n, int(slot.max(initial=-1)) + 1), n)
    distance = np.zeros(partners.shape, int)
    partners[receiver, slot], distance[receiver, slot] = sender, steps
    return partners, distance


def bond_kind(graph: tuple[np.ndarray, np.ndarray], ends: tuple[Array, Array]) -> Array:
    """How many bonds apart the two ends are: integers (D,) from 1 to REACH, 0 for more or none. Graph as `bond_graph`."""
    partners, steps = map(jnp.asarray, graph)
    first, second = ends
    return jnp.sum(jnp.where(partners[first] == second[:, None], steps[first], 0), axis=1)
