"""The convolution of MACE: messages summed over neighbours, in plain JAX and by loops for the CPU.

    A_(i p c) = sum over j, a, b of R_(ij p) CG^p_abc h_(j a) Y_(ij b)

A training differentiates it twice. It is the derivative of a four-linear form (`convolution_loops`) by one of its four
factors, and all its derivatives are derivatives of the same form by another factor: four kernels, each the pull-back of
the others, serve energies, forces and the gradient of a loss of forces.
"""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...neighbors import Edges
from .convolution_loops import derivative_call
from .couplings import clebsch_gordan, component_slice
from .native.lanes import LANES

FACTORS = ("radial", "harmonics", "sent", "received")


def convolve(paths: tuple, edges: Edges, harmonics: Array, hidden: Array, last: Array, h: list[Array]) -> list[Array]:
    """Messages summed over neighbours, for each path (l_hidden, l_edge, l_out), those of one l_out side by side.

    harmonics (D, S) and hidden (D, W) of each length; last (W, paths K), the last layer of the radial network; h[l]
    (N, 2 l + 1, K) -> for each l_out (N, 2 l_out + 1, paths_l K).
    """
    channels = h[0].shape[-1]
    single = all(x.dtype == jnp.float32 for x in (harmonics, hidden, last, *h))
    by_loops = jax.default_backend() == "cpu" and single and channels % LANES == 0
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
    n, channels = h[0].shape[0], h[0].shape[-1]
    receiver = jnp.arange(n) if edges.receiver is None else edges.receiver
    topology = tuple(jnp.asarray(x, jnp.int32) for x in (receiver, edges.index, edges.length))
    radial = (hidden @ last).reshape(-1, len(paths), channels)
    received = form("received", paths, (radial, harmonics[..., None], jnp.concatenate(h, axis=1)), topology)
    out, first = [], 0
    for ell in sorted({path[2] for path in paths}):
        n_paths = sum(path[2] == ell for path in paths)
        rows = (2 * ell + 1) * n_paths
        out.append(received[:, first : first + rows].reshape(n, 2 * ell + 1, n_paths * channels))
        first += rows
    return out


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def form(wanted: str, paths: tuple, factors: tuple[Array, Array, Array], topology: tuple[Array, Array, Array]) -> Array:
    """The derivative of the four-linear form by the factor `wanted`, of which `factors` are the others in order.

    radial (D, P, K), harmonics (D, S, 1), sent (N, A, K), received (N, C, K); topology: receiver (R,), index (R, J)
    and length (R, J) of `Edges`.
    """
    own = dict(zip((name for name in FACTORS if name != wanted), factors, strict=True))
    channels = own["received" if wanted == "sent" else "sent"].shape[-1]
    n, n_lengths = (len(own[b if wanted == a else a]) for a, b in (("sent", "received"), ("radial", "harmonics")))
    shape = {
        "radial": (n_lengths, len(paths), channels),
        "harmonics": (n_lengths, (max(path[1] for path in paths) + 1) ** 2, 1),
        "sent": (n, (max(path[0] for path in paths) + 1) ** 2, channels),
        "received": (n, sum(2 * path[2] + 1 for path in paths), channels),
    }[wanted]
    result = jax.ShapeDtypeStruct(shape, jnp.float32)
    return derivative_call(wanted)(result, *factors, *topology, *_tables(paths))


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
