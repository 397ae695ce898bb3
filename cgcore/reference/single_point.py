"""Energies of one frame term by term, and its forces, by OpenMM and by GROMACS.

Both get the same cut-offs without shift or switch, the same splitting of the Coulomb sum (erfc(alpha r_c) =
EWALD_TOLERANCE) and a PME grid so fine that its error is below 1e-6 of the sum.
"""

import math
from pathlib import Path

import numpy as np
import openmm as mm
from mdtraj.formats import TRRTrajectoryFile
from openmm import unit
from scipy.special import erfcinv

from ..io import trr_frame
from .gmx import call, find_gmx
from .gromacs_setup import read_xvg
from .system import EWALD_TOLERANCE

TERMS = {
    "bonds": ("Bond",),
    "angles": ("Angle",),
    "dihedrals": ("Proper Dih.", "Per. Imp. Dih.", "Ryckaert-Bell."),
    "Lennard-Jones, 1-4 included": ("LJ-14", "LJ (SR)"),
    "Coulomb, 1-4 included": ("Coulomb-14", "Coulomb (SR)", "Coul. recip."),
    "dispersion correction": ("Disper. corr.",),
}
"""Terms and what GROMACS calls their parts; OpenMM has one force for several of them."""

BONDED = {
    mm.HarmonicBondForce: "bonds",
    mm.HarmonicAngleForce: "angles",
    mm.PeriodicTorsionForce: "dihedrals",
    mm.RBTorsionForce: "dihedrals",
}
LJ, COULOMB, DISPERSION = list(TERMS)[3:]
GRID_NM = 0.05
ORDER = 6  # of GROMACS; OpenMM's is 5


def openmm_terms(system: mm.System, position: np.ndarray, box: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Energies by term and all forces, in double precision.

    Lennard-Jones is what is left without charges; its correction beyond the cut-off is what switching that off changes.
    """
    values = dict.fromkeys(TERMS, 0.0)
    for kind, name in BONDED.items():
        values[name] += _evaluate(_matched(system, box, keep=(kind,)), position)[0]
    pair = (mm.NonbondedForce, mm.CustomNonbondedForce, mm.CustomBondForce)
    everything = _evaluate(_matched(system, box, keep=pair), position)[0]
    uncharged = _evaluate(_matched(system, box, keep=pair, charges=False), position)[0]
    bare = _evaluate(_matched(system, box, keep=pair, charges=False, dispersion=False), position)[0]
    values |= {LJ: bare, DISPERSION: uncharged - bare, COULOMB: everything - uncharged}
    return values, _evaluate(_matched(system, box), position)[1]


def gromacs_terms(
    position: np.ndarray, box: np.ndarray, cutoff_nm: float, topology: Path, structure: Path, folder: Path
) -> tuple[dict[str, float], np.ndarray]:
    """Energies by term and all forces of one frame by `mdrun -rerun`, in double precision where gmx_d is there."""
    gmx = find_gmx(("gmx_d", "gmx", "gmx_mpi"))
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compare.mdp").write_text(
        f"""integrator = md
nsteps = 0
continuation = yes
nstcalcenergy = 1
nstenergy = 1
nstxout = 1
nstfout = 1
cutoff-scheme = Verlet
verlet-buffer-tolerance = -1
rlist = {cutoff_nm}
coulombtype = PME
coulomb-modifier = None
rcoulomb = {cutoff_nm}
ewald-rtol = {EWALD_TOLERANCE}
pme-order = {ORDER}
fourierspacing = {GRID_NM}
vdwtype = Cut-off
vdw-modifier = None
rvdw = {cutoff_nm}
DispCorr = Ener
"""
    )
    (folder / "frame.trr").write_bytes(trr_frame(position, np.zeros_like(position), np.asarray(box), 0.0, 0))
    files = ("-f", "compare.mdp", "-c", Path(structure).absolute(), "-p", Path(topology).absolute())
    call(gmx, "grompp", *files, "-po", "used.mdp", "-o", "compare.tpr", folder=folder)
    call(gmx, "mdrun", "-deffnm", "compare", "-rerun", "frame.trr", "-ntomp", 1, folder=folder)
    choice = "\n".join(str(k) for k in range(1, 40))
    call(gmx, "energy", "-f", "compare.edr", "-o", "compare.xvg", "-dp", folder=folder, answer=f"{choice}\n\n")
    names, table = read_xvg(folder / "compare.xvg")
    found = dict(zip(names, table[0, 1:].tolist(), strict=True))
    with TRRTrajectoryFile(str(folder / "compare.trr")) as file:
        force = file._read(1, None, get_velocities=False, get_forces=True)[-1]
    return {name: sum(found.get(part, 0.0) for part in parts) for name, parts in TERMS.items()}, force[0].astype(float)


def _matched(
    system: mm.System, box: np.ndarray, *, keep=(), charges: bool = True, dispersion: bool = True
) -> mm.System:
    """A copy with the forces of some kinds (all by default), no constraints, no switching, and a fine grid."""
    out = mm.System()
    out.setDefaultPeriodicBoxVectors(*np.diag(np.asarray(box, dtype=float)))
    for _ in range(system.getNumParticles()):
        out.addParticle(1.0)
    for original in system.getForces():
        if isinstance(original, (mm.CMMotionRemover, mm.MonteCarloBarostat)) or (keep and type(original) not in keep):
            continue
        force = mm.XmlSerializer.clone(original)
        if type(force) in BONDED:
            force.setUsesPeriodicBoundaryConditions(True)  # molecules need not be whole
        if isinstance(force, (mm.NonbondedForce, mm.CustomNonbondedForce)):
            force.setUseSwitchingFunction(False)
        if isinstance(force, mm.NonbondedForce):
            cutoff = force.getCutoffDistance().value_in_unit(unit.nanometer)
            force.setExceptionsUsePeriodicBoundaryConditions(True)
            force.setPMEParameters(float(erfcinv(EWALD_TOLERANCE)) / cutoff, *_grid(box))
            force.setUseDispersionCorrection(dispersion and force.getUseDispersionCorrection())
            if not charges:
                _discharge(force)
        if isinstance(force, mm.CustomNonbondedForce):
            force.setUseLongRangeCorrection(dispersion and force.getUseLongRangeCorrection())
        out.addForce(force)
    return out


def _discharge(force: mm.NonbondedForce):
    for k in range(force.getNumParticles()):
        _, *rest = force.getParticleParameters(k)
        force.setParticleParameters(k, 0.0, *rest)
    for k in range(force.getNumExceptions()):
        i, j, _, *rest = force.getExceptionParameters(k)
        force.setExceptionParameters(k, i, j, 0.0, *rest)


def _grid(box: np.ndarray) -> list[int]:
    return [math.ceil(edge / GRID_NM) for edge in box]


def _evaluate(system: mm.System, position: np.ndarray) -> tuple[float, np.ndarray]:
    """Potential energy and forces on OpenMM's platform in double precision."""
    context = mm.Context(system, mm.VerletIntegrator(0.001), mm.Platform.getPlatformByName("Reference"))
    context.setPositions(position)
    state = context.getState(energy=True, forces=True)
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    return energy, state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer)
