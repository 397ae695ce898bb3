"""Runs of a chain: helices of either hand and a coil, what a mirror does to every number, switches and ends by hand."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgcore import data, mapping
from cgcore.analysis import chain_bonds, helix
from cgcore.analysis.blocks import between_halves
from cgcore.analysis.chain import chain, convergence, counts, numbers, reflected, turns
from cgcore.analysis.chain_series import backbone, ca_beads, least_helical, of_reference, over_replicas, series
from cgcore.analysis.surface import asymmetry, jensen_shannon
from cgcore.frames import Ensemble, Frames
from cgcore.reference import sets
from cgcore.reference.build import peptide

RUNS = 20


@pytest.fixture(scope="module")
def reference():
    topology, atoms = sets.load("ala15_obc2", stride=10)
    beads = mapping.load("chain_core_beta", topology)
    return beads, mapping.apply(beads, atoms)


def ca_chain(turn_degrees: float, n=15, rise=0.15, radius=0.23) -> np.ndarray:
    """CA atoms on a screw; right-handed for positive angles."""
    turn = np.radians(turn_degrees) * np.arange(n)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), rise * np.arange(n)], axis=-1)


def frames(position, names) -> Frames:
    T = len(position)
    return Frames(
        position=np.asarray(position), force=None, box=np.full(3, np.inf), time=np.arange(T) * 1.0, names=names
    )


def ensemble(position, names, first_bad=None) -> Ensemble:
    C, T = position.shape[:2]
    bad = np.full(C, T) if first_bad is None else np.asarray(first_bad)
    zero = np.zeros((C, T))
    return Ensemble(
        position=position,
        energy=zero,
        kinetic=zero,
        time=0.5 * np.arange(1, T + 1),
        status=np.where(bad < T, 4, 0),
        first_bad=bad,
        names=names,
    )


# Equations 8 and 9


def test_a_built_helix_is_alpha_of_its_hand_and_a_stretched_chain_is_neither(reference):
    beads, _ = reference
    for name, hand in (("helix", "L"), ("helix", "D"), ("extended", "L")):
        built = peptide("ala15", name, chirality=hand)
        x = mapping.apply(
            mapping.load("chain_core_beta", built.topology), frames(built.position[None], built.topology.names)
        )
        found = series(np.asarray(x.position)[None], np.ones((1, 1), bool), beads)
        q, chi = float(found["q"][0, 0]), float(found["chi"][0, 0])
        if name == "helix":
            assert q > 0.9 and (chi if hand == "L" else -chi) > 0.035
            assert (found["alpha"][0, 0], found["mirror_alpha"][0, 0]) == ((1, 0) if hand == "L" else (0, 1))
        else:
            assert q < 0.01 and abs(chi) < 0.02
            assert found["alpha"][0, 0] == 0 and found["ends_nm"][0, 0] > 4


def test_the_backbone_s_dihedrals_are_those_of_all_fifteen_residues(reference):
    beads, _ = reference
    quads = backbone(beads)
    assert quads.shape == (15, 2, 4) and len(ca_beads(beads)) == 15
    assert [beads.beads[i] for i in quads[0, 0]] == ["C_ace", "N_1", "CA_1", "C_1"]
    assert [beads.beads[i] for i in quads[14, 1]] == ["N_15", "CA_15", "C_15", "N_nme"]


def test_a_mirror_turns_the_hand_and_nothing_else(reference):
    beads, right = reference
    left = data.mirrored(replace(right, force=np.ones_like(right.position)))
    assert_array_equal(left.force, -1)
    a, b = (of_reference(x, beads) for x in (right, left))
    for name in ("q", "radius_nm", "ends_nm"):
        assert_allclose(a[name], b[name], rtol=1e-5)
    assert_allclose(b["chi"], -a["chi"], atol=1e-8)
    assert_allclose(b["mirror_alpha"], a["alpha"])
    assert_array_equal(counts(b), counts(a)[:, ::-1])
    ours, theirs = numbers(a), numbers(b)
    assert theirs["left_handed"] == pytest.approx(1 - ours["left_handed"])
    assert theirs["handedness"] == pytest.approx(-ours["handedness"], rel=1e-5)
    assert theirs["handedness_symmetry"] == pytest.approx(ours["handedness_symmetry"])


# The reference


def test_the_reference_folds_to_the_right_and_runs_are_the_unit_of_its_errors(reference):
    beads, ala15 = reference
    found = numbers(of_reference(ala15, beads))
    assert found["helical"] > 0.5 and found["left_handed_helical"] < 0.01
    assert found["handedness"] > 20 and found["handedness_symmetry"] > 0.8
    assert found["alpha"] > 0.5 and found["mirror_alpha"] < 0.05
    # Whole runs fold or do not: errors of independent frames would be ten times smaller.
    assert found["helicity_error"] > 3 * ala15.n_frames**-0.5 * 0.3


def test_more_runs_of_the_reference_agree_better(reference):
    """Half of the runs against the other half, four against four: noise falls with their number."""
    beads, ala15 = reference
    n = counts(of_reference(ala15, beads))
    assert len(n) == RUNS
    few = np.mean([between_halves(jensen_shannon, n[k : k + 4]) for k in range(0, RUNS, 4)])
    assert between_halves(jensen_shannon, n) < 0.7 * few


def test_starts_are_those_of_least_helix_spread_over_their_ranks(reference):
    beads, ala15 = reference
    ca = np.asarray(ala15.position)[:, ca_beads(beads)]
    measure = np.abs(helix.handedness(ca) * helix.helicity(ca))
    lowest = least_helical(ca, 100)
    assert measure[lowest].max() <= np.delete(measure, lowest).min()
    some = least_helical(ca, 20)
    assert len(set(some)) == 20 and set(some) <= set(lowest) and some[0] == measure.argmin()
    with pytest.raises(ValueError, match="want 9000 frames, the reference has 680"):
        least_helical(ca, 9000)


# One run beside the reference


def test_a_racemic_run_is_symmetric_and_a_right_handed_one_is_not(reference):
    beads, ala15 = reference
    x = np.asarray(ala15.position).reshape(RUNS, -1, *ala15.position.shape[1:])
    right, arrays = chain(ensemble(x, beads.beads), ala15, beads, temperature_K=300.0)
    assert right["js_reference"] < 0.01 and right["left_given_helical"] == 0 and right["n_whole"] == 20
    assert right["n_rearrangements"] == 0 and right["rearrangement_rate"] == 0
    assert arrays["F"].shape == (48, 40) == arrays["reference_F"].shape and arrays["q"].shape == x.shape[:2]
    assert np.nanmin(arrays["F"]) == 0
    both = np.concatenate([x, -x])
    racemic, _ = chain(ensemble(both, beads.beads), ala15, beads, temperature_K=300.0)
    assert racemic["handedness_symmetry"] == 0 < racemic["handedness_symmetry_floor"]
    assert racemic["left_handed"] == pytest.approx(0.5) and racemic["left_given_helical"] == pytest.approx(0.5)
    assert racemic["left_given_helical_error"] > 0.05 and racemic["js_reference"] > 0.2
    assert racemic["alpha"] == pytest.approx(racemic["mirror_alpha"])
    assert np.nanmean(arrays["alpha"]) == pytest.approx(right["alpha"], abs=1e-6)
    halves = right["alpha_early"] + right["alpha_late"]
    assert halves / 2 == pytest.approx(right["alpha"], abs=0.02)


def test_frames_after_a_failure_do_not_count(reference):
    beads, ala15 = reference
    x = np.array(np.asarray(ala15.position)[:66].reshape(2, 33, -1, 3))
    x[1, 20:] = np.nan
    table, arrays = chain(ensemble(x, beads.beads, [33, 20]), ala15, beads, temperature_K=300.0)
    assert table["n_frames"] == 53 and table["n_not_finite"] == 1 and table["n_replicas_failed"] == 1
    assert np.isnan(arrays["chi"][1, 20:]).all() and np.isfinite(arrays["chi"][1, :20]).all()
    assert_allclose(arrays["survival"], [1] * 20 + [0.5] * 13)
    nothing, arrays = chain(ensemble(x, beads.beads, [0, 1]), ala15, beads, temperature_K=300.0)
    assert nothing["n_frames"] == 1 and "helicity" not in nothing and set(arrays) == {"time", "survival"}


def test_a_hand_counts_as_turned_when_it_is_clearly_the_other():
    chi = np.array([[0.02, 0.005, -0.005, 0.02, -0.02], [0.02, -0.02, np.nan, 0.0, 0.02], [np.nan] * 5])
    assert_array_equal(turns(chi), [1, 2, 0])


def test_the_surface_of_both_hands_alike_is_its_own_mirror_image():
    n = np.random.default_rng(0).integers(1, 9, size=(24, 20))
    assert asymmetry(n + n[::-1], reflected) == 0 < asymmetry(n, reflected)


# Bonds along the chain


LINE = np.stack([0.38 * np.arange(6), np.zeros(6), np.zeros(6)], axis=-1)
BONDS = np.array([[k, k + 1] for k in range(5)])


def test_the_bonds_of_a_chain_are_its_spanning_tree(reference):
    beads, ala15 = reference
    assert_array_equal(chain_bonds.tree(LINE), BONDS)
    for x in np.asarray(ala15.position)[::37]:
        assert_array_equal(chain_bonds.tree(x), beads.bonds)
    alpha = ca_chain(100.0)
    assert_array_equal(chain_bonds.tree(alpha), [[k, k + 1] for k in range(14)])


def test_an_end_that_is_bonded_anew_is_a_switch_when_it_lasts():
    """Bead 0 leaves 1 and lies down beside 2."""
    switched = LINE.copy()
    switched[0] = LINE[2] + [0, 0.38, 0]
    lasting = chain_bonds.follow(np.stack([LINE] * 2 + [switched] * 4), BONDS, hold=3)
    assert_array_equal(lasting.frames, [4])
    assert_array_equal(lasting.gained, [[0, 2]])
    assert_allclose(lasting.rearranged, [0, 0, 0, 0, 0.2, 0.2])
    brief = chain_bonds.follow(np.stack([LINE, switched, switched, LINE, switched]), BONDS, hold=3)
    assert len(brief.frames) == 0 and not brief.rearranged.any()
    back = chain_bonds.follow(np.stack([switched] * 3 + [LINE] * 3), BONDS, hold=3)
    assert_array_equal(back.gained, [[0, 2], [0, 1]])
    with pytest.raises(ValueError, match="want the 5 bonds of a tree of 6 beads, got 6"):
        chain_bonds.follow(LINE[None], np.array([*BONDS.tolist(), [0, 5]]), hold=3)


def test_beads_that_touch_are_no_bond_while_that_of_either_holds():
    """Beads 0 and 2 are nearer than 0 and 1, whose bond is as long as ever."""
    touching = LINE.copy()
    touching[0] = LINE[1] + 0.39 * np.array([np.cos(1.0), np.sin(1.0), 0])
    assert np.linalg.norm(touching[0] - LINE[2]) < 0.37
    assert [0, 2] in chain_bonds.tree(touching).tolist() and [0, 2] not in chain_bonds.tree(touching, BONDS).tolist()
    found = chain_bonds.follow(np.stack([LINE] + [touching] * 5), BONDS, hold=3)
    assert len(found.frames) == 0 and not found.rearranged.any()


def test_rates_and_ends_of_replicas_that_break_in_three_ways():
    switched, torn = LINE.copy(), LINE.copy()
    switched[0] = LINE[2] + [0, 0.38, 0]
    torn[3:] += [0.3, 0, 0]
    lost = np.full_like(LINE, np.nan)
    runs = np.stack([np.stack([LINE] * 4 + [x] * 6) for x in (LINE, switched, torn, lost)])
    table, found = chain_bonds.rearrangements(runs, BONDS, 0.5, hold_ps=1.0)
    exposure = (3 * 10 + 4) * 0.5e-3
    assert table["n_rearrangements"] == table["n_replicas_rearranged"] == 1
    assert table["rearrangement_rate"] == pytest.approx(1 / exposure)
    assert table["rearrangement_rate_low"] == pytest.approx(0.0253178 / exposure, rel=1e-5)
    assert table["rearranged_end"] == pytest.approx(0.2 / 4)
    ends = chain_bonds.endings(np.array([10, 4, 4, 4]), runs, found, within=5)
    assert ends == ["whole", "rearranged", "stretched", "not_finite"]


def test_halves_of_the_reference_come_together(reference):
    beads, frames = reference
    n = counts(of_reference(frames, beads))
    sizes, divergence = convergence(n)
    assert sizes.tolist() == list(range(1, 11)) and divergence[-1] < divergence[0] / 2
    assert_allclose(convergence(np.repeat(n.sum(0)[None], 6, axis=0))[1], 0, atol=1e-12)
    with pytest.raises(ValueError, match="four blocks or more, got 3"):
        convergence(n[:3])


def test_means_over_replicas_are_of_those_that_count():
    values = np.array([[1.0, 2.0, np.nan], [3.0, np.nan, np.nan], [2.0, 4.0, 5.0]])
    mean, error = over_replicas(values)
    assert_allclose(mean, [2.0, 3.0, np.nan])
    assert_allclose(error, [np.sqrt(1 / 3), np.sqrt(2 / 2), np.nan])
