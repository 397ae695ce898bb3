"""What every exported folder holds, and how it is read back: beads, potential, frames to check by, manifest, README."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..geometry import molecules
from ..potentials.base import Potential
from ..store import read_json, read_npz, write_json, write_npz
from ..store.bundled import checksum
from ..store.runs import MANIFEST, git_state, versions
from . import potential as potentials
from .load import Source, about, exact
from .source import ExportError, Found

BEADS, CHECK, README, SCRIPT = "beads.json", "check.npz", "README.md", "run.py"
UNITS = {"length": "nm", "time": "ps", "mass": "g/mol", "energy": "kJ/mol", "temperature": "K"}


class Beads(NamedTuple):
    """names, species: N words each; mass: (N,) g/mol; bonds: (P, 2); molecule: (N,) numbers; box: (3,) nm, inf where
    not periodic."""

    names: tuple[str, ...]
    species: tuple[str, ...]
    mass: np.ndarray
    bonds: np.ndarray
    molecule: np.ndarray
    box: np.ndarray

    @property
    def periodic(self) -> bool:
        return bool(np.isfinite(self.box).all())


class Exported(NamedTuple):
    """A folder that was read. position, energy, force: frames (C, N, 3) nm by which to check, in kJ/mol and kJ/mol/nm; the
    first is the start. terms: the potentials with their parameters, of which the network or the splines come first."""

    folder: Path
    beads: Beads
    terms: list[tuple[Potential, object]]
    position: np.ndarray
    energy: np.ndarray
    force: np.ndarray
    md: dict


def write(folder: Path, source: Source, found: Found, target: str, extra: Callable):
    """Write everything, the manifest last; extra(folder, source, md) writes a target's files and returns its README."""
    molecule = source.molecule
    energy, force = exact(source)
    if not (np.isfinite(energy).all() and np.isfinite(force).all()):
        raise ExportError(f"{found.run}: no finite energy of the frames it starts from")
    beads = {"names": molecule.names, "species": source.labels, "mass": molecule.mass, "bonds": molecule.bonds}
    write_json(folder / BEADS, beads | {"box": molecule.box if molecule.liquid else None})
    write_npz(folder / CHECK, position=source.start, energy=energy, force=force)
    potentials.write(folder, source.potential, source.params)
    origin = about(source, found)
    words = extra(folder, source)
    priors = ", ".join(source.priors) or "no priors"
    (folder / README).write_text(
        f"# {found.config.system}, map {found.config.data.map}, for {target}\n\nMade by `cgcore export {found.run} --to "
        f"{target}`: {len(molecule.names)} beads, {' + '.join(origin['potential'])} ({priors}), learnt from "
        f"{found.config.data.reference}. `{MANIFEST}` says from which run, frames and kernels.\n\n{words}\n",
        encoding="utf-8",
    )
    sums = {path.name: checksum(path) for path in sorted(folder.iterdir()) if path.suffix != ".py"}
    made = {"versions": versions(), "git": git_state(), "date": datetime.now(UTC).isoformat(timespec="seconds")}
    told = {"energy_kJ_mol": energy, "force_rms_kJ_mol_nm": np.sqrt((force**2).mean((1, 2)))}
    head = {"kind": "export", "target": target, "units": UNITS, "check": told, "sha256": sums}
    write_json(folder / MANIFEST, head | origin | made)


def read(folder: Path) -> Exported:
    """Read an exported folder. Raises ExportError for another one, or where a file is not what was written."""
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        raise ExportError(f"{folder}: no {MANIFEST}; want a folder that `cgcore export` made")
    manifest = read_json(folder / MANIFEST, "kind", "sha256", "md")
    for name in (BEADS, CHECK, potentials.TERMS, potentials.PARAMS):
        if not (folder / name).is_file() or checksum(folder / name) != manifest["sha256"].get(name):
            raise ExportError(f"{folder / name}: not the file that was exported; copied in part, or edited?")
    raw, check = read_json(folder / BEADS), read_npz(folder / CHECK, "position", "energy", "force")
    bonds = np.array(raw["bonds"], int).reshape(-1, 2)
    box = np.full(3, np.inf) if raw["box"] is None else np.array(raw["box"])
    beads = Beads(
        names=tuple(raw["names"]),
        species=tuple(raw["species"]),
        mass=np.array(raw["mass"]),
        bonds=bonds,
        molecule=molecules(bonds, len(raw["names"])),
        box=box,
    )
    terms = potentials.read(folder)
    return Exported(folder, beads, terms, check["position"], check["energy"], check["force"], manifest["md"])
