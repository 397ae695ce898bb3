"""What a stranger meets first: commands that agree, versions that agree, pins, a clean tree."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import cgcore
from cgcore.store.bundled import PACKAGE, data_roots, profile_roots

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LARGEST_MB = 12
ELSEWHERE = ["pypi" + ".org", "files.python" + "hosted", "registry.npm" + "js", "conda.ana" + "conda.org"]
HERE = ["/ho" + "me/", "/wo" + "rk/", "/ro" + "ot/"]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pins(name: str) -> list[Requirement]:
    return [Requirement(line) for line in read(name).splitlines() if line.strip() and not line.startswith("#")]


def holds(requirement: Requirement, python: str) -> bool:
    environment = default_environment() | {"python_version": python, "python_full_version": f"{python}.9", "extra": ""}
    return requirement.marker is None or requirement.marker.evaluate(environment)


@pytest.fixture(scope="module")
def tracked():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_continuous_integration_runs_the_commands_of_the_readme():
    block = read("README.md").split("## Two commands")[1].split("```")[1]
    commands = [line.split("#")[0].strip() for line in block.splitlines() if line.startswith("uv ")]
    script = read(".ci/run")
    assert commands == ["uv run cgcore book", "uv run pytest -n 2 --dist loadfile"]
    assert all(re.search(rf"^(step|exec) {command}$", script, re.MULTILINE) for command in commands)
    assert script.strip().endswith(commands[-1]), "the last line printed is that of the tests"
    assert "set -euo pipefail" in script and (ROOT / ".ci/run").stat().st_mode & 0o111


def test_pip_and_conda_paths_are_the_same_everywhere():
    for name in ("README.md", "book/run_it.md", "environment.yml"):
        steps = re.findall(r"pip install --no-deps (-r requirements\.txt|-e \.)", read(name))
        assert steps and steps == ["-r requirements.txt", "-e ."] * (len(steps) // 2), name
    conda = yaml.safe_load(read("environment.yml"))["dependencies"]
    assert set(conda) == {"python=3.12", "pip"}


def test_one_version_and_a_whole_citation():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["version"] == PROJECT["project"]["version"] == cgcore.__version__
    assert citation["cff-version"] == "1.2.0" and {"message", "title", "authors"} <= citation.keys()
    page = read("book/cite.md")
    assert f"version = {{{citation['version']}}}" in page and citation["title"] in page
    (study,) = citation["references"]
    assert "2512.07692" in study["url"] and study["title"] in page
    assert citation["license"] == PROJECT["project"]["license"] == "MIT" and read("LICENSE").startswith("MIT License")


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_every_direct_dependency_is_pinned_once(python):
    groups = PROJECT["project"]["dependencies"], PROJECT["project"]["optional-dependencies"]["book"]
    groups += ([text for text in PROJECT["dependency-groups"]["dev"] if not text.startswith("cgcore")],)
    found = {}
    for pin in pins("requirements.txt"):
        (exact,) = pin.specifier
        assert exact.operator == "==" and not pin.url, f"{pin}: want ==, and no address"
        if holds(pin, python):
            assert canonicalize_name(pin.name) not in found, f"{pin.name} is pinned twice for Python {python}"
            found[canonicalize_name(pin.name)] = exact.version
    for wanted in (Requirement(text) for group in groups for text in group):
        if holds(wanted, python):
            assert wanted.specifier.contains(found.get(canonicalize_name(wanted.name), "0"), prereleases=True), wanted


def test_colab_gets_the_same_versions():
    same = {canonicalize_name(p.name): p.specifier for p in pins("requirements.txt") if holds(p, "3.13")}
    for pin in pins("requirements-colab.txt"):
        assert same[canonicalize_name(pin.name)] == pin.specifier, pin
    named = {pin.name for pin in pins("requirements-colab.txt")}
    assert "jax" in named and not named & {"numpy", "chemtrain"}


def test_the_notebooks_download_the_project_from_nowhere():
    """On Colab they install the archive or folder that was brought there, and say so where there is none."""
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        assert not [source for source in cells if "://" in source], path.name
        modules = {"google.colab": None}
        code = f"import sys; sys.modules |= {modules}\n{cells[0]}"
        ended = subprocess.run([sys.executable, "-c", code], cwd=path.parent, capture_output=True, text=True)
        assert "Upload cgcore.zip" in ended.stderr


def test_on_colab_an_uploaded_archive_is_installed(tmp_path):
    """The archive of the last commit is unpacked; pip, of which a stand-in tells the arguments, gets its pins and its folder."""
    subprocess.run(
        ["git", "archive", "-o", tmp_path / "cgcore.zip", "HEAD", "pyproject.toml", "requirements-colab.txt"],
        cwd=ROOT,
        check=True,
    )
    cell = next(
        c.source
        for c in nbformat.read(ROOT / "notebooks" / "hexane.ipynb", as_version=4).cells
        if c.cell_type == "code"
    )
    said = f"import subprocess, sys; sys.modules['google.colab'] = None; subprocess.check_call = print\n{cell}"
    told = subprocess.run([sys.executable, "-c", said], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert (tmp_path / "cgcore" / "pyproject.toml").is_file()
    assert f"{tmp_path}/cgcore/requirements-colab.txt" in told and f"PosixPath('{tmp_path}/cgcore')" in told


def test_no_registry_and_no_home_is_named(tracked):
    for path in tracked:
        if b"\0" in (raw := path.read_bytes()):
            continue
        text = raw.decode("utf-8")
        found = [word for word in ELSEWHERE + HERE if re.search(rf"(?<![\w.]){re.escape(word)}", text)]
        assert not found, f"{path.relative_to(ROOT)} names {found}"


def test_what_does_not_belong_in_git_is_not_there(tracked):
    names = {path.relative_to(ROOT).as_posix() for path in tracked}
    assert "uv.lock" not in names and not [n for n in names if n.startswith(("_build/", "runs/", "book/runs/"))]
    large = {p.name: p.stat().st_size for p in tracked if p.stat().st_size > LARGEST_MB * 1_000_000}
    assert not large
    for path in tracked:
        if path.suffix == ".ipynb":
            cells = nbformat.read(path, as_version=4).cells
            assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells), path.name


def test_a_wheel_carries_the_maps_the_profiles_and_the_sample():
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["cgcore", "book/cgbook"]
    data = {f"notebooks/data/{p.parent.name}" for p in ROOT.glob("notebooks/data/*/SHA256SUMS")}
    targets = {source: source.replace("notebooks", "cgcore") for source in data}
    assert wheel["force-include"] == targets | {"notebooks/profiles": "cgcore/system_profiles"}
    inside = {root.name for roots in (data_roots(), profile_roots()) for root in roots if root.parent == PACKAGE}
    assert inside == {"data", "system_profiles"}, "where an installed package looks for them"
    assert list((ROOT / "cgcore" / "maps").glob("*.toml")) and (ROOT / "cgcore" / "viewer.html").is_file()
    assert (ROOT / "cgcore" / "store" / "kernels.toml").is_file()
    assert all(
        (ROOT / "cgcore" / "export" / "web" / name).is_file() for name in ("engine.js", "engine.wasm", "engine.c")
    )
