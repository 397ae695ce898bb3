"""The proof table's arithmetic, its cases, and the noise that the doctor reports, on what is known."""

import json
from dataclasses import replace

import doctoring
import numpy as np
import pytest
from cgcore.book.results import Result

from cgcore import mapping
from cgcore.book import doctor_cases, doctor_table
from cgcore.book.own_molecule import without_hydrogens_of_phe
from cgcore.doctor.forces import noise, pair_residual
from cgcore.frames import Frames
from cgcore.units import MEV_PER_ANGSTROM


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
        {"separation": s, "switch_observed": seen, "mirror_observed": "–", "agrees": "yes"}
        for s, seen in ((0.8, "yes"), (0.9, "yes"), (1.6, "no"), (1.5, "no"), (1.25, "no"), (1.1, "no"))
    ]
    found = doctor_table.calibration(rows)
    assert found["separation"] == pytest.approx(1.0)  # the root of 0.8 * 1.25
    assert (found["separation_fitted"], found["separation_judged"], found["separation_right"]) == (3, 3, 3)
    assert found["bound_bit"] is None
    assert (found["combinations"], found["observed"], found["agree"]) == (6, 6, 6)


def write(path, table, manifest):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"label": "", "order": 0, "sampling": "", "table": table, "manifest": manifest}))


def test_own_observations_come_from_the_tables_that_are_there(tmp_path):
    assert doctor_cases.own(tmp_path) == {}
    data = {"residue": "ala", "map": "core", "typing": "study"}
    surface = {"point_symmetry": 0.01, "point_symmetry_floor": 0.007, "point_symmetry_error": 0.002}
    for name in ("chain_symmetry", "mirror_chain_symmetry"):
        surface |= {name: 0.7, f"{name}_floor": 0.01, f"{name}_error": 0.01}
    write(tmp_path / "amino_acids/core.json", surface, {"fit": {"config": {"data": data}}})
    alike = data | {"map": "core_beta", "typing": "single"}
    backwards = surface | {"point_symmetry": 0.9, "mirror_chain_symmetry": 0.02}
    write(tmp_path / "amino_acids/core_beta_single.json", backwards, {"fit": {"config": {"data": alike}}})
    write(tmp_path / "amino_acids/reference.json", surface, {})
    for name, map, extras, low in (
        ("a", "two_site", [], 0.0),
        ("b", "two_site", ["walls"], 0.3),
        ("c", "two_site", ["labelled"], 0.0),
        ("d", "two_site", ["bond types", "labelled"], 0.5),
        ("e", "three_site", [], None),
    ):
        table = {} if low is None else {"rearrangement_rate_low": low}
        write(tmp_path / f"hexane/{name}.json", table, {"setting": {"map": map, "potential": "mace", "extras": extras}})
    assert doctor_cases.own(tmp_path) == {
        ("ala", "core", "study"): {"mirror": "yes", "direction": "no"},
        ("ala", "core_beta", "single"): {"mirror": "no", "direction": "yes"},
        ("hex", "two_site", "study"): {"switch": "yes"},
        ("hex", "two_site", "labelled"): {"switch": "no"},
    }


def test_whose_observation_it_is_stands_beside_it():
    case = next(c for c in doctor_cases.STUDY if c.file == "hexane_two_site_study")
    key = ("hex", "two_site", "study")
    assert doctor_cases.seen_by(case, {}, "switch") == ("yes", "yes (study)")
    assert doctor_cases.seen_by(case, {key: {"switch": "yes"}}, "switch") == ("yes", "yes (both)")
    assert doctor_cases.seen_by(case, {key: {"switch": "no"}}, "switch") == ("no", "no (ours), yes (study)")
    assert doctor_cases.seen_by(case, {}, "inversion") == (None, "–")
    labelled = next(c for c in doctor_cases.STUDY if c.file == "hexane_two_site_labelled")
    assert doctor_cases.seen_by(labelled, {(*key[:2], "labelled"): {"switch": "no"}}, "switch") == ("no", "no (ours)")
    control = doctor_cases.CONTROLS[1]
    assert doctor_cases.seen_by(control, {("ala", "core", "study"): {"mirror": "no"}}, "mirror") == (None, "–")


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


def test_the_tutorial_molecule_is_whole_and_left_handed():
    topology, position = without_hydrogens_of_phe()
    assert [r.name for r in topology.residues()] == ["ACE", "THR", "PHE", "NME"]
    names = {(a.residue.name, a.name): k for k, a in enumerate(topology.atoms())}
    for residue in ("THR", "PHE"):
        ca, n, c, cb = (position[names[residue, a]] for a in ("CA", "N", "C", "CB"))
        assert np.dot(n - ca, np.cross(c - ca, cb - ca)) > 0
    ring = np.array([position[names["PHE", a]] for a in ("CG", "CD1", "CE1", "CZ", "CE2", "CD2")])
    assert np.linalg.norm(ring - np.roll(ring, 1, axis=0), axis=1) == pytest.approx(np.full(6, 0.1395), abs=1e-3)
