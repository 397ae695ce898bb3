"""The steps of every template from end to end on tiny runs: what they make, by which name, and that nothing is made twice."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgcore import steps
from cgcore.config import MACEConfig, RunConfig
from cgcore.errors import CgcoreError
from cgcore.potentials import saved
from cgcore.simulate import driver
from cgcore.store import StoreError, load_tree, read_json, read_npz

SMALL = MACEConfig(correlation=1, layers=1, channels=4, max_ell=1, n_bessel=4, radial_width=8, readout_width=4)
"""A network that compiles in seconds. It is too small to be packed."""
TINY = dict(epochs=30, frames=400, replicas=4, length_ps=2.0)
"""Passes until bonds hold."""


@pytest.fixture(scope="module", autouse=True)
def single_precision():
    """As in a notebook; the other tests ask JAX for double."""
    with jax.enable_x64(False):
        yield


def small(system: str, **given) -> RunConfig:
    config = steps.configure(system, **given)
    return replace(config, potential=replace(SMALL, cutoff_nm=config.potential.cutoff_nm))


def end_to_end(config: RunConfig, out_dir):
    """All that a notebook does."""
    reference = steps.load(config)
    fitted = steps.fit(config, reference, out_dir)
    simulated = steps.simulate_protocol(config, reference, fitted, out_dir)
    return reference, fitted, simulated, steps.observe(config, reference, fitted, simulated, out_dir)


@pytest.fixture(scope="module")
def out_dir(tmp_path_factory):
    """One folder for all runs of amino acids, as notebooks share one."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def paper(out_dir):
    """Core of alanine by the network of the paper's sizes that compiles soonest, for the shortest time."""
    config = steps.configure("amino_acids", nu=1, layers=1, **TINY)
    return config, *end_to_end(config, out_dir)


def test_a_run_leaves_its_table_its_curves_and_what_made_it(paper, out_dir):
    config, reference, fitted, simulated, observed = paper
    assert {path.name for path in out_dir.iterdir()} >= {"fit", "md", "amino_acids"}
    manifest = read_json(observed.run.path("manifest.json"))
    assert manifest["config"] == json.loads(json.dumps(config.resolved()))
    assert manifest["made_of"] == {"fit": fitted.run.id, "simulations": simulated.runs}
    assert manifest["kernels"].keys() >= {"analysis", "mace", "simulate", "train"}
    assert manifest["data"].keys() == {"train", "compared"}
    table = manifest["results"]
    assert table["n_replicas"] == 4 and table["ns"] > 0 and np.isfinite(table["js_reference"])
    assert table["force_rmse_meV_per_A"] == pytest.approx(fitted.report.errors.rmse)
    assert table["training_s"] > 0 and table["epochs"] == 30
    curves = read_npz(observed.run.path("curves.npz"))
    assert curves.keys() == observed.curves.keys() and any(name.startswith("reference_") for name in curves)
    assert simulated.ensemble.position.shape == (4, 4, len(reference.beads.beads), 3)
    assert not fitted.potential.periodic and not reference.liquid, "a molecule's beads see each other whatever the box"


def test_the_network_is_read_back_from_its_fit(paper):
    _, reference, fitted, *_ = paper
    _, potential, params = saved.read(fitted.run.folder)
    box, x = np.full(3, np.inf), np.asarray(reference.split.valid.position[0])
    wanted = fitted.potential.terms[0].energy(fitted.params[0], x, box)
    assert_allclose(potential.energy(params, x, box), wanted, rtol=1e-12)
    errors = read_npz(fitted.run.path("held_out.npz"))["errors"]
    assert_array_equal(errors, fitted.report.held_out)


def test_the_force_noise_is_put_beside_the_loss(paper):
    config, reference, fitted, *_ = paper
    floors = steps.noise(config, reference, fitted)
    assert floors and all(floor.estimate is None or floor.estimate.value > 0 for floor in floors)


def test_what_was_made_is_read_back(paper, out_dir):
    """The same configuration once more: nothing is fitted or simulated again, and all numbers are the same."""
    config, _, fitted, simulated, observed = paper
    files = [fitted.run.path("params.npz"), out_dir / "md" / simulated.runs[0] / "position.npy"]
    before = [path.stat().st_mtime_ns for path in files]
    _, again_fitted, again, once_more = end_to_end(config, out_dir)
    assert [path.stat().st_mtime_ns for path in files] == before
    assert (again_fitted.run.id, again.runs, once_more.run.id) == (fitted.run.id, simulated.runs, observed.run.id)
    assert_array_equal(again.ensemble.position, simulated.ensemble.position)
    timed = ("training_s", "simulation_s")
    same = {k: v for k, v in observed.table.items() if k not in timed}
    assert {k: v for k, v in once_more.table.items() if k not in timed} == same


def test_packed_or_as_trained_a_run_has_one_name(paper, tmp_path, monkeypatch):
    """Which code computes the forces is in the manifest, not in the name; positions are the same for the first steps."""
    config, reference, fitted, simulated, observed = paper
    monkeypatch.setattr(driver, "for_simulation", lambda potential, params, position, box: (potential, params, []))
    plain = steps.simulate_protocol(config, reference, fitted, tmp_path)
    assert plain.runs == simulated.runs
    engines = [
        read_json(root / "md" / simulated.runs[0] / "manifest.json")["engines"]
        for root in (tmp_path, fitted.run.folder.parents[1])
    ]
    assert engines[0] == [] and engines[1][0]["engine"] == "packed"
    assert_allclose(plain.ensemble.position[:, 0], simulated.ensemble.position[:, 0], atol=2e-3)
    assert steps.observe(config, reference, fitted, plain, tmp_path).run.id == observed.run.id


PRIORS = {
    "none": {},
    "repulsion+barrier": {"ranges", "stiffness", "species"},
    "improper+bonds": None,
}


@pytest.mark.parametrize("prior", PRIORS)
def test_priors_are_part_of_a_run_and_in_its_manifest(prior, out_dir):
    """Each makes another simulation of the same fit; its parameters are kept."""
    config = small("amino_acids", map="core_beta", prior=prior, **TINY | dict(length_ps=1.0, replicas=2))
    _, fitted, simulated, observed = end_to_end(config, out_dir)
    manifest, names = observed.run.manifest, [] if prior == "none" else sorted(prior.split("+"))
    assert manifest["config"]["prior"] == names == sorted(manifest["priors"])
    for name in names:
        entry = manifest["priors"][name]
        if PRIORS[prior]:
            assert entry.keys() >= PRIORS[prior] and entry["species"], name
            assert entry["stiffness"] == {"barrier": 1e6, "repulsion": 1e5}[name]
        else:
            assert all(well["k"] > 0 and well["copies"] == 1 for well in entry), name
    assert ("priors" in manifest["kernels"]) == bool(names)
    seen = {json.loads(path.read_text())["made_of"]["fit"] for path in (out_dir / "amino_acids").glob("*/manifest.json")
            if json.loads(path.read_text())["config"]["potential"]["channels"] == 4}  # fmt: skip
    assert seen == {fitted.run.id}, "the fit knows nothing of the priors"
    assert simulated.ensemble.valid.all()


@pytest.mark.parametrize("protocol, runs", [("nve", 7), ("inversion", 1)])
def test_other_protocols_name_their_runs(protocol, runs, out_dir):
    given = TINY | dict(length_ps=0.5 if protocol == "nve" else 1.0, replicas=2)
    config = small("amino_acids", map="core_beta", protocol=protocol, **given)
    _, fitted, simulated, observed = end_to_end(config, out_dir)
    assert len(set(simulated.runs)) == len(simulated.runs) == runs
    for run in simulated.runs:
        assert read_json(out_dir / "md" / run / "manifest.json")["config"]["md"]["replicas"] == 2
    assert observed.run.manifest["made_of"] == {"fit": fitted.run.id, "simulations": simulated.runs}
    quantity = {"nve": "predicted_step_fs", "inversion": "sampled_range_kJ_mol"}[protocol]
    assert observed.table[quantity] > 0


def test_a_liquid_by_splines(tmp_path):
    config = steps.configure("hexane", potential="spline", frames=150, replicas=2, length_ps=5.0)
    reference, fitted, simulated, observed = end_to_end(config, tmp_path)
    manifest = observed.run.manifest
    assert manifest["config"]["prior"] == [] and manifest["config"]["train"] is None and manifest["priors"] == {}
    assert fitted.potential.periodic and reference.liquid
    stored = load_tree(fitted.run.path("params.npz"))
    assert all((stored[name] == values).all() for name, values in fitted.params.items())
    assert simulated.ensemble.valid.all()
    assert observed.table["g_AA_mse"] > 0 and observed.table["closest_trained_nm"] > 0.2
    with pytest.raises(StoreError, match="edited by hand"):
        changed = observed.run.path("config.json")
        changed.write_text(changed.read_text().replace('"hexane"', '"hexan"', 1))
        steps.observe(config, reference, fitted, simulated, tmp_path)


def test_a_chain(tmp_path):
    """Of its mirror images as well, which is another reference and another fit."""
    given = dict(prior="bonds", frames=120, epochs=3, replicas=2, length_ps=1.0)
    reference, fitted, simulated, _ = end_to_end(small("polyalanine", **given), tmp_path)
    assert np.unique(reference.atom_split.valid.replica).tolist() == [10, 11], "one from either start is held out"
    assert simulated.ensemble.position.shape == (2, 2, len(reference.beads.beads), 3)
    mirrored = small("polyalanine", mirror=True, **given)
    image = steps.load(mirrored)
    assert steps.fit(mirrored, image, tmp_path).run.id != fitted.run.id
    plain, reflected = (np.asarray(r.frames.position[0]) for r in (reference, image))
    assert_allclose(np.linalg.norm(np.diff(plain, axis=0), axis=1), np.linalg.norm(np.diff(reflected, axis=0), axis=1), rtol=1e-5)  # fmt: skip


def test_a_prior_that_beads_do_not_have_is_refused_before_the_training(tmp_path, monkeypatch):
    monkeypatch.setattr(steps.train, "fit", lambda *_, **__: pytest.fail("it trained"))
    config = steps.configure("amino_acids", profile="quick", map="core", prior="improper", frames=200)
    with pytest.raises(CgcoreError, match="improper"):
        steps.fit(config, steps.load(config), tmp_path)
