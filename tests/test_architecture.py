"""The order of the rooms, read from the imports."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "cgcore").rglob("*.py"))

LAYERS = [
    "errors units compat processes",
    "config",
    "frames profiles",
    "geometry store",
    "io neighbors smarts map_files",
    "mapping unsampled",
    "data potentials force_maps",
    "trainer train_splines simulate",
    "train",
    "metadynamics doctor",
]
"""Lowest first. A room imports from lower rows and from itself."""

UP_TO_DATA = set(" ".join(LAYERS[:7]).split())
SIDE = {
    "reference": {"errors", "units", "processes", "config", "frames", "geometry", "store", "io"},
    "analysis": UP_TO_DATA,
    "plots": {"errors", "units", "config", "frames", "geometry"},
    "poster": {"errors", "units", "config", "frames", "geometry", "mapping"},
    "viewer": {"errors", "units", "config", "frames", "geometry", "mapping", "poster"},
}
TOP = {"cli", "book"}


def allowed(room: str) -> set[str]:
    """The rooms that a room may import, itself included."""
    if room in TOP:
        return set(" ".join(LAYERS).split()) | SIDE.keys() | TOP
    if room in SIDE:
        return SIDE[room] | {room}
    rows = [row.split() for row in LAYERS]
    level = next((i for i, row in enumerate(rows) if room in row), None)
    if level is None:
        raise AssertionError(f"cgcore.{room} has no place yet: give it one in {Path(__file__).name}")
    beside = {"analysis"} if room in [*rows[-1], "train", "train_splines", "simulate"] else set()
    beside |= {"reference"} if room == "doctor" else set()  # it reads the sets that it is asked about
    return {name for row in rows[:level] for name in row} | {room} | beside


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> set[str]:
    """Modules of cgcore that a file imports, wherever in the file and however written."""
    modules = {module_name(p) for p in FILES}
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            names = {f"{base}.{a.name}" for a in node.names}
            # `from cgcore import units` needs units; `from cgcore.units import kT` needs units as well.
            found |= {n if n in modules else base for n in names}
    return {name for name in found if name.split(".")[0] == "cgcore"}


def room_of(module: str) -> str | None:
    """The room that a module belongs to; None for the package itself, which only names the version."""
    return module.split(".")[1] if "." in module else None


def violations(path: Path) -> list[str]:
    room = room_of(module_name(path))
    targets = {room_of(name) for name in imported(path)} - {None}
    return sorted(targets - (allowed(room) if room else set()))


by_file = pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))


@by_file
def test_nothing_flows_back(path):
    assert not violations(path), f"{module_name(path)} may not import {violations(path)}"


@by_file
def test_a_file_is_short_and_clean(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    room = room_of(module_name(path))
    for node in ast.walk(ast.parse(text)):
        where = f"{path.name}:{getattr(node, 'lineno', 0)}"
        assert not isinstance(node, ast.Assert), f"{where}: raise an error, `assert` vanishes under -O"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called != "print" or room in TOP, f"{where}: return it and let the caller print"
            assert not called.endswith("config.update"), f"{where}: the caller configures JAX"


def test_no_circle_inside_a_package():
    graph = {module_name(p): imported(p) - {module_name(p)} for p in FILES}
    tuple(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError with the circle


def test_base_comes_first():
    for base in (ROOT / "cgcore").rglob("base.py"):
        siblings = {n for n in imported(base) if n.startswith(module_name(base).rpartition(".")[0])}
        assert not siblings, f"{module_name(base)} may not import {siblings}"


@pytest.mark.parametrize(
    "room, source, wrong",
    [
        ("potentials/mace.py", "from cgcore.potentials import base\nfrom cgcore import units, geometry", []),
        ("potentials/mace.py", "def f():\n    from cgcore.train import fit", ["train"]),
        ("geometry.py", "from . import io", ["io"]),
        ("analysis/x.py", "from ..simulate import run\nfrom .blocks import jackknife", ["simulate"]),
        ("plots.py", "import cgcore.analysis.surface", ["analysis"]),
        ("doctor.py", "from cgcore.analysis import surface", []),
        ("config.py", "from cgcore.config import RunConfig\nimport numpy", []),
        ("cli.py", "from cgcore import book, train, plots", []),
    ],
)
def test_the_test_sees_what_it_should(tmp_path, monkeypatch, room, source, wrong):
    rooms = [
        "train",
        "geometry",
        "io",
        "simulate",
        "units",
        "book",
        "plots",
        "analysis.surface",
        "analysis.blocks",
        "potentials.base",
    ]
    for name in [f"{r.replace('.', '/')}.py" for r in rooms] + [room]:
        (tmp_path / "cgcore" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cgcore" / name).touch()
    for package in ("", "analysis", "potentials"):
        (tmp_path / "cgcore" / package / "__init__.py").touch()
    path = tmp_path / "cgcore" / room
    path.write_text(source)
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    monkeypatch.setattr(sys.modules[__name__], "FILES", sorted((tmp_path / "cgcore").rglob("*.py")))
    assert violations(path) == wrong


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, cgcore; sys.exit(' '.join({'jax', 'matplotlib', 'numpy', 'mdtraj'} & sys.modules.keys()) or None)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, f"import cgcore loads {ended.stderr}"
