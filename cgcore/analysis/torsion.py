"""Free energy along an angle or a dihedral from forces alone: what the forces of a set can tell, what a model has learnt.

    dF/dq = -<torque>_q - kT <div v>_q,   torque = f . v,   for any field of displacements v with v . grad q = 1

(Ciccotti, Kapral & Vanden-Eijnden, ChemPhysChem 6, 1809, 2005). Two fields are at hand. `end_torques` moves only the ends of
the chain: about the middle bond for a dihedral, where div v = 0; in the plane of both bonds for an angle, where
div v = cot q, the slope of ln sin q. `optimised_torque` turns every bead about the middle bond of a dihedral at its own rate,
div v = 0, and takes the rates with the least mean square, which turn rigid parts together and leave alone what is only noise.
Where the noise of the torque leaves kT open, forces leave the depths of valleys beside each other to chance.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cgcore import geometry
from cgcore.analysis.blocks import bootstrap
from cgcore.analysis.bonded import GAUCHE_DEG
from cgcore.analysis.surface import jensen_shannon
from cgcore.data import DataError
from cgcore.frames import Frames
from cgcore.units import kT

PMF_BINS = 72
BINS = {3: 90, 4: 36}
"""Of a `Profile`, for angles and dihedrals, 2 and 5 degrees: frames gather on the lower side of a bin and bias its torque."""
BLOCKS = 50
PMF_DRAWS, DRAWS = 300, 500
RIDGE = 1e-10
NO_FRAME = 1e-3
"""Frames of an empty bin, whose slope can be anything."""


class PMF(NamedTuple):
    """Free energy along a dihedral, from -pi to pi, from the mean torque.

    centres (B,) rad; free_energy (B,) kJ/mol above its mean over the frames; population (B,) of the frames; draws (D, B) of
    free_energy, from blocks of frames drawn with replacement.
    """

    centres: np.ndarray
    free_energy: np.ndarray
    population: np.ndarray
    draws: np.ndarray

    @property
    def error_kJ_mol(self) -> float:
        """Standard error of the free energy at a place, against all others, averaged over where the frames are."""
        return float(np.sqrt(self.draws.var(0) @ self.population))

    def share(self, low: float, high: float, temperature_K: float) -> tuple[float, float, float]:
        """Part of the molecules at low < q < high (rad) by the forces, and its 95 % limits."""
        inside, visited = (self.centres > low) & (self.centres < high), self.population > 0
        weight = np.exp(-np.vstack([self.free_energy, self.draws]) / kT(temperature_K)) * visited
        part = weight[:, inside].sum(1) / weight.sum(1)
        return float(part[0]), *(float(v) for v in np.percentile(part[1:], [2.5, 97.5]))


class Profile(NamedTuple):
    """Free energy along q = angle or size of a dihedral, from 0 to pi, and what drawing blocks of frames makes of it.

    centres (B,) rad; free_energy, error (B,) kJ/mol above the last bin of a dihedral (trans) and the lowest of an angle;
    density (B,): probability of each bin, and draws (D, B) of it.
    """

    centres: np.ndarray
    free_energy: np.ndarray
    error: np.ndarray
    density: np.ndarray
    draws: np.ndarray

    def gauche(self) -> tuple[float, float, float]:
        """Fraction of dihedrals nearer to cis than `bonded.GAUCHE_DEG`, and its 95 % limits."""
        bent = self.centres < np.radians(GAUCHE_DEG)
        low, high = np.percentile(self.draws[:, bent].sum(1), [2.5, 97.5])
        return float(self.density[bent].sum()), float(low), float(high)

    def barrier(self) -> tuple[float, float]:
        """Height of the highest point between 90 and 150 degrees over trans, and its standard error, kJ/mol."""
        between = np.abs(self.centres - np.radians(GAUCHE_DEG)) < np.radians(30)
        top = np.argmax(np.where(between, self.free_energy, -np.inf))
        return float(self.free_energy[top]), float(self.error[top])

    def mean(self) -> tuple[float, float]:
        """Mean of q in rad, and its standard error."""
        return float(self.density @ self.centres), float((self.draws @ self.centres).std())

    def table(self, positions: "Profile") -> dict:
        """Its divergence js from that of the positions and js_noise from its own draws, bit; gauche and barrier_kJ_mol of a
        dihedral, the mean of an angle, with errors or limits."""
        table = dict(zip(("js", "js_noise"), self.distance(positions), strict=True))
        if len(self.centres) == BINS[3]:
            return table | dict(zip(("mean", "mean_error"), self.mean(), strict=True))
        limits = ("gauche", "gauche_low", "gauche_high", "barrier_kJ_mol", "barrier_kJ_mol_error")
        return table | dict(zip(limits, (*self.gauche(), *self.barrier()), strict=True))

    def distance(self, other: "Profile") -> tuple[float, float]:
        """Jensen-Shannon divergence to another's density, and the mean one of own draws to the own density, bit."""
        noise = np.mean([jensen_shannon(draw, self.density) for draw in self.draws])
        return jensen_shannon(self.density, other.density), float(noise)


def optimised_torque(position: np.ndarray, force: np.ndarray, path: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Dihedral (...,) rad of the path of four beads, and the torque that would make it grow (...,) kJ/mol/rad.

        torque = sum_i c_i t_i,   t_i = f_i . (e x r_i),   c_last - c_first = 1,   <torque^2> least

    t_i is the torque on bead i about the middle bond, along e. position, force: (..., n, 3) of one whole molecule in nm and
    kJ/mol/nm, of far more samples than beads.
    """
    first, j, k, last = path
    x, force = np.asarray(position, float), np.asarray(force, float)
    axis = x[..., k, :] - x[..., j, :]
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    arm = np.cross(axis[..., None, :], x - x[..., [j], :])
    a, b = arm[..., first, :], arm[..., last, :]
    q = np.arctan2(np.sum(np.cross(a, b) * axis, -1), np.sum(a * b, -1))
    each = np.sum(force * arm, axis=-1).reshape(-1, x.shape[-2])
    square = each.T @ each / len(each)
    square += RIDGE * np.trace(square) * np.eye(len(square))  # beads on the axis feel no torque
    turns = np.zeros(len(square))
    turns[last], turns[first] = 1, -1
    rate = np.linalg.solve(square, turns)
    return q, (each @ (rate / (turns @ rate))).reshape(q.shape)


def end_torques(frames: Frames, paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angles or sizes of dihedrals (T, M) rad, and the torques on their ends that would make them grow, kJ/mol/rad.

    paths: (M, 3) or (M, 4) bead indices. Of a dihedral and its mirror image the torque is that of the size, so that only
    achiral molecules are described. Raises DataError for frames without forces, and for paths of other lengths.
    """
    if frames.force is None:
        raise DataError(
            "mean torques: want frames with forces, these have none; were they read with require_forces=True?"
        )
    if np.ndim(paths) != 2 or np.shape(paths)[1] not in BINS:
        raise DataError(f"mean torques: want paths of three or four beads, (M, 3) or (M, 4), got {np.shape(paths)}")
    x, force, box = (np.asarray(a, float) for a in (frames.position, frames.force, frames.box))
    first, *_, last = paths = np.asarray(paths).T
    b = [geometry.displacement(x[:, i], x[:, j], box) for i, j in pairwise(paths)]
    if len(paths) == 4:
        phi = np.asarray(geometry.dihedrals(x, paths.T, box))
        axis, q = np.where(phi < 0, -1, 1)[..., None] * b[1], np.abs(phi)
    else:
        axis, q = np.cross(b[1], b[0]), np.asarray(geometry.angles(x, paths.T, box))
    e = axis / np.linalg.norm(axis, axis=-1, keepdims=True)
    return q, np.sum(np.cross(e, b[-1]) * force[:, last] + np.cross(e, b[0]) * force[:, first], axis=-1) / 2


def pmf_from_mean_torque(q: np.ndarray, torque: np.ndarray, weight: np.ndarray | None = None, seed: int = 0) -> PMF:
    """Free energy from dihedrals and torques (T, ...) of one trajectory, or of trajectories one after another.

    weight: (T,) what each frame counts, all alike where None.
    The mean torque is summed up by the trapezoidal rule around the circle, where it must come to nothing. What it lacks is
    spread over the bins in proportion to their variance, that is to one over their frames (sum w^2 / (sum w)^2), as least squares would: of the two
    ways from valley to valley the better known one counts, and a bin that no frame visits says nothing.
    """
    count, square, total = _sums(q, torque, weight, -np.pi, PMF_BINS)
    population = count.sum(0) / count.sum()

    def energy(chosen: np.ndarray) -> np.ndarray:
        n = count[chosen].sum(0)
        known = np.where(n > 0, n, 1.0)
        slope = -total[chosen].sum(0) / known
        variance = np.where(n > 0, square[chosen].sum(0) / known**2, 1 / NO_FRAME)
        slope -= slope.sum() * variance / variance.sum()
        F = np.cumsum((slope + np.roll(slope, 1)) / 2) * 2 * np.pi / PMF_BINS
        return F - F @ population

    draws = np.array(bootstrap(energy, len(count), PMF_DRAWS, seed))
    centres = -np.pi + (np.arange(PMF_BINS) + 0.5) * 2 * np.pi / PMF_BINS
    return PMF(centres, energy(np.arange(len(count))), population, draws)


def above_mean(density: np.ndarray, population: np.ndarray, temperature_K: float) -> np.ndarray:
    """-kT ln of a density (B,) in the bins of a `PMF`, kJ/mol above its mean over the population; nan where there is none."""
    F = -kT(temperature_K) * np.log(np.where(density > 0, density, np.nan))
    weight = population * (density > 0)
    return F - np.nansum(F * weight) / weight.sum()


def profile_from_forces(
    q: np.ndarray,
    torque: np.ndarray,
    beads: int,
    temperature_K: float,
    weight: np.ndarray | None = None,
    seed: int = 0,
) -> Profile:
    """Profile from angles (beads = 3) or dihedrals (4) and their `end_torques`, each (T, M), of one trajectory.

    The mean torque is summed up from pi by the trapezoidal rule, over bins that no frame visits as if it were zero; those
    have no density. Errors are those of drawing contiguous blocks of frames again and again (bootstrap).
    """
    count, _, total = _sums(q, torque, weight, 0.0, BINS[beads])
    # kT ln of the volume at each q: that of an angle is sin q.
    entropy = kT(temperature_K) * np.log(np.sin(_centres(beads))) if beads == 3 else 0.0

    def energy(chosen):
        n = count[chosen].sum(0)
        mean = total[chosen].sum(0) / np.where(n > 0, n, 1.0)
        between = (mean[1:] + mean[:-1]) / 2 * np.pi / len(n)
        return np.append(np.cumsum(between[::-1])[::-1], 0.0) - entropy, n > 0

    return _profile(energy, len(count), beads, temperature_K, seed)


def profile_from_positions(
    q: np.ndarray, beads: int, temperature_K: float, weight: np.ndarray | None = None, seed: int = 0
) -> Profile:
    """Profile from how often each angle (beads = 3) or dihedral (4) is met, F = -kT ln p.

    Where none is, half of what the frame that counts least counts.
    """
    count, least = _by_block(q, 0.0, BINS[beads], weight), 1.0 if weight is None else weight[weight > 0].min()

    def energy(chosen):
        n = count[chosen].sum(0)
        return -kT(temperature_K) * np.log(np.where(n > 0, n, 0.5 * least)), n > 0

    return _profile(energy, len(count), beads, temperature_K, seed)


def _centres(beads: int) -> np.ndarray:
    return (np.arange(BINS[beads]) + 0.5) * np.pi / BINS[beads]


def _sums(q: np.ndarray, torque: np.ndarray, weight: np.ndarray | None, low: float, bins: int):
    """(blocks, bins) of frames with weights w (T,), one where None: sums of w, of w^2, and of w times the torque."""
    count = _by_block(q, low, bins, weight)
    if weight is None:
        return count, count, _by_block(q, low, bins, torque)
    return count, _by_block(q, low, bins, weight**2), _by_block(q, low, bins, torque * _of_each(weight, torque))


def _of_each(weight: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The weights (T,) of frames for each of their values (T, ...)."""
    return np.broadcast_to(weight.reshape(-1, *(1,) * (values.ndim - 1)), values.shape)


def _by_block(q: np.ndarray, low: float, bins: int, weights: np.ndarray | None = None) -> np.ndarray:
    """(blocks, bins) counts of q from `low` to pi, or sums of weights, in contiguous blocks of frames."""
    place = np.minimum(((q - low) / (np.pi - low) * bins).astype(int), bins - 1)
    blocks = np.array_split(np.arange(len(q)), min(BLOCKS, len(q)))
    weights = weights if weights is None else _of_each(weights, q) if weights.ndim < q.ndim else weights
    return np.array([
        np.bincount(place[b].ravel(), None if weights is None else weights[b].ravel(), bins) for b in blocks
    ])  # fmt: skip


def _profile(energy: Callable, n_blocks: int, beads: int, temperature_K: float, seed: int) -> Profile:
    """energy: chosen blocks -> (B,) kJ/mol, and whether each bin is visited."""

    def normalised(chosen):
        F, visited = energy(chosen)
        p = np.where(visited, np.exp(-(F - F[visited].min()) / kT(temperature_K)), 0.0)
        return F - (F[-1] if beads == 4 else F[visited].min()), p / p.sum()

    F, density = normalised(np.arange(n_blocks))
    F_draws, draws = (np.array(part) for part in zip(*bootstrap(normalised, n_blocks, DRAWS, seed), strict=True))
    return Profile(_centres(beads), F, np.std(F_draws, axis=0), density, draws)
