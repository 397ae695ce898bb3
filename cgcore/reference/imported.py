"""The work of `cgcore import`: files of anybody's run become a reference folder that every command takes.

config.json       what was asked for, with the SHA-256 of every file
topology.json     the atoms that were kept, with masses, bonds and the distances that the run held
replica_00.trr    their frames in nm, ps and kJ/mol/nm, whole, with forces where there were some
weights.npz       what each frame counts, where the run had a bias
manifest.json     what came of it, and checksums; written last
"""

import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..config import ConfigError
from ..frames import Frames, Topology
from ..io import (
    TrajectoryError,
    Units,
    check_forces,
    missing_bond,
    read_replicas,
    read_topology,
    save_topology,
    trr_frame,
    with_bonds_of,
)
from ..store import read_json, write_json, write_npz
from ..store.bundled import checksum
from ..store.files import held as locked
from ..store.files import plain, replacing, require_room
from ..store.runs import git_state, versions
from .import_config import ImportConfig
from .output import ATOM_BYTES, CONFIG, LOCK, MANIFEST, mdtraj_topology, open_folder

TOPOLOGY, WEIGHTS = "topology.json", "weights.npz"

WARM = 0.15
"""Part by which the temperature of the bonds may be off: with a time step of 1 to 2 fs it is by some percent."""


def make(config: ImportConfig, out: Path, *, progress: bool = True) -> Path:
    """Read, check and write the folder `out`; one that is finished is left as it is.

    Raises ConfigError for a selection that is none, TrajectoryError for what `io.read` refuses and for a missing bond,
    ReferenceRunError for a folder of other files or settings.
    """
    started, out = time.perf_counter(), Path(out)
    asked = _described(config, progress)
    if (out / CONFIG).is_file():
        open_folder(out, asked)
        if (out / MANIFEST).is_file():
            return out
    topology, frames = _read(config)
    require_room(out, frames.n_frames * topology.n_atoms * ATOM_BYTES)
    folder = open_folder(out, asked)
    with locked(folder / LOCK):
        save_topology(folder / TOPOLOGY, topology)
        files, replicas = [TOPOLOGY], list(zip(*frames.by_replica(), strict=True))
        for r, (index, valid) in enumerate(tqdm(replicas, "write", unit="replica", delay=2, disable=not progress)):
            files.append(f"replica_{r:02d}.trr")
            _write(folder / files[-1], frames[index[valid]])
        if frames.weight is not None:
            write_npz(
                folder / WEIGHTS,
                **{f"replica_{r:02d}": frames.weights[index[valid]] for r, (index, valid) in enumerate(replicas)},
            )
            files.append(WEIGHTS)
        manifest = {
            "replicas": len(config.trajectories),
            "frames": frames.n_frames,
            "atoms": topology.n_atoms,
            "forces": frames.force is not None,
            "length_ns": float(np.ptp(frames.sampled_ps)) / 1000,
            "constraints": len(topology.constraints),
            "virial": _virial(topology, frames, config.temperature_K),
            "versions": versions(),
            "git": git_state(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "wall_s": time.perf_counter() - started,
            "sha256": {name: checksum(folder / name) for name in files},
        }
        write_json(folder / MANIFEST, manifest)
    return folder


def summary(folder: Path) -> str:
    """One line of what a finished folder holds."""
    manifest = read_json(folder / MANIFEST, "forces", "frames", "atoms", "replicas")
    virial, kelvin, warm = manifest.get("virial"), read_json(folder / CONFIG)["temperature_K"], ""
    if virial and abs(virial["ratio"] - 1) > max(WARM, 3 * virial["error"]):
        warm = f". Bonds pull back as at {kelvin * virial['ratio']:.0f} K, not {kelvin:g}: say --temperature-K, or check the unit"
    forces = "with forces" if manifest["forces"] else "without forces: the doctor takes them, no training does"
    replicas = f"{manifest['replicas']} replica{'s' * (manifest['replicas'] > 1)}"
    return f"{folder}: {manifest['frames']} frames of {manifest['atoms']} atoms, {replicas}, {forces}{warm}"


def _described(config: ImportConfig, progress: bool) -> dict:
    """The configuration with the checksum of every file beside its name, wherever it lies."""
    given = plain(config)
    names = [config.topology, *config.trajectories, *config.forces, *([config.bonds] if config.bonds else [])]
    sums = {name: checksum(Path(name)) for name in tqdm(names, "checksums", unit="file", delay=2, disable=not progress)}
    for key in ("trajectories", "forces"):
        given[key] = [{"file": Path(name).name, "sha256": sums[name]} for name in given[key]]
    for key in ("topology", "bonds"):
        given[key] = given[key] and {"file": Path(given[key]).name, "sha256": sums[given[key]]}
    return given


def _read(config: ImportConfig) -> tuple[Topology, Frames]:
    topology = read_topology(config.topology)
    if config.bonds:
        topology = with_bonds_of(config.bonds, topology, read_topology(config.bonds))
    topology, frames = read_replicas(
        config.topology,
        topology,
        config.trajectories,
        forces=config.forces,
        atoms=None if config.select is None else selected(topology, config.select),
        units=Units(config.length_unit, config.force_unit, config.time_unit),
        frame_ps=config.frame_ps,
        stride=config.stride,
        temperature_K=config.temperature_K,
        constraints=config.constraints,
    )
    if missing := missing_bond(topology, frames):
        raise TrajectoryError(
            f"{config.topology}: {missing} Bonds may also come from another file of the same atoms (--bonds)"
        )
    if config.force_unit and frames.force is None:
        raise ConfigError(f"--force-unit {config.force_unit}: no file has forces")
    return topology, frames


def selected(topology: Topology, text: str) -> np.ndarray:
    """The atoms that a selection in MDTraj's words keeps, ascending; residues have the numbers of the file.

    Raises ConfigError for what is no selection, for no atoms, and where it cuts a bond.
    """
    if "chainid" in text:
        raise ConfigError(f"--select {text!r}: chains are not kept; want residues or atoms, such as 'index < 28'")
    known = mdtraj_topology(topology)
    for residue in known.residues:
        label = topology.residue_labels[next(residue.atoms).index] if topology.residue_labels else ""
        if "resSeq" in text and not label.lstrip("-").isdecimal():
            raise ConfigError(
                f"--select {text!r}: residue {residue.name}{label} has no plain number, so select by other words"
            )
        residue.resSeq = int(label) if label.lstrip("-").isdecimal() else residue.resSeq
    try:
        atoms = known.select(text)
    except Exception as error:  # of its parser, of several kinds
        raise ConfigError(
            f"--select {text!r}: want words as MDTraj has them, such as 'protein', 'not water', 'resname LIG' ({error})"
        ) from error
    if not len(atoms):
        raise ConfigError(
            f"--select {text!r}: no such atoms; residues are {list(dict.fromkeys(topology.residues))[:20]}"
        )
    cut = topology.bonds[np.isin(topology.bonds, atoms).sum(1) == 1]
    if len(cut):
        i, j = cut[0]
        raise ConfigError(
            f"--select {text!r}: cuts {len(cut)} bonds such as {topology.atom(i)}–{topology.atom(j)}; want whole molecules"
        )
    return np.sort(atoms)


def _write(path: Path, frames: Frames):
    time = np.asarray(frames.time, np.float32)
    if (np.diff(time) <= 0).any():
        raise TrajectoryError(
            f"{path}: times up to {time.max():g} ps are too long for steps of {np.diff(frames.time).min():g} ps in TRR"
        )
    position, box = np.asarray(frames.position), np.asarray(frames.box)
    with replacing(path) as file:
        for k, (x, t) in enumerate(zip(position, time, strict=True)):
            file.write(trr_frame(x, None if frames.force is None else frames.force[k], box, t, k))


def _virial(topology: Topology, frames: Frames, temperature_K: float) -> dict | None:
    """How the forces stood against the positions (`io.held`), 1 where they belong together."""
    if frames.force is None:
        return None
    return check_forces("frames", frames, topology.bonds, topology.constraints, temperature_K)._asdict()
