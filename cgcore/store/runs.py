"""A run is a folder named by what made it; its manifest comes last and says that it is complete."""

import json
import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path

import cgcore
from cgcore.processes import cores
from cgcore.store import kernels
from cgcore.store.files import StoreError, digest, held, plain, read_json, write_json

CONFIG, MANIFEST, LOCK = "config.json", "manifest.json", ".lock"
RECORDED = ("jax", "jaxlib", "numpy", "chemtrain", "jax-md", "e3nn-jax", "mdtraj", "optax")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run's folder, and what names it.

    identity: kind, id, config (resolved: no default is left out), data (name -> hash of what it was made from) and
    kernels (room -> version).
    """

    folder: Path
    identity: dict

    @property
    def id(self) -> str:
        return self.identity["id"]

    @property
    def done(self) -> bool:
        """Whether the run is complete. Raises StoreError for a damaged manifest: before more work, not after it."""
        return self.path(MANIFEST).is_file() and bool(self.manifest)

    @property
    def manifest(self) -> dict:
        """What `finish` wrote. Raises StoreError where the run is not complete."""
        if not self.path(MANIFEST).is_file():
            raise StoreError(f"{self.folder}: the run is not complete, it has no {MANIFEST}; let it run to its end")
        return read_json(self.path(MANIFEST), *self.identity, "results", "date", "device")

    def path(self, name: str) -> Path:
        return self.folder / name

    def finish(self, results: dict, wall_s: float, **more) -> dict:
        """Write manifest.json, the last file of a run, and return it.

        Args:
            results: small table of plain numbers.
            wall_s: wall time in seconds.
            more: what else is to be known of the run, such as which engine computed it.
        """
        made = {"versions": versions(), "git": git_state(), "device": device(), "wall_s": wall_s}
        made |= {"date": datetime.now(UTC).isoformat(timespec="seconds")}
        write_json(self.path(MANIFEST), self.identity | made | more | {"results": results})
        return read_json(self.path(MANIFEST))

    def held(self):
        """Hold the folder for this process, as a context; another one that wants it waits."""
        return held(self.path(LOCK))


def run_id(kind: str, config, data: dict[str, str], versions_of: dict[str, str]) -> str:
    """12 hex digits of a run: its kind, resolved configuration, data and the kernels that compute it."""
    return digest(json.dumps([kind, plain(config), data, versions_of], sort_keys=True).encode())


def open_run(root: Path, kind: str, config, *, data: dict[str, str], rooms: tuple[str, ...]) -> Run:
    """Open or begin the run folder root/kind/<id>.

    Args:
        config: the resolved configuration, a dataclass or a table of plain values; seeds are part of it.
        data: name -> `data_hash` of what the run is made from.
        rooms: the kernels that compute it, of `kernels.ROOMS`.

    Raises:
        StoreError: the folder is not this run's.
    """
    made_by = {room: kernels.version(room) for room in sorted(rooms)}
    identity = {"kind": kind, "id": run_id(kind, config, data, made_by), "config": plain(config)}
    identity |= {"data": data, "kernels": made_by}
    folder = Path(root) / kind / identity["id"]
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / CONFIG).is_file():
        if foreign := sorted(p.name for p in folder.iterdir() if not p.name.startswith(".")):
            raise StoreError(
                f"{folder}: files without a {CONFIG}: {foreign}; not a run's folder, or {CONFIG} was removed"
            )
        write_json(folder / CONFIG, identity)
    stored = read_json(folder / CONFIG, "id")
    for key, value in identity.items():
        if stored.get(key) != value:
            raise StoreError(f"{folder / CONFIG}: {key} is {stored.get(key)!r}, want {value!r}; edited by hand?")
    return Run(folder=folder, identity=stored)


def versions() -> dict[str, str | None]:
    """Versions of what results depend on, None where not installed."""

    def of(name):
        try:
            return installed(name)
        except PackageNotFoundError:
            return None

    return {"python": platform.python_version(), "cgcore": cgcore.__version__} | {name: of(name) for name in RECORDED}


def git_state() -> dict | None:
    """Commit of the checkout that the package lies in, and whether its source has changed since; None outside one."""
    package = kernels.ROOT / "cgcore"

    def git(*words):
        return subprocess.run(["git", "-C", package, *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        # A wheel installed below somebody's checkout is not part of it: ask whether git knows this very file.
        git("ls-files", "--error-unmatch", "__init__.py")
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--", "."))}
    except (subprocess.CalledProcessError, OSError):
        return None


def device() -> dict:
    """What JAX computes on."""
    import jax  # late: reading results must not start a device

    first = jax.devices()[0]
    flags = os.environ.get("XLA_FLAGS", "")
    return {"platform": first.platform, "kind": first.device_kind, "cpus": cores(), "xla_flags": flags}
