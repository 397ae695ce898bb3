"""The molecule of the page "Bring your own molecule": capped threonine and phenylalanine, from a PDB file to frames.

`python -m cgbook.own_molecule FOLDER` writes thr_phe.pdb and thr_phe.h5 with forces. It stands for whatever makes your own.
What the page shows of each map of doctor_maps/ is printed by

    cgcore doctor book/doctor_maps/MAP.toml FOLDER/thr_phe.h5 --topology FOLDER/thr_phe.pdb
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import openmm as mm
from openmm import app, unit

from cgbook.results import BOOK
from cgcore.frames import Frames
from cgcore.io import write_packed

TOPOLOGY, TRAJECTORY = "thr_phe.pdb", "thr_phe.h5"
DT_PS, STEPS_PER_FRAME, HYDROGEN_MASS = 0.003, 500, 4.0
EQUILIBRATION_PS = 60.0


def make(folder: Path, length_ps: float, seed: int = 1):
    """Write the topology, and frames with forces of a Langevin run in implicit solvent at 300 K without constraints."""
    folder.mkdir(parents=True, exist_ok=True)
    topology = Path(shutil.copyfile(BOOK / "doctor_maps" / TOPOLOGY, folder / TOPOLOGY))
    pdb = app.PDBFile(str(topology))
    system = app.ForceField("amber99sbildn.xml", "amber99_obc.xml").createSystem(
        pdb.topology, nonbondedMethod=app.NoCutoff, constraints=None, hydrogenMass=HYDROGEN_MASS
    )
    integrator = mm.LangevinMiddleIntegrator(300.0, 1.0, DT_PS)
    integrator.setRandomNumberSeed(seed)
    run = app.Simulation(pdb.topology, system, integrator, mm.Platform.getPlatformByName("CPU"), {"Threads": "1"})
    run.context.setPositions(pdb.positions)
    run.minimizeEnergy()
    run.context.setVelocitiesToTemperature(300.0, seed)
    run.step(round(EQUILIBRATION_PS / DT_PS))
    position, force = [], []
    for _ in range(round(length_ps / (DT_PS * STEPS_PER_FRAME))):
        run.step(STEPS_PER_FRAME)
        state = run.context.getState(getPositions=True, getForces=True)
        position.append(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
        force.append(state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer))
    frames = Frames(
        position=np.array(position, np.float32),
        force=np.array(force, np.float32),
        box=np.full(3, np.inf, np.float32),
        time=np.arange(1, len(position) + 1) * DT_PS * STEPS_PER_FRAME,
        names=tuple(a.name for a in pdb.topology.atoms()),
    )
    write_packed(folder / TRAJECTORY, frames)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--length-ps", type=float, default=2000.0)
    given = parser.parse_args()
    make(given.folder, given.length_ps)
