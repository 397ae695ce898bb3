"""OPLS-AA for alkanes as an OpenMM system: Jorgensen, Maxwell and Tirado-Rives, J. Am. Chem. Soc. 118, 11225 (1996).

Types opls_135 (CH3), opls_136 (CH2) and opls_140 (H) with the numbers of GROMACS's oplsaa.ff. Geometric mixing of both
sigma and epsilon, 1-4 pairs scaled by one half.
"""

from itertools import combinations

import numpy as np
import openmm as mm

from ..frames import Topology

BONDS = {"CC": (0.1529, 224262.4), "CH": (0.109, 284512.0)}  # nm, kJ/mol/nm^2
ANGLES = {"CCC": (112.7, 488.273), "CCH": (110.7, 313.8), "HCH": (107.8, 276.144)}  # degrees, kJ/mol/rad^2
RYCKAERT_BELLEMANS = {  # c0 ... c5, kJ/mol, by outer atoms
    "CC": (2.9288, -1.4644, 0.2092, -1.6736, 0.0, 0.0),
    "CH": (0.6276, 1.8828, 0.0, -2.5104, 0.0, 0.0),
    "HH": (0.6276, 1.8828, 0.0, -2.5104, 0.0, 0.0),
}
LENNARD_JONES = {"C": (0.35, 0.276144), "H": (0.25, 0.12552)}  # nm, kJ/mol
CHARGES = {"CH3": -0.18, "CH2": -0.12, "H": 0.06}
FUDGE = 0.5
"""Of 1-4 pairs, for charges and for Lennard-Jones."""


def alkanes(topology: Topology, box: np.ndarray, *, cutoff_nm: float) -> mm.System:
    """The OpenMM system of alkane molecules in a periodic box, without constraints; forces in groups by `FORCES`."""
    system = mm.System()
    system.setDefaultPeriodicBoxVectors(*np.diag(box))
    for mass in topology.mass:
        system.addParticle(mass)
    neighbours = bonded_to(topology)
    for force in (*_bonded(topology, neighbours), *_nonbonded(topology, neighbours, cutoff_nm)):
        system.addForce(force)
    return system


def bonded_to(topology: Topology) -> list[list[int]]:
    """For each atom those it is bonded to."""
    out: list[list[int]] = [[] for _ in range(topology.n_atoms)]
    for i, j in topology.bonds.tolist():
        out[i].append(j)
        out[j].append(i)
    return out


def paths(topology: Topology, neighbours: list[list[int]]) -> tuple[list, list]:
    """Angles (i, j, k) and dihedrals (i, j, k, l) along the bonds, each once."""
    angles = [(i, j, k) for j, around in enumerate(neighbours) for i, k in combinations(around, 2)]
    dihedrals = [
        (i, j, k, m)
        for j, k in topology.bonds.tolist()
        for i in neighbours[j]
        for m in neighbours[k]
        if i != k and m != j
    ]
    return angles, dihedrals


def _bonded(topology: Topology, neighbours):
    elements = topology.elements
    bond, angle, torsion = mm.HarmonicBondForce(), mm.HarmonicAngleForce(), mm.RBTorsionForce()
    for i, j in topology.bonds.tolist():
        bond.addBond(i, j, *BONDS["".join(sorted(elements[i] + elements[j]))])
    angles, dihedrals = paths(topology, neighbours)
    for i, j, k in angles:
        outer = "".join(sorted(elements[i] + elements[k]))
        degrees, stiffness = ANGLES[{"CC": "CCC", "CH": "CCH", "HH": "HCH"}[outer]]
        angle.addAngle(i, j, k, np.radians(degrees), stiffness)
    for i, j, k, m in dihedrals:
        torsion.addTorsion(i, j, k, m, *RYCKAERT_BELLEMANS["".join(sorted(elements[i] + elements[m]))])
    return bond, angle, torsion


def _nonbonded(topology: Topology, neighbours, cutoff_nm: float):
    """Charges with PME and 1-4 pairs in one force, Lennard-Jones with geometric mixing in another."""
    elements = topology.elements
    charges = [_charge(topology, atom, neighbours) for atom in range(topology.n_atoms)]
    coulomb = mm.NonbondedForce()
    coulomb.setNonbondedMethod(mm.NonbondedForce.PME)
    coulomb.setUseDispersionCorrection(False)
    lj = mm.CustomNonbondedForce("4*epsilon*((sigma/r)^12-(sigma/r)^6); sigma=sqrt(s1*s2); epsilon=sqrt(e1*e2)")
    lj.addPerParticleParameter("s")
    lj.addPerParticleParameter("e")
    lj.setNonbondedMethod(mm.CustomNonbondedForce.CutoffPeriodic)
    lj.setUseLongRangeCorrection(True)
    for force in (coulomb, lj):
        force.setCutoffDistance(cutoff_nm)
    for element, charge in zip(elements, charges, strict=True):
        coulomb.addParticle(charge, 1.0, 0.0)
        lj.addParticle(LENNARD_JONES[element])
    angles, dihedrals = paths(topology, neighbours)
    near = {tuple(sorted((p[0], p[-1]))) for p in [*topology.bonds.tolist(), *angles]}
    fourth = {tuple(sorted((i, m))) for i, _, _, m in dihedrals} - near
    for i, j in sorted(near | fourth):
        lj.addExclusion(i, j)
        (s1, e1), (s2, e2) = LENNARD_JONES[elements[i]], LENNARD_JONES[elements[j]]
        scale = FUDGE if (i, j) in fourth else 0.0
        coulomb.addException(i, j, scale * charges[i] * charges[j], np.sqrt(s1 * s2), scale * np.sqrt(e1 * e2))
    return coulomb, lj


def _charge(topology: Topology, atom: int, neighbours) -> float:
    if topology.elements[atom] == "H":
        return CHARGES["H"]
    hydrogens = sum(topology.elements[j] == "H" for j in neighbours[atom])
    return CHARGES[f"CH{hydrogens}"]
