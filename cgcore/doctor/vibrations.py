"""How fast the bonds between beads vibrate, and how long a time step may therefore be."""

from typing import NamedTuple

import numpy as np

from cgcore.analysis.blocks import Estimate, jackknife
from cgcore.doctor.molecule import Molecule
from cgcore.units import FS_PER_PS, kT

PART = 0.1
"""A time step that is this part of the fastest period heats a molecule by some 10 K in 100 ps at constant energy: the paper's
limits of 1 fs with hydrogens and 2 fs without, and what the book's runs with time steps show."""
RIGID_NM = 5e-4
"""Standard deviation of a bond below which the reference held it fixed, or wrote it with too few digits; that of a triple
bond is three times this."""
LEAST_SAMPLES = 10
"""Molecules times frames for each bond, with fewer of which their covariance says nothing."""
MOST_SAMPLES = 4000
"""Molecules times frames that are looked at, evenly spread."""


class Vibration(NamedTuple):
    """The fastest vibration of the bonds of one molecule. bond: the one that moves most in it; period_fs; step_fs: the time
    step that follows, both nan of too few frames; rigid: bonds that the reference held fixed, which are not looked at."""

    bond: str
    period_fs: Estimate
    step_fs: float
    rigid: int


def fastest(molecule: Molecule, mass: np.ndarray, blocks: list[np.ndarray], temperature_K: float) -> Vibration | None:
    """The fastest vibration of a molecule of masses (n,) g/mol from blocks of whole copies (t, M, n, 3) nm.

    Quasi-harmonic, in the space of the bond lengths b: with their covariance C and Wilson's matrix
    G_kl = <sum_i grad_i b_k . grad_i b_l / m_i>, the squares of the angular frequencies are the eigenvalues of kT G C^-1.
    The potential of mean force is what vibrates, so positions tell, and forces, which feel what was left out, do not.
    Wilson, Decius & Cross, Molecular Vibrations (1955); Karplus & Kushick, Macromolecules 14, 325 (1981),
    doi:10.1021/ma50003a019. None for a molecule without bonds that move.
    """
    if not len(molecule.bonds):
        return None
    stride = max(1, sum(b.shape[0] * b.shape[1] for b in blocks) // MOST_SAMPLES)
    samples = [b.reshape(-1, *b.shape[2:])[::stride].astype(float) for b in blocks]
    i, j = molecule.bonds.T
    apart = np.concatenate([x[:, i] - x[:, j] for x in samples])
    moves = np.linalg.norm(apart, axis=-1).std(0) >= RIGID_NM
    if not moves.any():
        return None
    bonds, rigid = molecule.bonds[moves], int((~moves).sum())
    if len(apart) < LEAST_SAMPLES * len(bonds):
        return Vibration("", Estimate(np.nan, np.nan), np.nan, rigid)
    ends = np.zeros((len(bonds), molecule.size))
    ends[np.arange(len(bonds)), bonds[:, 0]], ends[np.arange(len(bonds)), bonds[:, 1]] = 1, -1
    inverse_mass = (ends / mass) @ ends.T

    def modes(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _, length, square, cosine = np.split(sums / sums[0], np.cumsum([1, len(bonds), len(bonds) ** 2]))
        square, cosine = (a.reshape(len(bonds), -1) for a in (square, cosine))
        spring = kT(temperature_K) * np.linalg.inv(square - np.outer(length, length))
        return np.linalg.eig(inverse_mass * cosine @ spring)

    def period(sums: np.ndarray) -> float:
        return 2 * np.pi * FS_PER_PS / np.sqrt(modes(sums)[0].real.max())

    each = np.array([_sums(x, bonds) for x in samples if len(x)])
    period_fs = jackknife(period, each)
    squares, shapes = modes(each.sum(0))
    a, b = bonds[np.abs(shapes[:, squares.real.argmax()]).argmax()]
    name = f"{molecule.beads[a]}–{molecule.beads[b]}"
    return Vibration(name, period_fs, PART * period_fs.value, rigid)


def _sums(x: np.ndarray, bonds: np.ndarray) -> np.ndarray:
    """Over frames (t, n, 3): their number, bond lengths, products of two, cosines between two."""
    apart = x[:, bonds[:, 0]] - x[:, bonds[:, 1]]
    length = np.linalg.norm(apart, axis=-1)
    unit = apart / length[..., None]
    products = length.T @ length, np.einsum("tkd,tld->kl", unit, unit)
    return np.concatenate([[len(x)], length.sum(0), *(p.ravel() for p in products)])
