"""Mean forces of liquid hexane at beads that stand still, sampled with the atoms, for the chapter on potentials."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import openmm as mm
from tqdm import tqdm

from cgcore import data, store
from cgcore.analysis import constrained
from cgcore.analysis.constrained import ConstrainedForce
from cgcore.book import mean_force_tables as tables
from cgcore.book.mean_force_tables import MAPS, REFERENCE, reference
from cgcore.config import ConfigError, DataConfig, did_you_mean, positive
from cgcore.reference.constrained import ConstrainedConfig, sample
from cgcore.reference.engine_openmm import platform
from cgcore.reference.protocol import protocol
from cgcore.reference.system import prepare

FEWEST = 4 * constrained.BLOCKS
"""Samples of one frame."""
MADE_BY = ("cgcore.reference.constrained", "cgcore.analysis.constrained", "cgcore.mapping")


@dataclass(frozen=True, kw_only=True)
class MeanForceConfig:
    """At how many of the held-out frames the beads of a map are held, and how the atoms under them are sampled."""

    data: DataConfig
    frames: int = 4
    sampling: ConstrainedConfig = field(default_factory=ConstrainedConfig)

    def __post_init__(self):
        positive(self, "frames")
        if (n := self.sampling.samples) < FEWEST:
            step_ps = self.sampling.dt_ps * self.sampling.steps_per_sample
            raise ConfigError(
                f"length_ps: want {FEWEST * step_ps:g} ps or more for {FEWEST} samples of the force, got {n} samples in "
                f"{self.sampling.length_ps:g} ps"
            )


def make(
    maps: list[str],
    runs: Path,
    folder: Path,
    *,
    hexane: Path,
    networks: Sequence[Path] = (),
    sampling: bool = True,
    frames: int = 4,
    length_ps: float = 10.0,
) -> list[Path]:
    """Sample the named maps (all where none is named) and put potentials beside their mean forces; what was written.

    folder: <map>.npz and <map>.json, the mean forces and their manifest, and <map>/, a table of the potentials. hexane: the
    folder of the hexane chapter with its trained networks; networks: folders of other fits of its notebook. Without
    sampling the mean forces that `folder` has are taken. Raises ConfigError for an unknown map, and
    StoreError for a folder without a network, before anything is sampled.
    """
    for map in maps:
        if map not in MAPS:
            raise ConfigError(f"no map {map!r}; there are {list(MAPS)}{did_you_mean(map, MAPS)}")
    for fit in networks:
        tables.of_fit(fit)
    written = []
    for map in maps or MAPS:
        d = DataConfig(residue="hex", map=map, blocks=10, valid_blocks=2)
        if sampling:
            config = MeanForceConfig(data=d, frames=frames, sampling=ConstrainedConfig(length_ps=length_ps))
            written += _keep(sampled(config, runs), folder, map)
        if (folder / f"{map}.npz").is_file():
            written += tables.write(d, folder, hexane, networks)
    return written + tables.draw(folder)


def sampled(config: MeanForceConfig, root: Path, *, progress: bool = True) -> store.Run:
    """The mean forces of a map in root/mean_forces/<id>, one file a frame; what is there is not sampled again."""
    start, s = time.perf_counter(), config.sampling
    topology, split, beads = reference(config.data)
    parent = store.data_hash(split.valid.position)
    run = store.open_run(root, "mean_forces", config, parents=(parent,), made_by=MADE_BY)
    if run.done:
        return run
    frames = data.subsample(split.valid, config.frames)
    missing = [k for k in range(frames.n_frames) if not _frame(run, k).is_file()]
    context = _context(topology.n_atoms, np.asarray(frames.box, float))
    done = (frames.n_frames - len(missing)) * s.samples
    name = f"hold beads, {config.data.map}"
    with tqdm(total=frames.n_frames * s.samples, initial=done, unit="sample", desc=name, disable=not progress) as bar:
        for k in missing:
            start_at = np.asarray(frames.position[k], float)
            force = sample(context, start_at, beads.weights, beads.force_weights, s, frame=k, on_sample=bar.update)
            found = constrained.from_samples(force)
            store.write_npz(_frame(run, k), position=beads.weights @ start_at, **found)
    run.finish({"frames": frames.n_frames, "samples": s.samples}, time.perf_counter() - start, data={REFERENCE: parent})
    return run


def read(run: store.Run) -> ConstrainedForce:
    """The mean forces of a finished run, or of one whose frames are all there."""
    parts = [store.read_npz(path) for path in sorted(run.folder.glob("frame_*.npz"))]
    return ConstrainedForce(**{key: np.stack([part[key] for part in parts]) for key in ConstrainedForce._fields})


def _frame(run: store.Run, k: int) -> Path:
    return run.path(f"frame_{k:03d}.npz")


def _context(n_atoms: int, box: np.ndarray) -> mm.Context:
    wanted = protocol(REFERENCE)
    system = prepare(wanted, 0).system
    name = platform("auto", n_atoms, wanted.periodic)
    # Its integrator is never asked for a step.
    context = mm.Context(system, mm.VerletIntegrator(0.001), mm.Platform.getPlatformByName(name))
    context.setPeriodicBoxVectors(*np.diag(box))
    return context


def _keep(run: store.Run, folder: Path, map: str) -> list[Path]:
    """The mean forces of a finished run as <map>.npz, and as <map>.json how large they and their noise are."""
    found, made = read(run), run.manifest
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{map}.npz", folder / f"{map}.json"]
    store.write_npz(paths[0], **{key: a.astype(np.float32) for key, a in found._asdict().items()})
    known = {
        "mean_force_rms": constrained.over_beads(found.mean**2 - found.error2),
        "noise_rmse": constrained.over_beads(found.noise),
    }
    known |= {
        "noise_half_rmse": constrained.over_beads(found.noise_half),
        "error_of_mean_rmse": constrained.over_beads(found.error2),
    }
    sampling = f"{made['results']['frames']} frames of {made['config']['sampling']['length_ps']:g} ps"
    table = {key: value for name, square in known.items() for key, value in tables.rmse(name, square).items()}
    result = {"label": MAPS[map], "order": list(MAPS).index(map), "sampling": sampling, "table": table}
    store.write_json(paths[1], result | {"manifest": made})
    return paths
