"""The molecule of the page "Bring your own molecule": capped threonine and phenylalanine, from a PDB file to frames.

`python -m cgbook.own_molecule FOLDER` writes thr_phe.pdb and thr_phe.h5 with forces. It stands for whatever makes your own.
With `--publish` the verdicts that the page shows are made anew from them, each with a manifest: what

    cgcore doctor book/doctor_maps/MAP.toml FOLDER/thr_phe.h5 --topology FOLDER/thr_phe.pdb

prints.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import openmm as mm
from openmm import app, unit

from cgbook.results import BOOK, made_here
from cgcore.doctor import diagnose, verdict
from cgcore.frames import Frames
from cgcore.io import write_packed
from cgcore.store import write_json
from cgcore.store.bundled import checksum

TOPOLOGY, TRAJECTORY = "thr_phe.pdb", "thr_phe.h5"
DT_PS, STEPS_PER_FRAME, HYDROGEN_MASS = 0.003, 500, 4.0
EQUILIBRATION_PS = 60.0
VERDICTS = {"first": "thr_phe_backbone", "second": "thr_phe", "third": "thr_phe_heavy", "smarts": "thr_phe_smarts"}
"""What the page calls a verdict -> its map in doctor_maps/."""


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
    run = app.Simulation(pdb.topology, system, integrator, mm.Platform.getPlatformByName("Reference"))
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


def publish(folder: Path, into: Path):
    """Write the verdict on each map of the page, as the command prints it, with a manifest beside it."""
    topology, trajectory = folder / TOPOLOGY, folder / TRAJECTORY
    for name, stem in VERDICTS.items():
        map = BOOK / "doctor_maps" / f"{stem}.toml"
        examination = diagnose(str(map), str(trajectory), topology=topology)
        (into / f"{name}.txt").write_text(verdict(examination) + "\n", encoding="utf-8")
        sums = {path.name: checksum(path) for path in (map, topology, trajectory)}
        about = {"frames": examination.n_frames, "temperature_K": examination.temperature_K}
        write_json(into / f"{name}.json", made_here(**about, sha256=sums))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--length-ps", type=float, default=2000.0)
    parser.add_argument("--publish", action="store_true", help="write book/results/doctor/own anew")
    given = parser.parse_args()
    make(given.folder, given.length_ps)
    if given.publish:
        publish(given.folder, BOOK / "results" / "doctor" / "own")
