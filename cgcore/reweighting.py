"""Populations of several trained potentials from the walks of one of them.

A frame that the walked potential U_0 makes with the weight w has under another one, U, the weight w exp(-(U - U_0) / kT)
(Zwanzig, J. Chem. Phys. 22, 1420, 1954). All are then judged by the same frames, so that what the walks missed is the same
for all, and a difference between two potentials is known better than either. It holds where the walks went: `counting` says
how many equally weighted frames are left.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from . import acceptance, steps
from .acceptance import TESTED, Criterion, depth, judged
from .analysis import ramachandran, surface
from .analysis.blocks import Estimate, jackknife, ratio
from .config import ConfigError
from .potentials.base import Potential
from .store import write_json
from .units import kT

FILE = "reweighted.json"
BATCH = 500
"""Frames at once."""
TRUSTED = 100.0
"""Equally weighted frames, below which nothing is decided."""


def reweight(walked: Path, folders: list[Path], against: str | None = None) -> dict[str, list[Criterion]]:
    """Judge the populations of observations by the walks of another one, and write reweighted.json into each of them.

    Args:
        walked: an observation that `accept` has tested: its walks are read back.
        folders: observations of the same map, runs/<system>/<id>.
        against: the reference that populations are held against; None is that of the walked run.

    Returns:
        By folder the tests of both depths, and the depth less that of the walked potential, whose error is that of the
        difference. Undecided where fewer than TRUSTED equally weighted frames are left.

    Raises:
        ConfigError: what is no observation of a molecule, or of another map.
    """
    config, reference, fitted, out_dir = acceptance.read_back(walked)
    if not acceptance.has_backbone(reference):
        raise ConfigError(f"{walked}: want a map with the dihedrals phi and psi, along which walks go")
    judge = reference if against is None else acceptance.other(config, reference, against)
    walks, counts, _ = steps.walks(
        config,
        reference,
        fitted,
        out_dir,
        replicas=acceptance.WALKS,
        length_ps=acceptance.walked_ps(walked),
        starts=judge,
    )
    late = counts.any(0)
    position, counts = walks.position[:, late], counts[:, late]
    dihedrals, kelvin = {k: reference.beads.dihedrals[k] for k in ("phi", "psi")}, config.md.temperature_K
    phi, psi, _ = surface.backbone(walks, **dihedrals)
    theirs = ramachandran.blocked(*surface.backbone(judge.frames, **dihedrals))
    before = energies(fitted.potential, fitted.params, position)
    told = {}
    for folder in folders:
        its, own, learnt, _ = acceptance.read_back(folder)
        if (found := acceptance.identity(own)) != (wanted := acceptance.identity(reference)):
            raise ConfigError(f"{folder}: want the molecule and the beads of the walks, {wanted[1:]}, got {found[1:]}")
        if its.md.temperature_K != kelvin:
            raise ConfigError(f"{folder}: want {kelvin:g} K, as the walks have, got {its.md.temperature_K:g} K")
        gain = -(energies(learnt.potential, learnt.params, position) - before) / kT(kelvin)
        tests = judge_by(phi[:, late], psi[:, late], counts, gain, theirs, kelvin)
        told[str(folder)] = tests
        about = {"walked": Path(walked).name, "against": against or config.data.reference}
        about["walk_ps"] = acceptance.walked_ps(walked)
        write_json(Path(folder) / FILE, about | {"tests": [test._asdict() for test in tests]})
    return told


def judge_by(
    phi: np.ndarray, psi: np.ndarray, counts: np.ndarray, gain: np.ndarray, theirs: tuple, temperature_K: float
) -> list[Criterion]:
    """The tests of one potential. gain: -(U - U_0) / kT of each frame (C, T); the rest as `acceptance.of_basins`."""
    thermal, limit = kT(temperature_K), acceptance.DEPTH_KT * kT(temperature_K)
    highest = gain[counts > 0].max()
    weight = counts * np.exp(np.where(counts > 0, gain - highest, -np.inf))
    counting = float(weight.sum() ** 2 / np.square(weight).sum())
    tests = [Criterion("frames left", counting, None, TRUSTED, "", "pass" if counting >= TRUSTED else "undecided")]
    inside, before, of_theirs = (surface.basin_counts(*a) for a in ((phi, psi, weight), (phi, psi, counts), theirs))
    for name in TESTED:
        shares = ratio(inside[name], weight.sum(1)), ratio(of_theirs[name], theirs[2].sum(1))
        test = depth(f"walks: {name}", *shares, replicas=len(phi), temperature_K=temperature_K)
        sums = np.stack([inside[name], weight.sum(1), before[name], counts.sum(1)], axis=1)
        gap = jackknife(lambda n: thermal * (_log_odds(n[0] / n[1]) - _log_odds(n[2] / n[3])), sums)
        less = judged(f"walks: {name}: depth less that of the walked", Estimate(*map(float, gap)), limit, "kJ/mol")
        found = [test._replace(ours=shares[0], theirs=shares[1]), less]
        tests += found if counting >= TRUSTED else [test._replace(verdict="undecided") for test in found]
    return tests


def _log_odds(p: float) -> float:
    with np.errstate(divide="ignore"):
        return float(np.log(p) - np.log(1 - p))


def energies(potential: Potential, params, position: np.ndarray) -> np.ndarray:
    """Energies (C, T) kJ/mol of a molecule at positions (C, T, N, 3) nm, in batches."""
    box, flat = np.full(3, np.inf), np.asarray(position, np.float32).reshape(-1, *position.shape[2:])
    batched = jax.jit(jax.vmap(lambda x: potential.energy(params, x, jnp.asarray(box))))
    parts = [np.asarray(batched(flat[i : i + BATCH]), float) for i in range(0, len(flat), BATCH)]
    return np.concatenate(parts).reshape(position.shape[:2])
