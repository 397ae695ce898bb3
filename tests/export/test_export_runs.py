"""Which run is meant, that its potential is the one that ran, and what is refused before any work."""

import json
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from cgcore import steps
from cgcore.cli import app
from cgcore.config import MACEConfig
from cgcore.export import ExportError, export, folder, mace_torch, web
from cgcore.export.source import find
from cgcore.store import read_json, write_json

RESULTS = Path(__file__).parents[2] / "book" / "results"
MODELS = sorted(RESULTS.glob("*/models/*.npz"))
SMALL = MACEConfig(correlation=1, layers=1, channels=4, max_ell=1, n_bessel=4, radial_width=8, readout_width=4)


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    """A tiny run from end to end, and what it fitted."""
    root = tmp_path_factory.mktemp("runs")
    with jax.enable_x64(False):
        config = steps.configure(
            "amino_acids", map="core_beta", prior="repulsion+bonds", epochs=5, frames=400, replicas=2, length_ps=1.0
        )
        config = replace(config, potential=replace(SMALL, cutoff_nm=config.potential.cutoff_nm))
        reference = steps.load(config)
        fitted = steps.fit(config, reference, root)
        simulated = steps.simulate_protocol(config, reference, fitted, root)
        return steps.observe(config, reference, fitted, simulated, root).run.folder, fitted


@pytest.mark.slow
def test_a_run_and_its_fit_export_the_potential_that_ran(observed, tmp_path):
    run, fitted = observed
    printed = CliRunner().invoke(app, ["export", str(run), "--to", "openmm", "--out", str(tmp_path / "a")])
    assert printed.exit_code == 0 and "Done" in printed.output, printed.output
    export(fitted.run.folder, "ase", tmp_path / "b")
    first, second = folder.read(tmp_path / "a"), folder.read(tmp_path / "b")
    assert_allclose(first.energy, second.energy, rtol=1e-12)
    box = np.full(3, np.inf)
    ours = [float(fitted.potential.energy(fitted.params, x, box)) for x in first.position]
    assert_allclose(first.energy, ours, rtol=1e-5)
    manifest = read_json(tmp_path / "a" / "manifest.json")
    assert manifest["priors"].keys() == {"repulsion", "bonds"} and manifest["made_of"]["fit"] == fitted.run.id
    assert manifest["units"]["length"] == "nm" and len(manifest["check"]["energy_kJ_mol"]) == 4
    readme = (tmp_path / "a" / "README.md").read_text()
    assert "python run.py" in readme and "bonds, repulsion" in readme


@pytest.mark.parametrize(
    "where, change, says",
    [
        (("data", "train"), "0" * 12, "learnt from other frames"),
        (("kernels", "mace"), "0", "ran with kernels"),
        (("made_of", "fit"), "0" * 12, "was the folder copied without it"),
    ],
)
def test_another_potential_is_not_passed_off_as_this_run(observed, tmp_path, where, change, says):
    run, _ = observed
    copied = tmp_path / "runs" / "amino_acids" / run.name
    shutil.copytree(run, copied)
    shutil.copytree(run.parents[1] / "fit", tmp_path / "runs" / "fit")
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest[where[0]][where[1]] = change
    write_json(copied / "manifest.json", manifest)
    with pytest.raises(ExportError, match=says):
        export(copied, "ase", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_fit_without_an_observation_is_refused(observed, tmp_path):
    _, fitted = observed
    shutil.copytree(fitted.run.folder, tmp_path / "runs" / "fit" / fitted.run.id)
    with pytest.raises(ExportError, match="a fit alone knows neither masses nor priors"):
        find(tmp_path / "runs" / "fit" / fitted.run.id)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_published_networks_are_known_with_their_settings(path):
    """Those whose reference did not come with the project say so, and take another one only when told."""
    config = json.loads((path.parents[1] / "runs.json").read_text())[path.stem]["config"]
    missing = config["data.reference"] == "hexane_3000_frames"
    if missing:
        with pytest.raises(ExportError, match="--reference and a set or a folder of the same molecule"):
            find(path)
    found = find(path, "hexane" if missing else None)
    assert found.config.prior == tuple(config["prior"]) and found.config.data.map == config["data.map"]
    assert found.config.md.dt_ps == config["md.dt_ps"] and found.manifest is None


def test_bad_arguments_are_said_at_once(tmp_path):
    model = MODELS[0]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").touch()
    for arguments, says in (
        ((tmp_path, "ase", tmp_path / "x"), "want a finished observation"),
        ((model, "gromacs", tmp_path / "x"), "want one of ase, openmm, lammps, mace-torch, web, got 'gromacs'"),
        ((model, "ase", tmp_path / "full"), "want a new or an empty folder"),
        ((tmp_path / "a.npz", "ase", tmp_path / "x"), "want a published network"),
    ):
        with pytest.raises(ExportError, match=says):
            export(*arguments)


def test_mace_torch_refuses_by_name():
    for given, says in (
        (dict(symmetry="SO3"), 'no networks with symmetry = "SO3"'),
        (dict(bond_types=True), "no networks with edges by the kind of bond"),
        (dict(potential="spline"), "no spline potentials; export to ase"),
    ):
        with pytest.raises(ExportError, match=says):
            mace_torch.check(steps.configure("amino_acids", **given))


@pytest.mark.skipif(find_spec("mace") is not None, reason="mace-torch is installed")
def test_mace_torch_says_what_to_install():
    with pytest.raises(ExportError, match="uv sync --extra mace-torch"):
        mace_torch.check(steps.configure("amino_acids"))


def test_a_page_of_splines_is_refused_before_its_folder_is_begun():
    with pytest.raises(ExportError, match="web: want MACE, got spline"):
        web.check(SimpleNamespace(kind="spline"))
