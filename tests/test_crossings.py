"""Passages over a barrier by a path that is known, and rates of a two-state process that obeys detailed balance."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgcore.analysis.crossings import detailed_balance, passages


def test_to_look_over_a_barrier_is_no_passage():
    path = np.radians([60, 70, 10, -10, 50, 100, 60, -20, -60, -170, 179, -70, 20, -70, 60, 140, 160])
    found = passages([path, np.radians([-60.0, -70.0])], frame_ps=500.0)
    assert (found.escapes, found.entries) == (2, 1)
    assert_allclose((found.inside_ns, found.outside_ns), (5.0, 4.5))
    assert_allclose(found.inside[0].astype(int), [1] * 8 + [0] * 6 + [1] * 2 + [0])


def test_before_the_first_visit_the_sign_of_phi_decides():
    assert [passages([np.radians([start, start])], 1.0).inside[0].all() for start in (10.0, -10.0)] == [True, False]


def two_states(rng, rate_out, share, n_ns, inside):
    """Passages of one long run by its exact waiting times."""
    counts, times, here = {True: 0, False: 0}, {True: 0.0, False: 0.0}, inside
    while (left := n_ns - sum(times.values())) > 0:
        wait = rng.exponential(1 / (rate_out if here else rate_out * share / (1 - share)))
        times[here] += min(wait, left)
        counts[here] += wait < left
        here = here if wait >= left else not here
    return counts[True], times[True], counts[False], times[False]


def test_a_process_that_balances_is_seldom_called_one_that_does_not():
    rng = np.random.default_rng(0)
    found = [detailed_balance(*two_states(rng, 1.0, 0.1, 40.0, True), 0.1) for _ in range(400)]
    within = [f["escape_rate_low"] < 1.0 < f["escape_rate_high"] for f in found]
    assert np.mean(within) > 0.92
    assert np.mean([f["entries_p"] < 0.05 for f in found]) < 0.07


def test_a_wrong_share_is_noticed():
    right, wrong = (detailed_balance(50, 50.0, 5, 50.0 * 9, share) for share in (0.01, 0.1))
    assert right["entries_expected"] == pytest.approx(50 * 9 / 99)
    assert right["entries_p"] > 0.5 and wrong["entries_p"] < 1e-6
