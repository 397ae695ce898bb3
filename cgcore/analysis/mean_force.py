"""Free energy along a dihedral from forces alone: what the forces of a set can tell, and what a model has learnt of it.

    dF/dphi = -<torque>_phi,   torque = ((e x b3) . f4 + (e x b1) . f1) / 2,   e = b2 / |b2|

The torque turns the ends about the middle bond. That motion changes phi alone and keeps volumes, so that no thermal term
is added (Ciccotti, Kapral & Vanden-Eijnden, ChemPhysChem 6, 1809, 2005). Where force matching is given few frames, noise
of the torque at a barrier, which few molecules cross, decides how much of either side a model will have.
"""

from typing import NamedTuple

import numpy as np

from cgcore import geometry
from cgcore.analysis.bonded import GAUCHE_DEG
from cgcore.frames import Frames
from cgcore.units import kT

BINS = 36
"""Of five degrees from cis to trans: within one, frames gather on the side of lower energy and bias the mean torque."""
BLOCKS = 50
DRAWS = 500


class Profile(NamedTuple):
    """Free energy along the size of a dihedral. centres (B,) rad from cis to trans; free_energy, error (B,) kJ/mol above
    the last bin; gauche: fraction nearer to cis than `bonded.GAUCHE_DEG`; interval: its 95 % limits."""

    centres: np.ndarray
    free_energy: np.ndarray
    error: np.ndarray
    gauche: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        low, high = (f"{100 * x:.2g}" for x in self.interval)
        height, error = self.barrier
        return f"gauche {100 * self.gauche:.2g} % ({low} to {high} %), barrier {height:.1f} ± {error:.1f} kJ/mol"

    @property
    def barrier(self) -> tuple[float, float]:
        """Height of the highest point between 90 and 150 degrees over trans, and its standard error, kJ/mol."""
        between = np.abs(self.centres - np.radians(GAUCHE_DEG)) < np.radians(30)
        top = np.argmax(np.where(between, self.free_energy, -np.inf))
        return float(self.free_energy[top]), float(self.error[top])


def torques(frames: Frames, quads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dihedrals (T, M) rad and the torques about their middle bonds (T, M) kJ/mol/rad. quads: (M, 4) bead indices."""
    x, force, box = (np.asarray(a, float) for a in (frames.position, frames.force, frames.box))
    i, j, k, m = np.asarray(quads).reshape(-1, 4).T
    b1, b2, b3 = (np.asarray(geometry.displacement(x[:, a], x[:, b], box)) for a, b in ((i, j), (j, k), (k, m)))
    e = b2 / np.linalg.norm(b2, axis=-1, keepdims=True)
    torque = np.sum(np.cross(e, b3) * force[:, m], axis=-1) + np.sum(np.cross(e, b1) * force[:, i], axis=-1)
    return np.asarray(geometry.dihedrals(x, quads, box)), torque / 2


def from_forces(phi: np.ndarray, torque: np.ndarray, temperature_K: float, seed: int = 0) -> Profile:
    """Profile of a molecule that is its own mirror image, from dihedrals and torques (T, M) of one trajectory.

    Torques at phi and -phi are averaged and summed up from trans; errors are those of drawing contiguous blocks of
    frames again and again (bootstrap). A bin that no frame visits is taken as flat.
    """
    place, sizes = _bins(phi), np.sign(phi) * torque
    total, count = (np.array([f(b) for b in _blocks(len(phi))]) for f in (
        lambda b: np.bincount(place[b].ravel(), sizes[b].ravel(), BINS),
        lambda b: np.bincount(place[b].ravel(), minlength=BINS),
    ))  # fmt: skip
    return _profile(
        lambda chosen: _integral(total[chosen].sum(0), count[chosen].sum(0)), len(total), temperature_K, seed
    )


def from_positions(phi: np.ndarray, temperature_K: float, seed: int = 0) -> Profile:
    """Profile from how often each dihedral (T, M) is met, F = -kT ln p; half a count where there is none."""
    place = _bins(phi)
    count = np.array([np.bincount(place[b].ravel(), minlength=BINS) for b in _blocks(len(phi))])

    def energy(chosen):
        met = np.maximum(count[chosen].sum(0), 0.5)
        return -kT(temperature_K) * np.log(met / met[-1])

    return _profile(energy, len(count), temperature_K, seed)


def _bins(phi: np.ndarray) -> np.ndarray:
    return np.minimum((np.abs(phi) / np.pi * BINS).astype(int), BINS - 1)


def _blocks(frames: int) -> list[np.ndarray]:
    return np.array_split(np.arange(frames), min(BLOCKS, frames))


def _integral(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Free energy (B,) kJ/mol above the last bin, of the mean torque in each bin, by the trapezoidal rule."""
    torque = total / np.maximum(count, 1)
    between = (torque[1:] + torque[:-1]) / 2 * np.pi / BINS
    return np.append(np.cumsum(between[::-1])[::-1], 0.0)


def _profile(energy, n_blocks: int, temperature_K: float, seed: int) -> Profile:
    """energy: chosen blocks -> (B,) kJ/mol."""
    centres = (np.arange(BINS) + 0.5) * np.pi / BINS
    random = np.random.default_rng(seed)
    F = energy(np.arange(n_blocks))
    drawn = np.array([energy(random.integers(n_blocks, size=n_blocks)) for _ in range(DRAWS)])

    def gauche(values):
        p = np.exp(-(values - values.min(axis=-1, keepdims=True)) / kT(temperature_K))
        return p[..., centres < np.radians(GAUCHE_DEG)].sum(-1) / p.sum(-1)

    low, high = np.percentile(gauche(drawn), [2.5, 97.5])
    return Profile(centres, F, drawn.std(axis=0), float(gauche(F)), (float(low), float(high)))
