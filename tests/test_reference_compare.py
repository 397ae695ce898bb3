"""OpenMM and GROMACS on the same frame: energies term by term, and forces."""

import dataclasses

import numpy as np
import openmm as mm
import pytest
from engine_comparison import compare, openmm_terms
from gmx import needs_gmx
from numpy.testing import assert_allclose

from cgcore.config import ConfigError
from cgcore.geometry import paths
from cgcore.reference.build import hexane
from cgcore.reference.protocol import protocol
from cgcore.reference.system import prepare


def in_little_water(name):
    return dataclasses.replace(protocol(name, solvent="tip3p"), margin_nm=0.6, cutoff_nm=0.8)


def water_as_in_gromacs(prepared):
    """Lennard-Jones of TIP3P's oxygen as rounded in GROMACS's AMBER files; OpenMM's are 0.315075 nm, 0.635968 kJ/mol."""
    nonbonded = next(f for f in prepared.system.getForces() if isinstance(f, mm.NonbondedForce))
    for k in range(prepared.structure.topology.n_atoms, nonbonded.getNumParticles(), 3):
        charge, _, _ = nonbonded.getParticleParameters(k)
        nonbonded.setParticleParameters(k, charge, 0.315061, 0.636386)


@needs_gmx
@pytest.mark.physics
@pytest.mark.parametrize("name", ["ala2", "thr2", "pro2"])
def test_both_engines_agree_on_a_peptide_in_water(name, tmp_path):
    p = in_little_water(name)
    prepared = prepare(p, 0)
    as_shipped = compare(prepared, p, tmp_path)
    assert as_shipped.energy_error < 1e-4, as_shipped
    assert as_shipped.force_error < 1e-3, as_shipped
    errors = {term: error for term, *_, error in as_shipped.table}
    assert max(errors.pop(term) for term in ("bonds", "angles", "dihedrals", "Coulomb, 1-4 included")) < 5e-6
    assert errors["Lennard-Jones, 1-4 included"] > 1e-4
    if name == "ala2":
        water_as_in_gromacs(prepared)
        traced = compare(prepared, p, tmp_path)
        assert traced.force_error < 1e-5, traced
        assert {t: e for t, *_, e in traced.table}["Lennard-Jones, 1-4 included"] < 1e-5, traced


@needs_gmx
@pytest.mark.physics
@pytest.mark.slow
def test_both_engines_agree_on_hexane(tmp_path):
    p = protocol("hexane")
    got = compare(prepare(p, 0), p, tmp_path)
    assert got.energy_error < 1e-4, got
    assert got.force_error < 1e-5, got
    errors = {term: error for term, *_, error in got.table}
    assert max(e for term, e in errors.items() if term not in ("dispersion correction", "potential energy")) < 1e-6, got
    # The one term that differs: GROMACS averages C6 over pairs that are not excluded, OpenMM over all.
    topology, volume = hexane().topology, hexane().box.prod()
    numbers = {"C": (0.35, 0.276144), "H": (0.25, 0.12552)}  # nm, kJ/mol
    table = [numbers[element] for element in topology.elements[:20]]
    c6 = np.array([[4 * np.sqrt(e1 * e2) * (s1 * s2) ** 3 for s2, e2 in table] for s1, e1 in table])
    bonds = topology.bonds[topology.bonds.max(axis=1) < 20]
    excluded = [(chain[0], chain[-1]) for length in (2, 3, 4) for chain in paths(bonds, 20, length).tolist()]
    n, m = topology.n_atoms, topology.n_atoms // 20
    pairs = (m * m * c6.sum() - m * np.trace(c6)) / 2 - m * sum(c6[pair] for pair in excluded)
    mean = pairs / (n * (n - 1) / 2 - m * len(excluded))
    assert_allclose(got.gromacs["dispersion correction"], -2 / 3 * np.pi * n * n / volume * mean / 1.22**3, rtol=1e-5)


def test_terms_of_openmm_add_up():
    prepared = prepare(in_little_water("gly2"), 0)
    terms, force = openmm_terms(prepared.system, prepared.position, prepared.box)
    assert force.shape == prepared.position.shape
    assert terms["Coulomb, 1-4 included"] < 0 < terms["bonds"]


def test_only_periodic_systems_are_compared(tmp_path):
    with pytest.raises(ConfigError, match="no implicit solvent"):
        compare(None, protocol("ala2"), tmp_path)
