"""What a configuration refuses, what it derives, and what the profiles change."""

import dataclasses
import re

import pytest

from cgcore.config import (
    PROFILES,
    ConfigError,
    DataConfig,
    FitConfig,
    MACEConfig,
    MDConfig,
    NequIPConfig,
    RunConfig,
    TrainConfig,
    from_dict,
    run_config,
)


def refuses(message: str):
    return pytest.raises(ConfigError, match=re.escape(message))


def test_the_defaults_are_those_of_the_study():
    config = RunConfig()
    mace, train, md = config.mace, config.train, config.md
    assert (mace.channels, mace.max_ell, mace.n_bessel, mace.envelope_power, mace.cutoff_nm) == (32, 3, 8, 6, 0.5)
    assert (train.epochs, train.batch_size, train.learning_rate, train.learning_rate_decay) == (50, 32, 1e-3, 0.9)
    assert (train.b1, train.b2, train.eps, train.weight_decay) == (0.9, 0.995, 1e-8, 1e-3)
    assert (md.replicas, md.dt_ps, md.temperature_K, md.friction_per_ps) == (100, 0.002, 300.0, 100.0)
    assert md.frame_ps == pytest.approx(0.5)
    assert md.length_ps == pytest.approx(5000.0)


def test_nested_values_are_built():
    raw = {
        "profile": "laptop",
        "data": {"residue": "gly", "frames": None},
        "mace": {"correlation": 3},
        "md": {"dt_ps": 0.001},
    }
    config = from_dict(RunConfig, raw)
    assert config.data == DataConfig(residue="gly")
    assert config.mace == MACEConfig(correlation=3)
    assert config.train == TrainConfig()
    assert config.md.dt_ps == 0.001
    assert config.fit == FitConfig(data=config.data, mace=config.mace, train=config.train)
    raw_fit = dataclasses.asdict(config.fit)
    assert from_dict(FitConfig, raw_fit) == config.fit
    assert from_dict(RunConfig, dataclasses.asdict(config)) == config


def test_a_config_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MDConfig().dt_ps = 0.004


@pytest.mark.parametrize(
    ("cls", "raw", "message"),
    [
        (MDConfig, {"dt_fs": 2.0}, "MDConfig: unknown key 'dt_fs'"),
        (MDConfig, {"dt_fs": 2.0}, "did you mean 'dt_ps'?"),
        (RunConfig, {"mace": {"corelation": 2}}, "MACEConfig: unknown key 'corelation'"),
        (RunConfig, {"mace": {"corelation": 2}}, "did you mean 'correlation'?"),
        (RunConfig, {"mace": 2}, "MACEConfig: want a table of settings, got 2 (int)"),
        (TrainConfig, {"epochs": 2.0}, "TrainConfig.epochs: want int, got 2.0 (float)"),
        (TrainConfig, {"epochs": "50"}, "TrainConfig.epochs: want int, got '50' (str); it is quoted"),
        (
            TrainConfig,
            {"learning_rate": "1e-3"},
            "TrainConfig.learning_rate: want float or int, got '1e-3' (str); it is",
        ),
        (TrainConfig, {"epochs": True}, "TrainConfig.epochs: want int, got True (bool)"),
        (MDConfig, {"dt_ps": False}, "MDConfig.dt_ps: want float or int, got False (bool)"),
        (MDConfig, {"dt_ps": None}, "MDConfig.dt_ps: want float or int, got None (NoneType)"),
        (DataConfig, {"residue": 3}, "DataConfig.residue: want str, got 3 (int)"),
        (DataConfig, {"frames": 0}, "DataConfig.frames: want a positive number, got 0"),
        (DataConfig, {"frames": 10.5}, "DataConfig.frames: want int or NoneType, got 10.5 (float)"),
        (DataConfig, {"gap_ps": -1.0}, "DataConfig.gap_ps: want zero or more picoseconds, got -1.0"),
        (DataConfig, {"blocks": 4, "valid_blocks": 4}, "4 held-out blocks of 4 leave none to train on"),
        (MACEConfig, {"correlation": 4}, "MACEConfig.correlation (nu): want 1, 2 or 3, got 4"),
        (MACEConfig, {"correlation": 0}, "MACEConfig.correlation: want a positive number, got 0"),
        (MACEConfig, {"cutoff_nm": -0.5}, "MACEConfig.cutoff_nm: want a positive number, got -0.5"),
        (MACEConfig, {"layers": 0}, "MACEConfig.layers: want a positive number, got 0"),
        (MACEConfig, {"symmetry": "E3"}, "MACEConfig.symmetry: want 'O3' (mirror images are alike) or 'SO3', got 'E3'"),
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
        (NequIPConfig, {"channels": 0}, "NequIPConfig.channels: want a positive number, got 0"),
        (
            RunConfig,
            {"potential": "mase"},
            "potential: want one of ['mace', 'nequip'], got 'mase'; did you mean 'mace'?",
        ),
        (FitConfig, {"data": {}, "train": {}}, "FitConfig: want one network, mace or nequip, got both or none"),
        (TrainConfig, {"learning_rate": 0}, "TrainConfig.learning_rate: want a positive number, got 0"),
        (MDConfig, {"n_frames": 0}, "MDConfig.n_frames: want a positive number, got 0"),
        (MDConfig, {"dt_ps": float("nan")}, "MDConfig.dt_ps: want a positive number, got nan"),
        (MDConfig, {"dt_ps": float("inf")}, "MDConfig.dt_ps: want a positive number, got inf"),
        (MDConfig, {"temperature_K": -300}, "MDConfig.temperature_K: want a positive number, got -300"),
        (MDConfig, {"replicas": -1}, "MDConfig.replicas: want a positive number, got -1"),
    ],
)
def test_what_is_refused(cls, raw, message):
    with refuses(message):
        from_dict(cls, raw)


def test_whole_numbers_pass_as_floats():
    assert from_dict(MDConfig, {"temperature_K": 310}).temperature_K == 310


@pytest.mark.parametrize(("profile", "values"), PROFILES.items(), ids=PROFILES)
def test_a_profile_sets_its_numbers_and_nothing_else(profile, values):
    config = run_config(profile=profile)
    assert (config.data.frames, config.train.epochs) == (values["frames"], values["epochs"])
    assert config.md.replicas == values["replicas"]
    assert config.md.length_ps == pytest.approx(values["length_ps"])
    same = run_config(profile="laptop")
    assert config.mace == same.mace
    assert dataclasses.replace(config.train, epochs=1) == dataclasses.replace(same.train, epochs=1)


def test_parameters_override_the_profile():
    config = run_config(profile="laptop", frames=100, epochs=3, replicas=5, length_ps=2, nu=3, layers=1, cutoff_nm=0.4)
    assert (config.data.frames, config.train.epochs, config.md.replicas, config.md.n_frames) == (100, 3, 5, 4)
    assert (config.mace.correlation, config.mace.layers, config.mace.cutoff_nm) == (3, 1, 0.4)
    seeded = run_config(seed=7)
    assert (seeded.train.seed, seeded.md.seed) == (7, 7)


@pytest.mark.parametrize(("map", "dt_ps", "steps"), [("core", 0.002, 250), ("atomistic", 0.0005, 1000)])
def test_hydrogens_take_a_shorter_step_between_the_same_frames(map, dt_ps, steps):
    md = run_config(map=map, length_ps=10.0).md
    assert (md.dt_ps, md.steps_per_frame, md.n_frames) == (dt_ps, steps, 20)
    assert md.frame_ps == pytest.approx(0.5)
    assert md.length_ps == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"profile": "quik"}, "profile: want one of ['laptop', 'paper', 'quick'], got 'quik'; did you mean 'quick'?"),
        ({"length_ps": 0}, "length_ps: want at least one frame of 0.5 ps, got 0"),
        ({"length_ps": -5.0}, "length_ps: want at least one frame of 0.5 ps, got -5.0"),
        ({"length_ps": float("inf")}, "length_ps: want at least one frame of 0.5 ps, got inf"),
        ({"length_ps": float("nan")}, "length_ps: want at least one frame of 0.5 ps, got nan"),
        ({"length_ps": "20"}, "length_ps: want float or int, got '20' (str); it is quoted"),
        ({"nu": "2"}, "MACEConfig.correlation: want int, got '2' (str); it is quoted"),
        ({"nu": 4}, "MACEConfig.correlation (nu): want 1, 2 or 3, got 4"),
        ({"replicas": 0}, "MDConfig.replicas: want a positive number, got 0"),
        ({"epochs": True}, "TrainConfig.epochs: want int, got True (bool)"),
        ({"frames": -1}, "DataConfig.frames: want a positive number, got -1"),
        ({"seed": 1.5}, "TrainConfig.seed: want int, got 1.5 (float)"),
        ({"potential": "nequp"}, "potential: want one of ['mace', 'nequip'], got 'nequp'; did you mean 'nequip'?"),
        (
            {"potential": "nequip", "nu": 3},
            "nu and bond_types are settings of MACE alone, got nu = 3, bond_types = False",
        ),
    ],
)
def test_mistyped_parameters_of_a_run_are_refused(parameters, message):
    with refuses(message):
        run_config(**parameters)


def test_the_chosen_network_gets_the_parameters():
    mace = run_config(cutoff_nm=0.6, bond_types=True)
    assert mace.network == mace.mace == MACEConfig(cutoff_nm=0.6, bond_types=True)
    nequip = run_config(potential="nequip", cutoff_nm=0.6, symmetry="SO3")
    assert nequip.network == nequip.nequip == NequIPConfig(cutoff_nm=0.6, symmetry="SO3")
    assert nequip.fit == FitConfig(data=nequip.data, nequip=nequip.nequip, train=nequip.train)
    assert run_config(potential="nequip", layers=5).network.layers == 5


def test_an_unknown_parameter_of_a_run_is_refused():
    with pytest.raises(TypeError, match="lenght_ps"):
        run_config(lenght_ps=20.0)
