"""Structure and motion of a liquid of beads, against mdtraj and by hand."""

from dataclasses import replace

import hexane
import mdtraj
import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgcore import io, mapping
from cgcore.analysis import bonded, liquid, rdf
from cgcore.analysis.diffusion import diffusion, unwrapped
from cgcore.analysis.sample import Sample, of_ensemble, of_frames
from cgcore.frames import Ensemble

BOX = 2.0


@pytest.fixture(scope="module")
def topology(tmp_path_factory):
    path = tmp_path_factory.mktemp("hexane") / "topol.top"
    path.write_text(hexane.top(20))
    return io.read_topology(path)


def beads_of(topology, name):
    return mapping.load(name, topology, residue="hex")


def ensemble(position, first_bad=None, frame_ps=0.5) -> Ensemble:
    chains, frames, n, _ = position.shape
    bad = np.full(chains, frames) if first_bad is None else np.array(first_bad)
    return Ensemble(
        position=position,
        energy=np.zeros((chains, frames)),
        kinetic=np.zeros((chains, frames)),
        time=frame_ps * np.arange(1, frames + 1),
        status=(bad < frames).astype(int),
        first_bad=bad,
        names=("X",) * n,
    )


def trajectory(position) -> mdtraj.Trajectory:
    top = mdtraj.Topology()
    chain = top.add_chain()
    for _ in range(position.shape[1]):
        top.add_atom("C", mdtraj.element.carbon, top.add_residue("X", chain))
    lengths, right = np.full((len(position), 3), BOX), np.full((len(position), 3), 90.0)
    return mdtraj.Trajectory(position, top, unitcell_lengths=lengths, unitcell_angles=right)


@pytest.fixture(scope="module")
def four(topology):
    beads = beads_of(topology, "four_site")
    return beads, hexane.liquid(beads, 12, BOX)


def test_kinds_are_the_four_site_chain_s(four):
    beads, _ = four
    labels = tuple(beads.species_names[s] for s in beads.species)
    found = bonded.kinds(labels, beads.bonds)
    assert {name: len(paths) for name, paths in found.items()} == {
        "bond_AB": 40,
        "bond_BB": 20,
        "angle_ABB": 40,
        "dihedral_ABBA": 20,
    }


def test_bonded_quantities_are_mdtraj_s_also_of_wrapped_molecules(four):
    beads, frames = four
    wrapped = np.mod(np.asarray(frames.position), BOX)
    sample = of_frames(replace(frames, position=wrapped))
    labels = tuple(beads.species_names[s] for s in beads.species)
    theirs = trajectory(wrapped)
    for name, paths in bonded.kinds(labels, beads.bonds).items():
        compute = {2: mdtraj.compute_distances, 3: mdtraj.compute_angles, 4: mdtraj.compute_dihedrals}[paths.shape[1]]
        ours = np.concatenate(bonded.values(sample, paths))
        assert_allclose(np.cos(ours), np.cos(compute(theirs, paths)), atol=2e-5, err_msg=name)
        edges = bonded.edges_for(name, [ours])
        density = bonded.histogram(np.array_split(ours, 4), edges).density()
        expected = np.histogram(compute(theirs, paths), edges, density=True)[0]
        # mdtraj computes in single precision: a few values fall into the next bin.
        assert np.sum(np.abs(density.value - expected) * np.diff(edges)) < 0.02
        assert np.sum(density.value * np.diff(edges)) == pytest.approx(1)


def test_nearest_neighbours_are_mdtraj_s_smallest_distances(four):
    _, frames = four
    pairs = np.stack(np.triu_indices(80, 1), axis=1)
    distance = mdtraj.compute_distances(trajectory(np.asarray(frames.position)), pairs)
    square = np.full((12, 80, 80), np.inf)
    square[:, pairs[:, 0], pairs[:, 1]] = square[:, pairs[:, 1], pairs[:, 0]] = distance
    assert_allclose(np.concatenate(bonded.nearest(of_frames(frames))), square.min(2), atol=1e-5)


def test_straight_angles_and_planar_dihedrals_are_counted_in_single_precision():
    """np.float32(pi) is beyond the last edge, pi."""
    for name in ("angle_AAA", "dihedral_AAAA"):
        blocks = [np.full(50, np.pi, np.float32), np.linspace(0.1, 3, 50, dtype=np.float32)]
        found = bonded.histogram(blocks, bonded.edges_for(name, blocks))
        assert found.counts[:, :-1].sum(1).tolist() == [50, 50] and not found.counts[:, -1].any()


def test_gauche_is_nearer_to_cis_than_to_trans_by_the_barrier():
    angles = np.radians([[65.0, -65.0, 180.0, 121.0], [0.0, 119.0, -119.0, -179.0]])
    assert bonded.gauche(list(angles[:, None])).value == 5 / 8


def test_rdf_of_replicas_leaves_out_molecules_and_frames_that_do_not_count(topology):
    beads = beads_of(topology, "three_site")
    frames = hexane.liquid(beads, 24, BOX)
    position = np.asarray(frames.position).reshape(2, 12, 60, 3)
    broken = position.copy()
    broken[1, 7:] = np.nan
    sample = of_ensemble(ensemble(broken, [12, 7]), [BOX] * 3)
    molecule = liquid.molecules(beads.bonds, 60)
    first, second = liquid.species_pairs(beads)["g_AB"]
    edges = liquid.rdf_edges(sample.box)
    assert len(edges) == 101 and edges[-1] == pytest.approx(1.0)
    ours = rdf.pair_counts(sample.blocks(), sample.box, molecule, first, second, edges)
    pairs = [(i, j) for i in first for j in second if molecule[i] != molecule[j]]
    kept = trajectory(np.concatenate([position[0], position[1, :7]]))
    r, g = mdtraj.compute_rdf(kept, pairs, r_range=(0, 1.0), n_bins=100)
    assert_allclose(ours.centres, r, rtol=1e-6)
    assert np.mean(np.abs(ours.g().value - g)[10:]) < 0.01
    assert_allclose(ours.g().value, ours.counts.sum(0) / ours.ideal.sum(0))


def test_a_random_walk_diffuses_as_its_steps_say_wrapped_or_not():
    random = np.random.default_rng(2)
    D, frame_ps = 3.0, 0.5  # nm^2/ns
    steps = random.normal(size=(6, 400, 50, 3)) * np.sqrt(2 * D * 1e-3 * frame_ps)
    position = 1.0 + np.cumsum(steps, axis=1)
    found = []
    for x in (position, np.mod(position, BOX)):
        valid = np.ones(x.shape[:2], bool)
        estimate, arrays = diffusion(Sample(position=x, valid=valid, box=np.full(3, BOX), frame_ps=frame_ps))
        assert abs(estimate.value - D) < 4 * estimate.error and estimate.error < 0.2
        assert_allclose(arrays["msd"] / arrays["msd_lag"], 6 * D * 1e-3, rtol=0.1)
        found.append(estimate.value)
    assert found[0] == pytest.approx(found[1], rel=1e-9)
    assert_allclose(unwrapped(np.mod(position[0], BOX), np.full(3, BOX)) % BOX, position[0] % BOX, atol=1e-9)
    short = Sample(position=position[:, :30], valid=np.ones((6, 30), bool), box=np.full(3, BOX), frame_ps=frame_ps)
    assert diffusion(short) == (None, {})


@pytest.mark.parametrize(
    "name, quantity", [("three_site", "angle_ABA"), ("two_site", "bond_AA"), ("four_site", "dihedral_ABBA")]
)
def test_frames_of_one_distribution_agree_within_their_errors(topology, name, quantity):
    beads = beads_of(topology, name)
    frames = hexane.liquid(beads, 75, BOX, seed=3)
    position = np.asarray(frames.position).astype(np.float32)
    table, arrays = liquid.liquid(
        ensemble(position[:60].reshape(4, 15, -1, 3)), frames[np.arange(60, 75)], beads, [BOX] * 3
    )
    assert table["n_frames"] == 60 and table["n_replicas_failed"] == 0
    assert table[f"{quantity}_js"] < 4 * table[f"{quantity}_js_floor"] and table[f"{quantity}_inside"] > 0.95
    assert table["g_AA_mse_all"] < 2 * table["g_AA_mse_floor"] < table["g_AA_mse"] * 2
    assert table["g_AA_mse_error"] == pytest.approx(table["g_AA_mse_sd"] / 2)
    width = np.diff(arrays[f"{quantity}_edges"])
    for prefix in ("", "reference_"):
        assert np.sum(arrays[f"{prefix}{quantity}"] * width) == pytest.approx(1)
    if name == "four_site":
        # The dihedrals of these frames are at random.
        assert abs(table["gauche_ABBA"] - 2 / 3) < 5 * table["gauche_ABBA_error"] + 0.02
        assert "gauche_ABBA" in table["reference"]
    assert ("rearrangement_rate" in table) == (name == "two_site")
    assert table["diffusion"] is None, "five picoseconds are too few"


def test_a_wrong_angle_is_outside_and_a_failed_run_says_only_that(topology):
    beads = beads_of(topology, "three_site")
    frames = hexane.liquid(beads, 30, BOX, seed=4)
    right = np.asarray(frames.position[:20]).reshape(2, 10, 60, 3)
    straight = right.copy()
    middle = straight[:, :, 1::3]
    straight[:, :, 2::3] = middle + (middle - straight[:, :, 0::3])
    reference = frames[np.arange(20, 30)]
    table, _ = liquid.liquid(ensemble(straight), reference, beads, [BOX] * 3)
    assert table["angle_ABA_js"] > 0.99 and table["angle_ABA_inside"] < 0.5
    assert table["bond_AB_inside"] > 0.9
    table, arrays = liquid.liquid(ensemble(right, [3, 0]), reference, beads, [BOX] * 3)
    assert table["n_frames"] == 3 and table["n_replicas_failed"] == 2 and arrays == {}
    assert table["stable_ps"] == pytest.approx(0.75) and "angle_ABA_js" not in table
    late, _ = liquid.liquid(ensemble(right), reference, beads, [BOX] * 3, skip_ps=2.0)
    assert late["n_frames"] == 12


def test_a_liquid_of_one_bead_a_molecule_has_a_structure_and_no_bonds(topology):
    """The middle beads alone of two samples of three-site hexane: g of the one beside that of the other."""
    beads = beads_of(topology, "three_site")
    frames = hexane.liquid(beads, 30, BOX, seed=4)
    middle = np.asarray(frames.position)[:, 1::3]
    n = middle.shape[1]
    one = replace(
        beads, beads=tuple("B" * n), species=(0,) * n, species_names=("B",), bonds=np.zeros((0, 2), int), mass=beads.mass[1::3]
    )  # fmt: skip
    reference = replace(frames, position=middle, names=one.beads)[np.arange(20, 30)]
    run = ensemble(middle[:20].reshape(2, 10, n, 3))
    table, arrays = liquid.liquid(run, reference, one, [BOX] * 3)
    assert table["g_BB_mse_all"] < 3 * table["g_BB_mse_floor"] and "g_BB" in arrays
    assert not {"nonbonded_closer", "rearrangement_rate"} & table.keys() and "nearest_js" in table
