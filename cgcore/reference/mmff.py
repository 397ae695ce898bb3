"""MMFF94 in OpenMM: RDKit types the atoms and has the parameters, OpenMM's custom forces have the energy.

A force field for any small organic molecule, fitted to gas-phase conformers and to crystals of drug-like molecules: its torsions
are good to some 2 kJ/mol. `mmff_liquid` has what acts between molecules. Halgren, J. Comput. Chem. 17, 490-641 (1996).
"""

import numpy as np
import openmm as mm

from ..config import ConfigError
from ..frames import Topology
from ..geometry import paths
from ..units import KCAL

BOND, COULOMB = 143.9325, 332.0716
ANGLE, STRETCH_BEND = BOND * np.radians(1.0) ** 2, BOND * np.radians(1.0)
"""Of MMFF94 in kcal/mol, Å and degrees; the last two are 0.043844 and 2.51210 in print."""
BUFFER_A, SCALED_14 = 0.05, 0.75
CUBIC_BOND, CUBIC_ANGLE = -2.0, -0.4 * np.radians(1.0)
"""1/Å and 1/degree."""
TOLERANCE_KJ_MOL = 1e-3
"""How far the energy may be from RDKit's own."""
LINEAR_DEG = 179.9


def system(topology: Topology, position: np.ndarray, smiles: str) -> mm.System:
    """The system of one molecule in vacuum; position (A, 3) nm, where its energy is held against RDKit's.

    smiles: has the bond orders and charges, its atoms and then their hydrogens in the order of the topology.
    Raises ConfigError for a molecule that RDKit has no MMFF94 types for, or whose energy differs.
    """
    molecule, properties = typed(topology, smiles)
    built = mm.System()
    for mass in topology.mass:
        built.addParticle(float(mass))
    bonds, angles, torsions = (paths(topology.bonds, topology.n_atoms, n).tolist() for n in (2, 3, 4))
    for force in (
        _bonds(molecule, properties, bonds),
        *_angles(molecule, properties, angles),
        _out_of_plane(molecule, properties, topology),
        _torsions(molecule, properties, torsions),
        _nonbonded(properties, topology.n_atoms, bonds, angles, torsions),
    ):
        built.addForce(force)
    _compare(built, molecule, properties, position)
    built.addForce(mm.CMMotionRemover())
    return built


def typed(topology: Topology, smiles: str):
    from rdkit import Chem
    from rdkit.Chem import AllChem

    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    bonds = sorted(tuple(sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx()))) for b in molecule.GetBonds())
    elements = tuple(atom.GetSymbol() for atom in molecule.GetAtoms())
    if elements != topology.elements or bonds != sorted(map(tuple, topology.bonds.tolist())):
        raise ConfigError(f"mmff94: the atoms and bonds are not those of {smiles!r}; was the structure edited?")
    if (properties := AllChem.MMFFGetMoleculeProperties(molecule)) is None:
        raise ConfigError(
            f"MMFF94 has no types for some atoms of {smiles!r}; want another force field, with a PDB file"
        )
    return molecule, properties


def _bonds(molecule, properties, bonds: list) -> mm.Force:
    """EB = 143.9325 kb/2 dr^2 (1 + cs dr + 7/12 cs^2 dr^2), dr in Å."""
    scale = BOND * KCAL / 2
    force = mm.CustomBondForce(f"{scale}*k*d^2*(1 + ({CUBIC_BOND})*d + 7/12*{CUBIC_BOND**2}*d^2); d = 10*r - r0")
    force.addPerBondParameter("k"), force.addPerBondParameter("r0")
    for i, j in bonds:
        _, k, r0 = properties.GetMMFFBondStretchParams(molecule, i, j)
        force.addBond(i, j, [k, r0])
    return force


def _angles(molecule, properties, angles: list) -> tuple[mm.Force, mm.Force]:
    """EA = 0.043844 ka/2 dt^2 (1 + cb dt), dt in degrees, 143.9325 ka (1 + cos t) where linear; and what couples it to both
    bonds, EBA = 2.51210 (k_ij dr_ij + k_kj dr_kj) dt."""
    degrees = 180 / np.pi
    bend = mm.CustomAngleForce(
        f"k*(linear*{BOND * KCAL}*(1 + cos(theta)) + (1 - linear)*{ANGLE * KCAL / 2}*d^2*(1 + ({CUBIC_ANGLE})*d)); "
        f"d = {degrees}*theta - t0"
    )
    for name in ("k", "t0", "linear"):
        bend.addPerAngleParameter(name)
    couple = mm.CustomCompoundBondForce(
        3,
        f"{STRETCH_BEND * KCAL}*(k1*(10*distance(p1, p2) - r1) + k2*(10*distance(p2, p3) - r2))*"
        f"({degrees}*angle(p1, p2, p3) - t0)",
    )
    for name in ("k1", "k2", "r1", "r2", "t0"):
        couple.addPerBondParameter(name)
    for i, j, k in angles:
        _, constant, t0 = properties.GetMMFFAngleBendParams(molecule, i, j, k)
        bend.addAngle(i, j, k, [constant, t0, float(t0 > LINEAR_DEG)])
        if found := properties.GetMMFFStretchBendParams(molecule, i, j, k):
            lengths = [properties.GetMMFFBondStretchParams(molecule, *pair)[2] for pair in ((i, j), (j, k))]
            couple.addBond([i, j, k], [*found[1:], *lengths, t0])
    return bend, couple


def _out_of_plane(molecule, properties, topology: Topology) -> mm.Force:
    """EOOP = 0.043844 koop/2 chi^2 with the Wilson angle chi, degrees, of each bond at a centre of three against the others."""
    scale = ANGLE * KCAL / 2 * (180 / np.pi) ** 2
    # sin(chi) of the bond 2-4 against the plane of 1, 2, 3: the triple product over |a x b| |c|.
    force = mm.CustomCompoundBondForce(
        4,
        f"{scale}*k*asin(max(-1, min(1, s)))^2; s = (nx*cx + ny*cy + nz*cz)/sqrt((nx^2 + ny^2 + nz^2)*(cx^2 + cy^2 + cz^2)); "
        "nx = ay*bz - az*by; ny = az*bx - ax*bz; nz = ax*by - ay*bx; "
        "ax = x1 - x2; ay = y1 - y2; az = z1 - z2; bx = x3 - x2; by = y3 - y2; bz = z3 - z2; "
        "cx = x4 - x2; cy = y4 - y2; cz = z4 - z2",
    )
    force.addPerBondParameter("k")
    neighbours: dict[int, list[int]] = {}
    for i, j in topology.bonds.tolist():
        neighbours.setdefault(i, []).append(j)
        neighbours.setdefault(j, []).append(i)
    for centre, three in neighbours.items():
        if len(three) != 3:
            continue
        for i, k, end in (
            (three[0], three[1], three[2]),
            (three[0], three[2], three[1]),
            (three[1], three[2], three[0]),
        ):
            if constant := properties.GetMMFFOopBendParams(molecule, i, centre, k, end):
                force.addBond([i, centre, k, end], [constant])
    return force


def _torsions(molecule, properties, torsions: list) -> mm.Force:
    """ET = 1/2 (V1 (1 + cos p) + V2 (1 - cos 2p) + V3 (1 + cos 3p))."""
    force = mm.CustomTorsionForce(f"{KCAL / 2}*(v1*(1 + cos(theta)) + v2*(1 - cos(2*theta)) + v3*(1 + cos(3*theta)))")
    for name in ("v1", "v2", "v3"):
        force.addPerTorsionParameter(name)
    for four in torsions:
        if found := properties.GetMMFFTorsionParams(molecule, *four):
            force.addTorsion(*four, list(found[1:]))
    return force


def _nonbonded(properties, n: int, bonds: list, angles: list, torsions: list) -> mm.Force:
    """Buffered 14-7 and buffered Coulomb of every pair more than two bonds apart; 332.0716 q q / (R + 0.05 Å), 1-4 times 0.75."""
    force = mm.CustomBondForce(
        f"{KCAL}*(e*(1.07*s/(x + 0.07*s))^7*(1.12*s^7/(x^7 + 0.12*s^7) - 2) + {COULOMB}*qq/(x + {BUFFER_A})); x = 10*r"
    )
    for name in ("s", "e", "qq"):
        force.addPerBondParameter(name)
    near = {tuple(sorted((path[0], path[-1]))) for path in (*bonds, *angles)}
    third = {tuple(sorted((path[0], path[-1]))) for path in torsions} - near
    charge = [properties.GetMMFFPartialCharge(i) for i in range(n)]
    for i in range(n):
        for j in range(i + 1, n):
            if (i, j) in near:
                continue
            _, _, size, depth = properties.GetMMFFVdWParams(i, j)
            scale = SCALED_14 if (i, j) in third else 1.0
            force.addBond(i, j, [size, depth, scale * charge[i] * charge[j]])
    return force


def _compare(built: mm.System, molecule, properties, position: np.ndarray):
    from rdkit import Chem
    from rdkit.Chem import AllChem
    from rdkit.Geometry import Point3D

    conformer = Chem.Conformer(len(position))
    for atom, x in enumerate(np.asarray(position, float) * 10):
        conformer.SetAtomPosition(atom, Point3D(*x))
    molecule.RemoveAllConformers()
    molecule.AddConformer(conformer)
    wanted = AllChem.MMFFGetMoleculeForceField(molecule, properties).CalcEnergy() * KCAL
    context = mm.Context(built, mm.VerletIntegrator(0.001), mm.Platform.getPlatformByName("Reference"))
    context.setPositions(position)
    found = context.getState(getEnergy=True).getPotentialEnergy()._value
    if abs(found - wanted) > TOLERANCE_KJ_MOL + 1e-6 * abs(wanted):
        raise ConfigError(
            f"MMFF94 of this molecule: {found:.4f} kJ/mol in OpenMM, {wanted:.4f} in RDKit; it has a term that is not built here. "
            "Want another force field, with a PDB file"
        )
