"""What is simulated, and when it counts as failed."""

from dataclasses import dataclass, field

import jax.numpy as jnp
import numpy as np
from jax import Array

from cgcore.errors import CgcoreError

from ..analysis.stability import bond_deviation, thermal_energy
from ..config import MDConfig
from ..frames import Status, pytree
from ..potentials.base import Potential


class SimulationError(CgcoreError, RuntimeError):
    """A simulation that cannot begin or be used, with what was wanted and what was found."""


@dataclass(frozen=True, kw_only=True)
class Molecule:
    """What a simulation knows of its N beads besides the potential.

    mass: (N,) g/mol; bonds: (P, 2) and their reference lengths (P,) nm serve the status of a molecule only;
    box: (3,) nm of a liquid, inf where not periodic.
    """

    names: tuple[str, ...]
    mass: np.ndarray
    bonds: np.ndarray
    bond_length: np.ndarray
    box: np.ndarray = field(default_factory=lambda: np.full(3, np.inf))

    @property
    def liquid(self) -> bool:
        return bool(np.isfinite(self.box).any())

    def system(self, dtype) -> "System":
        """The same as arrays for the device, in the precision of the positions."""
        mass, length, box = (jnp.asarray(a, dtype) for a in (self.mass, self.bond_length, self.box))
        bonds = jnp.asarray(np.asarray(self.bonds, np.int32).reshape(-1, 2))
        return System(mass=mass, bonds=bonds, bond_length=length, box=box)


@pytree
class System:
    """A molecule's numbers on the device; fields as those of `Molecule`."""

    mass: Array
    bonds: Array
    bond_length: Array
    box: Array


def status(position: Array, kinetic: Array, system: System, config: MDConfig, liquid: bool) -> Array:
    """Status bits of one frame (N, 3) nm of kinetic energy () kJ/mol, by the study's criteria."""
    finite = jnp.isfinite(position).all()
    if liquid:
        hot = ~(thermal_energy(kinetic, position.shape[0]) < config.thermal_limit_kJ_mol)
        failed = jnp.where(finite & hot, Status.OVERHEATED, Status.OK)
    else:
        deviation = bond_deviation(position, system.bonds, system.bond_length)
        failed = jnp.where(finite & (deviation > config.bond_tolerance_nm), Status.BOND_BROKEN, Status.OK)
    return failed | jnp.where(finite, Status.OK, Status.NONFINITE)


def check(potential: Potential, initial_positions: Array, molecule: Molecule, config: MDConfig):
    """Raise SimulationError for initial positions that do not fit, and for a liquid's potential without a box."""
    if initial_positions.ndim != 3 or initial_positions.shape[2] != 3 or initial_positions.shape[0] != config.replicas:
        raise SimulationError(f"initial_positions: want ({config.replicas}, N, 3), got {initial_positions.shape}")
    if np.shape(molecule.mass) != (len(molecule.names),) or initial_positions.shape[1] != len(molecule.names):
        raise SimulationError(
            f"want one name, mass and position a bead, got {len(molecule.names)} names, masses of shape "
            f"{np.shape(molecule.mass)} and initial_positions of shape {initial_positions.shape}"
        )
    if not np.isfinite(initial_positions).all():
        raise SimulationError("initial_positions: some positions are not finite")
    if (potential.periodic or potential.listed) and not molecule.liquid:
        raise SimulationError("the potential is of a liquid: want a molecule with its box, got none")
