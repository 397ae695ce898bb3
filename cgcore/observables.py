"""What a run of each kind is asked for: a table of plain numbers, the reference's own, and curves to draw."""

from dataclasses import replace

import numpy as np

from . import mapping
from .analysis import chain_series, torsion
from .analysis.bonded import kinds
from .analysis.chain import OF_RESIDUES, chain
from .analysis.liquid import liquid
from .analysis.molecule import molecule
from .analysis.ramachandran import ramachandran
from .analysis.stability import extrapolating_frames
from .analysis.surface import backbone
from .analysis.time_steps import heating
from .config import RunConfig
from .doctor.molecule import kinds as molecule_kinds
from .doctor.vibrations import fastest
from .frames import Ensemble, Status
from .potentials import barrier
from .simulate import SimulationError
from .unsampled import unsampled_ranges

SKIPPED = 0.1
"""Of each replica of a liquid, the part at the beginning that does not count."""
SHOWN = 200
"""Frames of each replica of a chain of which series are kept, evenly spread."""
BAND = 3.0
"""Standard deviations of the reference's blocks in its band, as in the paper's figures."""
STRIDE, BLOCKS = 10, 10
"""Of the reference's frames by which the time step is predicted."""
EVERY = 8
"""Every so many of the training frames are enough for a model's mean torque, which has no noise."""
CAUSES = {f"n_{bit.name.lower()}" for bit in Status}
ALPHA_PSI = tuple(np.radians([-100.0, 50.0]))
"""The side of psi where alpha is."""


def _with_frames(simulated, skip_ps: float = 0.0):
    """The ensemble of a simulation. Raises SimulationError where all replicas had failed by skip_ps."""
    run = simulated.ensemble
    if not run.valid[:, np.asarray(run.time) > skip_ps].any():
        causes = {name: n for name, n in simulated.table.items() if name in CAUSES and n}
        raise SimulationError(f"all {len(run.status)} replicas failed by {skip_ps:g} ps, no frame is left: {causes}")
    return run


def of_backbone(config: RunConfig, reference, simulated) -> tuple[dict, dict, dict]:
    """The Ramachandran surface beside the reference's (`analysis.ramachandran`)."""
    run = _with_frames(simulated)
    dihedrals = {name: reference.beads.dihedrals[name] for name in ("phi", "psi")}
    theirs = backbone(reference.frames, **dihedrals)
    table, curves = ramachandran(
        *(*backbone(run, **dihedrals), *theirs),
        temperature_K=config.md.temperature_K,
        frame_ps=config.md.frame_ps,
        reference_frame_ps=float(reference.frames.time[1] - reference.frames.time[0]),
    )
    return *_parted(table, simulated.table), curves


def of_liquid(config: RunConfig, reference, simulated) -> tuple[dict, dict, dict]:
    """Structure and motion beside the reference's (`analysis.liquid`), and the part of each curve in its band."""
    skip_ps, box = SKIPPED * config.md.length_ps, np.asarray(reference.split.train.box)
    run = _with_frames(simulated, skip_ps)
    table, curves = liquid(run, reference.frames, reference.beads, box, skip_ps=skip_ps)
    names = [name for name in curves if f"reference_{name}_sd" in curves]
    table |= {f"{name}_in_band": _in_band(name, curves) for name in names}
    table |= extrapolating_frames(run, reference.split.train, box)
    return *_parted(table, simulated.table), curves


def of_chain(config: RunConfig, reference, simulated) -> tuple[dict, dict, dict]:
    """Helices and their handedness beside the reference's (`analysis.chain`); series at SHOWN times."""
    run = simulated.ensemble
    table, curves = chain(run, reference.frames, reference.beads, temperature_K=config.md.temperature_K)
    if run.valid.any():
        table |= extrapolating_frames(run, reference.split.train, np.full(3, np.inf))
    if "time" in curves:
        at = np.unique(np.linspace(0, len(curves["time"]) - 1, SHOWN).round().astype(int))
        for name in ("time", "survival", "q", "chi", *OF_RESIDUES):
            if name in curves:
                curves[name] = curves[name][..., at]
    return *_parted(table, simulated.table), curves


def of_molecule(config: RunConfig, reference, simulated) -> tuple[dict, dict, dict]:
    """What any molecule is asked for (`analysis.molecule`), and the Ramachandran surface of a map with phi and psi; of a
    liquid what `of_liquid` gives."""
    if reference.liquid:
        return of_liquid(config, reference, simulated)
    run, beads = _with_frames(simulated), reference.beads
    table, curves = molecule(run, reference.frames, beads, temperature_K=config.md.temperature_K)
    table |= extrapolating_frames(run, reference.split.train, np.full(3, np.inf))
    ours, theirs = _parted(table, simulated.table)
    if {"phi", "psi"} <= beads.dihedrals.keys():
        of_surface = of_backbone(config, reference, simulated)
        ours, theirs, curves = ours | of_surface[0], theirs | of_surface[1], curves | of_surface[2]
    return ours, theirs, curves


def of_time_steps(config: RunConfig, reference, simulated) -> tuple[dict, dict, dict]:
    """Drift and heating with each time step, and the step that the doctor predicts, fs."""
    table = {name: value for name, value in simulated.table.items() if name != "steps"}
    n_beads = len(reference.beads.beads)
    for row in simulated.table["steps"]:
        name = f"{row['step_fs']:g}fs"
        for end in ("", "_error"):
            drift = row[f"energy_drift_kJ_mol_ns{end}"]
            table[f"drift_{name}{end}"] = drift
            table[f"heating_{name}{end}"] = None if drift is None else heating(drift, n_beads)
        table[f"failed_{name}"] = row["n_replicas_failed"]
    kind, *_ = molecule_kinds(reference.beads, reference.topology)
    frames = mapping.apply(reference.beads, reference.atoms[::STRIDE])
    blocks, mass = np.array_split(kind.select(frames.position), BLOCKS), reference.beads.mass[kind.copies[0]]
    table["predicted_step_fs"] = round(fastest(kind, mass, blocks, config.md.temperature_K).step_fs, 1)
    return table, {}, simulated.curves


def of_inversion(config: RunConfig, reference, simulated) -> tuple[dict, dict, dict]:
    """The barrier between the enantiomers (`metadynamics.inversion`)."""
    return simulated.table | {"transitions": ", ".join(map(str, simulated.table["transitions"]))}, {}, simulated.curves


OBSERVERS = {
    "backbone": of_backbone,
    "liquid": of_liquid,
    "chain": of_chain,
    "molecule": of_molecule,
    "nve": of_time_steps,
    "inversion": of_inversion,
}


def profiles_from_forces(config: RunConfig, reference, forces: np.ndarray | None = None) -> dict[str, tuple]:
    """For each angle and dihedral the profile of positions, and that which forces alone give.

    Args:
        forces: (T', N, 3) kJ/mol/nm of a model in every EVERY-th training frame; None for the mapped ones of all.

    Returns:
        name -> (`torsion.Profile` of the positions, of the forces).
    """
    beads, frames = reference.beads, reference.split.train
    by_forces = frames if forces is None else replace(frames[::EVERY], force=forces)
    profiles = {}
    for name, paths in kinds(tuple(beads.species_names[s] for s in beads.species), beads.bonds).items():
        if (size := paths.shape[1]) > 2:
            q, _ = torsion.end_torques(frames, paths)
            kelvin = config.md.temperature_K
            known = torsion.profile_from_positions(q, size, kelvin, frames.weight)
            learnt = torsion.profile_from_forces(*torsion.end_torques(by_forces, paths), size, kelvin, by_forces.weight)
            profiles[name] = known, learnt
    return profiles


def of_mean_torque(frames, beads, temperature_K: float) -> tuple[dict, dict[str, np.ndarray]]:
    """The free energy along psi by the optimised mean torque of mapped frames, its standard error, and where they are.

    alpha_forces with its 95 % limits, and alpha_positions: the share of molecules on the side of psi where alpha is.
    """
    torques = torsion.optimised_torque(frames.position, frames.force, beads.dihedrals["psi"])
    pmf = torsion.pmf_from_mean_torque(*torques, frames.weight)
    alpha = pmf.share(*ALPHA_PSI, temperature_K)
    table = dict(zip(("alpha_forces", "alpha_low", "alpha_high"), alpha, strict=True))
    inside = (pmf.centres > ALPHA_PSI[0]) & (pmf.centres < ALPHA_PSI[1])
    table |= {"alpha_positions": float(pmf.population[inside].sum()), "error_kJ_mol": pmf.error_kJ_mol}
    curves = {name: getattr(pmf, name) for name in ("centres", "free_energy", "population")}
    return table, curves | {"error": pmf.draws.std(0)}


def unsampled_pairs(beads, frames) -> dict[str, dict]:
    """Where frames of a liquid have no pair of beads, by the names of both species.

    shortest_nm: how near two beads of them come; bonded_nm and other_nm: where the widest range without any pair begins and
    ends; barrier_kJ_mol: the height of the barrier prior there. None where there is no such range.
    """
    position, no_bonds = np.asarray(frames.position, float), np.zeros((0, 2), int)
    ranges = unsampled_ranges(beads.species, no_bonds, position, np.asarray(frames.box), from_zero=True)
    tables = {}
    for pair in dict.fromkeys(r.pair for r in ranges):
        first, *others = (r for r in ranges if r.pair == pair)
        table = {"shortest_nm": first.high, "bonded_nm": None, "other_nm": None, "barrier_kJ_mol": None}
        if others:
            widest = max(others, key=lambda r: r.high - r.low)
            height = barrier.STIFFNESS * (widest.high - widest.low) ** 2 / 32
            table |= {"bonded_nm": widest.low, "other_nm": widest.high, "barrier_kJ_mol": height}
        tables["".join(beads.species_names[s] for s in pair)] = table
    return tables


def least_helical(frames, beads, n: int) -> np.ndarray:
    """(n, N, 3) nm: the frames that are least of a helix of either hand."""
    position = np.asarray(frames.position)
    return position[chain_series.least_helical(position[:, chain_series.ca_beads(beads)], n)]


def most_helical(run: Ensemble, curves: dict) -> dict[str, np.ndarray]:
    """The frames (N, 3) nm that are most of a right- and of a left-handed helix among those that count and are kept."""
    at = np.searchsorted(run.time, curves["time"])
    order = np.where(run.valid[:, at], curves["chi"] * curves["q"], 0.0)
    frames = {"right": order.argmax(), "left": order.argmin()}
    return {name: run.position[k // len(at), at[k % len(at)]] for name, k in frames.items()}


def _parted(table: dict, dynamics: dict) -> tuple[dict, dict]:
    """Ours with the numbers of the simulation, and the reference's own."""
    return dynamics | {k: v for k, v in table.items() if k != "reference"}, table["reference"]


def _in_band(name: str, curves: dict) -> float:
    """Part of the reference that its band holds, between 0 and 1: of its density, or of the distances in reach of g."""
    p, q = curves[name], curves[f"reference_{name}"]
    inside = np.abs(p - q) <= BAND * curves[f"reference_{name}_sd"]
    weight = ((p > 0) | (q > 0)).astype(float) if name.startswith("g_") else q
    return float(np.sum(weight[inside]) / np.sum(weight))
