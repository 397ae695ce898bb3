"""The chapter on potentials: its trainings, and its tables from finished ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cgcore.book.potential_runs import CURVES, PUBLISHED, fitted, potential, tasks

from cgcore import store
from cgcore.book import potential_comparisons as comparisons
from cgcore.book import potential_tables as tables
from cgcore.book import results
from cgcore.config import ConfigError, FitConfig
from cgcore.data import split_blocks
from cgcore.mapping import apply, load
from cgcore.reference import sets

ROOT = Path(__file__).parents[1]
NOISE, FRAMES = 400.0, 60  # meV/Å


def held_out(own: float) -> np.ndarray:
    """(T, 2) errors of a model whose own error is added to a noise that all models share."""
    noise = np.random.default_rng(0).normal(size=(FRAMES, 300)) * NOISE
    error = noise + own * np.random.default_rng(1).normal(size=noise.shape)
    return np.stack([np.abs(error).mean(1), np.square(error).mean(1)], axis=1)


def finish(root: Path, name: str, table: dict, **arrays):
    """A finished run as a training leaves it."""
    task = tasks()[name]
    run = store.open_run(root, "fit", task.config, parents=(name,), made_by=("cgcore.units",))
    store.write_npz(run.path(tables.HELD_OUT), **arrays)
    run.finish({"task": name, "train_frames": 500, "valid_frames": FRAMES} | table, 1.0)


@pytest.fixture
def runs(tmp_path):
    for name, own in (("three_site_nu2_700pm", 20.0), ("three_site_splines", 60.0)):
        errors = held_out(own)
        mae, rmse = errors[:, 0].mean(), np.sqrt(errors[:, 1].mean())
        numbers = dict.fromkeys(("mapped_force_rms_meV_per_A", "pair_force_error", "s_per_epoch", "memory_GB"), 600.0)
        table = numbers | {"force_mae_meV_per_A": mae, "force_mae_meV_per_A_error": 2.0, "force_rmse_meV_per_A": rmse}
        table |= {"force_rmse_meV_per_A_error": 2.0}
        finish(tmp_path, name, table, errors=errors)
        finish(tmp_path, "three_site_splines_optimal", table | {"pair_force_error": 300.0}, errors=errors)
    curve = [held_out(own) for own in (300.0, 100.0, 30.0, 20.0, 10.0)]
    floor = {"loss": 1.6e5, "loss_error": 500.0, "neighbours": 1.59e5, "neighbours_error": 400.0}
    floor |= {"learning_curve": 1.58e5, "learning_curve_error": 300.0, "said": "words"}
    finish(
        tmp_path, "alanine_curve", floor, n_frames=np.array(CURVES["alanine"][:-1] + (3200,)), errors=np.stack(curve)
    )
    return tmp_path


def test_tables_and_pictures_of_what_is_finished(runs, tmp_path):
    folder = tmp_path / "results"
    written = tables.make([], runs, folder, training=False)
    assert all(path.is_file() for path in written)
    assert {p.name for p in written} >= {"published.png", "learning_curves.png", "force_maps.png"}
    found = results.load(folder / "three_site")
    assert list(found) == ["three_site_splines", "three_site_nu2_700pm"]
    network = found["three_site_nu2_700pm"].table
    assert network["over_published"] == pytest.approx(100 * (network["force_mae_meV_per_A"] / 415.5 - 1))
    assert found["three_site_nu2_700pm"].manifest["id"]
    assert results.load(folder / "splines")["three_site"].table["study_mace_mae"] == 415.5
    gain = results.load(folder / "force_map_gain")["three_site"].table
    assert gain["gain_pair_force_error"] == 2.0
    floor = results.load(folder / "noise_floor")["alanine_curve"].table
    assert floor["apart"] == pytest.approx(2.0) and floor["agree"] == 1
    assert floor["neighbours_rmse"] == pytest.approx(np.sqrt(1.59e5) / 0.964853)


def test_a_difference_is_seen_through_the_noise(runs, tmp_path):
    """sqrt(400^2 + 60^2) - sqrt(400^2 + 20^2) = 4 meV/Å of RMSE, 0.8 of it MAE; each error bar alone is as large."""
    tables.make([], runs, tmp_path / "results", training=False)
    (row,) = results.load(tmp_path / "results" / "differences").values()
    assert row.label == "three-site: splines less MACE ν = 2, 0.70 nm"
    expected = np.sqrt(2 / np.pi) * (np.hypot(400, 60) - np.hypot(400, 20))
    assert abs(row.table["difference"] - expected) < 4 * row.table["difference_error"]
    assert row.table["sigma"] > 4


def test_a_later_training_stands_beside_the_rows_that_are_there(runs, tmp_path):
    folder, later = tmp_path / "results", tmp_path / "later"
    tables.make([], runs, folder, training=False)
    errors = held_out(80.0)
    table = {"force_mae_meV_per_A": errors[:, 0].mean(), "force_mae_meV_per_A_error": 2.0}
    finish(later, "three_site_nu1_700pm", table, errors=errors)
    tables.make([], later, folder, training=False)
    found = results.load(folder / "differences")
    assert [row.label.split(" less")[0] for row in found.values()] == [
        "three-site: splines",
        "three-site: MACE ν = 1, 0.70 nm",
    ]
    assert found["three_site_nu1_700pm_three_site_nu2_700pm"].table["published_difference"] == pytest.approx(
        2.7
    )  # 418.2 - 415.5


def test_held_out_frames_beside_all(runs, tmp_path):
    """The held-out blocks of three sites have forces as large as all frames have, to their errors."""
    tables.make([], runs, tmp_path / "results", training=False)
    (row,) = results.load(tmp_path / "results" / "samples").values()
    apart = row.table["held_out_size"] - row.table["all_size"]
    assert abs(apart) < 4 * row.table["held_out_size_error"] < 10
    assert row.table["weaker"] == pytest.approx(-100 * apart / row.table["all_size"])
    assert row.table["left"] == pytest.approx(row.table["over"] + row.table["weaker"])
    assert row.manifest["config"]["map"] == "three_site" and row.manifest["versions"]["jax"]


def test_every_task_is_one_of_its_own():
    for profile in ("laptop", "paper"):
        known = tasks(profile)
        assert len({store.run_id(t.config, (t.system,)) for t in known.values()}) == len(known)
        assert {t.group for t in known.values()} == {*tables.MAPS, "noise_floor", "force_maps"}
    published = {t.published for t in known.values() if t.published}
    assert published == {value for sizes in PUBLISHED.values() for row in sizes for value in row}
    with pytest.raises(ConfigError, match="did you mean 'three_site_splines'"):
        tables.make(["three_site_spline"], Path("none"), Path("none"))
    with pytest.raises(ConfigError, match=r"profile: want one of .*'quik'"):
        tasks("quik")


def test_splines_are_fitted_once_and_then_read(tmp_path, monkeypatch):
    task = tasks()["two_site_splines"]
    few = replace(task.config, data=replace(task.config.data, frames=60))
    run = fitted(task._replace(config=few), tmp_path)
    table = run.manifest["results"]
    assert 400 < table["force_mae_meV_per_A"] < 425 < table["force_rmse_meV_per_A"] < 560
    assert table["force_rmse_meV_per_A"] < table["mapped_force_rms_meV_per_A"]
    monkeypatch.setattr("cgcore.book.potential_runs._one", None)
    assert fitted(task._replace(config=few), tmp_path).manifest == run.manifest


@pytest.mark.slow
def test_a_training_has_a_process_of_its_own(tmp_path):
    written = tables.make(["two_site_splines"], tmp_path / "runs", tmp_path / "results")
    assert tmp_path / "results/two_site/two_site_splines.json" in written
    assert 409 < results.load(tmp_path / "results/two_site")["two_site_splines"].table["force_mae_meV_per_A"] < 411


@pytest.mark.parametrize("name", ["two_site_nu3_800pm", "two_site_nequip_800pm", "alanine_nequip"])
def test_liquids_see_their_box_and_molecules_do_not(name):
    task = tasks()[name]
    topology, frames = sets.load(task.system, stride=60)
    d = task.fit.data
    beads = load(d.map, topology, residue=d.residue)
    split = split_blocks(apply(beads, frames), 5, 1, d.gap_ps)
    assert isinstance(task.fit, FitConfig)
    assert potential(task, beads, split).periodic == (task.system == "hexane")


def test_every_table_of_the_chapter_can_be_filled():
    """Columns that no committed result has would fail the book."""
    text = (ROOT / "book/systems/potentials.md").read_text()
    for block in text.split("```{results} ")[1:]:
        place, *lines = block.split("```")[0].split("\n\n")[0].split("\n")
        keys = [line.split(":")[0] for line in lines if line and not line.startswith(":")]
        lines = block.split("\n\n")[1].splitlines() if not keys else []
        keys += [line.split(":")[0] for line in lines]
        assert results.rows(results.load(ROOT / "book/results" / place), keys)


def test_cells_are_compared_by_the_means_of_their_seeds(runs, tmp_path):
    folder = tmp_path / "results"
    tables.make([], runs, folder, training=False)
    row = store.read_json(folder / "three_site" / "three_site_nu2_700pm.json")
    maes = {"nu2_700pm": 418.0, "nu2_700pm_seed23": 420.0, "nu2_550pm": 419.0, "nu2_550pm_seed23": 423.0}
    for name, mae in maes.items():
        changed = row | {"table": row["table"] | {"force_mae_meV_per_A": mae}}
        store.write_json(folder / "three_site" / f"three_site_{name}.json", changed)
    (path,) = comparisons.seeds(tasks(), folder)
    table = store.read_json(path)["table"]
    assert path.stem == "three_site_nu2_550pm_three_site_nu2_700pm"
    assert table["difference"] == pytest.approx(2.0)
    assert table["difference_error"] == pytest.approx(np.sqrt(8 / 2 + 2 / 2))
    assert table["published_difference"] == pytest.approx(0.1)
    assert table["n_seeds"] == 2
