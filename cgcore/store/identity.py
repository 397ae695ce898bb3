"""Names from contents: of a configuration, of code, of arrays."""

import ast
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]  # the folder that holds the package
DIGITS = 12


def run_id(config, parents=()) -> str:
    """12 hex digits of a config dataclass, seed included, and of the ids of what it was made from."""
    text = json.dumps([type(config).__name__, asdict(config), list(parents)], sort_keys=True, default=number)
    return digest(text.encode())


def data_hash(*arrays) -> str:
    """12 hex digits of arrays: values, shapes and dtypes. A parent for runs that start from data in memory."""
    h = hashlib.sha256()
    for array in map(np.ascontiguousarray, arrays):
        h.update(f"{array.dtype.str} {array.shape}".encode())
        h.update(array.data if array.size else b"")
    return h.hexdigest()[:DIGITS]


def code_hash(*modules: str) -> str:
    """12 hex digits of the source of modules and of all that they import from their package, however indirectly."""
    found = {name: path for module in modules for name, path in closure(module, ROOT).items()}
    return digest(json.dumps([(name, found[name].read_text(encoding="utf-8")) for name in sorted(found)]).encode())


def closure(module: str, root: Path) -> dict[str, Path]:
    """Source files, by module name, that importing a module of a package in `root` executes."""
    package = module.split(".")[0]
    found: dict[str, Path] = {}
    queue = [module]
    while queue:
        name = queue.pop()
        if name in found or not (path := source(name, root)):
            continue
        found[name] = path
        queue += [n for n in imports(path, name) | {name.rpartition(".")[0]} if n.split(".")[0] == package]
    if module not in found:
        raise ModuleNotFoundError(f"no module {module!r} in {root}")
    return found


def imports(path: Path, name: str) -> set[str]:
    """Dotted names that a source file imports, `from a import b` both as a and as a.b; `name` is the file's own."""
    here = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            names |= {module} | {f"{module}.{a.name}" for a in node.names}
    return names


def source(name: str, root: Path) -> Path | None:
    """The file of a module or package, None where the name is not a module."""
    path = root.joinpath(*name.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:DIGITS]


def number(value):
    """NumPy numbers hash as the Python numbers they equal."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a config holds {value!r} ({type(value).__name__}); want numbers, words, None and tuples of them")
