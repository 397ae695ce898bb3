"""Sweeps: grids read strictly, runs that skip, fail, go on and resume, and what they share."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from cgbook import resources
from cgbook.grid import read_grid
from cgbook.parameters import read_parameters
from cgbook.sweep import SweepFailed, plan, run_row, status_table, sweep
from cgcore.cli import app
from cgcore.config import ConfigError

ROOT = Path(__file__).parents[2]
SWEEPS = sorted((ROOT / "notebooks" / "sweeps").glob("*.yml"))
PARAMETERS = """size: int = 1  # beads
width: float = 2.0  # nm
wait_s: float = 0.0
fail: bool = False
out_dir: str = "runs/scratch"
"""
BODY = """import json, os, time
from pathlib import Path
time.sleep(wait_s)
if fail:
    raise ValueError("asked to fail")
made = Path(out_dir) / "tiny" / f"{size}_{width}"
made.mkdir(parents=True, exist_ok=True)
results = {"area": size * width, "list": [1, 2]}
results["threads"] = os.environ.get("OMP_NUM_THREADS")
config = {"size": size, "width": width, "wait_s": wait_s, "fail": fail}
device = {"platform": "gpu", "kind": "NVIDIA X"}
manifest = {"config": config, "date": "2026-01-01", "device": device, "results": results}
(made / "manifest.json").write_text(json.dumps(manifest))
"""


@pytest.fixture
def template(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cell = nbformat.v4.new_code_cell
    cells = [cell(PARAMETERS, metadata={"tags": ["parameters"]}), cell(BODY)]
    path = Path("tiny.ipynb")
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def grid(text: str, name="g.yml") -> Path:
    path = Path(name)
    path.write_text(text)
    return path


# Grids


def test_rows_multiply_with_the_grid_and_take_defaults(template):
    path = grid("notebook: tiny.ipynb\nfixed: {fail: false}\nrows: [{size: 2}, {size: 3}]\ngrid: {width: [1, 2.5]}\n")
    found = read_grid(path, template)
    assert [(row["size"], row["width"]) for row in found] == [(2, 1.0), (2, 2.5), (3, 1.0), (3, 2.5)]
    assert all(row["wait_s"] == 0.0 and "out_dir" not in row for row in found)
    assert len(read_grid(grid("grid: {size: [1, 2], width: [1, 2, 3]}"), template)) == 6
    assert len(read_grid(grid("rows: [{size: 7}]"), template)) == 1


@pytest.mark.parametrize(
    "text, says",
    [
        ("rows: [{sise: 2}]", "row 0 .*unknown parameter 'sise'.*did you mean 'size'"),
        ("rows: [{size: 1}, {size: two}]", "row 1 .*size: want int, got 'two'"),
        ("grid: {width: [1.0, '2.0']}", "row 1 .*width: want float.*it is quoted"),
        ("rows: [{size: 2}, {}, {width: 2}]", "rows 1 and 2 are the same run.*is the default"),
        ("grid: {size: [3, 3]}", "rows 0 and 1 are the same run"),
        ("rows: [{out_dir: x}]", "out_dir is set by the runner"),
        ("fixed: {size: 2}\nrows: [{size: 3}]", "'size' is given twice, in 'fixed' and in 'rows'"),
        ("grid: {size: 3}", "want a list of values for 'size', got 3"),
        ("grid: {size: []}", "want a list of values"),
        ("rows: [3]", "want a table of parameters, got 3"),
        ("rows: []", "no runs in it"),
        ("fixed: {size: 2}", "no runs in it"),
        ("rosw: [{}]", "unknown key 'rosw'.*did you mean 'rows'"),
        ("rows: {size: 2}", "Grid.rows: want list, got"),
        ("- size", "want a table"),
        ("rows: [", "is not whole YAML"),
        ("notebook: hexane.ipynb\nrows: [{size: 2}]", "is a grid for hexane.ipynb, got the notebook tiny.ipynb"),
    ],
)
def test_a_bad_grid_is_refused_before_anything_is_written(text, says, template):
    with pytest.raises(ConfigError, match=says):
        sweep(template, grid(text), Path("runs"))
    assert not Path("runs").exists()


def test_values_are_checked_by_the_profile_and_files_must_be_there(template):
    notebook = ROOT / "notebooks" / "hexane.ipynb"
    with pytest.raises(ConfigError, match=r"row 1 .*nu: want at least 1 and at most 3, got 4"):
        sweep(notebook, grid("grid: {nu: [3, 4]}"), Path("runs"))
    with pytest.raises(ConfigError, match=r"found no file h.yml; did you mean 'g.yml'"):
        plan(template, Path("h.yml"), Path("runs"))
    with pytest.raises(ConfigError, match="jobs: want at least 1"):
        sweep(template, grid("grid: {size: [2, 3]}"), Path("runs"), jobs=0)
    with pytest.raises(ConfigError, match=r"index: want 0 to 1 .*got 2"):
        run_row(template, grid("grid: {size: [2, 3]}"), Path("runs"), 2)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda p: p.stem)
def test_the_sweeps_that_come_along_can_be_run(path):
    text = path.read_text()
    notebook = ROOT / "notebooks" / text.split("notebook: ")[1].split()[0]
    if not notebook.is_file():
        pytest.skip(f"{notebook.name} is not there yet")
    rows = read_grid(path, notebook)
    assert len(rows) == {"table1": 18, "amino_acids": 9}.get(path.stem, len(rows))
    assert set(read_parameters(notebook)) > set(rows[0])


# Runs


@pytest.mark.slow
@pytest.mark.timeout(1200)  # five kernels and as many processes, perhaps on a busy machine
def test_a_sweep_keeps_what_failed_goes_on_and_resumes(template, capsys):
    path = grid("rows: [{size: 2}, {fail: true}, {size: 3, width: 0.5}]")
    assert [row.state for row in plan(template, path, Path("runs"))] == ["new"] * 3
    with pytest.raises(SweepFailed, match=r"1 of 3 runs failed:\n *1  fail=True\n.*ValueError: asked to fail"):
        sweep(template, path, Path("runs"), jobs=2)
    said = capsys.readouterr().out
    assert "3 runs: 3 new; 3 to do, 2 at a time" in said and "3 of 3" in said and "left" in said
    rows = plan(template, path, Path("runs"))
    assert [row.state for row in rows] == ["done", "failed", "done"]
    cells = nbformat.read(rows[1].folder / "failed.ipynb", as_version=4).cells
    assert any(o.get("ename") == "ValueError" for c in cells for o in c.get("outputs", []))

    folder = Path("runs/sweeps/tiny_g")
    lines = list(csv.DictReader((folder / "summary.csv").read_text().splitlines()))
    assert [(line["index"], line["size"], line["area"], line["device"]) for line in lines] == [
        ("0", "2", "4.0", "NVIDIA X"),
        ("2", "3", "1.5", "NVIDIA X"),
    ]
    both = len(os.sched_getaffinity(0)) // 2 or 1
    assert {line["threads"] for line in lines} == {str(both)}
    assert "list" not in lines[0] and json.loads((folder / "summary.json").read_text())[0]["area"] == 4.0

    stamps = [(row.folder / "executed.ipynb").stat().st_mtime_ns for row in (rows[0], rows[2])]
    with pytest.raises(SweepFailed):
        sweep(template, path, Path("runs"))
    assert "2 done, 1 failed; 1 to do" in capsys.readouterr().out
    assert stamps == [(row.folder / "executed.ipynb").stat().st_mtime_ns for row in (rows[0], rows[2])]

    more = grid("rows: [{size: 2}, {size: 3, width: 0.5}]", "g.yml")
    assert run_row(template, more, Path("runs"), 1) == rows[2].folder / "executed.ipynb"
    assert status_table(sweep(template, more, Path("runs"))).count("done") == 2


def test_a_sweep_of_another_version_is_refused(template):
    path = grid("rows: [{size: 2}]")
    executed = run_row(template, path, Path("runs"), 0)
    notebook = nbformat.read(template, as_version=4)
    notebook.cells[1].source += "\n"
    nbformat.write(notebook, template)
    for action in (sweep, plan):
        with pytest.raises(ConfigError, match=r"another version began this sweep \(source .*remove this folder"):
            action(template, path, Path("runs"))
    shutil.rmtree("runs/sweeps/tiny_g")
    (row,) = plan(template, path, Path("runs"))
    assert row.state == "new" and row.folder != executed.parent


# What runs share


def test_slots_share_cores_cards_memory_and_compiled_programs(monkeypatch, tmp_path):
    for name in (*resources.THREADS, resources.CACHE, resources.MEMORY, resources.DEVICES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(2, 10)), raising=False)
    monkeypatch.setenv(resources.CACHE, "")  # so that what the next line sets is put back
    monkeypatch.delenv(resources.CACHE)
    resources.share_programs(tmp_path)
    alone = resources.environment(0, 1)
    assert resources.MEMORY not in alone and "OMP_NUM_THREADS" not in alone
    assert [resources.environment(0, jobs)["NPROC"] for jobs in (3, 16)] == ["2", "1"]
    shared = resources.environment(1, 4)
    assert shared["OMP_NUM_THREADS"] == shared["NPROC"] == "2" and shared[resources.MEMORY] == "0.23"
    assert shared[resources.CACHE] == alone[resources.CACHE] and str(tmp_path) in alone[resources.CACHE]
    monkeypatch.setenv(resources.DEVICES, "0,1")
    both = [resources.environment(slot, 4) for slot in range(4)]
    assert [e[resources.DEVICES] for e in both] == ["0", "1", "0", "1"] and both[0][resources.MEMORY] == "0.45"
    monkeypatch.setenv(resources.MEMORY, "0.1")
    assert resources.environment(0, 4)[resources.MEMORY] == "0.1"


def test_the_command_lists_rows_and_says_what_is_wrong(tmp_path, monkeypatch):
    notebook, path = ROOT / "notebooks" / "amino_acids.ipynb", ROOT / "notebooks" / "sweeps" / "amino_acids.yml"
    arguments = ["sweep", str(notebook), str(path), "--out", str(tmp_path / "runs")]
    listed = CliRunner().invoke(app, [*arguments, "--dry-run"])
    assert listed.exit_code == 0 and listed.output.count("  new  ") == 9 and "typing=unique" in listed.output
    assert not (tmp_path / "runs").exists()
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("rows: [{map: core}, {map: cor}]")
    refused = CliRunner().invoke(app, ["sweep", str(notebook), str(wrong), "--out", str(tmp_path / "runs")])
    assert refused.exit_code == 1 and "did you mean 'core'" in refused.output
    beyond = CliRunner().invoke(app, [*arguments, "--index", "9"])
    assert beyond.exit_code == 1 and "index: want 0 to 8" in " ".join(beyond.output.split())


def test_the_array_script_gives_each_task_its_row(tmp_path):
    """With a `cgcore` on the path that only says what it was asked."""
    (tmp_path / "cgcore").write_text('#!/bin/sh\necho "$@" "$OMP_NUM_THREADS"\n')
    (tmp_path / "cgcore").chmod(0o755)
    script = ROOT / "notebooks" / "sweeps" / "array.slurm"
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": "17", "SLURM_CPUS_PER_TASK": "4"}
    done = subprocess.run(["bash", script, "a.ipynb", "g.yml"], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "sweep a.ipynb g.yml --out runs --index 17 4"
    environ.pop("SLURM_ARRAY_TASK_ID")
    failed = subprocess.run(["bash", script, "a.ipynb", "g.yml"], env=environ, capture_output=True, text=True)
    assert failed.returncode and "submit with --array" in failed.stderr


@pytest.fixture
def snakemake(tmp_path):
    """snakemake(notebook, grid, *options, environ) -> what it said; without Snakemake, `uv` fetches it."""
    pinned = ["uv", "run", "--isolated", "--only-group", "cluster", "snakemake"]
    command = ["snakemake"] if shutil.which("snakemake") else pinned
    if (
        not shutil.which(command[0])
        or subprocess.run([*command, "--version"], cwd=ROOT, capture_output=True).returncode
    ):
        pytest.skip("snakemake is not installed, nor to be had by uv")

    def run(notebook: str, grid: str, *options: str, environ=None) -> str:
        words = [*command, "-s", "notebooks/sweeps/Snakefile", "--cores", "1", "--printshellcmds", *options]
        words += ["--config", f"notebook={notebook}", f"grid={grid}", f"out={tmp_path / 'runs'}"]
        environ = environ or os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        done = subprocess.run(words, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


@pytest.mark.slow
def test_snakemake_plans_a_job_for_each_row(snakemake, tmp_path):
    notebook, grid = "notebooks/amino_acids.ipynb", "notebooks/sweeps/amino_acids.yml"
    said = snakemake(notebook, grid, "--dry-run")
    assert f"cgcore sweep {notebook} {grid} --out {tmp_path / 'runs'} --index 8" in said


@pytest.mark.slow
def test_snakemake_makes_the_rows_that_are_not_done(snakemake, tmp_path):
    """With a `cgcore` on the path that has two rows and writes an empty notebook for one."""
    (tmp_path / "cgcore").write_text(
        f'''#!/bin/sh
        if [ "$6" = --dry-run ]; then for i in 0 1; do echo "   $i  new  seed=$i  {tmp_path}/row_$i"; done
        else touch "{tmp_path}/row_$7/executed.ipynb"; fi'''
    )
    (tmp_path / "cgcore").chmod(0o755)
    environ = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    (tmp_path / "row_1").mkdir()
    (tmp_path / "row_1" / "executed.ipynb").touch()
    work = ("--directory", str(tmp_path))
    assert "--index 0" in (said := snakemake("a.ipynb", "g.yml", *work, environ=environ)) and "--index 1" not in said
    assert (tmp_path / "row_0" / "executed.ipynb").is_file()
    assert "Nothing to be done" in snakemake("a.ipynb", "g.yml", *work, environ=environ)
