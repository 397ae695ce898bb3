"""Arguments that cannot be meant are refused before any work, and the message says what was wanted."""

import re
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from cgbook.build import book_runs
from cgbook.grid import read_grid
from cgbook.parameters import read_parameters
from cgbook.publish import publish
from cgbook.run import is_finished, run_record
from cgbook.sweep import sweep
from cgcore.cli import app
from cgcore.config import DataConfig, MACEConfig, MDConfig, NequIPConfig, RunConfig, SplineConfig, TrainConfig
from cgcore.errors import CgcoreError
from cgcore.mean_forces import MeanForceConfig
from cgcore.metadynamics import MetadynamicsConfig
from cgcore.profiles import configure
from cgcore.reference.constrained import ConstrainedConfig
from cgcore.reference.protocol import protocol
from cgcore.reference.run import simulate

NAN, INF = float("nan"), float("inf")


def refuses(says: str):
    return pytest.raises(CgcoreError, match=re.escape(says))


@pytest.mark.parametrize(
    "kind, given, says",
    [
        (MDConfig, {"replicas": 1.5}, "MDConfig.replicas: want int, got 1.5"),
        (MDConfig, {"replicas": True}, "MDConfig.replicas: want int, got True"),
        (MDConfig, {"replicas": 10**9}, "replicas: want at least 1 and at most 1000000"),
        (MDConfig, {"n_frames": 2 * 10**15}, "n_frames: want at least 1 and at most 100000000"),
        (MDConfig, {"steps_per_frame": 0}, "steps_per_frame: want at least 1"),
        (MDConfig, {"dt_ps": "0.002"}, "dt_ps: want float, got '0.002' (str); it is quoted"),
        (MDConfig, {"dt_ps": 1e-9}, "dt_ps: want at least 1e-06"),
        (MDConfig, {"dt_ps": 2.0}, "dt_ps: want at least 1e-06 and at most 1, got 2.0"),
        (MDConfig, {"temperature_K": NAN}, "temperature_K: want more than 0"),
        (MDConfig, {"temperature_K": 0}, "temperature_K: want more than 0"),
        (MDConfig, {"friction_per_ps": -1.0}, "friction_per_ps: want more than 0"),
        (MDConfig, {"bond_tolerance_nm": INF}, "bond_tolerance_nm: want more than 0, got inf"),
        (MDConfig, {"seed": -1}, "seed: want at least 0 and at most 2147483647, got -1"),
        (MDConfig, {"seed": 2**63}, "seed: want at least 0 and at most 2147483647"),
        (MDConfig, {"seed": None}, "seed: want int, got None"),
        (MDConfig, {"ensemble": "NVT"}, "ensemble: want one of ['nve', 'nvt'], got 'NVT'"),
        (MDConfig, {"ensemble": ["nvt"]}, "ensemble: want str, got ['nvt'] (list)"),
        (TrainConfig, {"b1": 2}, "TrainConfig.b1: want at least 0 and less than 1, got 2"),
        (TrainConfig, {"b2": 1.0}, "TrainConfig.b2: want at least 0 and less than 1, got 1.0"),
        (TrainConfig, {"weight_decay": NAN}, "weight_decay: want at least 0 and at most 1000, got nan"),
        (TrainConfig, {"weight_decay": -1e-3}, "weight_decay: want at least 0"),
        (TrainConfig, {"learning_rate_decay": 0.0}, "learning_rate_decay: want more than 0"),
        (TrainConfig, {"eps": 0.0}, "eps: want more than 0"),
        (TrainConfig, {"epochs": 10**9}, "epochs: want at least 1 and at most 10000000"),
        (TrainConfig, {"batch_size": -32}, "batch_size: want at least 1"),
        (TrainConfig, {"seed": 2**31}, "seed: want at least 0 and at most 2147483647"),
        (DataConfig, {"frames": 10.0}, "frames: want int or NoneType, got 10.0"),
        (DataConfig, {"blocks": 1}, "blocks: want at least 2"),
        (DataConfig, {"gap_ps": NAN}, "gap_ps: want at least 0, got nan"),
        (DataConfig, {"mirror": "no"}, "mirror: want bool, got 'no' (str)"),
        (DataConfig, {"residue": 7}, "residue: want str or NoneType, got 7"),
        (MACEConfig, {"cutoff_nm": INF}, "cutoff_nm: want more than 0 and at most 100, got inf"),
        (MACEConfig, {"channels": 10**6}, "channels: want at least 1 and at most 10000"),
        (MACEConfig, {"layers": 2.0}, "layers: want int, got 2.0"),
        (MACEConfig, {"symmetry": None}, "symmetry: want str, got None"),
        (NequIPConfig, {"max_ell": 0}, "max_ell: want at least 1"),
        (NequIPConfig, {"radial_depth": 100}, "radial_depth: want at least 1 and at most 20"),
        (SplineConfig, {"pair_step_nm": 0.0}, "pair_step_nm: want at least 0.0001"),
        (SplineConfig, {"angle_step_rad": 30.0}, "angle_step_rad: want at least 0.001 and at most 3.14"),
        (RunConfig, {"system": 3}, "RunConfig.system: want str, got 3"),
        (RunConfig, {"system": "hexane", "prior": "bonds"}, "RunConfig.prior: want tuple, got 'bonds'"),
        (RunConfig, {"system": "hexane", "md": {"replicas": 3}}, "RunConfig.md: want MDConfig, got {'replicas': 3}"),
        (MetadynamicsConfig, {"bias_factor": 1.0}, "bias_factor: want more than 1, got 1.0"),
        (MetadynamicsConfig, {"width": 10.0}, "width: want at least 0.001 and at most 3.14"),
        (MetadynamicsConfig, {"pace": 2.5}, "pace: want int, got 2.5"),
        (MetadynamicsConfig, {"beads": ["N", "CA", "CB", "C"]}, "beads: want tuple"),
        (ConstrainedConfig, {"length_ps": NAN}, "length_ps: want more than 0"),
        (ConstrainedConfig, {"seed": -5}, "seed: want at least 0"),
        (MeanForceConfig, {"map": "three_site", "frames": 0}, "frames: want at least 1, got 0"),
        (MeanForceConfig, {"map": None}, "map: want str, got None"),
    ],
)
def test_a_configuration_built_in_python_is_held_to_what_one_that_is_read_is(kind, given, says):
    with refuses(says):
        kind(**given)


@pytest.mark.parametrize(
    "given, says",
    [
        ({"residue": "ALA"}, "residue: want one of ['ala', 'gly', 'pro', 'thr'], got 'ALA'; did you mean"),
        ({"residue": "gly", "map": "core_beta"}, "map 'core_beta': residue 'gly' has no beta carbon; want map core"),
        ({"typing": "publshed"}, "map 'core': unknown typing 'publshed'; there are"),
        ({"map": ["core"]}, "map: want one of"),
        ({"seed": -1}, "seed: want at least 0"),
        ({"learn_from": None}, "unknown parameter 'learn_from'; known are"),
        ({"length_ps": 0.7}, "length_ps: want whole frames of 0.5, as 0.5, got 0.7"),
        ({"length_ps": 1e15}, "length_ps: want at least 0.5 and at most 50000000.0"),
        ({"replicas": 10**9}, "replicas: want at least 1 and at most 1000000"),
        ({"nu": 2.0}, "nu: want int, got 2.0"),
        ({"cutoff_nm": NAN}, "cutoff_nm: want more than 0"),
        ({"epochs": 0}, "epochs: want at least 1"),
        ({"frames": 0}, "frames: want at least 1"),
    ],
)
def test_parameters_of_a_template_are_refused_before_its_first_cell(given, says):
    with refuses(says):
        configure("amino_acids", **given)


@pytest.mark.parametrize(
    "given, says",
    [
        ({"every_ps": 0}, "--every-ps: want more than 0, got 0"),
        ({"every_ps": NAN}, "--every-ps: want more than 0, got nan"),
        ({"every_ps": INF}, "--every-ps: want more than 0, got inf"),
        ({"every_ps": "2"}, "--every-ps: want float or NoneType, got '2'"),
        ({"every_ps": 1e300}, "steps_per_frame: want at least 1 and at most 100000000"),
        ({"dt_fs": 1e-9}, "--dt-fs: want at least 0.01 and at most 100, got 1e-09"),
        ({"dt_fs": INF}, "--dt-fs: want at least 0.01 and at most 100, got inf"),
        ({"dt_fs": 0.0}, "--dt-fs: want at least 0.01"),
        ({"replicas": 10**7}, "replicas: want at least 1 and at most 10000"),
        ({"replicas": 1.5}, "replicas: want int, got 1.5"),
        ({"seed": -1}, "seed: want at least 0"),
        ({"seed": 2**63}, "seed: want at least 0 and at most 2147483647"),
        ({"temperature_K": 0.0}, "temperature_K: want more than 0"),
        ({"temperature_K": NAN}, "temperature_K: want more than 0"),
        ({"equilibration_ps": -1.0}, "equilibration_ps: want more than 0"),
        ({"hydrogen_mass": 0.0}, "hydrogen_mass: want more than 0"),
        ({"chirality": "l"}, "chirality: want one of ['D', 'L'], got 'l'"),
        ({"constraints": "hbonds"}, "constraints: want one of ['h-bonds', 'none'], got 'hbonds'; did you mean"),
        ({"solvent": 3}, "solvent"),
    ],
)
def test_the_protocol_of_a_reference_is_refused(given, says):
    with refuses(says):
        protocol("ala2", **given)


@pytest.mark.parametrize(
    "length_ns, jobs, says",
    [
        (NAN, None, "length_ns: want at least 0.002"),
        (INF, None, "length_ns: want at least 0.002"),
        (0, None, "length_ns: want at least 0.002"),
        ("1", None, "length_ns: want float, got '1'"),
        (1e15, None, "length_ns: want at least 0.002 and at most 200000.0"),
        (0.0035, None, "length_ns: want whole frames of 0.002, as 0.004, got 0.0035"),
        (0.004, 0, "jobs: want at least 1"),
        (0.004, 1.5, "jobs: want int or NoneType"),
    ],
)
def test_the_length_of_a_reference_is_refused_before_its_folder_is_made(length_ns, jobs, says, tmp_path):
    with refuses(says):
        simulate(protocol("gly2"), length_ns, tmp_path / "run", jobs=jobs, progress=False)
    assert not (tmp_path / "run").exists()


def template(folder: Path, parameters='map: str = "core"\nfail: bool = False\nx: float = 1.0\nn: int = 1') -> Path:
    cell = nbformat.v4.new_code_cell(parameters, id="a", metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), folder / "t.ipynb")
    return folder / "t.ipynb"


@pytest.mark.parametrize(
    "text, says",
    [
        ("rows: [{n: 1}]\nrows: [{n: 2}]", "'rows' is given twice"),
        ("rows: [{n: 1, n: 2}]", "'n' is given twice"),
        ("rows: [{n: 010}]", "010 can be read in several ways"),
        ("rows: [{n: 1:30}]", "1:30 can be read in several ways"),
        ("rows: [{n: 0x10}]", "0x10 can be read in several ways"),
        ("rows: [{n: 1_000}]", "1_000 can be read in several ways"),
        ("rows: [{x: 1:30.5}]", "1:30.5 can be read in several ways"),
        ("rows: [{map: no}]", "map: want str, got False"),
        ("grid: {n: [" + ", ".join(map(str, range(1100))) + "]}", "want 1000 runs at most, got 1100"),
        ("grid: {n: [%s], x: [%s]}" % ((", ".join(map(str, range(40))),) * 2), "want 1000 runs at most, got 1600"),
        ("#" * 600_000, "want a grid of at most 500000 bytes"),
        ("", "want a table of settings, got None"),
        ("\x00\x01", "is not whole YAML"),
        ("fixed: {? [1]: 2}\nrows: [{n: 1}]", "is not whole YAML"),
        ("!!python/object/apply:os.system ['true']", "is not whole YAML"),
        ("rows: 3", "Grid.rows: want list, got 3"),
    ],
)
def test_a_grid_that_says_other_than_it_seems_is_refused(text, says, tmp_path):
    (tmp_path / "g.yml").write_text(text)
    with refuses(says):
        read_grid(tmp_path / "g.yml", template(tmp_path))


def test_a_grid_takes_numbers_as_people_write_them(tmp_path):
    (tmp_path / "g.yml").write_text("grid: {x: [1e-3, 2.5E2, -0.5, 0]}")
    assert [row["x"] for row in read_grid(tmp_path / "g.yml", template(tmp_path))] == [0.001, 250.0, -0.5, 0.0]


@pytest.mark.parametrize(
    "content, says",
    [
        (b"", "it is empty"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "is not whole Jupyter notebook"),
        (b"{}", "is not whole Jupyter notebook"),
        (b"[]", "is not whole Jupyter notebook"),
        (b"3", "is not whole Jupyter notebook"),
        (b'{"cells": [', "is not whole Jupyter notebook"),
        (b'{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": []}', "want format 4, found 3"),
        (
            b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]}',
            "is not whole Jupyter",
        ),
        (
            b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}',
            "want one cell tagged 'parameters', found 0",
        ),
    ],
)
def test_a_file_that_is_no_notebook_is_refused_wherever_one_is_read(content, says, tmp_path):
    (tmp_path / "t.ipynb").write_bytes(content)
    with refuses(says):
        read_parameters(tmp_path / "t.ipynb")
    (tmp_path / "executed.ipynb").write_bytes(content)
    assert not is_finished(tmp_path), "and is no finished run"
    with pytest.raises(CgcoreError):
        publish(tmp_path / "executed.ipynb", tmp_path / "page.ipynb")


@pytest.mark.parametrize(
    "cell, says",
    [
        ("n: int = = 3", "parameters cell: want Python, found invalid syntax"),
        ("n: int = 3\x00", "parameters cell: want Python"),
        ("n: list[int] = [3]", "want types of"),
        ("n: int | 3 = 3", "want types of"),
        ("n: int = {[]}", "and a literal"),
        ("import os", "want `name: type = default"),
    ],
)
def test_a_parameters_cell_that_is_none_is_refused(cell, says, tmp_path):
    with refuses(says):
        read_parameters(template(tmp_path, cell))


def test_a_system_s_template_with_one_parameter_more_is_refused_by_name(tmp_path):
    own = template(tmp_path, "mine: int = 3").rename(tmp_path / "hexane.ipynb")
    with refuses("unknown parameter 'mine'"):
        run_record(own, {"mine": 3})


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "want ['run'], found no 'run'"),
        ("run = 3", "want tables [[run]]"),
        ("[[run]]\ntemplate = 'hexane'", "want tables [[run]] with template, page and title"),
        ("[[run]]\ntemplate = 3\npage = 'a'\ntitle = 'b'", "BookRun.template: want str, got 3"),
        ("[[run]\n", "is not whole TOML"),
    ],
)
def test_a_list_of_runs_that_is_none_is_refused(text, says, tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "runs.toml").write_text(text)
    with refuses(says):
        book_runs(tmp_path)


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["reference", "gly2", "--every-ps", "0"], "--every-ps: want more than 0"),
        (["reference", "gly2", "--jobs", "0"], "jobs: want at least 1"),
        (["reference", "gly2", "--length-ns", "nan"], "length_ns: want at least 0.002"),
        (["reference", "gly2", "--replicas", "10000000"], "replicas: want at least 1 and at most 10000"),
        (["reference", "gly2", "--dt-fs", "1e-9"], "--dt-fs: want at least 0.01"),
        (["reference", "gly2", "--seed", "-1"], "seed: want at least 0"),
        (["doctor", "core", "ala2_obc2", "--temperature-K", "0"], "temperature_K: want more than 0"),
        (["doctor", "core", "ala2_obc2", "--temperature-K", "-300"], "temperature_K: want more than 0"),
        (["doctor", "core", "ala2_obc2", "--temperature-K", "nan"], "temperature_K: want more than 0"),
        (["mean-forces", "three_site", "--length-ps", "inf"], "length_ps: want more than 0"),
        (["mean-forces", "three_site", "--frames", "0"], "frames: want at least 1"),
        (["run", "nowhere.ipynb"], "want a notebook, found no file nowhere.ipynb"),
        (["results", "nowhere"], "want a finished observation"),
    ],
)
def test_a_command_says_what_is_wrong_without_a_traceback(arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1 and says in " ".join(done.output.split()) and "Traceback" not in done.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("jobs", [0, -1, 1.5, True, 10**6])
def test_a_sweep_wants_a_number_of_jobs(jobs, tmp_path):
    with refuses("jobs: want"):
        sweep(template(tmp_path), tmp_path / "g.yml", tmp_path / "runs", jobs=jobs)
