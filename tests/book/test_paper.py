"""What the study says beside what the book finds: limits decide, and a share that nobody has seen has one."""

import math

import pytest

from cgbook.claims import AGREES, DIFFERS, MISSING, UNDECIDED, Claim, Evidence, claims, judged
from cgbook.results import BOOK, Row


@pytest.mark.parametrize(
    ("value", "error", "limits", "verdict"),
    [
        (0.1, 0.04, {"below": 0.2}, AGREES),
        (0.1, 0.06, {"below": 0.2}, UNDECIDED),
        (0.3, 0.04, {"below": 0.2}, DIFFERS),
        (0.3, None, {"below": 0.2}, DIFFERS),
        (13.0, 0.4, {"above": 12.0, "below": 14.0}, AGREES),
        (10.8, 0.3, {"above": 12.0, "below": 14.0}, DIFFERS),
        (11.8, 0.3, {"above": 12.0, "below": 14.0}, UNDECIDED),
    ],
)
def test_two_errors_decide_on_which_side_a_number_is(value, error, limits, verdict):
    assert judged(Row(value, error), **limits) == verdict


@pytest.mark.parametrize(
    ("verdicts", "missing", "verdict"),
    [
        ((AGREES, AGREES), "", AGREES),
        ((AGREES, DIFFERS), "", DIFFERS),
        ((AGREES, UNDECIDED), "", UNDECIDED),
        ((AGREES,), "one of two cells", UNDECIDED),
        ((), "not simulated", MISSING),
    ],
)
def test_a_claim_is_found_where_all_its_numbers_agree(verdicts, missing, verdict):
    tests = [Evidence("x", Row(0.0), "", v) for v in verdicts]
    assert Claim("Figure", "says", tests, "", missing, "paper").verdict == verdict


def test_every_claim_has_numbers_or_says_what_is_missing_and_a_page():
    told = claims()
    assert len(told) > 30 and {claim.verdict for claim in told} == {AGREES, DIFFERS, UNDECIDED, MISSING}
    for claim in told:
        assert claim.tests or claim.missing, claim.item
        assert claim.why or claim.verdict != DIFFERS, f"{claim.item}: a difference wants its reason"
        assert (BOOK / f"{claim.page}.md").is_file(), claim.page


def test_a_share_that_no_replica_shows_is_not_excluded_below_three_over_their_number():
    folded = next(c for c in claims() if c.item == "Figure 6, Core Beta")
    assert folded.tests[0].row.value == 0 and math.isclose(2 * folded.tests[0].row.error, 3 / 20)
    assert folded.verdict == UNDECIDED  # 0.1 is inside 0.15
    reference = next(c for c in claims() if c.item == "Figure 5b")
    assert reference.tests[0].row.value == 0 and reference.verdict == UNDECIDED
