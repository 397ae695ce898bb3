"""Surfaces over the backbone dihedrals phi and psi: populations, free energies, distances, symmetry indices.

Angles are in rad, chains stay apart as (C, T), and a histogram is (..., M, M) with phi along the first of the two axes.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.special import rel_entr

from cgcore import units
from cgcore.analysis.blocks import Estimate, between_halves, if_symmetric, jackknife, row
from cgcore.frames import Ensemble, Frames
from cgcore.geometry import dihedrals

BASINS = {
    "beta": ((-180, -105), (75, 240)),
    "ppII": ((-105, 0), (75, 240)),
    "alpha_R": ((-180, 0), (-120, 75)),
    "alpha_L": ((0, 180), (-75, 120)),
    "mirror_beta": ((0, 180), (120, 285)),
}
"""Rectangles (phi, psi) in degrees that tile the torus; psi wraps. beta holds C5, alpha_R holds C7eq below psi = 75.

The cuts lie in the gaps of capped alanine's own surface (psi = 75 and -120). The two basins with phi > 0 are the mirror
images of alpha_R and of beta with ppII under (phi, psi) -> (-phi, -psi).
"""


def backbone(run: Ensemble | Frames, phi, psi) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dihedrals phi and psi, each about four bead indices, and what each frame counts: three arrays (C, T).

    Frames of one trajectory are one chain; theirs is their weight. Angles are nan where a frame does not count.
    """
    single = isinstance(run, Frames)
    position = np.asarray(run.position)[None] if single else np.asarray(run.position)
    box = run.box if single else np.full(3, np.inf)
    valid = np.ones(position.shape[:2], bool) if single else run.valid
    counted = np.where(valid[..., None, None], position, 0.0)
    angles = np.array(dihedrals(counted, np.array([phi, psi]), box))
    angles[~valid] = np.nan
    return angles[..., 0], angles[..., 1], valid if not single or run.weight is None else run.weights[None]


def edges(bins: int) -> np.ndarray:
    """(M + 1,) bin edges in rad over [-pi, pi]; the grid is its own image under phi -> -phi."""
    return np.linspace(-np.pi, np.pi, bins + 1)


def bin_index(angle: np.ndarray, bins: int) -> np.ndarray:
    """Periodic bin of each angle; pi is -pi."""
    return np.floor((angle + np.pi) * (bins / (2 * np.pi))).astype(np.int64) % bins


def counts2d(phi: np.ndarray, psi: np.ndarray, bins: int, mask: np.ndarray | None = None) -> np.ndarray:
    """Frames per bin and chain: (C, T) rad twice -> (C, M, M). Raises ValueError for an angle that is not finite.

    mask: (C, T), true where a frame counts, or what each counts; all alike where None.
    """
    phi, psi = np.atleast_2d(phi), np.atleast_2d(psi)
    if phi.shape != psi.shape:
        raise ValueError(f"phi and psi: want equal shapes (C, T), got {phi.shape} and {psi.shape}")
    mask = np.ones(phi.shape, bool) if mask is None else np.atleast_2d(mask)
    if mask.shape != phi.shape:
        raise ValueError(f"mask: want the shape of phi, {phi.shape}, got {mask.shape}")
    if bad := np.count_nonzero(~np.isfinite(phi + psi) & (mask > 0)):
        raise ValueError(
            f"{bad} of {mask.sum()} counted frames have no finite dihedrals; pass the mask of valid frames"
        )
    chains = zip(phi, psi, mask, strict=True)
    return np.array([
        _bins(bin_index(a[m > 0], bins) * bins + bin_index(b[m > 0], bins), m, bins**2).reshape(bins, bins)
        for a, b, m in chains
    ])  # fmt: skip


def counts1d(angle: np.ndarray, bins: int, mask: np.ndarray) -> np.ndarray:
    """Frames per bin and chain of one angle: (C, T) rad -> (C, M)."""
    return np.array([_bins(bin_index(a[m > 0], bins), m, bins) for a, m in zip(angle, mask, strict=True)])


def _bins(place: np.ndarray, mask: np.ndarray, bins: int) -> np.ndarray:
    """Sum what the frames of one chain count, (T,), by the place of those that count at all."""
    return np.bincount(place, None if mask.dtype == bool else mask[mask > 0], bins)


def normalised(weights: np.ndarray) -> np.ndarray:
    """Weights over their sum. Raises ValueError where they are no distribution."""
    weights = np.asarray(weights, float)
    total = weights.sum()
    if not (np.isfinite(total) and total > 0 and weights.min() >= 0):
        raise ValueError(f"want weights >= 0 with a positive sum, got sum {total}; no frame was counted?")
    return weights / total


def free_energy(P: np.ndarray, temperature_K: float) -> np.ndarray:
    """F = -kT ln P in kJ/mol, minimum at zero; nan in empty bins, whose number is np.isnan(F).sum()."""
    P = normalised(P)
    F = np.full(P.shape, np.nan)
    F[P > 0] = -units.kT(temperature_K) * np.log(P[P > 0] / P.max())
    return F


def jensen_shannon(P: np.ndarray, Q: np.ndarray) -> float:
    """Jensen-Shannon divergence in bit: JS = (KL(P|M) + KL(Q|M)) / 2, M = (P + Q) / 2, logarithms to base 2.

    0 for equal, 1 for disjoint distributions; its root is a metric. P and Q need not be normalised.
    Lin, IEEE Trans. Inf. Theory 37, 145 (1991), doi:10.1109/18.61115.
    """
    P, Q = normalised(P), normalised(Q)
    if P.shape != Q.shape:
        raise ValueError(f"Jensen-Shannon divergence: want equal shapes, got {P.shape} and {Q.shape}")
    M = (P + Q) / 2
    return max(0.0, float((rel_entr(P, M) + rel_entr(Q, M)).sum() / (2 * np.log(2))))


def reflected(P: np.ndarray) -> np.ndarray:
    """P(-phi, -psi): the surface of the mirror-image molecule. (..., M, M)"""
    return P[..., ::-1, ::-1]


def exchanged(P: np.ndarray) -> np.ndarray:
    """P(psi, phi): the surface of the chain read from its other end. (..., M, M)"""
    return np.swapaxes(P, -1, -2)


def divergence(name: str, ours: np.ndarray, theirs: np.ndarray) -> dict:
    """Compare two histograms from their counts in blocks, (B, ...) and (B', ...): the Jensen-Shannon divergence, bit.

    name, name_error (jackknife over the blocks of both, in quadrature) and name_floor, what sampling noise alone would give.
    """
    js = jackknife(lambda n: jensen_shannon(n, theirs.sum(0)), ours)
    other = jackknife(lambda n: jensen_shannon(n, ours.sum(0)), theirs)
    noise = sum(between_halves(jensen_shannon, n) for n in (ours, theirs)) / 4
    return row(name, Estimate(js.value, float(np.hypot(js.error, other.error)))) | {f"{name}_floor": noise}


def asymmetry(P: np.ndarray, image: Callable) -> float:
    """JS of P and its image in bit: 0 for a surface with this symmetry, 1 where the two do not overlap.

    Of images, `reflected` tells left from right and `exchanged` the direction of the chain. Their product is that of beads
    of one species that keep a hand: read backwards they are of the other hand, whose mirror image is as good.
    """
    return jensen_shannon(P, image(P))


def symmetry(name: str, counts: np.ndarray, image: Callable) -> dict:
    """Judge a symmetry from counts in blocks (B, ...): name, the `asymmetry` in bit, with name_error (jackknife).

    name_floor is its mean if the system were symmetric, from sampling noise alone; name_bound, with an error, the smallest
    divergence of any symmetric surface to this one.
    """
    return {
        **row(name, jackknife(lambda n: asymmetry(n, image), counts)),
        f"{name}_floor": if_symmetric(lambda n: asymmetry(n, image), image, counts),
        **row(f"{name}_bound", jackknife(lambda n: symmetry_bound(n, image), counts)),
    }


def nearest_symmetric(P: np.ndarray, image: Callable) -> np.ndarray:
    """The distribution Q = image(Q) that is nearest to P in Jensen-Shannon divergence; image is an involution.

    With p, p' the values of P in a bin and its image, setting the derivative of JS under sum Q = 1 to zero gives
    4 Q^2 = c (p + Q)(p' + Q) with one c in [1, 4/3] for all bins; JS is convex in Q, so this is the minimum.
    """
    P = normalised(P)
    s, product = P + image(P), P * image(P)

    def Q(c):
        return (c * s + np.sqrt((c * s) ** 2 + 4 * (4 - c) * c * product)) / (2 * (4 - c))

    return Q(brentq(lambda c: Q(c).sum() - 1, 0.9, 1.5, xtol=1e-14))


def symmetry_bound(P: np.ndarray, image: Callable) -> float:
    """Smallest JS in bit between P and any surface with Q = image(Q): no model with that symmetry comes nearer to P.

    0 for a symmetric P; 3/2 - (3/4) log2 3 = 0.311, its largest value, where P and image(P) do not overlap.
    """
    return jensen_shannon(P, nearest_symmetric(P, image))


def basin_counts(phi: np.ndarray, psi: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Frames per chain in each basin and, as "phi_positive", with 0 < phi < pi: (C, T) rad -> name: (C,)."""
    phi, psi, mask = np.atleast_2d(phi), np.atleast_2d(psi), np.atleast_2d(mask)

    def between(angle, low, high):
        return (np.degrees(angle) - low) % 360 < high - low

    inside = {name: between(phi, *a) & between(psi, *b) for name, (a, b) in BASINS.items()}
    inside["phi_positive"] = (phi > 0) & (phi < np.pi)
    return {name: (where * mask).sum(1) for name, where in inside.items()}
