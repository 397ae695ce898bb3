"""Bonds that rearrange: pairings by brute force and by hand, and how often."""

import networkx
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgcore.analysis import pair_bonds
from cgcore.analysis.blocks import poisson_interval
from cgcore.analysis.sample import Sample

BOX = np.full(3, 3.0)
ALIKE = np.zeros(4, int)
BONDS = np.array([[0, 1], [2, 3]])


def chain(*x: float) -> np.ndarray:
    """Beads along the first axis, across the edge of the box."""
    return np.stack([np.array(x) - 0.05, np.zeros(len(x)), np.zeros(len(x))], axis=-1)


APART = chain(0.0, 0.3, 1.0, 1.3)
SWAPPED = chain(0.0, 0.6, 0.9, 0.3)  # 0 beside 3, 1 beside 2


def series(*frames) -> np.ndarray:
    return np.stack(frames)


@pytest.mark.parametrize("seed", range(6))
def test_the_best_pairing_is_that_of_the_whole_graph(seed):
    random = np.random.default_rng(seed)
    x = random.uniform(0, 1.2, size=(12, 3)) + 2.5  # across three edges
    d = x[:, None] - x[None]
    d -= BOX * np.rint(d / BOX)
    graph = networkx.Graph()
    graph.add_weighted_edges_from((i, j, (d[i, j] ** 2).sum()) for i in range(12) for j in range(i))
    best = pair_bonds.bonded_beads(np.array(list(networkx.min_weight_matching(graph))))
    began = pair_bonds.bonded_beads(np.arange(12).reshape(-1, 2))
    assert not np.array_equal(best, began)
    assert_array_equal(pair_bonds.match(x, BOX, began, np.zeros(12, int)), best)
    assert_array_equal(pair_bonds.match(x, BOX, best, np.zeros(12, int)), best)


def test_two_triangles_are_no_assignment_but_a_pairing():
    corners = 0.1 * np.array([[0, 0, 0], [1, 0, 0], [0.5, 0.9, 0]])
    x = np.concatenate([corners, corners + [0.3, 0, 0]])
    found = pair_bonds.match(x, BOX, pair_bonds.bonded_beads(np.array([[0, 3], [1, 4], [2, 5]])), np.zeros(6, int))
    assert found[1] == 3 and found[0] == 2 and found[4] == 5


def test_species_that_are_not_bonded_do_not_pair():
    x = chain(0.0, 0.5, 0.1, 0.6)
    assert_array_equal(pair_bonds.match(x, BOX, pair_bonds.bonded_beads(BONDS), ALIKE), [2, 3, 0, 1])
    assert_array_equal(pair_bonds.match(x, BOX, pair_bonds.bonded_beads(BONDS), np.array([0, 1, 0, 1])), [1, 0, 3, 2])


def test_an_exchange_counts_when_it_lasts():
    def follow(*frames):
        return pair_bonds.follow(series(*frames), BOX, BONDS, ALIKE, hold=3)

    lasting = follow(APART, *[SWAPPED] * 4)
    assert [len(beads) for beads in lasting.beads] == [4]
    assert_array_equal(lasting.frames, [3])
    assert_array_equal(lasting.beads[0], [0, 1, 2, 3])
    assert_allclose(lasting.rearranged, [0, 0, 0, 1, 1])
    assert len(follow(APART, SWAPPED, SWAPPED, APART, SWAPPED, SWAPPED).beads) == 0, "turned back too soon"
    twice = follow(APART, *[SWAPPED] * 3, *[APART] * 3)
    assert [len(beads) for beads in twice.beads] == [4, 4]
    assert twice.rearranged[-1] == 0


def test_whole_molecules_across_each_other_have_not_switched():
    """Two bonds of 0.3 nm that cross: ends of different molecules are nearer, but nothing switches until the bonds are gone."""
    crossed = np.array([[-0.15, 0, 0], [0.15, 0, 0], [0.03, -0.15, 0], [-0.03, 0.15, 0]]) + [1.0, 1.0, 0.0]
    away = np.array([[0.0, 0, 0], [1.0, 0, 0], [1.2, 0, 0], [0.2, 0, 0]])
    frames = series(crossed, *[crossed] * 4, *[away] * 4)
    loose = pair_bonds.follow(frames, BOX, BONDS, ALIKE, hold=3)
    strict = pair_bonds.follow(frames, BOX, BONDS, ALIKE, hold=3, longest=0.4)
    assert_array_equal(loose.frames, [2])
    assert_array_equal(strict.frames, [5])
    assert_array_equal(strict.beads[0], [0, 1, 2, 3])
    back = np.array([[0.0, 0, 0], [0.3, 0, 0], [0.5, 0, 0], [0.2, 0, 0]])  # apart once, near again beside new partners
    again = pair_bonds.follow(series(crossed, crossed, away, *[back] * 4), BOX, BONDS, ALIKE, hold=4, longest=0.4)
    assert_array_equal(again.frames, [3])


def test_rates_are_per_molecule_and_nanosecond():
    position = np.stack([series(APART, *[SWAPPED] * 9), series(*[APART] * 10)])
    valid = np.ones((2, 10), bool)
    sample = Sample(position=position, valid=valid, box=BOX, frame_ps=0.5)
    table, over_time = pair_bonds.rearrangements(sample, BONDS, ALIKE, hold_ps=1.0)
    exposure = 20 * 0.5e-3 * 2
    assert table["n_exchanges"] == 1
    assert table["rearrangement_rate"] == pytest.approx(2 / exposure)
    assert table["rearrangement_rate_low"] == pytest.approx(0.0253178 * 2 / exposure, rel=1e-5)
    assert table["rearrangement_rate_high"] == pytest.approx(5.5716434 * 2 / exposure, rel=1e-5)
    assert table["rearranged_end"] == 0.5 and table["rearranged"] == pytest.approx(8 / 20)
    assert_allclose(over_time, [0, 0] + [0.5] * 8)
    early = Sample(position=position, valid=np.arange(10)[None] < np.array([[2], [10]]), box=BOX, frame_ps=0.5)
    table, over_time = pair_bonds.rearrangements(early, BONDS, ALIKE)
    assert table["n_exchanges"] == 0 and table["rearrangement_rate"] == 0 == table["rearrangement_rate_low"]
    assert_allclose(over_time, 0)


def test_the_poisson_interval_is_that_of_the_tables():
    assert_allclose(poisson_interval(0), [0, 3.688879], rtol=1e-6)
    assert_allclose(poisson_interval(10), [4.795389, 18.390356], rtol=1e-6)


def test_a_nearer_bead_of_another_molecule_is_seen_from_both_ends():
    x = chain(0.0, 0.3, 0.5, 0.8)  # 1 and 2 are nearer to each other than to their partners
    sample = Sample(position=x[None, None], valid=np.ones((1, 1), bool), box=BOX, frame_ps=1.0)
    (found,) = pair_bonds.nearer_neighbours(sample, BONDS, ALIKE, np.array([0, 0, 1, 1]))
    assert_array_equal(found, [[False, True, True, False]])
    (found,) = pair_bonds.nearer_neighbours(sample, BONDS, np.array([0, 1, 1, 0]), np.array([0, 0, 1, 1]))
    assert not found.any(), "1 wants a bead of species 0"


def test_longer_molecules_do_not_pair_up():
    with pytest.raises(ValueError, match="every bead in one bond"):
        pair_bonds.bonded_beads(np.array([[0, 1], [1, 2]]))
    assert not pair_bonds.pairs_up(np.array([[0, 1], [1, 2]]), 3)
