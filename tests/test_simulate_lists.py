"""Neighbours of a liquid found now and then: the numbers are those of a list made for every energy."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgcore.config import MDConfig
from cgcore.frames import Status
from cgcore.neighbors import cell_index, fullest_cell, fullest_row, narrow, neighbour_counts, row_index
from cgcore.potentials.base import Potential, add, with_neighbours
from cgcore.simulate import Molecule, lists
from cgcore.simulate.driver import trajectory
from cgcore.simulate.engine import Engine
from cgcore.simulate.lists import (
    ListParameters,
    ListUsage,
    first_parameters,
    may_have_missed,
    reallocate,
    thermal_motion,
)

SIDE, CUTOFF = 6, 0.45
N = SIDE**3
BOX = np.array([2.0, 2.1, 2.2])
LIQUID = Molecule(names=("A",) * N, mass=np.full(N, 5.0), bonds=np.zeros((0, 2), int), bond_length=np.zeros(0), box=BOX)
GRID = (np.stack(np.meshgrid(*[np.arange(SIDE)] * 3), -1).reshape(-1, 3) + 0.5) / SIDE * BOX
STARTS = GRID + np.random.default_rng(0).normal(size=(2, N, 3)) * 0.05
CONFIG = MDConfig(replicas=2, n_frames=3, steps_per_frame=20, friction_per_ps=10.0)


def soft(k, edges):
    """k (r_c - r)^3 of every pair."""
    return 0.5 * k * jnp.sum(edges.expand(jnp.maximum(CUTOFF - edges.distance, 0.0) ** 3))


LISTED = with_neighbours(lambda key: jnp.array(2000.0), soft, CUTOFF, 60)
PLAN = first_parameters(CUTOFF, STARTS, LIQUID.mass, BOX, CONFIG)


def end(potential: Potential, plan: ListParameters, config: MDConfig = CONFIG, frames: int = 2):
    """The state after some frames, and what each of them needed."""
    engine = Engine(potential, jnp.array(2000.0), LIQUID, config, STARTS.dtype)
    state, needs = engine.begin(plan, jnp.asarray(STARTS)), []
    for number in range(frames):
        frame = engine.frame(plan, state, number)
        state, needs = frame.state, [*needs, frame.usage]
    return state, needs


@pytest.fixture(scope="module")
def listed():
    return end(LISTED, PLAN)


def test_lists_leave_no_trace(listed):
    """The same forces to the last bits as from rows made for every energy, and the plan's lists were long enough."""
    state, needs = listed
    assert PLAN.interval > 1 and PLAN.capacity < 60
    every_time, _ = end(LISTED._replace(listed=None), ListParameters(interval=20))
    assert_allclose(state.position, every_time.position, rtol=0, atol=1e-12)
    assert_allclose(state.energy, every_time.energy, rtol=1e-12)
    assert np.abs(np.asarray(state.position) - STARTS).max() > 1e-3
    for need in needs:
        assert not may_have_missed(PLAN, ListUsage(*map(np.asarray, need)), np.zeros(2, int)).any()
        assert (np.asarray(need.moved) > 0.1 * PLAN.skin_nm / 2).all()


def test_neither_lists_nor_frames_change_the_noise(listed):
    """Half as long frames, another interval, and cells give the same trajectory, exactly."""
    half = replace(CONFIG, steps_per_frame=10)
    assert_array_equal(end(LISTED, replace(PLAN, interval=2), half, frames=4)[0].position, listed[0].position)
    cells = (3, 3, 3)
    in_cells = replace(PLAN, cells=cells, cell_capacity=fullest_cell(STARTS, BOX, cells) + 3)
    state, needs = end(LISTED, in_cells)
    assert_array_equal(state.position, listed[0].position)
    assert not np.any([need.cells for need in needs])


def test_terms_join_one_list(listed):
    """A sum is listed as far as its longest cut-off; what needs no list ignores it."""
    short = with_neighbours(lambda key: None, lambda p, edges: soft(p, edges), 0.3, 60)
    tether = Potential(lambda key: None, lambda p, x, box: 0.0 * jnp.sum(x[0] ** 2))
    both = add(LISTED, tether)
    assert add(short, both).listed.cutoff_nm == CUTOFF
    assert add(tether, tether).listed is None
    index, _ = row_index(jnp.asarray(STARTS[0]), jnp.asarray(BOX), CUTOFF, 60)
    params = (jnp.array(2000.0), None)
    x, box = jnp.asarray(STARTS[0]), jnp.asarray(BOX)
    assert_allclose(both.listed.energy(params, x, box, index), LISTED.energy(params[0], x, box), rtol=1e-12)
    assert both.listed.check(x, box) == Status.OK


def driven(plan: ListParameters, molecule: Molecule = LIQUID, strength: float = 2000.0):
    """The frames that count, from a start by a plan that was long enough for it."""
    engine = Engine(LISTED, jnp.array(strength), molecule, CONFIG, STARTS.dtype)
    state = engine.begin(replace(PLAN, interval=plan.interval), jnp.asarray(STARTS))
    return list(trajectory(engine, plan, state, 0, np.ones(2, bool)))


@pytest.mark.parametrize(
    "tight", [dict(skin_nm=0.02), dict(capacity=11), dict(candidates=14)], ids=["skin", "capacity", "candidates"]
)
def test_frames_with_short_lists_are_computed_again(tight, listed):
    """Nothing of a trajectory shows that its first lists were too short, except that it says so."""
    frames = driven(replace(PLAN, **tight))
    assert sum(redone for *_, redone in frames) > 0
    assert not any(status.any() for _, status, *_ in frames)
    assert_allclose(frames[1][0].state.position, listed[0].position, atol=1e-12)
    plans = [plan for _, _, plan, _ in frames]
    assert plans[-1] != replace(PLAN, **tight)


def test_a_bead_faster_than_any_list_is_said():
    """A light free bead crosses the box within a step while the whole stays cool: the replicas fail by their lists."""
    light = replace(LIQUID, mass=np.r_[1e-5, LIQUID.mass[1:]])
    plan = replace(PLAN, interval=1)
    _, status, after, redone = driven(plan, light, 0.0)[0]
    assert_array_equal(status, Status.NEIGHBOURS_FULL)
    assert (after, redone) == (plan, 0)


def need(moved=(0.0, 0.0), candidates=(10, 10), capacity=(5, 5), cells=(False, False)) -> ListUsage:
    return ListUsage(*map(np.array, (moved, candidates, capacity, cells)))


def test_what_counts_as_missed():
    plan = ListParameters(interval=10, skin_nm=0.1, candidates=20, capacity=10)
    fine, failed = np.zeros(2, int), np.array([0, int(Status.OVERHEATED)])
    assert_array_equal(may_have_missed(plan, need(moved=(0.049, 0.051)), fine), [False, True])
    assert_array_equal(may_have_missed(plan, need(moved=(np.nan, 0.051)), failed), [False, False])
    assert_array_equal(may_have_missed(plan, need(capacity=(11, 10)), failed), [True, False])
    assert_array_equal(may_have_missed(plan, need(candidates=(20, 21)), failed), [False, True])
    assert_array_equal(may_have_missed(plan, need(cells=(True, False)), fine), [True, False])
    assert not may_have_missed(ListParameters(interval=5), need(moved=(9.0, 9.0), candidates=(0, 0)), fine).any()


def test_a_plan_widens_as_far_as_it_can():
    plan = ListParameters(interval=10, skin_nm=0.1, candidates=20, capacity=10)
    second = np.array([False, True])
    assert reallocate(plan, need(capacity=(99, 12)), np.zeros(2, bool), N, CONFIG) == plan
    wide = reallocate(plan, need(capacity=(99, 12)), second, N, CONFIG)
    assert (wide.capacity, wide.candidates, wide.interval) == (15, 20, 10)
    assert reallocate(plan, need(moved=(0, 0.06)), second, N, CONFIG).interval == 5
    at_end = replace(plan, interval=1)
    assert reallocate(at_end, need(moved=(0, 0.06)), second, N, CONFIG) == at_end


def test_intervals_come_from_the_thermal_motion():
    """Ballistic at first, diffusive at last: <x^2> = kT/m t^2, then 2 kT / (m gamma) t."""
    quick, slow = replace(CONFIG, ensemble="nve"), replace(CONFIG, friction_per_ps=1000.0)
    assert thermal_motion(0.02, 5.0, quick) == pytest.approx(0.02 * np.sqrt(2.4943 / 5.0), rel=1e-3)
    assert thermal_motion(2.0, 5.0, slow) == pytest.approx(np.sqrt(2 * 2.4943 / 5.0 / 1000.0 * 2.0), rel=1e-2)
    assert thermal_motion(1e-6, 5.0, CONFIG) == pytest.approx(thermal_motion(1e-6, 5.0, quick), rel=1e-3)
    assert PLAN.skin_nm <= lists.SKIN * CUTOFF
    assert first_parameters(CUTOFF, STARTS, LIQUID.mass, BOX, slow).interval > PLAN.interval


def test_cells_hold_what_is_near():
    """Beads outside of the box too; the fullest rows and cells as counted on the host."""
    x, box = jnp.asarray(STARTS[0] + BOX * np.random.default_rng(1).integers(-2, 3, (N, 3))), jnp.asarray(BOX)
    cells = (4, 4, 4)
    wanted, _ = row_index(x, box, CUTOFF, 60)
    full = fullest_cell(x[None], BOX, cells)
    around, overflow = cell_index(x, box, cells, full)
    index, fullest = narrow(x, box, around, CUTOFF, 60)
    assert not overflow
    assert_array_equal(index, wanted)
    assert fullest == fullest_row(np.asarray(x)[None], BOX, CUTOFF) == neighbour_counts(x[None], BOX, CUTOFF).max()
    assert cell_index(x, box, cells, full - 1)[1]
    slab = np.array([2.0, np.inf, 2.2])
    assert fullest_row(STARTS, slab, CUTOFF) == neighbour_counts(STARTS, slab, CUTOFF).max()
