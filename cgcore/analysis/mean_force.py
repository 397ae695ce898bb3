"""Free energy along an angle or a dihedral from forces alone: what the forces of a set can tell, what a model has learnt.

    dF/dq = -<torque>_q - kT div v,   torque = f . v

v moves the ends of the chain so that q grows at rate one and nothing else changes: about the middle bond for a dihedral,
where div v = 0; in the plane of both bonds for an angle, where div v = cot q, the slope of ln sin q (Ciccotti, Kapral &
Vanden-Eijnden, ChemPhysChem 6, 1809, 2005). Where force matching is given few frames, noise of the torque where few
molecules are, as on a barrier, decides how many a model will have on either side.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cgcore import geometry
from cgcore.analysis.bonded import GAUCHE_DEG
from cgcore.analysis.surface import jensen_shannon
from cgcore.data import DataError
from cgcore.frames import Frames
from cgcore.units import kT

BINS = {3: 90, 4: 36}
"""For angles and dihedrals, of 2 and 5 degrees: frames gather on the lower side of a bin and bias its mean torque."""
BLOCKS = 50
DRAWS = 500


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

    def __str__(self) -> str:
        """Mean of an angle, or gauche fraction and barrier of a dihedral, with errors."""
        if len(self.centres) == BINS[3]:
            value, error = self.mean()
            return f"mean {value:.3f} ± {error:.3f} rad"
        value, low, high = (100 * x for x in self.gauche())
        height, error = self.barrier()
        return f"gauche {value:.2g} % ({low:.2g} to {high:.2g}), barrier {height:.1f} ± {error:.1f} kJ/mol"

    def apart(self, other: "Profile") -> str:
        """`distance` in words."""
        js, noise = self.distance(other)
        return f"{js:.2g} bit from positions, {noise:.2g} by drawing again"

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

    def distance(self, other: "Profile") -> tuple[float, float]:
        """Jensen-Shannon divergence to another's density, and the mean one of own draws to the own density, bit."""
        noise = np.mean([jensen_shannon(draw, self.density) for draw in self.draws])
        return jensen_shannon(self.density, other.density), float(noise)


def torques(frames: Frames, paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angles or sizes of dihedrals (T, M) rad, and the torques that would make them grow (T, M) kJ/mol/rad.

    paths: (M, 3) or (M, 4) bead indices. Of a dihedral and its mirror image the torque is that of the size, so that only
    molecules without a hand are described. Raises DataError for frames without forces, and for paths of other lengths.
    """
    if frames.force is None:
        raise DataError(
            "mean torques: want frames with forces, these have none; were they read with require_forces=True?"
        )
    if np.ndim(paths) != 2 or np.shape(paths)[1] not in BINS:
        raise DataError(f"mean torques: want paths of three or four beads, (M, 3) or (M, 4), got {np.shape(paths)}")
    x, force, box = (np.asarray(a, float) for a in (frames.position, frames.force, frames.box))
    first, *_, last = paths = np.asarray(paths).T
    b = [np.asarray(geometry.displacement(x[:, i], x[:, j], box)) for i, j in pairwise(paths)]
    if len(paths) == 4:
        phi = np.asarray(geometry.dihedrals(x, paths.T, box))
        axis, q = np.where(phi < 0, -1, 1)[..., None] * b[1], np.abs(phi)
    else:
        axis, q = np.cross(b[1], b[0]), np.asarray(geometry.angles(x, paths.T, box))
    e = axis / np.linalg.norm(axis, axis=-1, keepdims=True)
    return q, np.sum(np.cross(e, b[-1]) * force[:, last] + np.cross(e, b[0]) * force[:, first], axis=-1) / 2


def from_forces(q: np.ndarray, torque: np.ndarray, beads: int, temperature_K: float, seed: int = 0) -> Profile:
    """Profile from angles (beads = 3) or dihedrals (4) and their torques, each (T, M), of one trajectory.

    The mean torque is summed up from pi by the trapezoidal rule, over bins that no frame visits as if it were zero; those
    have no density. Errors are those of drawing contiguous blocks of frames again and again (bootstrap).
    """
    count = _counts(q, beads)
    total = _counts(q, beads, torque)

    def energy(chosen):
        met = count[chosen].sum(0)
        mean = total[chosen].sum(0) / np.maximum(met, 1)
        between = (mean[1:] + mean[:-1]) / 2 * np.pi / len(met)
        return np.append(np.cumsum(between[::-1])[::-1], 0.0) - _entropy(beads, temperature_K), met > 0

    return _profile(energy, len(count), beads, temperature_K, seed)


def from_positions(q: np.ndarray, beads: int, temperature_K: float, seed: int = 0) -> Profile:
    """Profile from how often each angle (beads = 3) or dihedral (4) is met, F = -kT ln p; half a count where none is."""
    count = _counts(q, beads)

    def energy(chosen):
        met = count[chosen].sum(0)
        return -kT(temperature_K) * np.log(np.maximum(met, 0.5)), met > 0

    return _profile(energy, len(count), beads, temperature_K, seed)


def _centres(beads: int) -> np.ndarray:
    return (np.arange(BINS[beads]) + 0.5) * np.pi / BINS[beads]


def _entropy(beads: int, temperature_K: float) -> np.ndarray:
    """kT ln of the volume at each q: that of an angle is sin q."""
    return kT(temperature_K) * np.log(np.sin(_centres(beads))) if beads == 3 else np.zeros(BINS[beads])


def _counts(q: np.ndarray, beads: int, weights: np.ndarray | None = None) -> np.ndarray:
    """(blocks, B) counts, or sums of weights."""
    bins = BINS[beads]
    place = np.minimum((q / np.pi * bins).astype(int), bins - 1)
    blocks = np.array_split(np.arange(len(q)), min(BLOCKS, len(q)))
    return np.array([
        np.bincount(place[b].ravel(), None if weights is None else weights[b].ravel(), bins) for b in blocks
    ])  # fmt: skip


def _profile(energy, n_blocks: int, beads: int, temperature_K: float, seed: int) -> Profile:
    """energy: chosen blocks -> (B,) kJ/mol, and whether each bin is visited."""

    def of(chosen):
        F, visited = energy(chosen)
        p = np.where(visited, np.exp(-(F - F[visited].min()) / kT(temperature_K)), 0.0)
        return F - (F[-1] if beads == 4 else F[visited].min()), p / p.sum()

    random = np.random.default_rng(seed)
    F, density = of(np.arange(n_blocks))
    drawn = [of(random.integers(n_blocks, size=n_blocks)) for _ in range(DRAWS)]
    return Profile(_centres(beads), F, np.std([f for f, _ in drawn], axis=0), density, np.array([p for _, p in drawn]))
