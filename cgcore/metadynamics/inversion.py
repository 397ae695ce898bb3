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
from ..units import KCAL, kT
from .barrier import PS, Pass, crossings, lowest_pass, rate, wrapped
from .bias import well_tempered
from .config import MetadynamicsConfig, MetadynamicsError, Variable
from .reweight import balanced_weights, from_bias, last_bias
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
TEMPERATURES_K = np.arange(260.0, 401.0, 10.0)


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
    progress: bool = True,
) -> tuple[dict, dict[str, np.ndarray], Ensemble]:
    """Run md.replicas independent metadynamics from `starts` (C, N, 3) nm and sum them up: table, arrays, ensemble.

    Each number of the table is the mean over the runs that went across, with the error of that mean, which a single run
    does not have:
    barrier_kJ_mol, and in kcal/mol, from the basin's lowest point to the top of the lowest way to the other side;
    planarity_deg, the three angles of N, CB and C at CA added up in the transition state, 360 in a plane;
    log10_wait_s, how long the model needs at md.temperature_K to invert, by transition-state theory (the least it can be);
    activation_kJ_mol, how that changes with temperature, d ln rate / d(-1 / kT) = <U>_top - <U>_basin + kT / 2.
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
    mean, F = from_bias(tables, variables, config, md.temperature_K), -config.deepening * tables[:, :, 0]
    side = float(np.sign(variables[0].function(jnp.asarray(starts[0]), jnp.full(3, jnp.inf))))
    weights = balanced_weights(walk, md.temperature_K)
    # Places from the mean over runs: each run's own maximum would be too high, and beside the top.
    taken = _crossings(walk, lowest_pass(F.mean(0), points, side).minimum)
    way = lowest_pass(F[taken > 0].mean(0) if taken.any() else F.mean(0), points, side)
    runs = []
    for c, counted in enumerate(walk.valid):
        frames = np.asarray(ensemble.position[c])[counted]
        U = np.asarray(ensemble.energy[c], float)[counted] - walk.bias[c, counted]
        place = F[c, np.searchsorted(points, (way.minimum, way.top))]
        own = way._replace(height=float(place[1] - place[0])) if taken[c] else None
        chi = walk.cv[c, counted, 0]
        runs.append(_one(F[c], points, own, chi, weights[c, counted], U, frames, molecule, variables[0], md))
    slope = (1 / kT(TEMPERATURES_K) - 1 / kT(md.temperature_K)) / np.log(10)
    waits = np.array([run["log10_wait_s"] + run["activation_kJ_mol"] * slope for run in runs])
    wait, wait_error = np.array([_mean(column) for column in waits.T]).T
    arrays = {
        "points": points,
        "F": mean.value - mean.value.min(),
        "F_error": mean.error,
        "F_runs": F - F.min(1, keepdims=True),
        "temperature_K": TEMPERATURES_K,
        "log10_wait_s": wait,
        "log10_wait_s_error": wait_error,
    }
    if tops := [run for run in runs if run["frame"] is not None]:
        arrays["transition_state"] = max(tops, key=lambda run: run["most_planar_deg"])["frame"]
    table = {"runs": md.replicas, "length_ps": md.length_ps, "crossings": taken.tolist()}
    table["runs_across"] = int(np.count_nonzero(taken))
    for name in (
        "barrier_kJ_mol",
        "barrier_kcal_mol",
        "planarity_deg",
        "log10_wait_s",
        "activation_kJ_mol",
        "climbed_kJ_mol",
    ):
        table[name], table[f"{name}_error"] = _mean(np.array([run[name] for run in runs]))
    kept = ("ns", "n_replicas_failed", "ns_per_day_aggregate", "temperature_K")
    return table | {name: dynamics[name] for name in kept}, arrays, ensemble


def _one(
    F: np.ndarray,
    points: np.ndarray,
    way: Pass | None,
    chi: np.ndarray,
    weights: np.ndarray,
    U: np.ndarray,
    frames: np.ndarray,
    molecule: Molecule,
    variable: Collective,
    md: MDConfig,
) -> dict:
    """The numbers of one run: F at points (n,), its pass if it went across, chi, weights and energies (T,) of its frames."""
    visited = np.unique(np.digitize(chi, points) - 1)
    climbed = float(np.ptp(F[visited])) if len(visited) else float("nan")
    numbers = dict.fromkeys(
        ("barrier_kJ_mol", "barrier_kcal_mol", "planarity_deg", "log10_wait_s", "activation_kJ_mol"), float("nan")
    )
    numbers |= {"climbed_kJ_mol": climbed, "frame": None}
    if way is None or not (top := np.abs(wrapped(chi - way.top)) < NEAR_TOP).any():
        return numbers
    basin = chi * way.minimum > 0
    root_Z = speeds(frames[top], molecule, variable)
    flat = planarity(frames[top], molecule.names)
    speed = np.average(root_Z, weights=weights[top])
    gap = np.average(U[top], weights=weights[top] * root_Z) - np.average(U[basin], weights=weights[basin])
    return numbers | {
        "barrier_kJ_mol": way.height,
        "barrier_kcal_mol": way.height / KCAL,
        "planarity_deg": float(np.average(flat, weights=weights[top])),
        "most_planar_deg": float(flat.max()),
        "log10_wait_s": float(np.log10(PS / rate(F, points, way, speed, md.temperature_K))),
        "activation_kJ_mol": float(gap + kT(md.temperature_K) / 2),
        "frame": frames[top][np.argmax(flat)],
    }


def _crossings(walk: Walk, minimum: float) -> np.ndarray:
    return np.array([crossings(cv[ok, 0], minimum) for cv, ok in zip(walk.cv, walk.valid, strict=True)])


def speeds(position: np.ndarray, molecule: Molecule, variable: Collective) -> np.ndarray:
    """sqrt(sum_i |ds/dr_i|^2 / m_i) of frames (T, N, 3) nm: (T,), the unit of s / nm / sqrt(g/mol)."""
    slope = jax.vmap(jax.grad(variable.function), (0, None))(jnp.asarray(position), jnp.full(3, jnp.inf))
    return np.sqrt((np.asarray(slope, float) ** 2 / molecule.mass[:, None]).sum((1, 2)))


def planarity(position: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """The angles N-CA-CB, N-CA-C and CB-CA-C of frames (T, N, 3) nm added up: (T,) degrees, 360 where CA lies in the plane."""
    N, CA, CB, C = (names.index(bead) for bead in CENTRE)
    three = angles(jnp.asarray(position), np.array([[N, CA, CB], [N, CA, C], [CB, CA, C]]), jnp.full(3, jnp.inf))
    return np.degrees(np.asarray(three, float)).sum(-1)


def _mean(values: np.ndarray) -> tuple[float, float]:
    """Mean of what is finite and the error of that mean; nan where that takes more values."""
    values = values[np.isfinite(values)]
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return (float(values.mean()), float(error)) if len(values) else (np.nan, np.nan)
