"""The trainings behind the chapter on potentials: which there are, and how one is run."""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cgcore import data, force_maps, mapping, store, train, train_splines
from cgcore.analysis import force_errors, noise_floor
from cgcore.config import (
    ConfigError,
    DataConfig,
    FitConfig,
    MACEConfig,
    NequIPConfig,
    SplineConfig,
    TrainConfig,
    did_you_mean,
)
from cgcore.potentials import mace, nequip, splines
from cgcore.potentials.terms import terms
from cgcore.reference import sets
from cgcore.units import MEV_PER_ANGSTROM

HELD_OUT = "held_out.npz"
MADE_BY = ("cgcore.book.potential_runs",)
SEED = 22
SEEDS = (23, 24)
"""More seeds for differences that are no larger than what the seed makes."""
HEXANE = "hex"

CUTOFFS_NM = {"four_site": (0.55, 0.65), "three_site": (0.55, 0.70), "two_site": (0.65, 0.80)}
"""Of the study: about ten and about twenty neighbours."""
PUBLISHED = {
    "four_site": ((772.7, 771.8, 771.6), (772.7, 771.8, 771.5)),
    "three_site": ((418.2, 415.6, 414.7), (418.2, 415.5, 414.6)),
    "two_site": ((413.2, 411.7, 411.5), (413.0, 411.6, 411.5)),
}
"""Force MAE in meV/Å of the study's table 1, for both cut-offs and nu = 1, 2, 3."""

LIQUID = {
    "laptop": TrainConfig(epochs=2, batch_size=1, learning_rate=4e-3, learning_rate_decay=0.03, seed=SEED),
    "gpu": TrainConfig(epochs=4, batch_size=8, learning_rate=4e-3, learning_rate_decay=0.01, seed=SEED),
    "paper": TrainConfig(seed=SEED),
}
LAPTOP_EPOCHS = {"four_site": 4}
"""More passes than LIQUID says for the map that takes longest to learn."""
MOLECULE = {
    "laptop": TrainConfig(epochs=10, learning_rate=4e-3, learning_rate_decay=0.05, seed=SEED),
    "gpu": TrainConfig(epochs=10, learning_rate=4e-3, learning_rate_decay=0.05, seed=SEED),
    "paper": TrainConfig(seed=SEED),
}
MOLECULE_FRAMES = {"laptop": 4_000, "gpu": None, "paper": None}
CURVES = {"splines": (10, 30, 100, 300, None), "alanine": (10, 30, 100, 400, None)}
"""Training frames of the learning curves, None for all."""


@dataclass(frozen=True, kw_only=True)
class SplineFitConfig:
    """All that fitted splines depend on. force_map: "sum" over a bead's atoms, or the "optimal" one."""

    data: DataConfig
    splines: SplineConfig
    force_map: str = "sum"


@dataclass(frozen=True, kw_only=True)
class CurveConfig:
    """A learning curve: the same fit to so many frames, None for all."""

    fit: FitConfig | SplineFitConfig
    frames: tuple[int | None, ...]


class Task(NamedTuple):
    """One potential to fit. name: also of its files; group: the table it belongs to; system: a reference set, or a folder
    of `cgcore reference`."""

    name: str
    label: str
    group: str
    system: str
    config: FitConfig | SplineFitConfig | CurveConfig
    published: float | None = None  # MAE, meV/Å

    @property
    def fit(self) -> FitConfig | SplineFitConfig:
        return self.config.fit if isinstance(self.config, CurveConfig) else self.config

    @property
    def liquid(self) -> bool:
        return self.fit.data.residue == HEXANE


def tasks(profile: str = "laptop", hexane: str = "hexane") -> dict[str, Task]:
    """All trainings by name, in the order of what they are worth. hexane: the reference of the liquid, a set or a folder
    of `cgcore reference`. Raises ConfigError for an unknown profile."""
    if profile not in LIQUID:
        raise ConfigError(f"profile: want one of {sorted(LIQUID)}, got {profile!r}{did_you_mean(profile, LIQUID)}")
    maps = ("two_site", "three_site", "four_site")
    found = [
        *(_splines(m) for m in maps),
        *(_splines(m, "optimal") for m in maps),
        *(_spline_curve(m) for m in maps),
        *(_mace(profile, m, 2, size=1) for m in ("three_site", "two_site", "four_site")),
        *(_alanine(profile, network) for network in (MACEConfig(), NequIPConfig())),
        _alanine_curve(profile),
        *(_mace(profile, m, 2, size=0) for m in maps),
        _mace(profile, "three_site", 1, size=1),
        _mace(profile, "three_site", 3, size=1),
        _nequip(profile, "two_site", size=1),
        *(_mace(profile, m, 1, size=1) for m in ("two_site", "four_site")),
        _mace(profile, "two_site", 3, size=1),
        *(_mace(profile, m, 2, size=1, layers=1) for m in ("three_site", "two_site")),
        *(_mace(profile, m, nu, size=0) for m in ("three_site", "two_site", "four_site") for nu in (1, 3)),
        *(
            _mace(profile, m, 2, size=s, seed=seed)
            for m in ("two_site", "three_site")
            for seed in SEEDS
            for s in (1, 0)
        ),
        _mace(profile, "four_site", 3, size=1),
        *(_mace(profile, m, 3, size=1, seed=seed) for m in ("three_site", "two_site") for seed in SEEDS),
    ]
    return {task.name: task._replace(system=hexane) if task.liquid else task for task in found}


def fitted(task: Task, root: Path, *, progress: bool = True) -> store.Run:
    """Fit a task's potential in root/fit/<id>, or go on where it stopped; a finished run is returned as it is.

    Beside the manifest, HELD_OUT holds the errors of the held-out frames and the history, or the learning curve.
    """
    start = time.perf_counter()
    topology, frames = sets.load(task.system)
    d = task.fit.data
    beads = mapping.load(d.map, topology, typing=d.typing, residue=d.residue)
    frames = data.subsample(frames, d.frames)
    parent = store.data_hash(frames.position, frames.force)
    run = store.open_run(root, "fit", task.config, parents=(parent,), made_by=MADE_BY)
    if run.done:
        return run
    atoms = data.split_blocks(frames, d.blocks, d.valid_blocks, d.gap_ps)
    if getattr(task.fit, "force_map", "sum") == "optimal":
        beads = force_maps.optimised(beads, topology, atoms.train)
    train_frames, valid_frames = (
        mapping.apply(beads, part, require_forces=True) for part in (atoms.train, atoms.valid)
    )
    split = atoms._replace(train=train_frames, valid=valid_frames)
    table, arrays = (_curve if isinstance(task.config, CurveConfig) else _one)(task, beads, split, run, progress)
    store.write_npz(run.path(HELD_OUT), time=split.valid.sampled_ps, **arrays)
    known = {
        "task": task.name,
        "train_frames": split.train.n_frames,
        "valid_frames": split.valid.n_frames,
        "mapped_force_rms_meV_per_A": data.force_rms(split.valid) / MEV_PER_ANGSTROM,
    }
    run.finish(known | table, time.perf_counter() - start, data={Path(task.system).name: parent})
    return run


def _one(task: Task, beads: mapping.Mapping, split: data.Split, run: store.Run, progress: bool) -> tuple[dict, dict]:
    """One fit: its table, and the errors of the held-out frames with the history."""
    if isinstance(task.config, SplineFitConfig):
        knots = splines.for_frames(terms(beads), split.train, task.config.splines)
        fit = train_splines.fit(knots, split)
        error = np.concatenate([t.force_error for name, t in fit.tables.items() if name.startswith("pair")])
        return fit.table() | {"pair_force_error": float(np.sqrt(np.mean(error**2)))}, {"errors": fit.held_out}
    fit = train.fit(potential(task, beads, split), split, task.config.train, run, progress=progress)
    history = {"train_loss": fit.train_loss, "valid_loss": fit.valid_loss, "epoch_s": fit.epoch_s}
    return fit.table(), {"errors": fit.held_out} | history


def _curve(task: Task, beads: mapping.Mapping, split: data.Split, run: store.Run, progress: bool) -> tuple[dict, dict]:
    """A learning curve, and the noise floor from its limit and, for a molecule, from frames that are nearly alike."""
    if isinstance(task.fit, SplineFitConfig):
        fits, fewest = {}, data.subsample(split.train, min(n for n in task.config.frames if n))
        # Knots where the fewest frames have samples: more frames must not mean more to determine.
        knots = splines.for_frames(terms(beads), fewest, task.fit.splines)
        for n in task.config.frames:
            few = data.subsample(split.train, n)
            fits[few.n_frames] = train_splines.fit(knots, split._replace(train=few), blocks=min(10, few.n_frames))
        predicted = train_splines.predict(knots, fits[max(fits)].params, split.valid)
    else:
        model = potential(task, beads, split)
        fits = train.learning_curve(model, split, task.fit.train, run, frames=task.config.frames, progress=progress)
        predicted = train.predict(model, fits[max(fits)].params, split.valid)
    loss = {n: force_errors.loss(fit.held_out) for n, fit in fits.items()}
    residual = np.asarray(split.valid.force) - predicted
    found = noise_floor.floors(split.valid, residual, gap_ps=task.fit.data.gap_ps, curve=loss)
    table = dict(zip(("loss", "loss_error"), loss[max(fits)], strict=True))
    for key, floor in zip(("neighbours", "learning_curve"), found, strict=True):
        if floor.estimate:
            table |= {key: floor.estimate.value, f"{key}_error": floor.estimate.error}
    arrays = {"n_frames": np.array(list(fits)), "errors": np.stack([fit.held_out for fit in fits.values()])}
    return table, arrays


def potential(task: Task, beads: mapping.Mapping, split: data.Split):
    """The untrained network of a task."""
    module, network = (mace, task.fit.mace) if task.fit.mace else (nequip, task.fit.nequip)
    return module.build(module.for_frames(network, beads.species, split.train, liquid=task.liquid))


def _liquid(profile: str, map: str) -> TrainConfig:
    more = dict(epochs=LAPTOP_EPOCHS[map]) if profile == "laptop" and map in LAPTOP_EPOCHS else {}
    return dataclasses.replace(LIQUID[profile], **more)


def _hexane(map: str) -> DataConfig:
    return DataConfig(residue=HEXANE, map=map, blocks=10, valid_blocks=2)


def _splines(map: str, force_map: str = "sum") -> Task:
    config = SplineFitConfig(data=_hexane(map), splines=SplineConfig(), force_map=force_map)
    if force_map == "sum":
        return Task(f"{map}_splines", "splines", map, "hexane", config)
    return Task(f"{map}_splines_{force_map}", f"splines, {force_map} force map", "force_maps", "hexane", config)


def _spline_curve(map: str) -> Task:
    config = CurveConfig(fit=_splines(map).config, frames=CURVES["splines"])
    return Task(f"{map}_splines_curve", f"{map.replace('_', '-')}, splines", "noise_floor", "hexane", config)


def _alanine_curve(profile: str) -> Task:
    config = CurveConfig(fit=_alanine(profile, MACEConfig()).config, frames=CURVES["alanine"])
    return Task("alanine_curve", "alanine, Core, MACE", "noise_floor", "ala2", config)


def _mace(profile: str, map: str, nu: int, *, size: int, layers: int = 2, seed: int = SEED) -> Task:
    cutoff = CUTOFFS_NM[map][size]
    name, label = f"{map}_nu{nu}_{round(1000 * cutoff)}pm", f"MACE ν = {nu}, {cutoff:.2f} nm"
    if layers != 2:
        name, label = f"{name}_layer{layers}", f"{label}, one layer"
    if seed != SEED:
        name, label = f"{name}_seed{seed}", f"{label}, seed {seed}"
    published = PUBLISHED[map][size][nu - 1] if layers == 2 else None
    network = MACEConfig(correlation=nu, layers=layers, cutoff_nm=cutoff)
    training = dataclasses.replace(_liquid(profile, map), seed=seed)
    return Task(name, label, map, "hexane", FitConfig(data=_hexane(map), train=training, mace=network), published)


def _nequip(profile: str, map: str, *, size: int) -> Task:
    cutoff = CUTOFFS_NM[map][size]
    config = FitConfig(data=_hexane(map), train=_liquid(profile, map), nequip=NequIPConfig(cutoff_nm=cutoff))
    return Task(f"{map}_nequip_{round(1000 * cutoff)}pm", f"NequIP, {cutoff:.2f} nm", map, "hexane", config)


def _alanine(profile: str, network: MACEConfig | NequIPConfig) -> Task:
    which = "mace" if isinstance(network, MACEConfig) else "nequip"
    core = DataConfig(residue="ala", map="core", frames=MOLECULE_FRAMES[profile], valid_blocks=2)
    config = FitConfig(data=core, train=MOLECULE[profile], **{which: network})
    label = {"mace": "MACE ν = 2", "nequip": "NequIP"}[which]
    return Task(f"alanine_{which}", f"{label}, {network.cutoff_nm:.2f} nm", "alanine", "ala2", config)
