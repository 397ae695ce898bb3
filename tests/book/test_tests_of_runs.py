"""What `cgcore accept` and `cgcore reweight` found of an observation, among the results of a chapter."""

import pytest

from cgbook import collect
from cgbook.results import load
from cgcore import steps
from cgcore.acceptance import Criterion
from cgcore.analysis.blocks import Estimate
from cgcore.store import StoreError, write_json, write_npz


@pytest.fixture
def observed(tmp_path):
    """A finished observation of a network that learnt from the set with a bias, as far as its tests need it."""
    folder = tmp_path / "runs" / "amino_acids" / "abc"
    folder.mkdir(parents=True)
    config = steps.configure("amino_acids", map="core_beta", reference="ala2_obc2_phi", weights="none").resolved()
    results = {"updates": 6735, "training_s": 300.0, "force_mae_meV_per_A": 705.0, "alpha_R": 0.3}
    write_npz(folder / "curves.npz")
    made = {"id": "abc", "config": config, "data": {}, "made_of": {}, "results": results}
    write_json(folder / "manifest.json", made)
    return folder


def criteria(where: str) -> list[dict]:
    depth = Criterion(f"{where}: phi_positive: depth against the reference", 1.5, 0.4, 2.5, "kJ/mol", "pass")
    depth = depth._replace(ours=Estimate(0.04, 0.01), theirs=Estimate(0.022, 0.001))
    halves = Criterion(f"{where}: phi_positive: second half less first", 0.01, 0.02, 0.1, "", "pass")
    return [t._asdict() for t in (depth, halves, Criterion("frames left", 900.0, None, 100.0, "", "pass"))]


def test_tests_are_runs_of_their_own_beside_what_the_training_rests_on(observed, tmp_path):
    about = {"against": "ala2_obc2_phi", "tests": criteria("walks")}
    write_json(observed / "acceptance.json", about | {"verdict": "pass"})
    write_json(observed / "reweighted.json", about | {"walked": "def"})
    collect.collect([observed], tmp_path / "amino_acids", tests_only=True)
    chapter = load(tmp_path / "amino_acids")
    assert sorted(about["kind"] for about in chapter.runs.values()) == ["acceptance", "reweighted"]
    rows = chapter.rows[chapter.one(kind="acceptance", reference="ala2_obc2_phi", against="ala2_obc2_phi")]
    assert (rows["walks_phi_positive_depth_kJ_mol"].value, rows["walks_phi_positive_depth_kJ_mol"].error) == (1.5, 0.4)
    assert rows["walks_phi_positive_depth_kJ_mol"].unit == "kJ/mol" and rows["verdict"].value == "pass"
    assert (rows["walks_phi_positive"].value, rows["reference_phi_positive"].value) == (0.04, 0.022)
    assert rows["walks_phi_positive_halves"].value == 0.01 and rows["walks_phi_positive_halves_verdict"].value == "pass"
    assert (rows["atomistic_ns"].value, rows["updates"].value) == (48.0, 6735) and "alpha_R" not in rows
    assert chapter.rows[chapter.one(kind="reweighted")]["walked"].value == "def"


def test_an_observation_that_nobody_tested_is_refused(observed, tmp_path):
    with pytest.raises(StoreError, match="want what `cgcore accept` or `cgcore reweight` finds"):
        collect.collect([observed], tmp_path / "amino_acids", tests_only=True)
