"""Templates, runs and pages: strict parameters, one folder per run, small and stable pages."""

import re
from pathlib import Path

import nbformat
import pytest

from cgbook import run as runner
from cgbook.build import BookRun, book_runs, make_book
from cgbook.parameters import check_parameters, read_parameters, typed_parameters
from cgbook.publish import publish
from cgbook.run import NotebookFailed, duration, readable, result_of, run_notebook
from cgcore.config import ConfigError, from_dict
from cgcore.profiles import UNKNOWN_MAP, configure
from cgcore.store import write_json

ROOT = Path(__file__).parents[2]
TOY = ROOT / "tests" / "notebooks" / "toy.ipynb"
TEMPLATES = sorted((ROOT / "notebooks").glob("*.ipynb"))


# Parameters


def test_the_parameters_cell_is_read_with_types_defaults_and_help():
    found = read_parameters(TOY)
    assert list(found) == ["map", "stiffness", "points", "fail", "out_dir"]
    assert found["stiffness"].hint is float and found["stiffness"].default == 2.0
    assert found["stiffness"].help == "kJ/mol/nm^2"
    assert found["points"].hint == int | None and found["points"].default is None


@pytest.mark.parametrize(
    "given, says",
    [
        ({"mpa": "core"}, "unknown parameter 'mpa'.*did you mean 'map'"),
        ({"stiffness": "3"}, "stiffness: want float.*got '3' .str.; it is quoted"),
        ({"stiffness": None}, "stiffness: want float"),
        ({"points": 2.5}, "points: want int or NoneType, got 2.5"),
        ({"points": True}, "points: want int"),
        ({"fail": 1}, "fail: want bool, got 1"),
        ({"map": 3}, "map: want str, got 3"),
        ({"out_dir": "elsewhere"}, "out_dir is set by the runner"),
    ],
)
def test_parameters_that_the_template_does_not_have_are_refused_before_anything_runs(given, says, tmp_path):
    with pytest.raises(ConfigError, match=says):
        run_notebook(TOY, given, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "given, says",
    [
        ({"map": "thre_site"}, "did you mean 'three_site'"),
        ({"prior": "unseen"}, r"prior: want one of .*got 'unseen'"),
        ({"potential": "spline", "nu": 3}, "nu is a setting of MACE alone"),
    ],
)
def test_values_that_a_profile_refuses_never_start_a_run(given, says, tmp_path):
    with pytest.raises(ConfigError, match=says):
        run_notebook(ROOT / "notebooks" / "hexane.ipynb", given, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_complete_parameters_are_defaults_with_the_given_in_their_places():
    complete = check_parameters(TOY, {"stiffness": 3, "points": 7})
    assert complete == {"map": "core", "stiffness": 3, "points": 7, "fail": False}


def test_text_of_a_command_line_becomes_values_of_the_annotated_types():
    pairs = [("map", "12"), ("stiffness", "1e2"), ("points", "none"), ("fail", "true")]
    assert typed_parameters(TOY, pairs) == {"map": "12", "stiffness": 100.0, "points": None, "fail": True}
    with pytest.raises(ConfigError, match="points: want int.*got 'many'"):
        typed_parameters(TOY, [("points", "many")])
    with pytest.raises(ConfigError, match="given twice"):
        typed_parameters(TOY, [("map", "a"), ("map", "b")])
    with pytest.raises(ConfigError, match="did you mean 'points'"):
        typed_parameters(TOY, [("point", "3")])


@pytest.mark.parametrize(
    "line, says",
    [("a = 1", "want `name: type"), ("a: Path = 'x'", "want types of"), ("a: int = f()", "and a literal")],
)
def test_a_parameters_cell_that_is_no_plain_table_is_refused(line, says, tmp_path):
    path = tmp_path / "t.ipynb"
    write(path, code(line, tags=["parameters"]))
    with pytest.raises(ConfigError, match=says):
        read_parameters(path)
    write(path, code(line))
    with pytest.raises(ConfigError, match="want one cell tagged 'parameters', found 0"):
        read_parameters(path)
    with pytest.raises(ConfigError, match="found no file .*did you mean 't.ipynb'"):
        read_parameters(tmp_path / "tt.ipynb")


# Runs


def test_a_run_has_its_folder_its_record_and_is_reused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    executed = run_notebook(TOY, {"stiffness": 3.0}, Path("runs"))
    assert re.fullmatch(r"runs/notebooks/toy/stiffness=3.0__[0-9a-f]{8}/executed.ipynb", executed.as_posix())
    assert [p.name for p in executed.parent.iterdir()] == ["executed.ipynb"]
    notebook = nbformat.read(executed, as_version=4)
    record = notebook.metadata["cgcore"]
    assert record["parameters"] == {"map": "core", "stiffness": 3.0, "points": None, "fail": False}
    assert record["config"] == record["parameters"], "a template without a profile"
    assert record["wall_s"] > 0 and record["versions"]["numpy"] and "CPU" in record["device"]
    assert {"mace", "analysis"} < record["kernels"].keys()
    injected = next(c for c in notebook.cells if "injected-parameters" in c.metadata.tags)
    assert 'out_dir = "runs"' in injected.source
    said = capsys.readouterr().out
    assert "done in" in said and "100 %" in said, "what the notebook prints is seen while it runs"

    stamp = executed.stat().st_mtime_ns
    assert run_notebook(TOY, {"stiffness": 3}, Path("runs")) == executed
    assert executed.stat().st_mtime_ns == stamp
    assert "reused" in capsys.readouterr().out


def test_what_a_notebook_observed_is_found_by_its_configuration(tmp_path):
    """The newest of the same configuration, whose device is the run's."""
    record = {"template": "toy.ipynb", "config": {"map": "core", "stiffness": 3.0}}
    assert result_of(record, tmp_path) is None
    cpu, gpu = {"platform": "cpu", "kind": "cpu"}, {"platform": "gpu", "kind": "NVIDIA X"}
    observed = [
        ("older", record["config"], "2026-01-01", cpu),
        ("newer", record["config"], "2026-01-02", gpu),
        ("other", {"map": "core_beta", "stiffness": 3.0}, "2026-01-03", cpu),
    ]
    for name, config, date, device in observed:
        (tmp_path / "toy" / name).mkdir(parents=True)
        manifest = {"id": name, "config": config, "date": date, "device": device}
        write_json(tmp_path / "toy" / name / "manifest.json", manifest)
    assert result_of(record, tmp_path)["id"] == "newer"
    assert runner._device(result_of(record, tmp_path)) == "NVIDIA X" != runner._device(None)


def test_a_failed_run_keeps_its_notebook_and_is_not_taken_for_done(tmp_path):
    with pytest.raises(NotebookFailed, match="ValueError: asked to fail") as error:
        run_notebook(TOY, {"fail": True}, tmp_path)
    (folder,) = (tmp_path / "notebooks" / "toy").glob("[!.]*")
    assert [p.name for p in folder.iterdir()] == ["failed.ipynb"]
    assert str(folder / "failed.ipynb") in str(error.value)
    cells = nbformat.read(folder / "failed.ipynb", as_version=4).cells
    assert any(o.get("ename") == "ValueError" and o.traceback for c in cells for o in c.get("outputs", []))


def test_the_folder_changes_with_parameters_source_and_kernels_and_not_with_outputs(tmp_path, monkeypatch):
    template = tmp_path / "toy.ipynb"
    template.write_text(TOY.read_text())

    def name(**given):
        started = []
        monkeypatch.setattr(runner, "_execute", lambda t, part, p, failed: started.append(part))
        with pytest.raises(FileNotFoundError):
            run_notebook(template, given, tmp_path / "runs")
        return started[0].parent.name

    first = name()
    assert first.startswith("defaults__") and first == name(stiffness=2.0)
    assert name(points=4) != first
    notebook = nbformat.read(template, as_version=4)
    notebook.cells[3].outputs = [nbformat.v4.new_output("stream", text="seen")]
    nbformat.write(notebook, template)
    assert name() == first
    notebook.cells[3].source += "\n"
    nbformat.write(notebook, template)
    changed = name()
    assert changed != first
    monkeypatch.setattr(runner, "version", lambda room: "9")
    assert name() != changed


def test_the_folder_of_a_system_is_named_by_what_is_resolved(tmp_path, monkeypatch):
    """A default that is written out is the same run, another reference set another one."""
    template = ROOT / "notebooks" / "hexane.ipynb"

    def folder(**given):
        values = check_parameters(template, given)
        record = runner.run_record(template, values)
        return runner.run_folder(template, values, record, tmp_path).name.rpartition("__")[2], record

    hashed, record = folder()
    assert record["config"] == configure("hexane").resolved() and len(record["data"]) == 12
    assert folder(cutoff_nm=0.7)[0] == hashed == folder(prior="repulsion")[0] != folder(cutoff_nm=0.6)[0]
    monkeypatch.setattr(runner, "_read_by", lambda config: "another")
    assert folder()[0] != hashed


def test_names_and_times_that_people_read():
    values = {"map": "core_beta", "stiffness": 2.0, "points": 3}
    assert readable(TOY, values) == "map=core_beta_points=3"
    assert readable(TOY, {"map": "a/b c"}, ", ") == "map=a-b c"
    assert [duration(s) for s in (8.2, 200, 59.6, 7500)] == ["8 s", "3 min 20 s", "1 min 00 s", "2 h 05 min"]


# Pages


def test_a_page_shows_this_runs_values_and_nothing_that_changes_between_equal_runs(tmp_path):
    pages = [tmp_path / name / "book/runs/toy/stiff.ipynb" for name in ("a", "b")]
    for number, page in enumerate(pages):
        executed = write(tmp_path / "executed.ipynb", *toy_run(f"2026-01-0{number + 1}"), cgcore=RECORD)
        assert publish(executed, page, book=page.parents[2]) == page
    assert pages[0].read_bytes() == pages[1].read_bytes()
    text = pages[0].read_text()
    for gone in ("stiffness: float", "google.colab", "stiffness = 3.0", "2026-01-01", "widget-view"):
        assert gone not in text, gone
    cells = nbformat.read(pages[0], as_version=4).cells
    nbformat.validate(nbformat.read(pages[0], as_version=4))
    assert cells[0].source.startswith("# Toy: stiffness=3.0\n")
    assert cells[1].source == "```{provenance}\n```"
    assert "](../../systems/amino_acids.md)" in cells[0].source
    (output,) = cells[2].outputs
    assert output.text == "100 %\ndone\n", "no progress bars, and of a line that is rewritten its last state"


def test_a_page_has_what_its_run_shows_and_nothing_of_other_branches(tmp_path):
    """Code without an output is left out, code with one is folded; parameters are in the provenance box alone."""
    shown = [nbformat.v4.new_output("stream", name="stdout", text="seen")]
    cells = [nbformat.v4.new_markdown_cell("# Title"), code("silent = 1"), code("print()", outputs=shown)]
    text = nbformat.v4.new_markdown_cell
    cells += [code(f"of({way})", [f"stiffness={way}"], shown) for way in ("3.0", "2.0")]
    cells += [text("soft", metadata={"tags": ["stiffness=2.0"]}), text("stiff", metadata={"tags": ["stiffness=3.0"]})]
    cells += [
        text("## Parameters", metadata={"tags": ["template-only"]}),
        code("stiffness = 3.0", ["injected-parameters"]),
    ]
    bar = [nbformat.v4.new_output("stream", name="stderr", text="a progress bar")]
    page = publish(
        write(tmp_path / "e.ipynb", *cells, code("wait()", outputs=bar), cgcore=RECORD), tmp_path / "p.ipynb"
    )
    published = nbformat.read(page, as_version=4).cells
    assert [c.source for c in published[2:]] == ["print()", "of(3.0)", "stiff"]
    assert all("hide-input" in c.metadata.tags for c in published if c.cell_type == "code")
    assert published[2].metadata.mystnb.code_prompt_show == "Show the code"


def test_labels_are_unique_in_the_book_and_still_meet(tmp_path):
    found = []
    for name in ("core", "core_beta"):
        page = tmp_path / "book/runs/toy" / f"{name}.ipynb"
        executed = write(tmp_path / "executed.ipynb", *toy_run(), cgcore=RECORD)
        publish(executed, page, title=name.title(), book=tmp_path / "book")
        cells = nbformat.read(page, as_version=4).cells
        assert cells[0].source.startswith(f"# {name.title()}\n")
        label = next(c.metadata.mystnb.figure.name for c in cells if "figure" in c.metadata.get("mystnb", {}))
        text = next(c.source for c in cells if "numref" in c.source)
        end = name.replace("_", "-")
        assert label == f"toy-curve-toy-{end}" and f"{{numref}}`{label}`" in text
        assert f"(toy-energy-toy-{end})=" in text and f"(#toy-energy-toy-{end})" in text
        assert f"$$ (toy-parabola-toy-{end})" in text and f"{{eq}}`toy-parabola-toy-{end}`" in text
        found.append(label)
    assert len(set(found)) == 2


def test_what_cannot_be_a_page_is_refused(tmp_path):
    page = tmp_path / "book/runs/toy/x.ipynb"
    with pytest.raises(ValueError, match="found no 'cgcore' in its metadata"):
        publish(TOY, page)
    with pytest.raises(ValueError, match="starts with `# Title`"):
        publish(write(tmp_path / "e.ipynb", code("1"), cgcore=RECORD), page, title="x")
    big = code("plot()", outputs=[nbformat.v4.new_output("display_data", {"image/png": "A" * 1_100_000})])
    title = nbformat.v4.new_markdown_cell("# Title")
    with pytest.raises(ValueError, match=r"want a page below 1000000 bytes.*begins 'plot\(\)'"):
        publish(write(tmp_path / "e.ipynb", title, big, cgcore=RECORD), page)
    assert not page.exists()


# Templates and the list of runs


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda p: p.stem)
def test_templates_are_clean_and_take_parameters_that_can_be_run(template):
    notebook = nbformat.read(template, as_version=4)
    assert "widgets" not in notebook.metadata
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None, "commit templates without outputs"
            a_line_each = "parameters" in cell.metadata.get("tags", [])
            assert a_line_each or len(cell.source.splitlines()) <= 15
            compile(cell.source, template.name, "exec")
        figure = cell.metadata.get("mystnb", {})
        assert not figure or (figure["figure"]["caption"] and figure["image"]["alt"])
    values = {k: p.default for k, p in read_parameters(template).items() if k != "out_dir"}
    configure(template.stem, of_map=UNKNOWN_MAP, **values)
    assert values["profile"] == "quick"
    for parameter in read_parameters(template).values():
        assert parameter.help or parameter.name == "seed", f"say what {parameter.name} is, with its unit"


def test_every_listed_run_is_one_that_its_template_can_make():
    runs = book_runs(ROOT)
    assert {run.parameters["map"] for run in runs} >= {"core", "core_beta"}
    for run in runs:
        complete = check_parameters(ROOT / "notebooks" / f"{run.template}.ipynb", run.parameters)
        configure(run.template, **complete)
    assert len({(run.template, run.page) for run in runs}) == len(runs)
    with pytest.raises(ConfigError, match="unknown key 'pag'.*did you mean 'page'"):
        from_dict(BookRun, {"template": "x", "pag": "y", "title": "z"})


def test_an_unknown_profile_stops_the_book_before_its_first_run(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'laptop'"):
        make_book("labtop", ROOT, tmp_path)
    assert not list(tmp_path.iterdir())


RECORD = {"template": "toy.ipynb", "differing": "stiffness=3.0", "parameters": {"stiffness": 3.0}}


def toy_run(date: str = "2026-01-01"):
    """Cells as papermill leaves them, without the time that running them takes."""
    cells = nbformat.read(TOY, as_version=4).cells
    injected = code("stiffness = 3.0", tags=["injected-parameters"])
    cells.insert(3, injected)
    for cell in cells:
        cell.metadata["papermill"] = {"start_time": date}
    out = nbformat.v4.new_output
    cells[4].outputs = [
        out("stream", name="stdout", text="10 %\r100 %\ndone\n"),
        out("stream", name="stderr", text="a progress bar"),
        out("display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": date}}),
    ]
    drawn = next(c for c in cells if "figure" in c.metadata.get("mystnb", {}))
    drawn.outputs = [out("display_data", {"image/png": "AAAA"})]
    return cells


def code(source: str, tags=(), outputs=()):
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)}, outputs=list(outputs))


def write(path: Path, *cells, **metadata) -> Path:
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells), metadata=metadata), path)
    return path


def test_a_reference_that_is_not_there_is_refused_before_the_notebook_starts(tmp_path):
    with pytest.raises(ConfigError, match="want a set of `cgcore sets` or a folder"):
        runner.configured("amino_acids", {"reference": str(tmp_path)})
