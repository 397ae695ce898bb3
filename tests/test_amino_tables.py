"""The chapter on amino acids: runs of three studies to tables in groups, and figures from whatever is there."""

import nbformat
import numpy as np
import pytest
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from cgcore import mapping, store
from cgcore.analysis.ramachandran import ramachandran
from cgcore.book import amino_crossing, amino_figures, amino_inversion, amino_tables, results
from cgcore.book.amino_settings import MAPS, Setting, setting
from cgcore.cli import app

PARAMETERS = {"profile": "laptop", "residue": "ala", "map": "core", "typing": "study", "seed": 22}
FIT = {"force_mae_meV_per_A": 730.0, "force_rmse_meV_per_A": 941.0, "updates": 3510, "updates_per_s": 20.0, "wall_s": 9}
DYNAMICS = {"replicas": 3, "length_ps": 50.0, "wall_s": 20.0, "n_replicas_failed": 1, "temperature_K": 299.0}
DYNAMICS |= {"ns_per_day_aggregate": 700.0}
STEPS = (0.5, 1.0, 2.0)


def surface(mirrored: bool) -> tuple[dict, dict]:
    """Table and arrays of the analysis, of angles around (-80, 70) degrees, in the half of the replicas at (80, -70)."""
    random = np.random.default_rng(0)
    phi, psi = (a + 0.3 * random.normal(size=(3, 100)) for a in (-1.4, 1.2))
    sign = np.where(mirrored & (random.random((3, 100)) < 0.5), -1, 1)
    valid = np.arange(100) < np.array([100, 100, 40])[:, None]
    about = dict(temperature_K=300.0, frame_ps=0.5, reference_frame_ps=1.0)
    return ramachandran(sign * phi, sign * psi, valid, phi[0], psi[0], **about)


def made(study: str, map: str) -> tuple[str, dict, str, dict]:
    """Kind, results, name of arrays and arrays of one study."""
    if study == "nvt":
        table, arrays = surface(mirrored=map == "core")
        return "md", {"ramachandran": table, "dynamics": DYNAMICS}, "ramachandran.npz", arrays
    if study == "nve":
        drift = "energy_drift_kJ_mol_ns"
        rows = [{"step_fs": s, drift: 2 * s, f"{drift}_error": 0.1, "n_replicas_failed": 3 * (s > 1)} for s in STEPS]
        table = {"step_limit_fs": 1.5, "step_limit_fs_error": 0.3, "safe_step_fs": 1.0, "replicas": 4, "length_ps": 9.6}
        survival = np.outer([1, 1, 0.5], np.ones(16))
        arrays = {"step_fs": np.array(STEPS), "time": 0.6 * np.arange(16), "survival": survival}
        return "nve", table | {"steps": rows}, "nve.npz", arrays
    points = -np.pi + 2 * np.pi / 60 * np.arange(60)
    F, across = 54 * np.sin(3 * points / 2) ** 2, map != "atomistic"
    # One valley is still deeper than the other, by so much that the mean of both is a run's own height.
    heights, uneven = np.array([53.0, 30.0, 54.0, 55.0]), 6 * np.sign(points) * (np.abs(points) < 3)
    table = {"runs": 4, "length_ps": 5000.0, "transitions": [1, 0, 2, 1] if across else [0] * 4}
    table |= {"runs_with_transition": 3 if across else 0, "activation_kJ_mol": 50.0, "activation_kJ_mol_error": None}
    arrays = {"points": points, "F": F, "F_error": 0.1 * F, "F_runs": heights[:, None] / 54 * F + uneven}
    if across:
        plane = np.array([[0, 3, 1], [0, 0, 1], [0, 1, 0], [1, 0, 0], [-1, 0, 0], [-1, 2, 1.0]]) / 7
        arrays["transition_state"] = plane
    return "metadynamics", table, "inversion.npz", arrays


def run(root, **parameters):
    """One finished run as the notebook leaves it, with made-up numbers."""
    complete = PARAMETERS | parameters
    kind, found, name, arrays = made(complete.get("study", "nvt"), complete["map"])
    folder = root / "amino_acids" / f"run_{len(list(root.glob('amino_acids/*')))}"
    for step, results_of in (("fit", FIT), (kind, found)):
        (folder / step / "abc").mkdir(parents=True)
        manifest = {"id": "abc", "results": results_of, "data": {}, "versions": {}, "git": None}
        manifest |= {"config": {"md": {"temperature_K": 300.0}}}
        store.write_json(folder / step / "abc" / "manifest.json", manifest)
    store.write_npz(folder / kind / "abc" / name, **arrays)
    store.write_json(folder / "result.json", {"fit": "abc", kind: "abc"})
    nbformat.write(
        nbformat.v4.new_notebook(metadata={"cgcore": {"parameters": complete, "wall_s": 45.0}}),
        folder / "executed.ipynb",
    )
    return folder


def test_a_setting_is_told_from_its_parameters():
    core = setting(PARAMETERS | {"reference": None, "potential": "mace", "nu": 2, "layers": None, "cutoff_nm": 0.5})
    assert core == Setting() and (core.group, core.stem, core.label) == ("", "core", "Core")
    single = setting(PARAMETERS | {"map": "core_beta", "typing": "single"})
    assert (single.stem, single.label) == ("core_beta_single", "Core Beta, one species")
    longer = setting(PARAMETERS | {"force_map": "optimal", "epochs": 16})
    assert (longer.group, longer.label) == ("least_noise", "Core, optimal forces, 16 epochs")
    assert setting(PARAMETERS | {"epochs": 4}) == core, "fewer, where there are more frames"
    again = setting(PARAMETERS | {"seed": 23})
    assert (again.group, again.stem, again.label) == ("options", "core_seed_23", "Core, seed 23")
    gly = setting(PARAMETERS | {"residue": "gly", "reference": "obc2"})
    assert (gly.group, gly.stem, gly.label, gly.reference) == ("residues", "gly_core", "Gly, Core", None)
    wet = setting(PARAMETERS | {"reference": "obc2"})
    assert (wet.group, wet.stem, wet.label) == ("implicit", "core_obc2", "Core, implicit water")
    atoms = setting(PARAMETERS | {"reference": "obc2", "map": "atomistic", "epochs": 7})
    assert (atoms.group, atoms.label) == ("implicit", "Atomistic, implicit water, 7 epochs")
    assert atoms.reference_stem == wet.reference_stem == "reference"
    assert setting(PARAMETERS | {"epochs": 16}).group == "options"
    assert setting(PARAMETERS | {"potential": "nequip"}).group == "nequip"
    chiral = setting(PARAMETERS | {"symmetry": "SO3", "nu": 3, "layers": 1, "bond_types": True})
    assert (chiral.group, chiral.label) == ("options", "Core, ν = 3, 1 layer, SO(3), bond types")
    assert chiral.stem == "core_ν_3_1_layer_so_3_bond_types"
    assert setting(PARAMETERS | {"study": "nve"}).group == "nve"
    bundled = {entry.map for entry in mapping.available() if "ala" in entry.residues and "chain" not in entry.map}
    assert set(MAPS) == bundled


def test_runs_become_results_in_groups_and_bring_their_references(tmp_path):
    made = [
        run(tmp_path),
        run(tmp_path, map="core_beta"),
        run(tmp_path, residue="gly"),
        run(tmp_path, reference="obc2"),
    ]
    folder = tmp_path / "results"
    amino_tables.collect(made, folder)
    found = results.load(folder)
    assert list(found) == ["core", "core_beta", "reference"]
    core = found["core"]
    assert core.sampling == "3 replicas of 50 ps, 60 of 300 frames excluded"
    assert core.table["point_symmetry"] < 0.2 < 0.8 < found["core_beta"].table["point_symmetry"]
    assert core.table["updates"] == 3510 and core.table["training_s"] == 9 and core.table["simulation_s"] == 20
    assert "reference" not in core.table and found["reference"].sampling == "atomistic simulation of 0.1 ns, 100 frames"
    together = results.load(folder / amino_tables.COST)["together"]
    assert together.table["models"] == 2 and together.table["core_minutes"] == 2, "two of 45 s"
    ns = core.table["ns"] + found["core_beta"].table["ns"]
    assert_allclose(together.table["ns_per_day_aggregate"], 86400 * ns / 40)
    assert list(results.load(folder / "residues")) == ["gly_core", "gly_reference"]
    assert results.load(folder / "implicit")["reference"].label == "Reference, implicit water"
    theirs = store.read_npz(folder / "reference.npz")
    assert theirs["P"].dtype == np.float32 and {"F", "edges", "phi_density", "marginal_edges"} <= theirs.keys()
    assert_allclose(theirs["P"].sum(), 1, rtol=1e-5)
    assert not any(k.startswith("reference") for k in store.read_npz(folder / "core.npz"))


def test_steps_and_barriers_stand_beside_the_published_ones(tmp_path):
    folder = tmp_path / "results"
    studies = [("nve", "united_atom"), ("nve", "core"), ("inversion", "core_beta"), ("inversion", "atomistic")]
    amino_tables.collect([run(tmp_path, study=study, map=map) for study, map in studies], folder)
    nve, inversion = results.load(folder / "nve"), results.load(folder / "inversion")
    united = nve["united_atom"]
    assert (united.text("step_limit_fs"), united.text("published_step_fs")) == ("1.07 ± 0.35", "2")
    assert nve["core"].text("published_step_fs") == results.ABSENT and nve["core"].text("drift_2fs") == "4.00 ± 0.10"
    assert nve["core"].table["failed_2fs"] == 3 and nve["core"].sampling == "4 replicas of 9.6 ps with each step"
    assert (united.table["predicted_step_fs"], nve["core"].table["predicted_step_fs"]) == (2.0, 2.3)
    assert nve["core"].table["heating_2fs"] == pytest.approx(4 * 0.1 / (12 * 0.0083144626))
    beta = inversion["core_beta"]
    assert (beta.text("barrier_kcal_mol"), beta.text("published_barrier")) == ("12.91 ± 0.14", "13")
    assert beta.table["transitions"] == "1, 0, 2, 1" and beta.sampling == "4 runs of 5 ns"
    # By hand: sqrt(kT / 2 pi) 0.63, times about 3 rad/nm/sqrt(g/mol), times e^-21.6, over a valley of 0.38 rad.
    assert beta.table["log10_passage_time_s"] == pytest.approx(-3.3, abs=0.2)
    assert inversion["atomistic"].text("published_barrier") == "> 18"
    assert inversion["atomistic"].text("barrier_kcal_mol") == results.ABSENT


def test_a_crossing_without_a_frame_at_the_top_has_a_barrier_and_no_wait():
    _, table, _, arrays = made("inversion", "core_beta")
    del arrays["transition_state"]
    for before in (table, table | {"speed": None}):
        read, profiles = amino_inversion.read_anew(Setting(), before, arrays, {"temperature_K": 300.0})
        assert read["barrier_kJ_mol"] == pytest.approx(54) and np.isnan(read["log10_passage_time_s"])
        assert np.isnan(profiles["log10_passage_time_s"]).all() and profiles["F"].max() == pytest.approx(54)


def test_unfinished_and_double_runs_are_refused(tmp_path):
    twice = [run(tmp_path, epochs=epochs) for epochs in (1, 2)]
    with pytest.raises(store.StoreError, match="both Core; want one of them"):
        amino_tables.collect(twice, tmp_path / "results")
    (twice[0] / "executed.ipynb").unlink()
    with pytest.raises(store.StoreError, match="want a finished run"):
        amino_tables.collect(twice[:1], tmp_path / "results")


def test_the_command_draws_what_there_are_runs_for(tmp_path):
    kinds = ({}, {"map": "core_beta"}, {"residue": "gly"}, {"study": "nve"}, {"symmetry": "SO3"})
    made = [run(tmp_path, **kind) for kind in kinds]
    folder = tmp_path / "results"
    done = CliRunner().invoke(app, ["results", *map(str, made), "--folder", str(folder)])
    assert done.exit_code == 0, done.output
    drawn = {p.relative_to(folder).as_posix() for p in folder.rglob("*.png")}
    pictures = {"maps.png", "ramachandran.png", "marginals.png", "figure3.png", "forces.png"}
    assert drawn == pictures | {f"{place}/surfaces.png" for place in ("residues", "options")} | {
        f"nve/{name}.png" for name in ("survival", "heating")
    }
    assert all(path in done.output.replace("\n", "") for path in drawn)


def test_a_figure_has_a_panel_for_each_run_and_no_empty_rows(tmp_path):
    amino_tables.collect([run(tmp_path, map="core_beta", typing=t) for t in ("study", "single")], tmp_path / "results")
    found = amino_tables.load(tmp_path / "results")
    figure = amino_figures.surfaces(found, amino_figures.NINE)
    titles = [ax.get_title() for ax in figure.axes if ax.axison and ax.get_title()]
    assert titles == ["reference (0.1 ns)", "Core Beta (0.12 ns)", "Core Beta, one species (0.12 ns)"]
    assert amino_figures.surfaces({}, amino_figures.NINE) is None is amino_figures.survival({})
    amino_figures.plt.close(figure)


def test_barriers_are_drawn_with_waits_where_there_are_any(tmp_path):
    amino_tables.collect([run(tmp_path, study="inversion", map=m) for m in ("core_beta", "atomistic")], tmp_path / "r")
    figure = amino_figures.barriers(amino_tables.load(tmp_path / "r"))
    left, right = figure.axes
    assert len(left.lines) == 2 and len(right.lines) == 1
    # Core Beta from both sides, over the runs that went across; of all atoms, where none did, as the runs left it.
    heights = [line.get_ydata().max() * 4.184 for line in left.lines]
    assert_allclose(heights, [np.mean([53, 30, 54, 55]) + 12, 54], rtol=0.01)
    amino_figures.plt.close(figure)


def test_the_first_passage_is_the_one_that_stays():
    """To the top and back is none."""
    chi = np.array([2.1, 2.0, 2.2, 3.1, -3.1, 3.0, 2.1, 2.1, 3.0, -3.0, -2.2, -2.1, -2.0])
    assert amino_crossing.first_passage(chi) == 10
    assert amino_crossing.first_passage(chi[:9]) is None


def test_a_passage_is_kept_to_look_at(tmp_path):
    path = run(tmp_path, study="inversion", map="core_beta")
    assert amino_crossing.write([path, run(tmp_path)], tmp_path / "r") == [], "without a trajectory"
    here = path / "metadynamics" / "abc"
    np.save(here / "position.npy", np.arange(2 * 60 * 18.0).reshape(2, 60, 6, 3))
    np.save(here / "cv.npy", np.where(np.arange(60) < [[99], [30]], 2.1, -2.1)[..., None])
    (kept,) = amino_crossing.write([path], tmp_path / "r")
    shown = store.read_npz(kept)
    assert shown["position"].shape == (40, 6, 3) and shown["position"][20, 0, 0] == (60 + 30) * 18
    assert list(shown["names"]) == ["C_ace", "N", "CA", "CB", "C", "N_nme"] and float(shown["frame_ps"]) == 0.5
