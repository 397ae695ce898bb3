"""Mean forces of hexane: sampled frame by frame, gone on with, put beside potentials, and what is published of them."""

import dataclasses

import numpy as np
import pytest

from cgbook import results
from cgcore import hold, mean_forces, steps
from cgcore.analysis import constrained
from cgcore.config import ConfigError
from cgcore.potentials.base import PotentialError
from cgcore.reference.constrained import ConstrainedConfig
from cgcore.store import read_json

MAPS = ("four_site", "three_site", "two_site")
AGREE = 3.0
"""Standard errors within which the two sides of the decomposition are the same."""
CONFIG = mean_forces.MeanForceConfig(map="two_site", frames=3, sampling=ConstrainedConfig(length_ps=0.8))
CHAPTER = results.load(results.BOOK / "results" / "mean_forces")
FEW = 60


@pytest.fixture(scope="module")
def reference():
    return steps.load(steps.configure("hexane", profile="laptop", map="two_site", frames=FEW))


@pytest.fixture
def pretended(monkeypatch):
    """Samples with a variance of one about the frame's number, in place of atoms that move; the frames that were asked for."""
    asked = []

    def pretend(context, position, weights, force_weights, config, *, frame, on_sample):
        asked.append(frame)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return frame + np.random.default_rng(frame).normal(size=(config.samples, weights.shape[0], 3))

    monkeypatch.setattr(hold, "sample", pretend)
    monkeypatch.setattr(mean_forces, "context", lambda protocol, n_atoms, box: None)
    return asked


def test_a_killed_sampling_goes_on_with_the_frames_that_are_missing(reference, pretended, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        mean_forces.held_beads(CONFIG, reference, tmp_path, progress=False)
    run = mean_forces.held_beads(CONFIG, reference, tmp_path, progress=False)
    assert pretended == [0, 1, 2, 2]
    found = mean_forces._read(run)
    assert found.mean.shape == found.position.shape == (3, 200, 3)
    assert abs(constrained.over_beads(found.noise).value - 1) < 0.05
    assert np.abs(found.mean - np.arange(3)[:, None, None]).max() < 1
    assert run.manifest["results"].keys() >= {"noise_rmse", "noise_rmse_error", "mean_force_rms"}
    assert mean_forces.held_beads(CONFIG, reference, tmp_path, progress=False).id == run.id
    assert len(pretended) == 4, "what is finished is read back"
    other = dataclasses.replace(CONFIG, frames=2)
    assert mean_forces.held_beads(other, reference, tmp_path, progress=False).id != run.id


def test_potentials_are_put_beside_what_was_sampled(reference, pretended, tmp_path, monkeypatch):
    """Splines of plain and of optimised forces, each an observation; rms numbers in meV/Å."""
    pretended += [None] * 3  # nothing interrupts
    configured = steps.configure
    monkeypatch.setattr(steps, "configure", lambda *a, **given: configured(*a, **given | {"frames": FEW}))
    tables = mean_forces.beside_mean_forces("two_site", [], tmp_path, frames=3, length_ps=0.8)
    assert tables.keys() == {"spline", "spline_optimised"}
    held = mean_forces.held_beads(CONFIG, reference, tmp_path, progress=False)
    for name, table in tables.items():
        assert table["noise_rmse"] == pytest.approx(held.manifest["results"]["noise_rmse"])
        squares = table["noise_rmse"] ** 2 + table["error_rmse"] ** 2
        assert table["sum_rmse"] ** 2 == pytest.approx(squares, rel=1e-6)
        assert ("loss_rmse" in table) == (name == "spline"), "plain held-out forces are those of the plain sum"
    stored = [read_json(path) for path in (tmp_path / "mean_forces").glob("*/manifest.json")]
    assert {entry["config"]["potential"]: entry["results"]["error_rmse"] for entry in stored} == {
        name: pytest.approx(table["error_rmse"]) for name, table in tables.items()
    }
    assert {entry["config"]["held"] for entry in stored} == {held.id}


def test_what_cannot_be_done_is_refused_before_anything_is_sampled(pretended, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'two_site'"):
        mean_forces.beside_mean_forces("twosite", [], tmp_path)
    with pytest.raises(PotentialError, match="want the folder of a finished fit"):
        mean_forces.beside_mean_forces("two_site", [tmp_path], tmp_path)
    with pytest.raises(ConfigError, match="want 0.4 ps or more for 40 samples of the force, got 10 samples"):
        mean_forces.beside_mean_forces("two_site", [], tmp_path, length_ps=0.1)
    assert not pretended and not list(tmp_path.iterdir())


@pytest.mark.parametrize("map", MAPS)
def test_published_noise_is_that_of_the_published_arrays(map):
    arrays = {key: array.astype(float) for key, array in CHAPTER.curves(map).items()}
    found = constrained.ConstrainedForce(**{key: arrays[key] for key in constrained.ConstrainedForce._fields})
    size = constrained.over_beads(found.mean**2 - found.error2)
    for key, square in (("noise_rmse", constrained.over_beads(found.noise)), ("mean_force_rms", size)):
        assert CHAPTER.value(map, key) == pytest.approx(mean_forces.rmse(key, square)[key], rel=1e-5)


@pytest.mark.parametrize("map", MAPS)
def test_noise_and_error_beside_the_mean_force_add_up_to_the_held_out_error(map):
    """The decomposition of the loss, from measurements that know nothing of each other."""
    apart = [CHAPTER.value(label, "apart") for label in CHAPTER.table(map)]
    plain = [value for value in apart if value is not None]
    assert plain
    assert all(value < AGREE for value in plain)


def test_a_network_of_other_beads_is_refused_before_any_sampling(tmp_path):
    chapter = results.load(results.BOOK / "results" / "hexane")
    other = chapter.model("three_site_mace_nu2_l2_700pm_barrier")
    with pytest.raises(ConfigError, match="a network for other beads than those of hexane by map 'two_site'"):
        mean_forces.beside_mean_forces("two_site", networks=[other], out_dir=tmp_path)
    assert not list(tmp_path.iterdir())
