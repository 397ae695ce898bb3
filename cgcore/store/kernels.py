"""The version of the kernels that made a result: it changes when what they compute does, and at nothing else.

`kernels.toml` has a version for each room of kernels, and a fingerprint of the code that it was given to. Comments,
docstrings, messages, annotations, layout, and the names of modules, functions and local variables are not in the
fingerprint. Code that has another one is a kernel of its own, "1+4f0c2a9b", until somebody records what the change is:

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
    "priors": ("potentials/barrier.py", "potentials/priors.py"),
    "train": ("train.py", "trainer.py"),
    "simulate": ("simulate/*.py", "potentials/compiled.py", "potentials/mace/native/*.py"),
    "metadynamics": ("metadynamics/*.py",),
    "analysis": ("analysis/*.py",),
}
"""Files of each room, below the package."""


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
    modules, scopes, texts = _package(root)
    chosen = {_module(path, root) for pattern in ROOMS[room] for path in (root / "cgcore").glob(pattern)}
    parts = [_text(node, scopes[key[0]], texts) for key, node in _definitions({m: modules[m] for m in chosen})]
    return digest("\n".join(sorted(parts)).encode())[:8]


@cache
def _package(root: Path) -> tuple[dict, dict, dict]:
    """The modules of the package, what their names mean, and the text of every definition.

    What a definition is called does not count, what it refers to does: by the text of that definition alone.
    """
    paths = sorted((root / "cgcore").rglob("*.py"))
    modules = {_module(path, root): ast.parse(path.read_text("utf-8")) for path in paths}
    scopes = {name: _scope(tree, name, modules) for name, tree in modules.items()}
    texts = {key: digest(_text(node, scopes[key[0]], {}).encode()) for key, node in _definitions(modules)}
    return modules, scopes, texts


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


def _module(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _definitions(modules: dict[str, ast.Module]):
    """((module, name), node) of every function, class and assignment at the top of a module."""
    for module, tree in modules.items():
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                yield (module, node.name), node
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                yield (module, ast.unparse(target)), node


def _scope(tree: ast.Module, module: str, modules: dict) -> dict[str, tuple[str, str] | str]:
    """What the names of a module mean: (module, name) of the package, or a dotted name of another."""
    scope: dict[str, tuple[str, str] | str] = {key[1]: key for key, _ in _definitions({module: tree})}
    here = module.split(".")
    is_package = any(name.startswith(f"{module}.") for name in modules)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            scope |= {alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level + is_package] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            scope |= {alias.asname or alias.name: (base, alias.name) for alias in node.names}
    return scope


def _text(node: ast.AST, scope: dict, texts: dict) -> str:
    """A definition as text without what does not count."""
    local: dict[str, str] = {}
    for inner in ast.walk(node):
        name = inner.arg if isinstance(inner, ast.arg) else getattr(inner, "id", None)
        if isinstance(inner, ast.FunctionDef) and inner is not node:
            name = inner.name
        if name and (not isinstance(inner, ast.Name) or isinstance(inner.ctx, ast.Store)):
            local.setdefault(name, f"v{len(local)}")

    def meaning(key) -> str:
        if key in texts:
            return texts[key]
        return "cgcore" if isinstance(key, tuple) and key[0].startswith("cgcore") else str(key)

    def of(part) -> str:
        match part:
            case ast.Name(id=name):
                return local.get(name) or meaning(scope.get(name, name))
            case ast.arg(arg=name):
                return local[name]
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if name not in local and name in scope:
                base = scope[name]
                owner = ".".join(base) if isinstance(base, tuple) else base
                return meaning((owner, attr)) if (owner, attr) in texts else f"{meaning(base)}.{attr}"
            case ast.FunctionDef(args=args, body=body, decorator_list=decorators):
                method = "" if part is node or part.name in local else part.name
                return f"def {method}({of(args)}){of(decorators)}{of(body)}"
            case ast.ClassDef(bases=bases, body=body, decorator_list=decorators):
                return f"class({of(bases)}){of(decorators)}{of(body)}"
            case ast.AnnAssign(target=target, value=value):
                return f"{'' if part is node else ast.unparse(target)}={of(value)}"
            case ast.Assign(value=value) if part is node:
                return of(value)
            case ast.Expr(value=ast.Constant(value=str())) | ast.Import() | ast.ImportFrom():
                return ""
            case ast.Raise():
                return "raise"
            case ast.AST():
                fields = [(k, v) for k, v in ast.iter_fields(part) if k not in ("ctx", "returns", "annotation", "kind")]
                return f"{type(part).__name__}({','.join(f'{k}:{of(v)}' for k, v in fields)})"
            case list():
                return f"[{','.join(filter(None, map(of, part)))}]"
        return repr(part)

    return of(node)
