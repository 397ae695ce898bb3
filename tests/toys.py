"""Small systems whose free energies are known: a particle in a double well, and three beads around one with a torsion."""

import jax.numpy as jnp
import numpy as np

from cgcore.config import MDConfig
from cgcore.geometry import angles, dihedrals, distances
from cgcore.metadynamics import Variable
from cgcore.metadynamics.grid import Axis
from cgcore.potentials.base import Potential
from cgcore.simulate import Molecule

WELL, DEPTH, STIFF, SLANT = 0.5, 12.0, 100.0, 0.4


def double_well(params, position, box):
    """U = D ((x / w)^2 - 1)^2 + k/2 (y - c x)^2 + k/2 z^2 of one particle, kJ/mol; params scales it."""
    x, y, z = position[0]
    return params * (DEPTH * ((x / WELL) ** 2 - 1) ** 2 + 0.5 * STIFF * ((y - SLANT * x) ** 2 + z**2))


PARTICLE = Molecule(names=("A",), mass=np.array([10.0]), bonds=np.array([[0, 0]]), bond_length=np.zeros(1))
WELLS = Potential(lambda key: jnp.array(1.0), double_well)
# The particle never gets to where the period ends, 108 kJ/mol up.
X = Variable("x", lambda position, box: position[0, 0], 0.06, Axis(-1.0, 1.0, 166))

NAMES = ("N", "CA", "CB", "C")
STAR = np.array([[0, 1], [1, 2], [1, 3]])
BENDS = np.array([[0, 1, 2], [3, 1, 2]])
BOND, ANGLE, FIRM, BEND, HILL = 0.15, np.radians(110.0), 5000.0, 100.0, 15.0
MOLECULE = Molecule(names=NAMES, mass=np.array([14.0, 12.0, 15.0, 13.0]), bonds=STAR, bond_length=np.full(3, BOND))


def torsion(phi):
    """4 h (cos phi + 1/2)^2, kJ/mol: two wells at 120 degrees to either side, h between them at 180 and 9 h at 0."""
    return 4 * HILL * (jnp.cos(phi) + 0.5) ** 2


def star(params, position, box):
    """Springs, and a torsion that is independent of them: with r, theta and phi of N and C about CA-CB, F(phi) = U(phi)."""
    bonds = 0.5 * FIRM * jnp.sum((distances(position, STAR, box) - BOND) ** 2)
    bends = 0.5 * BEND * jnp.sum((angles(position, BENDS, box) - ANGLE) ** 2)
    return bonds + bends + params * torsion(dihedrals(position, np.array([[0, 1, 2, 3]]), box)[0])


TORSION = Potential(lambda key: jnp.array(1.0), star)


def star_start(phi: float = 2 * np.pi / 3) -> np.ndarray:
    """(4, 3) nm: bonds and angles at rest, the dihedral phi."""
    a, b = BOND * np.sin(ANGLE), BOND * np.cos(ANGLE)
    return np.array([[b, a, 0], [0, 0, 0], [BOND, 0, 0], [b, a * np.cos(phi), a * np.sin(phi)]])


def config(**values) -> MDConfig:
    few = dict(replicas=8, n_frames=40, steps_per_frame=20, dt_ps=0.005, friction_per_ps=5.0, bond_tolerance_nm=1.0)
    return MDConfig(**few | values)
