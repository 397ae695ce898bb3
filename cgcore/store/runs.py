"""A run is a folder named by what made it; its manifest comes last and says that it is complete."""

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cgcore
from cgcore.store.files import StoreError, plain, read_json, replacing, write_json
from cgcore.store.identity import ROOT, code_hash, run_id

CONFIG, MANIFEST = "config.json", "manifest.json"
MAKERS = {
    "fit": ("cgcore.io", "cgcore.mapping", "cgcore.potentials.mace", "cgcore.train"),
    "md": ("cgcore.potentials.mace", "cgcore.potentials.mace.native", "cgcore.simulate"),
}
"""For each kind of run, the modules whose code, with all they import, makes its results."""
RECORDED = ("jax", "jaxlib", "numpy", "chemtrain", "jax-md", "e3nn-jax", "mdtraj", "optax")


class StaleResultError(StoreError):
    """Results made by another version of the code."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run's folder. `identity` is what config.json holds: kind, id, config, parents and the code that makes it."""

    folder: Path
    identity: dict

    @property
    def id(self) -> str:
        return self.identity["id"]

    @property
    def done(self) -> bool:
        return self.path(MANIFEST).is_file()

    @property
    def manifest(self) -> dict:
        """What `finish` wrote. Raises StoreError where the run is not complete."""
        if not self.done:
            raise StoreError(f"{self.folder}: the run is not complete, it has no {MANIFEST}; let it run to its end")
        return read_json(self.path(MANIFEST))

    def path(self, name: str) -> Path:
        return self.folder / name

    def finish(self, results: dict, wall_s: float, *, data: dict[str, str] | None = None) -> dict:
        """Write manifest.json, the last file of a run, and return it.

        results: small table of plain numbers; wall_s: wall time in seconds; data: name -> hash of the input data.
        """
        manifest = self.identity | {
            "seed": self.identity["config"].get("seed"),
            "data": data or {},
            "versions": versions(),
            "git": git_state(),
            "device": device(),
            "wall_s": wall_s,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "results": results,
        }
        write_json(self.path(MANIFEST), manifest)
        return read_json(self.path(MANIFEST))


def open_run(root: Path, kind: str, config, parents=(), made_by: tuple[str, ...] = ()) -> Run:
    """Open or begin the run folder root/kind/<id>, the id from the config dataclass and the parents' ids.

    made_by: the modules whose code, with all they import, makes the results; those of MAKERS[kind] by default. Raises
    StaleResultError where another version of that code made the folder, StoreError where the folder is not this run's.
    """
    made_by = tuple(made_by) or MAKERS[kind]
    identity = {
        "kind": kind,
        "id": run_id(config, parents),
        "config_type": type(config).__name__,
        "config": plain(config),
        "parents": list(parents),
        "made_by": list(made_by),
        "code": code_hash(*made_by),
        "cgcore": cgcore.__version__,
    }
    folder = Path(root) / kind / identity["id"]
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / CONFIG).is_file():
        if strangers := sorted(p.name for p in folder.iterdir() if not p.name.startswith(".")):
            raise StoreError(
                f"{folder}: files without a {CONFIG}: {strangers}; not a run's folder, or {CONFIG} was removed"
            )
        write_json(folder / CONFIG, identity)
    found = read_json(folder / CONFIG)
    if (found.get("made_by"), found.get("code")) != (list(made_by), identity["code"]):
        raise StaleResultError(
            f"{folder} was made by cgcore {found.get('cgcore')} (code {found.get('code')} of {found.get('made_by')}); "
            f"running is cgcore {cgcore.__version__} (code {identity['code']} of {list(made_by)}). "
            "Remove the folder to make its results again, or choose another root"
        )
    for key in identity.keys() - {"cgcore"}:
        if found.get(key) != identity[key]:
            raise StoreError(f"{folder / CONFIG}: {key} is {found.get(key)!r}, want {identity[key]!r}; edited by hand?")
    return Run(folder=folder, identity=found)


def take_over(run: Run, among: Path) -> bool:
    """Fill a run's folder from a finished run of the same identity, so that nothing is made twice; whether it is finished.

    among: a folder of folders like the run's root, such as those of a sweep, each with <kind>/<id>. What other code made
    does not count. The manifest comes last: a copy that was broken off is no finished run.
    """
    if run.done:
        return True
    kind = run.identity["kind"]
    for manifest in sorted(Path(among).glob(f"*/{kind}/{run.id}/{MANIFEST}")):
        if all(read_json(manifest).get(key) == value for key, value in run.identity.items()):
            for file in sorted(manifest.parent.iterdir(), key=lambda path: path.name == MANIFEST):
                if file.is_file() and file.name != CONFIG:
                    with replacing(run.path(file.name)) as copy:
                        copy.write(file.read_bytes())
            return True
    return False


def versions() -> dict[str, str | None]:
    """Versions of what results depend on, None where not installed."""

    def of(name):
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    return {"python": platform.python_version(), "cgcore": cgcore.__version__} | {name: of(name) for name in RECORDED}


def git_state() -> dict | None:
    """Commit of the checkout that the package lies in, and whether its source has changed since; None outside one."""
    package = ROOT / "cgcore"

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
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    flags = os.environ.get("XLA_FLAGS", "")
    return {"platform": first.platform, "kind": first.device_kind, "cpus": cpus, "xla_flags": flags}
