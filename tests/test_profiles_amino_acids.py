"""What the amino-acid notebook's parameters make, and what the profiles change."""

import re

import pytest

from cgcore.config import ConfigError, MACEConfig, MDConfig, NequIPConfig
from cgcore.profiles.amino_acids import LARGER, PROFILES, STUDIES, PeptideFitConfig, run_config
from cgcore.reference import sets


def refuses(message: str):
    return pytest.raises(ConfigError, match=re.escape(message))


@pytest.mark.parametrize(("profile", "values"), PROFILES.items(), ids=PROFILES)
def test_a_profile_sets_its_numbers_and_nothing_else(profile, values):
    for study, map in zip(STUDIES, ("core", "core", "core_beta"), strict=True):
        config = run_config(profile=profile, study=study, map=map)
        assert (config.data.frames, config.train.epochs) == (values["frames"], values["train"]["epochs"])
        assert (config.md.replicas, config.md.length_ps) == (values[study][0], pytest.approx(values[study][1]))
        assert config.mace == MACEConfig()


def test_the_paper_profile_is_the_study():
    config = run_config(profile="paper")
    train, md = config.train, config.md
    assert (train.epochs, train.batch_size, train.learning_rate, train.learning_rate_decay) == (50, 32, 1e-3, 0.9)
    assert (md.replicas, md.length_ps, md.dt_ps, md.friction_per_ps) == (100, pytest.approx(5000), 0.002, 100.0)
    nve = run_config(profile="paper", study="nve").md
    assert (nve.replicas, nve.length_ps, nve.ensemble) == (100, pytest.approx(100), "nve")
    for map, length_ps in (("core_beta", 5000.0), ("heavy_atom", 5000.0), ("atomistic", 2500.0)):
        md = run_config(profile="paper", study="inversion", map=map, seed=3).md
        n_frames = round(length_ps / 0.5)  # a frame and a hill every 500 steps of 1 fs
        assert md == MDConfig(replicas=4, n_frames=n_frames, steps_per_frame=500, dt_ps=0.001, seed=3)


@pytest.mark.parametrize("profile", ["quick", "laptop"])
def test_larger_maps_get_less(profile):
    """Replica picoseconds go down with the beads, so that no map takes much longer than another."""
    small, ten, all_atoms = (run_config(profile=profile, map=map) for map in ("core", "united_atom", "atomistic"))
    time_ps = [config.md.replicas * config.md.length_ps for config in (small, ten, all_atoms)]
    assert time_ps == sorted(time_ps, reverse=True)
    assert small.train.epochs > ten.train.epochs > all_atoms.train.epochs
    assert run_config(profile=profile, map="heavy_atom").md == ten.md
    assert LARGER.keys() == {"heavy_atom", "united_atom", "atomistic"}


def test_three_studies_share_one_fit():
    fits = [run_config(profile="laptop", map="heavy_atom", study=study).fit for study in STUDIES]
    assert fits[0] == fits[1] == fits[2]


def test_each_residue_has_a_reference():
    known = {entry.name for entry in sets.available()}
    chosen = {residue: run_config(residue=residue).reference for residue in ("ala", "gly", "pro", "thr")}
    assert chosen["ala"] == "ala2" and chosen["gly"] == "gly2_obc2" and set(chosen.values()) <= known
    assert run_config(reference="obc2").reference == "ala2_obc2" in known
    assert run_config(residue="pro", reference="my/folder").reference == "my/folder"


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
        (
            {"study": "inversions"},
            "study: want one of ['inversion', 'nve', 'nvt'], got 'inversions'; did you mean 'inversion'?",
        ),
        ({"study": "inversion"}, "study 'inversion': want a map with a bead CB, which map 'core' of 'ala' has not"),
        ({"study": "inversion", "residue": "gly", "map": "heavy_atom"}, "which map 'heavy_atom' of 'gly' has not"),
        ({"reference": 3}, "reference: want str or NoneType, got 3 (int)"),
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
        ({"force_map": "best"}, "force_map: want one of ['optimal', 'sum'], got 'best'"),
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
    assert nequip.fit == PeptideFitConfig(data=nequip.data, nequip=nequip.nequip, train=nequip.train)
    assert run_config(force_map="optimal").fit.force_map == "optimal" != run_config().fit.force_map
    assert run_config(potential="nequip", layers=5).network.layers == 5


def test_an_unknown_parameter_of_a_run_is_refused():
    with pytest.raises(TypeError, match="lenght_ps"):
        run_config(lenght_ps=20.0)
