"""Handedness without a stereocentre of carbon: axes are seen in the frames, pyramids of sulfur and phosphorus in the graph."""

import networkx
import numpy as np
import pytest
from doctoring import frames
from scipy.spatial.transform import Rotation

from cgcore import doctor, geometry, mapping, proposals
from cgcore.doctor.groups import stereocentres
from cgcore.doctor.molecule import kinds
from cgcore.reference import own

BIARYL = "Clc1cccc(C)c1-c1c(C)cccc1Cl"
"""Four groups beside the bond between its rings, which therefore do not turn past each other."""


def heavy(smiles: str, tmp_path):
    (built, *_) = own.structures(own.from_smiles(smiles), smiles)
    path = tmp_path / "heavy.toml"
    path.write_text(next(g for g in proposals.groupings(built.topology) if g.name == "heavy_atom").toml())
    return built, mapping.load(path, built.topology)


def moving(built, signs, seed: int = 0):
    """Frames about the conformer or, by the signs, its mirror image, with noise of 0.004 nm."""
    random = np.random.default_rng(seed)
    x = built.position[None] * np.array(signs, float)[:, None, None]
    return frames(x + 0.004 * random.standard_normal(x.shape), built.topology.names)


def findings(built, beads, sample) -> dict:
    return {f.kind: f for f in doctor.findings(doctor.examine(beads, built.topology, sample))}


def test_an_axis_that_the_frames_keep_is_no_symmetry_and_one_that_they_turn_is(tmp_path):
    built, beads = heavy(BIARYL, tmp_path)
    kept = findings(built, beads, moving(built, np.ones(400)))
    assert kept["symmetry"].level == "barrier"
    assert "no stereocentre holds it, so an axis" in kept["symmetry"].what
    assert "SO(3)" in kept["symmetry"].do
    both = findings(built, beads, moving(built, np.resize([1, -1], 400)))
    assert both["symmetry"].level == "clear"
    assert "also by every dihedral of the beads in the frames" in both["symmetry"].sure


@pytest.mark.parametrize(
    "smiles, names",
    [
        ("C[S@](=O)CC", ["S2"]),  # a sulfoxide
        ("CS(=O)(=O)CC", []),  # a sulfone: two oxygens
        ("CSCC", []),
        ("C[P@](CC)c1ccccc1", ["P2"]),
        ("CN(CC)CCC", []),  # an amine turns inside out
        ("C[C@H](O)CC", ["C2"]),
    ],
)
def test_lone_pairs_count_where_pyramids_stay(smiles, names, tmp_path):
    built, beads = heavy(smiles, tmp_path)
    (kind,) = kinds(beads, built.topology)
    assert [kind.atoms[c.atom] for c in stereocentres(kind)] == names


def test_a_sulfoxide_keeps_its_hand_where_sulfur_and_three_neighbours_are_beads(tmp_path):
    built, beads = heavy("C[S@](=O)CC", tmp_path)
    found = findings(built, beads, moving(built, np.ones(400)))
    assert "1 of 1 stereocentres kept with inversion path (S2)" in found["stereo"].what
    assert found["symmetry"].level == "barrier"


def test_the_hand_of_a_centre_shows_where_the_chain_beside_it_is_as_often_left_as_right(tmp_path):
    built, beads = heavy("C[S@](=O)CC", tmp_path)
    graph = networkx.Graph(built.topology.bonds.tolist())
    ends = [built.topology.names.index(name) for name in ("C1", "S2", "C4", "C5")]
    _, sulfur, carbon, _ = ends
    graph.remove_edge(sulfur, carbon)
    turning = sorted(networkx.node_connected_component(graph, carbon))
    axis = built.position[carbon] - built.position[sulfur]
    at = geometry.dihedrals(built.position[None], np.array([ends]), np.full(3, np.inf))[0, 0]
    position = np.repeat(built.position[None], 400, axis=0).astype(float)
    for x, wanted in zip(position, np.random.default_rng(1).uniform(-np.pi, np.pi, 400), strict=True):
        turn = Rotation.from_rotvec(axis / np.linalg.norm(axis) * float(wanted - at))
        x[turning] = turn.apply(x[turning] - x[sulfur]) + x[sulfur]
    sample = frames(position + 0.004 * np.random.default_rng(0).standard_normal(position.shape), built.topology.names)
    found = findings(built, beads, sample)["symmetry"]
    assert found.level == "barrier" and "S2 out of plane" in found.what and "0.31" in found.what


def test_a_planar_molecule_has_its_mirror_image(tmp_path):
    """Noise out of the plane is of either sign."""
    built, beads = heavy("CC(=O)N", tmp_path)
    assert findings(built, beads, moving(built, np.ones(400)))["symmetry"].level == "clear"
