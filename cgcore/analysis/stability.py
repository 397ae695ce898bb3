"""The paper's stability criteria; a bad frame and all later ones of its replica are excluded.

A molecule's frame is bad when a bonded distance is more than 0.05 nm off the mean of the reference (Fu et al., arXiv
2210.07237), a liquid's when its thermal energy is not below 5 kJ/mol.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array

from cgcore.frames import Ensemble, Frames
from cgcore.neighbors import closest
from cgcore.units import PS_PER_NS


def bond_deviation(position: Array, bonds: Array, equilibrium: Array) -> Array:
    """Largest |bond length - equilibrium| of each frame: (..., T, N, 3) nm, (P, 2), (P,) nm -> (..., T) nm.

    inf where a position is not finite. Molecules are whole, so no box. Raises ValueError for no bonds, or as many lengths.
    """
    bonds, equilibrium = jnp.asarray(bonds).reshape(-1, 2), jnp.asarray(equilibrium)
    if equilibrium.shape != bonds.shape[:1]:
        raise ValueError(f"equilibrium: want one length in nm for each of {len(bonds)} bonds, got {equilibrium.shape}")
    if not len(bonds):
        raise ValueError("no bonds: want at least one to judge stability by")
    finite = jnp.isfinite(position).all((-1, -2))
    i, j = bonds.T
    ends = jnp.where(finite[..., None, None], position, 0.0)
    length = jnp.linalg.norm(ends[..., j, :] - ends[..., i, :], axis=-1)
    return jnp.where(finite, jnp.abs(length - equilibrium).max(-1), jnp.inf)


def thermal_energy(kinetic, n_beads: int):
    """k_B T of a frame's momenta, 2 K / 3N: (...) kJ/mol -> (...) kJ/mol."""
    return 2 * kinetic / (3 * n_beads)


def energy_drift(total: np.ndarray, time_ps: np.ndarray, valid: np.ndarray) -> float:
    """How fast total energies (C, T) kJ/mol go up or down at constant energy: the median of `drifts`, nan without any."""
    slopes = drifts(total, time_ps, valid)
    return float(np.median(slopes)) if slopes.size else float("nan")


def drifts(total: np.ndarray, time_ps: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """|slope|, kJ/mol/ns, of a straight line through the energies that count of each replica with three of them or more."""
    slopes = [np.polyfit(time_ps[v], e[v], 1)[0] for e, v in zip(total, valid, strict=True) if v.sum() >= 3]
    return np.abs(slopes) * PS_PER_NS


def survival(first_bad: np.ndarray, n_frames: int) -> np.ndarray:
    """Fraction of replicas that still count at each frame: (C,) -> (T,)."""
    return (np.arange(n_frames) < np.asarray(first_bad)[:, None]).mean(0)


def exclusions(first_bad: np.ndarray, n_frames: int, frame_ps: float) -> dict:
    """What the criterion leaves of C replicas of T frames.

    stable_ps is the mean over replicas of the time before the first bad frame, at most the whole length, and
    stable_ps_sd its standard deviation (the paper's "stability").
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


def extrapolating_frames(run: Ensemble, trained: Frames, box: np.ndarray) -> dict:
    """Count the frames with two beads nearer than in any frame of the training, where a network extrapolates.

    box: (3,) nm, inf where not periodic. closest_trained_nm and closest_nm: shortest distances of the training and of
    the run's frames that count; n_frames_extrapolating: how many of the latter have a shorter one than the former. Between two
    frames beads may have been nearer.
    """
    closest_trained = float(closest(np.asarray(trained.position), box).min())
    shortest = closest(np.asarray(run.position)[run.valid], box)
    nearest = float(shortest.min()) if len(shortest) else float("nan")
    extrapolating = int((shortest < closest_trained).sum())
    return {"closest_trained_nm": closest_trained, "closest_nm": nearest, "n_frames_extrapolating": extrapolating}
