"""Beads named by SMARTS: the same beads as by names, and every slip in a pattern that has been thought of."""

import sys

import doctoring
import hexane
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgcore import io, mapping
from cgcore.mapping import MappingError
from cgcore.reference import sets
from cgcore.smarts import SmartsError, find

needs_rdkit = pytest.mark.usefixtures("rdkit")
HEAD = 'description = "by patterns"\nleaves_atoms_out = {}\nwith_hydrogens = {}\n'
TYPINGS = '[typings.published]\ndescription = "by elements"\nby = "composition"\n'
THREE_SITE = """[typings.published]
description = "A B A"
labels = { END = "A", MIDDLE = "B" }
[smarts]
END = "[CH3:1][CH2:1]"
MIDDLE = "[CH2:1](C[CH3])[CH2:1]C[CH3]"
"""
CORE = """[smarts]
C_ace = "[CX3:1](=O)[CH3]"
N = "[NX3:1][CX4H1]"
CA = "[CX4H1:1](N)C=O"
C = "[CX3:1](=O)[CX4H1]"
N_nme = "[NX3:1][CH3]"
[dihedrals]
phi = ["C_ace", "N", "CA", "C"]
psi = ["N", "CA", "C", "N_nme"]
"""


@pytest.fixture
def rdkit():
    return pytest.importorskip("rdkit")


@pytest.fixture(scope="module")
def alanine():
    return sets.load("ala2_obc2", stride=1000)[0]


@pytest.fixture(scope="module")
def liquid(tmp_path_factory):
    path = tmp_path_factory.mktemp("hexane") / "hexane.top"
    path.write_text(hexane.top(5))
    return io.read_topology(path)


def table(folder, text, *, leaves_out=False, with_hydrogens=False):
    path = folder / "patterns.toml"
    path.write_text(HEAD.format(str(leaves_out).lower(), str(with_hydrogens).lower()) + text)
    return path


@needs_rdkit
def test_three_sites_of_hexane_by_smarts_are_those_by_names(tmp_path, liquid):
    ours = mapping.load(table(tmp_path, THREE_SITE, with_hydrogens=True), liquid)
    named = mapping.load("three_site", liquid, residue="hex")
    assert [tuple(sorted(a)) for a in named.atoms] == list(ours.atoms)
    assert (ours.species, ours.species_names) == (named.species, named.species_names)
    assert_array_equal(ours.bonds, named.bonds)
    assert_allclose(ours.weights.toarray(), named.weights.toarray())
    assert_allclose(ours.force_weights.toarray(), named.force_weights.toarray())
    assert_allclose(ours.mass, named.mass)
    assert ours.beads[:6] == ("END_1", "MIDDLE_1", "END_2", "END_3", "MIDDLE_2", "END_4")


@needs_rdkit
def test_the_core_of_alanine_by_smarts_is_that_by_names(tmp_path, alanine):
    """Needs bond orders, which the PDB file does not have: C=O."""
    ours = mapping.load(table(tmp_path, TYPINGS + CORE, leaves_out=True), alanine)
    named = mapping.load("core", alanine)
    assert (ours.beads, ours.atoms, ours.species) == (named.beads, named.atoms, named.species)
    assert ours.dihedrals == named.dihedrals
    assert_array_equal(ours.bonds, named.bonds)


@needs_rdkit
@pytest.mark.parametrize(
    "elements, bonds, pattern, atoms",
    [
        ("C C C C C C H H H H H H", "0-1 1-2 2-3 3-4 4-5 0-5 0-6 1-7 2-8 3-9 4-10 5-11", "c1ccccc1", [range(6)]),
        ("C H H H C O O", "0-1 0-2 0-3 0-4 4-5 4-6", "[C:1](=O)[O-:1]", [(4, 5), (4, 6)]),  # charge -1
        ("N H H H H", "0-1 0-2 0-3 0-4", "[N+:1]", [(0,)]),
        ("C N H", "0-1 0-2", "C#N", [(0, 1)]),
    ],
)
def test_bond_orders_and_charges_follow_from_valences(elements, bonds, pattern, atoms):
    topology = doctoring.topology(elements, bonds)
    if len(atoms) > 1:  # either oxygen of acetate may bear the charge in the drawing
        (match,) = find({"X": pattern}, topology, with_hydrogens=False)
        assert match.atoms in atoms
    else:
        assert [m.atoms for m in find({"X": pattern}, topology, with_hydrogens=False)] == [tuple(a) for a in atoms]


@needs_rdkit
def test_hydrogens_come_along_and_equal_molecules_are_numbered_along_the_topology():
    water = doctoring.topology("H O H", "0-1 1-2", copies=3)
    found = find({"W": "[OH2]"}, water, with_hydrogens=True)
    assert [(m.number, m.name, m.atoms) for m in found] == [
        (k + 1, "W", (3 * k, 3 * k + 1, 3 * k + 2)) for k in range(3)
    ]
    assert [m.atoms for m in find({"W": "[OH2]"}, water, with_hydrogens=False)] == [(1,), (4,), (7,)]


@needs_rdkit
def test_the_order_of_atoms_does_not_matter():
    random = np.random.default_rng(0)
    topology = doctoring.topology("C O H H H H", "0-1 0-2 0-3 0-4 1-5")
    order = random.permutation(6)
    place = np.argsort(order)
    elements = " ".join(topology.elements[k] for k in order)
    bonds = " ".join(f"{place[i]}-{place[j]}" for i, j in topology.bonds)
    (found,) = find({"X": "[CH3:1]O"}, doctoring.topology(elements, bonds), with_hydrogens=True)
    assert sorted(order[list(found.atoms)]) == [0, 2, 3, 4]


@needs_rdkit
@pytest.mark.parametrize(
    "old, new, message",
    [
        ('"[CH3:1][CH2:1]"', '"[CH3:1][CH2:1]O"', r"bead END: '\[CH3:1\]\[CH2:1\]O' matches no atoms"),
        ('"[CH3:1][CH2:1]"', '"[CH3:1"', r"bead END: '\[CH3:1' is no SMARTS pattern"),
        ('"[CH3:1][CH2:1]"', '""', "bead END: '' is no SMARTS pattern"),
        ('"[CH3:1][CH2:1]"', '["C1"]', "bead END: want a pattern in quotes"),
        ("(C[CH3])[CH2:1]C[CH3]", "[CH2:1]", "both END and MIDDLE claim atom HEX1:C5"),
        ('"[CH3:1][CH2:1]"', '"[CH3:1][CH2]"', "10 atoms belong to no bead|30 atoms belong to no bead"),
        ("[smarts]", '[residues.HEX]\nA = ["C1"]\n[smarts]', "want 'smarts', or 'atoms' and 'residues' or one of them"),
    ],
)
def test_slips_in_a_pattern(tmp_path, liquid, old, new, message):
    assert old in THREE_SITE
    with pytest.raises(MappingError, match=message):
        mapping.load(table(tmp_path, THREE_SITE.replace(old, new), with_hydrogens=True), liquid)


@needs_rdkit
def test_matches_of_one_pattern_that_overlap_are_refused(liquid):
    with pytest.raises(SmartsError, match="two matches of X claim atom HEX1:C8"):
        find({"X": "[CH2][CH2]"}, liquid, with_hydrogens=False)


@needs_rdkit
def test_missing_hydrogens_are_named_as_the_slip():
    topology = doctoring.topology("C F F F F F", "0-1 0-2 0-3 0-4 0-5")
    with pytest.raises(SmartsError, match="no bond orders fit the molecule of 6 atoms that begins with MOL1:C0"):
        find({"X": "C"}, topology, with_hydrogens=False)


def test_a_topology_without_bonds_is_named_as_the_slip():
    """As of a GRO file: a pattern that matches no atoms would be the wrong thing to say."""
    with pytest.raises(
        SmartsError,
        match="MOL1:C0 and 2 others of their residues have no bonds, and patterns are found along bonds; want CONECT",
    ):
        find({"X": "[CH3]"}, doctoring.topology("C C H", ""), with_hydrogens=False)


def test_without_rdkit_the_error_says_what_to_install(tmp_path, liquid, monkeypatch):
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(MappingError, match=r"RDKit, which reads it, is not installed; `pip install cgcore\[smarts\]`"):
        mapping.load(table(tmp_path, THREE_SITE), liquid)
    assert mapping.load("three_site", liquid, residue="hex").beads[0] == "C12_1"
