"""OpenMM systems of the reference: force field, solvent, starting positions."""

from typing import NamedTuple

import numpy as np
import openmm as mm
from openmm import app, unit
from scipy.special import erfcinv

from ..config import ConfigError
from ..frames import Topology
from . import opls
from .build import CONFORMATIONS, Structure, hexane, peptide
from .protocol import Protocol, system

EWALD_TOLERANCE = 1e-5
"""erfc(alpha * cutoff), as GROMACS's ewald-rtol."""


class Prepared(NamedTuple):
    """A system ready to simulate. structure: of the solute; position (A, 3) nm and box (3,) nm: of everything."""

    system: mm.System
    structure: Structure
    position: np.ndarray
    box: np.ndarray


def start(protocol: Protocol, replica: int) -> Structure:
    """The solute that a replica starts from; replicas take the system's conformations in turn."""
    known = system(protocol.system)
    if known.is_liquid:
        return hexane(protocol.seed + replica)
    phi_psi = CONFORMATIONS[known.starts[replica % len(known.starts)]]
    return peptide(known.residues, phi_psi, chirality=protocol.chirality)


def prepare(protocol: Protocol, replica: int) -> Prepared:
    """Build one replica's system. Raises ConfigError for a box too small for the cut-off."""
    structure = start(protocol, replica)
    if system(protocol.system).is_liquid:
        check_box(protocol, structure.box)
        built = opls.alkanes(structure.topology, structure.box, cutoff_nm=protocol.cutoff_nm)
        position, box = structure.position, structure.box
    else:
        built, position, box = _peptide(protocol, structure)
    if protocol.periodic:
        _set_pme(built, protocol, box)
    return Prepared(built, structure, position, box)


def check_box(protocol: Protocol, box: np.ndarray):
    """Raise ConfigError where the cut-off exceeds half the box."""
    if protocol.cutoff_nm > min(box) / 2:
        raise ConfigError(
            f"{protocol.system}: a box of {min(box):.3f} nm is too small for a cut-off of {protocol.cutoff_nm} nm; "
            "want at least twice the cut-off, so a larger margin or a smaller cut-off"
        )


def openmm_topology(topology: Topology) -> app.Topology:
    """The same atoms, residues and bonds for OpenMM."""
    out = app.Topology()
    chain, residues, atoms = out.addChain(), {}, []
    for name, residue, number, element in zip(
        topology.names, topology.residues, topology.residue_index, topology.elements, strict=True
    ):
        if number not in residues:
            residues[number] = out.addResidue(residue, chain)
        atoms.append(out.addAtom(name, app.Element.getBySymbol(element), residues[number]))
    for i, j in topology.bonds.tolist():
        out.addBond(atoms[i], atoms[j])
    return out


def solute_constraints(prepared: Prepared) -> np.ndarray:
    """(P, 2) pairs of solute atoms at fixed distance, whose constraint forces no trajectory holds."""
    n = prepared.structure.topology.n_atoms
    pairs = (prepared.system.getConstraintParameters(k)[:2] for k in range(prepared.system.getNumConstraints()))
    return np.array([pair for pair in pairs if max(pair) < n], dtype=int).reshape(-1, 2)


def _peptide(protocol: Protocol, structure: Structure):
    topology = openmm_topology(structure.topology)
    in_water = protocol.solvent == "tip3p"
    field = app.ForceField("amber99sbildn.xml", "tip3p.xml" if in_water else "amber99_obc.xml")
    model = app.Modeller(topology, structure.position * unit.nanometer)
    if in_water:
        edge = np.ptp(structure.position, axis=0).max() + 2 * protocol.margin_nm
        check_box(protocol, np.full(3, edge))
        model.addSolvent(field, model="tip3p", boxSize=mm.Vec3(edge, edge, edge) * unit.nanometer, neutralize=False)
    built = field.createSystem(
        model.topology,
        nonbondedMethod=app.PME if in_water else app.NoCutoff,
        nonbondedCutoff=(protocol.cutoff_nm or 1.0) * unit.nanometer,
        constraints=app.HBonds if protocol.constraints == "h-bonds" else None,
        rigidWater=True,
        hydrogenMass=None if protocol.hydrogen_mass is None else protocol.hydrogen_mass * unit.amu,
        removeCMMotion=True,
    )
    position = np.array(model.positions.value_in_unit(unit.nanometer))
    box = np.full(3, edge) if in_water else np.full(3, np.inf)
    return built, position, box


def _set_pme(built: mm.System, protocol: Protocol, box: np.ndarray):
    """The study's real-space tolerance and grid spacing instead of OpenMM's own choice."""
    alpha = float(erfcinv(EWALD_TOLERANCE)) / protocol.cutoff_nm
    grid = np.ceil(box / protocol.grid_nm).astype(int)
    for force in built.getForces():
        if isinstance(force, mm.NonbondedForce):
            force.setPMEParameters(alpha, *grid.tolist())
