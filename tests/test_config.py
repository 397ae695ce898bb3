"""What a configuration refuses, and what it derives."""

import dataclasses
import re

import pytest

from cgcore.config import (
    ConfigError,
    DataConfig,
    MACEConfig,
    MDConfig,
    NequIPConfig,
    RunConfig,
    SplineConfig,
    TrainConfig,
    from_dict,
)


def refuses(message: str):
    return pytest.raises(ConfigError, match=re.escape(message))


def test_the_defaults_are_those_of_the_paper():
    mace, train, md = MACEConfig(), TrainConfig(), MDConfig()
    assert (mace.channels, mace.max_ell, mace.n_bessel, mace.envelope_power, mace.cutoff_nm) == (32, 3, 8, 6, 0.5)
    assert (train.epochs, train.batch_size, train.learning_rate, train.learning_rate_decay) == (50, 32, 1e-3, 0.9)
    assert (train.b1, train.b2, train.eps, train.weight_decay) == (0.9, 0.995, 1e-8, 1e-3)
    assert (md.replicas, md.dt_ps, md.temperature_K, md.friction_per_ps) == (100, 0.002, 300.0, 100.0)
    assert md.frame_ps == pytest.approx(0.5)
    assert md.length_ps == pytest.approx(5000.0)


def test_nested_values_are_built():
    raw = {
        "system": "amino_acids",
        "data": {"residue": "gly", "frames": None},
        "potential": {"correlation": 3},
        "train": {"epochs": 7},
        "prior": ["barrier", "repulsion"],
        "md": {"dt_ps": 0.001},
    }
    config = from_dict(RunConfig, raw)
    assert config.data == DataConfig(residue="gly")
    assert config.potential == MACEConfig(correlation=3)
    assert config.train == TrainConfig(epochs=7) and config.prior == ("barrier", "repulsion")
    assert config.md.dt_ps == 0.001
    assert from_dict(RunConfig, dataclasses.asdict(config)) == config
    assert from_dict(RunConfig, {"system": "hexane", "train": None}).train is None


def test_what_is_resolved_leaves_nothing_open_and_says_the_kind_of_potential():
    for potential, kind in ((MACEConfig(), "mace"), (NequIPConfig(), "nequip"), (SplineConfig(), "spline")):
        config = RunConfig(system="hexane", potential=potential)
        assert config.kind == kind
        assert config.resolved()["potential"] == {"potential": kind} | dataclasses.asdict(potential)
    assert config.resolved().keys() == {field.name for field in dataclasses.fields(RunConfig)}
    assert config.resolved()["md"].keys() == {field.name for field in dataclasses.fields(MDConfig)}


def test_a_config_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MDConfig().dt_ps = 0.004


@pytest.mark.parametrize(
    ("cls", "raw", "message"),
    [
        (MDConfig, {"dt_fs": 2.0}, "MDConfig: unknown key 'dt_fs'"),
        (MDConfig, {"dt_fs": 2.0}, "did you mean 'dt_ps'?"),
        (RunConfig, {"potential": {"corelation": 2}}, "MACEConfig: unknown key 'corelation'"),
        (RunConfig, {"potential": {"corelation": 2}}, "did you mean 'correlation'?"),
        (RunConfig, {"potential": 2}, "MACEConfig: want a table of settings, got 2 (int)"),
        (TrainConfig, {"epochs": 2.0}, "TrainConfig.epochs: want int, got 2.0 (float)"),
        (TrainConfig, {"epochs": "50"}, "TrainConfig.epochs: want int, got '50' (str); it is quoted"),
        (
            TrainConfig,
            {"learning_rate": "1e-3"},
            "TrainConfig.learning_rate: want float, got '1e-3' (str); it is",
        ),
        (TrainConfig, {"epochs": True}, "TrainConfig.epochs: want int, got True (bool)"),
        (MDConfig, {"dt_ps": False}, "MDConfig.dt_ps: want float, got False (bool)"),
        (MDConfig, {"dt_ps": None}, "MDConfig.dt_ps: want float, got None (NoneType)"),
        (DataConfig, {"residue": 3}, "DataConfig.residue: want str or NoneType, got 3 (int)"),
        (DataConfig, {"frames": 0}, "DataConfig.frames: want at least 1, got 0"),
        (DataConfig, {"frames": 10.5}, "DataConfig.frames: want int or NoneType, got 10.5 (float)"),
        (DataConfig, {"gap_ps": -1.0}, "DataConfig.gap_ps: want at least 0, got -1.0"),
        (DataConfig, {"blocks": 4, "valid_blocks": 4}, "4 held-out blocks of 4 leave none to train on"),
        (MACEConfig, {"correlation": 4}, "MACEConfig.correlation: want at least 1 and at most 3, got 4"),
        (MACEConfig, {"correlation": 0}, "MACEConfig.correlation: want at least 1 and at most 3, got 0"),
        (MACEConfig, {"cutoff_nm": -0.5}, "MACEConfig.cutoff_nm: want more than 0 and at most 100, got -0.5"),
        (MACEConfig, {"layers": 0}, "MACEConfig.layers: want at least 1 and at most 20, got 0"),
        (MACEConfig, {"symmetry": "E3"}, "MACEConfig.symmetry: want one of ['O3', 'SO3'], got 'E3'"),
        (
            MACEConfig,
            {"symmetry": "SO3", "layers": 1},
            "MACEConfig.symmetry = 'SO3': want at least 2 layers, got 1; with",
        ),
        (
            MACEConfig,
            {"symmetry": "SO3", "correlation": 1},
            "MACEConfig.symmetry = 'SO3': want at least 3 layers, got 2",
        ),
        (
            NequIPConfig,
            {"symmetry": "SO3", "layers": 2},
            "NequIPConfig.symmetry = 'SO3': want at least 3 layers, got 2",
        ),
        (MACEConfig, {"bond_types": 1}, "MACEConfig.bond_types: want bool, got 1 (int)"),
        (NequIPConfig, {"channels": 0}, "NequIPConfig.channels: want at least 1 and at most 10000, got 0"),
        (
            RunConfig,
            {"system": "hexane", "prior": ["barier"]},
            "prior: want one of ['barrier', 'bonds', 'improper', 'repulsion'], got 'barier'; did you mean 'barrier'?",
        ),
        (
            RunConfig,
            {"system": "hexane", "protocol": "nvte"},
            "protocol: want one of ['inversion', 'nve', 'nvt'], got 'nvte'; did you mean 'nvt'?",
        ),
        (DataConfig, {"force_map": "best"}, "force_map: want one of ['optimised', 'sum'], got 'best'"),
        (MDConfig, {"ensemble": "npt"}, "MDConfig.ensemble: want one of ['nve', 'nvt'], got 'npt'"),
        (SplineConfig, {"cutoff_nm": 0.05}, "want a cut-off of at least four knots, got 0.05 nm in steps of 0.02 nm"),
        (TrainConfig, {"learning_rate": 0}, "TrainConfig.learning_rate: want more than 0, got 0"),
        (MDConfig, {"n_frames": 0}, "MDConfig.n_frames: want at least 1 and at most 100000000, got 0"),
        (MDConfig, {"dt_ps": float("nan")}, "MDConfig.dt_ps: want at least 1e-06 and at most 1, got nan"),
        (MDConfig, {"dt_ps": float("inf")}, "MDConfig.dt_ps: want at least 1e-06 and at most 1, got inf"),
        (MDConfig, {"temperature_K": -300}, "MDConfig.temperature_K: want more than 0 and at most 1000000, got -300"),
        (MDConfig, {"replicas": -1}, "MDConfig.replicas: want at least 1 and at most 1000000, got -1"),
    ],
)
def test_what_is_refused(cls, raw, message):
    with refuses(message):
        from_dict(cls, raw)


def test_whole_numbers_pass_as_floats():
    assert from_dict(MDConfig, {"temperature_K": 310}).temperature_K == 310
