"""Is a run good enough to be used? A list of tests, each with the number that decides it: pass, fail or undecided.

Every number has a limit and a standard error. It passes where value and two errors stay within the limit, fails where it is
beyond it by two errors, and is undecided between: then more sampling is wanted, of the run or of the reference.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import geometry, simulate, steps
from .analysis import ramachandran, surface
from .analysis.blocks import Estimate, block_mean, ratio
from .analysis.stability import extrapolating_frames
from .analysis.time_steps import heating
from .config import ConfigError, from_resolved
from .store import read_json, write_json
from .store.runs import MANIFEST
from .units import PS_PER_NS, kT

DEVIATIONS = 2.0
DEPTH_KT = 1.0
"""How far the free energy of a basin may be from the reference's."""
CHANGE = 0.1
"""By how much a population may differ between the halves of a run, and between replicas of different starts."""
HEATING_K = 1.0
"""In 100 ps at constant energy, by the time step of the run."""
WALKS, WALK_PS = 16, 1000.0
"""Replicas with a bias along phi, and the length of each."""
EXTRAPOLATING = 1e-3
"""Share of frames with beads nearer than in any frame of the training."""
NVE_PS, NVE_REPLICAS = 100.0, 32
LEAST_STARTS = 4
"""Replicas on each side, from which on starts are compared."""
RULE_OF_THREE = 3.0
FILE = "acceptance.json"


class Criterion(NamedTuple):
    """One test. value, error and limit in the unit; error None where the value is exact; verdict: pass, fail or undecided."""

    name: str
    value: float | None
    error: float | None
    limit: float
    unit: str
    verdict: str
    why: str = ""


def accept(folder: Path) -> tuple[list[Criterion], str]:
    """Test a finished observation, runs/<system>/<id>, and write acceptance.json into it.

    Fit and simulation are read back; what is simulated are 100 ps at constant energy, and walks along phi with a growing
    bias: a free simulation does not say how full a basin behind a barrier is. Returns the tests, and the verdict of all:
    "fail" if one fails, else "undecided" if one is. Raises ConfigError for anything but a molecule's free simulation.
    """
    folder = Path(folder).resolve()
    config = from_resolved(read_json(folder / MANIFEST, "config", "results")["config"])
    out_dir = folder.parent.parent
    reference = steps.load(config)
    if config.protocol != "nvt" or not {"phi", "psi"} <= reference.beads.dihedrals.keys():
        raise ConfigError(
            f"{folder}: want a simulation (protocol nvt) of a map with the dihedrals phi and psi, got protocol "
            f"{config.protocol!r}, map {config.data.map!r}"
        )
    fitted = steps.fit(config, reference, out_dir)
    run = steps.simulate_protocol(config, reference, fitted, out_dir).ensemble
    nve = steps.constant_energy(config, reference, fitted, out_dir, replicas=NVE_REPLICAS, length_ps=NVE_PS)
    walks, counts, walk_starts = steps.walks(config, reference, fitted, out_dir, replicas=WALKS, length_ps=WALK_PS)
    dihedrals, kelvin = reference.beads.dihedrals, config.md.temperature_K
    starts = steps.initial_positions(config, reference)
    theirs = ramachandran.blocked(*surface.backbone(reference.frames, **dihedrals))
    tests = [
        *of_basins("free: ", surface.backbone(run, **dihedrals), theirs, _angles(starts, dihedrals), kelvin),
        *of_basins(
            "walks: ",
            (*surface.backbone(walks, **dihedrals)[:2], counts),
            theirs,
            _angles(walk_starts, dihedrals),
            kelvin,
        ),
        failures(run),
        extrapolation(run, reference),
        drift(nve, len(reference.beads.beads)),
    ]
    verdict = next((word for word in ("fail", "undecided") if any(t.verdict == word for t in tests)), "pass")
    write_json(folder / FILE, {"verdict": verdict, "tests": [test._asdict() for test in tests]})
    return tests, verdict


def judged(name: str, found: Estimate, limit: float, unit: str, why: str = "") -> Criterion:
    """Hold an estimate against a limit of its size."""
    size, margin = abs(found.value), DEVIATIONS * found.error
    verdict = "pass" if size + margin <= limit else "fail" if size - margin > limit else "undecided"
    return Criterion(name, float(found.value), float(found.error), limit, unit, verdict, why)


def of_basins(where: str, ours: tuple, theirs: tuple, begin: tuple, temperature_K: float) -> list[Criterion]:
    """Populations of alpha_R and of phi > 0: depth against the reference, halves of the run, starts on both sides.

    ours: phi, psi (C, T) rad, and what each frame counts, of replicas; theirs: the same of blocks of the reference; begin: of
    the initial positions, (C, 1). where: put before the names.
    """
    phi, psi, counts = ours
    half = counts.shape[1] // 2
    parts = [(phi[:, t], psi[:, t], counts[:, t]) for t in (slice(None), slice(half), slice(half, None))]
    inside, sums = [surface.basin_counts(*part) for part in parts], [part[2].sum(1) for part in parts]
    of_theirs, of_starts, tests = surface.basin_counts(*theirs), surface.basin_counts(*begin), []
    whole = (sums[1] > 0) & (sums[2] > 0)
    for name in ("alpha_R", "phi_positive"):
        ratios = ratio(inside[0][name], sums[0]), ratio(of_theirs[name], theirs[2].sum(1))
        tests.append(depth(f"{where}{name}", *ratios, replicas=len(counts), temperature_K=temperature_K))
        first, second = (inside[k][name][whole] / sums[k][whole] for k in (1, 2))
        tests.append(
            judged(f"{where}{name}: second half less first", block_mean((second - first)[:, None]), CHANGE, "")
        )
        tests.append(by_start(f"{where}{name}", second, of_starts[name][whole] > 0))
    return tests


def _angles(starts: np.ndarray, dihedrals: dict):
    """phi, psi and ones, (C, 1) each, of initial positions (C, N, 3)."""
    single = geometry.dihedrals(starts, np.array([dihedrals["phi"], dihedrals["psi"]]), np.full(3, np.inf))
    phi, psi = np.moveaxis(np.asarray(single, dtype=float), -1, 0)[..., None]
    return phi, psi, np.ones(phi.shape, bool)


def depth(name: str, ours: Estimate, theirs: Estimate, *, replicas: int, temperature_K: float) -> Criterion:
    """The free energy of a basin against all else, kT ln(p / (1 - p)), less the reference's, kJ/mol.

    A population of zero or one is taken at the limit that so many independent replicas allow (rule of three), and can then
    fail but not pass.
    """
    limit, thermal, least = DEPTH_KT * kT(temperature_K), kT(temperature_K), RULE_OF_THREE / replicas
    words = f"{ours.value:.3g} ± {ours.error:.1g}, reference {theirs.value:.3g} ± {theirs.error:.1g}"
    title = f"{name}: depth against the reference"
    if not 0 < theirs.value < 1:
        return Criterion(
            title, None, None, limit, "kJ/mol", "undecided", f"never left or never seen in the reference; {words}"
        )
    seen = 0 < ours.value < 1
    p = ours.value if seen else np.clip(ours.value, least, 1 - least)
    gap = thermal * float(np.log(p / (1 - p)) - np.log(theirs.value / (1 - theirs.value)))
    each = [thermal * e.error / (q * (1 - q)) for e, q in ((ours, p), (theirs, theirs.value))]
    test = judged(title, Estimate(gap, float(np.hypot(*each))), limit, "kJ/mol", words)
    outward = (gap < 0) == (ours.value < theirs.value)
    return test if seen or (test.verdict == "fail" and outward) else test._replace(verdict="undecided")


def by_start(name: str, second: np.ndarray, inside: np.ndarray) -> Criterion:
    """Replicas that began inside the basin against the others, by the population (C,) of their second half."""
    title = f"{name}: started inside less outside, second half"
    few = min(inside.sum(), (~inside).sum())
    if few < LEAST_STARTS:
        return Criterion(title, None, None, CHANGE, "", "undecided", f"only {few} replicas began on one side")
    means = [block_mean(second[side][:, None]) for side in (inside, ~inside)]
    gap = Estimate(means[0].value - means[1].value, float(np.hypot(means[0].error, means[1].error)))
    return judged(title, gap, CHANGE, "", f"{inside.sum()} and {(~inside).sum()} replicas")


def failures(run) -> Criterion:
    """Replicas that lost a bond or got no finite energy: none may."""
    n = len(run.status)
    return Criterion("failed replicas", run.n_failed, None, 0, "", "fail" if run.n_failed else "pass", f"of {n}")


def extrapolation(run, reference: steps.Reference) -> Criterion:
    """The share of frames in which beads are nearer than in the training."""
    found = extrapolating_frames(run, reference.split.train, np.full(3, np.inf))["n_frames_extrapolating"]
    n = int(run.valid.sum())
    share = found / max(1, n)
    verdict = "pass" if share <= EXTRAPOLATING else "fail"
    return Criterion("extrapolating frames", share, None, EXTRAPOLATING, "", verdict, f"{found} of {n}")


def drift(nve: simulate.Simulation, n_beads: int) -> Criterion:
    """How much replicas heat at constant energy with the time step of the run, by signed slopes."""
    run = nve.ensemble
    total = run.energy.astype(float) + run.kinetic
    slopes = [
        heating(np.polyfit(run.time[v], e[v], 1)[0] * PS_PER_NS, n_beads)
        for e, v in zip(total, run.valid, strict=True)
        if v.sum() >= 3
    ]
    if len(slopes) < 2:
        return Criterion("heating at constant energy", None, None, HEATING_K, "K in 100 ps", "fail", "replicas failed")
    return judged("heating at constant energy", block_mean(np.array(slopes)[:, None]), HEATING_K, "K in 100 ps")
