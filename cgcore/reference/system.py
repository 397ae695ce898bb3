"""OpenMM systems of the reference: force field, solvent, starting positions."""

import warnings
from typing import NamedTuple

import numpy as np
import openmm as mm
from openmm import app, unit
from scipy.special import erfcinv

from ..config import ConfigError
from . import mmff
from .build import HEXANE_TOP, Structure, hexane, peptide
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
}
"""Files of OpenMM by force field and solvent."""


class Prepared(NamedTuple):
    """A system ready to simulate. structure: of the solute; position (A, 3) nm and box (3,) nm: of everything."""

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
        models = structures(protocol.structure, protocol.system)
        model, hand = models[replica % len(models)], -1.0 if protocol.chirality == "D" else 1.0
        return model._replace(position=model.position * [1.0, 1.0, hand])
    if protocol.is_liquid:
        return hexane(protocol.seed + replica)
    starts = protocol.conformations if protocol.bias else system(protocol.system).starts
    starts = starts if protocol.start is None else (protocol.start,)
    return peptide(protocol.system, starts[replica % len(starts)], chirality=protocol.chirality)


def prepare(protocol: Protocol, replica: int) -> Prepared:
    """Build one replica's system. Raises ConfigError for a box too small for the cut-off."""
    structure = start(protocol, replica)
    if protocol.is_liquid:
        check_box(protocol, structure.box)
        built, position, box = _liquid(protocol, structure), structure.position, structure.box
    else:
        built, position, box = (_small if protocol.forcefield == "mmff94" else _peptide)(protocol, structure)
    if protocol.periodic:
        set_pme(built, protocol.cutoff_nm, np.ceil(box / protocol.grid_nm))
    return Prepared(built, structure, position, box)


def check_box(protocol: Protocol, box: np.ndarray):
    """Raise ConfigError where the cut-off exceeds half the box."""
    if protocol.cutoff_nm > min(box) / 2:
        raise ConfigError(
            f"{protocol.system}: a box of {min(box):.3f} nm is too small for a cut-off of {protocol.cutoff_nm} nm; "
            "want at least twice the cut-off, so a larger margin or a smaller cut-off"
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


def _small(protocol: Protocol, structure: Structure):
    """Any small molecule in vacuum."""
    if protocol.constraints != "none" or protocol.hydrogen_mass is not None:
        raise ConfigError("mmff94: simulated without constraints, with hydrogens of their own mass")
    return (
        mmff.system(structure.topology, structure.position, smiles_of(protocol.structure)),
        structure.position,
        np.full(3, np.inf),
    )


def _peptide(protocol: Protocol, structure: Structure):
    topology = mdtraj_topology(structure.topology).to_openmm()
    in_water = protocol.solvent == "tip3p"
    field = app.ForceField(*XML[protocol.forcefield or "amber99sbildn"][protocol.solvent])
    model = app.Modeller(topology, structure.position * unit.nanometer)
    box = np.full(3, np.inf)
    try:
        if in_water:
            box = np.full(3, np.ptp(structure.position, axis=0).max() + 2 * protocol.margin_nm)
            check_box(protocol, box)
            model.addSolvent(field, model="tip3p", boxSize=mm.Vec3(*box) * unit.nanometer, neutralize=False)
        built = field.createSystem(
            model.topology,
            nonbondedMethod=app.PME if in_water else app.NoCutoff,
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
    if in_water and abs(charge := net_charge(built)) > 0.01:
        raise ConfigError(
            f"{protocol.system} has the charge {charge:.2f} in a periodic box, whose neighbours it would repel; want a neutral one "
            "in water, or --solvent obc2"
        )
    return built, np.array(model.positions.value_in_unit(unit.nanometer)), box
