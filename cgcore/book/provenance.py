"""What made a run of a notebook: hashes of code and data, commit, machine."""

import hashlib
import json
import os
import platform
from pathlib import Path

import cgcore
from cgcore.store.runs import git_state

PRESENTATION = ("book", "cli.py")
"""Parts of cgcore that no number depends on."""


def code_hash() -> str:
    """Hash of the kernels: every Python and TOML file of cgcore but the presentation."""
    root = Path(cgcore.__file__).parent
    files = [p for p in root.rglob("*") if p.suffix in (".py", ".toml", ".js")]
    return _hash(root, [p for p in files if p.relative_to(root).parts[0] not in PRESENTATION])


def data_hash(folder: Path) -> str | None:
    """Hash of every file of a data folder, None where there is none."""
    files = [p for p in folder.rglob("*") if p.is_file()] if folder.is_dir() else []
    return _hash(folder, files) if files else None


def source_hash(cells) -> str:
    """Hash of a notebook's cell sources; outputs and metadata do not count."""
    return hashlib.sha256(json.dumps([[c.cell_type, c.source] for c in cells]).encode()).hexdigest()[:12]


def commit() -> str:
    """The short git commit of the code, marked where the package had changes; 'none' outside a checkout."""
    state = git_state()
    return "none" if state is None else state["commit"][:10] + (" with changes" if state["dirty"] else "")


def device(folder: Path) -> str:
    """The accelerator that the manifests of a run folder name, else the processor of this machine."""
    for path in sorted(folder.rglob("manifest.json")):
        found = json.loads(path.read_text()).get("device", {})
        if found.get("platform", "cpu") != "cpu":
            return found["kind"]
    return f"{platform.machine()} CPU, {os.cpu_count()} threads"


def _hash(root: Path, files: list[Path]) -> str:
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(path.relative_to(root).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:12]
