"""Atoms at a temperature under beads that stand still: the mapped force at fixed bead positions, again and again.

At fixed R = W r atoms have the density exp(-u(r) / kT) on the plane W r = R. BAOAB with the velocities of the beads
taken out after each kick stays on it (geodesic BAOAB: Leimkuhler & Matthews, Proc. R. Soc. A 472, 20160138, 2016); R is
linear in r, so that nothing has to be corrected for. The mean of the mapped force there is the mean force that force
matching looks for, and its scatter is the noise (Ciccotti, Kapral & Vanden-Eijnden, ChemPhysChem 6, 1809, 2005).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import openmm as mm
from openmm import unit
from scipy.sparse import csr_array

from ..config import SEED, Checked, number
from ..units import kT
from .errors import ReferenceRunError

LIGHTEST = 4.0
"""g/mol. Where atoms are does not depend on their masses, and without light ones steps may be longer."""


@dataclass(frozen=True, kw_only=True)
class ConstrainedConfig(Checked):
    """How the atoms of one frame are sampled. length_ps in steps of dt_ps, of which every so many is kept."""

    length_ps: float = number(10.0, above=0, most=1_000_000)
    dt_ps: float = number(0.002, least=1e-6, most=1)
    steps_per_sample: int = number(5, least=1, most=1_000_000)
    temperature_K: float = number(300.0, above=0, most=1_000_000)
    friction_per_ps: float = number(2.0, above=0, most=1_000_000)
    seed: int = number(1, **SEED)

    @property
    def samples(self) -> int:
        return round(self.length_ps / self.dt_ps / self.steps_per_sample)


class Beads:
    """Beads as linear functions of atoms, for atoms of given masses.

    weights, force_weights: (N, A), dense or sparse, the former with at most one bead an atom, rows that sum to 1; mass: (A,) g/mol.
    """

    def __init__(self, weights: np.ndarray, force_weights: np.ndarray, mass: np.ndarray):
        self.weights, self.force_weights = csr_array(weights), csr_array(force_weights)
        self.back = csr_array(self.weights.T.multiply(1 / mass[:, None]))
        self.inverse_mass = self.weights.power(2) @ (1 / mass)

    def project(self, velocity: np.ndarray) -> np.ndarray:
        """Velocities (A, 3) of atoms without those of the beads: the nearest, in the metric of the masses."""
        return velocity - self.back @ ((self.weights @ velocity) / self.inverse_mass[:, None])


def sample(
    context: mm.Context,
    position: np.ndarray,
    weights: np.ndarray,
    force_weights: np.ndarray,
    config: ConstrainedConfig,
    *,
    frame: int = 0,
    on_sample: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Sample the mapped force at fixed beads, from one frame of atoms (A, 3) nm on.

    Args:
        context: of the atomistic system, in the frame's box; its integrator is not used.
        weights, force_weights: (N, A) of the map.
        frame: a number that tells the noise of one frame from that of another.

    Returns:
        (S, N, 3) kJ/mol/nm.

    Raises:
        ReferenceRunError: for a system with constraints, whose forces this does not see; where atoms fly apart.
    """
    system = context.getSystem()
    if n := system.getNumConstraints():
        raise ReferenceRunError(f"want a system without constraints, got {n} fixed distances")
    mass = np.array([system.getParticleMass(k)._value for k in range(system.getNumParticles())])
    mass = np.maximum(mass, LIGHTEST)[:, None]
    beads = Beads(weights, force_weights, mass[:, 0])
    random = np.random.default_rng((config.seed, frame))
    sigma = np.sqrt(kT(config.temperature_K) / mass)
    kept = np.exp(-config.friction_per_ps * config.dt_ps)
    renewed = np.sqrt(1 - kept**2) * sigma
    half = config.dt_ps / 2
    x = np.array(position, dtype=float)
    v = beads.project(sigma * random.normal(size=x.shape))
    force = _force(context, x)
    samples = []
    for _ in range(config.samples):
        for _ in range(config.steps_per_sample):
            v = beads.project(v + half * force / mass)
            x += half * v
            v = beads.project(kept * v + renewed * random.normal(size=x.shape))
            x += half * v
            force = _force(context, x)
            v = beads.project(v + half * force / mass)
        if not np.isfinite(force).all():
            raise ReferenceRunError(
                f"atoms under fixed beads flew apart after {len(samples) * config.steps_per_sample} steps; want a shorter "
                f"step than {config.dt_ps} ps, or is the frame not one of this system?"
            )
        samples.append(beads.force_weights @ force)
        on_sample()
    return np.array(samples)


def _force(context: mm.Context, position: np.ndarray) -> np.ndarray:
    context.setPositions(position)
    force = context.getState(forces=True).getForces(asNumpy=True)
    return force.value_in_unit(unit.kilojoule_per_mole / unit.nanometer)
