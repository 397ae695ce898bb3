"""Displacements, distances, angles and dihedrals of one frame; the only place that knows periodic boundaries."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def displacement(a: Array, b: Array, box: Array) -> Array:
    """Shortest vector from a to b, (..., 3) nm, in an orthorhombic box (3,) nm with inf where not periodic.

    NumPy arrays stay NumPy, in their own precision; anything else goes through JAX.
    """
    xp = np if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and not isinstance(box, jax.Array) else jnp
    d = b - a
    length = xp.where(xp.isinf(box), 1.0, box)
    return d - xp.where(xp.isinf(box), 0.0, length * xp.round(d / length))


def distances(position: Array, pairs: Array, box: Array) -> Array:
    """Lengths of P pairs: (..., N, 3) nm, (P, 2), (3,) nm -> (..., P) nm."""
    i, j = np.asarray(pairs).reshape(-1, 2).T
    return jnp.linalg.norm(displacement(position[..., i, :], position[..., j, :], box), axis=-1)


def angles(position: Array, triples: Array, box: Array) -> Array:
    """Angles at the middle of (M, 3) triples: (..., N, 3) nm -> (..., M) rad in [0, pi]."""
    i, j, k = np.asarray(triples).reshape(-1, 3).T
    u = displacement(position[..., j, :], position[..., i, :], box)
    v = displacement(position[..., j, :], position[..., k, :], box)
    return jnp.arctan2(jnp.linalg.norm(jnp.cross(u, v), axis=-1), jnp.sum(u * v, axis=-1))


def dihedrals(position: Array, quads: Array, box: Array) -> Array:
    """Dihedrals about the middle bond of (M, 4) quads: (..., N, 3) nm -> (..., M) rad in (-pi, pi].

    phi = atan2(|b2| b1 . (b2 x b3), (b1 x b2) . (b2 x b3)), IUPAC sign (cis 0, clockwise positive).
    """
    i, j, k, m = np.asarray(quads).reshape(-1, 4).T
    b1 = displacement(position[..., i, :], position[..., j, :], box)
    b2 = displacement(position[..., j, :], position[..., k, :], box)
    b3 = displacement(position[..., k, :], position[..., m, :], box)
    n2 = jnp.cross(b2, b3)
    y = jnp.linalg.norm(b2, axis=-1) * jnp.sum(b1 * n2, axis=-1)
    return jnp.arctan2(y, jnp.sum(jnp.cross(b1, b2) * n2, axis=-1))


def make_whole(position: np.ndarray, bonds: Array, vectors: np.ndarray) -> np.ndarray:
    """Undo periodic wrapping inside molecules: walk the bonds (P, 2) outwards from each molecule's first atom.

    Args:
        position: (T, N, 3) nm.
        vectors: (T, 3, 3) nm of the frames' boxes, which may be triclinic, a vector in a row, zero where not periodic.

    Returns the same array, or a copy in which no bond is longer than half a box vector.
    """
    inverse, (i, j) = np.linalg.pinv(vectors), np.asarray(bonds).reshape(-1, 2).T
    split = np.round((position[:, j] - position[:, i]) @ inverse).any(axis=(1, 2))
    if not split.any():
        return position
    whole, inverse, vectors = position[split], inverse[split], vectors[split]
    for parent, child in spanning_tree(bonds, position.shape[1]):
        images = np.round(np.einsum("td,tdk->tk", whole[:, child] - whole[:, parent], inverse))
        whole[:, child] -= np.einsum("tk,tkd->td", images, vectors)
    position = position.copy()
    position[split] = whole
    return position


def spanning_tree(bonds: Array, n: int) -> list[tuple[int, int]]:
    """(parent, child) steps that reach every atom of each molecule from its first, breadth first."""
    neighbours: list[list[int]] = [[] for _ in range(n)]
    for i, j in np.asarray(bonds).reshape(-1, 2).tolist():
        neighbours[i].append(j)
        neighbours[j].append(i)
    seen, steps = [False] * n, []
    for root in range(n):
        queue = [] if seen[root] else [root]
        seen[root] = True
        for parent in queue:
            for child in neighbours[parent]:
                if not seen[child]:
                    seen[child] = True
                    steps.append((parent, child))
                    queue.append(child)
    return steps


def molecules(bonds: Array, n: int) -> np.ndarray:
    """(n,) number of the molecule that each of n atoms or beads belongs to, from bonds (P, 2); numbered from 0."""
    i, j = np.asarray(bonds, int).reshape(-1, 2).T
    return connected_components(coo_array((np.ones(len(i)), (i, j)), shape=(n, n)), directed=False)[1]


def each_molecule(bonds: np.ndarray, n: int) -> Iterator[tuple[np.ndarray, tuple[tuple[int, int], ...]]]:
    """The atoms of each molecule of n atoms, ascending, and its bonds, of (P, 2), between their places."""
    number, bonds = molecules(bonds, n), np.asarray(bonds, int).reshape(-1, 2)
    of_bond = number[bonds[:, 0]]
    order, by_molecule = np.argsort(number, kind="stable"), np.argsort(of_bond, kind="stable")
    ends, bond_ends = (np.cumsum(np.bincount(x, minlength=number.max() + 1))[:-1] for x in (number, of_bond))
    place = np.empty(n, int)
    for atoms, rows in zip(np.split(order, ends), np.split(by_molecule, bond_ends), strict=True):
        place[atoms] = np.arange(len(atoms))
        yield atoms, tuple(sorted(map(tuple, np.sort(place[bonds[rows]], axis=1).tolist())))


def paths(bonds: Array, n: int, length: int) -> np.ndarray:
    """(M, length) every chain of that many different atoms along the bonds (P, 2) of n atoms, once, first end < last.

    length 2 are the bonds, 3 the angles, 4 the dihedrals.
    """
    neighbours: list[list[int]] = [[] for _ in range(n)]
    for i, j in np.asarray(bonds).reshape(-1, 2).tolist():
        neighbours[i].append(j)
        neighbours[j].append(i)
    found = [(i,) for i in range(n)]
    for _ in range(length - 1):
        found = [(*path, i) for path in found for i in neighbours[path[-1]] if i not in path]
    return np.array(sorted(path for path in found if path[0] < path[-1]), dtype=int).reshape(-1, length)


def pairs_apart(bonds: Array, n: int, separation: int) -> np.ndarray:
    """(P, 2) all pairs i < j of n atoms that are more than `separation` bonds apart, or in different molecules."""
    step = np.eye(n, dtype=bool)
    i, j = np.asarray(bonds).reshape(-1, 2).T
    step[i, j] = step[j, i] = True
    near = np.linalg.matrix_power(step.astype(np.float32), separation) > 0
    return np.argwhere(np.triu(~near, 1))


def superposition(moved: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Rotations R (..., 3, 3) that lay centred positions `moved` (..., N, 3) nm on `onto` as moved @ R, by least squares.

    Kabsch, Acta Cryst. A32, 922 (1976), doi:10.1107/S0567739476001873. Only proper rotations: a mirror image stays one.
    """
    u, _, vt = np.linalg.svd(np.einsum("...ni,...nj->...ij", moved, onto))
    u[..., -1] *= np.sign(np.linalg.det(u @ vt))[..., None]
    return u @ vt


def rotation(key: Array) -> Array:
    """A uniformly distributed proper rotation matrix (3, 3)."""
    q, r = jnp.linalg.qr(jax.random.normal(key, (3, 3)))
    q = q * jnp.sign(jnp.diagonal(r))
    return q * jnp.sign(jnp.linalg.det(q))
