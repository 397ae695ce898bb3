"""OpenMM and GROMACS on the same frame: energies term by term, and forces. What a reference rests on, checked.

Both get the same cut-offs without shift or switch, the same splitting of the Coulomb sum (erfc(alpha r_c) =
EWALD_TOLERANCE) and a PME grid so fine that its error is below 1e-6 of the sum.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import openmm as mm
from mdtraj.formats import TRRTrajectoryFile
from openmm import unit

from cgcore.config import ConfigError
from cgcore.frames import Topology
from cgcore.io import trr_frame
from cgcore.reference.build import HEXANE_TOP, Structure
from cgcore.reference.output import mdtraj_frame, write_topology
from cgcore.reference.protocol import Protocol
from cgcore.reference.system import EWALD_TOLERANCE, Prepared, set_pme

RECIPE = Path(__file__).with_name("single_point.mdp")
FORCE_FIELD = ("-ff", "amber99sb-ildn", "-water", "tip3p")
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


def compare(prepared: Prepared, protocol: Protocol, folder: Path, *, minimise_steps: int = 100) -> Comparison:
    """Both engines on OpenMM's prepared system, somewhat minimised; GROMACS works in `folder`.

    The topologies are the two engines' own: OpenMM's from its force field files, GROMACS's from pdb2gmx or recipes/hexane.top.
    Raises ConfigError for implicit solvent, which GROMACS has not; RuntimeError without GROMACS or where it fails.
    """
    if not protocol.periodic:
        raise ConfigError("GROMACS has had no implicit solvent since 2019; want --solvent tip3p or hexane to compare")
    position = _minimised(prepared, minimise_steps)
    work = Path(folder)
    topology = _topology(prepared.structure, work, is_liquid=protocol.is_liquid)
    waters = (len(position) - prepared.structure.topology.n_atoms) // 3
    if waters:
        with open(topology, "a") as file:
            file.write(f"SOL {waters}\n")
    whole = Structure(_with_waters(prepared.structure.topology, waters), position, prepared.box)
    mdtraj_frame(whole).save_gro(str(work / "frame.gro"), precision=5)
    by_openmm, openmm_force = openmm_terms(prepared.system, position, prepared.box)
    files = dict(topology=topology, structure=work / "frame.gro", folder=work)
    by_gromacs, gromacs_force = gromacs_terms(position, prepared.box, protocol.cutoff_nm, **files)
    return Comparison(openmm=by_openmm, gromacs=by_gromacs, openmm_force=openmm_force, gromacs_force=gromacs_force)


def _topology(solute: Structure, work: Path, *, is_liquid: bool) -> Path:
    """GROMACS's topology of the solute, with its atoms in our order."""
    if is_liquid:
        return Path(shutil.copy(HEXANE_TOP, work / "topol.top"))
    write_topology(work / "solute.pdb", solute, np.zeros((0, 2), int))
    gmx("pdb2gmx", "-f", "solute.pdb", "-o", "solute.gro", "-nosort", *FORCE_FIELD, folder=work)
    return work / "topol.top"


def gmx(*words, folder: Path, answer: str = "") -> str:
    """Run `gmx words...` in a folder on one thread and return what it printed. Raises RuntimeError where it fails."""
    program = next(filter(None, map(shutil.which, (os.environ.get("GMX", "gmx_d"), "gmx", "gmx_mpi"))), None)
    if program is None:
        raise RuntimeError("GROMACS was not found; `apt-get install gromacs`, or GMX=its path")
    command = [program, "-nobackup", "-quiet", *map(str, words)]
    common = dict(cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True, input=answer, check=False)
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **common)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command)} failed in {folder}:\n{ended.stdout[-2000:]}")
    return ended.stdout


def read_xvg(path: Path) -> tuple[list[str], np.ndarray]:
    """Names of the columns after the first, and the table (T, 1 + columns), of a file of `gmx energy`."""
    lines = path.read_text().splitlines()
    names = [line.split('"')[1] for line in lines if line.startswith("@ s") and "legend" in line]
    return names, np.loadtxt(path, comments=("#", "@"), ndmin=2)


def _with_waters(topology: Topology, n: int) -> Topology:
    """The solute's topology with n waters behind it, under GROMACS's names."""
    last = topology.residue_index[-1]
    return replace(
        topology,
        names=topology.names + ("OW", "HW1", "HW2") * n,
        residues=topology.residues + ("SOL",) * 3 * n,
        residue_index=topology.residue_index + tuple(last + 1 + k // 3 for k in range(3 * n)),
        elements=topology.elements + ("O", "H", "H") * n,
    )


def _minimised(prepared: Prepared, steps: int) -> np.ndarray:
    """(A, 3) nm, rounded to the single precision in which GROMACS gets it."""
    context = mm.Context(prepared.system, mm.VerletIntegrator(0.001), mm.Platform.getPlatformByName("CPU"))
    context.setPositions(prepared.position)
    mm.LocalEnergyMinimizer.minimize(context, maxIterations=steps)
    position = context.getState(positions=True).getPositions(asNumpy=True)._value
    return position.astype(np.float32).astype(float)


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
    """Energies by term and all forces of one frame by `mdrun -rerun`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    numbers = dict(cutoff_nm=cutoff_nm, tolerance=EWALD_TOLERANCE, order=ORDER, grid_nm=GRID_NM)
    (folder / "compare.mdp").write_text(RECIPE.read_text().format(**numbers))
    (folder / "frame.trr").write_bytes(trr_frame(position, np.zeros_like(position), np.asarray(box), 0.0, 0))
    files = ("-f", "compare.mdp", "-c", Path(structure).absolute(), "-p", Path(topology).absolute())
    gmx("grompp", *files, "-po", "used.mdp", "-o", "compare.tpr", folder=folder)
    gmx("mdrun", "-deffnm", "compare", "-rerun", "frame.trr", folder=folder)
    choice = "\n".join(str(k) for k in range(1, 40))
    gmx("energy", "-f", "compare.edr", "-o", "compare.xvg", "-dp", folder=folder, answer=f"{choice}\n\n")
    names, table = read_xvg(folder / "compare.xvg")
    parts_of = dict(zip(names, table[0, 1:].tolist(), strict=True))
    with TRRTrajectoryFile(str(folder / "compare.trr")) as file:
        force = file._read(1, None, get_velocities=False, get_forces=True)[-1]
    return {name: sum(parts_of.get(part, 0.0) for part in parts) for name, parts in TERMS.items()}, force[0].astype(
        float
    )


def _matched(
    system: mm.System, box: np.ndarray, *, keep=(), charges: bool = True, dispersion: bool = True
) -> mm.System:
    """A copy with the forces of some kinds (all by default), no constraints, no switching, and a fine grid."""
    out, cutoff_nm = mm.System(), 1.0
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
            cutoff_nm = force.getCutoffDistance().value_in_unit(unit.nanometer)
            force.setExceptionsUsePeriodicBoundaryConditions(True)
            force.setUseDispersionCorrection(dispersion and force.getUseDispersionCorrection())
            if not charges:
                _discharge(force)
        if isinstance(force, mm.CustomNonbondedForce):
            force.setUseLongRangeCorrection(dispersion and force.getUseLongRangeCorrection())
        out.addForce(force)
    set_pme(out, cutoff_nm, np.ceil(np.asarray(box) / GRID_NM))
    return out


def _discharge(force: mm.NonbondedForce):
    for k in range(force.getNumParticles()):
        _, *rest = force.getParticleParameters(k)
        force.setParticleParameters(k, 0.0, *rest)
    for k in range(force.getNumExceptions()):
        i, j, _, *rest = force.getExceptionParameters(k)
        force.setExceptionParameters(k, i, j, 0.0, *rest)


def _evaluate(system: mm.System, position: np.ndarray) -> tuple[float, np.ndarray]:
    """Potential energy and forces on OpenMM's platform in double precision."""
    context = mm.Context(system, mm.VerletIntegrator(0.001), mm.Platform.getPlatformByName("Reference"))
    context.setPositions(position)
    state = context.getState(energy=True, forces=True)
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    return energy, state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer)
