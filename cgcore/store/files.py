"""Files that are whole or absent: JSON for numbers and words, npz for arrays, no pickle."""

import hashlib
import json
import math
import os
import zipfile
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path

import numpy as np

from cgcore.errors import CgcoreError

STRUCTURE = "__structure__"
DIGITS = 12
RESERVED = ("file", "allow_pickle")  # names that numpy.savez keeps for itself


class StoreError(CgcoreError, RuntimeError):
    """A stored file or folder that cannot be used, with what was wanted, what was found and the likely slip."""


@contextmanager
def replacing(path: Path):
    """Open a temporary binary file beside `path` and put it in its place only when everything was written."""
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def digest(data: bytes) -> str:
    """12 hex digits of SHA-256."""
    return hashlib.sha256(data).hexdigest()[:DIGITS]


def data_hash(*arrays) -> str:
    """12 hex digits of arrays: values, shapes and dtypes."""
    total = hashlib.sha256()
    for array in map(np.ascontiguousarray, arrays):
        total.update(f"{array.dtype.str} {array.shape}".encode())
        total.update(array.data if array.size else b"")
    return total.hexdigest()[:DIGITS]


def plain(value):
    """Nested values as JSON has them: tuples and arrays become lists, numbers without a finite value null."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "__array__"):
        return plain(np.asarray(value).tolist())
    raise TypeError(
        f"cannot store {value!r} ({type(value).__name__}) as JSON; want numbers, words, lists or dicts of them"
    )


def write_json(path: Path, value) -> None:
    """Write JSON atomically; nan and inf become null."""
    text = json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False)
    with replacing(path) as file:
        file.write(f"{text}\n".encode())


def read_json(path: Path):
    """Read JSON. Raises StoreError for a file that is not whole, FileNotFoundError for a missing one."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as e:
        raise StoreError(f"{path} is not whole JSON ({e}); likely an interrupted copy or an edit by hand") from e


def write_npz(path: Path, **arrays) -> None:
    """Write named arrays atomically, uncompressed. Raises StoreError for arrays that npz would have to pickle."""
    for name, array in arrays.items():
        if name in RESERVED:
            raise StoreError(f"{path}: an array may not be named {name!r}")
        if np.asarray(array).dtype.kind not in "biufcU":
            raise StoreError(f"{path}: array {name!r} has dtype {np.asarray(array).dtype}; want numbers or words")
    with replacing(path) as file:
        np.savez(file, **arrays)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an npz. Raises StoreError for a file that is not whole."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (zipfile.BadZipFile, EOFError, ValueError) as e:
        raise StoreError(f"{path} is not a whole npz ({e}); likely an interrupted copy or download") from e


def save_tree(path: Path, tree) -> None:
    """Write nested dicts, tuples and lists of arrays (None allowed) as one npz, keys joined by "/"."""
    leaves: dict[str, np.ndarray] = {}

    def describe(node, key):
        if node is None:
            return None
        if type(node) is dict:
            if wrong := [k for k in node if not isinstance(k, str)]:
                raise StoreError(f"{path}: want words as keys under {key!r}, got {wrong[0]!r}")
            return {"dict": {k: describe(v, f"{key}/{k}" if key else k) for k, v in node.items()}}
        if type(node) in (list, tuple):
            items = [describe(v, f"{key}/{i}" if key else str(i)) for i, v in enumerate(node)]
            return {type(node).__name__: items}
        if isinstance(node, (dict, list, tuple)) or not hasattr(node, "__array__"):
            raise StoreError(
                f"{path}: want arrays in plain dicts, lists and tuples, got a {type(node).__name__} at {key!r}; "
                "make a Python number an array first"
            )
        if key in leaves:
            raise StoreError(f"{path}: two arrays would be called {key!r}; a key holds a '/'")
        leaves[key] = np.asarray(node)
        return {"array": key}

    structure = describe(tree, "")
    write_npz(path, **leaves, **{STRUCTURE: np.array(json.dumps(structure))})


def load_tree(path: Path):
    """Read what save_tree wrote; leaves are NumPy arrays of the stored dtype."""
    arrays = read_npz(path)
    if STRUCTURE not in arrays:
        raise StoreError(f"{path}: arrays without a structure; want a file of save_tree, this may be one of write_npz")

    def build(node):
        if node is None:
            return None
        ((kind, content),) = node.items()
        if kind == "array":
            return arrays[content]
        if kind == "dict":
            return {k: build(v) for k, v in content.items()}
        return {"list": list, "tuple": tuple}[kind](build(v) for v in content)

    return build(json.loads(str(arrays[STRUCTURE])))
