"""The doctor on molecules made by hand and on the reference sets, where the answers are known."""

import json
import re
from dataclasses import replace

import doctoring
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.signal import lfilter
from typer.testing import CliRunner

from cgcore import mapping
from cgcore.analysis.blocks import Estimate
from cgcore.analysis.surface import reflected, symmetry_bound
from cgcore.cli import app
from cgcore.config import ConfigError
from cgcore.doctor import DoctorError, examine, findings, headline, map_text, proposal, to_dict, verdict
from cgcore.doctor.distances import lengths
from cgcore.doctor.examine import _inefficiency
from cgcore.doctor.findings import LEVELS, TEXTS
from cgcore.doctor.groups import describe, stereocentres, symmetries
from cgcore.doctor.molecule import kinds
from cgcore.doctor.report import diagnose
from cgcore.doctor.species import typing
from cgcore.doctor.stereo import KEPT, LOST, PATH
from cgcore.doctor.symmetry import Observable, floor, forced_free_energy, least_divergence
from cgcore.io import TrajectoryError
from cgcore.potentials import priors
from cgcore.reference import sets
from cgcore.units import kT

DISJOINT = 0.75 * np.log2(4 / 3)
"""Least Jensen-Shannon divergence, in bit, of a symmetric model where reference and image do not overlap."""


@pytest.fixture(scope="module")
def alanine():
    return sets.load("ala2_obc2", stride=16)


@pytest.fixture(scope="module")
def glycine():
    return sets.load("gly2_obc2", stride=16)


def of(system, name, typing="published", residue="ala", **how):
    topology, frames = system
    return examine(mapping.load(name, topology, typing=typing, residue=residue), topology, frames, **how)


def names(found):
    return {b.name: b.path for m in found.molecules for b in m.broken}


# Groups


@pytest.mark.parametrize(
    "name, typing, expected",
    [
        ("core", "published", {"mirror image": None}),
        ("core", "unique", {"mirror image": None}),
        (
            "core",
            "single",
            {"mirror image": None, "chain reversal": None, "chain reversal with mirror image": None},
        ),
        ("core_beta", "published", {"mirror image": PATH}),
        # Reading Core Beta backwards turns L into D, unless it is reflected as well.
        (
            "core_beta",
            "single",
            {"mirror image": PATH, "chain reversal": PATH, "chain reversal with mirror image": None},
        ),
        ("heavy_atom", "published", {"mirror image": PATH}),
        ("united_atom", "published", {"mirror image": PATH}),
        ("atomistic", "published", {"mirror image": KEPT}),
    ],
)
def test_which_symmetries_alanine_does_not_have_and_what_is_in_their_way(alanine, name, typing, expected):
    topology, frames = alanine
    assert names(of((topology, frames[::10]), name, typing)) == expected


def test_glycine_has_the_reflection_and_lacks_only_the_reversal(glycine):
    assert names(of(glycine, "core", residue="gly")) == {}
    assert names(of(glycine, "atomistic", residue="gly")) == {}
    assert names(of(glycine, "core", "single", residue="gly")) == {"chain reversal": None}


def test_hexane_has_every_symmetry_of_its_beads(tmp_path):
    atoms = doctoring.topology("C C C C C C", "0-1 1-2 2-3 3-4 4-5")
    (molecule,) = kinds(chain(atoms, "C0 C1 C2 C3 C4 C5", tmp_path), atoms)
    group = symmetries(molecule, {})
    assert (len(group.model), len(group.molecule), group.cosets) == (4, 4, ())


def chain(atoms, beads, folder):
    return doctoring.mapped(folder, atoms, {f"B{k}": [a] for k, a in enumerate(beads.split())}, "single")


def test_a_chain_with_one_other_end_lacks_the_reversal_when_species_hide_it(tmp_path):
    atoms = doctoring.topology("C C C O", "0-1 1-2 2-3")
    (molecule,) = kinds(chain(atoms, "C0 C1 C2 O3", tmp_path), atoms)
    group = symmetries(molecule, {})
    assert [describe(g, molecule) for g in group.cosets] == ["chain reversal"]
    assert len(group.molecule) == 2 and len(group.model) == 4  # achiral: the reflection is its own


@pytest.mark.parametrize(
    "elements, bonds, expected",
    [
        ("C H F Cl Br", "0-1 0-2 0-3 0-4", [0]),
        ("C H H Cl Br", "0-1 0-2 0-3 0-4", []),
        ("C H C C O H H H H H H H", "0-1 0-2 0-3 0-4 2-5 2-6 2-7 3-8 3-9 3-10 4-11", []),  # propan-2-ol
        (
            "C H C C O C H H H H H H H H H",
            "0-1 0-2 0-3 0-4 3-5 2-6 2-7 2-8 3-9 3-10 4-11 5-12 5-13 5-14",
            [0],
        ),  # butanol
    ],
)
def test_stereocentres_are_atoms_with_four_different_branches(tmp_path, elements, bonds, expected):
    atoms = doctoring.topology(elements, bonds)
    beads = doctoring.mapped(tmp_path, atoms, {"all": [atoms.names[0]]})
    (molecule,) = kinds(beads, atoms)
    assert [c.atom for c in stereocentres(molecule)] == expected


def test_stereocentres_of_the_residues():
    for name, residue, expected in (("thr2_obc2", "thr", ["CA", "CB"]), ("pro2_obc2", "pro", ["CA"])):
        topology, frames = sets.load(name, stride=200)
        found = of((topology, frames), "heavy_atom", residue=residue)
        assert [s.centre for s in found.molecules[0].stereo] == expected
        assert {s.state for s in found.molecules[0].stereo} == {PATH}
        assert min(s.agreement for s in found.molecules[0].stereo) == 1.0


def test_threonine_core_beta_loses_the_second_centre_only():
    topology, frames = sets.load("thr2_obc2", stride=200)
    found = of((topology, frames), "core_beta", residue="thr")
    assert {s.centre: s.state for s in found.molecules[0].stereo} == {"CA": PATH, "CB": LOST}
    assert names(found) == {"mirror image": PATH}


# The bound


def test_the_bound_is_the_known_one_and_the_least():
    random = np.random.default_rng(3)
    P = random.random((12, 12)) ** 3
    assert_allclose(
        least_divergence(np.stack([P.ravel(), reflected(P).ravel()])), symmetry_bound(P, reflected), rtol=1e-8
    )
    assert_allclose(least_divergence(np.array([[5.0, 0.0], [0.0, 5.0]])), DISJOINT, rtol=1e-10)
    assert least_divergence(np.array([[1.0, 2.0], [2.0, 4.0]])) < 1e-12
    rows = random.random((2, 4))
    rows /= rows.sum(1, keepdims=True)

    def cost(u):
        Q = np.exp(u) / np.exp(u).sum()
        M = (rows + Q) / 2
        return ((rows * np.log2(rows / M)).sum() + (Q * np.log2(Q / M)).sum()) / 4

    assert_allclose(least_divergence(rows), minimize(cost, np.zeros(4), tol=1e-12).fun, rtol=1e-6)


def test_the_forced_free_energy_is_that_of_two_states():
    random = np.random.default_rng(0)
    counts = random.multinomial(2000, [0.9, 0.1], size=10)
    pair = np.stack([counts, counts[:, ::-1]], axis=1)
    value, at_least = forced_free_energy(pair, 300.0, 1.0)
    assert not at_least
    assert abs(value.value - kT(300.0) * np.log(9)) < 3 * value.error
    never, at_least = forced_free_energy(np.stack([counts * [1, 0], counts[:, ::-1] * [0, 1]], axis=1), 300.0, 1.0)
    assert at_least and never.value > kT(300.0) * np.log(1000)


def test_noise_alone_is_no_bound():
    random = np.random.default_rng(0)
    table = random.multinomial(300, np.full(20, 0.05), size=(10, 2))
    assert_allclose(least_divergence(table.sum(0)), floor(table), atol=2e-3)


def test_alanine_by_its_core_is_at_the_bound_that_theory_gives(alanine):
    (m,) = of(alanine, "core").molecules
    (broken,) = m.broken
    assert 0.27 < broken.worst.bound.value <= DISJOINT
    assert broken.worst.floor < 0.03 and broken.worst.sure()
    assert broken.worst.free_energy.value > 5.0


@pytest.mark.parametrize("seed", range(3))
def test_turning_and_relabelling_change_nothing_and_a_mirror_only_the_hand(alanine, tmp_path, seed):
    topology, frames = alanine
    frames = replace(frames[::4], position=np.asarray(frames.position[::4], float), force=None)
    random = np.random.default_rng(seed)
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    whole = of((topology, frames), "core_beta", "single")
    turned = replace(frames, position=np.asarray(frames.position) @ turn.T)
    mirrored = replace(frames, position=-frames.position)
    beads = ["N", "CA", "CB", "C"]
    random.shuffle(beads)
    text = map_text("core_beta")
    body = "\n".join(f'{b} = ["{b}"]' for b in beads)
    mine = tmp_path / "mine.toml"
    mine.write_text(f"{text}\n[residues.ALA]\n{body}\n")
    relabelled = of((topology, frames), mine, "single")
    for other in (
        of((topology, turned), "core_beta", "single"),
        relabelled,
        of((topology, mirrored), "core_beta", "single"),
    ):
        assert names(other) == names(whole)
        assert [f.level for f in findings(other) if f.kind != "noise"] == [
            f.level for f in findings(whole) if f.kind != "noise"
        ]
        ours, theirs = ({b.name: b.worst for b in x.molecules[0].broken} for x in (whole, other))
        for name, bound in ours.items():
            assert_allclose(theirs[name].bound, bound.bound, rtol=1e-3, atol=1e-4)
            assert_allclose(theirs[name].free_energy, bound.free_energy, rtol=1e-3, atol=1e-3)
        assert_allclose(other.lengths[0].bonded, whole.lengths[0].bonded, rtol=1e-4)
    hands = {1: whole.molecules[0].handedness.sign, -1: examine_hands(topology, mirrored)}
    assert_allclose(hands[-1], -hands[1])


def examine_hands(topology, frames):
    return of((topology, frames), "core_beta", "single").molecules[0].handedness.sign


def test_a_racemate_comes_out_clean_and_d_like_l(alanine):
    topology, frames = alanine
    sign = np.where(np.arange(frames.n_frames) % 2, -1, 1).astype(np.float32)[:, None, None]
    racemic = replace(frames, position=np.asarray(frames.position) * sign, force=None)
    found = of((topology, racemic), "core")
    assert headline(found) == "clear" and found.molecules[0].handedness.racemic
    d = of((topology, replace(frames, position=-np.asarray(frames.position), force=None)), "core_beta")
    assert headline(d) == "barrier"


# Typing


def test_the_proposed_map_adds_no_symmetry(alanine, tmp_path):
    topology, frames = alanine
    beads = mapping.load("core", topology, typing="single")
    (single,) = examine(beads, topology, frames[::10]).molecules
    assert single.typing.orbits == ((0,), (1,), (2,), (3,), (4,))
    assert single.typing.typed_orbits == ((0, 4), (1, 3), (2,))
    assert single.typing.must_differ == ((0, 4), (1, 3))
    assert len(set(single.typing.coarsest)) == 2 and len(set(single.typing.proposed)) == 2
    path = tmp_path / "core.toml"
    path.write_text(proposal(map_text("core"), beads, single.molecule, single.typing))
    for name in ("doctor", "doctor_coarsest"):
        found = of((topology, frames[::10]), path, name)
        assert names(found) == {"mirror image": None}
        assert found.molecules[0].typing.must_differ == ()
    again = proposal(path.read_text(), beads, single.molecule, single.typing)
    assert again == path.read_text()


def test_the_proposal_for_a_liquid_names_the_beads_of_every_molecule(tmp_path):
    atoms = doctoring.topology("C C O", "0-1 1-2", copies=3)
    beads = doctoring.mapped(tmp_path, atoms, {"A": ["C0"], "B": ["C1"], "C": ["O2"]}, "single")
    (molecule,) = kinds(beads, atoms)
    found = typing(molecule, symmetries(molecule, {}))
    assert (found.proposed, found.coarsest) == ((0, 0, 1), (0, 0, 1))
    path = tmp_path / "proposed.toml"
    path.write_text(proposal((tmp_path / "hand.toml").read_text(), beads, molecule, found))
    better = mapping.load(path, atoms, typing="doctor_coarsest", residue="MOL")
    assert better.species == tuple(found.coarsest) * 3


# Length scales


def test_the_error_rate_is_that_of_the_frames_made_by_hand(tmp_path):
    atoms = doctoring.topology("C C", "0-1", copies=2)
    beads = doctoring.mapped(tmp_path, atoms, {"A": ["C0"], "B": ["C1"]}, "single")
    far = np.array([[0.0, 0, 0], [0.15, 0, 0], [0.0, 1.0, 0], [0.15, 1.0, 0]])
    near = np.array([[0.05, 0, 0], [0.20, 0, 0], [1.95, 0, 0], [1.80, 0, 0]])  # across the boundary of a box of 2 nm
    frames = np.array([near if k % 5 == 0 else far for k in range(100)])
    (found,) = lengths(beads, np.array_split(frames, 10), np.full(3, 2.0))
    assert found.error_rate.value == pytest.approx(0.2 * 2 / 4)  # of four ends, two have a non-bonded bead nearer
    assert_allclose(found.bonded, 0.15)
    assert found.separation == pytest.approx(0.1 / 0.15)
    (apart,) = lengths(beads, np.array_split(frames[1:5], 2), np.full(3, 2.0))
    assert apart.error_rate.value == 0 and np.isnan(apart.separation)
    labelled = doctoring.mapped(tmp_path, atoms, {"A": ["C0"], "B": ["C1"]}, "labelled", LABELLED)
    (told,) = lengths(labelled, np.array_split(frames, 10), np.full(3, 2.0))
    assert told.error_rate.value == 0 and told.of_kind == pytest.approx(0.1)


LABELLED = '[typings.labelled]\ndescription = "A B"\nlabels = { A = "A", B = "B" }\n'


# What is said


def test_every_case_has_a_level_and_every_prior_that_is_advised_has_a_name():
    cases = [case for kind in TEXTS.values() for case in kind.values() if isinstance(case, dict) and "what" in case]
    assert len(cases) > 20 and {case["level"] for case in cases} == set(LEVELS)
    advised = set(re.findall(r'prior="(\w+)"', str(TEXTS)))
    assert advised == {*priors.PRIORS, "barrier"}


# Bad input and the command


def test_bad_input_is_named(alanine):
    topology, frames = alanine
    beads = mapping.load("core", topology)
    with pytest.raises(DoctorError, match="too few for any verdict"):
        examine(beads, topology, frames[:5])
    order = np.arange(topology.n_atoms)
    order[[4, 18]] = order[[18, 4]]
    wrong = replace(frames, position=np.asarray(frames.position)[:, order])
    with pytest.raises(TrajectoryError, match="contradict the distances"):
        examine(beads, topology, wrong)
    unbonded = replace(topology, bonds=topology.bonds[1:])
    with pytest.raises((DoctorError, mapping.MappingError), match="bond"):
        examine(mapping.load("core", unbonded), unbonded, frames)
    force = np.array(frames.force)
    with pytest.raises(TrajectoryError, match="all forces are zero.*nstfout"):
        examine(beads, topology, replace(frames, force=0 * force))
    force[3, 1] = np.nan
    with pytest.raises(TrajectoryError, match="forces of 1 frames are not finite, first in frame 3"):
        examine(beads, topology, replace(frames, force=force))


def test_few_frames_give_no_verdict(glycine):
    topology, frames = glycine
    few = of((topology, frames[:25]), "core", "single", residue="gly")
    assert headline(few) == "unknown"


def test_the_command_says_it_writes_it_and_explains_errors(tmp_path):
    run = CliRunner().invoke(
        app, ["doctor", "core", "ala2_obc2", "--stride", "40", "--out", str(tmp_path), "--typing", "single"]
    )
    assert run.exit_code == 0, run.output
    assert "✗ symmetry: mirror image" in run.output and "chain reversal" in run.output
    found = json.loads((tmp_path / "core.json").read_text())
    assert found["verdict"] == "artefact" and found["molecules"][0]["stereocentres"][0]["state"] == "lost"
    assert (tmp_path / "core.txt").read_text() in run.output
    assert "typings.doctor" in (tmp_path / "core_doctor.toml").read_text()
    run = CliRunner().invoke(app, ["doctor", "cores", "ala2"])
    assert run.exit_code == 1 and "unknown map 'cores'" in run.output
    run = CliRunner().invoke(app, ["doctor", "core", str(tmp_path / "core.txt")])
    assert run.exit_code == 1 and "--topology" in run.output


def test_what_is_said_can_be_read_in_ten_seconds(alanine):
    found = of(alanine, "core")
    text = verdict(found)
    assert len(text.splitlines()) <= 14 and len(text) < 2000
    json.dumps(to_dict(found), allow_nan=False)
    assert isinstance(found.molecules[0].broken[0].worst.bound, Estimate)


def test_independent_frames_of_known_chains():
    """Of x' = a x + noise one frame in (1 + a) / (1 - a) counts; runs with biases of their own have means of their own."""
    random, a = np.random.default_rng(0), 0.8
    kicks = random.normal(size=(4, 20_000)) * np.sqrt(1 - a**2)
    x = lfilter([1.0], [1.0, -a], kicks, axis=1) + np.array([[-3.0], [3.0], [0.0], [1.0]])
    pairs = np.zeros((4, 20_000, 1, 2, 3))
    pairs[..., 0, 1, 0] = 10.0 + 0.1 * x  # a bond
    shown = (Observable("bond", ((0, 1),)),)
    assert _inefficiency(shown, list(pairs)) == pytest.approx((1 + a) / (1 - a), rel=0.1)
    assert _inefficiency(shown, [pairs.reshape(-1, 1, 2, 3)]) > 1000  # one run that has four means has seen each once


@pytest.mark.parametrize("words", [("--frame-ps", "1"), ("--constraints", "none")])
def test_what_only_a_trajectory_file_needs_is_refused_for_a_set(words):
    ended = CliRunner().invoke(app, ["doctor", "core", "ala2_obc2", *words])
    assert ended.exit_code and "are for trajectory files" in ended.output


def test_a_spacing_that_is_no_number_is_refused():
    with pytest.raises(ConfigError, match="frame_ps: want"):
        diagnose("core", "ala2_obc2", frame_ps=float("nan"))
