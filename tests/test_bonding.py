"""Bonds found anew in molecules of any length: against all bond graphs there are, by hand, and against pairs."""

from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgcore.analysis import bonding, partners
from cgcore.analysis.sample import Sample

BOX, OPEN = np.full(3, 3.0), np.full(3, np.inf)
TRIMERS = np.array([[0, 1], [1, 2], [3, 4], [4, 5]])
ABA = np.array([0, 1, 0, 0, 1, 0])
ALIKE = np.zeros(6, int)


def sum_of_squares(x, box, bonds):
    i, j = np.array(sorted(bonds)).T
    d = x[i] - x[j]
    d -= np.where(np.isfinite(box), box, 0) * np.rint(d / box)
    return (d**2).sum()


def numbers(bonds, kinds):
    """How many bonds each bead has to each kind."""
    out = np.zeros((len(kinds), kinds.max() + 1), int)
    for i, j in bonds:
        out[i, kinds[j]] += 1
        out[j, kinds[i]] += 1
    return out


@pytest.mark.parametrize("kinds", [ABA, ALIKE], ids=["A-B-A", "alike"])
@pytest.mark.parametrize("seed", range(4))
def test_the_best_bonds_are_those_of_all_graphs_with_the_same_numbers(kinds, seed):
    x = np.random.default_rng(seed).uniform(0, 0.8, size=(6, 3)) + 2.6  # across three edges
    first = frozenset(map(tuple, TRIMERS.tolist()))
    graphs = [
        frozenset(g)
        for g in combinations(combinations(range(6), 2), 4)
        if np.array_equal(numbers(g, kinds), numbers(first, kinds))
    ]
    assert len(graphs) >= 6
    best = min(graphs, key=lambda g: sum_of_squares(x, BOX, g))
    assert bonding.rebond(x, BOX, first, kinds) == best
    assert bonding.rebond(x, BOX, best, kinds) == best


def rows(first, second):
    """Two trimers in rows, 1 nm apart; the beads of each row are given in their order along it, across the edge."""
    x = np.zeros((6, 3))
    for row, beads in enumerate((first, second)):
        x[beads] = [(0.15 * k - 0.1, 1.0 * row - 0.1, 0) for k in range(3)]
    return x


APART = rows([0, 1, 2], [3, 4, 5])
TAILS = rows([0, 1, 5], [3, 4, 2])  # 2 and 5 have changed places
MIDDLES = rows([0, 4, 2], [3, 1, 5])  # which is an exchange of four bonds


@pytest.mark.parametrize("box", [BOX, OPEN], ids=["liquid", "vacuum"])
def test_an_exchange_counts_with_its_new_bonds_when_it_lasts(box):
    def follow(*frames, kinds=ABA):
        return bonding.follow(np.stack(frames), box, TRIMERS, kinds, hold=3)

    tails = follow(APART, *[TAILS] * 4)
    assert_array_equal(tails.frames, [3])
    assert_array_equal(tails.new, [2])
    assert_allclose(tails.switched, [0, 0, 0, 1, 1])
    assert_array_equal(follow(APART, *[MIDDLES] * 4).new, [4])
    assert len(follow(APART, TAILS, TAILS, APART, TAILS, TAILS).new) == 0, "turned back too soon"
    assert_array_equal(follow(APART, *[TAILS] * 3, *[APART] * 3).new, [2, 2])
    assert_array_equal(follow(APART, *[TAILS] * 4, kinds=np.arange(6)).new, []), "six kinds: nobody to change with"


def test_two_exchanges_at_once_are_two():
    x = np.concatenate([APART, APART + [0, 0, 1.5]])
    y = np.concatenate([TAILS, TAILS + [0, 0, 1.5]])
    bonds, kinds = np.concatenate([TRIMERS, TRIMERS + 6]), np.concatenate([ABA, ABA])
    found = bonding.follow(np.stack([x, y, y, y]), BOX, bonds, kinds, hold=2)
    assert_array_equal(found.new, [2, 2])
    assert found.switched[-1] == 1


def test_a_chain_that_closes_on_itself_exchanges_partners_within_one_molecule():
    """Four beads alike in a row, then the second and third change places: the ends get new partners."""
    x = np.zeros((4, 3))
    x[:, 0] = 0.15 * np.arange(4)
    swapped = x[[0, 2, 1, 3]]
    found = bonding.follow(
        np.stack([x, *[swapped] * 3]), OPEN, np.array([[0, 1], [1, 2], [2, 3]]), np.zeros(4, int), hold=2
    )
    assert_array_equal(found.new, [2])
    assert_array_equal(found.frames, [2])


def test_for_pairs_the_table_is_that_of_partners():
    random = np.random.default_rng(5)
    bonds, kinds = np.arange(20).reshape(-1, 2), np.tile([0, 1], 10)
    start = random.uniform(0, 1.2, size=(10, 1, 3)) + np.array([[[0.0, 0, 0], [0.15, 0, 0]]])
    walk = 0.04 * random.normal(size=(2, 30, 20, 3)).cumsum(1) + start.reshape(20, 3)
    box = np.full(3, 1.2)
    sample = Sample(position=walk, valid=np.ones((2, 30), bool), box=box, frame_ps=0.5)
    wanted, _ = partners.switching(sample, bonds, kinds)
    found = bonding.switching(list(walk), box, 0.5, bonds, kinds)
    assert wanted["n_exchanges"] > 5
    assert found == pytest.approx(wanted)
