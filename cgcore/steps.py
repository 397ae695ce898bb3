"""The steps of every template, in order: configure, load, fit, simulate, observe.

Here runs are opened, reused and finished; notebooks, sweeps and commands call these functions and nothing below them. Each
step takes what the ones before it returned, and leaves its results in `out_dir`: fit/<id>, md/<id>, and for what was
observed <system>/<id> with its table, curves and manifest.
"""

import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import data, force_maps, mapping, observables, profiles, simulate, suggestions, train, train_splines
from .analysis.noise_floor import floors
from .analysis.surface import backbone, basin_counts
from .config import ConfigError, RunConfig
from .frames import Ensemble, Frames, Topology
from .mapping import Mapping
from .metadynamics import (
    MetadynamicsConfig,
    biased_trajectory,
    dihedral,
    inversion,
    well_tempered,
)
from .potentials import barrier, mace, nequip, priors, splines
from .potentials.base import Potential, add
from .potentials.terms import terms
from .profiles import system_table
from .reference import sets
from .reference.bias import atoms as atoms_of
from .store import Run, open_run, write_json, write_npz
from .store.files import digest
from .units import kT

__all__ = ["Fitted", "Observed", "Reference", "Simulated", "configure", "fit", "load", "observe", "simulate_protocol"]

WALK = {"width": 0.15, "height_kJ_mol": 1.0, "bias_factor": 10.0}
"""Hills of walks along phi, one a picosecond."""
FILLING_PS = 250.0
"""At the beginning of a walk, in which the bias grows, and which does not count."""
WALK_FRICTION_PER_PS = 5.0
"""Near that at which barriers of some 10 kJ/mol between beads of some 10 g/mol are passed soonest (Kramers, Physica 7, 284,
1940); populations do not depend on it. At the 100 / ps of the simulations a walk passes them more rarely."""
NETWORKS = {"mace": mace, "nequip": nequip}


class Reference(NamedTuple):
    """What a run learns from and is compared with.

    atoms: all frames; beads: the map, with the force map that was asked for; atom_split: frames to train on and held out,
    None where beads were held; split: the same mapped; sampled: the mapped frames that tell where beads are, from which priors
    are read; frames: those that simulations are compared with.
    """

    topology: Topology
    atoms: Frames
    beads: Mapping
    atom_split: data.Split | None
    split: data.Split
    sampled: Frames
    frames: Frames
    liquid: bool


class Fitted(NamedTuple):
    """potential: with its priors; params: its parameters; report: errors and history; run: its folder."""

    potential: Potential
    params: object
    report: train.Fit | train_splines.SplineFit
    run: Run
    priors: dict


class Simulated(NamedTuple):
    """table and curves of the protocol; runs: ids of the simulations; ensemble: None for the protocol nve."""

    table: dict
    curves: dict[str, np.ndarray]
    runs: list[str]
    ensemble: Ensemble | None


class Observed(NamedTuple):
    """table: plain numbers, the standard error of one under its name with _error; reference: those of the reference;
    curves: arrays to draw, the reference's with "reference_" before their names; run: its folder."""

    table: dict
    reference: dict
    curves: dict[str, np.ndarray]
    run: Run


def configure(system: str, **parameters) -> RunConfig:
    """The configuration of one run of a template (`profiles.configure`); of anyone's map, cut-off, time step, temperature
    and batch are read from its frames where they are not given (`suggestions`)."""
    if "maps" in system_table(system):
        return profiles.configure(system, **parameters)
    profiles.configure(system, of_map=profiles.UNKNOWN_MAP, **parameters)  # mistakes show before frames are read
    return profiles.configure(system, of_map=suggestions.of_map(system, **parameters), **parameters)


def load(config: RunConfig) -> Reference:
    """Load the reference, map it, and cut it into contiguous blocks."""
    d, known = config.data, system_table(config.system)
    topology, atoms = _atoms(sets.source(d.reference), d.mirror)
    if atoms.force is None:
        raise ConfigError(
            f"{d.reference}: frames without forces, from which nothing can be learnt; import them with --forces"
        )
    beads = mapping.load(d.map, topology, typing=d.typing, residue=d.residue)
    usual, liquid = known["data"].get("reference", d.reference), known.get("liquid")
    if liquid is None:
        liquid = suggestions.is_liquid(beads, topology)
    if d.weights == "none":
        _check_biased(d.reference, topology, beads)
    if sets.is_held(d.reference):
        sampled = mapping.apply(beads, atoms)
        return Reference(topology, atoms, beads, None, _held(config, beads), sampled, sampled, liquid)
    parts = data.split_blocks(data.subsample(atoms, d.frames), d.blocks, d.valid_blocks, d.gap_ps)
    if d.force_map == "optimised":
        beads = force_maps.optimised(beads, topology, parts.train)
    mapped = partial(mapping.apply, beads, require_forces=True)
    split = parts._replace(train=mapped(parts.train), valid=mapped(parts.valid))
    compared = atoms if usual == d.reference else _atoms(usual, d.mirror)[1]
    return Reference(topology, atoms, beads, parts, split, split.train, mapping.apply(beads, compared), liquid)


def _check_biased(reference: str, topology: Topology, beads: Mapping):
    """Raise ConfigError unless the reference has a bias along four atoms that are beads: else the mean force is not its own."""
    along = None if sets.is_held(reference) else sets.protocol_of(reference).bias
    if along is None:
        raise ConfigError(f"weights 'none': {reference} has no bias, all of its frames count alike")
    of_four = [beads.bead_of[atom] for atom in atoms_of(along.dihedral, topology)]
    if any(bead < 0 or len(beads.atoms[bead]) > 1 for bead in of_four):
        raise ConfigError(
            f"weights 'none': {reference} has a bias along {along.dihedral}, whose four atoms are no beads of map "
            f"{beads.name!r}; the mean force of its frames is that of molecule and bias. Want 'boltzmann'"
        )


def _held(config: RunConfig, beads: Mapping) -> data.Split:
    """Frames of held beads, cut into blocks. Raises ConfigError where they are of another map, or another force map is wanted."""
    d = config.data
    _, frames = _atoms(d.reference, d.mirror)
    if frames.names != beads.beads:
        raise ConfigError(f"{d.reference}: beads {list(frames.names)} were held, map {d.map!r} has {list(beads.beads)}")
    if d.force_map != "sum":
        raise ConfigError(f"{d.reference}: forces are means already, of which every force map has the same; want 'sum'")
    return data.split_blocks(data.subsample(frames, d.frames), d.blocks, d.valid_blocks, 0.0)


def fit(config: RunConfig, reference: Reference, out_dir: Path) -> Fitted:
    """Fit the potential, or read it back where the same was fitted before, and add the priors.

    The run's folder gets held_out.npz, the errors of each held-out frame; `potentials.saved.read` reads a network from it.
    """
    split, beads = reference.split, reference.beads
    if config.data.weights == "none":
        split = split._replace(train=replace(split.train, weight=None))
    priors_of(config, reference)  # those that cannot be show before the training
    if config.kind == "spline":
        knots = splines.for_frames(terms(beads), split.train, config.potential)
        trained = splines.build(knots, liquid=reference.liquid)
        report = train_splines.fit(knots, split, out_dir)
        splines.check_ends(knots, report.params)
    else:
        data.check_cutoff(split.train, config.potential.cutoff_nm)
        module, liquid = NETWORKS[config.kind], reference.liquid
        told = {"bonds": beads.bonds} if getattr(config.potential, "bond_types", False) else {}
        model = module.for_frames(config.potential, beads.species, split.train, liquid=liquid, **told)
        trained = module.build(model)
        runs = len(simulate.STEPS_FS) if config.protocol == "nve" else 1
        room = runs * simulate.disk_bytes(config.md, len(beads.beads))
        report = train.fit(trained, split, config.train, out_dir, room=room)
    write_npz(report.run.path("held_out.npz"), errors=report.held_out, time=np.asarray(split.valid.time))
    potential, params, table = with_priors(config, reference, trained, report.params)
    return Fitted(potential, params, report, report.run, table)


def noise(config: RunConfig, reference: Reference, fitted: Fitted):
    """The force noise of the map by two estimators, beside which the held-out error is to be seen."""
    valid = reference.split.valid
    learnt = fitted.potential.terms[0] if config.prior else fitted.potential
    params = fitted.params[0] if config.prior else fitted.params
    return floors(valid, np.asarray(valid.force) - train.predict(learnt, params, valid), gap_ps=config.data.gap_ps)


def simulate_protocol(config: RunConfig, reference: Reference, fitted: Fitted, out_dir: Path) -> Simulated:
    """Simulate by the protocol of the configuration: "nvt", "nve" with one time step after another, or "inversion"."""
    start, beads = initial_positions(config, reference), molecule(reference)
    moving = (fitted.potential, fitted.params, beads, start, config.md, out_dir)
    if config.protocol == "nve":
        table, curves, runs = simulate.time_steps(*moving, length_ps=config.md.length_ps)
        return Simulated(table, curves, runs, None)
    if config.protocol == "inversion":
        table, curves, run = inversion.inversion(*moving, symmetric=mirror_symmetric(config))
        return Simulated(table, curves, [run.run.id], run.ensemble)
    run = simulate.run(*moving)
    return Simulated(run.table, {}, [run.run.id], run.ensemble)


def constant_energy(
    config: RunConfig, reference: Reference, fitted: Fitted, out_dir: Path, *, replicas: int, length_ps: float
) -> simulate.Simulation:
    """Simulate so many replicas at constant energy with the time step of the configuration."""
    n_frames = max(3, round(length_ps / config.md.frame_ps))
    config = replace(config, md=replace(config.md, ensemble="nve", replicas=replicas, n_frames=n_frames))
    start = initial_positions(config, reference)
    return simulate.run(fitted.potential, fitted.params, molecule(reference), start, config.md, out_dir)


def walks(
    config: RunConfig,
    reference: Reference,
    fitted: Fitted,
    out_dir: Path,
    *,
    replicas: int,
    length_ps: float,
    starts: Reference,
) -> tuple[Ensemble, np.ndarray, np.ndarray]:
    """Simulate replicas with a bias along phi, half from frames of `starts` with each sign of phi where there are some, and of
    those at phi < 0 half in alpha.

    Each replica grows a bias V of its own; then their mean stands still for all, so that frames of all count by one V, and
    friction is low, so that barriers are passed often. Returns the ensemble, what each frame counts (C, T), zero while V grows
    and exp(V / kT) from then on, and the initial positions (C, N, 3) nm.
    """
    beads, md = reference.beads, config.md
    hills = MetadynamicsConfig(
        beads=tuple(beads.beads[b] for b in beads.dihedrals["phi"]),
        pace=md.steps_per_frame * max(1, round(1.0 / md.frame_ps)),
        growing_frames=round(FILLING_PS / md.frame_ps),
        **WALK,
    )
    md = replace(md, replicas=replicas, n_frames=round(length_ps / md.frame_ps), friction_per_ps=WALK_FRICTION_PER_PS)
    start = np.asarray(_either_side(starts, replicas, md.seed), np.float32)
    bias = well_tempered(dihedral(hills, beads.beads), hills, md)
    run = simulate.run(fitted.potential, fitted.params, molecule(reference), start, md, out_dir, bias=bias)
    trajectory = biased_trajectory(run)
    still = trajectory.valid & (np.arange(md.n_frames) >= hills.growing_frames)
    highest = trajectory.bias[still].max(initial=0.0)
    counts = np.exp(np.where(still, trajectory.bias - highest, -np.inf) / kT(md.temperature_K))
    return run.ensemble, counts, start


def _unlearnt(reference: Reference) -> Frames:
    """Frames that nothing was learnt from: those held out, or those of the atoms where beads were held at a few of them."""
    return reference.sampled if reference.atom_split is None else reference.split.valid


def _either_side(reference: Reference, n: int, seed: int) -> np.ndarray:
    """(n, N, 3) nm: frames that were held out, every second with phi > 0, of the others in turn in alpha_R and outside."""
    valid = replace(_unlearnt(reference), weight=None)  # one frame of a side is as good as another
    phi, psi, _ = backbone(valid, **reference.beads.dihedrals)
    inside = basin_counts(phi.T, psi.T, np.ones_like(phi.T, bool))
    right, alpha = inside["phi_positive"] > 0, inside["alpha_R"] > 0
    groups = right, alpha, ~right & ~alpha
    which, start = np.resize([k for k in (0, 1, 0, 2) if groups[k].any()], n), np.empty((n, *valid.position.shape[1:]))
    for k in np.unique(which):
        its = which == k
        start[its] = data.initial_positions(valid[np.flatnonzero(groups[k])], its.sum(), seed)
    return start


def molecule(reference: Reference) -> simulate.Molecule:
    """The beads as a simulation knows them: masses, mean lengths of the bonds in training, and the box of a liquid."""
    beads, train_on = reference.beads, reference.sampled
    box = np.asarray(train_on.box, float) if reference.liquid else np.full(3, np.inf)
    lengths = data.bond_lengths(train_on, beads.bonds)
    return simulate.Molecule(names=beads.beads, mass=beads.mass, bonds=beads.bonds, bond_length=lengths, box=box)


def initial_positions(config: RunConfig, reference: Reference) -> np.ndarray:
    """(C, N, 3) nm where the replicas begin: held-out frames; for an inversion frames near C7eq; for a chain the frames
    of the whole reference that are least of a helix."""
    n = config.md.replicas
    if config.protocol == "inversion":
        chosen = inversion.initial_positions(reference.split.train, reference.beads, n)
    elif system_table(config.system)["initial_positions"] == "least_helical":
        chosen = observables.least_helical(reference.frames, reference.beads, n)
    else:
        chosen = data.initial_positions(_unlearnt(reference), n, config.md.seed)
    return np.asarray(chosen, np.float32)


def observe(config: RunConfig, reference: Reference, fitted: Fitted, simulated: Simulated, out_dir: Path) -> Observed:
    """Compare the simulation with the reference, and write table, curves and manifest to <out_dir>/<system>/<id>."""
    clock, beads = time.perf_counter(), reference.beads
    made_from = {"train": data.frames_hash(reference.split.train), "compared": data.frames_hash(reference.frames)}
    if config.data.map.endswith(".toml"):  # a file that may change under its name
        said = (beads.beads, beads.species, beads.bonds.tolist(), beads.dihedrals)
        made_from["map"] = digest(repr(said).encode())
    run = open_run(
        out_dir,
        config.system,
        config.resolved(),
        data=made_from,
        rooms=("analysis", "geometry", "simulate", "train", *fitted.potential.rooms),
    )
    kind = system_table(config.system)["observe"] if config.protocol == "nvt" else config.protocol
    table, of_reference, curves = observables.OBSERVERS[kind](config, reference, simulated)
    table |= {k: v for k, v in fitted.report.table().items() if k != "wall_s"}
    table |= {"training_s": fitted.report.wall_s, "simulation_s": simulated.table.get("wall_s")}
    made_of = {"fit": fitted.run.id, "simulations": simulated.runs}
    curves |= {"held_out_errors": fitted.report.held_out}
    write_npz(run.path("curves.npz"), **curves)
    write_json(run.path("reference.json"), of_reference)
    run.finish(table, time.perf_counter() - clock, made_of=made_of, priors=fitted.priors, fit=fitted.run.manifest)
    return Observed(table, of_reference, curves, run)


def mirror_symmetric(config: RunConfig) -> bool:
    """Whether the model has the same free energy at an improper dihedral and at its negative.

    Its energy must be the same for mirror images, and CA the one stereocentre, which it is not in threonine. An improper
    prior holds one hand.
    """
    return config.potential.symmetry == "O3" and config.data.residue != "thr" and "improper" not in config.prior


def _atoms(name: str, mirror: bool) -> tuple[Topology, Frames]:
    topology, atoms = sets.load(name)
    return topology, data.mirrored(atoms) if mirror else atoms


def with_priors(config: RunConfig, reference: Reference, trained: Potential, params) -> tuple[Potential, object, dict]:
    """The potential with its priors, the parameters of both, and those of the priors for the manifest."""
    added, table = priors_of(config, reference)
    if not added:
        return trained, params, {}
    return add(trained, *added), (params, *({} for _ in added)), table


def priors_of(config: RunConfig, reference: Reference) -> tuple[list[Potential], dict]:
    """The priors of a configuration, and their parameters for the manifest. Raises ConfigError for one that beads do not have."""
    species, frames, added, table = reference.beads.species, reference.sampled, [], {}
    for name in config.prior:
        if name in ("repulsion", "barrier"):
            found = (barrier.repulsion if name == "repulsion" else barrier.for_frames)(
                species, frames, liquid=reference.liquid
            )
            added.append(barrier.build(found))
            table[name] = asdict(found) | {"species": reference.beads.species_names}
        else:
            potential, of_prior = priors.for_frames((name,), reference.beads, frames, config.md.temperature_K)
            added.append(potential)
            table |= of_prior
    return added, table
