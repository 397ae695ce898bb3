"""The convolution of MACE: messages summed over neighbours, in plain JAX and by loops for the CPU.

    A_(i p c) = sum over j, a, b of R_(ij p) CG^p_abc h_(j a) Y_(ij b)

A training differentiates it twice. It is the derivative of a four-linear form (`native.convolution`) by one of its four
factors, and all its derivatives are derivatives of the same form by another factor: four kernels, each the pull-back of
the others, serve energies, forces and the gradient of a loss of forces.
"""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...neighbors import Edges
from .couplings import clebsch_gordan, component_slice

FACTORS = ("radial", "harmonics", "sent", "received")


def convolve(paths: tuple, edges: Edges, harmonics: Array, hidden: Array, last: Array, h: list[Array]) -> list[Array]:
    """Messages summed over neighbours, for each path (l_hidden, l_edge, l_out), those of one l_out side by side.

    harmonics (D, S) and hidden (D, W) of each length; last (W, paths K), the last layer of the radial network; h[l]
    (N, 2 l + 1, K) -> for each l_out (N, 2 l_out + 1, paths_l K).
    """
    channels = h[0].shape[-1]
    by_loops = jax.default_backend() == "cpu" and harmonics.dtype == jnp.float32 and channels % _width() == 0
    return (_by_loops if by_loops else plain)(paths, edges, harmonics, hidden, last, h)


def plain(paths: tuple, edges: Edges, harmonics: Array, hidden: Array, last: Array, h: list[Array]) -> list[Array]:
    """`convolve` as contractions of dense arrays, wherever JAX runs and in any precision."""
    hidden, harmonics = edges.expand(hidden), edges.expand(harmonics)
    backwards = (edges.length < 0)[..., None]
    out: dict[int, list[Array]] = {}
    # Path by path: one wide product would be cut apart, and its pieces joined in the gradient.
    for (l1, l2, l3), weight in zip(paths, jnp.split(last, len(paths), axis=1), strict=True):
        coupling = (np.sqrt(2 * l3 + 1) * clebsch_gordan(l1, l2, l3)).astype(harmonics.dtype)
        y = harmonics[..., component_slice(l2)]
        y = jnp.where(backwards, -y, y) if l2 % 2 else y
        angular = jnp.einsum("abc,njb->njac", coupling, y)
        sent = edges.sender(h[l1]) * (hidden @ weight)[:, :, None, :]
        out.setdefault(l3, []).append(jnp.einsum("njac,njak->nck", angular, sent))
    return [edges.receive(jnp.concatenate(out[ell], axis=-1), len(h[0])) for ell in sorted(out)]


def _by_loops(paths: tuple, edges: Edges, harmonics: Array, hidden: Array, last: Array, h: list[Array]) -> list[Array]:
    n, channels = len(h[0]), h[0].shape[-1]
    width = _width()
    receiver = jnp.arange(n) if edges.receiver is None else edges.receiver
    topology = tuple(jnp.asarray(x, jnp.int32) for x in (receiver, edges.index, edges.length))
    sent, last = jnp.concatenate(h, axis=1), last.reshape(len(last), len(paths), channels)
    # Blocks of channels do not meet: they are calls of their own, which XLA runs side by side.
    blocks = []
    for first in range(0, channels, width):
        part = slice(first, first + width)
        radial = (hidden @ last[..., part].reshape(len(last), -1)).reshape(len(hidden), len(paths), width)
        blocks.append(form("received", paths, (radial, harmonics, sent[..., part]), topology))
    out, first = [], 0
    for ell in sorted({path[2] for path in paths}):
        n_paths = sum(path[2] == ell for path in paths)
        rows = (2 * ell + 1) * n_paths
        block = jnp.concatenate([b[:, first : first + rows] for b in blocks], axis=-1)
        out.append(block.reshape(n, 2 * ell + 1, n_paths * channels))
        first += rows
    return out


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def form(wanted: str, paths: tuple, factors: tuple[Array, Array, Array], topology: tuple[Array, Array, Array]) -> Array:
    """The derivative of the four-linear form by the factor `wanted`, of which `factors` are the others in order.

    radial (D, P, WIDTH), harmonics (D, S), sent (N, A, WIDTH), received (N, C, WIDTH); topology: receiver (R,), index (R, J)
    and length (R, J) of `Edges`.
    """
    from .native.call import convolution_call

    own = dict(zip((name for name in FACTORS if name != wanted), factors, strict=True))
    tables = _tables(paths)
    width = _width()
    n_lengths = len(own["radial" if wanted == "harmonics" else "harmonics"])
    n = len(own["received" if wanted == "sent" else "sent"])
    shape = {
        "radial": (n_lengths, len(paths), width),
        "harmonics": (n_lengths, (max(path[1] for path in paths) + 1) ** 2),
        "sent": (n, (max(path[0] for path in paths) + 1) ** 2, width),
        "received": (n, sum(2 * path[2] + 1 for path in paths), width),
    }[wanted]
    # To the loops all factors have three axes.
    factors = tuple(x[..., None] if name == "harmonics" else x for name, x in own.items())
    shape = (*shape, 1)[:3]
    out = convolution_call(wanted)(jax.ShapeDtypeStruct(shape, jnp.float32), *factors, *topology, *tables)
    return out[..., 0] if wanted == "harmonics" else out


def _forward(wanted, paths, factors, topology):
    return form(wanted, paths, factors, topology), (factors, topology)


def _backward(wanted, paths, kept, change):
    factors, topology = kept
    names = [name for name in FACTORS if name != wanted]
    found = []
    for name in names:
        others = dict(zip(names, factors, strict=True)) | {wanted: change}
        found.append(form(name, paths, tuple(others[f] for f in FACTORS if f != name), topology))
    return tuple(found), None


form.defvjp(_forward, _backward)


@lru_cache
def _tables(paths: tuple) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For the loops: paths (P, 4), l1, l2, l3 and the first of its rows (a b); couplings (M, 2) component of `received` and
    row, with strengths (M,). Components of one l_out come by component, then by path.
    """
    table, couplings, strengths, row = [], [], [], 0
    ells = sorted({path[2] for path in paths})
    of_ell = {ell: [path for path in paths if path[2] == ell] for ell in ells}
    start = dict(zip(ells, np.cumsum([0, *((2 * ell + 1) * len(of_ell[ell]) for ell in ells)]), strict=False))
    for l1, l2, l3 in paths:
        coupling = np.sqrt(2 * l3 + 1) * clebsch_gordan(l1, l2, l3)
        place = start[l3] + of_ell[l3].index((l1, l2, l3))
        for a, b, c in np.argwhere(np.abs(coupling) > 1e-12):
            couplings.append((place + c * len(of_ell[l3]), row + a * (2 * l2 + 1) + b))
            strengths.append(coupling[a, b, c])
        table.append((l1, l2, l3, row))
        row += (2 * l1 + 1) * (2 * l2 + 1)
    return np.array(table, np.int32), np.array(couplings, np.int32), np.array(strengths, np.float32)


def _width() -> int:
    from .native.convolution import WIDTH

    return WIDTH
