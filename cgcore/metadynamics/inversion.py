"""The barrier of chiral inversion: several independent metadynamics along the improper dihedral N-CA-CB-C of one model.

The beads around CA go from one hand to the other through the plane of N, CB and C, where this dihedral is pi.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .. import simulate
from ..analysis.surface import backbone
from ..config import MDConfig
from ..frames import Ensemble, Frames
from ..geometry import angles
from ..mapping import Mapping
from ..potentials.base import Potential
from ..simulate import Molecule
from ..store import Run
from ..units import kT
from .barrier import Pass, across, average, crossings, lowest_pass, profile, waits, way_across, wrapped
from .bias import well_tempered
from .config import MetadynamicsConfig, MetadynamicsError, Variable
from .reweight import balanced_weights, last_bias
from .variables import Collective, collectives
from .walk import Walk, walk_of

MADE_BY = ("cgcore.potentials.mace", "cgcore.potentials.mace.native", "cgcore.metadynamics.inversion")
"""The modules whose code makes a run's results, for `store.open_run(root, "metadynamics", ..., made_by=MADE_BY)`."""

CENTRE = ("N", "CA", "CB", "C")
STUDY = MetadynamicsConfig(variables=(Variable(name="chi", beads=(CENTRE,), width=0.1),))
C7EQ = np.radians((-83.0, 73.0))
"""phi and psi of the basin that the study starts from."""
NEAR_TOP = 0.1
"""rad from the top that count as transition state."""


def md_config(*, runs: int = 4, length_ps: float = 5000.0, seed: int = 0) -> MDConfig:
    """The study's dynamics: steps of 1 fs, a frame and a hill every 500; 5 ns, 2.5 for the atomistic model."""
    n_frames = max(1, round(length_ps / 0.5))
    return MDConfig(replicas=runs, n_frames=n_frames, steps_per_frame=500, dt_ps=0.001, seed=seed)


def starts(frames: Frames, mapping: Mapping, runs: int) -> np.ndarray:
    """(C, N, 3) nm: so many mapped frames nearest to C7eq."""
    phi, psi, _ = backbone(frames, **mapping.dihedrals)
    off = wrapped(np.stack([phi[0], psi[0]], axis=-1) - C7EQ)
    return np.asarray(frames.position)[np.argsort((off**2).sum(-1), kind="stable")[:runs]]


def inversion(
    potential: Potential,
    params,
    molecule: Molecule,
    starts: Array,
    md: MDConfig,
    folder: Run,
    *,
    config: MetadynamicsConfig = STUDY,
    symmetric: bool = True,
    progress: bool = True,
) -> tuple[dict, dict[str, np.ndarray], Ensemble]:
    """Run md.replicas independent metadynamics from `starts` (C, N, 3) nm and sum them up: table, arrays, ensemble.

    symmetric: the model gives a mirror image the same energy and the molecule has no other stereocentre (see `across`).

    Each number of the table is the mean over the runs that went across, with the error of that mean, which a single run
    does not have; the barrier and the wait as `across` has them, the others over those with frames at the top:
    planarity_deg, the three angles of N, CB and C at CA added up in the transition state, 360 in a plane;
    speed, <sqrt(Z)> of `barrier.rate`, rad/nm/sqrt(g/mol);
    activation_kJ_mol, how the wait changes with temperature, d ln rate / d(-1 / kT) = <U>_top - <U>_basin + kT / 2.
    Where none went across these are nan, and climbed_kJ_mol, how far all runs went up, is what is known. crossings are
    those of each run: a barrier crossed once is known roughly.
    Arrays: points (n,) rad of F and F_error (n,), kJ/mol, and of F_runs (C, n); temperature_K (K,), log10_wait_s and its
    error; and transition_state (N, 3) nm, the most planar frame at the top, where there is one.
    Raises MetadynamicsError for a map without the four beads, and for a shared bias, which has no independent runs.
    """
    variables = collectives(config, molecule.names)
    if config.shared or len(variables) != 1 or not variables[0].axis.periodic:
        raise MetadynamicsError("want independent runs along one dihedral, so that the barrier has an error")
    bias = well_tempered(variables, config, md)
    ensemble, dynamics = simulate.run(potential, params, molecule, starts, md, folder, bias=bias, progress=progress)
    walk = walk_of(folder, ensemble)
    tables, points = last_bias(walk, variables, config), variables[0].axis.points
    F = -config.deepening * tables[:, :, 0]
    F -= F.min(1, keepdims=True)
    side = float(np.sign(variables[0].function(jnp.asarray(starts[0]), jnp.full(3, jnp.inf))))
    weights = balanced_weights(walk, md.temperature_K)
    taken = _crossings(walk, lowest_pass(F.mean(0), points, side).minimum)
    way = way_across(F, points, taken, side, symmetric)
    runs = []
    for c, counted in enumerate(walk.valid):
        frames = np.asarray(ensemble.position[c])[counted]
        U = np.asarray(ensemble.energy[c], float)[counted] - walk.bias[c, counted]
        chi = walk.cv[c, counted, 0]
        numbers = {"climbed_kJ_mol": _climbed(F[c], points, chi)}
        if taken[c]:
            numbers |= _at_the_top(way, chi, weights[c, counted], U, frames, molecule, variables[0], md)
        runs.append(numbers)
    table = {"runs": md.replicas, "length_ps": md.length_ps, "crossings": taken.tolist()}
    table["runs_across"] = int(np.count_nonzero(taken))
    for name in ("planarity_deg", "activation_kJ_mol", "climbed_kJ_mol", "speed"):
        table[name], table[f"{name}_error"] = average(np.array([run.get(name, np.nan) for run in runs]))
    table |= across(points, F, taken, table["speed"], md.temperature_K, side=side, symmetric=symmetric)
    arrays = (
        {"points": points, "F_runs": F}
        | profile(F, taken, md.temperature_K, symmetric=symmetric)
        | waits(table, md.temperature_K)
    )
    if tops := [run for run in runs if "frame" in run]:
        arrays["transition_state"] = max(tops, key=lambda run: run["most_planar_deg"])["frame"]
    kept = ("ns", "n_replicas_failed", "ns_per_day_aggregate", "temperature_K")
    return table | {name: dynamics[name] for name in kept}, arrays, ensemble


def _climbed(F: np.ndarray, points: np.ndarray, chi: np.ndarray) -> float:
    """How far up a run went: of its F (n,), the range where it has been, chi (T,)."""
    visited = np.unique(np.digitize(chi, points) - 1)
    return float(np.ptp(F[visited])) if len(visited) else float("nan")


def _at_the_top(
    way: Pass,
    chi: np.ndarray,
    weights: np.ndarray,
    U: np.ndarray,
    frames: np.ndarray,
    molecule: Molecule,
    variable: Collective,
    md: MDConfig,
) -> dict:
    """What the frames of one run at the top say, with their angles, weights and energies (T,); {} without any there."""
    if not (top := np.abs(wrapped(chi - way.top)) < NEAR_TOP).any():
        return {}
    basin = chi * way.minimum > 0
    root_Z = speeds(frames[top], molecule.mass, variable)
    flat = planarity(frames[top], molecule.names)
    gap = np.average(U[top], weights=weights[top] * root_Z) - np.average(U[basin], weights=weights[basin])
    return {
        "speed": float(np.average(root_Z, weights=weights[top])),
        "planarity_deg": float(np.average(flat, weights=weights[top])),
        "most_planar_deg": float(flat.max()),
        "activation_kJ_mol": float(gap + kT(md.temperature_K) / 2),
        "frame": frames[top][np.argmax(flat)],
    }


def _crossings(walk: Walk, minimum: float) -> np.ndarray:
    return np.array([crossings(cv[ok, 0], minimum) for cv, ok in zip(walk.cv, walk.valid, strict=True)])


def speeds(position: np.ndarray, mass: np.ndarray, variable: Collective) -> np.ndarray:
    """sqrt(sum_i |ds/dr_i|^2 / m_i) of frames (T, N, 3) nm, mass (N,): (T,), the unit of s / nm / sqrt(g/mol)."""
    slope = jax.vmap(jax.grad(variable.function), (0, None))(jnp.asarray(position), jnp.full(3, jnp.inf))
    return np.sqrt((np.asarray(slope, float) ** 2 / mass[:, None]).sum((1, 2)))


def planarity(position: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """The angles N-CA-CB, N-CA-C and CB-CA-C of frames (T, N, 3) nm added up: (T,) degrees, 360 where CA lies in the plane."""
    N, CA, CB, C = (names.index(bead) for bead in CENTRE)
    three = angles(jnp.asarray(position), np.array([[N, CA, CB], [N, CA, C], [CB, CA, C]]), jnp.full(3, jnp.inf))
    return np.degrees(np.asarray(three, float)).sum(-1)
