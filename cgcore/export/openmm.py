"""OpenMM: a System whose one force is Python's, from OpenMM 8.4 on."""

from pathlib import Path

import numpy as np
import openmm
from openmm import app, unit

from .folder import SCRIPT, read
from .forces import Forces
from .source import ExportError
from .targets import numbers

RUN = '''"""A Langevin run in OpenMM."""

import sys
from pathlib import Path

import openmm
from openmm import app, unit
from cgcore.export.openmm import system

topology, beads, positions = system(Path(__file__).parent)
integrator = openmm.LangevinMiddleIntegrator({temperature_K}, {friction_per_ps}, {dt_fs} / 1000)
simulation = app.Simulation(topology, beads, integrator)
simulation.context.setPositions(positions)
simulation.context.setVelocitiesToTemperature({temperature_K})
columns = dict(step=True, potentialEnergy=True, temperature=True)
simulation.reporters.append(app.StateDataReporter(sys.stdout, 100, **columns))
simulation.step(1000)
'''


class Compute:
    """The function of a PythonForce; a serialized System names the folder."""

    def __init__(self, folder: Path, fast: bool = False):
        self.made_of = Path(folder).resolve(), fast
        self.forces = Forces(read(folder), fast=fast)

    def __reduce__(self):
        return Compute, self.made_of

    def __call__(self, state: openmm.State) -> tuple[float, np.ndarray]:
        position = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        box = None
        if self.forces.exported.beads.periodic:
            vectors = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.nanometer)
            if np.count_nonzero(vectors - np.diag(np.diagonal(vectors))):
                raise ExportError(f"want a rectangular box, got {vectors.tolist()}")
            box = np.diagonal(vectors)
        return self.forces(position, box)


def system(folder: Path, *, fast: bool = False) -> tuple[app.Topology, openmm.System, np.ndarray]:
    """The beads with their bonds, the System with masses, box and the potential, and positions (N, 3) nm of the start.

    Raises ExportError for an OpenMM without PythonForce, and for a folder that is none.
    """
    if not hasattr(openmm, "PythonForce"):
        raise ExportError(f"want OpenMM 8.4 or later, which has PythonForce, found {openmm.version.version}")
    compute = Compute(folder, fast)
    exported = compute.forces.exported
    of, made, topology = exported.beads, openmm.System(), app.Topology()
    for mass in of.mass:
        made.addParticle(mass)
    force = openmm.PythonForce(compute)
    force.setUsesPeriodicBoundaryConditions(of.periodic)
    made.addForce(force)
    if of.periodic:
        vectors = np.diag(of.box)
        made.setDefaultPeriodicBoxVectors(*map(openmm.Vec3._make, vectors))
        topology.setPeriodicBoxVectors(vectors * unit.nanometer)
    chain, residues = topology.addChain(), {}
    for name, molecule in zip(of.names, of.molecule.tolist(), strict=True):
        if molecule not in residues:
            residues[molecule] = topology.addResidue("CG", chain)
        topology.addAtom(name, None, residues[molecule])
    atoms = list(topology.atoms())
    for i, j in of.bonds:
        topology.addBond(atoms[i], atoms[j])
    return topology, made, exported.position[0]


def check(config):
    """Any potential will do."""


def write(folder: Path, source) -> str:
    """Write run.py; the words for README.md."""
    (folder / SCRIPT).write_text(RUN.format(**numbers(source)), encoding="utf-8")
    return f"""```bash
python {SCRIPT}          # a short Langevin run; OpenMM comes with cgcore
```

`cgcore.export.openmm.system(folder)` gives topology, System and positions. The force is a `PythonForce`; it works on every
platform of OpenMM, and compares its energies with `check.npz` as it is made. `fast=True` computes in single precision."""
