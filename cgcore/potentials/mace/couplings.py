"""Constant tensors of the equivariant networks: Clebsch-Gordan paths and the bases of symmetric contractions.

An irrep is (l, p) with parity p = +-1. Spherical-harmonic components are stored l = 0, 1, ... in e3nn's order, so
that degree l fills `component_slice(l)`. Coefficients are e3nn-jax's, of unit Frobenius norm.
"""

from functools import lru_cache

import e3nn_jax as e3nn
import jax
import numpy as np


def component_slice(ell: int) -> slice:
    """Where degree l lies among the (L + 1)^2 components of degrees 0 ... L."""
    return slice(ell**2, (ell + 1) ** 2)


OPPOSITE_SIGN = {(1, 2, 2), (1, 3, 3)}
"""Sorted triples (up to degree 3) whose arbitrary overall sign differs between e3nn (torch) and e3nn-jax."""


def clebsch_gordan(l1: int, l2: int, l3: int) -> np.ndarray:
    """Real Clebsch-Gordan coefficients (2 l1 + 1, 2 l2 + 1, 2 l3 + 1) of unit norm, with the signs of e3nn (torch)."""
    with jax.ensure_compile_time_eval():
        coefficients = np.asarray(e3nn.clebsch_gordan(l1, l2, l3), dtype=np.float64)
    return -coefficients if tuple(sorted((l1, l2, l3))) in OPPOSITE_SIGN else coefficients


def convolution_paths(hidden_max_ell: int, max_ell: int, parity: bool = True) -> list[tuple[int, int, int]]:
    """(l_hidden, l_edge, l_out) of natural parity, by l_out and then in nested order, as mace-torch sorts them.

    Without parity also those that mix true and pseudo-tensors, as the vector product 1 x 1 -> 1.
    """
    paths = [
        (l1, l2, l3)
        for l1 in range(hidden_max_ell + 1)
        for l2 in range(max_ell + 1)
        for l3 in range(abs(l1 - l2), min(l1 + l2, max_ell) + 1)
        if (l1 + l2 + l3) % 2 == 0 or not parity
    ]
    return sorted(paths, key=lambda path: path[2])


@lru_cache
def contraction_basis(max_ell: int, degree: int, ell_out: int, parity: bool = True) -> np.ndarray:
    """All couplings of `degree` copies of 0e + 1o + ... (max_ell) to degree ell_out, of natural parity or of both.

    Shape (2 ell_out + 1, S, ..., S, k) with S = (max_ell + 1)^2 and one path a column; the U matrix of MACE
    (Batatia et al., NeurIPS 2022, eq. 9-11), in the order and the "component" normalisation of mace-torch.
    """
    wanted = {(ell_out, (-1) ** ell_out)} | ({(ell_out, -((-1) ** ell_out))} if not parity else set())
    return np.stack([tensor for irrep, tensor in _coupling_trees(max_ell, degree) if irrep in wanted], axis=-1)


@lru_cache
def _coupling_trees(max_ell: int, degree: int) -> list[tuple[tuple[int, int], np.ndarray]]:
    """Left-to-right coupling trees of `degree` natural-parity inputs: (irrep, (2l + 1, S, ..., S)), sorted by irrep."""
    size = (max_ell + 1) ** 2
    if degree == 1:
        identity = np.eye(size)
        return [((ell, (-1) ** ell), identity[component_slice(ell)]) for ell in range(max_ell + 1)]
    trees = []
    for (l1, p1), left in _coupling_trees(max_ell, degree - 1):
        for l2 in range(max_ell + 1):
            for l3 in range(abs(l1 - l2), l1 + l2 + 1):
                coupling = np.sqrt(2 * l3 + 1) * clebsch_gordan(l1, l2, l3)
                tensor = np.zeros((2 * l3 + 1,) + (size,) * degree)
                tensor[..., component_slice(l2)] = np.einsum("a...,abc->c...b", left, coupling)
                trees.append(((l3, p1 * (-1) ** l2), tensor))
    return sorted(trees, key=lambda tree: tree[0])


@lru_cache
def contraction_monomials(
    max_ell: int, degree: int, ell_outs: tuple[int, ...], parity: bool = True
) -> tuple[np.ndarray, dict]:
    """The contraction of equal factors as a sparse polynomial.

    Contracting U with the same A in every slot only sees U summed over the orders of its slots. Returns the M index
    tuples i <= j <= ... that occur, (M, degree), and for each ell_out the coefficients (2 ell_out + 1, M, k). Without
    parity, couplings that vanish for equal factors (A x A = 0) are left out.
    """
    bases = {ell: contraction_basis(max_ell, degree, ell, parity) for ell in ell_outs}
    sums: dict[int, dict] = {ell: {} for ell in ell_outs}
    for ell, basis in bases.items():
        for index in np.argwhere(np.abs(basis).max(axis=(0, -1)) > 1e-12):
            key = tuple(sorted(index.tolist()))
            sums[ell][key] = sums[ell].get(key, 0.0) + basis[(slice(None), *index)]
    kept = sorted({key for table in sums.values() for key, value in table.items() if np.abs(value).max() > 1e-12})
    coefficients = {
        ell: np.stack([sums[ell].get(key, np.zeros(basis.shape[:1] + basis.shape[-1:])) for key in kept], axis=1)
        for ell, basis in bases.items()
    }
    if not parity:
        coefficients = {ell: c[..., np.abs(c).max(axis=(0, 1)) > 1e-12] for ell, c in coefficients.items()}
    return np.array(kept).reshape(-1, degree), coefficients
