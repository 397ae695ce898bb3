"""Mean forces to learn from: beads held still at chosen frames of a reference, the force on them averaged over the atoms.

The mean force <F|R> depends on the beads alone. So frames may be chosen for what they cover, barriers as well as valleys, and
come from a run with a bias; what is left of the noise of the map is the error of each mean, by which it counts in the loss.
"""

import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import openmm as mm
from tqdm import tqdm

from . import mapping
from .analysis import constrained
from .config import Checked, ConfigError, number
from .data import frames_hash
from .frames import Frames
from .geometry import dihedrals
from .mapping import Mapping
from .reference import sets
from .reference.constrained import ConstrainedConfig, sample
from .reference.engine_openmm import platform
from .reference.output import MANIFEST, TOPOLOGY, open_folder
from .reference.protocol import Protocol
from .reference.system import prepare
from .store import write_json, write_npz
from .store.bundled import checksum
from .store.files import held as locked
from .store.runs import device, git_state, versions

FEWEST = 4 * constrained.BLOCKS
"""Samples of one frame."""
SEARCHED = 20_000
"""Frames, evenly spread, out of which are chosen."""


@dataclass(frozen=True, kw_only=True)
class HoldConfig(Checked):
    """Which beads are held, at how many frames of which reference, and how the atoms under them are sampled."""

    system: str
    reference: str
    map: str
    residue: str | None
    frames: int = number(200, least=1, most=1_000_000)
    sampling: ConstrainedConfig = field(default_factory=ConstrainedConfig)

    def __post_init__(self):
        super().__post_init__()
        check_samples(self.sampling)


def check_samples(config: ConstrainedConfig):
    """Raise ConfigError for a sampling too short for an error of its mean."""
    if config.samples < FEWEST:
        step_ps = config.dt_ps * config.steps_per_sample
        raise ConfigError(
            f"length_ps: want {FEWEST * step_ps:g} ps or more for {FEWEST} samples of the force, got {config.samples} samples in "
            f"{config.length_ps:g} ps"
        )


def hold(
    reference: str,
    map: str,
    out: Path,
    *,
    residue: str | None,
    frames: int = 200,
    length_ps: float = 10.0,
    seed: int = 1,
    progress: bool = True,
) -> Path:
    """Make a reference of mean forces in the folder `out`, which every template takes; resumable by frames.

    Raises ConfigError for a reference whose atoms are not all in it (explicit water), StoreError for a damaged file,
    ReferenceRunError for a folder of another configuration, or where atoms fly apart.
    """
    if sets.is_held(reference):
        raise ConfigError(f"{reference}: mean forces already; want the reference whose frames were held")
    protocol = sets.protocol_of(reference)
    if protocol.solvent == "tip3p":
        raise ConfigError(f"{reference}: want frames of all atoms, these are of a solute without its water")
    topology, atoms = sets.load(reference)
    beads = mapping.load(map, topology, residue=residue)
    chosen = covering(beads, atoms, frames)  # before the folder is begun, for there may be too few
    sampling = ConstrainedConfig(length_ps=length_ps, temperature_K=protocol.temperature_K, seed=seed)
    config = HoldConfig(
        system=protocol.system, reference=str(reference), map=map, residue=residue, frames=frames, sampling=sampling
    )
    folder, started = open_folder(Path(out), config), time.perf_counter()
    with locked(folder / ".lock"):
        if (folder / MANIFEST).is_file():
            return folder
        shutil.copyfile(sets.topology_file(reference), folder / TOPOLOGY)
        engine = context(protocol, topology.n_atoms, np.asarray(atoms.box, float))
        sample_frames(folder, beads, chosen, engine, sampling, f"hold beads, {map}", progress)
        files = sorted(folder.glob("frame_*.npz"))
        cost = frames * length_ps / 1000
        manifest = {
            "config": asdict(config),
            "beads": beads.beads,
            "data": frames_hash(atoms),
            "atomistic_ns": cost,
            "versions": versions(),
            "git": git_state(),
            "device": device(),
            "wall_s": time.perf_counter() - started,
            "sha256": {path.name: checksum(path) for path in (folder / TOPOLOGY, *files)},
        }
        write_json(folder / MANIFEST, manifest)
    return folder


def sample_frames(
    folder: Path,
    beads: Mapping,
    frames: Frames,
    engine: mm.Context,
    config: ConstrainedConfig,
    name: str,
    progress: bool,
):
    """Sample the mean force at every frame of atoms that has no file in the folder yet."""
    missing = [k for k in range(frames.n_frames) if not file_of(folder, k).is_file()]
    done, total = (frames.n_frames - len(missing)) * config.samples, frames.n_frames * config.samples
    with tqdm(total=total, initial=done, unit="sample", desc=name, disable=not progress) as bar:
        for k in missing:
            start = np.asarray(frames.position[k], float)
            force = sample(engine, start, beads.weights, beads.force_weights, config, frame=k, on_sample=bar.update)
            found = constrained.from_samples(force)
            write_npz(file_of(folder, k), position=beads.weights @ start, box=np.asarray(frames.box, float), **found)


def file_of(folder: Path, k: int) -> Path:
    """The file of one frame."""
    return folder / f"frame_{k:03d}.npz"


def covering(beads: Mapping, atoms: Frames, n: int) -> Frames:
    """n frames of atoms, in their order, that cover what the beads do: each the farthest from those before it.

    Of a molecule by sines and cosines of the map's dihedrals, or by the distances of beads where it names none; of a liquid,
    whose every frame has all there is, evenly spread. Raises ConfigError for fewer frames than n.
    """
    if n > atoms.n_frames:
        raise ConfigError(f"frames: want at most the {atoms.n_frames} of the reference, got {n}")
    if np.isfinite(np.asarray(atoms.box)).all():
        return atoms[np.linspace(0, atoms.n_frames - 1, n).round().astype(int)]
    some = atoms[:: max(1, atoms.n_frames // max(SEARCHED, n))]
    x = np.asarray(mapping.apply(beads, some).position, float)
    if beads.dihedrals:
        angles = np.asarray(dihedrals(x, np.array(list(beads.dihedrals.values())), np.full(3, np.inf)))
        features = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    else:
        i, j = np.triu_indices(x.shape[1], 1)
        features = np.linalg.norm(x[:, i] - x[:, j], axis=-1)
    return some[np.sort(farthest(features, n))]


def farthest(features: np.ndarray, n: int) -> np.ndarray:
    """(n,) rows of features (T, K), each the farthest from all before it; the first is row 0."""
    chosen, nearest = [0], np.full(len(features), np.inf)
    for _ in range(n - 1):
        nearest = np.minimum(nearest, np.square(features - features[chosen[-1]]).sum(1))
        nearest[chosen[-1]] = -1.0
        chosen.append(int(nearest.argmax()))
    return np.array(chosen)


def context(protocol: Protocol, n_atoms: int, box: np.ndarray) -> mm.Context:
    """OpenMM's forces on the atoms, of a liquid in a box (3,) nm; its integrator is never asked for a step."""
    name = platform("auto", n_atoms, protocol.periodic)
    engine = mm.Context(prepare(protocol, 0).system, mm.VerletIntegrator(0.001), mm.Platform.getPlatformByName(name))
    if protocol.periodic:
        engine.setPeriodicBoxVectors(*np.diag(box))
    return engine
