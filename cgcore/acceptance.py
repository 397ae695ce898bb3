"""Is a run good enough to be used? A list of tests, each with the number that decides it: pass, fail or undecided.

Every number has a limit and a standard error. It passes where value and two errors stay within the limit, fails where it is
beyond it by two errors, and is undecided between: then more sampling is wanted, of the run or of the reference.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import geometry, simulate, steps
from .analysis import bonded, ramachandran, surface
from .analysis.blocks import Estimate, block_mean, jackknife, ratio
from .analysis.molecule import molecule
from .analysis.sample import of_ensemble, of_molecule
from .analysis.stability import extrapolating_frames
from .analysis.time_steps import heating
from .config import ConfigError, RunConfig, from_resolved
from .frames import Ensemble
from .observables import SKIPPED
from .reference import sets
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
"""Replicas with a bias along phi, and the length of each where none is said."""
APART_BIT, APART_G = 0.02, 1.0
"""How far distributions may be apart beyond what chance gives, and the mean square error of g in 10^-3."""
MEMORY, NARROW = 0.5, 0.1
"""Part of a dihedral's variance between replicas above which they stay where they began; of variances below the second number,
those of one narrow valley, nothing is asked."""
EXTRAPOLATING = 1e-3
"""Share of frames with beads nearer than in any frame of the training."""
NVE_PS, NVE_REPLICAS = 200.0, 32
LEAST_STARTS = 4
"""Replicas on each side, from which on starts are compared."""
RULE_OF_THREE = 3.0
KNOWN = 0.5
"""Error over share, from which on a basin of the reference is hardly known."""
TESTED = ("alpha_R", "phi_positive")
"""Basins."""
FILE = "acceptance.json"


class Criterion(NamedTuple):
    """One test. value, error and limit in the unit; error None where the value is exact; verdict: pass, fail or undecided.

    ours, theirs: of a depth the shares of the run and of the reference, with their errors; counts: whether in the verdict of all.
    """

    name: str
    value: float | None
    error: float | None
    limit: float
    unit: str
    verdict: str
    why: str = ""
    ours: Estimate | None = None
    theirs: Estimate | None = None
    counts: bool = True


def accept(folder: Path, against: str | None = None, walk_ps: float = WALK_PS) -> tuple[list[Criterion], str]:
    """Test a finished observation, runs/<system>/<id>, and write acceptance.json into it.

    against: a reference of the same molecule that populations are held against, and from which walks start; None is that of
    the run, which a run that learns from few frames may not be judged by. walk_ps: the length of each walk; longer ones go on
    where shorter ones ended.

    Fit and simulation are read back; what is simulated is a run at constant energy, and of a map with phi and psi walks
    along phi with a bias: a free simulation does not say how full a basin behind a barrier is. Of any other map the
    distributions that were observed are tested. Returns the tests, and the verdict of all: "fail" if one fails, else
    "undecided" if one is. Raises ConfigError for anything but a finished simulation (protocol nvt), and for a reference of
    another molecule.
    """
    folder = Path(folder).resolve()
    if not walk_ps >= 2 * steps.FILLING_PS:
        raise ConfigError(
            f"walk_ps: want at least {2 * steps.FILLING_PS:g}, of which {steps.FILLING_PS:g} fill the bias, got {walk_ps}"
        )
    config, reference, fitted, out_dir = read_back(folder)
    if against is not None and not has_backbone(reference):
        raise ConfigError(
            f"--against {against}: want a map with phi and psi, {config.data.map!r} is judged by its own reference"
        )
    judge = reference if against is None else other(config, reference, against)
    simulated = steps.simulate_protocol(config, reference, fitted, out_dir)
    made_of = {"fit": fitted.run.id, "simulations": simulated.runs}
    if made_of != (was := _manifest(folder)["made_of"]):
        raise ConfigError(
            f"{folder} was made of {was}, the same configuration now makes {made_of}; other kernels or another reference? Run "
            "the notebook again, and test what it makes"
        )
    as_long = (NVE_REPLICAS, NVE_PS)
    if reference.liquid:  # has many molecules to average over
        as_long = min(NVE_REPLICAS, config.md.replicas), min(NVE_PS, config.md.length_ps)
    nve = steps.constant_energy(config, reference, fitted, out_dir, replicas=as_long[0], length_ps=as_long[1])
    run = simulated.ensemble
    if has_backbone(reference):
        tests = of_backbone(config, reference, fitted, run, out_dir, judge, walk_ps)
    else:
        tests = of_halves(reference, run, SKIPPED * config.md.length_ps)
        tests += of_distributions(_manifest(folder)["results"])
    tests += [
        failures("free", run),
        failures("constant energy", nve.ensemble),
        extrapolation(run, reference),
        drift(nve, len(reference.beads.beads)),
    ]
    verdict = next(
        (word for word in ("fail", "undecided") if any(t.counts and t.verdict == word for t in tests)), "pass"
    )
    told = {"verdict": verdict, "against": against or config.data.reference, "made_of": made_of, "walk_ps": walk_ps}
    write_json(folder / FILE, told | {"tests": [test._asdict() for test in tests]})
    return tests, verdict


def walked_ps(folder: Path) -> float:
    """The length of the walks of an observation that was tested."""
    path = Path(folder) / FILE
    return read_json(path)["walk_ps"] if path.is_file() else WALK_PS


def read_back(folder: Path) -> tuple[RunConfig, steps.Reference, steps.Fitted, Path]:
    """The configuration of an observation, what it was made of, and the folder of all runs.

    Raises ConfigError for anything but a finished simulation with its fit beside it.
    """
    folder = Path(folder).resolve()
    manifest, out_dir = _manifest(folder), folder.parent.parent
    config = from_resolved(manifest["config"])
    if config.protocol != "nvt" or not (out_dir / "fit" / manifest["made_of"]["fit"] / MANIFEST).is_file():
        raise ConfigError(
            f"{folder}: want a simulation (protocol nvt) with its fit beside it in {out_dir / 'fit'}, got protocol "
            f"{config.protocol!r}, fit {manifest['made_of']['fit']}; was the folder copied without it?"
        )
    reference = steps.load(config)
    return config, reference, steps.fit(config, reference, out_dir), out_dir


def has_backbone(reference: steps.Reference) -> bool:
    """Whether a molecule's map has phi and psi, and phi is that of a peptide: C, N, CA, C."""
    beads, names = reference.beads, reference.topology.names
    if reference.liquid or not {"phi", "psi"} <= beads.dihedrals.keys():
        return False
    of_phi = [{names[atom] for atom in beads.atoms[bead]} for bead in beads.dihedrals["phi"]]
    return all(name in atoms for name, atoms in zip(("C", "N", "CA", "C"), of_phi, strict=True))


def other(config: RunConfig, reference: steps.Reference, against: str) -> steps.Reference:
    """Another reference of the same molecule, all frames with their weights, for populations to be held against."""
    data = replace(config.data, reference=against, force_map="sum", weights="boltzmann", frames=None)
    judge = steps.load(replace(config, data=data))
    if (found := identity(judge)) != (wanted := identity(reference)):
        raise ConfigError(f"--against {against}: want the same molecule, {wanted[1]}, got {found[1]}")
    if (kelvin := sets.temperature_K(against)) != config.md.temperature_K:
        raise ConfigError(f"--against {against}: want {config.md.temperature_K:g} K, as the run has, got {kelvin:g} K")
    return judge


def identity(reference: steps.Reference) -> tuple:
    """What a molecule is, and in words: atoms and their residues, whatever their order in the file, and beads."""
    t = reference.topology
    return sorted(zip(t.residues, t.names, strict=True)), list(dict.fromkeys(t.residues)), reference.beads.beads


def of_backbone(
    config: RunConfig,
    reference: steps.Reference,
    fitted: steps.Fitted,
    run: Ensemble,
    out_dir: Path,
    judge: steps.Reference,
    walk_ps: float,
) -> list[Criterion]:
    """Populations of basins over phi and psi, of the run and of walks along phi, against those of the judge."""
    dihedrals, kelvin = {k: reference.beads.dihedrals[k] for k in ("phi", "psi")}, config.md.temperature_K
    walks, counts, walk_starts = steps.walks(
        config, reference, fitted, out_dir, replicas=WALKS, length_ps=walk_ps, starts=judge
    )
    theirs = ramachandran.blocked(*surface.backbone(judge.frames, **dihedrals))
    starts = _angles(steps.initial_positions(config, reference), dihedrals)
    walked = (*surface.backbone(walks, **dihedrals)[:2], counts)
    by_walks = of_basins("walks: ", walked, theirs, _angles(walk_starts, dihedrals), kelvin)
    free = of_basins("free: ", surface.backbone(run, **dihedrals), theirs, starts, kelvin)
    shapes = []
    if config.system == "molecule":  # of the walks, for a free run may not know how full a basin is
        table, _ = molecule(walks, judge.frames, reference.beads, temperature_K=kelvin, weight=counts)
        shapes = [test._replace(name=f"walks: {test.name}") for test in of_distributions(table)]
    return [*decided_by(free, by_walks), *by_walks, *shapes, failures("walks", walks)]


def decided_by(free: list[Criterion], walks: list[Criterion]) -> list[Criterion]:
    """The tests of a free run, of which those that it is too short to decide do not count where the walks pass the same test:
    both are samples of one model, and a basin behind a barrier is entered by the walks only. One that fails counts."""
    passed = {test.name.removeprefix("walks: ") for test in walks if test.verdict == "pass"}
    return [
        test._replace(counts=False, why=f"the walks decide; {test.why}".removesuffix("; "))
        if test.verdict == "undecided" and test.name.removeprefix("free: ") in passed
        else test
        for test in free
    ]


def of_distributions(table: dict) -> list[Criterion]:
    """The distributions that an observation has compared, bit less what chance gives, and every g: of the former the worst."""
    tests = []
    for name in [name.removesuffix("_js") for name in table if name.endswith("_js")]:
        excess = max(0.0, table[f"{name}_js"] - table[f"{name}_js_floor"])
        found = Estimate(excess, table[f"{name}_js_error"])
        tests.append(judged(f"{name} against the reference", found, APART_BIT, "bit"))
    worst = _worst(tests)
    for name in [name.removesuffix("_mse_all") for name in table if name.endswith("_mse_all")]:
        excess = max(0.0, table[f"{name}_mse_all"] - table[f"{name}_mse_floor"])
        found = Estimate(excess, table[f"{name}_mse_error"])
        worst.append(judged(f"{name} against the reference", found, APART_G, "10⁻³"))
    return worst or [Criterion("distributions", None, None, APART_BIT, "bit", "undecided", "none was compared")]


def _worst(tests: list[Criterion]) -> list[Criterion]:
    """The test that decides: the first that fails, else that is undecided, and of equals the one nearest to its limit."""
    order = ("fail", "undecided", "pass")
    if not tests:
        return []
    worst = min(tests, key=lambda t: (order.index(t.verdict), -(t.value + DEVIATIONS * t.error)))
    return [worst._replace(why=f"decides among {len(tests)}")]


def of_halves(reference: steps.Reference, run: Ensemble, skip_ps: float = 0.0) -> list[Criterion]:
    """The second half of a run against the first, by the distribution along the bonds that decides, and whether replicas remember
    where they began: while they do, populations are those of the starts, whatever the model."""
    beads, early = reference.beads, np.arange(len(run.time)) < len(run.time) // 2
    if reference.liquid:
        sample = of_ensemble(run, reference.frames.box, skip_ps=skip_ps)
        labels = tuple(beads.species_names[s] for s in beads.species)
    else:
        sample, labels = of_molecule(run), beads.beads
    parts = [replace(sample, valid=sample.valid & part) for part in (early, ~early)]
    name = "second half against first"
    if not len(beads.bonds) or min(part.valid.any(1).sum() for part in parts) < 2:
        why = "no bonds to look along" if not len(beads.bonds) else "fewer than two replicas have frames in both halves"
        return [Criterion(name, None, None, APART_BIT, "bit", "undecided", why)]
    tests, remembered = [], []
    for kind, paths in bonded.kinds(labels, beads.bonds).items():
        first, second = (bonded.values(part, paths) for part in parts)
        edges = bonded.edges_for(kind, first)
        found = surface.divergence("js", *(bonded.histogram(values, edges).counts for values in (second, first)))
        excess = Estimate(max(0.0, found["js"] - found["js_floor"]), found["js_error"])
        tests.append(judged(f"{kind}: {name}", excess, APART_BIT, "bit"))
        if kind.startswith("dihedral") and not reference.liquid:
            remembered.append((memory(second), kind))
    if not remembered:
        return _worst(tests)
    share, kind = max(remembered)
    verdict = "pass" if share <= MEMORY else "undecided"
    why = "replicas stay where they began: more sampling, or starts and walks on both sides" if share > MEMORY else ""
    return [*_worst(tests), Criterion(f"{kind}: replicas apart", share, None, MEMORY, "of the variance", verdict, why)]


def memory(blocks: list[np.ndarray]) -> float:
    """Between 0 and 1: the part of the variance of dihedrals (t, M) rad, as points of a circle, that is between the replicas."""
    points = [np.stack([np.cos(b), np.sin(b)], -1).mean(1) for b in blocks]
    total = np.concatenate(points).var(0).sum()
    between = np.average(
        np.square([p.mean(0) for p in points] - np.concatenate(points).mean(0)).sum(1), weights=[len(p) for p in points]
    )
    return float(between / total) if total > NARROW else 0.0


def _manifest(folder: Path) -> dict:
    """The manifest of an observation. Raises ConfigError for another folder."""
    if not (folder / MANIFEST).is_file():
        raise ConfigError(f"{folder}: no {MANIFEST}; want a finished observation, runs/<system>/<id>")
    manifest = read_json(folder / MANIFEST, "versions")
    if "made_of" not in manifest:
        made = repr(manifest["kind"]) if "kind" in manifest else "another command, a reference perhaps"
        raise ConfigError(f"{folder}: made by {made}; want a finished observation, runs/<system>/<id>")
    return manifest


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
    counted = np.flatnonzero(counts.any(0))
    half = int(counted[len(counted) // 2]) if len(counted) else 0
    parts = [(phi[:, t], psi[:, t], counts[:, t]) for t in (slice(None), slice(half), slice(half, None))]
    inside, sums = [surface.basin_counts(*part) for part in parts], [part[2].sum(1) for part in parts]
    of_theirs, of_starts, tests = surface.basin_counts(*theirs), surface.basin_counts(*begin), []
    whole = (sums[1] > 0) & (sums[2] > 0)
    if whole.sum() < 2:
        why = f"{whole.sum()} of {len(counts)} replicas have frames that count in both halves"
        return [Criterion(f"{where}populations", None, None, CHANGE, "", "undecided", why)]
    for name in TESTED:
        ratios = ratio(inside[0][name], sums[0]), ratio(of_theirs[name], theirs[2].sum(1))
        test = depth(f"{where}{name}", *ratios, replicas=len(counts), temperature_K=temperature_K)
        tests.append(test._replace(ours=ratios[0], theirs=ratios[1]))
        halves = np.stack([inside[2][name], sums[2], inside[1][name], sums[1]], axis=1)[whole]
        change = jackknife(lambda n: float(n[0] / n[1] - n[2] / n[3]), halves)
        tests.append(judged(f"{where}{name}: second half less first", change, CHANGE, ""))
        began = of_starts[name][whole] > 0
        tests.append(by_start(f"{where}{name}", inside[2][name][whole], sums[2][whole], began))
    return tests


def _angles(starts: np.ndarray, dihedrals: dict):
    """phi, psi and ones, (C, 1) each, of initial positions (C, N, 3)."""
    single = geometry.dihedrals(starts, np.array([dihedrals["phi"], dihedrals["psi"]]), np.full(3, np.inf))
    phi, psi = np.moveaxis(np.asarray(single, dtype=float), -1, 0)[..., None]
    return phi, psi, np.ones(phi.shape, bool)


def depth(name: str, ours: Estimate, theirs: Estimate, *, replicas: int, temperature_K: float) -> Criterion:
    """The free energy of a basin against all else, kT ln(p / (1 - p)), less the reference's, kJ/mol.

    Undecided where the reference says little of it: a share whose error is half of it, or none at all. A share of zero or one
    of ours is taken at the limit that so many independent replicas allow (rule of three), and can then fail but not pass.
    """
    limit, thermal, least = DEPTH_KT * kT(temperature_K), kT(temperature_K), RULE_OF_THREE / replicas
    words = f"{ours.value:.3g} ± {ours.error:.1g}, reference {theirs.value:.3g} ± {theirs.error:.1g}"
    title, rare = f"{name}: depth against the reference", min(theirs.value, 1 - theirs.value)
    if rare <= 0 or theirs.error > KNOWN * rare:
        return Criterion(
            title, None, None, limit, "kJ/mol", "undecided", f"hardly visited or left in the reference; {words}"
        )
    seen = 0 < ours.value < 1
    if not seen and least >= 0.5:
        return Criterion(title, None, None, limit, "kJ/mol", "undecided", f"only {replicas} replicas; {words}")
    p = ours.value if seen else abs(round(ours.value) - least)
    gap = thermal * float(np.log(p / (1 - p)) - np.log(theirs.value / (1 - theirs.value)))
    each = [thermal * error / (q * (1 - q)) for error, q in ((ours.error, p), (theirs.error, theirs.value))]
    test = judged(title, Estimate(gap, float(np.hypot(*each))), limit, "kJ/mol", words)
    outward = (gap < 0) == (ours.value < theirs.value)
    return test if seen or (test.verdict == "fail" and outward) else test._replace(verdict="undecided")


def by_start(name: str, inside: np.ndarray, of: np.ndarray, began: np.ndarray) -> Criterion:
    """Replicas that began inside the basin (C,) against the others, by the share of frames inside, inside / of (C,), in their
    second half."""
    title = f"{name}: started inside less outside, second half"
    few = min(began.sum(), (~began).sum())
    if few < LEAST_STARTS:
        return Criterion(title, None, None, CHANGE, "", "undecided", f"only {few} replicas began on one side")
    shares = [ratio(inside[side], of[side]) for side in (began, ~began)]
    gap = Estimate(shares[0].value - shares[1].value, float(np.hypot(shares[0].error, shares[1].error)))
    return judged(title, gap, CHANGE, "", f"{began.sum()} and {(~began).sum()} replicas")


def failures(where: str, run) -> Criterion:
    """Replicas that lost a bond or got no finite energy: none may."""
    n = len(run.status)
    return Criterion(
        f"{where}: failed replicas", run.n_failed, None, 0, "", "fail" if run.n_failed else "pass", f"of {n}"
    )


def extrapolation(run, reference: steps.Reference) -> Criterion:
    """The share of frames in which beads are nearer than in the training."""
    box = steps.molecule(reference).box
    found = extrapolating_frames(run, reference.split.train, box)["n_frames_extrapolating"]
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
