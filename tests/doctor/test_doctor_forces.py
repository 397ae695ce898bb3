"""How well forces fix the depths of valleys: with the plain sum and with better forces, of many frames and of few."""

import dataclasses
from dataclasses import replace

import doctoring
import numpy as np
import pytest

from cgcore import force_maps, mapping
from cgcore.doctor import examine, findings, to_dict
from cgcore.doctor.forces import noise, pair_residual
from cgcore.frames import Frames
from cgcore.reference import sets
from cgcore.units import MEV_PER_ANGSTROM


def said(found):
    (finding,) = [f for f in findings(found) if f.kind == "pmf"]
    return finding


def test_the_least_noisy_map_halves_the_error_and_a_quarter_of_the_frames_doubles_it():
    topology, frames = sets.load("ala2_obc2", stride=2)
    beads = mapping.load("core_beta", topology, residue="ala")
    found = examine(beads, topology, frames)
    psi = found.molecules[0].pmf_errors[1]
    assert psi.dihedral == "N–CA–C–N_nme" and psi.samples == frames.n_frames and psi.reason == ""
    assert 2.5 > psi.plain > 1.8 * psi.optimised
    assert said(found).do.startswith("train on cgcore.force_maps.optimised")
    assert to_dict(found)["molecules"][0]["pmf_errors"][1]["plain"] == psi.plain
    fewer = examine(beads, topology, frames[::4]).molecules[0].pmf_errors[1]
    assert 1.5 < fewer.plain / psi.plain < 2.6


def test_frames_of_beads_have_no_better_map_and_frames_without_forces_no_depth():
    topology, frames = sets.load("gly2_obc2", stride=8)
    beads = mapping.load("core", topology, residue="gly")
    mapped = mapping.apply(beads, frames)
    psi = examine(beads, topology, mapped).molecules[0].pmf_errors[1]
    assert psi.optimised is None and psi.reason.startswith("the frames are those of beads") and np.isfinite(psi.plain)
    bare = examine(beads, topology, dataclasses.replace(frames, force=None))
    assert bare.molecules[0].pmf_errors == () and not [f for f in findings(bare) if f.kind == "pmf"]


def test_pairs_explain_the_forces_of_springs_and_leave_the_noise():
    random = np.random.default_rng(2)
    position = np.array([[0, 0, 0], [0.15, 0, 0], [0.2, 0.14, 0]]) + 0.01 * random.normal(size=(800, 3, 3))
    force = np.zeros_like(position)
    for i, j, length in ((0, 1, 0.15), (1, 2, 0.15)):
        d = position[:, j] - position[:, i]
        r = np.linalg.norm(d, axis=-1, keepdims=True)
        force[:, i] += 1e5 * (r - length) * d / r
        force[:, j] -= 1e5 * (r - length) * d / r
    frames = Frames(position=position, force=force, box=np.full(3, np.inf), time=np.arange(800.0), names=("A",) * 3)
    assert np.abs(pair_residual(frames)).max() < 1e-3 * np.abs(force).max()
    noise = 100 * random.normal(size=force.shape)
    left = pair_residual(replace(frames, force=force + noise))
    assert np.sqrt(np.mean(left**2)) == pytest.approx(100, rel=0.03)


def test_a_liquid_has_a_lower_limit_of_noise_and_says_that_it_has_no_upper_one(tmp_path):
    """A bead of two atoms that share a force of 10, one of them with noise of 30: the plain sum has 20 and the noise."""
    atoms = doctoring.topology("C C", "0-1", copies=40)
    random = np.random.default_rng(4)
    shared, noisy = (random.normal(size=(400, 40, 1, 3)) for _ in range(2))
    force = 10 * shared + 30 * noisy * np.array([1, 0])[:, None]
    frames = Frames(
        position=random.uniform(0, 4, size=(400, 80, 3)),
        force=force.reshape(400, 80, 3) * MEV_PER_ANGSTROM,
        box=np.full(3, 4.0),
        time=np.arange(400.0) * 20,
        names=atoms.names,
    )
    beads = doctoring.mapped(tmp_path, atoms, {"X": ["C0", "C1"]}, "single")
    found = noise(beads, atoms, frames, mapping.apply(beads, frames), gap_ps=10.0)
    assert found.floor is None and found.reason == "40 beads: no two frames are nearly alike"
    assert (found.rms, found.rms_optimised) == (pytest.approx(1300**0.5, rel=0.02), pytest.approx(20, rel=0.02))
    assert abs(found.at_least.value - 30) < 4 * found.at_least.error < 1
    assert abs(found.saved.value - 900 / 1300) < 4 * found.saved.error < 0.05
    none = noise(beads, atoms, None, mapping.apply(beads, frames), gap_ps=10.0)
    assert none.saved is none.at_least is None and "want the forces on all atoms" in none.reason_optimised


def test_the_noise_of_a_map_is_that_of_its_plain_sum_whichever_forces_a_run_takes():
    topology, frames = sets.load("gly2_obc2", stride=16)
    beads = mapping.load("core", topology, residue="gly")
    plain, better = (examine(m, topology, frames) for m in (beads, force_maps.optimised(beads, topology, frames)))
    assert better.noise == plain.noise and better.noise.saved.value > 0.3
    assert better.molecules[0].pmf_errors == plain.molecules[0].pmf_errors
