"""How much of the mapped force no function of the bead positions explains: the loss that no training goes below.

    <|F - U'|^2> = <|F - <F|R>|^2> + <|<F|R> - U'|^2>:  noise floor, and what the model has still to learn

Two estimates that know nothing of each other: the limit of a learning curve, and the scatter of forces between frames
that are nearly alike. A third, for which the atoms are simulated again, is in `constrained`. All per Cartesian component,
kJ^2/mol^2/nm^2.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial import cKDTree

from cgcore.analysis.blocks import Estimate, jackknife
from cgcore.data import DataError
from cgcore.frames import Frames
from cgcore.geometry import superposition

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


def floors(frames: Frames, residual: np.ndarray, *, gap_ps: float, curve=None) -> tuple[Floor, Floor]:
    """Both estimates where they can be had: from neighbours, and from a learning curve.

    frames, residual, gap_ps: as `from_neighbours`; curve: number of training frames -> held-out loss with its error.
    """
    curve = curve or {}
    n = sorted(curve)
    both = []
    for method, estimate in (
        ("neighbours", lambda: from_neighbours(frames, residual, gap_ps=gap_ps)),
        ("learning curve", lambda: from_learning_curve(n, *np.array([curve[k] for k in n]).reshape(-1, 2).T)),
    ):
        try:
            both.append(Floor(method, estimate()))
        except DataError as error:
            both.append(Floor(method, None, str(error)))
    return tuple(both)


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
    by a straight line. Error over contiguous blocks of first frames, whose weight a pair has.

    Raises DataError for a liquid, or too few frames apart in time.
    """
    if np.isfinite(np.asarray(frames.box)).all() and len(frames.names) > 64:
        raise DataError("noise from neighbours: want one molecule; a liquid has no two frames that are nearly alike")
    position, residual = np.asarray(frames.position, float), np.asarray(residual, float)
    if residual.shape != position.shape:
        raise DataError(f"noise from neighbours: want residuals {position.shape}, got {residual.shape}")
    first, second, distance2 = _pairs(position, frames.sampled_ps, gap_ps)
    centred = position - position.mean(1, keepdims=True)
    turned = residual[second] @ superposition(centred[second], centred[first])
    difference = np.mean(np.square(residual[first] - turned), axis=(1, 2)) / 2
    block, weight = first * BLOCKS // len(position), frames.weights[first]

    def intercept(blocks):
        kept = blocks[block] > 0
        return _at_zero(distance2[kept], difference[kept], weight[kept])

    return jackknife(intercept, np.eye(BLOCKS))


def _pairs(position: np.ndarray, time: np.ndarray, gap_ps: float):
    """First and second frames (P,), and their squared distance in the space of all bead distances, nm^2."""
    if len(position) <= NEIGHBOURS:
        raise DataError(f"noise from neighbours: want more than {NEIGHBOURS} frames, got {len(position)}")
    i, j = np.triu_indices(position.shape[1], 1)
    features = np.linalg.norm(position[:, i] - position[:, j], axis=-1)
    if position.shape[1] > 3:
        # Chirality is no distance: mirror images must not be neighbours. The signed volume of four beads tells them apart.
        a, b, c = (position[:, k] - position[:, 0] for k in (1, 2, -1))
        volume = np.einsum("td,td->t", a, np.cross(b, c))
        features = np.concatenate([features, 10.0 * np.sign(volume)[:, None]], axis=1)
    distance, near = cKDTree(features).query(features, k=NEIGHBOURS + 1)
    first = np.repeat(np.arange(len(position)), NEIGHBOURS)
    second, distance = near[:, 1:].ravel(), distance[:, 1:].ravel()
    keep = np.abs(time[first] - time[second]) > gap_ps
    if keep.sum() < 10 * BINS:
        raise DataError(
            f"noise from neighbours: {keep.sum()} pairs of nearby frames more than {gap_ps} ps apart; want "
            f"{10 * BINS}, so a longer trajectory or a shorter gap"
        )
    return first[keep], second[keep], distance[keep] ** 2


def _at_zero(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """Intercept of a straight line through weighted means of y in bins of equal numbers along x."""
    bins = np.array_split(np.argsort(x), BINS)
    centres, means = (np.array([np.average(v[b], weights=weight[b]) for b in bins]) for v in (x, y))
    # The nearest pairs count most: what curves, curves far away.
    _, intercept = np.polyfit(centres, means, 1, w=1 / np.sqrt(centres + centres[0]))
    return float(intercept)
