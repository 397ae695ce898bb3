"""What any molecule is asked for beside its reference, the tests of such a run, and the maps that a topology suggests."""

import json
from dataclasses import replace

import jax
import mdtraj
import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_liquid import ensemble
from test_steps import SMALL
from typer.testing import CliRunner

from cgcore import acceptance, functional_groups, mapping, proposals, steps
from cgcore.analysis import bonded
from cgcore.analysis.molecule import contacts, gyration, molecule, surfaces
from cgcore.analysis.sample import of_molecule
from cgcore.analysis.surface import backbone
from cgcore.cli import app
from cgcore.map_files import MappingError
from cgcore.reference import own, sets
from cgcore.reference.output import mdtraj_topology


@pytest.fixture(scope="module")
def alanine():
    topology, atoms = sets.load("ala2_obc2", stride=8)
    beads = mapping.load("core_beta", topology)
    return topology, atoms, beads, mapping.apply(beads, atoms)


def replicas(frames, n: int):
    """The frames of a trajectory as replicas one after the other."""
    length = frames.n_frames // n
    return ensemble(np.asarray(frames.position)[: n * length].reshape(n, length, *frames.position.shape[1:]))


def test_a_trajectory_beside_itself_differs_by_noise_and_its_mirror_image_by_its_dihedrals(alanine):
    *_, beads, frames = alanine
    first, second = frames[::2], frames[1::2]
    same, _ = molecule(replicas(first, 10), second, beads, temperature_K=300.0)
    for name in (k for k in same if k.endswith("_js")):
        assert same[name] < same[f"{name}_floor"] + 3 * same[f"{name}_error"] + 1e-3
    assert_allclose(same["gyration_mean"], same["reference"]["gyration_mean"], atol=3e-4)
    mirrored = replace(first, position=-np.asarray(first.position))
    table, curves = molecule(replicas(mirrored, 10), second, beads, temperature_K=300.0)
    assert table["surface_phi:psi_js"] > 0.9
    assert table["dihedral_C-CA-N-C_ace_js"] > 0.5
    for name in same:  # a mirror image keeps distances and angles
        if name.startswith(("bond", "angle", "gyration", "contacts")) and not name.endswith("floor"):
            assert_allclose(table[name], same[name], atol=1e-3)
    assert_allclose(np.nansum(np.exp(-curves["surface_phi:psi"] / 2.4943)) > 0, True)
    density, edges = curves["bond_CA-CB"], curves["bond_CA-CB_edges"]
    assert_allclose((density * np.diff(edges)).sum(), 1 - table["bond_CA-CB_outside_range"], atol=1e-6)


def test_a_weight_counts_as_so_many_frames(alanine):
    *_, beads, frames = alanine
    few = frames[:40]
    weight = np.random.default_rng(0).integers(1, 4, few.n_frames).astype(float)
    twice = few[np.repeat(np.arange(few.n_frames), weight.astype(int))]
    path = np.array([beads.indices("N", "CA", "CB")])
    found = []
    for sample in (of_molecule(replace(few, weight=weight)), of_molecule(twice)):
        values, counts = bonded.values(sample, path), sample.counts()
        edges = np.linspace(1.5, 2.5, 30)
        total = bonded.histogram(values, edges, counts).counts.sum(0)
        found.append((bonded.mean(values, counts).value, total / total.sum()))
    assert_allclose(found[0][0], found[1][0], rtol=1e-6)
    assert_allclose(found[0][1], found[1][1], atol=1e-12)


def test_gyration_is_mdtraj_s_and_contacts_are_counted(alanine):
    topology, atoms, *_ = alanine
    x, mass = np.asarray(atoms.position[:20]), topology.mass
    trajectory = mdtraj.Trajectory(x, mdtraj_topology(topology))
    assert_allclose(gyration(x, np.ones(len(mass))), mdtraj.compute_rg(trajectory), rtol=1e-5)
    centre = mdtraj.compute_center_of_mass(trajectory)[:, None]  # compute_rg takes the mean place with masses, too
    wanted = np.sqrt((mass[:, None] * (x - centre) ** 2).sum((1, 2)) / mass.sum())
    assert_allclose(gyration(x, mass), wanted, rtol=1e-5)
    line = np.array([[[0, 0, 0], [0.3, 0, 0], [0.59, 0, 0], [0.9, 0, 0.0]]])
    assert contacts(line, np.array([[0, 1], [0, 2], [0, 3], [1, 3]])).tolist() == [[2.0]]


def test_names_of_beads_are_kept_apart_and_surfaces_have_names(alanine):
    beads = alanine[2]
    assert bonded.joined("ABA") == "ABA"
    assert bonded.joined(["CH3", "CH2"]) == "CH3-CH2"
    chain = bonded.kinds(("CH3", "CH2", "CH2", "CH3"), np.array([[0, 1], [1, 2], [2, 3]]))
    assert {k: len(v) for k, v in chain.items()} == {
        "bond_CH2-CH3": 2,
        "bond_CH2-CH2": 1,
        "angle_CH2-CH2-CH3": 2,
        "dihedral_CH3-CH2-CH2-CH3": 1,
    }
    assert list(surfaces(beads)) == ["surface_phi:psi"]
    unnamed = surfaces(replace(beads, dihedrals={}))
    assert "surface_C_ace-N-CA-C:N-CA-C-N_nme" in unnamed
    for first, second in unnamed.values():
        assert len(set(first) & set(second)) == 3


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    """A small network of a map without phi and psi, end to end."""
    folder = tmp_path_factory.mktemp("own")
    topology, _ = sets.load("ala2_obc2", stride=1000)
    heavy = next(g for g in proposals.groupings(topology) if g.name == "heavy_atom")
    path = folder / "mine.toml"
    path.write_text(heavy.toml() + '[dihedrals]\nomega = ["CA", "C", "N_nme", "CH3_nme"]\n')
    with jax.enable_x64(False):
        config = steps.configure(
            "molecule", reference="ala2_obc2", map=str(path), frames=400, epochs=40, replicas=4, length_ps=2.0
        )
        config = replace(config, potential=replace(SMALL, cutoff_nm=config.potential.cutoff_nm))
        data = steps.load(config)
        fitted = steps.fit(config, data, folder)
        simulated = steps.simulate_protocol(config, data, fitted, folder)
        return path, config, steps.observe(config, data, fitted, simulated, folder)


def test_a_run_of_anyone_s_map_is_observed_and_tested(observed, monkeypatch):
    *_, result = observed
    assert result.run.folder.parent.name == "molecule"
    assert {"bond_CA-CB_js", "gyration_mean", "contacts_mean", "n_frames_extrapolating"} <= result.table.keys()
    monkeypatch.setattr(acceptance, "NVE_PS", 2.0)
    monkeypatch.setattr(acceptance, "NVE_REPLICAS", 4)
    with jax.enable_x64(False):
        tests, verdict = acceptance.accept(result.run.folder)
    names = [t.name for t in tests]
    assert sum("against the reference" in name for name in names) == 1
    assert verdict == "fail"  # forty passes over 360 frames
    assert json.loads((result.run.folder / acceptance.FILE).read_text())["verdict"] == verdict


def test_a_map_file_that_changed_is_another_run(observed):
    """Its beads count alike now: another network, and another observation under another name."""
    _, config, result = observed
    with jax.enable_x64(False):
        data = steps.load(replace(config, data=replace(config.data, typing="single")))
        same = steps.load(config)
    assert len(data.beads.species_names) == 1 < len(same.beads.species_names)
    assert "map" in result.run.identity["data"]


def test_distributions_are_judged_by_the_worst():
    table = {"bond_AB_js": 0.05, "bond_AB_js_error": 0.004, "bond_AB_js_floor": 0.01}
    table |= {"angle_ABA_js": 0.02, "angle_ABA_js_error": 0.001, "angle_ABA_js_floor": 0.019}
    (worst,) = acceptance.of_distributions(table)
    assert (worst.name, worst.verdict) == ("bond_AB against the reference", "fail")
    assert_allclose(worst.value, 0.04)
    table = {"bond_AB_js": 0.010, "bond_AB_js_error": 0.0005, "bond_AB_js_floor": 0.0}
    table |= {"angle_ABA_js": 0.009, "angle_ABA_js_error": 0.03, "angle_ABA_js_floor": 0.0}
    (worst,) = acceptance.of_distributions(table)  # the less certain one decides, not the larger
    assert (worst.name, worst.verdict) == ("angle_ABA against the reference", "undecided")
    good = {"g_AB_mse_all": 0.5, "g_AB_mse_floor": 0.4, "g_AB_mse_error": 0.05}
    assert [t.verdict for t in acceptance.of_distributions(good)] == ["pass"]
    assert [t.verdict for t in acceptance.of_distributions({})] == ["undecided"]


def test_halves_of_a_run_are_compared_and_replicas_that_stay_where_they_began_decide_nothing(alanine):
    topology, atoms, beads, frames = alanine
    mixed = np.random.default_rng(0).permutation(frames.n_frames)
    still = replicas(frames[mixed], 8)
    reference = steps.Reference(topology, atoms, beads, None, None, frames, frames, False)
    halves, apart = acceptance.of_halves(reference, still)
    assert halves.verdict == "pass"
    assert apart.verdict == "pass" and apart.value < 0.05
    moved = np.asarray(still.position).copy()
    half = moved.shape[1] // 2
    moved[:, half:] = np.asarray(frames.position)[0]
    assert acceptance.of_halves(reference, replace(still, position=moved))[0].verdict == "fail"
    stuck = np.asarray(still.position).copy()
    stuck[::2] *= -1  # every other replica is the mirror image, all through
    halves, apart = acceptance.of_halves(reference, replace(still, position=stuck))
    assert halves.verdict == "pass"  # which says nothing
    assert apart.verdict == "undecided" and apart.value > 0.7
    single = replace(beads, bonds=beads.bonds[:0])
    assert acceptance.of_halves(reference._replace(beads=single), still)[0].verdict == "undecided"


def test_groupings_of_a_peptide_are_the_paper_s_for_every_sequence():
    (built, *_) = own.structures(own.from_sequence("ACE-ALA-PHE-GLY-NME"), "x")
    topology = built.topology
    found = {g.name: g for g in proposals.groupings(topology)}
    assert list(found) == ["heavy_atom", "united_atom", "core", "core_beta", "chain_ca"]


def test_typing_by_residue_keeps_the_sequence(tmp_path):
    (built, *_) = own.structures(own.from_sequence("ACE-ALA-PHE-ALA-NME"), "x")
    path = tmp_path / "core.toml"
    path.write_text(next(g for g in proposals.groupings(built.topology) if g.name == "core_beta").toml())
    beads = mapping.load(path, built.topology, typing="residue")
    species = dict(zip(beads.beads, (beads.species_names[s] for s in beads.species), strict=True))
    assert species["CA_1"] == species["CA_3"] == "ALA_CA" != species["CA_2"] == "PHE_CA"
    assert len(beads.species_names) == 2 + 4 + 4


@pytest.mark.parametrize("name", ["core", "core_beta", "heavy_atom", "united_atom"])
def test_proposed_maps_of_alanine_are_the_bundled_ones(name, alanine, tmp_path):
    topology, *_ = alanine
    grouping = next(g for g in proposals.groupings(topology) if g.name == name)
    path = tmp_path / f"{name}.toml"
    path.write_text(grouping.toml())
    ours, bundled = mapping.load(path, topology), mapping.load(name, topology)
    assert (ours.beads, ours.atoms, ours.dihedrals) == (bundled.beads, bundled.atoms, bundled.dihedrals)
    assert (ours.species, ours.species_names) == (bundled.species, bundled.species_names)


def test_a_chain_is_cut_into_equal_parts(tmp_path):
    """Of octane and a branched alcohol: all atoms, symmetric from either end; of a ring there are none."""
    assert [functional_groups.equal_parts(n, k).tolist() for n, k in ((6, 3), (8, 3), (5, 2), (7, 4))] == [
        [0, 0, 1, 1, 2, 2],
        [0, 0, 0, 1, 1, 2, 2, 2],
        [0, 0, 1, 1, 1],
        [0, 0, 1, 2, 2, 3, 3],
    ]
    for smiles, sites in (("CCCCCCCC", {2, 3, 4, 5}), ("C[C@H](O)CC", {2, 3}), ("c1ccccc1", set())):
        (built, *_) = own.structures(own.from_smiles(smiles), smiles)
        parts = [g for g in proposals.groupings(built.topology) if g.name.startswith("sites")]
        assert {len(g.table["residues"]["MOL"]) for g in parts} == sites
        for grouping in parts:
            path = tmp_path / f"{grouping.name}.toml"
            path.write_text(grouping.toml())
            assert_allclose(mapping.load(path, built.topology).mass.sum(), built.topology.mass.sum())


def test_a_peptide_without_caps_is_given_maps_of_both_ends(tmp_path):
    """Its ends have other atoms than its middle."""
    (built, *_) = own.structures(own.from_sequence("ALA-ALA-ALA"), "x")
    counts = {}
    for grouping in proposals.groupings(built.topology):
        path = tmp_path / f"{grouping.name}.toml"
        path.write_text(grouping.toml())
        counts[grouping.name] = len(mapping.load(path, built.topology).beads)
    assert counts == {"heavy_atom": 16, "united_atom": 16, "core": 9, "core_beta": 12, "chain_ca": 3}


def test_a_map_that_was_changed_is_not_written_over(alanine, tmp_path):
    topology, atoms, *_ = alanine
    (tmp_path / "heavy_atom.toml").write_text("# mine\n")
    with pytest.raises(MappingError, match="there is another map of that name, perhaps one that was changed"):
        proposals.propose(topology, atoms[:200], tmp_path)


def test_runs_of_a_reference_are_its_blocks(alanine):
    """Where there are four or more of them; each frame once."""
    *_, frames = alanine
    sample = of_molecule(frames)
    assert len(sample.blocks()) == len(np.unique(np.asarray(frames.replica))) == 4
    assert sum(map(len, sample.blocks())) == frames.n_frames
    assert len(of_molecule(frames[:100]).blocks()) == 10


def test_the_command_ranks_them_and_writes_maps_and_verdicts(tmp_path):
    result = CliRunner().invoke(app, ["propose", "ala2_obc2", "--stride", "60", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    ranked = [line.split()[1].rstrip(":") for line in result.output.splitlines() if line[:1] in "!✗✓?"]
    assert ranked[0] == "core_beta"
    assert ranked[-1] == "core"
    assert "keep a fourth bead at the stereocentre" in result.output
    assert {p.name for p in tmp_path.iterdir()} == {f"{n}.{e}" for n in ranked for e in ("toml", "txt")}


def test_frames_of_a_run_with_a_bias_count_by_their_weight(alanine):
    """Alike, they are the run's; some at zero, the run without them; more where alpha is, more of alpha."""
    _, _, beads, frames = alanine
    run = replicas(frames, 8)
    judged = {"reference": frames, "beads": beads, "temperature_K": 300.0}
    plain, _ = molecule(run, **judged)
    assert_allclose(molecule(run, **judged, weight=np.ones(run.valid.shape))[0]["gyration_js"], plain["gyration_js"])
    early = np.arange(run.valid.shape[1]) < 50
    part, _ = molecule(replace(run, first_bad=np.full(8, 50)), **judged)
    assert_allclose(
        molecule(run, **judged, weight=early * np.ones(run.valid.shape))[0]["surface_phi:psi_js"],
        part["surface_phi:psi_js"],
    )
    _, psi, _ = backbone(run, **{k: beads.dihedrals[k] for k in ("phi", "psi")})
    lopsided, _ = molecule(run, **judged, weight=np.where(psi < 0, 10.0, 1.0))
    assert lopsided["surface_phi:psi_js"] > plain["surface_phi:psi_js"]
