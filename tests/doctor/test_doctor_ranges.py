"""Ranges of distances that no frame has: by hand, and the same as those that barriers are put into."""

import doctoring
import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgcore import mapping
from cgcore.doctor import examine, findings, headline
from cgcore.doctor.distances import unsampled
from cgcore.potentials import barrier
from cgcore.reference import sets
from cgcore.unsampled import unsampled_ranges

BOX = np.full(3, 2.0)


@pytest.fixture(scope="module")
def hexane():
    return sets.load("hexane", stride=30)


def dimers(folder, typing="single"):
    atoms = doctoring.topology("C C", "0-1", copies=2)
    return doctoring.mapped(folder, atoms, {"A": ["C0"], "B": ["C1"]}, typing)


def approach(distances):
    """Two molecules, bonds of 0.15 nm along x, their nearest beads so far apart along y, across the edge of the box."""
    r = np.asarray(distances)
    x = np.zeros((len(r), 4, 3))
    x[:, 1, 0] = x[:, 3, 0] = 0.15
    x[:, 2:, 1] = r[:, None]
    return np.mod(x + [0.0, 1.9, 0.0], 2.0)


def test_a_range_between_bonds_and_neighbours_is_found_across_the_boundary(tmp_path):
    (found,) = unsampled(dimers(tmp_path), approach(np.linspace(0.3, 0.4, 21)), BOX)
    assert_allclose((found.low, found.high), (0.15, 0.3), atol=1e-9)
    assert found.between and found.intermolecular and found.frames == 21 and not found.closing


def test_no_range_where_neighbours_come_as_near_as_bonded_beads(tmp_path):
    assert unsampled(dimers(tmp_path), approach(np.linspace(0.14, 0.4, 53)), BOX) == ()


def test_species_that_bond_nowhere_have_no_way_to_a_bond(tmp_path):
    atoms = doctoring.topology("C C", "0-1", copies=2)
    labels = '[typings.two]\ndescription = "A B"\nlabels = { A = "A", B = "B" }\n'
    beads = doctoring.mapped(tmp_path, atoms, {"A": ["C0"], "B": ["C1"]}, "two", labels)
    found = unsampled(beads, approach(np.r_[0.2, 0.3]), BOX)
    assert {(x.pair, x.bonded) for x in found} == {("A–A", False), ("A–B", True), ("B–B", False)}


def test_a_range_that_half_of_the_frames_leave_wider_is_still_closing(tmp_path):
    r = np.where(np.arange(40) % 2, 0.20, 0.35)
    (found,) = unsampled(dimers(tmp_path), approach(r)[:, :, :], BOX)[:1]
    assert_allclose((found.low, found.high, found.in_half), (0.15, 0.20, 0.20), atol=1e-9)
    assert found.closing


def test_beads_that_bonds_hold_are_no_neighbours(tmp_path):
    atoms = doctoring.topology("C C C C C", "0-1 1-2 2-3 3-4")
    beads = doctoring.mapped(tmp_path, atoms, {f"B{k}": [f"C{k}"] for k in range(5)}, "single")
    x = np.zeros((20, 5, 3))
    x[:, :, 0] = 0.1 * np.arange(5)  # 0.1, 0.2, 0.3 held; 0.4 a neighbour
    found = unsampled(beads, x, np.full(3, np.inf))
    assert [(round(u.low, 9), round(u.high, 9), u.between) for u in found] == [
        (0.1, 0.2, False),
        (0.2, 0.3, False),
        (0.3, 0.4, True),
    ]
    assert not any(u.intermolecular for u in found)


@pytest.mark.parametrize("name", ["two_site", "three_site", "four_site"])
def test_the_ranges_of_hexane_are_those_that_barriers_are_put_into(hexane, name):
    topology, atoms = hexane
    beads = mapping.load(name, topology, residue="hex")
    frames = mapping.apply(beads, atoms)
    position, box = np.asarray(frames.position), np.asarray(frames.box, float)
    barriers = barrier.for_frames(beads.species, frames, liquid=True).ranges
    every = unsampled_ranges(beads.species, beads.bonds, position, box, from_zero=True)
    for a, b in {r.pair for r in every}:
        finite = barriers[a, b][np.isfinite(barriers[a, b]).all(1)]
        assert_allclose([(r.low, r.high) for r in every if r.pair == (a, b)], finite, rtol=1e-12)
    inner = [(r.low, r.high) for r in every if r.low]
    assert [(r.low, r.high) for r in unsampled(beads, position, box)] == inner


def test_the_verdict_names_the_range_and_the_remedy(hexane):
    topology, atoms = hexane
    found = {}
    for name in ("two_site", "three_site"):
        said = examine(mapping.load(name, topology, residue="hex"), topology, atoms)
        found[name] = headline(said), next(f for f in findings(said) if f.kind == "unsampled")
    worst, finding = found["three_site"]
    assert worst == finding.level == "barrier"
    assert "A–B 0.28" in finding.what and "in 22 frames" in finding.sure and 'prior="barrier"' in finding.do
    assert found["two_site"][0] == "artefact" and found["two_site"][1].level == "clear"
