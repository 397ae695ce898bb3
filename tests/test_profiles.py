"""What templates' parameters make: the numbers of every profile and map, what is given beside them, and what is refused."""

import dataclasses
import re
from pathlib import Path

import pytest

from cgcore import mapping
from cgcore.config import ConfigError as Refused
from cgcore.config import DataConfig, MACEConfig, MDConfig, NequIPConfig, SplineConfig, TrainConfig
from cgcore.profiles import configure, system_table, systems
from cgcore.reference import sets

SMALL, TEN, ALL = ("core", "core_beta"), ("heavy_atom", "united_atom"), ("atomistic",)
HEXANE = ("four_site", "three_site", "two_site", "six_site")
CHAIN = ("chain_ca", "chain_core", "chain_core_beta")
CUTOFF_NM = {"four_site": 0.65, "three_site": 0.70, "two_site": 0.80, "six_site": 0.65, "chain_ca": 1.2}
SHORT, SHORTER, PAPER = (4e-3, 0.03), (4e-3, 0.01), (1e-3, 0.9)
# profile, maps: frames, epochs, batch, learning rate and its decay; replicas and length in ps of each protocol
NUMBERS = [
    ("amino_acids", "quick", SMALL, 8000, 8, 32, SHORT, {"nvt": (32, 80), "nve": (4, 3), "inversion": (2, 25)}),
    ("amino_acids", "quick", TEN, 4000, 3, 32, SHORT, {"nvt": (32, 5), "nve": (2, 3), "inversion": (2, 10)}),
    ("amino_acids", "quick", ALL, 4000, 2, 32, SHORT, {"nvt": (8, 1), "nve": (2, 2), "inversion": (2, 1)}),
    ("amino_acids", "laptop", SMALL, None, 10, 32, SHORT, {"nvt": (40, 200), "nve": (20, 20), "inversion": (4, 5000)}),
    ("amino_acids", "laptop", TEN, None, 5, 32, SHORT, {"nvt": (20, 200), "nve": (20, 20), "inversion": (3, 5000)}),
    ("amino_acids", "laptop", ALL, None, 3, 32, SHORT, {"nvt": (16, 20), "nve": (10, 10), "inversion": (2, 1000)}),
    ("amino_acids", "paper", SMALL + TEN, None, 50, 32, PAPER, {"nvt": (100, 5000), "inversion": (4, 5000)}),
    ("amino_acids", "paper", ALL, None, 50, 32, PAPER, {"nvt": (100, 5000), "nve": (100, 100), "inversion": (4, 2500)}),
    ("hexane", "quick", HEXANE, 150, 1, 1, SHORT, {"nvt": (2, 10)}),
    ("hexane", "laptop", HEXANE, None, 2, 1, SHORT, {"nvt": (4, 60)}),
    ("hexane", "gpu", HEXANE, None, 4, 8, SHORTER, {"nvt": (20, 60)}),
    ("hexane", "paper", HEXANE, None, 50, 32, PAPER, {"nvt": (50, 1000)}),
    ("polyalanine", "quick", CHAIN, 670, 1, 4, SHORT, {"nvt": (4, 5)}),
    ("polyalanine", "laptop", CHAIN, None, 4, 4, SHORTER, {"nvt": (20, 500)}),
    ("polyalanine", "paper", CHAIN, None, 50, 32, PAPER, {"nvt": (100, 5000)}),
]
BLOCKS = {"amino_acids": (10, 1), "hexane": (10, 2), "polyalanine": (10, 1)}
REFERENCE = {"amino_acids": "ala2", "hexane": "hexane", "polyalanine": "ala15_obc2"}


def refuses(message: str):
    return pytest.raises(Refused, match=re.escape(message))


@pytest.mark.parametrize("row", NUMBERS, ids=lambda row: "-".join(row[:2]) + f"-{row[2][0]}")
def test_a_profile_sets_its_numbers_and_nothing_else(row):
    """Each number is given here again; everything else is a default of the configuration."""
    system, profile, maps, frames, epochs, batch, (rate, decay), protocols = row
    for map in maps:
        for protocol, (replicas, length_ps) in protocols.items():
            if (map, protocol) == ("core", "inversion"):
                continue
            config = configure(system, profile=profile, map=map, protocol=protocol)
            rates = dict(learning_rate=rate, learning_rate_decay=decay, seed=22)
            assert config.train == TrainConfig(epochs=epochs, batch_size=batch, **rates)
            assert config.potential == MACEConfig(cutoff_nm=CUTOFF_NM.get(map, 0.5))
            dt_ps = 0.001 if protocol == "inversion" else 0.0005 if map == "atomistic" else 0.002
            assert config.md == MDConfig(
                replicas=replicas,
                n_frames=2 * length_ps,
                steps_per_frame=round(0.5 / dt_ps),
                dt_ps=dt_ps,
                seed=22,
                ensemble="nve" if protocol == "nve" else "nvt",
            )
            assert (config.md.length_ps, config.md.frame_ps) == (pytest.approx(length_ps), pytest.approx(0.5))
            blocks, valid = BLOCKS[system]
            chosen = dict(map=map, frames=frames, reference=REFERENCE[system], blocks=blocks, valid_blocks=valid)
            assert config.data == DataConfig(residue="hex" if system == "hexane" else "ala", **chosen)
            prior = ("barrier", "repulsion") if (system, profile) == ("amino_acids", "quick") else ("repulsion",)
            assert (config.prior, config.protocol, config.system) == (prior, protocol, system)


def test_all_maps_of_a_profile_are_maps_that_there_are():
    assert set(systems()) == {"amino_acids", "hexane", "molecule", "polyalanine"}
    assert "maps" not in system_table("molecule")  # it is for any
    known = {entry.map for entry in mapping.available()}
    looked_at = {(row[0], row[1], map) for row in NUMBERS for map in row[2]}
    for system in set(systems()) - {"molecule"}:
        table = system_table(system)
        assert table["maps"].keys() <= known
        assert {(system, p, m) for p in table["profiles"] for m in table["maps"]} <= looked_at


def test_templates_have_the_parameters_of_configure():
    """So that a notebook hands on everything, and nothing else."""
    from cgbook.parameters import read_parameters

    known = configure.__kwdefaults__.keys()
    for system in systems():
        template = Path(__file__).parents[1] / "notebooks" / f"{system}.ipynb"
        assert read_parameters(template).keys() - {"out_dir"} <= known


@pytest.mark.parametrize("profile", ["quick", "laptop"])
def test_larger_maps_get_less(profile):
    """Replica picoseconds go down with the beads, so that no map takes much longer than another."""
    maps = ("core", "united_atom", "atomistic")
    small, ten, all_atoms = (configure("amino_acids", profile=profile, map=map) for map in maps)
    time_ps = [config.md.replicas * config.md.length_ps for config in (small, ten, all_atoms)]
    assert time_ps == sorted(time_ps, reverse=True)
    assert small.train.epochs > ten.train.epochs > all_atoms.train.epochs


def test_three_protocols_share_one_fit():
    """The fit is named by data, potential and training, which the protocol leaves alone."""
    three = [
        configure("amino_acids", profile="laptop", map="heavy_atom", protocol=p) for p in ("nvt", "nve", "inversion")
    ]
    assert len({(c.data, c.potential, c.train, c.prior) for c in three}) == 1


def test_each_residue_has_a_reference():
    known = {entry.name for entry in sets.available()}
    residues = ("ala", "gly", "pro", "thr")
    chosen = {residue: configure("amino_acids", residue=residue).data.reference for residue in residues}
    assert chosen["ala"] == "ala2" and chosen["gly"] == "gly2_obc2" and set(chosen.values()) <= known
    assert configure("amino_acids", reference="obc2").data.reference == "ala2_obc2" in known
    assert configure("amino_acids", residue="pro", reference="my/folder").data.reference == "my/folder"
    assert configure("hexane", reference="my/folder").data.reference == "my/folder"


def test_parameters_override_the_profile():
    given = dict(frames=100, epochs=3, replicas=5, length_ps=2, nu=3, layers=1, cutoff_nm=0.4, seed=7)
    config = configure("amino_acids", profile="laptop", **given)
    assert (config.data.frames, config.train.epochs, config.md.replicas, config.md.n_frames) == (100, 3, 5, 4)
    assert config.potential == MACEConfig(correlation=3, layers=1, cutoff_nm=0.4)
    assert (config.train.seed, config.md.seed) == (7, 7)
    assert configure("polyalanine", mirror=True, force_map="optimised").data == DataConfig(
        residue="ala", map="chain_ca", reference="ala15_obc2", frames=670, force_map="optimised", mirror=True
    )


def test_the_chosen_potential_gets_the_parameters():
    assert configure("amino_acids", cutoff_nm=0.6, bond_types=True).potential == MACEConfig(
        cutoff_nm=0.6, bond_types=True
    )
    nequip = configure("hexane", map="two_site", potential="nequip", layers=5, symmetry="SO3")
    assert nequip.potential == NequIPConfig(layers=5, cutoff_nm=0.8, symmetry="SO3") and nequip.kind == "nequip"
    spline = configure("hexane", potential="spline")
    assert (spline.potential, spline.train, spline.prior, spline.kind) == (SplineConfig(), None, (), "spline")


def test_priors_are_a_sorted_list_of_words():
    """In whatever order they are given, the run is the same one; None is the repulsion of a network and none for splines."""
    both = configure("hexane", prior="repulsion+barrier")
    assert both.prior == ("barrier", "repulsion")
    assert both == configure("hexane", prior="barrier+repulsion")
    assert configure("hexane", prior="none").prior == ()
    assert configure("amino_acids", prior="improper+bonds").prior == ("bonds", "improper")
    assert configure("hexane", potential="spline", prior="barrier").prior == ("barrier",)


@pytest.mark.parametrize(
    ("system", "parameters", "message"),
    [
        ("amino_acids", {"protocol": "inversions"}, "got 'inversions'; did you mean 'inversion'?"),
        ("hexane", {"protocol": "nve"}, "protocol: want one of ['nvt'], got 'nve'"),
        ("amino_acids", {"protocol": "inversion"}, "want a map with a bead CB, which map 'core' of 'ala' has not"),
        (
            "amino_acids",
            {"protocol": "inversion", "residue": "gly", "map": "heavy_atom"},
            "which map 'heavy_atom' of 'gly' has not",
        ),
        ("amino_acids", {"residue": "alla"}, "residue: want one of ['ala', 'gly', 'pro', 'thr'], got 'alla'; did you"),
        ("amino_acids", {"reference": 3}, "reference: want str or NoneType, got 3 (int)"),
        ("amino_acids", {"profile": "quik"}, "want one of ['laptop', 'paper', 'quick'], got 'quik'; did you mean"),
        ("amino_acids", {"length_ps": 0}, "length_ps: want at least 0.5 and at most 50000000.0, got 0"),
        ("amino_acids", {"length_ps": -5.0}, "length_ps: want at least 0.5 and at most 50000000.0, got -5.0"),
        ("amino_acids", {"length_ps": float("inf")}, "length_ps: want at least 0.5 and at most 50000000.0, got inf"),
        ("amino_acids", {"length_ps": float("nan")}, "length_ps: want at least 0.5 and at most 50000000.0, got nan"),
        ("amino_acids", {"length_ps": "20"}, "length_ps: want float, got '20' (str); it is quoted"),
        ("amino_acids", {"nu": "2"}, "nu: want int, got '2' (str); it is quoted"),
        ("amino_acids", {"nu": 4}, "nu: want at least 1 and at most 3, got 4"),
        ("amino_acids", {"replicas": 0}, "MDConfig.replicas: want at least 1 and at most 1000000, got 0"),
        ("hexane", {"replicas": "four"}, "MDConfig.replicas: want int, got 'four'"),
        ("amino_acids", {"epochs": True}, "TrainConfig.epochs: want int, got True (bool)"),
        ("amino_acids", {"frames": -1}, "DataConfig.frames: want at least 1, got -1"),
        ("amino_acids", {"seed": 1.5}, "seed: want int, got 1.5 (float)"),
        ("amino_acids", {"potential": "nequp"}, "got 'nequp'; did you mean 'nequip'?"),
        ("hexane", {"potential": "splines"}, "got 'splines'; did you mean 'spline'?"),
        ("hexane", {"map": "four_sites"}, "got 'four_sites'; did you mean 'four_site'?"),
        ("amino_acids", {"force_map": "best"}, "force_map: want one of ['optimised', 'sum'], got 'best'"),
        ("amino_acids", {"potential": "nequip", "nu": 3}, "nu is a setting of MACE alone, got nu = 3 for nequip"),
        ("hexane", {"potential": "spline", "bond_types": True}, "bond_types is a setting of MACE alone"),
        ("hexane", {"potential": "spline", "cutoff_nm": 0.7}, "cutoff_nm is a setting of networks, not of splines"),
        (
            "hexane",
            {"prior": "repulson"},
            "prior: want one of",
        ),
        ("hexane", {"prior": "repulson"}, "got 'repulson'; did you mean 'repulsion'?"),
        ("hexane", {"prior": 3}, "prior: want str, got 3 (int)"),
        ("polyalanine", {"mirror": 1}, "DataConfig.mirror: want bool, got 1 (int)"),
        ("polyalanine", {"lenght_ps": 20.0}, "unknown parameter 'lenght_ps'; known are"),
        ("polyalanine", {"lenght_ps": 20.0}, "did you mean 'length_ps'?"),
    ],
)
def test_what_cannot_be_run_is_refused(system, parameters, message):
    with refuses(message):
        configure(system, **parameters)


def test_a_system_without_a_profile_is_refused():
    with pytest.raises(FileNotFoundError, match="no profile of a system 'hexan'; there are .*'hexane'"):
        configure("hexan")
    assert dataclasses.is_dataclass(configure("hexane"))
