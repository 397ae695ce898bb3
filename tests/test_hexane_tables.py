"""The chapter on hexane: runs to tables, table 1 beside the published one, figures from whatever is there."""

import csv
import json

import jax
import jax.numpy as jnp
import numpy as np
import pretend
import pytest
from cgcore.profiles.hexane import hexane_config
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from cgcore import data, mapping, store
from cgcore.book import (
    hexane_bands,
    hexane_exchange,
    hexane_figures,
    hexane_forces,
    hexane_table1,
    hexane_tables,
    hexane_unseen,
    map_pictures,
    results,
)
from cgcore.book.hexane_tables import setting
from cgcore.cli import app
from cgcore.potentials import splines
from cgcore.potentials.terms import terms
from cgcore.reference import sets


@pytest.fixture
def runs(tmp_path):
    made, tmp_path = [], tmp_path / "hexane"
    tmp_path.mkdir()
    for map in pretend.QUANTITIES:
        made.append(pretend.run(tmp_path, pretend.bells(map, 1.3), map=map, potential="spline"))
        made.append(pretend.run(tmp_path, pretend.bells(map, 1.05), map=map))
    made.append(pretend.run(tmp_path, pretend.bells("three_site", 2.0), nu=1, layers=1))
    made.append(pretend.run(tmp_path, pretend.bells("three_site", 1.1), nu=1, cutoff_nm=0.55))
    made.append(pretend.run(tmp_path, pretend.bells("two_site", 1.1), map="two_site", bond_types=True))
    made.append(pretend.run(tmp_path, pretend.bells("three_site", 1.02), force_map="optimal"))
    return made


def test_published_numbers_are_those_of_the_study():
    cells = {(c["map"], c["cutoff_nm"], c["nu"]): c for c in hexane_table1.published()}
    assert len(cells) == 18
    starred = cells["four_site", 0.65, 2]
    assert (starred["force"], starred["stability"], starred["speed"], starred["g_AA"]) == (771.8, 579, 78.1, 0.2)
    assert cells["four_site", 0.55, 1]["g_BB"] is None and cells["four_site", 0.65, 1]["g_BB_sd"] == 31.3
    assert cells["three_site", 0.70, 3]["g_BB_sd"] == 1.8 and cells["three_site", 0.55, 1]["force"] == 418.2
    assert cells["two_site", 0.80, 1]["g_AA"] == 20.8 and "g_AB" not in cells["two_site", 0.80, 1]
    assert {c["neighbours"] for c in cells.values() if c["cutoff_nm"] < 0.6} == {10}
    assert all(c["speed"] < 180 and 411 < c["force"] < 773 for c in cells.values())


def test_a_setting_is_told_from_its_parameters():
    mace = setting(pretend.PARAMETERS)
    assert (mace.nu, mace.layers, mace.cutoff_nm, mace.extras) == (2, 2, 0.70, ())
    assert mace.stem == "three_site_mace_nu2_l2_r0.70" and mace.label == "Three-site, MACE, ν = 2, 2 layers, 0.70 nm"
    spline = setting(pretend.PARAMETERS | {"potential": "spline", "map": "two_site"})
    assert spline.stem == "two_site_spline" and spline.label == "Two-site, splines"
    nequip = setting(pretend.PARAMETERS | {"potential": "nequip", "bond_types": True, "layers": 1})
    assert nequip.stem == "three_site_nequip_l1_r0.70_bond_types" and "1 layer," in nequip.label
    assert nequip.nu is None and not nequip.plain
    walled = setting(pretend.PARAMETERS | {"prior": "unseen"})
    assert walled.plain and walled.stem == f"{mace.stem}_walls"
    tables = {mace: ({}, {"with": False}), walled: ({}, {"with": True})}
    wanted = dict(map="three_site", potential="mace", nu=2, layers=2, cutoff_nm=0.70)
    assert (
        hexane_tables.pick(tables, **wanted)[1]["with"]
        and hexane_tables.pick(tables, map="two_site", potential="mace") is None
    )


def test_runs_become_results_and_share_their_reference(runs, tmp_path):
    folder = tmp_path / "results"
    written = hexane_tables.collect(runs, folder)
    assert len(written) == 2 * (10 + 3)
    found = results.load(folder)
    assert list(found)[:3] == ["four_site_spline", "four_site_mace_nu2_l2_r0.65", "reference_four_site"]
    mace = found["three_site_mace_nu2_l2_r0.70"]
    assert mace.table["force_mae_meV_per_A"] == 415 and mace.table["g_AA_mse"] == 0.4
    assert_allclose([mace.table["less_splines"], mace.table["less_splines_error"]], [-2, 0], atol=1e-9)
    assert "less_splines" not in found["three_site_spline"].table
    # Errors of other forces are not to be compared with those of the plain splines.
    assert "less_splines" not in found["three_site_mace_nu2_l2_r0.70_optimal_forces"].table
    assert mace.sampling == "4 replicas of 50 ps, 10 of 400 frames excluded"
    assert mace.manifest["parameters"]["map"] == "three_site" and mace.text("g_AA_mse") == "0.400 ± 0.050"
    assert found["reference_two_site"].table == {"gauche_ABBA": 0.17}
    arrays = store.read_npz(folder / "three_site_mace_nu2_l2_r0.70.npz")
    wanted = pretend.bells("three_site", 1.05)
    assert_allclose(arrays["angle_ABA"], wanted["angle_ABA"], rtol=1e-6)
    assert not any(k.startswith("reference_") for k in arrays) and arrays["r"].dtype == np.float32
    theirs = store.read_npz(folder / "reference_three_site.npz")
    assert_allclose(theirs["angle_ABA"], wanted["reference_angle_ABA"], rtol=1e-6)
    assert {"r", "angle_ABA_edges", "g_AA_sd"} <= theirs.keys()


def test_two_runs_of_one_setting_and_an_unfinished_one_are_refused(tmp_path):
    twice = [pretend.run(tmp_path, pretend.bells("three_site", 1.0), length_ps=length) for length in (10.0, 20.0)]
    with pytest.raises(store.StoreError, match="both Three-site, MACE.*want one of them"):
        hexane_tables.collect(twice, tmp_path / "results")
    (twice[0] / "executed.ipynb").unlink()
    with pytest.raises(store.StoreError, match="want a finished run"):
        hexane_tables.collect(twice[:1], tmp_path / "results")


def test_the_longest_training_has_the_row_and_shorter_ones_are_told_by_their_updates(tmp_path):
    folder, made = tmp_path / "results", []
    for epochs in (6, 20, 2, 6):
        made.append(pretend.run(tmp_path, pretend.bells("three_site", 1 + 0.1 / epochs), epochs=epochs))
        (made[-1] / "fit/abc/model.npz").write_bytes(b"%d" % epochs)
    for together in (made[:1], made[1:3], made[3:]):
        hexane_tables.collect(together, folder)
    found = hexane_tables.load(folder)
    stem = "three_site_mace_nu2_l2_r0.70"
    assert {w.stem for w in found} == {stem, f"{stem}_1000_updates", f"{stem}_3000_updates", "three_site_reference"}
    for which, (_, arrays) in found.items():
        epochs = {f"{stem}_1000_updates": 2, f"{stem}_3000_updates": 6, stem: 20}.get(which.stem)
        assert epochs is None or np.allclose(
            arrays["angle_ABA"], pretend.bells("three_site", 1 + 0.1 / epochs)["angle_ABA"]
        )
    models = {path.stem: path.read_bytes() for path in (folder / "models").iterdir()}
    assert models == {stem: b"20", f"{stem}_1000_updates": b"2", f"{stem}_3000_updates": b"6"}
    assert results.load(folder)[f"{stem}_3000_updates"].label.endswith("0.70 nm, 3000 updates")


def test_splines_of_the_chapter_on_potentials_stand_in_for_a_run(tmp_path):
    made = pretend.run(tmp_path, pretend.bells("three_site", 1.0))
    ours = store.read_npz(made / "fit/abc/held_out.npz")
    (tmp_path / "potentials/three_site").mkdir(parents=True)
    store.write_npz(
        tmp_path / "potentials/three_site/three_site_splines.npz", errors=ours["errors"] + 3, time=ours["time"]
    )
    hexane_tables.collect([made], tmp_path / "results")
    table = results.load(tmp_path / "results")["three_site_mace_nu2_l2_r0.70"].table
    assert_allclose([table["less_splines"], table["less_splines_error"]], [-3, 0], atol=1e-9)


def test_a_run_of_which_nothing_counts_keeps_its_row(tmp_path):
    failed = {"n_frames": 0, "ns": 0.0, "n_frames_excluded": 400, "stable_ps": 0.0, "reference": {}}
    hexane_tables.collect([pretend.run(tmp_path, {}, failed)], tmp_path / "results")
    (result,) = results.load(tmp_path / "results").values()
    assert result.sampling == "4 replicas of 50 ps, 400 of 400 frames excluded"
    assert hexane_figures.draw(tmp_path / "results") == []


def test_table_1_has_ours_beside_theirs(runs, tmp_path):
    folder = tmp_path / "results"
    hexane_tables.collect(runs, folder)
    written = hexane_table1.write(folder)
    assert len(written) == 20
    lines = json.loads((folder / "download" / "table1.json").read_text())
    line = lines[10]
    assert (line["map"], line["cutoff_nm"], line["nu"]) == ("three_site", 0.7, 2)
    assert (line["force"], line["force_published"]) == (415, 415.5)
    assert (line["g_AA"], line["g_AA_sd"], line["g_AA_error"]) == (0.4, 0.1, 0.05)
    assert (line["g_AA_published"], line["g_AA_published_sd"]) == (0.1, 0.3)
    assert (line["speed"], line["speed_published"]) == (120.5, 99.3)
    empty = lines[0]
    assert empty["force"] is None and empty["force_published"] == 772.7 and empty["g_AA_published"] is None
    with (folder / "download" / "table1.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == 18 and table[10]["stability_published"] == "763.0" and table[0]["force"] == ""
    shown = results.rows(results.load(folder / "table1"), ["force", "force_published", "g_AA", "g_AA_published"])
    assert shown[10] == ["Three-site, 0.70 nm, ν = 2", "415", "415.5", "0.400 ± 0.050", "0.1"]
    assert shown[0][1:] == ["–", "772.7", "–", "–"]


def test_a_cell_that_was_only_trained_has_its_force_error(tmp_path):
    """That from more frames, where both are there; stability and g stay empty."""
    for chapter, mae in (("potentials", 416.0), ("potentials_gpu", 415.0)):
        path = tmp_path / chapter / "three_site" / "three_site_nu3_550pm.json"
        path.parent.mkdir(parents=True)
        store.write_json(path, {"table": {"force_mae_meV_per_A": mae, "force_mae_meV_per_A_error": 1.0}})
    (tmp_path / "hexane").mkdir()
    lines = hexane_table1.cells(tmp_path / "hexane")
    told = {(x["map"], x["cutoff_nm"], x["nu"]): (x["force"], x["stability"]) for x in lines}
    assert told.pop(("three_site", 0.55, 3)) == (415.0, None)
    assert set(told.values()) == {(None, None)}


def test_how_much_lies_in_the_band_of_the_reference(runs, tmp_path):
    """The same bell lies in the band, which is six per cent of it to either side; a narrower one crosses it somewhere."""
    own = pretend.bells("three_site", 1.0)
    theirs = {k.removeprefix("reference_"): a for k, a in own.items()}
    assert hexane_bands.in_band("angle_ABA", own, theirs) == 1 == hexane_bands.in_band("g_AA", own, theirs)
    shifted = own | {"g_AA": np.where(own["r"] < 0.9, own["g_AA"], 1.1 * own["g_AA"])}
    assert hexane_bands.in_band("g_AA", shifted, theirs) == pytest.approx(60 / 110)
    assert 0 < hexane_bands.in_band("angle_ABA", pretend.bells("three_site", 0.7), theirs) < 0.5
    hexane_tables.collect(runs, tmp_path / "results")
    written = {
        path.stem: results.load(path.parent)[path.stem].table for path in hexane_bands.write(tmp_path / "results")
    }
    assert len(written) == len(runs)
    assert written["three_site_mace_nu2_l2_r0.70"].keys() >= {"angle_ABA_in_band", "g_AA_in_band", "nearest_in_band"}


def test_figures_are_drawn_from_the_runs_that_are_there(runs, tmp_path):
    folder = tmp_path / "results"
    hexane_tables.collect(runs, folder)
    found = hexane_tables.load(folder)
    first = hexane_figures.figure_1(found)
    titles = [ax.get_title() for ax in first.axes]
    assert titles == ["Four-site", "Three-site", "Two-site", "", "", ""]
    dihedral, angle, bond, *g = first.axes
    assert dihedral.get_xlabel() == "Dihedral A–B–B–A (°)" and angle.get_ylabel() == "Density (1/°)"
    assert [len(ax.lines) for ax in (dihedral, angle, bond)] == [3, 4, 4]
    assert all(ax.get_xlabel() == "r (nm)" for ax in g)
    x, y = angle.lines[2].get_xydata().T
    assert np.sum(y) * (x[1] - x[0]) == pytest.approx(1, rel=1e-5)
    band = angle.collections[2].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(1.06 * y.max(), rel=1e-5)
    assert [t.get_text() for t in first.legends[0].texts] == [
        "reference",
        "splines",
        "MACE",
        "MACE, least noisy forces",
    ]
    second = hexane_figures.figure_2(found)
    labels = [t.get_text() for t in second.legends[0].texts]
    assert labels == ["reference", "ν = 1, L = 1", "ν = 2, L = 2"]
    told = CliRunner().invoke(app, ["results", *map(str, runs), "--folder", str(folder)])
    assert told.exit_code == 0 and "figure1.png" in told.output and "table1.csv" in told.output
    assert (folder / "figure1.png").stat().st_size > 20_000 and (folder / "figure2.png").is_file()
    for path in folder.glob("two_site*"):
        path.unlink()
    fewer = hexane_tables.load(folder)
    assert len(hexane_figures.figure_1(fewer).axes) == 4 and len(hexane_figures.figure_2(fewer).axes) == 1
    assert hexane_figures.draw(tmp_path) == []


def test_the_first_exchange_is_cut_out_of_its_run(tmp_path):
    """A hundred still molecules on a lattice, of which two neighbours swap halves after ten frames."""
    topology, _ = sets.load("hexane", stride=400)
    bonds = np.asarray(mapping.load("two_site", topology, residue="hex").bonds)
    still = np.zeros((200, 3))
    still[bonds[:, 0]] = 0.55 * np.stack(np.meshgrid(*map(np.arange, (5, 5, 4)), indexing="ij"), -1).reshape(-1, 3)
    still[bonds[:, 1]] = still[bonds[:, 0]] + [0.25, 0, 0]
    swapped, ends = still.copy(), bonds[[3, 7], 1]
    swapped[ends] = still[ends[::-1]]
    run = pretend.run(tmp_path, pretend.bells("two_site", 1.1), map="two_site")
    assert hexane_exchange.write([run], tmp_path) == []  # a run whose trajectory was not kept
    np.save(run / "md" / "abc" / "position.npy", np.stack([still] * 10 + [swapped] * 20)[None])
    hexane_exchange.write([pretend.run(tmp_path, {}, potential="spline"), run], tmp_path)
    found = store.read_npz(tmp_path / hexane_exchange.EXCHANGE)
    first, last = (np.linalg.norm(np.diff(found["position"][k].reshape(2, 2, 3), axis=1), axis=-1) for k in (0, -1))
    assert_allclose(first, 0.25, rtol=1e-6)
    assert last.min() > 0.5 and found["position"].shape == (30, 4, 3)


def test_of_empty_ranges_the_widest_is_told():
    wall, narrow, wide, none = (0.0, 0.21), (0.24, 0.27), (0.28, 0.33), (np.inf, np.inf)
    told = hexane_unseen._table(np.array([wall, narrow, wide]))
    assert (told["shortest_nm"], told["bonded_nm"], told["other_nm"]) == (0.21, 0.28, 0.33)
    assert_allclose(told["hill_kJ_mol"], 1e6 * 0.05**2 / 32)
    assert hexane_unseen._table(np.array([wall, none]))["other_nm"] is None


def test_a_picture_of_a_map_shows_one_molecule_of_the_liquid():
    topology, atoms = sets.load("hexane", stride=400)
    beads = mapping.load("three_site", topology, residue="hex")
    at = np.asarray(mapping.apply(beads, atoms).position)[0]
    x, elements, atom_bonds, kept, _, names, bonds = map_pictures._one_molecule(
        topology, np.asarray(atoms.position[0]), beads, at
    )
    assert (len(x), elements.count("C"), len(atom_bonds)) == (20, 6, 19)
    assert "".join(names) == "ABA" and np.asarray(bonds).tolist() == [[0, 1], [1, 2]]
    assert_allclose(kept[1], np.asarray(beads.weights)[1, :20] @ x, atol=1e-6)


@pytest.mark.slow
def test_the_torsion_of_positions_of_forces_and_of_what_knows_nothing(tmp_path):
    """Splines whose coefficients are all zero have no torsion: as many molecules in every direction that is known."""
    topology, atoms = sets.load("hexane")
    config = hexane_config(profile="laptop", map="four_site", potential="spline")
    beads = mapping.load("four_site", topology, residue="hex")
    d = config.fit.data
    frames = mapping.apply(beads, data.split_blocks(atoms, d.blocks, d.valid_blocks, d.gap_ps).train)
    flat = splines.build(splines.for_frames(terms(beads), frames, config.fit.potential), liquid=True)
    params = jax.tree.map(jnp.zeros_like, flat.init(jax.random.key(0)))
    run = pretend.run(tmp_path, pretend.bells("four_site", 1.1), map="four_site", potential="spline")
    other = pretend.run(tmp_path, pretend.bells("four_site", 1.1), map="four_site")
    assert hexane_forces.write([run, other], tmp_path) == []  # whose parameters were not kept
    store.save_tree(run / "fit" / "abc" / "params.npz", params)
    assert len(hexane_forces.write([run, other], tmp_path)) == 5
    found = results.load(tmp_path / "mean_force")
    flat, met, least, noisy = (
        found[k].table for k in ("four_site_spline", "four_site_positions", "four_site_optimal", "four_site_sum")
    )
    assert flat["barrier_kJ_mol"] == pytest.approx(0, abs=1e-6)
    assert 0.6 < flat["gauche"] < 2 / 3  # no frame is near cis, where nothing is known
    assert met["gauche"] == pytest.approx(0.173, abs=0.005) and met["barrier_kJ_mol"] == pytest.approx(14, abs=1.5)
    for told in (least, noisy):
        assert told["gauche_low"] < met["gauche"] < told["gauche_high"]
        assert told["js"] < 3 * told["js_noise"]
    assert met["js"] is None and flat["js"] > 0.1
    assert noisy["barrier_kJ_mol_error"] > 2 * least["barrier_kJ_mol_error"]
    store.write_json(tmp_path / "mean_force" / "three_site_spline.json", {})  # of a run that is not at hand
    assert tmp_path / "mean_force.png" not in hexane_forces.write([run], tmp_path)


def test_what_was_learnt_from_other_frames_is_a_row_of_its_own_and_taken_first(tmp_path):
    """With as many updates from more frames, from a set or a folder; figures and table 1 show it in place of the other."""
    given = {"own": 1.0, "more": 1.1}
    more = dict(learn_from="/somewhere/hexane_3000_frames", prior="unseen")
    runs = [pretend.run(tmp_path, pretend.bells("three_site", given["own"]))]
    runs += [pretend.run(tmp_path, pretend.bells("three_site", given["more"]), **more)]
    hexane_tables.collect(runs, tmp_path / "results")
    found = hexane_tables.load(tmp_path / "results")
    labels = {which.label: which for which in found if which.potential == "mace"}
    name = "Three-site, MACE, ν = 2, 2 layers, 0.70 nm"
    assert labels.keys() == {name, f"{name}, walls, hexane 3000 frames"}
    assert labels[f"{name}, walls, hexane 3000 frames"].stem.endswith("r0.70_walls_hexane_3000_frames")
    _, arrays = hexane_tables.pick(found, map="three_site", potential="mace", nu=2, layers=2, cutoff_nm=0.70)
    assert_allclose(arrays["angle_ABA"], pretend.bells("three_site", given["more"])["angle_ABA"], rtol=1e-6)


def test_runs_of_another_seed_are_rows_of_their_own(tmp_path):
    runs = [pretend.run(tmp_path, pretend.bells("three_site", 1.0), seed=seed) for seed in (22, 23)]
    hexane_tables.collect(runs, tmp_path / "results")
    labels = {which.label for which in hexane_tables.load(tmp_path / "results") if which.potential == "mace"}
    assert labels == {
        "Three-site, MACE, ν = 2, 2 layers, 0.70 nm",
        "Three-site, MACE, ν = 2, 2 layers, 0.70 nm, seed 23",
    }
