"""Geometry against hand-made cases and mdtraj."""

from pathlib import Path

import jax
import mdtraj
import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgcore import geometry, io

ALA2 = Path(__file__).parents[1] / "notebooks" / "data" / "ala2"
OPEN = np.full(3, np.inf)


@pytest.fixture(scope="module")
def trajectory():
    return mdtraj.load(ALA2 / "solute.trr", top=ALA2 / "topology.pdb", stride=100)


@pytest.fixture(scope="module")
def position(trajectory):
    return trajectory.xyz.astype(np.float64)


@pytest.mark.parametrize("degrees", [0.0, 60.0, 120.0, -60.0, -150.0, 180.0])
def test_dihedral_has_the_iupac_sign(degrees):
    """Looking along the middle bond from the front, the far bond is turned clockwise by a positive angle."""
    turn = np.deg2rad(degrees)
    # The viewer looks along +z; x points right and y down, so clockwise is from +x to +y.
    position = np.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 1.5], [np.cos(turn), np.sin(turn), 1.5]])
    found = float(geometry.dihedrals(position, np.array([[0, 1, 2, 3]]), OPEN)[0])
    assert_allclose(np.abs(found) if degrees == 180 else found, turn, atol=1e-12)


def test_mirror_image_changes_the_sign_of_a_dihedral(position):
    quads = np.array([[4, 6, 8, 14], [6, 8, 14, 16]])
    assert_allclose(
        geometry.dihedrals(position * [1, 1, -1], quads, OPEN), -geometry.dihedrals(position, quads, OPEN), atol=1e-12
    )


def test_distances_angles_and_dihedrals_are_those_of_mdtraj(trajectory, position):
    periodic = trajectory.unitcell_lengths[0].astype(np.float64)
    bonds = io.read_topology(ALA2 / "topology.pdb").bonds
    triples = np.array([[4, 6, 8], [6, 8, 14], [1, 0, 4], [8, 14, 16]])
    quads = np.array([[4, 6, 8, 14], [6, 8, 14, 16], [10, 8, 6, 4], [15, 14, 16, 18]])
    for box in (periodic, OPEN):
        assert_allclose(
            geometry.distances(position, bonds, box), mdtraj.compute_distances(trajectory, bonds), atol=1e-6
        )
        assert_allclose(geometry.angles(position, triples, box), mdtraj.compute_angles(trajectory, triples), atol=1e-5)
        turn = geometry.dihedrals(position, quads, box) - mdtraj.compute_dihedrals(trajectory, quads)
        assert_allclose((np.asarray(turn) + np.pi) % (2 * np.pi) - np.pi, 0.0, atol=1e-5)


def test_phi_and_psi_of_l_alanine_lie_where_they_should(position):
    """An L-residue in water: phi negative in all but 0.01 % of the frames."""
    phi = np.asarray(geometry.dihedrals(position, np.array([[4, 6, 8, 14]]), OPEN))
    assert np.mean(phi < 0) > 0.999


def test_angle_of_hand_made_triples():
    position = np.array([[1.0, 0, 0], [0, 0, 0], [0, 2.0, 0], [-3.0, 0, 0]])
    found = geometry.angles(position, np.array([[0, 1, 2], [0, 1, 3], [2, 1, 0]]), OPEN)
    assert_allclose(found, [np.pi / 2, np.pi, np.pi / 2], atol=1e-12)


def test_shortest_displacement_crosses_the_boundary():
    box = np.array([2.0, 3.0, np.inf])
    a, b = np.array([0.1, 0.1, 0.1]), np.array([1.9, 2.9, 9.1])
    assert_allclose(geometry.displacement(a, b, box), [-0.2, -0.2, 9.0], atol=1e-12)


def test_a_wrapped_molecule_is_made_whole(position, trajectory):
    box = trajectory.unitcell_lengths[0].astype(np.float64)
    bonds = io.read_topology(ALA2 / "topology.pdb").bonds
    shift = -position[:, 8:9] + np.array([0.02, 0.03, -0.01])  # CA beside a corner, so that all faces are crossed
    wrapped = (position + shift) % box
    assert (np.abs(wrapped[:, bonds[:, 0]] - wrapped[:, bonds[:, 1]]).max(axis=(1, 2)) > 2.0).all()
    whole = geometry.make_whole(wrapped, bonds, np.broadcast_to(np.diag(box), (len(wrapped), 3, 3)))
    assert_allclose(whole - whole[:, :1], position - position[:, :1], atol=1e-12)
    assert_allclose(whole[:, 0], wrapped[:, 0])


def test_spanning_tree_reaches_every_molecule():
    steps = geometry.spanning_tree(np.array([[0, 1], [2, 1], [3, 4]]), 6)
    assert steps == [(0, 1), (1, 2), (3, 4)]


@pytest.mark.parametrize("seed", range(3))
def test_rotations_are_proper(seed):
    q = np.asarray(geometry.rotation(jax.random.key(seed)), dtype=np.float64)
    assert_allclose(q @ q.T, np.eye(3), atol=1e-6)
    assert_allclose(np.linalg.det(q), 1.0, atol=1e-6)


def test_paths_along_a_branched_chain():
    """0-1-2-3 with 4 on 1: every angle and dihedral once, ends in rising order."""
    bonds = np.array([[0, 1], [1, 2], [2, 3], [1, 4]])
    assert geometry.paths(bonds, 5, 2).tolist() == [[0, 1], [1, 2], [1, 4], [2, 3]]
    assert geometry.paths(bonds, 5, 3).tolist() == [[0, 1, 2], [0, 1, 4], [1, 2, 3], [2, 1, 4]]
    assert geometry.paths(bonds, 5, 4).tolist() == [[0, 1, 2, 3], [3, 2, 1, 4]]
    ring = np.array([[0, 1], [1, 2], [0, 2]])
    assert len(geometry.paths(ring, 3, 3)) == 3
    assert geometry.paths(ring, 3, 4).shape == (0, 4)


def test_pairs_apart():
    """A chain of six: with three bonds excluded only 0-4, 0-5 and 1-5 are left; molecules see each other."""
    chain = np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 5]])
    assert geometry.pairs_apart(chain, 6, 3).tolist() == [[0, 4], [0, 5], [1, 5]]
    assert geometry.pairs_apart(chain[:1], 3, 3).tolist() == [[0, 2], [1, 2]]
    assert len(geometry.pairs_apart(np.zeros((0, 2), int), 4, 3)) == 6
