"""The version of the kernels that made a result: it changes when what they compute does, and at nothing else.

`kernels.toml` has a version for each room of kernels, and a fingerprint of the code that it was given to. Comments,
docstrings, messages, annotations, layout, and the names of modules, functions, parameters and variables are not in the
fingerprint; the code that a name stands for is, wherever in the package it lies. Code that has another one is a kernel of
its own, "1+4f0c2a9b", until somebody records what the change is:

    record("same", ["simulate"])     # the numbers stay: results keep their names
    record("bump", ["simulate"])     # they do not: version 2, and new names

`cgcore kernels` says where they stand, and records with --same or --bump.
"""

import ast
import re
from collections import ChainMap
from functools import cache, partial
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
    "simulate": (
        "simulate/*.py",
        "potentials/compiled.py",
        "potentials/mace/native/*.py",
        "potentials/mace/warp/*.py",
        "analysis/stability.py",
    ),
    "metadynamics": ("metadynamics/*.py",),
    "analysis": ("analysis/*.py",),
}
"""Files of each room, below the package."""
UNREAD = ("ctx", "returns", "annotation", "kind", "type_comment")
"""Fields of a syntax tree that change no number."""
SCOPES = (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
"""What has names of its own."""


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
    parts = sorted(_code(name, root, 1) for name, (path, _) in _package(root)[0].items() if path in paths)
    return digest("\n".join(parts).encode())[:8]


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


@cache
def _package(root: Path) -> tuple[dict[str, tuple[Path, list[ast.stmt]]], dict[str, str]]:
    """What binds each name of the package, `cgcore.geometry.angles`, and what its imported names stand for."""
    statements, imports = {}, {}
    for path in sorted((root / "cgcore").rglob("*.py")):
        tree, parts = ast.parse(path.read_text("utf-8")), path.relative_to(root).with_suffix("").parts
        module = ".".join(parts).removesuffix(".__init__")
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                base = [*parts[: -getattr(node, "level", 0)], *filter(None, [getattr(node, "module", None)])]
                names = {f"{module}.{a.asname or a.name}": ".".join([*base, a.name]) for a in node.names}
                imports |= {name: meant for name, meant in names.items() if name != meant}
        for node in tree.body:
            for name in list(_bound([node])) or [""]:
                statements.setdefault(f"{module}.{name}", (path, []))[1].append(node)
    return statements, imports


def _bound(nodes):
    """The names that nodes bind, in their order, but for those in scopes of their own."""
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                yield name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
        if not isinstance(node, SCOPES):
            yield from _bound(ast.iter_child_nodes(node))


@cache
def _code(name: str, root: Path, depth: int) -> str:
    """A digest of what binds a name of the package, and `depth` further of what that uses; the name does not count."""
    module, _, own = name.rpartition(".")
    text = _text(_package(root)[0][name][1], ChainMap({own: "own", "": module}), root)
    return digest(re.sub("\n(.+)\n", lambda m: _code(m[1], root, depth - 1) if depth else "", text).encode())


def _text(part, scope: ChainMap, root: Path) -> str:
    """A part of a syntax tree as text without what does not count; names of the package are between ends of lines."""
    statements, imports = _package(root)
    if isinstance(part, SCOPES):
        names = dict.fromkeys(_bound(ast.iter_child_nodes(part)))
        kept = isinstance(part, ast.ClassDef)  # fields and methods are used from anywhere
        scope = scope.new_child({n: n if kept else f"{len(scope.maps)}.{i}" for i, n in enumerate(names)})
    of = partial(_text, scope=scope, root=root)

    def meant(name):
        while name in imports:
            name = imports[name]
        return f"\n{name}\n" if name in statements else name

    match part:
        case ast.Name(id=name):
            return scope.get(name) or meant(f"{scope['']}.{name}").removeprefix(f"{scope['']}.")
        case ast.Attribute(value=value, attr=attr):
            return meant(f"{of(value)}.{attr}")
        case ast.Expr(value=ast.Constant(value=str())) | ast.Import() | ast.ImportFrom():
            return ""
        case ast.Raise():
            return "raise"
        case ast.Call(args=args, keywords=keywords):
            func = of(part.func)
            called = statements[func.strip()][1][-1] if func.strip() in statements else None
            order = list(_bound([called.args])) if isinstance(called, ast.FunctionDef) else []
            named = [f"{order.index(k.arg) if k.arg in order else k.arg}={of(k.value)}" for k in keywords]
            return f"{func}({of(args)}{','.join(sorted(named))})"
        case list():
            return f"[{','.join(map(of, part))}]" if part else ""
        case ast.AST():
            fields = ((k, ast.Name(id=v) if v and k in ("name", "arg") else v) for k, v in ast.iter_fields(part))
            texts = [f"{k}={text}" for k, v in fields if k not in UNREAD and (text := of(v))]  # empty ones come and go
            return f"{type(part).__name__}({','.join(texts)})"
    return "" if part is None else repr(part)
