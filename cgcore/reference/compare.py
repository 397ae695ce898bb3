"""One frame's energies term by term, and its forces, by OpenMM and by GROMACS.

Both get the same positions in single precision, the same cut-off without shift or switch, the same splitting of the
Coulomb sum (erfc(alpha r_c) = EWALD_TOLERANCE) and a PME grid so fine that its error is small beside 1e-5.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openmm as mm
from mdtraj.formats import TRRTrajectoryFile
from openmm import unit
from scipy.special import erfcinv

from ..io import trr_frame
from .errors import ReferenceError
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


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Energies by term, kJ/mol, and forces (A, 3) kJ/mol/nm of one frame by both engines."""

    openmm: dict[str, float]
    gromacs: dict[str, float]
    openmm_force: np.ndarray
    gromacs_force: np.ndarray

    @property
    def table(self) -> list[tuple[str, float, float, float]]:
        """Term, OpenMM, GROMACS, relative difference; the sum of all terms last."""
        both = [(name, self.openmm[name], self.gromacs[name]) for name in TERMS]
        both.append(("potential energy", sum(self.openmm.values()), sum(self.gromacs.values())))
        return [(name, a, b, abs(a - b) / max(abs(b), 1.0)) for name, a, b in both]

    @property
    def energy_error(self) -> float:
        """Of the potential energy, relative."""
        return self.table[-1][-1]

    @property
    def force_error(self) -> float:
        """RMS difference of the forces relative to their RMS."""
        return float(np.sqrt(np.mean((self.openmm_force - self.gromacs_force) ** 2) / np.mean(self.gromacs_force**2)))

    def __str__(self) -> str:
        rows = [f"{name:30} {a:16.5f} {b:16.5f} {error:10.2e}" for name, a, b, error in self.table]
        head = f"{'kJ/mol':30} {'OpenMM':>16} {'GROMACS':>16} {'relative':>10}"
        return "\n".join([head, *rows, f"{'forces, RMS':63} {self.force_error:10.2e}"])


def compare(
    system: mm.System, position: np.ndarray, box: np.ndarray, *, topology: Path, structure: Path, folder: Path
) -> Comparison:
    """The same frame by both engines; a nonbonded cut-off is taken from the OpenMM system.

    position (A, 3) nm and box (3,) nm, finite; topology and structure: GROMACS's .top and a .gro with its atoms; folder:
    to work in. Raises ReferenceError for systems of different size, without a box, or when GROMACS fails.
    """
    position = np.asarray(position, dtype=np.float32)
    if not np.isfinite(box).all():
        raise ReferenceError("want a periodic box: GROMACS has had no cut-off-free vacuum since 2020")
    if len(position) != system.getNumParticles():
        raise ReferenceError(f"{len(position)} positions for {system.getNumParticles()} particles of OpenMM")
    by_openmm, openmm_force = openmm_terms(system, position.astype(float), box)
    cutoff = next(
        force.getCutoffDistance() for force in system.getForces() if isinstance(force, mm.NonbondedForce)
    ).value_in_unit(unit.nanometer)
    by_gromacs, gromacs_force = gromacs_terms(position, box, cutoff, topology, structure, folder)
    if gromacs_force.shape != openmm_force.shape:
        raise ReferenceError(f"{structure}: {len(gromacs_force)} atoms, OpenMM has {len(openmm_force)}")
    return Comparison(openmm=by_openmm, gromacs=by_gromacs, openmm_force=openmm_force, gromacs_force=gromacs_force)


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
