"""Helical order on ideal helices, and radial distribution functions against mdtraj and by hand."""

import mdtraj
import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgcore.analysis import helix, rdf


def ideal_helix(n=15, sign=1, radius=0.23, rise=0.15, degrees=100.0):
    """CA atoms of an ideal alpha helix; sign 1 is right-handed."""
    turn = np.radians(degrees) * np.arange(n)
    return np.stack([radius * np.cos(turn), sign * radius * np.sin(turn), rise * np.arange(n)], axis=-1)


def test_an_ideal_helix_is_helical_and_right_handed():
    right, left = ideal_helix(), ideal_helix(sign=-1)
    assert helix.helicity(right) > 0.99
    assert_allclose(helix.helicity(left), helix.helicity(right))
    v = np.diff(right, axis=0)
    assert_allclose(helix.handedness(right), np.linalg.det(v[:3]))
    assert helix.handedness(right) > 0.02
    assert_allclose(helix.handedness(left), -helix.handedness(right))


def test_a_stretched_chain_is_neither():
    chain = np.arange(15)[:, None] * np.array([0.38, 0.0, 0.0])
    assert_allclose(helix.helicity(chain), np.exp(-(0.64**2) / 0.04))
    assert_allclose(helix.handedness(chain), 0, atol=1e-15)


def test_order_does_not_depend_on_place_or_direction_and_batches():
    random = np.random.default_rng(0)
    frames = random.normal(size=(7, 12, 3))
    q, _ = np.linalg.qr(random.normal(size=(3, 3)))
    q *= np.sign(np.linalg.det(q))
    moved = frames @ q.T + 3.0
    assert_allclose(helix.helicity(moved), helix.helicity(frames))
    assert_allclose(helix.handedness(moved), helix.handedness(frames))
    assert_allclose(helix.handedness(frames * [1, 1, -1]), -helix.handedness(frames))
    assert_allclose(helix.helicity(frames[3]), helix.helicity(frames)[3])
    # Read from its other end a helix keeps its hand.
    assert_allclose(helix.handedness(frames[:, ::-1]), helix.handedness(frames))


def test_three_atoms_are_no_helix():
    with pytest.raises(ValueError, match="at least four CA atoms"):
        helix.helicity(np.zeros((3, 3)))


@pytest.fixture(scope="module")
def liquid():
    """40 frames of 30 dimers at random in a box that is not a cube."""
    random = np.random.default_rng(1)
    box = np.array([2.0, 2.2, 2.5])
    centre = random.uniform(0, box, size=(40, 30, 1, 3))
    position = centre + random.normal(size=(40, 30, 2, 3)) * 0.08
    return position.reshape(40, 60, 3), box, np.repeat(np.arange(30), 2)


def cut(position, blocks=10):
    return np.array_split(position, blocks)


def test_rdf_is_mdtraj_s_for_points(liquid):
    position, box, _ = liquid
    centres = np.arange(0, 60, 2)
    counts = rdf.pair_counts(cut(position), box, np.arange(60), centres, centres, np.linspace(0, 1.0, 51))
    top = mdtraj.Topology()
    chain = top.add_chain()
    for _ in range(60):
        top.add_atom("C", mdtraj.element.carbon, top.add_residue("X", chain))
    trajectory = mdtraj.Trajectory(
        position, top, unitcell_lengths=np.tile(box, (40, 1)), unitcell_angles=np.full((40, 3), 90.0)
    )
    pairs = top.select_pairs(centres, centres)
    r, g = mdtraj.compute_rdf(trajectory, pairs, r_range=(0, 1.0), n_bins=50)
    assert_allclose(counts.centres, r, rtol=1e-6)
    # mdtraj computes distances in single precision: a few fall into the next bin.
    assert_allclose(counts.g().value[5:], g[5:], atol=0.02)


def test_beads_of_one_molecule_are_left_out_and_g_goes_to_one(liquid):
    position, box, molecule = liquid
    everything = np.arange(60)
    counts = rdf.pair_counts(cut(position, 8), box, molecule, everything, everything, np.linspace(0, 1.0, 21))
    g, error = counts.g()
    assert np.all(np.abs(g[8:] - 1) < 5 * error[8:] + 1e-9)
    own = np.linalg.norm(position[:, 0] - position[:, 1], axis=-1)
    assert own.max() < 0.6 and counts.counts[:, 0].sum() < 40 * 30  # bonded pairs would fill the first bins


def test_rdf_refuses_what_minimum_images_cannot_see(liquid):
    position, box, molecule = liquid
    with pytest.raises(ValueError, match=r"half the box, 1.000 nm, got 1.2"):
        rdf.pair_counts(cut(position), box, molecule, [0], [2], np.linspace(0, 1.2, 11))
