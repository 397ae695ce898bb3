"""Order of a helical chain from its CA atoms: helicity and handedness. Equations 8 and 9 of the paper."""

import numpy as np

OPTIMAL_NM = 0.5
VARIANCE_NM2 = 0.02


def helicity(ca: np.ndarray) -> np.ndarray:
    """Q_hel of CA positions (..., N, 3) nm: (...,), 0 for a coil to 1 for a perfect alpha helix.

        Q = 1 / N_hel sum_(j - i = 3) exp(-(d_ij - d_0)^2 / (2 sigma^2)),  d_0 = 0.5 nm, sigma^2 = 0.02 nm^2    (8)

    with N_hel = N - 3 pairs. Rudzinski & Noid, J. Chem. Theory Comput. 11, 1278 (2015). Raises ValueError for fewer than
    four atoms.
    """
    ca = _chain(ca)
    d = np.linalg.norm(ca[..., 3:, :] - ca[..., :-3, :], axis=-1)
    return np.exp(-((d - OPTIMAL_NM) ** 2) / (2 * VARIANCE_NM2)).mean(-1)


def handedness(ca: np.ndarray) -> np.ndarray:
    """chi_hel of CA positions (..., N, 3) nm: (...,) nm^3, positive for a right-handed helix.

        chi = 1 / N_hel sum_i v_i . (v_(i+1) x v_(i+2)),  v_i from CA i to CA i + 1    (9)

    Changes sign under reflection. Sidorova et al., Symmetry 13, 879 (2021). Raises ValueError for fewer than four atoms.
    """
    v = np.diff(_chain(ca), axis=-2)
    return (v[..., :-2, :] * np.cross(v[..., 1:-1, :], v[..., 2:, :])).sum(-1).mean(-1)


def _chain(ca) -> np.ndarray:
    ca = np.asarray(ca, dtype=np.float64)
    if ca.ndim < 2 or ca.shape[-1] != 3 or ca.shape[-2] < 4:
        raise ValueError(f"helix: want positions (..., N, 3) of at least four CA atoms, got {ca.shape}")
    return ca
