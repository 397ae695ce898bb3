"""Models that run elsewhere: one folder each for ASE, OpenMM, LAMMPS, mace-torch and web pages, with the potential that ran here.

A folder holds the potential with every prior (potential.json, params.npz), its beads (beads.json), frames with their
energies and forces to check by (check.npz), a manifest, and what the target needs besides: run.py at least. Units are nm,
ps, g/mol and kJ/mol but in files of a target that has others.
"""

from importlib import import_module
from pathlib import Path

from .source import ExportError, find

__all__ = ["TARGETS", "ExportError", "export"]

TARGETS = {"ase": "ase", "openmm": "openmm", "lammps": "lammps", "mace-torch": "mace_torch", "web": "web"}
"""Target -> its module here."""


def export(run: Path, target: str, folder: Path, *, reference: str | None = None) -> Path:
    """Write the potential of a run for another program; the folder.

    Args:
        run: a finished observation, runs/<system>/<id>; a fit that one observation was made of; a published network.
        target: of TARGETS.
        folder: new or empty.
        reference: of a published network whose own reference is not here, the one to read priors and start from.

    Raises:
        ExportError: a run, target or folder that will not do, or a potential that the target cannot have; before work starts.
    """
    if target not in TARGETS:
        raise ExportError(f"target: want one of {', '.join(TARGETS)}, got {target!r}")
    folder, found = Path(folder), find(run, reference)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(f"{folder}: want a new or an empty folder to export to; choose another --out")
    module = import_module(f".{TARGETS[target]}", __package__)  # of ASE, OpenMM and torch what is needed alone
    module.check(found.config)
    from . import folder as folders
    from . import load

    source = load.load(found)
    folder.mkdir(parents=True, exist_ok=True)
    folders.write(folder, source, found, target, module.write)
    return folder
