"""The acceptance test of runs: what passes, fails, or cannot be decided yet."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgcore import acceptance, steps
from cgcore.acceptance import Criterion, by_start, decided_by, depth, drift, failures, judged
from cgcore.analysis.blocks import Estimate
from cgcore.analysis.ramachandran import blocked
from cgcore.analysis.surface import backbone, basin_counts
from cgcore.config import ConfigError, from_resolved
from cgcore.frames import Ensemble, Frames
from cgcore.units import kT

DIHEDRALS = {"phi": (0, 1, 2, 3), "psi": (1, 2, 3, 4)}


@pytest.mark.parametrize(
    ("value", "error", "verdict"),
    [
        (0.02, 0.01, "pass"),
        (-0.02, 0.01, "pass"),
        (0.09, 0.01, "undecided"),
        (0.3, 0.2, "undecided"),
        (-0.3, 0.05, "fail"),
    ],
)
def test_two_errors_decide(value, error, verdict):
    assert judged("x", Estimate(value, error), 0.1, "").verdict == verdict


def test_a_depth_is_that_of_the_populations_with_both_errors():
    found = depth("alpha_R", Estimate(0.6, 0.01), Estimate(0.4, 0.02), replicas=100, temperature_K=300.0)
    assert_allclose(found.value, 2 * kT(300) * np.log(1.5))
    assert_allclose(found.error, kT(300) * np.hypot(0.01, 0.02) / 0.24)
    assert found.verdict == "pass" and "reference 0.4 ± 0.02" in found.why


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        (Estimate(0.0, 0.0), Estimate(0.4, 0.01), "fail"),  # at most 0.03, in a basin of 0.4
        (Estimate(0.0, 0.0), Estimate(0.02, 0.005), "undecided"),  # at most 0.03 says nothing of 0.02
        (Estimate(1.0, 0.0), Estimate(0.4, 0.01), "fail"),
        (Estimate(0.3, 0.01), Estimate(0.0, 0.0), "undecided"),
        (Estimate(0.02, 0.001), Estimate(9e-5, 7e-5), "undecided"),  # a reference that hardly crossed
    ],
)
def test_a_population_of_zero_is_taken_at_its_limit_and_never_passes(ours, theirs, verdict):
    assert depth("alpha_R", ours, theirs, replicas=100, temperature_K=300.0).verdict == verdict


@pytest.mark.parametrize("replicas", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("ours", [0.0, 1.0])
def test_few_replicas_exclude_nothing(replicas, ours):
    found = depth("alpha_R", Estimate(ours, 0.0), Estimate(0.5, 0.02), replicas=replicas, temperature_K=300.0)
    assert found.verdict == "undecided" and (found.value is None or np.isfinite(found.error))


def test_replicas_without_frames_are_undecided(reference):
    ours = [a[:1] for a in backbone(run_of(*visits(np.random.default_rng(1), 1, 20, np.full(1, 0.4))), **DIHEDRALS)]
    theirs = blocked(*backbone(reference, **DIHEDRALS))
    (only,) = acceptance.of_basins("", ours, theirs, tuple(a[:, :1] for a in ours), 300.0)
    assert only.verdict == "undecided" and "0 of 1" not in only.why and "1 of 1 replicas" in only.why


def run_of(phi: np.ndarray, psi: np.ndarray) -> Ensemble:
    """Chains of five beads with dihedrals (C, T)."""
    angle, bond = np.full(phi.shape, np.radians(110.0)), 0.15
    x = np.zeros((*phi.shape, 5, 3))
    x[..., 1, 0] = bond
    x[..., 2, :2] = np.stack([bond - bond * np.cos(angle), bond * np.sin(angle)], axis=-1)
    for k, torsion in ((3, phi), (4, psi)):
        b1, b2 = x[..., k - 2, :] - x[..., k - 3, :], x[..., k - 1, :] - x[..., k - 2, :]
        u = b2 / np.linalg.norm(b2, axis=-1, keepdims=True)
        n = np.cross(b1, u)
        n /= np.linalg.norm(n, axis=-1, keepdims=True)
        m, (c, s), t = np.cross(n, u), (np.cos(angle), np.sin(angle)), torsion
        step = -c[..., None] * u + s[..., None] * (np.cos(t)[..., None] * m + np.sin(t)[..., None] * n)
        x[..., k, :] = x[..., k - 1, :] + bond * step
    n_frames = phi.shape[1]
    return Ensemble(
        position=x, energy=np.zeros(phi.shape), kinetic=np.zeros(phi.shape), time=np.arange(n_frames) * 0.5,
        status=np.zeros(len(phi), int), first_bad=np.full(len(phi), n_frames), names=tuple("ABCDE"),
    )  # fmt: skip


def visits(rng, C, T, alpha) -> tuple[np.ndarray, np.ndarray]:
    """Frames in beta, and with the probability alpha (C,) in alpha_R."""
    inside = rng.random((C, T)) < alpha[:, None]
    phi = rng.normal(-1.3, 0.1, (C, T))
    return phi, np.where(inside, -0.7, 2.4) + rng.normal(0, 0.1, (C, T))


@pytest.fixture(scope="module")
def reference():
    run = run_of(*visits(np.random.default_rng(0), 1, 5000, np.array([0.4])))
    return Frames(
        position=run.position[0], force=None, box=np.full(3, np.inf), time=np.arange(5000.0), names=run.names
    )  # fmt: skip


def judge(run: Ensemble, reference: Frames) -> dict[str, Criterion]:
    theirs = blocked(*backbone(reference, **DIHEDRALS))
    ours = backbone(run, **DIHEDRALS)
    found = acceptance.of_basins("", ours, theirs, tuple(a[:, :1] for a in ours), 300.0)
    return {test.name: test for test in found}


def test_a_run_that_samples_the_reference_passes(reference):
    tests = judge(run_of(*visits(np.random.default_rng(1), 40, 200, np.full(40, 0.4))), reference)
    of_alpha = [t.verdict for name, t in tests.items() if name.startswith("alpha_R")]
    assert of_alpha == ["pass"] * 3
    assert tests["phi_positive: depth against the reference"].verdict == "undecided"  # nobody has seen it


def test_replicas_that_stay_where_they_began_fail_whatever_their_mean(reference):
    stuck = np.where(np.arange(40) < 16, 1.0, 0.0)
    tests = judge(run_of(*visits(np.random.default_rng(1), 40, 200, stuck)), reference)
    assert tests["alpha_R: depth against the reference"].verdict != "fail"
    memory = tests["alpha_R: started inside less outside, second half"]
    assert memory.verdict == "fail" and memory.value == pytest.approx(1.0)


def test_a_drift_from_half_to_half_fails(reference):
    rng = np.random.default_rng(1)
    halves = [visits(rng, 40, 100, np.full(40, alpha)) for alpha in (0.2, 0.6)]
    tests = judge(run_of(*(np.concatenate(pair, axis=1) for pair in zip(*halves, strict=True))), reference)
    assert tests["alpha_R: second half less first"].verdict == "fail"


def test_starts_on_one_side_decide_nothing():
    assert by_start("alpha_R", np.linspace(0, 1, 20), np.ones(20), np.arange(20) < 3).verdict == "undecided"


@pytest.mark.parametrize(
    ("free", "walks", "counts"),
    [("undecided", "pass", False), ("undecided", "undecided", True), ("fail", "pass", True), ("pass", "pass", True)],
)
def test_what_a_free_run_is_too_short_for_the_walks_decide(free, walks, counts):
    tests = [Criterion(f"{kind}: x", 0.0, 1.0, 1.0, "", v) for kind, v in (("free", free), ("walks", walks))]
    (found,) = decided_by(tests[:1], tests[1:])
    assert (found.verdict, found.counts) == (free, counts)


def test_a_broken_replica_fails(reference):
    run = run_of(*visits(np.random.default_rng(1), 4, 20, np.full(4, 0.4)))
    assert failures("free", run).verdict == "pass"
    assert failures("free", replace(run, status=np.array([0, 0, 4, 0]))).verdict == "fail"


@pytest.mark.parametrize(("slope", "verdict"), [(0.0, "pass"), (2.0, "fail"), (-2.0, "fail")])
def test_heating_has_a_sign(slope, verdict):
    rng = np.random.default_rng(2)
    run = run_of(*visits(rng, 16, 200, np.full(16, 0.4)))
    run = replace(run, energy=slope * run.time + rng.normal(0, 0.01, (16, 200)))
    found = drift(acceptance.simulate.Simulation(run, {}, None, {}), 5)
    assert found.verdict == verdict and np.sign(np.round(found.value, 1)) == np.sign(slope)


def test_a_configuration_comes_back_from_a_manifest():
    for potential in ("mace", "nequip", "spline"):
        config = steps.configure("amino_acids" if potential != "spline" else "hexane", potential=potential)
        assert from_resolved(config.resolved()) == config
    assert "weights" not in steps.configure("amino_acids").resolved()["data"]  # names of older runs stay
    other = steps.configure("amino_acids", weights="none")
    assert from_resolved(other.resolved()) == other


def test_a_run_is_held_against_all_frames_of_another_reference():
    config = steps.configure("amino_acids", map="core_beta", reference="ala2_obc2_phi", weights="none", frames=500)
    reference = steps.load(config)
    judge = acceptance.other(config, reference, "ala2_obc2_phi")
    assert judge.frames.n_frames == 16000 and judge.frames.weight is not None  # not the 500, and not alike
    phi = backbone(judge.frames, **judge.beads.dihedrals)[0][0]
    began = acceptance._angles(steps._either_side(judge, 16, 0), judge.beads.dihedrals)
    inside = basin_counts(*began)
    assert inside["phi_positive"].sum() == 8 and inside["alpha_R"].sum() == 4 and phi.min() < 0 < phi.max()
    assert len(np.unique(began[0])) == 16
    with pytest.raises(ConfigError, match="glu2"):
        acceptance.other(config, reference, "glu2_obc2")


def test_another_molecule_is_no_judge():
    """Core has the same beads of both."""
    config = steps.configure("molecule", map="core", reference="ala2_obc2", frames=500)
    with pytest.raises(ConfigError, match="want the same molecule, .*'ALA'.*got .*'GLY'"):
        acceptance.other(config, steps.load(config), "gly2_obc2")


def test_what_cannot_be_tested_is_said(tmp_path):
    config = steps.configure("amino_acids", protocol="nve", reference="obc2")
    run = steps.open_run(tmp_path, "amino_acids", config.resolved(), data={}, rooms=("analysis",))
    run.finish({}, 0.0)
    with pytest.raises(ConfigError, match="made by 'amino_acids'; want a finished observation"):
        acceptance.accept(run.folder)
    run.finish({}, 0.0, made_of={"fit": "0", "simulations": []})
    with pytest.raises(ConfigError, match="want a simulation .protocol nvt. with its fit beside it"):
        acceptance.accept(run.folder)
    with pytest.raises(ConfigError, match="no manifest.json; want a finished observation"):
        acceptance.accept(tmp_path)
