"""The order of the rooms, read from the imports; their size; and what a command loads."""

import ast
import graphlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "cgcore").rglob("*.py"))

BOOK = sorted((ROOT / "book").rglob("*.py"))

LAYERS = [
    "errors units compat processes",
    "config",
    "frames",
    "geometry store",
    "io neighbors smarts map_files",
    "peptides",
    "mapping profiles unsampled",
    "data potentials force_maps",
    "trainer train_splines simulate",
    "train",
    "metadynamics doctor",
    "observables suggestions",
    "steps",
    "hold functional_groups",
    "proposals",
    "mean_forces acceptance export",
    "reweighting",
]
"""Lowest first. A room imports from lower rows and from itself."""

UP_TO_DATA = set(" ".join(LAYERS[:8]).split())
SIDE = {
    "reference": {"errors", "units", "processes", "config", "frames", "geometry", "store", "io"},
    "analysis": UP_TO_DATA,
    "plots": {"errors", "units", "config", "frames", "geometry"},
    "poster": {"errors", "units", "config", "frames", "geometry", "mapping"},
    "viewer": {"errors", "units", "config", "frames", "geometry", "mapping", "poster"},
}
USES = {
    "analysis": "train train_splines simulate metadynamics doctor observables steps hold mean_forces acceptance reweighting"
}
USES |= {"reference": "doctor suggestions steps hold mean_forces acceptance export"}
"""Rooms beside the rows, and who may import them."""
TOP = {"cli"}

BUDGET = {
    "__init__": 6,
    "acceptance": 398,
    "analysis": 2403,
    "cli": 558,
    "compat": 26,
    "config": 316,
    "data": 181,
    "doctor": 1739,
    "errors": 68,
    "export": 1470,
    "force_maps": 66,
    "frames": 151,
    "functional_groups": 181,
    "geometry": 149,
    "hold": 180,
    "io": 1821,
    "map_files": 134,
    "mapping": 342,
    "mean_forces": 142,
    "metadynamics": 597,
    "neighbors": 400,
    "observables": 217,
    "peptides": 86,
    "plots": 284,
    "poster": 87,
    "potentials": 4722,
    "processes": 30,
    "profiles": 195,
    "proposals": 221,
    "reference": 2569,
    "reweighting": 112,
    "simulate": 1050,
    "smarts": 171,
    "steps": 354,
    "store": 642,
    "suggestions": 130,
    "train": 338,
    "train_splines": 187,
    "trainer": 144,
    "units": 57,
    "unsampled": 124,
    "viewer": 235,
}
"""Lines of each room, tests excluded. A room that shrinks takes its budget with it; none grows without another that does."""
TOTAL = 23283
BOOK_LINES = 4867
"""Of all Python in cgcore, and below book/."""


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
    beside = {name for name, users in USES.items() if room in users.split()}
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


def test_the_package_knows_nothing_of_the_book():
    """cgbook may import cgcore, and nothing of cgcore imports cgbook: the commands look it up by name when asked to."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] in ("cgbook", "tests")], path


def test_rooms_are_no_larger_than_their_budget():
    lines = Counter()
    for path in FILES:
        lines[room_of(module_name(path)) or "__init__"] += len(path.read_text().splitlines())
    over = {room: (n, BUDGET.get(room, 0)) for room, n in lines.items() if n > BUDGET.get(room, 0)}
    assert not over, f"lines and budget: {over}"
    assert lines.keys() == BUDGET.keys(), "a room that is gone has no budget"
    assert sum(BUDGET.values()) <= TOTAL
    assert sum(len(path.read_text().splitlines()) for path in BOOK) <= BOOK_LINES


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
        ("cli.py", "from cgcore import steps, train, plots", []),
        ("train.py", "from cgcore.steps import fit", ["steps"]),
        ("observables.py", "from . import steps, analysis", ["steps"]),
    ],
)
def test_the_test_sees_what_it_should(tmp_path, monkeypatch, room, source, wrong):
    rooms = [
        "train",
        "geometry",
        "io",
        "simulate",
        "units",
        "steps",
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


HEAVY = ("jax", "jax_md", "chemtrain", "matplotlib", "mdtraj", "openmm", "papermill")


def loaded(code: str) -> tuple[set[str], str]:
    """Which of HEAVY a fresh interpreter has loaded after the code, and what it printed."""
    code += f"\nimport sys; print('LOADED', *(name for name in {HEAVY} if name in sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    printed, _, names = ended.stdout.rpartition("LOADED")
    return set(names.split()), printed


def test_importing_the_package_loads_nothing_heavy():
    found, _ = loaded("import sys, cgcore\nif 'numpy' in sys.modules: raise SystemExit('numpy')")
    assert not found


@pytest.mark.parametrize(
    "arguments, says",
    [
        ("['--help']", "mean-forces"),
        ("['run', 'notebooks/hexane.ipynb', '-p', 'mpa=x']", "did you mean 'map'"),
        ("['run', 'notebooks/hexane.ipynb', '-p', 'map=x']", "want one of"),
        ("['import', 'x.trr', '--topology', 'x.top', '--out', 'x', '--force-unit', 'eV']", "--force-unit: want one of"),
        ("['sweep', 'notebooks/hexane.ipynb', 'notebooks/sweeps/table1.yml', '--dry-run']", "nu=3"),
    ],
    ids=["help", "unknown parameter", "unknown map", "unknown unit", "rows of a sweep"],
)
def test_help_and_what_is_refused_load_no_kernels(arguments, says):
    """What is wrong with a command is said at once: JAX and matplotlib alone take seconds to load."""
    code = "from typer.testing import CliRunner\nfrom cgcore.cli import app\n"
    found, printed = loaded(code + f"print(CliRunner().invoke(app, {arguments}).output)")
    assert says in printed
    assert not found & {"jax", "jax_md", "chemtrain", "matplotlib"}
