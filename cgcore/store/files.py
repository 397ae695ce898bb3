"""Files that are whole or absent: JSON for numbers and words, npz for arrays, no pickle; and who may write them."""

import hashlib
import json
import math
import os
import shutil
import tomllib
import zipfile
import zlib
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has none: there two processes must not be given one file
    fcntl = None

import numpy as np
from tqdm import tqdm

from cgcore.errors import CgcoreError, read_text

STRUCTURE = "__structure__"
DIGITS = 12
SLIP = "likely an interrupted copy, an edit by hand or another version; take a whole copy, or remove it and start again"
EMPTY = "it is empty: a disk that was full, or a loss of power; remove it and start again"
RESERVED = ("file", "allow_pickle")  # names that numpy.savez keeps for itself


class StoreError(CgcoreError, RuntimeError):
    """A stored file or folder that cannot be used, with what was wanted, what was found and the likely slip."""


@contextmanager
def naming(path: Path):
    """Give an OSError the path that it concerns, which one of a full disk has not."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


@contextmanager
def replacing(path: Path):
    """Open a temporary binary file beside `path` and put it in its place only when everything was written.

    What killed processes left of theirs goes; an OSError names the path.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        for other in (p for p in path.parent.iterdir() if p.name.startswith(f".{path.name}.") and p.suffix == ".part"):
            with suppress(FileNotFoundError), open(other, "rb") as file:  # its process may just have ended
                if lock(file):
                    other.unlink()
        with naming(path), open(part, "wb") as file:
            lock(file)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def lock(file, *, wait: bool = False) -> bool:
    """Lock an open file until it is closed, however the process ends; whether this process has the lock now."""
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


@contextmanager
def held(path: Path):
    """Hold a lock file for this process; one that finds it held says so, and waits until the other has ended."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        if not lock(file):
            tqdm.write(f"{path}: another process is at work here, waiting for it")
            lock(file, wait=True)
        yield


def is_held(path: Path) -> bool:
    """Whether some process holds a lock file."""
    try:
        with open(path) as file:
            return not lock(file)
    except FileNotFoundError:
        return False


def require_room(folder: Path, wanted: float):
    """Raise StoreError unless the disk of a folder, there or not yet, has `wanted` more bytes, and 5 % to spare."""
    folder = Path(folder).resolve()
    there = next(p for p in (folder, *folder.parents) if p.exists())
    if wanted > 0.95 * (free := shutil.disk_usage(there).free):
        raise StoreError(
            f"{folder}: this run will write {wanted / 1e9:.2f} GB, the disk has {free / 1e9:.2f} GB left; want fewer "
            "replicas or frames, a shorter run or another disk"
        )


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


def read_json(path: Path, *keys: str):
    """Read JSON, where keys are given a table that has them.

    Raises StoreError for a file that is not whole, FileNotFoundError for a missing one.
    """
    value = parsed(path, "JSON", json.loads)
    require_keys(path, value, keys)
    return value


def read_toml(path: Path, *keys: str) -> dict:
    """Read TOML; raises as `read_json`."""
    value = parsed(path, "TOML", tomllib.loads)
    require_keys(path, value, keys)
    return value


def parsed(path: Path, kind: str, parse: Callable):
    """What `parse` makes of a text file. Raises StoreError where it raises ValueError, or the file is no text."""
    try:
        return parse(read_text(path))
    except (ValueError, RecursionError) as e:
        raise StoreError(
            f"{path} is not whole {kind} ({' '.join(str(e).split())}); {SLIP if Path(path).stat().st_size else EMPTY}"
        ) from e


def require_keys(path: Path, value, keys):
    """Raise StoreError unless what was read from a file is a table with these keys, where any are wanted."""
    if keys and not isinstance(value, dict):
        raise StoreError(f"{path}: want a table with {list(keys)}, found a {type(value).__name__}; {SLIP}")
    if missing := [key for key in keys if key not in value]:
        raise StoreError(f"{path}: want {list(keys)}, found no {missing[0]!r}; {SLIP}")


def write_npz(path: Path, **arrays) -> None:
    """Write named arrays atomically, uncompressed. Raises StoreError for arrays that npz would have to pickle."""
    for name, array in arrays.items():
        if name in RESERVED:
            raise StoreError(f"{path}: an array may not be named {name!r}")
        if np.asarray(array).dtype.kind not in "biufcU":
            raise StoreError(f"{path}: array {name!r} has dtype {np.asarray(array).dtype}; want numbers or words")
    with replacing(path) as file:
        np.savez(file, **arrays)


def read_npz(path: Path, *keys: str) -> dict[str, np.ndarray]:
    """Read all arrays of an npz, those that are wanted among them. Raises StoreError for a file that is not whole."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, zlib.error) as e:
        raise StoreError(f"{path} is not a whole npz ({e}); {SLIP if Path(path).stat().st_size else EMPTY}") from e
    require_keys(path, found, keys)
    return found


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


def load_tree(path: Path, *keys: str):
    """Read what save_tree wrote, a dict of these keys where any are wanted; leaves are arrays of the stored dtype."""
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

    try:
        tree = build(json.loads(str(arrays[STRUCTURE])))
    except (KeyError, ValueError, TypeError, AttributeError) as e:
        raise StoreError(f"{path}: its structure names arrays that are not in it ({e}); {SLIP}") from e
    require_keys(path, tree, keys)
    if extra := [key for key in tree if keys and key not in keys]:
        raise StoreError(f"{path}: want {list(keys)} alone, found {extra[0]!r}; written by another version?")
    return tree
