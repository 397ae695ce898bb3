"""The study's stability criteria; a bad frame and all later ones of its replica are excluded.

A molecule's frame is bad when a bonded distance is more than 0.05 nm off the mean of the reference (Fu et al., arXiv
2210.07237), a liquid's when its thermal energy is not below 5 kJ/mol.
"""

import numpy as np

from cgcore.geometry import distances
from cgcore.units import PS_PER_NS


def bond_deviation(position: np.ndarray, bonds: np.ndarray, equilibrium: np.ndarray) -> np.ndarray:
    """Largest |bond length - equilibrium| of each frame: (..., T, N, 3) nm, (P, 2), (P,) nm -> (..., T) nm.

    inf where a position is not finite. Molecules are whole, so no box.
    """
    bonds, equilibrium = np.asarray(bonds).reshape(-1, 2), np.asarray(equilibrium)
    if equilibrium.shape != bonds.shape[:1]:
        raise ValueError(f"equilibrium: want one length in nm for each of {len(bonds)} bonds, got {equilibrium.shape}")
    if not len(bonds):
        raise ValueError("no bonds: want at least one to judge stability by")
    position = np.asarray(position)
    finite = np.isfinite(position).all((-1, -2))
    length = distances(np.where(finite[..., None, None], position, 0.0), bonds, np.full(3, np.inf))
    return np.where(finite, np.abs(np.asarray(length) - equilibrium).max(-1), np.inf)


def thermal_energy(kinetic: np.ndarray, n_beads: int) -> np.ndarray:
    """k_B T of a frame's momenta, 2 K / 3N: (...) kJ/mol -> (...) kJ/mol."""
    return 2 * np.asarray(kinetic) / (3 * n_beads)


def first_bad_frame(
    position: np.ndarray, bonds: np.ndarray, equilibrium: np.ndarray, tolerance_nm: float = 0.05
) -> np.ndarray:
    """Index of the first frame with a bond off by more than the tolerance, T where there is none.

    (..., T, N, 3) nm, (P, 2), (P,) nm -> (...) integers.
    """
    bad = bond_deviation(position, bonds, equilibrium) > tolerance_nm
    return np.where(bad.any(-1), bad.argmax(-1), bad.shape[-1])


def survival(first_bad: np.ndarray, n_frames: int) -> np.ndarray:
    """Fraction of replicas that still count at each frame: (C,) -> (T,)."""
    return (np.arange(n_frames) < np.asarray(first_bad)[:, None]).mean(0)


def exclusions(first_bad: np.ndarray, n_frames: int, frame_ps: float) -> dict:
    """What the criterion leaves of C replicas of T frames.

    stable_ps is the mean over replicas of the time before the first bad frame, at most the whole length, and
    stable_ps_sd its standard deviation (the study's "stability").
    """
    first_bad = np.asarray(first_bad)
    total, counted = first_bad.size * n_frames, int(first_bad.sum())
    return {
        "n_replicas": first_bad.size,
        "n_replicas_failed": int((first_bad < n_frames).sum()),
        "n_frames": counted,
        "n_frames_excluded": total - counted,
        "valid_fraction": counted / total,
        "ns": counted * frame_ps / PS_PER_NS,
        "stable_ps": float(first_bad.mean() * frame_ps),
        "stable_ps_sd": float(first_bad.std() * frame_ps),
    }
