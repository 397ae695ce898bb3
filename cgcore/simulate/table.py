"""A simulation in small numbers."""

import numpy as np

from ..analysis.stability import energy_drift, thermal_energy
from ..config import MDConfig
from ..frames import Ensemble, Status
from ..units import PS_PER_NS, kT, ns_per_day
from .cost import Cost


def table(ensemble: Ensemble, config: MDConfig, cost: Cost) -> dict:
    """The small numbers of a manifest; temperature, 2 <K> / 3N k_B, and energy drift are over frames that count."""
    valid, n_beads = ensemble.valid, ensemble.position.shape[2]
    counted = int(valid.sum())
    mean_kinetic = float(np.mean(ensemble.kinetic[valid])) if counted else float("nan")
    # At constant energy the whole stays in its place: three degrees of freedom fewer.
    moving = n_beads - (config.ensemble == "nve")
    rate = ns_per_day(config.frame_ps * config.replicas, cost.frame_s)
    failures = {f"n_{bit.name.lower()}": int(np.count_nonzero(ensemble.status & bit)) for bit in Status}
    numbers = {
        "ensemble": config.ensemble,
        "replicas": config.replicas,
        "n_frames_each": config.n_frames,
        "length_ps": config.length_ps,
        "ns": counted * config.frame_ps / PS_PER_NS,
        "n_frames": counted,
        "n_frames_excluded": int(valid.size - counted),
        "n_replicas_failed": ensemble.n_failed,
        **failures,
        "temperature_K": float(thermal_energy(mean_kinetic, moving)) / kT(1.0),
        "ns_per_day_aggregate": rate,
        "ns_per_day_per_replica": rate / config.replicas,
        "steps_per_s": config.steps_per_frame / cost.frame_s,
        "wall_s": float(np.sum(cost.seconds)),
        "compile_s": cost.compile_s,
        "frames_redone": cost.frames_redone,
    }
    if config.ensemble == "nve":
        total = ensemble.energy.astype(float) + ensemble.kinetic
        numbers["energy_drift_kJ_mol_ns"] = energy_drift(total, ensemble.time, valid)
    return numbers
