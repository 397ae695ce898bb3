"""The barrier of inversion of beads whose torsion is known; ways across; rates."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import toys
from numpy.testing import assert_allclose

from cgcore import mapping
from cgcore.analysis.surface import backbone
from cgcore.config import MDConfig
from cgcore.metadynamics import MetadynamicsConfig, MetadynamicsError, dihedral
from cgcore.metadynamics.barrier import (
    PS,
    count_transitions,
    lowest_saddle,
    mirrored,
    passage_times,
    rate,
    transition,
    without_flat_top,
)
from cgcore.metadynamics.inversion import PAPER, initial_positions, inversion, planarity, speeds
from cgcore.reference import sets
from cgcore.units import KCAL, kT

POINTS = -np.pi + 2 * np.pi / 360 * np.arange(360)
QUICK = MetadynamicsConfig(beads=toys.NAMES, width=0.15, height_kJ_mol=1.0, pace=60)


def test_the_papers_parameters():
    assert PAPER.height_kJ_mol == pytest.approx(0.2 * 4.184)
    assert (PAPER.bias_factor, PAPER.pace, PAPER.width, PAPER.bins) == (5.0, 500, 0.1, 315)
    assert PAPER.beads == ("N", "CA", "CB", "C")
    assert PAPER.frames_per_hill(MDConfig(steps_per_frame=500)) == 1


def test_the_lowest_of_two_ways_round():
    F = np.asarray(toys.torsion(POINTS))
    for side in (1, -1):
        way = lowest_saddle(F, POINTS, side)
        assert_allclose([way.minimum, abs(way.top), way.height], [side * 2 * np.pi / 3, np.pi, toys.HILL], atol=1e-9)
    way = lowest_saddle(np.asarray(toys.torsion(POINTS + np.pi)), POINTS, 1)
    assert_allclose([way.minimum, way.top, way.height], [np.pi / 3, 0, toys.HILL], atol=1e-9)


def test_crossings_are_counted_between_basins_only():
    """To the top and back is none; there and back are two."""
    walk = [2.0, 2.3, 3.1, 2.2, 3.1, -3.1, -2.2, -2.0, 3.0, 2.1]
    assert count_transitions(np.array(walk), 2 * np.pi / 3) == 2
    assert count_transitions(np.array(walk[:4]), 2 * np.pi / 3) == 0


def test_a_rate_is_that_of_a_free_rotor_over_a_barrier():
    """Without any barrier: half of <|v|> over the length of the basin, sqrt(kT / 2 pi I) / pi."""
    way = lowest_saddle(np.zeros(360), POINTS, 1)
    inertia = 0.7
    got = rate(np.zeros(360), POINTS, way, inertia**-0.5, 300.0)
    assert_allclose(got, np.sqrt(kT(300.0) / (2 * np.pi * inertia)) / np.pi, rtol=0.01)
    F = np.asarray(toys.torsion(POINTS))
    high = rate(F, POINTS, lowest_saddle(F, POINTS, 1), 1.0, 300.0)
    low = rate(F + 3 * (np.abs(POINTS) > 3), POINTS, lowest_saddle(F + 3 * (np.abs(POINTS) > 3), POINTS, 1), 1.0, 300.0)
    assert_allclose(low / high, np.exp(-3 / kT(300.0)), rtol=1e-3)


def uneven(heights, tilts):
    """(C, 360): runs whose second valley is that much higher than the first, F at the top the height above their mean."""
    rise = np.clip(1 - np.abs(np.abs(POINTS) - 2 * np.pi / 3), 0, None) * np.sign(POINTS)
    tops = np.asarray(toys.torsion(POINTS))
    return np.array([h / toys.HILL * tops - t * rise / 2 for h, t in zip(heights, tilts, strict=True)])


def test_of_a_symmetric_model_each_run_counts_with_both_valleys():
    """Runs that filled one valley and had no time for the other say what level ones say; a run not across says nothing."""
    heights = np.array([14.0, 15.0, 16.0, 40.0])
    level, tilted = (uneven(heights, t) for t in (np.zeros(4), np.array([3.0, -1.0, 2.0, 9.0])))
    taken = np.array([1, 4, 2, 0])
    assert_allclose(mirrored(mirrored(tilted)), tilted)
    assert_allclose(mirrored(POINTS)[1:], -POINTS[1:], atol=1e-12)
    want, got = (transition(POINTS, F, taken, 1.0, 300.0) for F in (level, tilted))
    assert_allclose([want["barrier_kJ_mol"], want["barrier_kJ_mol_error"]], [15.0, 3**-0.5], rtol=1e-6)
    assert_allclose(list(got.values()), list(want.values()), rtol=1e-6)
    one_sided = transition(POINTS, tilted, taken, 1.0, 300.0, symmetric=False)
    assert one_sided["barrier_kJ_mol"] == pytest.approx(15 + 4 / 6, rel=1e-6)
    assert one_sided["barrier_kJ_mol_error"] > want["barrier_kJ_mol_error"]
    none = transition(POINTS, tilted, 0 * taken, 1.0, 300.0)
    assert np.isnan(list(none.values())).all()
    assert np.isnan(
        passage_times(want | {"activation_kJ_mol": 20.0, "activation_kJ_mol_error": np.nan}, 300.0)[
            "log10_passage_time_s"
        ]
    ).all()
    over = passage_times(want | {"activation_kJ_mol": 20.0, "activation_kJ_mol_error": 1.0}, 300.0)
    assert over["log10_passage_time_s"][over["temperature_K"] == 300.0] == pytest.approx(want["log10_passage_time_s"])
    assert_allclose(np.diff(over["log10_passage_time_s"] * np.log(10))[[0]], 20 * (1 / kT(270.0) - 1 / kT(260.0)))


@pytest.fixture(scope="module")
def inverted(tmp_path_factory):
    md = toys.config(replicas=6, n_frames=1200, steps_per_frame=60, dt_ps=0.003)
    x = np.tile(toys.star_start(), (6, 1, 1))
    folder = tmp_path_factory.mktemp("inverted")
    return inversion(toys.TORSION, jnp.array(1.0), toys.MOLECULE, x, md, folder, config=QUICK, progress=False)


@pytest.mark.physics
def test_the_barrier_is_that_of_the_torsion(inverted):
    """Height, activation energy and rate within four errors; CA in the plane at the top."""
    table, arrays, run = inverted
    assert run.run.manifest["config"]["bias"]["beads"] == list(toys.NAMES) and run.ensemble.position.shape[0] == 6
    assert table["runs_with_transition"] == 6 and min(table["transitions"]) >= 1
    assert abs(table["barrier_kJ_mol"] - toys.HILL) < 4 * table["barrier_kJ_mol_error"] < 4.0
    assert table["barrier_kcal_mol"] == pytest.approx(table["barrier_kJ_mol"] / KCAL)
    assert 355 < table["planarity_deg"] <= 360
    thermal, F = kT(300.0), np.asarray(toys.torsion(POINTS))
    p = np.exp(-F / thermal)
    # Bonds and angles, and so <U> of them, are the same in the basin and at the top.
    activation = toys.HILL - (p * F).sum() / p.sum() + thermal / 2
    assert abs(table["activation_kJ_mol"] - activation) < 4.5 * table["activation_kJ_mol_error"] < 9
    variable = dihedral(QUICK, toys.NAMES)
    speed = speeds(toys.star_start(np.pi - 1e-3)[None], toys.MOLECULE.mass, variable)[0]
    wait = np.log10(PS / rate(F, POINTS, lowest_saddle(F, POINTS, 1), speed, 300.0))
    assert abs(table["log10_passage_time_s"] - wait) < 4 * table["log10_passage_time_s_error"] + 0.02
    at_300 = np.flatnonzero(arrays["temperature_K"] == 300.0)[0]
    assert arrays["log10_passage_time_s"][at_300] == pytest.approx(table["log10_passage_time_s"])
    assert (np.diff(arrays["log10_passage_time_s"]) < 0).all()
    assert planarity(arrays["transition_state"][None], toys.NAMES)[0] > 359
    assert arrays["F"].min() == 0 and arrays["F_runs"].shape == (6, 210)


def test_a_barrier_that_is_not_crossed_is_not_given(tmp_path):
    md = toys.config(replicas=2, n_frames=20, steps_per_frame=60, dt_ps=0.003)
    x = np.tile(toys.star_start(), (2, 1, 1))
    table, arrays, _ = inversion(
        toys.TORSION, jnp.array(4.0), toys.MOLECULE, x, md, tmp_path, config=QUICK, progress=False
    )
    assert table["runs_with_transition"] == 0 and table["transitions"] == [0, 0]
    assert np.isnan(table["barrier_kJ_mol"]) and 0 < table["sampled_range_kJ_mol"] < 4 * toys.HILL
    assert "transition_state" not in arrays


def test_a_map_without_the_stereocentre_has_no_such_barrier(tmp_path):
    core = replace(toys.MOLECULE, names=("C_ace", "N", "CA", "C"))
    x, md = np.tile(toys.star_start(), (2, 1, 1)), toys.config(replicas=2)
    with pytest.raises(MetadynamicsError, match="variable 'chi': no bead 'CB'; the map has"):
        inversion(toys.TORSION, jnp.array(1.0), core, x, md, tmp_path, config=QUICK, progress=False)


def test_a_free_energy_is_unknown_where_no_hill_fell():
    points = np.linspace(-np.pi, np.pi, 201)
    whole = 20 * np.sin(points) ** 2
    assert_allclose(without_flat_top(whole), whole)
    filled = without_flat_top(np.where(np.abs(points) < 1, 30.0, whole))
    assert np.isnan(filled[np.abs(points) < 1]).all() and np.isfinite(filled[np.abs(points) > 1.05]).all()


def test_initial_positions_are_the_frames_nearest_to_c7eq():
    topology, frames = sets.load("ala2_obc2", stride=20)
    beads = mapping.load("core_beta", topology)
    x = initial_positions(mapping.apply(beads, frames), beads, 5)
    few = mapping.apply(beads, frames)[:5]
    phi, psi, _ = backbone(replace(few, position=x), **beads.dihedrals)
    assert np.abs(np.degrees(phi[0]) + 83).max() < 15 and np.abs(np.degrees(psi[0]) - 73).max() < 15
