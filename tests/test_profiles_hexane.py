"""From the hexane notebook's parameters to a configuration: what is set where, and what is refused."""

import pytest

from cgcore.config import ConfigError, SplineConfig
from cgcore.profiles.hexane import hexane_config


def test_the_profiles_and_what_is_given_beside_them():
    usual = hexane_config(map="two_site", profile="paper")
    assert (usual.fit.potential.cutoff_nm, usual.fit.potential.correlation, usual.fit.train.epochs) == (0.8, 2, 50)
    assert (usual.md.replicas, usual.md.n_frames, usual.md.steps_per_frame, usual.md.dt_ps) == (50, 2000, 250, 0.002)
    other = hexane_config(potential="nequip", layers=2, cutoff_nm=0.6, epochs=3, replicas=7, length_ps=2.0, seed=5)
    assert (other.fit.potential.layers, other.fit.potential.cutoff_nm, other.fit.train.epochs) == (2, 0.6, 3)
    assert (other.md.replicas, other.md.n_frames, other.md.seed, other.fit.train.seed) == (7, 4, 5, 5)
    splines = hexane_config(potential="spline")
    assert splines.fit.potential == SplineConfig() and splines.fit.train is None


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"map": "four_sites"}, "map: want one of .*did you mean 'four_site'"),
        ({"potential": "splines"}, "potential: want one of .*did you mean 'spline'"),
        ({"potential": "spline", "cutoff_nm": 0.7}, "settings of networks, not of splines; got .*cutoff_nm = 0.7"),
        ({"potential": "nequip", "nu": 3}, "settings of MACE alone, got nu = 3"),
        ({"length_ps": 0.2}, "want at least one frame of 0.5 ps, got 0.2"),
        ({"replicas": 0}, "replicas"),
        ({"replicas": "four"}, "replicas"),
    ],
)
def test_what_is_refused(parameters, message):
    with pytest.raises(ConfigError, match=message):
        hexane_config(**parameters)
