"""Priors: simple energies read off the mapped reference, joined with a trained potential by `add`.

They have no parameters, so that training leaves them as they are. With p(q) the sampled density of a coordinate q and J
its volume element (r^2 for distances, sin(theta) for angles, 1 for dihedrals),

    harmonic             U = 1/2 k (q - q0)^2,   q0 and var the moments of p / J,   k = kT / var
    Boltzmann-inverted   U = -kT ln(p / J) as a spline
    Fourier              U = sum_n a_n cos(n phi) + b_n sin(n phi), fitted to -kT ln p
    repulsion            U = kT ((sigma / r)^6 - 1)^2 below sigma, the closest sampled distance (the WCA potential)

Coordinates are taken as independent of each other; how far that is wrong is left to what is trained on top.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import Array

from cgcore.errors import CgcoreError

from ..config import SplineConfig
from ..frames import Frames
from ..mapping import Mapping
from ..units import kT
from .base import Potential
from .splines import Spline, for_frames
from .terms import KINDS, Term, coordinates, samples

BINS = 8
"""Bins of a histogram in each knot interval; and for dihedrals without knots in every 20 degrees."""


class PriorError(CgcoreError, ValueError):
    """Reference frames that a prior cannot be read off, with what was wanted and what was found."""


@dataclass(frozen=True, kw_only=True)
class Harmonic:
    """U = 1/2 k (q - q0)^2; dihedrals by the shorter way round."""

    term: Term
    k: float  # kJ/mol/nm^2 or kJ/mol/rad^2
    q0: float  # nm or rad

    def energy(self, position: Array, box: Array) -> Array:
        d = _from(self.term, coordinates(self.term, position, box), self.q0)
        return 0.5 * self.k * jnp.sum(d**2)


@dataclass(frozen=True, kw_only=True)
class Inverted:
    """U = -kT ln(p / J), with the continuation of splines beyond the samples."""

    term: Term
    spline: Spline
    coefficients: np.ndarray  # (n + 4,) kJ/mol

    def energy(self, position: Array, box: Array) -> Array:
        q = coordinates(self.term, position, box)
        return jnp.sum(self.spline.energy(jnp.asarray(self.coefficients, q.dtype), q))


@dataclass(frozen=True, kw_only=True)
class Fourier:
    """U = sum_n a_n cos(n phi) + b_n sin(n phi), n = 1 ... order."""

    term: Term
    a: np.ndarray  # (order,) kJ/mol
    b: np.ndarray

    def energy(self, position: Array, box: Array) -> Array:
        angle = coordinates(self.term, position, box)[..., None] * np.arange(1, len(self.a) + 1)
        return jnp.sum(jnp.cos(angle) * self.a + jnp.sin(angle) * self.b)


@dataclass(frozen=True, kw_only=True)
class Repulsion:
    """U = epsilon ((sigma / r)^6 - 1)^2 for r < sigma: nothing in the reference, a wall below it."""

    term: Term
    sigma: float  # nm
    epsilon: float  # kJ/mol

    def energy(self, position: Array, box: Array) -> Array:
        x = jnp.maximum(self.sigma / coordinates(self.term, position, box), 1.0)
        return self.epsilon * jnp.sum((x**6 - 1) ** 2)


def build(*priors) -> Potential:
    """The sum of priors as a potential without parameters."""
    return Potential(
        init=lambda key: {},
        energy=lambda params, position, box: sum(prior.energy(position, box) for prior in priors),
    )


def harmonic(term: Term, frames: Frames, temperature_K: float) -> Harmonic:
    """A harmonic bond, angle or improper dihedral. PriorError where the samples do not spread."""
    q = np.concatenate(list(samples(term, frames)))
    weight = 1 / KINDS[term.kind].jacobian(q)
    middle = np.angle(np.mean(np.exp(1j * q))) if term.kind == "dihedral" else np.average(q, weights=weight)
    d = np.asarray(_from(term, q, middle))
    mean = np.average(d, weights=weight)
    variance = np.average((d - mean) ** 2, weights=weight)
    if not variance > 1e-12 * max(1.0, middle**2):
        raise PriorError(f"{term.name}: want samples that spread, found {len(q)} all near {middle:.6g}")
    return Harmonic(term=term, k=float(kT(temperature_K) / variance), q0=float(middle + mean))


def improper(mapping: Mapping, beads: tuple[str, str, str, str], frames: Frames, temperature_K: float) -> Harmonic:
    """A harmonic improper dihedral at a stereocentre that the map keeps, such as N, CA, CB, C; it bars the inversion.

    Raises PriorError where the improper has both signs in the reference: then the map does not keep the stereocentre.
    """
    term = Term(f"improper_{'-'.join(beads)}", "dihedral", np.array([mapping.indices(*beads)]))
    q = np.concatenate(list(samples(term, frames)))
    if (share := np.mean(np.sin(q) > 0)) not in (0, 1):
        raise PriorError(f"{term.name}: want one sign in all frames, found a positive one in {share:.1%} of them")
    return harmonic(term, frames, temperature_K)


def inverted(term: Term, frames: Frames, temperature_K: float, config: SplineConfig) -> Inverted:
    """A Boltzmann-inverted bond, angle or dihedral, on knots like those of `splines.for_frames`.

    Least squares to the logarithm of a histogram, each bin weighted by its samples (the inverse variance of ln n).
    """
    if term.kind == "pair":
        raise PriorError(f"{term.name}: want a bond, an angle or a dihedral; pairs are not independent of each other")
    (spline,) = for_frames((term,), frames, config)
    edges = np.linspace(spline.knots[0], spline.knots[-1], BINS * len(spline.counts) + 1)
    centre, count = _histogram(term, frames, edges)
    hit = count > 0
    density = count[hit] / KINDS[term.kind].jacobian(centre[hit])
    design = np.concatenate([spline.basis(centre[hit]) @ spline.free, np.ones((hit.sum(), 1))], axis=1)
    y = _weighted(design, -kT(temperature_K) * np.log(density), count[hit])
    return Inverted(term=term, spline=spline, coefficients=spline.free @ y[:-1])


def fourier(term: Term, frames: Frames, temperature_K: float, order: int = 4) -> Fourier:
    """A Fourier series for dihedrals. Bins without samples count half a sample, so that barriers stay finite."""
    if term.kind != "dihedral":
        raise PriorError(f"{term.name}: want dihedrals for a Fourier series, got a {term.kind}")
    phi, count = _histogram(term, frames, np.linspace(-np.pi, np.pi, 18 * BINS + 1))
    count = np.maximum(count, 0.5)
    angle = phi[:, None] * np.arange(1, order + 1)
    design = np.concatenate([np.cos(angle), np.sin(angle), np.ones((len(phi), 1))], axis=1)
    y = _weighted(design, -kT(temperature_K) * np.log(count), count)
    return Fourier(term=term, a=y[:order], b=y[order:-1])


def repulsion(term: Term, frames: Frames, temperature_K: float) -> Repulsion:
    """A wall of kT below the closest sampled distance."""
    if term.kind != "pair":
        raise PriorError(f"{term.name}: want pairs for a repulsion, got a {term.kind}")
    sigma = min(float(r.min()) for r in samples(term, frames))
    return Repulsion(term=term, sigma=sigma, epsilon=kT(temperature_K))


def _from(term: Term, q, middle: float):
    """q - middle; for dihedrals in [-pi, pi)."""
    d = q - middle
    return d - 2 * np.pi * jnp.floor((d + np.pi) / (2 * np.pi)) if term.kind == "dihedral" else d


def _histogram(term: Term, frames: Frames, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = sum(np.histogram(q, edges)[0] for q in samples(term, frames))
    return (edges[1:] + edges[:-1]) / 2, count.astype(float)


def _weighted(design: np.ndarray, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
    root = np.sqrt(weight)
    return np.linalg.lstsq(design * root[:, None], target * root, rcond=None)[0]
