"""How well forces fix the depths of valleys: with the plain sum and with better forces, of many frames and of few."""

import dataclasses

import numpy as np

from cgcore import mapping
from cgcore.doctor import examine, findings, to_dict
from cgcore.reference import sets


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
