"""Mean forces of hexane: sampled frame by frame, gone on with, and what is published of them."""

from pathlib import Path

import numpy as np
import pytest

from cgbook.results import load
from cgcore import mean_forces, steps
from cgcore.analysis import constrained
from cgcore.config import ConfigError
from cgcore.mean_forces import MeanForceConfig, beside_mean_forces, held_beads, rmse
from cgcore.potentials.base import PotentialError
from cgcore.reference.constrained import ConstrainedConfig

MAPS = ("four_site", "three_site", "two_site")
AGREE = 3.0
"""Standard errors that two measurements of one number may be apart."""


@pytest.fixture(scope="module")
def published():
    return load(Path(__file__).parents[1] / "book" / "results" / "mean_forces")


def test_a_killed_sampling_goes_on_with_the_frames_that_are_missing(tmp_path, monkeypatch):
    asked = []

    def pretend(context, position, weights, force_weights, config, *, frame, on_sample):
        asked.append(frame)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return np.random.default_rng(frame).normal(size=(config.samples, len(weights), 3))

    monkeypatch.setattr(mean_forces, "sample", pretend)
    config = MeanForceConfig(map="two_site", frames=3, sampling=ConstrainedConfig(length_ps=0.8))
    reference = steps.load(steps.configure("hexane", profile="laptop", map="two_site"))
    with pytest.raises(KeyboardInterrupt):
        held_beads(config, reference, tmp_path, progress=False)
    run = held_beads(config, reference, tmp_path, progress=False)
    assert asked == [0, 1, 2, 2]
    sampled = mean_forces._read(run)
    assert sampled.mean.shape == sampled.position.shape == (3, 200, 3)
    assert abs(constrained.over_beads(sampled.noise).value - 1) < 0.05
    assert held_beads(config, reference, tmp_path, progress=False).id == run.id
    assert len(asked) == 4


def test_what_cannot_be_done_is_refused_before_anything_is_sampled(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'two_site'"):
        beside_mean_forces("twosite", [], tmp_path)
    with pytest.raises(PotentialError, match="want the folder of a finished fit"):
        beside_mean_forces("two_site", [tmp_path], tmp_path)
    with pytest.raises(ConfigError, match="want 0.4 ps or more for 40 samples of the force, got 10 samples"):
        beside_mean_forces("two_site", [], tmp_path, length_ps=0.1)


@pytest.mark.parametrize("name", MAPS)
def test_published_noise_is_that_of_the_published_arrays(published, name):
    found = constrained.ConstrainedForce(**{key: a.astype(float) for key, a in published.curves(name).items()})
    size = constrained.over_beads(found.mean**2 - found.error2)
    for key, square in (("noise_rmse", constrained.over_beads(found.noise)), ("mean_force_rms", size)):
        assert published.value(name, key) == pytest.approx(rmse(key, square)[key], rel=1e-5)


@pytest.mark.parametrize("name", MAPS)
def test_noise_and_error_beside_the_mean_force_add_up_to_the_held_out_error(published, name):
    """The decomposition of the loss, from measurements that know nothing of each other."""
    apart = [published.value(label, "apart") for label in published.table(name)]
    plain = [value for value in apart if value is not None]
    assert plain and max(plain) < AGREE
