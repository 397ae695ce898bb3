"""Replicas in frames: each on its own clock, in rows of their own, and one after another."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from cgcore.data import split_blocks, subsample
from cgcore.frames import Frames


def replicas(*lengths, spacing=2.0):
    """Replicas of so many frames, numbered by their position."""
    n = sum(lengths)
    return Frames(
        position=np.arange(n, dtype=float)[:, None, None] + np.zeros(3),
        force=None,
        box=np.full(3, np.inf),
        time=np.concatenate([spacing * np.arange(1, length + 1) for length in lengths]),
        names=("A",),
        replica=np.repeat(np.arange(len(lengths)), lengths),
    )


def test_a_selection_keeps_the_number_and_the_clock_of_each_frame():
    part = replicas(3, 4, 2)[np.array([1, 2, 5, 8])]
    assert_array_equal(part.replica, [0, 0, 1, 2])
    assert_array_equal(part.time, [4.0, 6.0, 6.0, 4.0])


def test_sampled_time_goes_on_through_all_replicas():
    assert_allclose(replicas(3, 4, 2).sampled_ps, 2.0 * np.arange(1, 10))
    one = replicas(3, 4)[:3]
    assert_array_equal(one.sampled_ps, one.time)


def test_rows_hold_the_frames_of_each_replica():
    index, valid = replicas(3, 4, 2).by_replica()
    assert_array_equal(valid.sum(1), [3, 4, 2])
    assert [row[v].tolist() for row, v in zip(index, valid, strict=True)] == [[0, 1, 2], [3, 4, 5, 6], [7, 8]]


def test_gaps_beside_held_out_frames_reach_across_the_ends_of_replicas():
    split = split_blocks(replicas(10, 10), 4, 1, 2 * 2.0)
    assert split.valid.position[:, 0, 0].tolist() == list(range(10, 15))
    assert split.train.position[:, 0, 0].tolist() == [*range(9), *range(16, 20)]
    assert set(subsample(split.train, 4).replica) == {0, 1}
