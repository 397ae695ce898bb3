"""The blind test of the doctor: a sample that kept its hand, one that lost it, one too short to say; verdicts before runs."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from cgbook import blind
from cgbook.grid import read_grid
from cgcore.config import ConfigError
from cgcore.doctor.groups import Element
from cgcore.doctor.symmetry import Observable, bound_of

REFLECTION = Element((0, 1, 2, 3), -1)
OBSERVABLE = Observable("torsion", ((0, 1, 2, 3),))
OF_REFERENCE = {"reference_bound": 0.3, "reference_bound_floor": 0.001}


def sample(left: np.ndarray, seed: int = 0) -> list[np.ndarray]:
    """Replicas (t, 4, 3) nm, whose torsion is 60° in a share of (1 - left) of the frames and -60° in the others."""
    rng, blocks = np.random.default_rng(seed), []
    for share in left:
        sign = np.where(rng.random(80) < share, -1, 1)
        angle = sign * np.deg2rad(60) + 0.2 * rng.normal(size=80)
        x = np.zeros((80, 4, 3))
        x[:, 0, 0], x[:, 2, 2], x[:, 3, 2] = 0.1, 0.1, 0.1
        x[:, 3, 0], x[:, 3, 1] = 0.1 * np.cos(angle), 0.1 * np.sin(angle)
        blocks.append(x)
    return blocks


def word(left) -> str:
    blocks = sample(np.asarray(left, float))
    found = bound_of(OBSERVABLE, blocks, REFLECTION, temperature_K=300.0, inefficiency=1.0)
    bound = {"bound": found.bound.value, "bound_error": found.bound.error, "bound_floor": found.floor}
    return blind.judge(bound | OF_REFERENCE | {"replicas": len(blocks)})


def test_a_sample_that_is_its_own_image_has_lost_its_hand():
    assert word(np.full(16, 0.5)) == blind.SEEN


def test_a_sample_that_stayed_has_not():
    assert word(np.zeros(16)) == blind.NOT_SEEN
    assert word(np.full(16, 0.02)) == blind.NOT_SEEN


def test_two_of_ten_replicas_that_crossed_once_decide_nothing_four_do():
    assert word([1, 0, 0, 0, 0, 0, 1, 0, 0, 0]) == blind.UNDECIDED
    assert word([1, 0, 1, 0, 1, 0, 1, 0, 0, 0]) == blind.SEEN


def test_few_replicas_decide_nothing():
    assert word(np.zeros(4)) == blind.UNDECIDED


def test_seeds_must_agree():
    assert blind.agreed(["seen"] * 3) == "seen"
    assert blind.agreed(["seen", "seen", "not seen"]) == "undecided"
    assert blind.agreed(["seen", "seen"]) == "–"


def test_every_case_has_a_verdict_of_its_own_and_a_run_for_it():
    notebooks = blind.BOOK.parent / "notebooks"
    rows = read_grid(notebooks / "sweeps" / "blind.yml", notebooks / "molecule.ipynb")
    planned = {
        blind.Case(str(row["reference"]).rsplit("/", 1)[-1], row["map"], row.get("typing", "published"), row.get("symmetry", "O3"))
        for row in rows
    }  # fmt: skip
    assert planned == set(blind.cases())
    for case in blind.cases():
        told = blind.read_json(case.path, "case", "questions", "verdict", "sha256")
        assert told["case"] == vars(case) and told["command"] == blind.RULE["commands"][case.reference]
        assert {q["expected"] for q in told["questions"]} <= {blind.SEEN, blind.NOT_SEEN}


def test_a_network_that_knows_mirror_images_is_expected_to_keep_the_hand():
    of = {case: blind.read_json(case.path)["questions"] for case in blind.cases() if case.map == "core"}
    words = {symmetry: {q["expected"] for c, asked in of.items() if c.symmetry == symmetry for q in asked} for symmetry in ("O3", "SO3")}  # fmt: skip
    assert words == {"O3": {blind.SEEN}, "SO3": {blind.NOT_SEEN}}


def test_a_run_of_no_case_is_refused():
    config = SimpleNamespace(
        data=SimpleNamespace(reference="reference/blind/trp", map="core", typing="published"), potential=SimpleNamespace(symmetry="O3")
    )  # fmt: skip
    with pytest.raises(ConfigError, match="trp_core: no case"):
        blind.case_of(config)


def test_the_matrix_has_limits_and_counts_what_is_undecided_as_no_answer():
    seen, kept = ("seen", "seen"), ("not seen", "not seen")
    counts = Counter({seen: 5, kept: 5, ("seen", "undecided"): 1, ("not seen", "–"): 1})
    table = blind.matrix(counts)
    assert (table["questions"], table["decided"], table["right"]) == (12, 10, 10)
    assert (table["expected_seen_observed_undecided"], table["expected_seen_observed_not_seen"]) == (1, 0)
    assert table["right_high"] == 1.0
    assert table["right_low"] == pytest.approx(0.025 ** (1 / 10), abs=1e-6)  # ten of ten
    assert "right_share" not in blind.matrix(Counter({("seen", "–"): 3}))
