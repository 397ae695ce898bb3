"""How much of the mapped force no function of the bead positions explains: the loss that no training goes below.

    <|F - U'|^2> = <|F - <F|R>|^2> + <|<F|R> - U'|^2>:  noise floor, and what the model has still to learn

Two estimates that know nothing of each other: the limit of a learning curve, and the scatter of forces between frames
that are nearly alike. A third, for which the atoms are simulated again, is in `conditional`. All per Cartesian component,
kJ^2/mol^2/nm^2.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial import cKDTree

from cgcore.analysis.blocks import Estimate
from cgcore.data import DataError
from cgcore.frames import Frames

NEIGHBOURS = 12
BINS = 12
BLOCKS = 10
AGREE = 3.0
"""Standard errors that two estimates of one number may be apart."""


class Floor(NamedTuple):
    """One estimate of the noise floor, kJ^2/mol^2/nm^2; None where it cannot be had, and then why."""

    method: str
    estimate: Estimate | None
    reason: str = ""

    def __str__(self) -> str:
        if self.estimate is None:
            return f"{self.method}: not estimated ({self.reason})"
        value, error = self.estimate
        return f"{self.method}: {value:.4g} ± {error:.2g} kJ²/mol²/nm²"


def floors(frames: Frames, residual: np.ndarray, *, gap_ps: float, curve=None) -> tuple[Floor, Floor]:
    """Both estimates where they can be had: from neighbours, and from a learning curve.

    frames, residual, gap_ps: as `from_neighbours`; curve: number of training frames -> held-out loss with its error.
    """
    found = []
    for method, estimate in (
        ("neighbours", lambda: from_neighbours(frames, residual, gap_ps=gap_ps)),
        ("learning curve", lambda: _of_curve(curve or {})),
    ):
        try:
            found.append(Floor(method, estimate()))
        except DataError as error:
            found.append(Floor(method, None, str(error)))
    return tuple(found)


def beside(loss: Estimate, found: tuple[Floor, Floor]) -> str:
    """A loss with the noise floor beside it, in words: what remains to be learned, and whether the estimates agree."""
    lines = [f"held-out loss: {loss.value:.4g} ± {loss.error:.2g} kJ²/mol²/nm²", *map(str, found)]
    known = [f.estimate for f in found if f.estimate]
    if known:
        lines.append(f"noise is {100 * known[0].value / loss.value:.1f} % of the loss")
    if len(known) == 2:
        apart = abs(known[0].value - known[1].value) / np.hypot(known[0].error, known[1].error)
        verdict = "agree" if apart < AGREE else "do not agree: one of them is wrong"
        lines.append(f"the two estimates are {apart:.1f} standard errors apart, they {verdict}")
    return "\n".join(lines)


def _of_curve(curve: dict[int, Estimate]) -> Estimate:
    n = sorted(curve)
    return from_learning_curve(n, [curve[k].value for k in n], [curve[k].error for k in n])


def from_learning_curve(n_frames: np.ndarray, loss: np.ndarray, error: np.ndarray) -> Estimate:
    """L_inf of L(n) = L_inf + c n^-alpha, least squares over trainings on n frames with held-out losses L(n).

    n_frames, loss, error: (K,) with K >= 4; error: standard errors of the losses. Besides the noise, L_inf holds what the
    model cannot represent. Raises DataError for fewer points, or a curve that does not fall.
    """
    n, loss, error = (np.asarray(x, dtype=float) for x in (n_frames, loss, error))
    if len(n) < 4 or not (len(n) == len(loss) == len(error)):
        raise DataError(f"learning curve: want four or more trainings with errors, got {len(n)}")
    if loss[np.argmax(n)] > loss[np.argmin(n)]:
        raise DataError(
            f"learning curve: the loss rises from {loss[np.argmin(n)]:.4g} to {loss[np.argmax(n)]:.4g} with more frames; "
            "was it trained long enough?"
        )
    scale = n.min()

    def residual(p):
        return (p[0] + np.exp(p[1]) * (n / scale) ** -np.exp(p[2]) - loss) / error

    start = [loss.min(), np.log(max(np.ptp(loss), 1e-9)), 0.0]
    fitted = least_squares(residual, start, x_scale=[max(loss.min(), 1.0), 1.0, 1.0])
    covariance = np.linalg.pinv(fitted.jac.T @ fitted.jac)
    return Estimate(float(fitted.x[0]), float(np.sqrt(covariance[0, 0])))


def from_neighbours(frames: Frames, residual: np.ndarray, *, gap_ps: float) -> Estimate:
    """Half the mean square difference of residual forces between frames of one molecule, at vanishing distance.

    Frames that are nearly the same up to rotation have the same mean force, so what differs is noise (the nugget of a
    variogram). residual: (T, N, 3) kJ/mol/nm, mapped forces less those of any model; the better the model, the less is
    left to extrapolate. Pairs are a frame's nearest others in the space of all bead distances, more than gap_ps apart
    in time, the second turned onto the first; their squared differences are binned by squared distance and extrapolated
    by a straight line. Error over contiguous blocks of first frames.

    Raises DataError for a liquid, or too few frames apart in time.
    """
    if np.isfinite(np.asarray(frames.box)).all() and len(frames.names) > 64:
        raise DataError("noise from neighbours: want one molecule; a liquid has no two frames that are nearly alike")
    position, residual = np.asarray(frames.position, float), np.asarray(residual, float)
    if residual.shape != position.shape:
        raise DataError(f"noise from neighbours: want residuals {position.shape}, got {residual.shape}")
    first, second, distance2 = _pairs(position, frames.sampled_ps, gap_ps)
    turn = _turns(position, first, second)
    turned = np.einsum("pij,pnj->pni", turn, residual[second])
    difference = np.mean(np.square(residual[first] - turned), axis=(1, 2)) / 2
    block = first * BLOCKS // len(position)
    value = _at_zero(distance2, difference)
    left_out = np.array([_at_zero(distance2[block != b], difference[block != b]) for b in range(BLOCKS)])
    error = np.sqrt((BLOCKS - 1) / BLOCKS * np.sum((left_out - left_out.mean()) ** 2))
    return Estimate(value, float(error))


def _pairs(position: np.ndarray, time: np.ndarray, gap_ps: float):
    """First and second frames (P,), and their squared distance in the space of all bead distances, nm^2."""
    i, j = np.triu_indices(position.shape[1], 1)
    distances = np.linalg.norm(position[:, i] - position[:, j], axis=-1)
    # Chirality is no distance: mirror images must not be neighbours.
    hand = np.sign(_volume(position))[:, None] * 10.0 if position.shape[1] > 3 else np.zeros((len(position), 1))
    features = np.concatenate([distances, hand], axis=1)
    d, found = cKDTree(features).query(features, k=NEIGHBOURS + 1)
    first = np.repeat(np.arange(len(position)), NEIGHBOURS)
    second, d = found[:, 1:].ravel(), d[:, 1:].ravel()
    keep = np.abs(time[first] - time[second]) > gap_ps
    if keep.sum() < 10 * BINS:
        raise DataError(
            f"noise from neighbours: {keep.sum()} pairs of nearby frames more than {gap_ps} ps apart; want "
            f"{10 * BINS}, so a longer trajectory or a shorter gap"
        )
    return first[keep], second[keep], d[keep] ** 2


def _turns(position: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(P, 3, 3) proper rotations that lay the second frame best onto the first: Kabsch, Acta Cryst. A 34, 827 (1978)."""
    centred = position - position.mean(axis=1, keepdims=True)
    u, _, vt = np.linalg.svd(np.einsum("pni,pnj->pij", centred[first], centred[second]))
    u[..., -1] *= np.sign(np.linalg.det(u @ vt))[:, None]
    return u @ vt


def _volume(position: np.ndarray) -> np.ndarray:
    """The signed volume of the first, second, third and last bead: one hand or the other."""
    a, b, c = (position[:, k] - position[:, 0] for k in (1, 2, -1))
    return np.einsum("td,td->t", a, np.cross(b, c))


def _at_zero(x: np.ndarray, y: np.ndarray) -> float:
    """Intercept of a straight line through means of y in bins of equal numbers along x."""
    order = np.argsort(x)
    bins = np.array_split(order, BINS)
    centres, means = (np.array([v[b].mean() for b in bins]) for v in (x, y))
    # The nearest pairs count most: what curves, curves far away.
    _, intercept = np.polyfit(centres, means, 1, w=1 / np.sqrt(centres + centres[0]))
    return float(intercept)
