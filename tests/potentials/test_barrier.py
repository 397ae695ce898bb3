"""Barriers where no frame has a pair of beads: their shape, their place, and that the frames do not feel them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgcore import mapping
from cgcore.frames import Frames
from cgcore.neighbors import closest, row_index
from cgcore.potentials import barrier
from cgcore.potentials.barrier import BELOW_CLOSEST, REPULSION, STIFFNESS
from cgcore.potentials.base import add, force
from cgcore.reference import sets
from cgcore.unsampled import REACH_NM

VACUUM = np.full(3, np.inf)


def apart(r: float) -> np.ndarray:
    """Two beads so far apart, and a third beyond reach."""
    return np.array([[0.1, 0.2, 0.3], [0.1 + r, 0.2, 0.3], [9.0, 9.0, 9.0]])


@pytest.fixture(scope="module")
def hexane():
    """Three-site hexane: beads and frames."""
    topology, atoms = sets.load("hexane", stride=30)
    beads = mapping.load("three_site", topology, residue="hex")
    return beads, mapping.apply(beads, atoms)


def test_a_wall_below_the_shortest_distance_and_a_hill_in_the_gap():
    """Read off three beads in a row, 0.2 nm apart."""
    line = np.array([[0.0, 0, 0], [0.2, 0, 0], [0.4, 0, 0]])
    row = Frames(position=line[None], force=None, box=VACUUM, time=np.zeros(1), names=("A", "B", "C"))
    found = barrier.for_frames((0, 0, 0), row, liquid=False)
    assert_allclose(found.ranges[0, 0], [[0, 0.2], [0.2, 0.4]], atol=1e-12)
    potential = barrier.build(found)
    hill = STIFFNESS * 0.2**2 / 32
    for r, wanted in ((0.15, STIFFNESS * 0.05**2 / 2), (0.2, 0), (0.3, hill), (0.4, 0), (0.6, 0)):
        assert_allclose(potential.energy({}, jnp.asarray(apart(r)), VACUUM), wanted, atol=1e-9)
    for r in (0.17, 0.23, 0.31):
        f = force(potential, {}, jnp.asarray(apart(r)), VACUUM)
        steps = [float(potential.energy({}, jnp.asarray(apart(r + h)), VACUUM)) for h in (-1e-6, 1e-6)]
        assert_allclose(f[1, 0], -(steps[1] - steps[0]) / 2e-6, rtol=1e-6)


def test_species_that_never_meet_are_kept_out_of_reach():
    far = Frames(position=apart(0.2)[None], force=None, box=VACUUM, time=np.zeros(1), names=("A", "B", "C"))
    found = barrier.for_frames((0, 0, 1), far, liquid=False)
    assert_allclose(found.ranges[:, :, 0], [[[0, 0.2], [0, REACH_NM]], [[0, REACH_NM]] * 2], atol=1e-12)


def test_the_gap_of_a_liquid_lies_between_its_bonds_and_its_neighbours(hexane):
    beads, frames = hexane
    found = barrier.for_frames(beads.species, frames, liquid=True)
    (_, bond), gap = found.ranges[0, 1]
    assert 0.20 < bond < 0.23 and 0.27 < gap[0] < 0.30 < gap[1] < 0.37
    assert np.isinf(found.ranges[0, 0, 1]).all() and np.isinf(found.ranges[1, 1, 1]).all()


def test_frames_it_was_read_off_do_not_feel_it_and_lists_change_nothing(hexane):
    beads, frames = hexane
    potential = barrier.build(barrier.for_frames(beads.species, frames, liquid=True))
    box, x = jnp.asarray(frames.box), jnp.asarray(frames.position)
    assert_allclose(jax.vmap(lambda x: potential.energy({}, x, box))(x), 0, atol=1e-9)
    moved = x[0].at[1].set((x[0, 1] + x[0, 0]) / 2)  # a bond half as long as any
    energy = float(potential.energy({}, moved, box))
    index, full = row_index(moved, box, 0.5, 60)
    listed = add(potential, potential).listed
    assert energy > 1000 and not full and listed.cutoff_nm < 0.4
    assert float(listed.energy(({}, {}), moved, box, index)) == pytest.approx(2 * energy, rel=1e-9)


def test_repulsion_is_half_k_times_the_square_of_what_is_lacking():
    """Zero at the shortest distance of the frames and beyond, whatever the species; k (d - r)^2 / 2 below."""
    frames = Frames(position=apart(0.2)[None], force=None, box=VACUUM, time=np.zeros(1), names=("A", "B", "C"))
    found = barrier.repulsion((0, 1, 0), frames, liquid=False)
    d = BELOW_CLOSEST * 0.2
    assert found.reach_nm == pytest.approx(d) and found.stiffness == REPULSION and found.ranges.shape == (2, 2, 1, 2)
    potential = barrier.build(found)
    for r in (0.02, 0.1, 0.19, d - 1e-6, d, 0.2, 0.4):
        x = jnp.asarray(apart(r))
        lacking = max(d - r, 0.0)
        assert_allclose(potential.energy({}, x, VACUUM), REPULSION * lacking**2 / 2, atol=1e-9)
        assert_allclose(force(potential, {}, x, VACUUM)[1, 0], REPULSION * lacking, atol=1e-6)


def test_no_training_frame_feels_the_repulsion(hexane):
    """Neither in double nor in single precision, in which simulations start from such frames."""
    beads, frames = hexane
    found = barrier.repulsion(beads.species, frames, liquid=True)
    potential = barrier.build(found)
    shortest = float(closest(np.asarray(frames.position, float), np.asarray(frames.box, float)).min())
    assert BELOW_CLOSEST * shortest == pytest.approx(found.reach_nm, rel=1e-6)
    for dtype in (jnp.float64, jnp.float32):
        x, box = jnp.asarray(frames.position, dtype), jnp.asarray(frames.box, dtype)
        assert not np.any(jax.vmap(lambda x, box=box: potential.energy({}, x, box))(x))


def test_priors_are_named_by_their_ranges(hexane):
    """Another reference gives another identity, since the potential is another one."""
    beads, frames = hexane
    of_all, of_few = (barrier.build(barrier.repulsion(beads.species, f, liquid=True)) for f in (frames, frames[:2]))
    assert of_all.identity["kind"] == "barrier.Barrier" and of_all.rooms == ("priors",)
    assert (of_all.identity["ranges"] != of_few.identity["ranges"]).any()
