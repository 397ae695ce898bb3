"""Sentences of the book that no number is inserted into, held against the rows they speak of."""

from itertools import pairwise

import numpy as np
import pytest

from cgbook.results import BOOK, load
from cgcore.doctor.findings import LIMITS
from cgcore.units import kT


@pytest.fixture(scope="module")
def chapter():
    kept = {}
    return lambda name: kept.setdefault(name, load(BOOK / "results" / name))


def beyond_sampling(chapter, label) -> tuple[float, float]:
    """By how much a surface is further from its reference than sampling alone makes it, and the error of that, in bit."""
    row = chapter.row(label, "js_reference")
    return row.value - chapter.value(label, "js_reference_floor"), row.error


def test_none_of_the_nine_models_of_alanine_has_the_populations_of_its_reference(chapter):
    amino = chapter("amino_acids")
    nine = [label for label in amino.table() if label != "reference_ala2"]
    assert len(nine) == 9
    assert all(beyond_sampling(amino, label)[0] > 0.02 for label in nine)


@pytest.mark.parametrize(
    "label, comes", [("core_beta_obc2_optimised_16_epochs", True), ("pro_core_beta", True), ("thr_core_beta", False)]
)
def test_which_models_come_to_their_reference_within_their_error(chapter, label, comes):
    excess, error = beyond_sampling(chapter("amino_acids"), label)
    assert (excess < 2 * error) == comes


def test_bond_types_end_the_exchange_beyond_the_limits_of_all_runs(chapter):
    hexane = chapter("hexane")
    untold = [*hexane.table("no_bond_types"), "two_site_mace_nu2_l2_800pm_barrier_hexane_3000_frames"]
    lower = min(hexane.value(label, "rearrangement_rate_low") for label in untold)
    for label in hexane.table("bond_types"):
        assert hexane.value(label, "n_exchanges") == 0
        assert hexane.value(label, "rearrangement_rate_high") < lower


def test_the_blind_test_is_decided_and_right(chapter):
    """Limits stand beside the counts; what the text does not say is that nothing was undecided."""
    doctor = chapter("doctor")
    counts = [doctor.value("blind_counts", name) for name in ("questions", "decided", "right")]
    assert len(set(counts)) == 1


def test_the_recipe_is_accepted_and_the_improper_prior_holds(chapter):
    amino = chapter("amino_acids")
    assert amino.value("recipe", "verdict") == "pass"
    assert amino.value("inversion_core_beta_improper", "runs_with_transition") == 0
    climbed, barrier = amino.value("inversion_core_beta_improper", "sampled_range_kJ_mol"), "barrier_kJ_mol"
    assert climbed > 1.4 * amino.value("inversion_core_beta", barrier)


def test_the_helix_of_the_chains_does_not_grow_and_core_beta_has_none(chapter):
    chain = chapter("polyalanine")
    for label in ("chain_core", "chain_core_beta"):
        early, late = (chain.row(label, f"alpha_{half}") for half in ("early", "late"))
        assert late.value - early.value < np.hypot(early.error, late.error)
    assert chain.value("chain_core_beta", "helical") == 0 < chain.value("chain_core", "helical")


def test_a_network_as_trained_has_an_eighth_to_a_quarter_of_the_gain(chapter):
    engine = chapter("engine")
    parts = [
        rows["plain_ratio"].value / rows["ours_ratio"].value for rows in engine.rows.values() if "plain_ratio" in rows
    ]
    assert len(parts) == 4 and all(0.12 < part < 0.26 for part in parts)


def test_the_noise_of_half_the_time_is_that_of_all_of_it(chapter):
    for rows in chapter("mean_forces").rows.values():
        if "noise_half_rmse" in rows:
            half, whole = rows["noise_half_rmse"], rows["noise_rmse"]
            assert abs(whole.value - half.value) < np.hypot(half.error, whole.error)


def test_the_map_of_which_the_doctor_is_contradicted(chapter):
    doctor = chapter("doctor")
    agrees = {about["config"].get("case"): doctor.rows[run].get("agrees") for run, about in doctor.runs.items()}
    wrong = {case: row.value for case, row in agrees.items() if row and str(row.value).startswith("no")}
    assert wrong == {"ala15_obc2_chain_ca": "no: rearrangement"}


def test_the_thresholds_that_the_chapter_types_are_those_of_the_doctor():
    text = (BOOK / "systems" / "doctor.md").read_text(encoding="utf-8")
    assert f"closest contact to longest bond, {LIMITS['separation']:g}, is set by hand" in text


def test_the_networks_of_the_physics_report_pass(chapter):
    for run, rows in chapter("physics").rows.items():
        sigmas = [row.value for name, row in rows.items() if name.endswith("_sigma") and row.value is not None]
        chances = [row.value for name, row in rows.items() if name.endswith("_p") and row.value is not None]
        assert max(sigmas) < 3 and min(chances) > 0.003, run


def apart(first, second) -> float:
    """By how many joint standard errors two rows differ."""
    return abs(first.value - second.value) / np.hypot(first.error, second.error)


def test_runs_without_a_bias_contradict_the_biased_ones_nowhere(chapter):
    reference = chapter("reference")
    assert reference.value("sides_unbiased", "inside") == reference.value("sides_unbiased", "entries") == 0
    assert reference.value("sides_balance", "entries_p") > 0.05
    for quantity, other in (("psi_negative_inside", "sides_biased"), ("alpha_R_outside", "sides_unbiased")):
        assert apart(reference.row("sides_left", quantity), reference.row(other, quantity)) < 2


def test_held_frames_teach_more_than_plain_sums_and_less_than_optimised_ones(chapter):
    amino = chapter("amino_acids")
    depths = [
        amino.row(f"labels_{kind}", "walks_phi_positive_depth_kJ_mol").value for kind in ("sum", "held", "optimised")
    ]
    assert depths == sorted(depths, reverse=True) and depths[-1] > 0
    beside = [
        amino.row(f"labels_{kind}", "walks_phi_positive_less_walked_kJ_mol") for kind in ("sum", "held", "optimised")
    ]
    assert all(apart(first, second) > 2 for first, second in pairwise(beside))
    verdicts = {
        kind: [
            amino.value(f"labels_{kind}", f"walks_{basin}_depth_kJ_mol_verdict")
            for basin in ("phi_positive", "alpha_R")
        ]
        for kind in ("sum", "held", "optimised")
    }
    assert verdicts == {
        "sum": ["fail", "undecided"],
        "held": ["undecided", "pass"],
        "optimised": ["undecided", "pass"],
    }
    cost = [amino.value(f"labels_{kind}", "atomistic_ns") for kind in verdicts]
    assert max(cost) < 1.01 * min(cost)
    assert all(amino.value(f"labels_{kind}", "frames_left") > 1000 for kind in verdicts)


def test_of_the_tests_of_48_ns_none_fails_and_the_depth_behind_the_barrier_passes(chapter):
    amino = chapter("amino_acids")
    rows = amino.rows[amino.run("labels_all")]
    verdicts = {name: row.value for name, row in rows.items() if name.endswith("_verdict")}
    assert rows["verdict"].value == "undecided" and "fail" not in verdicts.values()
    assert verdicts["walks_phi_positive_depth_kJ_mol_verdict"] == "pass"
    others = ("free_failed", "walks_failed", "constant_energy_failed", "extrapolating", "heating_K")
    assert {verdicts[f"{name}_verdict"] for name in others} == {"pass"}
    alpha = rows["walks_alpha_R_depth_kJ_mol"]
    assert abs(alpha.value) < kT(300.0) < abs(alpha.value) + 2 * alpha.error


def test_every_combination_of_the_doctor_is_judged_by_runs_of_ours(chapter):
    doctor = chapter("doctor")
    ours, observed = (doctor.value("calibration_thresholds", name) for name in ("ours", "observed"))
    assert ours == observed
