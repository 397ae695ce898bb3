"""The folder of a reference simulation: what it is, and for each replica frames, a log and a checkpoint.

config.json         the protocol; another one is refused
topology.pdb        the solute, every bond as a CONECT record, constraints as REMARK 6 CONSTRAINT
replica_00.trr      solute frames: positions, forces, box, time
replica_00.csv      time, potential energy, temperature, and of a run with a bias its energy V, of every frame
replica_00_bias.csv the bias, where there is one; frames count exp(V / kT)
replica_00.xml      how many frames count; OpenMM's state at the last checkpoint
manifest.json       versions, device, wall time, results, checksums; written when a length is reached
"""

import os
from datetime import UTC, datetime
from pathlib import Path

import mdtraj
import numpy as np

from ..frames import Topology
from ..io import trr_frame
from ..store import read_json, write_json
from ..store.bundled import checksum
from ..store.files import naming, plain, replacing
from ..store.runs import device, git_state, versions
from ..units import PS_PER_NS, kT, ns_per_day
from .build import Structure
from .errors import ReferenceRunError
from .protocol import Protocol

CONFIG, TOPOLOGY, MANIFEST, LOCK = "config.json", "topology.pdb", "manifest.json", ".lock"
KINDS = {"system", "trajectories"}  # by which a configuration tells what made it
ATOM_BYTES = 24  # of one frame: position and force in single precision
LOG_HEADER, BIAS_COLUMN = "time_ps,potential_kJ_per_mol,temperature_K", ",bias_kJ_per_mol"


def open_folder(folder: Path, protocol: Protocol) -> Path:
    """Begin or go on with a folder. Raises ReferenceRunError where another protocol made it.

    protocol: that of a simulation, or any configuration, plain or not.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config, wanted = folder / CONFIG, plain(protocol)
    if not config.is_file():
        if others := sorted(p.name for p in folder.iterdir() if not p.name.startswith(".")):
            raise ReferenceRunError(f"{folder}: files without a {CONFIG}: {others[:5]}; want an empty or new folder")
        write_json(config, wanted)
    mine = wanted.keys() & KINDS
    if (there := set(read_json(config)) & KINDS) and there != mine:
        raise ReferenceRunError(f"{folder} was made by another command (of {sorted(there)}); want another --out")
    stored = read_json(config, *mine)
    if differing := sorted(k for k in wanted.keys() | stored.keys() if wanted.get(k) != stored.get(k)):
        changes = "; ".join(f"{k} was {_short(stored.get(k))}, now {_short(wanted.get(k))}" for k in differing)
        raise ReferenceRunError(
            f"{folder} holds another simulation: {changes}. Want the same protocol or another --out"
        )
    return folder


def _short(value) -> str:
    """A value in a message; long texts, such as a structure, by their length."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:60]}... ({len(text)} characters)"


def mdtraj_topology(topology: Topology) -> mdtraj.Topology:
    """Give mdtraj the same atoms, residues and bonds in one chain, residues numbered from 1."""
    converted, residues = mdtraj.Topology(), {}
    chain = converted.add_chain()
    for name, residue, number, element in zip(
        topology.names, topology.residues, topology.residue_index, topology.elements, strict=True
    ):
        if number not in residues:
            residues[number] = converted.add_residue(residue, chain, resSeq=number + 1)
        converted.add_atom(name, mdtraj.element.Element.getBySymbol(element), residues[number])
    for i, j in topology.bonds.tolist():
        converted.add_bond(converted.atom(i), converted.atom(j))
    return converted


def mdtraj_frame(structure: Structure) -> mdtraj.Trajectory:
    """Give mdtraj one frame of a structure."""
    edges = structure.box[None] if np.isfinite(structure.box).all() else None
    angles = None if edges is None else np.full((1, 3), 90.0)
    top = mdtraj_topology(structure.topology)
    return mdtraj.Trajectory(structure.position[None], top, unitcell_lengths=edges, unitcell_angles=angles)


def write_topology(path: Path, structure: Structure, constraints: np.ndarray):
    """Write the solute as PDB, under its own atom names, with bonds and constraints by atom numbers from 1."""
    mdtraj_frame(structure).save_pdb(str(path))
    lines = [line for line in path.read_text().splitlines() if not line.startswith(("REMARK", "CONECT", "END"))]
    remarks = [f"REMARK   6 CONSTRAINT {i + 1} {j + 1}" for i, j in constraints.tolist()]
    bonds = [f"CONECT{i + 1:5d}{j + 1:5d}" for i, j in structure.topology.bonds.tolist()]
    with replacing(path) as file:
        file.write("\n".join([*remarks, *lines, *bonds, "END", ""]).encode())


class Recorder:
    """Appends frames of one replica; a checkpoint says how many of them count, and what lies behind is dropped."""

    def __init__(self, folder: Path, replica: int, n_atoms: int, *, biased: bool = False):
        self.stem = folder / f"replica_{replica:02d}"
        self.header = f"{LOG_HEADER}{BIAS_COLUMN * biased}\n"
        self.bias = folder / f"{self.stem.name}_bias.csv"
        self.frame_bytes = len(trr_frame(np.zeros((n_atoms, 3)), np.zeros((n_atoms, 3)), np.ones(3), 0.0, 0))
        self.trajectory, self.log, self.state = (self.stem.with_suffix(s) for s in (".trr", ".csv", ".xml"))

    @property
    def frames(self) -> int:
        """How many frames the checkpoint counts."""
        return self._checkpoint()[0] if self.state.is_file() else 0

    def _checkpoint(self) -> tuple[int, str]:
        """The frames that count and the engine's state. Raises ReferenceRunError where they are not whole."""
        head, _, state = self.state.read_text(errors="replace").partition("\n")
        frames = head.removeprefix("<!-- frames ").removesuffix(" -->")
        if not frames.isdecimal() or not state.rstrip().endswith(">"):
            raise ReferenceRunError(
                f"{self.state}: want a checkpoint, found one that is empty, cut or edited; {self.start_anew}"
            )
        return int(frames), state

    @property
    def start_anew(self) -> str:
        return f"remove {self.stem.name}.trr, .csv and .xml to simulate this replica anew"

    def resume(self) -> str | None:
        """Cut off the frames behind the checkpoint and return the engine's state in it; None at the beginning.

        Raises ReferenceRunError where frames that the checkpoint counts are missing.
        """
        if not self.state.is_file():
            self.trajectory.unlink(missing_ok=True)
            self.log.write_text(self.header)
            return None
        frames, state = self._checkpoint()
        stored = self.trajectory.stat().st_size // self.frame_bytes if self.trajectory.is_file() else 0
        if stored < frames:
            raise ReferenceRunError(
                f"{self.trajectory}: {stored} frames, the checkpoint beside it counts {frames}; was the file cut or "
                f"replaced? Copy it again, or {self.start_anew}"
            )
        if self.trajectory.is_file():
            os.truncate(self.trajectory, frames * self.frame_bytes)
        lines = self.log.read_text().splitlines(keepends=True)[: frames + 1] if self.log.is_file() else [self.header]
        if len(lines) <= frames:
            raise ReferenceRunError(
                f"{self.log}: {len(lines) - 1} lines, the checkpoint beside it counts {frames} frames; copy it again, or "
                f"{self.start_anew}"
            )
        with replacing(self.log) as file:
            file.write("".join(lines).encode())
        return state

    def append(self, frames: list[bytes], lines: list[str]):
        """Add frames and their lines of the log; they count from the next checkpoint on."""
        with naming(self.trajectory), open(self.trajectory, "ab") as file:
            file.writelines(frames)
            file.flush()
            os.fsync(file.fileno())
        with naming(self.log), open(self.log, "a") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())

    def checkpoint(self, state: str, frames: int):
        """Let `frames` frames count, after which the engine goes on from its state."""
        with replacing(self.state) as file:
            file.write(f"<!-- frames {frames} -->\n{state}".encode())


def read_manifest(folder: Path) -> dict | None:
    """The manifest of a folder, None where it has none yet. Raises StoreError for one that is not whole."""
    path = folder / MANIFEST
    return read_json(path, "protocol", "replicas", "frames", "sittings", "sha256") if path.is_file() else None


def weights(log: Path, temperature_K: float) -> np.ndarray:
    """What each frame of a replica with a bias V counts, exp(V / kT), with the mean 1.

    Raises ReferenceRunError for a log without the energies of the bias.
    """
    table = np.loadtxt(log, delimiter=",", skiprows=1, ndmin=2)
    if table.shape[1] != len(f"{LOG_HEADER}{BIAS_COLUMN}".split(",")) or not np.isfinite(table).all():
        raise ReferenceRunError(f"{log}: want the energy of the bias in every line, found {table.shape[1]} columns")
    weight = np.exp((table[:, -1] - table[:, -1].max()) / kT(temperature_K))
    return weight / weight.mean()


def verify(folder: Path, manifest: dict):
    """Raise ReferenceRunError unless the files of a folder are those that its manifest was written for."""
    for name, wanted in manifest["sha256"].items():
        if not (path := folder / name).is_file():
            raise ReferenceRunError(f"{path}: the manifest lists it, found none; was the folder copied in part?")
        if checksum(path) != wanted:
            raise ReferenceRunError(
                f"{path}: not the file that the manifest was written for: damaged, edited, or being lengthened. Start the "
                "same `cgcore reference` again (nothing is simulated twice), or copy the folder again"
            )


def _lasting(folder: Path, recorders: list["Recorder"], biased: bool) -> list[Path]:
    """What the manifest vouches for."""
    weighing = [path for r in recorders for path in (r.log, r.bias)] if biased else []
    return [folder / TOPOLOGY, *(r.trajectory for r in recorders), *weighing]


def write_manifest(
    folder: Path,
    recorders: list["Recorder"],
    protocol: Protocol,
    new: int,
    wall_s: float,
    platform: str,
    engine: dict,
    box: np.ndarray,
):
    """Write what made a finished run of the frames that every replica has; engine: version; box (3,) nm of a liquid, else inf.

    A run may be made in several sittings: the last one made `new` frames, all replicas together, in wall_s seconds.
    """
    before = (read_manifest(folder) or {"sittings": []})["sittings"]
    n_frames = min(recorder.frames for recorder in recorders)
    for recorder in recorders:
        recorder.resume()  # leaves no more frames than count, and says so where there are fewer
    speed = ns_per_day(new * protocol.frame_ps, wall_s) if new > 0 else None
    logs = [np.loadtxt(recorder.log, delimiter=",", skiprows=1, ndmin=2) for recorder in recorders]
    weight = [np.ones(len(log)) for log in logs]
    if protocol.bias:
        weight = [weights(recorder.log, protocol.temperature_K) for recorder in recorders]
    each = [np.average(log[:, 1], weights=w) for log, w in zip(logs, weight, strict=True)]
    results = {
        "mean_temperature_K": float(np.concatenate([log[:, 2] for log in logs]).mean()),
        "mean_potential_kJ_per_mol": float(np.mean(each)),
    }
    if protocol.bias:
        results["counting"] = [float(w.sum() ** 2 / np.square(w).sum()) for w in weight]
    manifest = {
        "protocol": plain(protocol),
        "replicas": protocol.replicas,
        "frames": n_frames,
        "length_ns": n_frames * protocol.frame_ps / PS_PER_NS,
        "box_nm": box.tolist() if np.isfinite(box).all() else None,
        "platform": platform,
        "versions": versions() | engine,
        "git": git_state(),
        "device": device(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "sha256": {path.name: checksum(path) for path in _lasting(folder, recorders, bool(protocol.bias))},
        "sittings": [*before, {"frames": new, "wall_s": wall_s, "ns_per_day": speed}],
        "results": results,
    }
    write_json(folder / MANIFEST, manifest)
