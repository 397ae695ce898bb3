"""The barrier of chiral inversion: several independent metadynamics along the improper dihedral N-CA-CB-C of one model.

The beads around CA go from one hand to the other through the plane of N, CB and C, where this dihedral is pi.
"""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .. import simulate
from ..analysis.surface import backbone
from ..config import MDConfig
from ..frames import Frames
from ..geometry import angles
from ..mapping import Mapping
from ..potentials.base import Potential
from ..simulate import Molecule, Simulation
from ..units import kT
from . import barrier
from .barrier import Saddle, wrapped
from .bias import Variable, biased_trajectory, dihedral, final_bias, reweighting, well_tempered
from .config import MetadynamicsConfig

PAPER = MetadynamicsConfig()
C7EQ = np.radians((-83.0, 73.0))
"""phi and psi of the basin that the paper starts from."""
NEAR_TOP = 0.1
"""rad from the top that count as transition state."""


def initial_positions(frames: Frames, mapping: Mapping, runs: int) -> np.ndarray:
    """(C, N, 3) nm: so many mapped frames nearest to C7eq."""
    phi, psi, _ = backbone(frames, **mapping.dihedrals)
    off = wrapped(np.stack([phi[0], psi[0]], axis=-1) - C7EQ)
    return np.asarray(frames.position)[np.argsort((off**2).sum(-1), kind="stable")[:runs]]


def inversion(
    potential: Potential,
    params,
    molecule: Molecule,
    initial: Array,
    md: MDConfig,
    root: Path,
    *,
    config: MetadynamicsConfig = PAPER,
    symmetric: bool = True,
    progress: bool = True,
) -> tuple[dict, dict[str, np.ndarray], Simulation]:
    """Run md.replicas independent metadynamics from `initial` (C, N, 3) nm and sum them up: table, arrays, simulation.

    symmetric: the model gives a mirror image the same energy and the molecule has no other stereocentre: every hill then
    falls on both sides, so that neither valley waits for the other to be filled (see `barrier.transition`).

    Each number of the table is the mean over the runs that crossed, with the error of that mean, which a single run
    does not have; the barrier and the first-passage time as `barrier.transition` has them, the others over those with frames
    at the top: planarity_deg, the three angles of N, CB and C at CA added up in the transition state, 360 in a plane;
    speed, <sqrt(Z)> of `barrier.rate`, rad/nm/sqrt(g/mol);
    activation_kJ_mol, how the passage time changes with temperature, d ln rate / d(-1 / kT) = <U>_top - <U>_basin + kT / 2.
    Where none crossed these are nan, and sampled_range_kJ_mol, the sampled range of the free energy over all runs, is what is
    known. transitions are those of each run: a barrier crossed once is known roughly.
    Arrays: points (n,) rad of F and F_error (n,), kJ/mol, and of F_runs (C, n); temperature_K (K,), log10_passage_time_s and its
    error; and transition_state (N, 3) nm, the most planar frame at the top, where there is one.
    Raises MetadynamicsError for a map without the four beads.
    """
    config = replace(config, symmetric=symmetric)
    variable = dihedral(config, molecule.names)
    bias = well_tempered(variable, config, md)
    run = simulate.run(potential, params, molecule, initial, md, root, bias=bias, progress=progress)
    ensemble, trajectory, points = run.ensemble, biased_trajectory(run), variable.axis.points
    F = -config.deepening * final_bias(trajectory, variable, config)[:, :, 0]
    F -= F.min(1, keepdims=True)
    side = float(np.sign(variable.function(jnp.asarray(initial[0]), jnp.full(3, jnp.inf))))
    weights = reweighting(trajectory, md.temperature_K)
    minimum = barrier.lowest_saddle(F.mean(0), points, side).minimum
    series = list(zip(trajectory.cv, trajectory.valid, strict=True))
    n_transitions = np.array([barrier.count_transitions(chi[valid], minimum) for chi, valid in series])
    saddle = barrier.transition_path(F, points, n_transitions, side, symmetric)
    runs = []
    for c, (chi, valid) in enumerate(series):
        visited = np.unique(np.digitize(chi[valid], points) - 1)
        runs.append({"sampled_range_kJ_mol": float(np.ptp(F[c, visited])) if len(visited) else np.nan})
        if n_transitions[c]:
            U = np.asarray(ensemble.energy[c], float)[valid] - trajectory.bias[c, valid]
            frames = np.asarray(ensemble.position[c])[valid]
            runs[c] |= _at_the_top(saddle, chi[valid], weights[c, valid], U, frames, molecule, config, md)
    table = {"runs": md.replicas, "length_ps": md.length_ps, "transitions": n_transitions.tolist()}
    table["runs_with_transition"] = int(np.count_nonzero(n_transitions))
    for name in ("planarity_deg", "activation_kJ_mol", "sampled_range_kJ_mol", "speed"):
        table[name], table[f"{name}_error"] = barrier.average(np.array([run.get(name, np.nan) for run in runs]))
    two_sided = dict(side=side, symmetric=symmetric)
    table |= barrier.transition(points, F, n_transitions, table["speed"], md.temperature_K, **two_sided)
    arrays = {"points": points, "F_runs": F}
    arrays |= barrier.profile(F, n_transitions, md.temperature_K, symmetric=symmetric)
    arrays |= barrier.passage_times(table, md.temperature_K)
    if tops := [run for run in runs if "frame" in run]:
        arrays["transition_state"] = max(tops, key=lambda run: run["most_planar_deg"])["frame"]
    kept = ("ns", "n_replicas_failed", "ns_per_day_aggregate", "temperature_K", "wall_s")
    return table | {name: run.table[name] for name in kept}, arrays, run


def _at_the_top(
    saddle: Saddle,
    chi: np.ndarray,
    weights: np.ndarray,
    U: np.ndarray,
    frames: np.ndarray,
    molecule: Molecule,
    config: MetadynamicsConfig,
    md: MDConfig,
) -> dict:
    """What the frames of one run at the top say, with their angles, weights and energies (T,); {} without any
    there, or in the basin beside them."""
    top, basin = np.abs(wrapped(chi - saddle.top)) < NEAR_TOP, chi * saddle.minimum > 0
    if not (top.any() and basin.any()):
        return {}
    root_Z = speeds(frames[top], molecule.mass, dihedral(config, molecule.names))
    flat = planarity(frames[top], molecule.names, config.beads)
    gap = np.average(U[top], weights=weights[top] * root_Z) - np.average(U[basin], weights=weights[basin])
    return {
        "speed": float(np.average(root_Z, weights=weights[top])),
        "planarity_deg": float(np.average(flat, weights=weights[top])),
        "most_planar_deg": float(flat.max()),
        "activation_kJ_mol": float(gap + kT(md.temperature_K) / 2),
        "frame": frames[top][np.argmax(flat)],
    }


def speeds(position: np.ndarray, mass: np.ndarray, variable: Variable) -> np.ndarray:
    """sqrt(sum_i |ds/dr_i|^2 / m_i) of frames (T, N, 3) nm, mass (N,): (T,), the unit of s / nm / sqrt(g/mol)."""
    slope = jax.vmap(jax.grad(variable.function), (0, None))(jnp.asarray(position), jnp.full(3, jnp.inf))
    return np.sqrt((np.asarray(slope, float) ** 2 / mass[:, None]).sum((1, 2)))


def planarity(position: np.ndarray, names: tuple[str, ...], four: tuple[str, ...] = PAPER.beads) -> np.ndarray:
    """The three angles at CA, the second of the four, of frames (T, N, 3) nm added up: (T,) degrees, 360 in a plane."""
    N, CA, CB, C = (names.index(bead) for bead in four)
    three = angles(jnp.asarray(position), np.array([[N, CA, CB], [N, CA, C], [CB, CA, C]]), jnp.full(3, jnp.inf))
    return np.degrees(np.asarray(three, float)).sum(-1)
