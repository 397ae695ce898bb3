"""The proof table's arithmetic, its cases, what our own runs have seen, and the molecule of the tutorial."""

import numpy as np
import pytest

from cgbook import doctor_table
from cgbook.doctor_table import cases
from cgbook.results import BOOK, Row, add
from cgcore import io, map_files


def test_there_are_more_than_25_combinations_each_once_and_all_load():
    every = [case for group in cases().values() for case in group]
    assert len(cases()["maps"]) > 25
    assert len({case.name for case in every}) == len(every)
    for case in every:
        map_files.find(case.map, typing=case.typing, residue=case.residue)


def test_agreement_counts_only_what_was_observed_and_barriers_are_not_seen_in_plain_simulations():
    table = dict.fromkeys(("mirror", "direction", "rearrangement", "inversion"), "no")
    table |= {f"{k}_observed": "–" for k in ("mirror", "direction", "rearrangement", "inversion")}
    assert doctor_table.agreement(table) == "–"
    assert doctor_table.agreement(table | {"mirror": "behind a barrier", "mirror_observed": "no"}) == "yes"
    assert doctor_table.agreement(table | {"inversion_observed": "behind a barrier"}) == "no: inversion"
    assert (
        doctor_table.agreement(table | {"rearrangement_observed": "yes", "mirror_observed": "no"})
        == "no: rearrangement"
    )


def test_a_threshold_is_fitted_on_one_half_and_judged_on_the_other():
    rows = [
        {"separation": s, "rearrangement_observed": seen, "mirror_observed": "–", "agrees": "yes"}
        for s, seen in ((0.8, "yes"), (0.9, "yes"), (1.6, "no"), (1.5, "no"), (1.25, "no"), (1.1, "no"))
    ]
    found = doctor_table.calibration(rows)
    assert found["separation"] == pytest.approx(1.0)  # the root of 0.8 * 1.25
    assert (found["separation_fitted"], found["separation_judged"], found["separation_right"]) == (3, 3, 3)
    assert found["bound_bit"] is None
    assert (found["combinations"], found["observed"], found["agree"]) == (6, 6, 6)


def test_own_observations_come_from_the_runs_that_are_there(tmp_path):
    def simulated(chapter, table, seed=0, **config):
        data = {"residue": "ala", "typing": "published", "reference": "ala2"} | config
        potential = {"potential": data.pop("potential", "mace"), "bond_types": data.pop("bond_types", False)}
        potential["symmetry"] = data.pop("symmetry", "O3")
        settings = {"data": data, "potential": potential, "train": {"seed": seed}}
        add(tmp_path / chapter, "simulation", settings, table, manifest={})

    assert doctor_table.seen_here(tmp_path) == {}
    surface = {"point_symmetry": 0.01, "point_symmetry_floor": 0.007, "point_symmetry_error": 0.002, "n_replicas": 20}
    for name in ("chain_symmetry", "mirror_chain_symmetry"):
        surface |= {name: 0.7, f"{name}_floor": 0.01, f"{name}_error": 0.01}
    chiral = surface | {"point_symmetry": 0.99}
    for residue, table in (("ala", chiral), ("gly", surface)):
        add(
            tmp_path / "amino_acids",
            "reference",
            {"data": {"reference": f"{residue}2", "residue": residue}},
            table,
            manifest={},
        )
    simulated("amino_acids", surface, map="core")
    simulated("amino_acids", chiral, map="core", symmetry="SO3")
    simulated("amino_acids", surface, map="core", residue="gly", reference="gly2")
    backwards = chiral | {"mirror_chain_symmetry": 0.02}
    simulated("amino_acids", backwards, map="core_beta", typing="single")
    liquid = {"residue": "hex", "reference": "hexane"}
    none, some, short = (
        {"rearrangement_rate_low": low, "rearrangement_rate_high": high} for low, high in ((0, 0.4), (0.3, 4), (0, 3.7))
    )
    simulated("hexane", none, map="two_site", **liquid)
    simulated("hexane", some, map="two_site", seed=1, **liquid)
    simulated("hexane", none, map="two_site", typing="labelled", **liquid)
    simulated("hexane", some, map="two_site", typing="labelled", bond_types=True, **liquid)
    simulated("hexane", some, map="two_site", typing="labelled", potential="spline", **liquid)
    simulated("hexane", short, map="three_site", **liquid)  # no event in a run that could hardly have had one
    assert doctor_table.seen_here(tmp_path) == {
        ("ala", "core", "published"): {"mirror": "yes", "direction": "no"},
        ("gly", "core", "published"): {"mirror": "no", "direction": "no"},  # glycine is its own mirror image
        ("ala", "core_beta", "single"): {"mirror": "no", "direction": "yes"},
        ("hex", "two_site", "published"): {"rearrangement": "yes"},
        ("hex", "two_site", "labelled"): {"rearrangement": "no"},
        ("hex", "three_site", "published"): {"rearrangement": "undecided"},
    }


@pytest.mark.parametrize(
    "model, atoms, word",
    [
        ((0.02, 0.005), (0.99, 0.01), "yes"),
        ((0.25, 0.08), (0.99, 0.01), "yes"),
        ((0.39, 0.13), (0.99, 0.01), "undecided"),  # weak data are no evidence of a symmetry
        ((0.54, 0.10), (0.92, 0.03), "undecided"),  # nor against one
        ((0.80, 0.10), (0.92, 0.03), "no"),
        ((0.02, 0.005), (0.02, 0.01), "no"),  # the molecule has the symmetry itself
    ],
)
def test_a_symmetry_is_seen_or_not_by_the_rule_of_the_blind_test(model, atoms, word):
    more = {"point_symmetry_floor": Row(0.02), "n_replicas": Row(20)}
    rows = [{"point_symmetry": Row(value, error)} | more for value, error in (model, atoms)]
    assert doctor_table._symmetric(*rows, "point_symmetry") == word


def test_what_is_undecided_counts_neither_way():
    table = dict.fromkeys(("mirror", "direction", "rearrangement", "inversion"), "yes")
    table |= {f"{question}_observed": "undecided" for question in table}
    assert doctor_table.agreement(table) == "–"


def test_whose_observation_it_is_stands_beside_it():
    case = next(c for c in cases()["maps"] if c.name == "hexane_two_site")
    key = ("hex", "two_site", "published")
    seen_by = doctor_table.seen_by
    assert seen_by(case, {}, "rearrangement") == ("yes", "yes (study)")
    assert seen_by(case, {key: {"rearrangement": "yes"}}, "rearrangement") == ("yes", "yes (both)")
    assert seen_by(case, {key: {"rearrangement": "no"}}, "rearrangement") == ("no", "no (ours), yes (study)")
    assert seen_by(case, {}, "inversion") == ("–", "–")
    labelled = next(c for c in cases()["maps"] if c.name == "hexane_two_site_labelled")
    ours = {(*key[:2], "labelled"): {"rearrangement": "no"}}
    assert seen_by(labelled, ours, "rearrangement") == ("no", "no (ours)")
    control = cases()["controls"][1]
    assert seen_by(control, {("ala", "core", "published"): {"mirror": "no"}}, "mirror") == ("–", "–")


def test_words_stand_in_a_table_as_they_are():
    assert Row("no: rearrangement").text() == "no: rearrangement"


@pytest.mark.parametrize(
    ("file", "residues"),
    [
        ("thr_phe.pdb", "ACE THR PHE NME"),
        ("chignolin.pdb", "GLY TYR ASP PRO GLU THR GLY THR TRP GLY"),
    ],
)
def test_molecules_of_the_page_are_whole_and_left_handed(file, residues):
    path = BOOK / "doctor_maps" / file
    topology, (position,) = io.read_topology(path), io.read(path, io.read_topology(path), frame_ps=1.0).position
    of = topology.residue_index
    assert [topology.residues[of.index(k)] for k in range(max(of) + 1)] == residues.split()
    at = {(k, n): x for k, n, x in zip(of, topology.names, np.asarray(position), strict=True)}
    for k in (k for k in range(max(of) + 1) if (k, "CB") in at):
        ca, n, c, cb = (at[k, name] for name in ("CA", "N", "C", "CB"))
        assert np.dot(n - ca, np.cross(c - ca, cb - ca)) > 0
    bonds = np.linalg.norm(np.diff(np.asarray(position)[topology.bonds], axis=1), axis=-1)
    assert bonds.min() > 0.09 and bonds.max() < 0.17


def test_the_ring_of_the_page_s_molecule_is_regular():
    path = BOOK / "doctor_maps" / "thr_phe.pdb"
    topology, (position,) = io.read_topology(path), io.read(path, io.read_topology(path), frame_ps=1.0).position
    at = {(r, n): x for r, n, x in zip(topology.residues, topology.names, np.asarray(position), strict=True)}
    ring = np.array([at["PHE", name] for name in ("CG", "CD1", "CE1", "CZ", "CE2", "CD2")])
    assert np.linalg.norm(ring - np.roll(ring, 1, axis=0), axis=1) == pytest.approx(np.full(6, 0.1395), abs=4e-3)
