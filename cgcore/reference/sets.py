"""Reference sets: those that travel with the project, and folders that `cgcore reference` made."""

from pathlib import Path
from typing import NamedTuple

from ..config import ConfigError, did_you_mean
from ..frames import Frames, Topology
from ..io import load as read_frames
from ..store import data_file, read_json
from ..store.bundled import data_roots
from .output import CONFIG, TOPOLOGY, read_manifest, verify, weights

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
    """List the sets that come with the project, by name."""
    folders = {p.parent.name: p.parent for root in data_roots() for p in sorted(root.glob(f"*/{SET}"))}
    return tuple(_describe(folder) for _, folder in sorted(folders.items()))


def load(name, *, stride: int = 1) -> tuple[Topology, Frames]:
    """Read the topology, and frames with forces, of a bundled set, or of a folder of `cgcore reference`.

    Replicas follow one another, each with its number and on its own clock; of runs with a bias every frame has its weight.
    All files are checked by their SHA-256.
    Raises ConfigError for an unknown name or a simulation that is not finished, StoreError or ReferenceRunError for a
    damaged file, TrajectoryError for one that does not fit.
    """
    folder, known = Path(name), {}
    if (folder / CONFIG).is_file():
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
        topology_file = folder / TOPOLOGY
    else:
        names = {entry.name for entry in available()}
        if str(name) not in names:
            raise ConfigError(
                f"no reference set {str(name)!r}; there are {sorted(names)}, or give a folder of `cgcore reference`"
                f"{did_you_mean(name, names)}"
            )
        trajectories = read_json(data_file(f"{name}/{SET}"), "trajectories")["trajectories"]
        files = [data_file(f"{name}/{file}") for file in trajectories]
        topology_file = data_file(f"{name}/{TOPOLOGY}")
    return read_frames(topology_file, files, require_forces=True, stride=stride, **known)


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
