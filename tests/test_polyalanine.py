"""The chapter on polyalanine: parameters to configurations, runs to tables, figures from whatever is there."""

from pathlib import Path

import nbformat
import numpy as np
import pytest
from cgcore.book.grid import read_grid
from cgcore.profiles.polyalanine import chain_config
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from cgcore import data, mapping, store
from cgcore.analysis.chain import counts, edges
from cgcore.analysis.chain_series import of_reference
from cgcore.analysis.helix import handedness
from cgcore.book import check_values, polyalanine_figures, polyalanine_reference, polyalanine_tables, results
from cgcore.book.polyalanine_tables import Setting, setting
from cgcore.cli import app
from cgcore.config import ConfigError
from cgcore.reference import sets

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "notebooks" / "polyalanine.ipynb"
PARAMETERS = {"map": "chain_ca", "typing": "study", "potential": "mace", "nu": 2, "layers": None, "cutoff_nm": None}
PARAMETERS |= {"symmetry": "O3", "bond_types": False, "force_map": "optimal", "prior": "unseen", "mirror": False}
TIMES = np.arange(1, 401) * 0.5


def run(root: Path, *, trajectory=None, chain=(), **parameters) -> Path:
    """One finished run: a bell of right-handed helix, of left-handed for a mirror."""
    folder = root / f"run_{len(list(root.glob('run_*')))}"
    complete = PARAMETERS | parameters
    sign = -1 if complete["mirror"] else 1
    table = {"n_frames": 700, "n_frames_excluded": 100, "helical": 0.6, "helical_error": 0.1, "n_whole": 1}
    table |= {"left_handed": 0.25, "left_handed_error": 0.05, "reference": {"helicity": 0.66 * sign}} | dict(chain)
    if "core" in complete["map"]:
        table["reference"] |= {"alpha": 0.7}
    dynamics = {"replicas": 2, "length_ps": 200.0, "wall_s": 20.0, "ns_per_day_per_replica": 120.5}
    fit = {"force_mae_meV_per_A": 415.0, "wall_s": 30.0}
    for kind, found in (("fit", fit), ("md", {"chain": table, "dynamics": dynamics})):
        (folder / kind / "abc").mkdir(parents=True)
        manifest = {"id": "abc", "results": found, "wall_s": 30.0, "data": {}, "versions": {}, "git": None}
        store.write_json(folder / kind / "abc" / "manifest.json", manifest)
    chi, q = np.meshgrid(*(e[1:] for e in edges(2).values()), indexing="ij")
    F = 5000 * (chi - sign * 0.04) ** 2 + 10 * (q - 0.8) ** 2
    chi_series = np.tile(sign * 0.04 * TIMES / TIMES[-1], (2, 1))
    chi_series[1, 300:] = np.nan
    arrays = edges(2) | {"F": F, "reference_F": F, "time": TIMES, "survival": np.where(TIMES > 150, 0.5, 1.0)}
    if "core" in complete["map"]:
        arrays |= {"alpha": np.where(np.isnan(chi_series), np.nan, 0.5), "mirror_alpha": chi_series}
    store.write_npz(folder / "md" / "abc" / "polyalanine.npz", **arrays, chi=chi_series, q=np.abs(chi_series) / 0.04)
    if trajectory is not None:
        np.save(folder / "md" / "abc" / "position.npy", trajectory)
        np.save(folder / "md" / "abc" / "status.npy", np.zeros(trajectory.shape[:2], int))
    store.write_json(folder / "result.json", {"fit": "abc", "md": "abc"})
    notebook = nbformat.v4.new_notebook(metadata={"cgcore": {"parameters": complete}})
    nbformat.write(notebook, folder / "executed.ipynb")
    return folder


# Configurations


def test_parameters_become_the_study_s_settings():
    ca, core = chain_config(map="chain_ca", profile="paper"), chain_config(map="chain_core", symmetry="SO3", nu=3)
    assert ca.fit.potential.cutoff_nm == 1.2 and core.fit.potential.cutoff_nm == 0.5
    assert (ca.md.replicas, ca.md.length_ps, ca.md.frame_ps) == (100, 5000.0, 0.5)
    assert (ca.fit.train.epochs, ca.fit.train.batch_size, ca.fit.train.learning_rate) == (50, 32, 1e-3)
    assert core.fit.potential.symmetry == "SO3" and core.fit.potential.correlation == 3
    laptop = chain_config(profile="laptop", mirror=True).md
    assert laptop.replicas >= 20 and laptop.length_ps >= 500
    assert chain_config(mirror=True).fit != chain_config().fit
    with pytest.raises(ConfigError, match="map: want one of .*got 'chain_cb'; did you mean 'chain_ca'"):
        chain_config(map="chain_cb")
    with pytest.raises(ConfigError, match="length_ps: want at least one frame"):
        chain_config(length_ps=0.1)
    with pytest.raises(ConfigError, match="settings of MACE alone"):
        chain_config(potential="nequip", nu=3)
    with pytest.raises(ConfigError, match="mirror: want bool, got 'yes'"):
        chain_config(mirror="yes")


def test_a_held_out_block_is_a_run_from_either_start():
    _, atoms = sets.load("ala15_obc2", stride=10)
    d = chain_config().fit.data
    split = data.split_blocks(atoms, d.blocks, d.valid_blocks, d.gap_ps)
    runs = np.unique(split.valid.replica)
    assert runs.tolist() == [10, 11]


def test_the_grid_has_the_maps_of_the_chapter():
    rows = read_grid(ROOT / "notebooks" / "sweeps" / "polyalanine_laptop.yml", NOTEBOOK, check=check_values)
    stems = [setting(row).stem for row in rows]
    wanted = {f"chain_ca_{t}" for t in ("study", "symmetric", "single", "alternating")}
    assert wanted | {"chain_core_study", "chain_core_beta_study", "chain_core_beta_study_mirror"} <= set(stems)
    assert "chain_ca_study_SO3" in stems and stems[0] == "chain_ca_study"


# Collected runs


def test_a_setting_is_told_from_its_parameters():
    assert setting(PARAMETERS).label == "CA, all different"
    core = setting(PARAMETERS | {"map": "chain_core", "mirror": True, "nu": 3, "prior": "none"})
    assert core.label == "Core, mirror, ν = 3, no walls" and core.stem == "chain_core_study_mirror_nu3_no_walls"
    assert setting(PARAMETERS | {"map": "chain_core_beta", "typing": "unique"}).label == "Core Beta, all different"


def test_runs_become_results_and_share_one_reference(tmp_path):
    (root := tmp_path / "polyalanine").mkdir()
    made = [run(root), run(root, map="chain_core"), run(root, map="chain_core_beta", mirror=True)]
    made.append(run(root, typing="single", chain={"n_rearranged": 2}))
    folder = tmp_path / "results"
    polyalanine_tables.collect(made, folder)
    found = results.load(folder)
    assert list(found) == [
        "chain_ca_study",
        "chain_ca_single",
        "chain_core_study",
        "chain_core_beta_study_mirror",
        "reference",
    ]
    assert found["reference"].table == {"helicity": 0.66, "alpha": 0.7}, "not that of the mirror"
    ca = found["chain_ca_study"]
    assert ca.sampling == "2 replicas of 200 ps, 100 of 800 frames excluded"
    assert ca.text("turns") == "–", "of a run without frames that count"
    assert ca.text("left_handed") == "0.250 ± 0.050" and ca.table["force_mae_meV_per_A"] == 415
    arrays = store.read_npz(folder / "chain_ca_study.npz")
    assert arrays["chi"].shape == (2, 200) and arrays["chi"].dtype == np.float32 and "reference_F" not in arrays
    assert_allclose(arrays["time"][[0, -1]], TIMES[[0, -1]])
    assert_allclose(store.read_npz(folder / "reference.npz")["F"], store.read_npz(folder / "chain_core_study.npz")["F"])
    with pytest.raises(store.StoreError, match="both CA, all different; want one of them"):
        polyalanine_tables.collect([made[0], run(root)], folder)
    (made[1] / "executed.ipynb").unlink()
    with pytest.raises(store.StoreError, match="want a finished run"):
        polyalanine_tables.collect(made[1:2], folder)


def test_figures_show_the_runs_that_are_there(tmp_path):
    made = [run(tmp_path), run(tmp_path, map="chain_core"), run(tmp_path, mirror=True)]
    folder = tmp_path / "results"
    polyalanine_tables.collect(made, folder)
    found = polyalanine_tables.load(folder)
    names = [Setting(map=m) for m in polyalanine_tables.MAPS] + [polyalanine_figures.OF_REFERENCE]
    figure = polyalanine_figures.surfaces(found, names)
    titles = [ax.get_title() for ax in figure.axes[:-1]]
    assert titles == ["CA, all different", "Core", "Atomistic reference"]
    series = polyalanine_figures.series(found, names[:3])
    lines = series.axes[0].lines
    ends = sorted(np.count_nonzero(np.isfinite(line.get_ydata())) for line in lines[:2])
    assert ends[0] < 160 < ends[1] == 200, "the second replica ends where it failed"
    assert [p.name for p in polyalanine_figures.draw(folder)] == [
        "figure6.png",
        "species.png",
        "controls.png",
        "series.png",
        "residues.png",
    ]
    (residues,) = polyalanine_figures.residues(found, names[:3]).axes
    assert residues.get_title() == "Core", "CA has no residues' angles"
    alpha, reference, mirror = residues.lines
    assert set(alpha.get_ydata()) == {0.5} and set(reference.get_ydata()) == {0.7}
    assert mirror.get_xdata().max() <= 0.15, "of one replica alone there is no error"
    assert polyalanine_figures.draw(tmp_path / "nothing") == []


def test_helices_of_either_hand_and_a_switch_are_cut_out(tmp_path):
    """Replica 0 winds up to the right, replica 1 to the left, and then its end lies down elsewhere."""
    k, T = np.arange(15), 120
    turn = np.radians(100.0) * k
    helix = np.stack([0.23 * np.cos(turn), 0.23 * np.sin(turn), 0.15 * k], axis=-1)
    part = np.linspace(0, 1, T)[:, None, None] ** 0.2
    line = np.stack([0 * k, 0 * k, 0.38 * k], axis=-1)
    x = np.stack([(1 - part) * line + part * helix, (1 - part) * line + part * helix * [1, -1, 1]])
    x[1, 100:, 0] = x[1, 100:, 3] + [0.3, 0.0, 0.0]
    (root := tmp_path / "polyalanine").mkdir()
    made = run(root, trajectory=x.astype(np.float32))
    folder = tmp_path / "results"
    told = CliRunner().invoke(app, ["results", str(made), "--folder", str(folder)])
    assert told.exit_code == 0, told.output
    right, left, switch = (store.read_npz(folder / f"{name}.npz") for name in ("right", "left", "switch"))
    assert handedness(right["position"][-1]) > 0.03 and handedness(left["position"][-1]) < -0.03
    assert 2 <= len(right["position"]) <= 50 and right["frame_ps"] == 2.0
    ends = np.linalg.norm(switch["position"][:, 0] - switch["position"][:, 3], axis=-1)
    assert ends[-1] == pytest.approx(0.3, abs=1e-6) and len(switch["species"]) == 15
    assert (folder / "figure5.png").stat().st_size > 20_000 and (folder / "reference" / "part_0.json").is_file()


def test_the_reference_s_halves_come_together():
    topology, atoms = sets.load("ala15_obc2", stride=10)
    beads = mapping.load("chain_ca", topology)
    n = counts(of_reference(mapping.apply(beads, atoms), beads))
    sizes, distance = polyalanine_reference.convergence(n)
    assert sizes.tolist() == list(range(1, 11)) and distance[-1] < distance[0] / 2
    same = np.repeat(n.sum(0)[None], 6, axis=0)
    assert_allclose(polyalanine_reference.convergence(same)[1], 0, atol=1e-12)
    with pytest.raises(ValueError, match="four runs or more, got 3"):
        polyalanine_reference.convergence(n[:3])
