"""Mean forces of hexane for the chapter on potentials: sampled frame by frame, gone on with, and what is published of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from cgcore import store
from cgcore.analysis import constrained
from cgcore.book import mean_force_tables, mean_forces
from cgcore.config import ConfigError, DataConfig
from cgcore.reference.constrained import ConstrainedConfig

RESULTS = Path(__file__).parents[1] / "book" / "results" / "mean_forces"
CONFIG = mean_forces.MeanForceConfig(
    data=DataConfig(residue="hex", map="two_site", blocks=10, valid_blocks=2),
    frames=3,
    sampling=ConstrainedConfig(length_ps=0.8),
)


def test_a_killed_sampling_goes_on_with_the_frames_that_are_missing(tmp_path, monkeypatch):
    asked = []

    def pretend(context, position, weights, force_weights, config, *, frame, on_sample):
        asked.append(frame)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return np.random.default_rng(frame).normal(size=(config.samples, len(weights), 3))

    monkeypatch.setattr(mean_forces, "sample", pretend)
    with pytest.raises(KeyboardInterrupt):
        mean_forces.sampled(CONFIG, tmp_path, progress=False)
    run = mean_forces.sampled(CONFIG, tmp_path, progress=False)
    assert asked == [0, 1, 2, 2]
    assert run.manifest["results"] == {"frames": 3, "samples": 80}
    found = mean_forces.read(run)
    assert found.mean.shape == found.position.shape == (3, 200, 3)
    assert abs(constrained.over_beads(found.noise).value - 1) < 0.05
    assert mean_forces.sampled(CONFIG, tmp_path, progress=False).id == run.id
    assert len(asked) == 4


def test_an_unknown_map_is_refused_before_anything_is_sampled(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'two_site'"):
        mean_forces.make(["twosite"], tmp_path, tmp_path, hexane=tmp_path)


def test_the_picture_has_every_potential_with_a_held_out_error(tmp_path):
    table = {f"{key}_rmse": value for key, value in (("noise", 500.0), ("error", 100.0), ("loss", 510.0))}
    rows = {"spline": table | {"loss_rmse_error": 2.0}, "spline_optimal_forces": {"noise_rmse": 500.0}}
    (tmp_path / "two_site").mkdir()
    for order, (name, numbers) in enumerate(rows.items()):
        row = {"label": f"Two-site, {name}", "order": order, "sampling": "", "table": numbers}
        store.write_json(tmp_path / "two_site" / f"{name}.json", row)
    (picture,) = mean_force_tables.draw(tmp_path)
    assert picture.stat().st_size > 5000
    assert mean_force_tables.draw(tmp_path / "nothing") == []


def test_what_cannot_be_done_is_refused_before_anything_is_sampled(tmp_path):
    with pytest.raises(store.StoreError, match="want a fit of the hexane notebook"):
        mean_forces.make(["two_site"], tmp_path, tmp_path, hexane=tmp_path, networks=[tmp_path])
    with pytest.raises(ConfigError, match="want 0.4 ps or more for 40 samples of the force, got 10 samples"):
        mean_forces.make(["two_site"], tmp_path, tmp_path, hexane=tmp_path, length_ps=0.1)


@pytest.mark.parametrize("map", mean_force_tables.MAPS)
def test_published_noise_is_that_of_the_published_arrays(map):
    arrays = store.read_npz(RESULTS / f"{map}.npz")
    found = constrained.ConstrainedForce(**{key: a.astype(float) for key, a in arrays.items()})
    table = json.loads((RESULTS / f"{map}.json").read_text())["table"]
    size = constrained.over_beads(found.mean**2 - found.error2)
    for key, square in (("noise_rmse", constrained.over_beads(found.noise)), ("mean_force_rms", size)):
        assert table[key] == pytest.approx(mean_force_tables.rmse(key, square)[key], rel=1e-5)


@pytest.mark.parametrize("map", mean_force_tables.MAPS)
def test_noise_and_error_beside_the_mean_force_add_up_to_the_held_out_error(map):
    """The decomposition of the loss, from measurements that know nothing of each other."""
    rows = [json.loads(path.read_text()) for path in (RESULTS / map).glob("*.json")]
    plain = [r["table"] for r in rows if "loss_rmse" in r["table"]]
    assert plain
    assert all(table["apart"] < mean_force_tables.AGREE for table in plain)
