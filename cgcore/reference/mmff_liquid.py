"""MMFF94 of a liquid: molecules as in vacuum, and what acts between them in a periodic box.

Every molecule has the energy that it has in vacuum, all its pairs without cut-off. Between molecules the buffered Coulomb energy of
MMFF94, which no lattice sum has, is the plain one less a part that falls off faster,

    C q q / (R + d) = C q q / R - C q q d / (R (R + d)),   d = 0.05 Å,

of which particle mesh Ewald (Essmann et al., J. Chem. Phys. 103, 8577, 1995, doi:10.1063/1.470117) sums the first over all images.
The second, 0.5 % of it at 1 nm, and buffered 14-7 are switched off over the last tenth of the cut-off. Their energy beyond is left
out: at constant volume it is nearly constant.
"""

import numpy as np
import openmm as mm

from ..frames import Topology
from ..geometry import molecules
from ..units import KCAL
from . import mmff

OPENMM_COULOMB = 138.935456
"""kJ nm/mol."""
SWITCHED = 0.9
"""Of the cut-off, where what has one begins to be switched off."""


def system(topology: Topology, position: np.ndarray, box: np.ndarray, smiles: str, cutoff_nm: float) -> mm.System:
    """Build the system of copies of one molecule in a box.

    Args:
        position: (A, 3) nm, where the energy of the first molecule is held against RDKit's.
        box: (3,) nm.
        smiles: of one molecule, as `mmff.system` takes it.
        cutoff_nm: between molecules.

    Raises:
        ConfigError: what `mmff.system` raises.
    """
    first = np.flatnonzero(molecules(topology.bonds, topology.n_atoms) == 0)
    one, n_copies = topology.take(first), topology.n_atoms // len(first)
    built = mmff.system(one, position[first], smiles)
    _copy(built, n_copies)
    for force in _between(mmff.typed(one, smiles)[1], one.n_atoms, n_copies, cutoff_nm):
        built.addForce(force)
    built.setDefaultPeriodicBoxVectors(*np.diag(box))
    return built


def _copy(built: mm.System, n_copies: int):
    """Give a system of one molecule more of it, with every term that it has."""
    n = built.getNumParticles()
    for atom in range(n, n * n_copies):
        built.addParticle(built.getParticleMass(atom % n))
    for force in built.getForces():
        if isinstance(force, mm.CMMotionRemover):
            continue
        (kind,) = [kind for kind in ("Bond", "Angle", "Torsion") if hasattr(force, f"getNum{kind}s")]
        get, add = getattr(force, f"get{kind}Parameters"), getattr(force, f"add{kind}")
        for *atoms, parameters in [get(k) for k in range(getattr(force, f"getNum{kind}s")())]:
            for shift in range(n, n * n_copies, n):
                add(*(np.add(atom, shift).tolist() for atom in atoms), parameters)


def _between(properties, n: int, n_copies: int, cutoff_nm: float) -> tuple[mm.Force, mm.Force]:
    """Plain Coulomb by particle mesh Ewald, and the rest of the energy between copies of a molecule of n atoms.

    Sizes and depths of pairs are sums over the eigenvectors of their tables by type, s_ij = sum_k w_k v_ik v_jk: OpenMM's
    CPU platform takes half as long for them as for tables.
    """
    first: dict[int, int] = {}  # atom of each type
    types = [first.setdefault(properties.GetMMFFAtomType(i), i) for i in range(n)]
    kinds = list(first.values())
    pairs = np.array([[properties.GetMMFFVdWParams(i, j)[2:] for j in kinds] for i in kinds])
    (size, of_size), (depth, of_depth) = (np.linalg.eigh(pairs[..., k]) for k in range(2))
    size, depth = (
        "+".join(f"({w!r})*{name}{k}1*{name}{k}2" for k, w in enumerate(weights.tolist()))
        for name, weights in (("s", size), ("d", depth))
    )
    rest = mm.CustomNonbondedForce(
        f"{KCAL}*(e*(1.07*s/(x + 0.07*s))^7*(1.12*s^7/(x^7 + 0.12*s^7) - 2)"
        f" - {mmff.COULOMB * mmff.BUFFER_A}*q1*q2/(x*(x + {mmff.BUFFER_A}))); x = 10*r; s = {size}; e = {depth}"
    )
    for name in [f"{letter}{k}" for letter in "sd" for k in range(len(kinds))] + ["q"]:
        rest.addPerParticleParameter(name)
    rest.setNonbondedMethod(mm.CustomNonbondedForce.CutoffPeriodic)
    rest.setUseSwitchingFunction(True)
    rest.setSwitchingDistance(SWITCHED * cutoff_nm)
    plain = mm.NonbondedForce()
    plain.setNonbondedMethod(mm.NonbondedForce.PME)
    plain.setUseDispersionCorrection(False)
    for force in (rest, plain):
        force.setCutoffDistance(cutoff_nm)
    unit = np.sqrt(mmff.COULOMB * KCAL / 10 / OPENMM_COULOMB)
    for atom in range(n * n_copies):
        charge, row = properties.GetMMFFPartialCharge(atom % n), kinds.index(types[atom % n])
        rest.addParticle([*of_size[row], *of_depth[row], charge])
        plain.addParticle(unit * charge, 1.0, 0.0)
    for start in range(0, n * n_copies, n):
        for i, j in (np.argwhere(np.triu(np.ones((n, n)), 1)) + start).tolist():
            rest.addExclusion(i, j)
            plain.addException(i, j, 0.0, 1.0, 0.0)
    return plain, rest
