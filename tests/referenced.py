"""What tests of the reference share: short protocols, a dihedral by its definition, energies by OpenMM."""

import numpy as np
import openmm as mm

from cgcore.reference import own
from cgcore.reference.protocol import protocol


def quick(name="gly2", **options):
    return protocol(name, **{"every_ps": 0.2, "equilibration_ps": 0.5, **options})


def small_liquid(smiles: str, n: int, density: float, forcefield="mmff94", **options):
    """A liquid so small that half its box is the cut-off."""
    options = {
        "cutoff_nm": 0.48,
        "grid_nm": 0.07,
        "equilibration_ps": 0.5,
        "every_ps": 0.2,
        "forcefield": forcefield,
    } | options
    return protocol("liquid", structure=own.from_smiles(smiles), molecules=n, density_kg_m3=density, **options)


def dihedral(a, b, c, d):
    b0, b1, b2 = a - b, c - b, d - c
    b1 = b1 / np.linalg.norm(b1)
    v, w = b0 - (b0 @ b1) * b1, b2 - (b2 @ b1) * b1
    return np.degrees(np.arctan2(np.cross(b1, v) @ w, v @ w))


def energies(built: mm.System, position):
    context = mm.Context(built, mm.VerletIntegrator(0.001), mm.Platform.getPlatformByName("Reference"))
    context.setPositions(position)
    state = context.getState(energy=True, forces=True)
    return state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value
