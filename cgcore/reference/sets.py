"""Reference sets: those that travel with the project, and folders that `cgcore reference` made."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..config import ConfigError, did_you_mean
from ..frames import Frames, Topology
from ..io import read, read_topology, write_packed
from ..store import data_file, read_json, write_json
from ..store.bundled import SUMS, data_roots
from .output import CONFIG, MANIFEST, TOPOLOGY

SET = "set.json"


class Reference(NamedTuple):
    """One set. spacing_ps between frames; good_for: one line; trajectories: one file a replica."""

    name: str
    system: str
    solvent: str
    replicas: int
    frames: int
    spacing_ps: float
    good_for: str
    size: int  # bytes

    @property
    def length_ns(self) -> float:
        """Of all replicas."""
        return self.frames * self.spacing_ps / 1000


def available() -> tuple[Reference, ...]:
    """The sets that come with the project, by name."""
    folders = {p.parent.name: p.parent for root in data_roots() for p in sorted(root.glob(f"*/{SET}"))}
    return tuple(_describe(folder) for _, folder in sorted(folders.items()))


def load(name, *, stride: int = 1) -> tuple[Topology, Frames]:
    """Topology and frames with forces of a bundled set, or of a folder of `cgcore reference`.

    Replicas follow one another, each with its number and on its own clock. A bundled set's files are checked by their
    SHA-256. Raises ConfigError for an unknown name, StoreError for a damaged file, TrajectoryError for one that does
    not fit.
    """
    folder = Path(name)
    if (folder / CONFIG).is_file():
        files = sorted(folder.glob("replica_*.trr"))
        if not files:
            raise ConfigError(f"{folder}: a reference simulation without frames yet; let it run")
        topology_file = folder / TOPOLOGY
    else:
        known = {entry.name for entry in available()}
        if str(name) not in known:
            raise ConfigError(
                f"no reference set {str(name)!r}; there are {sorted(known)}, or give a folder of `cgcore reference`"
                f"{did_you_mean(name, known)}"
            )
        trajectories = read_json(data_file(f"{name}/{SET}"))["trajectories"]
        files = [data_file(f"{name}/{file}") for file in trajectories]
        topology_file = data_file(f"{name}/{TOPOLOGY}")
    topology = read_topology(topology_file)
    return topology, _joined([read(file, topology, require_forces=True, stride=stride) for file in files])


def bundle(folder: Path, target: Path, *, good_for: str, stride: int = 1) -> Path:
    """Make a set from a finished folder of `cgcore reference`: packed frames, topology, description, checksums."""
    folder, target = Path(folder), Path(target)
    manifest = read_json(folder / MANIFEST)
    target.mkdir(parents=True, exist_ok=True)
    (target / TOPOLOGY).write_bytes((folder / TOPOLOGY).read_bytes())
    topology, files, spacing = read_topology(folder / TOPOLOGY), [], 0.0
    frames = 0
    for source in sorted(folder.glob("replica_*.trr")):
        read_frames = read(source, topology, require_forces=True, stride=stride)
        files.append(source.with_suffix(".h5").name)
        write_packed(target / files[-1], read_frames)
        frames, spacing = frames + read_frames.n_frames, float(np.median(np.diff(read_frames.time)))
    protocol = manifest["protocol"]
    description = {
        "system": protocol["system"],
        "solvent": protocol["solvent"],
        "good_for": good_for,
        "frames": frames,
        "spacing_ps": spacing,
        "trajectories": files,
        "made_by": manifest,
    }
    write_json(target / SET, description)
    (target / "README.md").write_text(_readme(target.name, description))
    names = sorted(p.name for p in target.iterdir() if p.name not in {SUMS, "README.md"})
    sums = [f"{hashlib.sha256((target / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    (target / SUMS).write_text("".join(sums))
    return target


def _describe(folder: Path) -> Reference:
    entry = read_json(folder / SET)
    return Reference(
        name=folder.name,
        system=entry["system"],
        solvent=entry["solvent"],
        replicas=len(entry["trajectories"]),
        frames=entry["frames"],
        spacing_ps=entry["spacing_ps"],
        good_for=entry["good_for"],
        size=sum(p.stat().st_size for p in folder.iterdir()),
    )


def _joined(parts: list[Frames]) -> Frames:
    """Replicas one after another, numbered; one alone has no number."""
    if len(parts) == 1:
        return parts[0]
    return replace(
        parts[0],
        position=np.concatenate([p.position for p in parts]),
        force=np.concatenate([p.force for p in parts]),
        time=np.concatenate([p.time for p in parts]),
        replica=np.repeat(np.arange(len(parts)), [p.n_frames for p in parts]),
    )


def _readme(name: str, entry: dict) -> str:
    protocol, made = entry["made_by"]["protocol"], entry["made_by"]
    length = entry["frames"] * entry["spacing_ps"] / 1000
    rows = {
        "system": f"{entry['system']}, solvent {entry['solvent']}",
        "engine": f"{protocol['engine']} ({made['versions'].get(protocol['engine'])}, {made['platform']})",
        "frames": f"{entry['frames']} in {len(entry['trajectories'])} runs, every {entry['spacing_ps']:g} ps, "
        f"{length:g} ns in all",
        "time step": f"{protocol['dt_ps'] * 1000:g} fs"
        + (f", hydrogens of {protocol['hydrogen_mass']:g} g/mol" if protocol["hydrogen_mass"] else ""),
        "constraints": protocol["constraints"],
        "content": "positions (to 1e-4 nm) and forces (to 1 kJ/mol/nm) of the solute, packed by cgcore.io.write_packed",
        "good for": entry["good_for"],
    }
    table = "".join(f"| {key} | {value} |\n" for key, value in rows.items())
    return (
        f"# {name}\n\nA reference set of cgcore: `cgcore.reference.sets.load({name!r})`.\n\n| | |\n|---|---|\n{table}\n"
        f"`set.json` has the whole protocol, versions and the mean temperature. Check with `sha256sum -c {SUMS}`.\n"
    )
