"""The molecule of the page "Bring your own molecule": capped threonine and phenylalanine, from nothing to a short trajectory.

`python -m cgcore.book.own_molecule FOLDER` writes thr_phe.pdb and thr_phe.h5 with forces. It stands for whatever makes your own.
With `--verdicts OUT` it writes what the doctor says of that, map by map, as the page shows it, each with its manifest.
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np
import openmm as mm
from openmm import app, unit

from cgcore import store
from cgcore.book import provenance
from cgcore.doctor import diagnose, verdict
from cgcore.frames import Frames
from cgcore.io import write_packed
from cgcore.reference import build

PHI, PSI = -75.0, 145.0
RING_NM = 0.1395
RING = (
    ("CG", ("N", "CA", "CB"), 0.151, 113.8, -65.0),
    ("CD1", ("CA", "CB", "CG"), RING_NM, 120.0, 90.0),
    ("CD2", ("CA", "CB", "CG"), RING_NM, 120.0, -90.0),
    ("CE1", ("CB", "CG", "CD1"), RING_NM, 120.0, 180.0),
    ("CE2", ("CB", "CG", "CD2"), RING_NM, 120.0, 180.0),
    ("CZ", ("CG", "CD1", "CE1"), RING_NM, 120.0, 0.0),
)
"""Atoms of phenylalanine's side chain: name, the three before it, bond in nm, angle and dihedral in degrees."""
SHARED = ("N", "CA", "CB", "C", "O")
BONDS = "CB-CG CG-CD1 CG-CD2 CD1-CE1 CD2-CE2 CE1-CZ CE2-CZ"
DT_PS, STEPS_PER_FRAME, HYDROGEN_MASS = 0.003, 500, 4.0
EQUILIBRATION_PS = 60.0
FIELD = ("amber99sbildn.xml", "amber99_obc.xml")
MAPS = {"first": "thr_phe_backbone", "second": "thr_phe", "third": "thr_phe_heavy", "smarts": "thr_phe_smarts"}
TOPOLOGY, TRAJECTORY = "thr_phe.pdb", "thr_phe.h5"


def without_hydrogens_of_phe() -> tuple[app.Topology, np.ndarray]:
    """ACE-THR-PHE-NME, phenylalanine put on the frame of a second threonine, its hydrogens missing; positions in nm."""
    made = build.peptide(("THR", "THR"), (PHI, PSI))
    names = list(zip(made.topology.residue_index, made.topology.names, strict=True))
    position = {name: x for name, x in zip(names, made.position, strict=True) if name[0] != 2 or name[1] in SHARED}
    for name, before, *where in RING:
        position[2, name] = build.place(*(position[2, b] for b in before), *where)
    topology = app.Topology()
    chain = topology.addChain()
    residues = [topology.addResidue(code, chain) for code in ("ACE", "THR", "PHE", "NME")]
    atoms = {}
    for number, name in sorted(position, key=lambda place: place[0]):
        atoms[number, name] = topology.addAtom(name, app.Element.getBySymbol(name[0]), residues[number])
    pairs = [(names[i], names[j]) for i, j in made.topology.bonds.tolist()]
    pairs += [tuple((2, name) for name in bond.split("-")) for bond in BONDS.split()]
    for a, b in pairs:
        if a in atoms and b in atoms:
            topology.addBond(atoms[a], atoms[b])
    return topology, np.array([position[place] for place in atoms])


def make(folder: Path, length_ps: float, seed: int = 1) -> tuple[Path, Path]:
    """The topology as PDB, and frames with forces of a Langevin run in implicit solvent at 300 K without constraints."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    field = app.ForceField(*FIELD)
    topology, position = without_hydrogens_of_phe()
    model = app.Modeller(topology, position * unit.nanometer)
    model.addHydrogens(field)
    system = field.createSystem(
        model.topology, nonbondedMethod=app.NoCutoff, constraints=None, hydrogenMass=HYDROGEN_MASS
    )
    integrator = mm.LangevinMiddleIntegrator(300.0, 1.0, DT_PS)
    integrator.setRandomNumberSeed(seed)
    run = app.Simulation(model.topology, system, integrator, mm.Platform.getPlatformByName("CPU"), {"Threads": "1"})
    run.context.setPositions(model.positions)
    run.minimizeEnergy()
    with open(folder / TOPOLOGY, "w") as file:
        app.PDBFile.writeFile(model.topology, run.context.getState(getPositions=True).getPositions(), file)
    run.context.setVelocitiesToTemperature(300.0, seed)
    run.step(round(EQUILIBRATION_PS / DT_PS))
    x, f = [], []
    for _ in range(round(length_ps / (DT_PS * STEPS_PER_FRAME))):
        run.step(STEPS_PER_FRAME)
        state = run.context.getState(getPositions=True, getForces=True)
        x.append(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
        f.append(state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer))
    frames = Frames(
        position=np.array(x, np.float32),
        force=np.array(f, np.float32),
        box=np.full(3, np.inf, np.float32),
        time=np.arange(1, len(x) + 1) * DT_PS * STEPS_PER_FRAME,
        names=tuple(a.name for a in model.topology.atoms()),
    )
    write_packed(folder / TRAJECTORY, frames)
    return folder / TOPOLOGY, folder / TRAJECTORY


def verdicts(folder: Path, out: Path) -> list[Path]:
    """The verdict on each map of the page, as text, and what it was made of, as JSON; folder: of `make`."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, stem in MAPS.items():
        files = Path(__file__).parent / "doctor_maps" / f"{stem}.toml", folder / TOPOLOGY, folder / TRAJECTORY
        examination = diagnose(str(files[0]), str(files[2]), topology=files[1])
        written += [out / f"{name}.txt", out / f"{name}.json"]
        written[-2].write_text(verdict(examination) + "\n", encoding="utf-8")
        made = {
            "frames": examination.n_frames,
            "temperature_K": examination.temperature_K,
            "sha256": {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files},
            "code": provenance.code_hash(),
            "commit": provenance.commit(),
        }
        store.write_json(written[-1], made)
    return written


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--length-ps", type=float, default=2000.0)
    parser.add_argument("--verdicts", type=Path, help="simulate nothing; write the verdicts on FOLDER's files here")
    given = parser.parse_args()
    for path in verdicts(given.folder, given.verdicts) if given.verdicts else make(given.folder, given.length_ps):
        print(path)
