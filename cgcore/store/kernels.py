"""The version of the kernels that made a result: it changes when what they compute does, and at nothing else.

`kernels.toml` has a version for each room of kernels, and a fingerprint of the code that it was given to. Comments,
docstrings, messages, annotations and layout are not in the fingerprint. Code that has another one is a kernel of its own,
"1+4f0c2a9b", until somebody records what the change is:

    record("same", ["simulate"])     # the numbers stay: results keep their names
    record("bump", ["simulate"])     # they do not: version 2, and new names

`cgcore kernels` says where they stand, and records with --same or --bump.
"""

import ast
from functools import cache
from pathlib import Path

from cgcore.errors import CgcoreError
from cgcore.store.files import digest, read_toml, replacing

ROOT = Path(__file__).parents[2]  # the folder that holds the package
RECORD = Path(__file__).with_name("kernels.toml")
ROOMS = {
    "geometry": ("geometry.py", "neighbors.py", "units.py"),
    "mace": ("potentials/base.py", "potentials/mace/network.py", "potentials/mace/co*.py"),
    "nequip": ("potentials/base.py", "potentials/nequip.py"),
    "splines": ("potentials/splines.py", "potentials/terms.py", "train_splines.py"),
    "priors": ("potentials/barrier.py", "potentials/priors.py", "unsampled.py"),
    "train": ("train.py", "trainer.py"),
    "simulate": ("simulate/*.py", "potentials/compiled.py", "potentials/mace/native/*.py", "analysis/stability.py"),
    "metadynamics": ("metadynamics/*.py",),
    "analysis": ("analysis/*.py",),
}
"""Files of each room, below the package."""
UNREAD = ("ctx", "returns", "annotation", "kind", "type_comment")
"""Fields of a syntax tree that change no number."""


class KernelError(CgcoreError, KeyError):
    """A room of kernels that there is not."""


@cache
def version(room: str) -> str:
    """The version of a room's kernels: "1", or "1+4f0c2a9b" for code that nobody has judged yet."""
    if room not in ROOMS:
        raise KernelError(f"want a room of kernels out of {sorted(ROOMS)}, got {room!r}")
    recorded = read_toml(RECORD).get(room, {"version": 0, "code": ""})
    code = fingerprint(room)
    return str(recorded["version"]) if code == recorded["code"] else f"{recorded['version']}+{code}"


def fingerprint(room: str, root: Path = ROOT) -> str:
    """8 hex digits of what the code of a room computes."""
    paths = {path for pattern in ROOMS[room] for path in (root / "cgcore").glob(pattern)}
    return digest("\n".join(_text(ast.parse(path.read_text("utf-8"))) for path in sorted(paths)).encode())[:8]


def record(action: str, rooms: list[str]):
    """Write the fingerprints of rooms into the record, with their version ("same") or the next one ("bump")."""
    known = read_toml(RECORD) if RECORD.is_file() else {}
    for room in rooms or [r for r in ROOMS if version(r) != str(known.get(r, {}).get("version"))]:
        before = known.get(room, {"version": 0})["version"]
        known[room] = {"version": max(1, before + (action == "bump")), "code": fingerprint(room)}
    lines = [f'[{room}]\nversion = {entry["version"]}\ncode = "{entry["code"]}"\n' for room, entry in known.items()]
    with replacing(RECORD) as file:
        file.write("\n".join(lines).encode())
    version.cache_clear()


def _text(part) -> str:
    """A part of a syntax tree as text without what does not count; empty fields differ between versions of Python."""
    match part:
        case ast.Expr(value=ast.Constant(value=str())):
            return ""
        case ast.Raise():
            return "raise"
        case ast.AST():
            fields = ((name, _text(value)) for name, value in ast.iter_fields(part) if name not in UNREAD)
            return f"{type(part).__name__}({','.join(f'{name}={text}' for name, text in fields if text)})"
        case list():
            return f"[{','.join(map(_text, part))}]" if part else ""
    return "" if part is None else repr(part)
