"""How well the forces of a set fix the free energy along a dihedral, before anything is fitted to them.

    dF/dq = -<torque>_q,   torque = sum_i c_i t_i,   t_i = f_i . (e x r_i),   c_last - c_first = 1

t_i is the torque on bead i about the middle bond of the path, along e. Any field of displacements v with grad q . v = 1 has the
mean torque of the free energy, -<f . v + kT div v>_q (Ciccotti, Kapral & Vanden-Eijnden, ChemPhysChem 6, 1809, 2005); turning
each bead about the bond at its own rate c_i is one, div v = 0, and only the first and the last bead of the path change q. The
rates with the least mean square are taken, which turn rigid parts together and leave alone what is only noise. Where the noise
of the torque leaves kT open, forces leave the depths of valleys beside each other to chance.
"""

from typing import NamedTuple

import numpy as np

from cgcore.units import kT

BINS = 72
BLOCKS = 50
DRAWS = 300
RIDGE = 1e-10
NO_FRAME = 1e-3
"""Frames of an empty bin, whose slope can be anything."""


class Relief(NamedTuple):
    """Free energy along a dihedral from the mean torque. centres (B,) rad; free_energy (B,) kJ/mol above its mean over the
    frames; population (B,) of the frames; draws (D, B) of free_energy, from blocks of frames drawn with replacement."""

    centres: np.ndarray
    free_energy: np.ndarray
    population: np.ndarray
    draws: np.ndarray

    @property
    def error_kJ_mol(self) -> float:
        """Standard error of the depth of a place, against all others, averaged over where the frames are."""
        return float(np.sqrt(self.draws.var(0) @ self.population))

    def share(self, low: float, high: float, temperature_K: float) -> tuple[float, float, float]:
        """Part of the molecules at low < q < high (rad) by the forces, and its 95 % limits."""
        inside, visited = (self.centres > low) & (self.centres < high), self.population > 0
        weight = np.exp(-np.vstack([self.free_energy, self.draws]) / kT(temperature_K)) * visited
        part = weight[:, inside].sum(1) / weight.sum(1)
        return float(part[0]), *(float(v) for v in np.percentile(part[1:], [2.5, 97.5]))


def torques(position: np.ndarray, force: np.ndarray, path: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Dihedral (...,) rad of the path of four beads, and the torque that would make it grow (...,) kJ/mol/rad.

    position, force: (..., n, 3) of one whole molecule in nm and kJ/mol/nm, of far more samples than beads.
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


def relief(q: np.ndarray, torque: np.ndarray, seed: int = 0) -> Relief:
    """Free energy from dihedrals and torques (T, ...) of one trajectory, or of trajectories one after another.

    The mean torque is summed up by the trapezoidal rule around the circle, where it must come to nothing. What it lacks is
    spread over the bins in proportion to their variance, that is to one over their frames, as least squares would: of the two
    ways from valley to valley the better known one counts, and a bin that no frame visits says nothing.
    """
    place = np.minimum(((q + np.pi) / (2 * np.pi) * BINS).astype(int), BINS - 1)
    blocks = np.array_split(np.arange(len(q)), min(BLOCKS, len(q)))
    met = np.array([np.bincount(place[b].ravel(), minlength=BINS) for b in blocks])
    total = np.array([np.bincount(place[b].ravel(), torque[b].ravel(), BINS) for b in blocks])
    population = met.sum(0) / met.sum()

    def energy(chosen: np.ndarray) -> np.ndarray:
        n = met[chosen].sum(0)
        slope = -total[chosen].sum(0) / np.maximum(n, 1)
        variance = 1 / np.maximum(n, NO_FRAME)
        slope -= slope.sum() * variance / variance.sum()
        F = np.cumsum((slope + np.roll(slope, 1)) / 2) * 2 * np.pi / BINS
        return F - F @ population

    random = np.random.default_rng(seed)
    draws = np.array([energy(random.integers(len(blocks), size=len(blocks))) for _ in range(DRAWS)])
    centres = -np.pi + (np.arange(BINS) + 0.5) * 2 * np.pi / BINS
    return Relief(centres, energy(np.arange(len(blocks))), population, draws)
