"""Mean forces at beads that stand still, and what potentials miss of them.

The beads of held-out frames are held, the atoms under them move, and the force on the beads is averaged: the label of
force matching without its noise. Noise and the error of a potential beside the mean force add up to its held-out loss,

    < |f - F|^2 > = < |f - <f>|^2 > + < |<f> - F|^2 >.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from . import force_maps, mapping, steps, train, train_splines
from .analysis import constrained, force_errors
from .analysis.blocks import Estimate, row
from .analysis.constrained import ConstrainedForce
from .config import Checked, ConfigError, SplineConfig, number
from .data import frames_hash, subsample
from .hold import check_samples, context, sample_frames
from .potentials import saved, splines
from .potentials.terms import terms
from .reference.constrained import ConstrainedConfig
from .reference.protocol import protocol
from .store import Run, open_run, read_npz
from .units import MEV_PER_ANGSTROM

SYSTEM = "hexane"


@dataclass(frozen=True, kw_only=True)
class MeanForceConfig(Checked):
    """At how many held-out frames the beads of a map are held, and how the atoms under them are sampled."""

    map: str
    frames: int = number(4, least=1)
    sampling: ConstrainedConfig = field(default_factory=ConstrainedConfig)

    def __post_init__(self):
        super().__post_init__()
        check_samples(self.sampling)


def beside_mean_forces(
    map: str, networks: list[Path], out_dir: Path, *, frames: int = 4, length_ps: float = 10.0
) -> dict[str, dict]:
    """Sample the mean forces of a map of hexane and put splines and networks beside them: their numbers by name, meV/Å.

    noise_rmse: of the sampled forces about their mean; error_rmse: of the potential beside the mean force; loss_rmse:
    of the plain held-out forces; apart: by how many standard errors the sum of both squares and that of loss_rmse differ;
    less_splines_square: by how much its mean square beside the mean force exceeds that of splines, 10^3 (meV/Å)^2. Each is also
    an observation, <out_dir>/mean_forces/<id>.

    Args:
        networks: folders of fits, fit/<id>, or files of trained networks.

    Raises:
        ConfigError: an unknown map, too short a sampling. PotentialError: a folder without a network, before any sampling.
    """
    models = {path: saved.read(path) for path in networks}
    config = MeanForceConfig(map=map, frames=frames, sampling=ConstrainedConfig(length_ps=length_ps))
    reference = steps.load(steps.configure(SYSTEM, profile="laptop", map=map))
    for path, (model, *_) in models.items():
        if model.species != tuple(reference.beads.species):
            raise ConfigError(f"{path}: a network for other beads than those of {SYSTEM} by map {map!r}")
    held = held_beads(config, reference, out_dir)
    sampled = _read(held)
    valid = reference.split.valid
    still = replace(valid[: len(sampled.position)], position=sampled.position, force=sampled.mean)
    force_noise, tables, of_splines = constrained.over_beads(sampled.noise), {}, None
    for name, forces, plain in _potentials(reference, models):
        predicted = forces(still)
        error = constrained.model_error(sampled, predicted)
        table = rmse("noise_rmse", force_noise) | rmse("error_rmse", error)
        total = Estimate(force_noise.value + error.value, float(np.hypot(force_noise.error, error.error)))
        table |= rmse("sum_rmse", total)
        if of_splines is None:
            of_splines = predicted
        else:
            less = constrained.over_beads((predicted - sampled.mean) ** 2 - (of_splines - sampled.mean) ** 2)
            table |= row("less_splines_square", Estimate(*(x / MEV_PER_ANGSTROM**2 / 1000 for x in less)))
        if plain:
            loss = force_errors.loss(force_errors.by_frame(forces(valid), valid))
            apart = abs(total.value - loss.value) / np.hypot(total.error, loss.error)
            table |= rmse("loss_rmse", loss) | {"apart": float(apart)}
        settings = {"map": map, "potential": name, "held": held.id}
        run = open_run(out_dir, "mean_forces", settings, data=held.identity["data"], rooms=("analysis",))
        run.finish(table, held.manifest["wall_s"])
        tables[name] = table
    return tables


def held_beads(config: MeanForceConfig, reference: steps.Reference, out_dir: Path, *, progress: bool = True) -> Run:
    """Sample the mean forces at held-out frames in <out_dir>/held_beads/<id>, one file a frame; resumable by frames."""
    start = time.perf_counter()
    atoms = reference.atom_split.valid
    run = open_run(
        out_dir, "held_beads", asdict(config), data={SYSTEM: frames_hash(atoms)}, rooms=("analysis", "geometry")
    )
    with run.held():
        frames = subsample(atoms, config.frames)
        if run.done:
            return run
        engine = context(protocol(SYSTEM), reference.topology.n_atoms, np.asarray(frames.box, float))
        sample_frames(
            run.folder, reference.beads, frames, engine, config.sampling, f"hold beads, {config.map}", progress
        )
        sampled = _read(run)
        squares = {"mean_force_rms": sampled.mean**2 - sampled.error2, "noise_rmse": sampled.noise}
        squares |= {"noise_half_rmse": sampled.noise_half, "error_of_mean_rmse": sampled.error2}
        table = {k: v for key, square in squares.items() for k, v in rmse(key, constrained.over_beads(square)).items()}
        run.finish(table, time.perf_counter() - start)
    return run


def rmse(key: str, square: Estimate) -> dict:
    """The root of a mean square in kJ^2/mol^2/nm^2, in meV/Å with its error; zero where noise made it negative."""
    value = np.sqrt(max(square.value, 0.0)) / MEV_PER_ANGSTROM
    error = square.error / MEV_PER_ANGSTROM**2 / (2 * value) if value else np.sqrt(square.error) / MEV_PER_ANGSTROM
    return row(key, Estimate(float(value), float(error)))


def _potentials(reference: steps.Reference, models: dict[Path, tuple]) -> Iterator[tuple[str, Callable, bool]]:
    """Name, forces(frames) -> (T, N, 3) kJ/mol/nm, and whether it learnt from plain sums of forces."""
    atoms = reference.atom_split
    optimised = force_maps.optimised(reference.beads, reference.topology, atoms.train)
    for name, beads in (("spline", reference.beads), ("spline_optimised", optimised)):
        mapped = partial(mapping.apply, beads, require_forces=True)
        split = atoms._replace(train=mapped(atoms.train), valid=mapped(atoms.valid))
        knots = splines.for_frames(terms(beads), split.train, SplineConfig())
        params = train_splines.solve_for(knots, split.train)
        yield name, partial(train_splines.predict, knots, params), beads is reference.beads
    for path, (_, potential, params) in models.items():
        yield path.stem if path.is_file() else path.name, partial(train.predict, potential, params), True


def _read(run: Run) -> ConstrainedForce:
    parts = [read_npz(path) for path in sorted(run.folder.glob("frame_*.npz"))]
    return ConstrainedForce(**{key: np.stack([part[key] for part in parts]) for key in ConstrainedForce._fields})
