"""OpenMM systems of the reference: force field, solvent, starting positions."""

import math
import warnings
from typing import NamedTuple

import numpy as np
import openmm as mm
from openmm import app, unit
from scipy.special import erfcinv

from ..config import ConfigError
from . import mmff, mmff_liquid
from .build import HEXANE_TOP, Structure, hexane, liquid, peptide
from .output import mdtraj_topology
from .own import smiles_of, structures
from .protocol import Protocol, system

EWALD_TOLERANCE = 1e-5
"""erfc(alpha * cutoff), as GROMACS's ewald-rtol."""


XML = {
    name: {
        "obc2": [file, implicit],
        "tip3p": [file, water],
        "none": [file],
    }
    for name, file, implicit, water in (
        ("amber99sbildn", "amber99sbildn.xml", "amber99_obc.xml", "tip3p.xml"),
        ("amber14", "amber14/protein.ff14SB.xml", "implicit/obc2.xml", "amber14/tip3p.xml"),
    )
} | {"tip3p": {"none": ["tip3p.xml"]}}
"""Files of OpenMM by force field and solvent."""


class Prepared(NamedTuple):
    """A system ready to simulate. structure: of the solute; position (A, 3) nm and box (3,) nm: of everything.

    Molecules of a liquid may begin further apart than its box allows."""

    system: mm.System
    structure: Structure
    position: np.ndarray
    box: np.ndarray


class Plan(NamedTuple):
    """What becomes of a protocol before anything runs. constraints: (P, 2) solute atoms held at fixed distance."""

    solute: Structure
    constraints: np.ndarray
    platform: str
    jobs: int  # replicas at once where nobody asks for another number
    versions: dict[str, str]


def start(protocol: Protocol, replica: int) -> Structure:
    """Build the solute that a replica starts from; replicas take the system's conformations in turn, or all the
    protocol's."""
    if protocol.structure is not None:
        hand = [1.0, 1.0, -1.0 if protocol.chirality == "D" else 1.0]
        models = [m._replace(position=m.position * hand) for m in structures(protocol.structure, protocol.system)]
        if protocol.is_liquid:
            return liquid(models, protocol.molecules, protocol.density_kg_m3, protocol.seed + replica)
        return models[replica % len(models)]
    if protocol.is_hexane:
        return hexane(protocol.seed + replica)
    starts = protocol.conformations if protocol.bias else system(protocol.system).starts
    starts = starts if protocol.start is None else (protocol.start,)
    return peptide(protocol.system, starts[replica % len(starts)], chirality=protocol.chirality)


def prepare(protocol: Protocol, replica: int) -> Prepared:
    """Build one replica's system. Raises ConfigError for a box too small for the cut-off, or with a net charge."""
    structure = start(protocol, replica)
    if protocol.is_liquid:
        check_box(protocol, structure.box)
    if protocol.is_hexane or protocol.forcefield == "mmff94":
        built, position, box = (_liquid if protocol.is_hexane else _small)(protocol, structure), *structure[1:]
    else:
        built, position, box = _peptide(protocol, structure)
    if protocol.periodic:
        if abs(charge := net_charge(built)) > 0.01:
            raise ConfigError(
                f"{protocol.system} has the charge {charge:.2f} in a periodic box, whose neighbours it would repel; want a neutral "
                "one in water or as a liquid, or --solvent obc2"
            )
        set_pme(built, protocol.cutoff_nm, np.ceil(box / protocol.grid_nm))
    return Prepared(built, structure, position, box)


def check_box(protocol: Protocol, box: np.ndarray):
    """Raise ConfigError where the cut-off exceeds half the box."""
    if protocol.cutoff_nm > min(box) / 2:
        remedy = "a larger margin or a smaller cut-off"
        if protocol.molecules:
            remedy = f"--liquid {math.ceil(protocol.molecules * (2 * protocol.cutoff_nm / min(box)) ** 3)} or more"
        raise ConfigError(
            f"{protocol.system}: a box of {min(box):.3f} nm is too small for a cut-off of {protocol.cutoff_nm} nm; "
            f"want at least twice the cut-off, so {remedy}"
        )


def set_pme(built: mm.System, cutoff_nm: float, grid: np.ndarray):
    """Give PME the real-space tolerance of GROMACS, erfc(alpha r_c) = EWALD_TOLERANCE, and a grid of (3,) points."""
    alpha = float(erfcinv(EWALD_TOLERANCE)) / cutoff_nm
    for force in built.getForces():
        if isinstance(force, mm.NonbondedForce):
            force.setPMEParameters(alpha, *np.asarray(grid, dtype=int).tolist())


def solute_constraints(prepared: Prepared) -> np.ndarray:
    """(P, 2) pairs of solute atoms at fixed distance, whose constraint forces no trajectory holds."""
    n = prepared.structure.topology.n_atoms
    pairs = (prepared.system.getConstraintParameters(k)[:2] for k in range(prepared.system.getNumConstraints()))
    return np.array([pair for pair in pairs if max(pair) < n], dtype=int).reshape(-1, 2)


def net_charge(built: mm.System) -> float:
    """Of all particles, in elementary charges."""
    (force,) = [force for force in built.getForces() if isinstance(force, mm.NonbondedForce)]
    return sum(force.getParticleParameters(k)[0]._value for k in range(force.getNumParticles()))


def _liquid(protocol: Protocol, structure: Structure) -> mm.System:
    """Hexane by OPLS-AA: geometric mixing of sigma and epsilon, 1-4 pairs scaled by one half, no constraints."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # OpenMM leaves closing the file to the garbage collector
        top = app.GromacsTopFile(str(HEXANE_TOP), periodicBoxVectors=np.diag(structure.box) * unit.nanometer)
    cutoff = protocol.cutoff_nm * unit.nanometer
    built = top.createSystem(nonbondedMethod=app.PME, nonbondedCutoff=cutoff, removeCMMotion=False)
    for atom, mass in enumerate(structure.topology.mass):
        built.setParticleMass(atom, mass)
    return built


def _small(protocol: Protocol, structure: Structure) -> mm.System:
    """Any small molecule, in vacuum or many in a box."""
    if protocol.constraints != "none" or protocol.hydrogen_mass is not None:
        raise ConfigError("mmff94: simulated without constraints, with hydrogens of their own mass")
    smiles = smiles_of(protocol.structure)
    if protocol.is_liquid:
        return mmff_liquid.system(*structure, smiles, protocol.cutoff_nm)
    return mmff.system(structure.topology, structure.position, smiles)


def _peptide(protocol: Protocol, structure: Structure):
    topology = mdtraj_topology(structure.topology).to_openmm()
    if protocol.forcefield == "tip3p":
        for residue in topology.residues():
            residue.name = "HOH"  # OpenMM keeps no other rigid
    """A peptide, in water or not; or a liquid that the force field has a template for, such as water."""
    in_water = protocol.solvent == "tip3p"
    field = app.ForceField(*XML[protocol.forcefield or "amber99sbildn"][protocol.solvent])
    model = app.Modeller(topology, structure.position * unit.nanometer)
    box = structure.box
    try:
        if in_water:
            box = np.full(3, np.ptp(structure.position, axis=0).max() + 2 * protocol.margin_nm)
            check_box(protocol, box)
            model.addSolvent(field, model="tip3p", boxSize=mm.Vec3(*box) * unit.nanometer, neutralize=False)
        elif protocol.is_liquid:
            model.topology.setPeriodicBoxVectors(np.diag(box) * unit.nanometer)
        built = field.createSystem(
            model.topology,
            nonbondedMethod=app.PME if protocol.periodic else app.NoCutoff,
            nonbondedCutoff=(protocol.cutoff_nm or 1.0) * unit.nanometer,
            constraints=app.HBonds if protocol.constraints == "h-bonds" else None,
            rigidWater=True,
            hydrogenMass=None if protocol.hydrogen_mass is None else protocol.hydrogen_mass * unit.amu,
            removeCMMotion=True,
        )
    except ConfigError:
        raise
    except ValueError as error:  # a residue without template
        raise ConfigError(
            f"{protocol.system}: {protocol.forcefield} has no parameters: {error}. Want standard residues with all "
            "hydrogens, their bonds as CONECT records, or --forcefield mmff94 for a small molecule"
        ) from error
    return built, np.array(model.positions.value_in_unit(unit.nanometer)), box
