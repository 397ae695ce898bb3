"""The proof table's arithmetic, its cases, and the noise that the doctor reports, on what is known."""

from dataclasses import replace

import numpy as np
import pytest

from cgcore import mapping
from cgcore.book import doctor_cases, doctor_table
from cgcore.book.own_molecule import without_hydrogens_of_phe
from cgcore.book.results import Result
from cgcore.doctor.noise import pair_residual
from cgcore.frames import Frames


def test_there_are_more_than_25_combinations_each_once_and_all_load():
    cases = [*doctor_cases.STUDY, *doctor_cases.CONTROLS]
    assert len(doctor_cases.STUDY) > 25
    assert len({case.file for case in cases}) == len(cases)
    for case in cases:
        mapping.check(case.map, typing=case.typing, residue=case.residue)


def test_agreement_counts_only_what_was_observed_and_barriers_are_not_seen_in_plain_simulations():
    table = dict.fromkeys(("mirror", "direction", "switch", "inversion"), "no")
    table |= {f"{k}_observed": "–" for k in ("mirror", "direction", "switch", "inversion")}
    assert doctor_table.agreement(table) == "–"
    assert doctor_table.agreement(table | {"mirror": "behind a barrier", "mirror_observed": "no"}) == "yes"
    assert doctor_table.agreement(table | {"inversion_observed": "behind a barrier"}) == "no: inversion"
    assert doctor_table.agreement(table | {"switch_observed": "yes", "mirror_observed": "no"}) == "no: switch"


def test_a_threshold_is_fitted_on_one_half_and_judged_on_the_other():
    rows = [
        (None, {"separation": s, "switch_observed": seen, "mirror_observed": "–", "agrees": "yes"})
        for s, seen in ((0.8, "yes"), (0.9, "yes"), (1.6, "no"), (1.5, "no"), (1.25, "no"), (1.1, "no"))
    ]
    found = doctor_table.calibration(rows)
    assert found["separation"] == pytest.approx(1.0)  # the root of 0.8 * 1.25
    assert (found["separation_fitted"], found["separation_judged"], found["separation_right"]) == (3, 3, 3)
    assert found["bound_bit"] is None
    assert (found["combinations"], found["observed"], found["agree"]) == (6, 6, 6)


def test_words_stand_in_a_table_as_they_are():
    assert Result(label="", order=0, sampling="", table={"agrees": "no: switch"}).text("agrees") == "no: switch"


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


def test_the_tutorial_molecule_is_whole_and_left_handed():
    topology, position = without_hydrogens_of_phe()
    assert [r.name for r in topology.residues()] == ["ACE", "THR", "PHE", "NME"]
    names = {(a.residue.name, a.name): k for k, a in enumerate(topology.atoms())}
    for residue in ("THR", "PHE"):
        ca, n, c, cb = (position[names[residue, a]] for a in ("CA", "N", "C", "CB"))
        assert np.dot(n - ca, np.cross(c - ca, cb - ca)) > 0
    ring = np.array([position[names["PHE", a]] for a in ("CG", "CD1", "CE1", "CZ", "CE2", "CD2")])
    assert np.linalg.norm(ring - np.roll(ring, 1, axis=0), axis=1) == pytest.approx(np.full(6, 0.1395), abs=1e-3)
