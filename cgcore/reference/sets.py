"""Reference sets: those that travel with the project, and folders of `cgcore reference`, `cgcore hold` and `cgcore import`."""

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..config import ConfigError, did_you_mean, from_dict
from ..frames import Frames, Topology
from ..io import load as read_frames
from ..io import read_topology
from ..store import data_file, read_json, read_npz
from ..store.bundled import data_roots
from . import imported
from .output import CONFIG, MANIFEST, TOPOLOGY, read_manifest, verify, weights
from .protocol import Protocol

SET = "set.json"


class Kind(StrEnum):
    """What made a reference, and where its files lie."""

    BUNDLED = "a set that comes with the project"
    SIMULATED = "a folder of `cgcore reference`"
    HELD = "a folder of `cgcore hold`"
    IMPORTED = "a folder of `cgcore import`"


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
    """List the sets that come with the project, by name."""
    folders = {p.parent.name: p.parent for root in data_roots() for p in sorted(root.glob(f"*/{SET}"))}
    return tuple(_describe(folder) for _, folder in sorted(folders.items()))


def kind(name) -> Kind:
    """What made a reference. Raises ConfigError for a name that is neither a folder of ours nor a bundled set."""
    config = Path(name) / CONFIG
    if not config.is_file():
        _bundled(name)
        return Kind.BUNDLED
    keys = read_json(config)
    return Kind.HELD if "sampling" in keys else Kind.IMPORTED if "trajectories" in keys else Kind.SIMULATED


def load(name, *, stride: int = 1) -> tuple[Topology, Frames]:
    """Read the topology and the frames of a bundled set or of a folder of any `Kind`; imported ones may have no forces.

    Replicas follow one another, each with its number and on its own clock; of runs with a bias every frame has its weight.
    All files are checked by their SHA-256.
    Raises ConfigError for an unknown name or a folder that is not finished, StoreError or ReferenceRunError for a
    damaged file, TrajectoryError for one that does not fit.
    """
    readers = {Kind.BUNDLED: _load_bundled, Kind.SIMULATED: _load_simulated}
    readers |= {Kind.HELD: _load_held, Kind.IMPORTED: _load_imported}
    return readers[kind(name)](Path(name), stride)


def is_held(name) -> bool:
    """Whether a reference is of mean forces on beads (`cgcore.hold`), not of atoms."""
    return kind(name) is Kind.HELD


def source(name) -> str:
    """The reference of atoms behind one: that whose frames were held, else itself."""
    return read_json(Path(name) / CONFIG, "reference")["reference"] if is_held(name) else str(name)


def temperature_K(name) -> float:
    """Of the simulation behind a reference."""
    if (of := kind(name)) is Kind.BUNDLED:
        return protocol_of(name).temperature_K
    config = Path(name) / CONFIG
    table = read_json(config, "sampling")["sampling"] if of is Kind.HELD else read_json(config, "temperature_K")
    return table["temperature_K"]


def protocol_of(name) -> Protocol:
    """The protocol of a reference of atoms. Raises ConfigError for an unknown one, and for imported frames, which have none."""
    if (of := kind(name)) is Kind.IMPORTED:
        raise ConfigError(
            f"{name}: imported frames, whose force field and bias are not known; want a bundled set, or a folder of "
            "`cgcore reference`, for what simulates atoms anew or undoes a bias"
        )
    made_by = (
        read_json(_bundled(name), "made_by")["made_by"]["protocol"]
        if of is Kind.BUNDLED
        else read_json(Path(name) / CONFIG, "system")
    )
    fields = {field.name for field in dataclasses.fields(Protocol)}
    return from_dict(Protocol, {key: value for key, value in made_by.items() if key in fields})


def length_ns(name) -> float:
    """How long atoms were simulated for a reference's frames, all replicas together; of held beads, under the beads.

    What came before the frames is not in it: equilibration, the making of a bias, the run whose frames were held.
    """
    folder = Path(name)
    of = kind(name)
    if of is Kind.HELD:
        return read_json(folder / MANIFEST, "atomistic_ns")["atomistic_ns"]
    if of is not Kind.BUNDLED:
        manifest = read_json(folder / MANIFEST, "length_ns", "replicas")
        return manifest["length_ns"] * (manifest["replicas"] if of is Kind.SIMULATED else 1)
    return next(entry.length_ns for entry in available() if entry.name == str(name))


def topology_file(name) -> Path:
    """The file of a reference's atoms, which `io.read_topology` takes."""
    of = kind(name)
    return (
        data_file(f"{name}/{TOPOLOGY}")
        if of is Kind.BUNDLED
        else Path(name) / (imported.TOPOLOGY if of is Kind.IMPORTED else TOPOLOGY)
    )


def _bundled(name) -> Path:
    """set.json of a bundled set. Raises ConfigError with those there are."""
    names = {entry.name for entry in available()}
    if str(name) not in names:
        raise ConfigError(
            f"no reference set {str(name)!r}; there are {sorted(names)}, or give a folder of `cgcore reference` or `cgcore import`"
            + (
                f". {name} is a folder without {CONFIG}: `cgcore import TRAJECTORY --topology FILE --out FOLDER` makes one of files of yours"
                if Path(name).is_dir()
                else did_you_mean(name, names)
            )
        )
    return data_file(f"{name}/{SET}")


def _load_bundled(name: Path, stride: int) -> tuple[Topology, Frames]:
    trajectories = read_json(_bundled(name), "trajectories")["trajectories"]
    files = [data_file(f"{name}/{file}") for file in trajectories]
    return read_frames(data_file(f"{name}/{TOPOLOGY}"), files, require_forces=True, stride=stride)


def _load_simulated(folder: Path, stride: int) -> tuple[Topology, Frames]:
    if not (manifest := read_manifest(folder)):
        raise ConfigError(
            f"{folder}: a reference simulation that is not finished; let it run, or start the same `cgcore reference` "
            "again with a --length-ns that all replicas have reached"
        )
    verify(folder, manifest)
    files = [folder / f"replica_{r:02d}.trr" for r in range(manifest["replicas"])]
    protocol = read_json(folder / CONFIG, "constraints", "temperature_K")
    known = {key: protocol[key] for key in ("constraints", "temperature_K")} | {"n_frames": manifest["frames"]}
    if protocol.get("bias"):
        known["weights"] = [weights(file.with_suffix(".csv"), protocol["temperature_K"]) for file in files]
    return read_frames(folder / TOPOLOGY, files, require_forces=True, stride=stride, **known)


def _load_imported(folder: Path, stride: int) -> tuple[Topology, Frames]:
    if not (folder / MANIFEST).is_file():
        raise ConfigError(f"{folder}: an import that is not finished; start the same `cgcore import` again")
    manifest = read_json(folder / MANIFEST, "replicas", "sha256")
    verify(folder, manifest)
    files = [folder / f"replica_{r:02d}.trr" for r in range(manifest["replicas"])]
    known = read_json(folder / CONFIG, "constraints", "temperature_K")
    known = {key: known[key] for key in ("constraints", "temperature_K")}
    if imported.WEIGHTS in manifest["sha256"]:
        known["weights"] = list(read_npz(folder / imported.WEIGHTS, *(file.stem for file in files)).values())
    return read_frames(folder / imported.TOPOLOGY, files, stride=stride, **known)


def _load_held(folder: Path, stride: int) -> tuple[Topology, Frames]:
    """The topology of the atoms, and frames of beads whose forces are means, with their errors."""
    if not (folder / MANIFEST).is_file():
        raise ConfigError(f"{folder}: held beads that are not finished; start the same `cgcore hold` again")
    manifest = read_json(folder / MANIFEST, "beads", "sha256", "config")
    verify(folder, manifest)
    topology = read_topology(folder / TOPOLOGY)
    parts = [read_npz(folder / name) for name in sorted(manifest["sha256"]) if name != TOPOLOGY][::stride]
    position, force, square = (np.stack([p[key] for p in parts]) for key in ("position", "mean", "error2"))
    frames = Frames(
        position=position.astype(np.float32),
        force=force.astype(np.float32),
        box=np.asarray(parts[0]["box"]),
        time=np.arange(len(parts)) * 1.0,
        names=tuple(manifest["beads"]),
        force_error=np.sqrt(np.maximum(square, 0.0)),
    )
    return topology, frames


def _describe(folder: Path) -> Reference:
    entry = read_json(folder / SET, "system", "solvent", "trajectories", "frames", "spacing_ps", "good_for")
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
