"""The two engines side by side on the same frame: what a reference simulation rests on, checked."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openmm as mm

from ..config import ConfigError
from .gmx import find_gmx
from .gromacs_setup import Replica, topology_file, write_gro
from .protocol import Protocol
from .single_point import TERMS, gromacs_terms, openmm_terms
from .system import Prepared


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

    The topologies are the two engines' own: OpenMM's from its force field files, GROMACS's from pdb2gmx or `gromacs_inputs`.
    Raises ConfigError for implicit solvent, which GROMACS has not; ReferenceError without GROMACS or where it fails.
    """
    if not protocol.periodic:
        raise ConfigError("GROMACS has had no implicit solvent since 2019; want --solvent tip3p or hexane to compare")
    position = _minimised(prepared, minimise_steps)
    replica = Replica(find_gmx(), protocol, 0, Path(folder))
    replica.work.mkdir(parents=True, exist_ok=True)
    topology_file(replica, prepared.structure)
    waters = (len(position) - prepared.structure.topology.n_atoms) // 3
    if waters:
        with open(replica.work / "topol.top", "a") as file:
            file.write(f"SOL {waters}\n")
    write_gro(replica.work / "frame.gro", prepared.structure, position, prepared.box, waters)
    by_openmm, openmm_force = openmm_terms(prepared.system, position, prepared.box)
    files = dict(topology=replica.work / "topol.top", structure=replica.work / "frame.gro", folder=replica.work)
    by_gromacs, gromacs_force = gromacs_terms(position, prepared.box, protocol.cutoff_nm, **files)
    return Comparison(openmm=by_openmm, gromacs=by_gromacs, openmm_force=openmm_force, gromacs_force=gromacs_force)


def _minimised(prepared: Prepared, steps: int) -> np.ndarray:
    """(A, 3) nm, rounded to the single precision in which GROMACS gets it."""
    context = mm.Context(prepared.system, mm.VerletIntegrator(0.001), mm.Platform.getPlatformByName("CPU"))
    context.setPositions(prepared.position)
    mm.LocalEnergyMinimizer.minimize(context, maxIterations=steps)
    position = context.getState(positions=True).getPositions(asNumpy=True)._value
    return position.astype(np.float32).astype(float)
