"""How long a time step may be: the same replicas at constant energy, with one step after the other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jax import Array

from ..analysis.stability import drifts, exclusions, survival
from ..analysis.time_steps import step_limit
from ..config import ConfigError, MDConfig
from ..potentials.base import Potential
from .driver import run
from .system import Molecule

STEPS_FS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
"""Those of the paper."""

FRAME_PS = 0.6
"""A whole number of steps of each."""


def time_steps(
    potential: Potential,
    params,
    molecule: Molecule,
    initial_positions: Array,
    config: MDConfig,
    root: Path,
    *,
    steps_fs: tuple[float, ...] = STEPS_FS,
    length_ps: float = 100.0,
    frame_ps: float = FRAME_PS,
    progress: bool = True,
) -> tuple[dict, dict[str, np.ndarray], list[str]]:
    """Simulate config.replicas replicas from `initial_positions` (C, N, 3) nm at constant energy with each step.

    Returns table, arrays, and the ids of the runs, one for each step.

    config gives replicas, temperature of the first momenta, tolerance of bonds and seed; below root each step has
    a run of its own. The length is rounded to frames; a bond is looked at once a frame.
    Table: step_limit_fs with its error, safe and unsafe, as of `analysis.time_steps.step_limit`; length_ps; and `steps`, a
    dict for each: step_fs, what is left after failures (`exclusions`), and energy_drift_kJ_mol_ns with its error, the
    median over replicas. Arrays: step_fs (K,), time (T,) ps, survival and its error (K, T).
    Raises ConfigError for a frame that is no whole number of steps.
    """
    n_frames, rows, curves, ids = max(1, round(length_ps / frame_ps)), [], [], []
    survived = np.zeros((len(steps_fs), config.replicas), bool)
    for k, step_fs in enumerate(steps_fs):
        per_frame = round(1000 * frame_ps / step_fs)
        if not np.isclose(per_frame * step_fs, 1000 * frame_ps):
            raise ConfigError(f"want frames of a whole number of steps, got {frame_ps} ps in steps of {step_fs} fs")
        md = replace(config, ensemble="nve", n_frames=n_frames, steps_per_frame=per_frame, dt_ps=step_fs / 1000)
        ensemble, numbers, folder, _ = run(potential, params, molecule, initial_positions, md, root, progress=progress)
        ids.append(folder.id)
        total = ensemble.energy.astype(float) + ensemble.kinetic
        drift, error = _median(drifts(total, ensemble.time, ensemble.valid))
        rows.append(
            {"step_fs": step_fs}
            | exclusions(ensemble.first_bad, n_frames, md.frame_ps)
            | {"energy_drift_kJ_mol_ns": drift, "energy_drift_kJ_mol_ns_error": error}
            | {name: numbers[name] for name in ("temperature_K", "ns_per_day_aggregate")}
        )
        survived[k] = ensemble.first_bad == n_frames
        curves.append(survival(ensemble.first_bad, n_frames))
    limit = step_limit(np.array(steps_fs), survived)
    curves = np.array(curves)
    table = {
        "step_limit_fs": limit.limit,
        "step_limit_fs_error": limit.error,
        "safe_step_fs": limit.safe,
        "unsafe_step_fs": limit.unsafe,
        "replicas": config.replicas,
        "length_ps": n_frames * frame_ps,
        "steps": rows,
    }
    error = np.sqrt(curves * (1 - curves) / config.replicas)
    arrays = dict(step_fs=np.array(steps_fs), time=ensemble.time, survival=curves, survival_error=error)
    return table, arrays, ids


def _median(values: np.ndarray, n_draws: int = 200) -> tuple[float, float]:
    """The median and its error, from values drawn anew with replacement; nan for none."""
    if not values.size:
        return float("nan"), float("nan")
    drawn = np.random.default_rng(0).choice(values, (n_draws, values.size))
    return float(np.median(values)), float(np.median(drawn, axis=1).std())
