"""Both sides of the barrier at phi = 0: the committed rows made again from the set, and shares that are known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgbook import sides
from cgbook.results import BOOK, load
from cgcore.analysis import crossings

CHAPTER = load(BOOK / "results" / "reference")


def test_the_committed_passages_are_those_of_the_set():
    runs = sides._runs(sides.LEFT)
    passed = crossings.passages([phi for phi, _, _ in runs], 6.0)
    rows = CHAPTER.rows[CHAPTER.one(kind="sides", case=sides.LEFT)]
    assert (rows["escapes"].value, rows["entries"].value) == (passed.escapes, passed.entries)
    assert rows["inside_ns"].value == pytest.approx(passed.inside_ns)
    assert passed.inside_ns + passed.outside_ns == pytest.approx(15.984)
    made = sides.shares(runs, passed.inside, each_run=True)
    for name in ("psi_negative_inside", "alpha_R_outside"):
        assert_allclose((rows[name].value, rows[name].error), (made[name], made[f"{name}_error"]), rtol=1e-6)


def test_shares_count_by_weights_and_leave_out_runs_without_frames():
    inside, outside = np.ones(10, bool), np.zeros(10, bool)
    psi, counts = np.radians([-50.0] * 5 + [50.0] * 5), np.repeat([3.0, 1.0], 5)
    runs = [(np.full(10, 1.0), psi, counts), (np.full(10, -1.0), psi, counts), (np.full(10, -1.0), psi, counts)]
    made = sides.shares(runs, [inside, outside, outside], each_run=True)
    assert made["inside"] == pytest.approx(1 / 3)
    assert "psi_negative_inside" not in made  # one run alone has no error
    assert made["alpha_R_outside"] == pytest.approx(1.0) and made["alpha_R_outside_error"] == pytest.approx(0.0)
