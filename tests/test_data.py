"""Splits, starts, errors and checks on hand-made frames, and the numbers of the bundled sample."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgcore import data, io, mapping
from cgcore.data import DataError
from cgcore.frames import Frames

ALA2 = Path(__file__).parents[1] / "notebooks" / "data" / "ala2"


def clock(n: int, spacing: float = 1.0) -> Frames:
    """n frames of two beads 0.2 nm apart; the first coordinate is the number of the frame."""
    position = np.zeros((n, 2, 3))
    position[:, 0, 0] = np.arange(n)
    position[:, 1] = position[:, 0] + [0.0, 0.2, 0.0]
    return Frames(
        position=position,
        force=np.ones((n, 2, 3)),
        box=np.full(3, np.inf),
        time=(10.0 + spacing * np.arange(n)).astype(np.float32),
        names=("A", "B"),
    )


def numbers(frames: Frames) -> list[int]:
    return [int(x) for x in frames.position[:, 0, 0]]


@pytest.fixture(scope="module")
def sample():
    topology = io.read_topology(ALA2 / "topology.pdb")
    core = mapping.load("core", topology)
    return core, mapping.apply(core, io.read(ALA2 / "solute.trr", topology))


def test_thinning_is_even():
    assert numbers(data.subsample(clock(10), 4)) == [0, 3, 6, 9]
    assert numbers(data.subsample(clock(10), 1)) == [0]
    assert numbers(data.subsample(clock(10), 10)) == list(range(10))
    assert numbers(data.subsample(clock(10), None)) == list(range(10))
    thinned = numbers(data.subsample(clock(1000), 333))
    assert len(set(thinned)) == 333
    assert set(np.diff(thinned)) == {3, 4} or set(np.diff(thinned)) == {3}
    for n in (11, 0):
        with pytest.raises(DataError, match=f"want {n} frames, the trajectory has 10"):
            data.subsample(clock(10), n)


def test_one_held_out_block_with_gaps():
    """20 frames, 1 ps apart, 5 blocks: block 2 is frames 8 to 11; closer than 2 ps are 7 and 12."""
    split = data.split_blocks(clock(20), blocks=5, valid_blocks=1, gap_ps=2.0)
    assert numbers(split.valid) == [8, 9, 10, 11]
    assert numbers(split.train) == [0, 1, 2, 3, 4, 5, 6, 13, 14, 15, 16, 17, 18, 19]
    assert (split.gap_count, split.valid_blocks) == (2, (2,))
    assert str(split) == "14 frames to train on, 4 held out (blocks 2), 2 dropped between them"


def test_held_out_blocks_are_spread_and_frames_keep_their_order():
    split = data.split_blocks(clock(100, spacing=0.4), blocks=10, valid_blocks=3, gap_ps=1.0)
    assert split.valid_blocks == (1, 5, 8)
    assert numbers(split.valid) == [*range(10, 20), *range(50, 60), *range(80, 90)]
    assert split.gap_count == 3 * 2 * 2  # 0.4 and 0.8 ps away at each side
    for part in (split.train, split.valid):
        assert (np.diff(part.time) > 0).all()
        assert part.force.shape == part.position.shape


@pytest.mark.parametrize("blocks", [2, 3, 7, 10])
@pytest.mark.parametrize("gap_ps", [0.0, 0.4, 3.0])
def test_no_overlap_no_loss_and_no_neighbours(blocks, gap_ps):
    frames = clock(103, spacing=0.4)
    for valid_blocks in range(1, blocks):
        try:
            split = data.split_blocks(frames, blocks, valid_blocks, gap_ps)
        except DataError as error:
            assert "to train on" in str(error) and valid_blocks > 1
            continue
        train, valid = set(numbers(split.train)), set(numbers(split.valid))
        assert not train & valid
        assert len(train) + len(valid) + split.gap_count == 103
        assert abs(len(valid) - 103 * valid_blocks / blocks) <= valid_blocks
        apart = np.abs(split.train.time[:, None] - split.valid.time[None, :]).min()
        assert apart >= max(gap_ps, 0.4) - 1e-4
        lost = set(range(103)) - train - valid
        assert all(min(abs(k - v) for v in valid) * 0.4 < gap_ps + 1e-4 for k in lost)


@pytest.mark.parametrize(
    ("blocks", "valid_blocks", "gap_ps", "message"),
    [
        (1, 1, 0.0, "at least one held-out block and one to train on, got 1 of 1"),
        (5, 0, 0.0, "got 0 of 5"),
        (5, 5, 0.0, "got 5 of 5"),
        (30, 1, 0.0, "want at least one frame a block, got 20 frames for 30 blocks"),
        (5, 1, -1.0, "want a gap of zero or more picoseconds, got -1.0"),
        (5, 1, 50.0, r"gaps of 50.0 ps beside 1 of 5 blocks leave none of 20 frames \(19 ps\)"),
    ],
)
def test_splits_that_cannot_be(blocks, valid_blocks, gap_ps, message):
    with pytest.raises(DataError, match=message):
        data.split_blocks(clock(20), blocks, valid_blocks, gap_ps)


def test_force_rms_by_hand():
    frames = clock(4)
    assert data.force_rms(replace(frames, force=3.0 * frames.force)) == 3.0
    with pytest.raises(DataError, match="want frames with forces"):
        data.force_rms(replace(frames, force=None))


def test_starts():
    frames = clock(10)
    drawn = data.initial_positions(frames, 7, seed=1)
    assert drawn.shape == (7, 2, 3)
    assert len({int(x) for x in drawn[:, 0, 0]}) == 7
    assert_array_equal(drawn, data.initial_positions(frames, 7, seed=1))
    assert not np.array_equal(drawn, data.initial_positions(frames, 7, seed=2))
    with pytest.warns(data.RepeatedStartsWarning, match="25 starts from 10 frames: each is used up to 3 times"):
        many = data.initial_positions(frames, 25, seed=1)
    assert set(np.bincount(many[:, 0, 0].astype(int))) == {2, 3}
    with pytest.raises(DataError, match="at least one start, got 0"):
        data.initial_positions(frames, 0, seed=1)


def test_bond_lengths_across_the_boundary():
    frames = clock(2)
    stretched = frames.position.copy()
    stretched[1, 1, 1] = 0.3
    assert_allclose(data.bond_lengths(replace(frames, position=stretched), [(0, 1)]), [0.25], rtol=1e-12)
    wrapped = stretched.copy()
    wrapped[:, 1, 1] += 2.0
    boxed = replace(frames, position=wrapped, box=np.array([2.0, 2.0, 2.0]))
    assert_allclose(data.bond_lengths(boxed, np.array([[0, 1]])), [0.25], rtol=1e-12)
    assert data.bond_lengths(boxed, np.zeros((0, 2), int)).shape == (0,)  # one bead a molecule


def test_a_cutoff_without_neighbours_is_refused():
    """Three beads; in frame 3, bead C is 0.4567 nm from its nearest neighbour."""
    frames = clock(5)
    far = np.concatenate([frames.position, frames.position[:, 1:] + [0.0, 0.1, 0.0]], axis=1)
    far[3, 2, 1] = 0.2 + 0.4567
    frames = replace(frames, position=far, names=("A", "B", "C"))
    data.check_cutoff(frames, 0.457)
    with pytest.raises(
        DataError, match="0.3 nm leaves bead C .* in frame 3: the nearest is 0.4567 .* bead one is 0.457 nm"
    ):
        data.check_cutoff(frames, 0.3)
    with pytest.raises(DataError, match="at most half the box, 0.300 nm, got 0.5"):
        data.check_cutoff(replace(frames, box=np.full(3, 0.6)), 0.5)
    with pytest.raises(DataError, match="positive cut-off, got 0"):
        data.check_cutoff(frames, 0.0)
    with pytest.raises(DataError, match="at least two beads"):
        data.check_cutoff(replace(frames, position=far[:, :1], names=("A",)), 0.5)


def test_the_sample(sample):
    """Bonds near the force field's minima (C-N 0.1335, N-CA 0.1449, CA-C 0.1522 nm); the cut-off of 0.5 nm suits."""
    core, beads = sample
    assert_allclose(data.bond_lengths(beads, core.bonds), [0.1335, 0.1449, 0.1522, 0.1335], atol=3e-3)
    data.check_cutoff(beads, 0.5)
    split = data.split_blocks(beads, blocks=10, valid_blocks=1, gap_ps=5.0)
    assert (split.train.n_frames, split.valid.n_frames, split.gap_count) == (11_258, 1253, 24)
    assert_allclose(data.force_rms(beads), 1167.5, atol=0.1)
