"""Two processes at one run, other interpreters, and names that mean something to a shell, a page or a path."""

import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from string import Formatter

import jobs
import nbformat
import numpy as np
import pytest

from cgbook import run as runner
from cgbook.parameters import check_parameters
from cgbook.run import lock_of, run_folder, run_notebook, run_record
from cgbook.sweep import RUNNING, plan, sweep
from cgcore import viewer
from cgcore.store import files

ROOT = Path(__file__).parents[2]
HOLD = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"


class Other:
    """A process that holds a lock file until it is told to let go."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], **pipes)
        self.process.stdout.readline()

    def let_go(self):
        self.process.communicate()


def test_a_run_that_another_process_is_at_is_waited_for_in_words(tmp_path, capsys):
    lock = tmp_path / ".lock"
    other, done = Other(lock), []

    def work():
        with files.held(lock):
            done.append(1)

    waiting = threading.Thread(target=work)
    waiting.start()
    waiting.join(0.5)
    assert not done and files.is_held(lock)
    other.let_go()
    waiting.join()
    assert done and not files.is_held(lock)
    assert "another process is at work here, waiting for it" in "".join(capsys.readouterr())


def tiny(folder: Path) -> Path:
    cell = nbformat.v4.new_code_cell
    cells = [
        cell(jobs.PARAMETERS, id="a", metadata={"tags": ["parameters"]}),
        cell("import sys; print(sys.executable)", id="b"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "tiny.ipynb")
    return folder / "tiny.ipynb"


def test_what_another_process_finished_meanwhile_is_reused_and_a_sweep_counts_it(tmp_path, monkeypatch, capsys):
    """A row that another sweep is at is neither left out nor a failure."""
    template = tiny(tmp_path)
    (tmp_path / "g.yml").write_text("rows: [{size: 2}]")
    (row,) = plan(template, tmp_path / "g.yml", tmp_path / "runs")
    other = Other(lock_of(row.folder))
    assert row.state == RUNNING

    def ends(*_):
        row.folder.mkdir(parents=True)
        notebook = nbformat.v4.new_notebook(metadata={"cgcore": {"template": "tiny.ipynb", "config": {"size": 2}}})
        nbformat.write(notebook, row.folder / "executed.ipynb")
        other.let_go()

    later = threading.Timer(1.0, ends)
    later.start()
    monkeypatch.setattr(runner, "_execute", None)
    assert run_notebook(template, {"size": 2}, tmp_path / "runs") == row.folder / "executed.ipynb"
    later.join()
    assert "finished before, reused" in capsys.readouterr().out
    assert [row.state for row in sweep(template, tmp_path / "g.yml", tmp_path / "runs")] == ["done"]


@pytest.mark.slow
def test_a_notebook_runs_in_this_interpreter_and_in_a_folder_of_that_very_name(tmp_path, monkeypatch):
    """Whatever kernel called python3 another project has put into JUPYTER_PATH, and with braces in the path."""
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps({"argv": ["false"], "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    out = tmp_path / "{size} $(touch x); 'y'"
    executed = run_notebook(tiny(tmp_path), {}, out)
    assert out in executed.parents
    assert sys.executable in nbformat.read(executed, as_version=4).cells[-1].outputs[0].text


def test_what_a_run_reads_is_part_of_its_name(tmp_path, monkeypatch):
    """A folder or a file that a parameter names, as well as a map of the package."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    (tmp_path / "mine" / "replica_00.trr").write_bytes(b"frames")
    (tmp_path / "core").mkdir()  # no folder of a reference, such as a run's results

    def name(**given):
        template = ROOT / "notebooks" / "amino_acids.ipynb"
        values = check_parameters(template, given)
        return run_folder(template, values, run_record(template, values, MADE_BY), tmp_path).name

    MADE_BY = {"source": "", "kernels": {}}
    first = name(reference="mine")
    assert name(reference="mine") == first
    (tmp_path / "mine" / "replica_00.trr").write_bytes(b"others")
    assert (second := name(reference="mine")) != first
    mapped = tmp_path / "core.toml"
    original = next(path for path in runner.map_files.bundled() if path.name == "core.toml")
    mapped.write_text(original.read_text() + "\n# edited\n")
    monkeypatch.setattr(runner.map_files, "bundled", lambda: [mapped])
    assert name(reference="mine") != second


def test_names_of_beads_stay_names_on_a_page():
    """None is taken for a mark of the template, and none ends the script or begins an element."""
    names = ["@scene@", "<img src=x onerror=alert(1)>", "<!--<script>"]
    x = 0.1 * np.arange(9.0).reshape(3, 3) ** 1.1
    text = viewer.show(x, "CCC", [], x, [0, 0, 0], names, [], alt="@caption@ </figure>", caption="@png@").data
    script = text[text.index("<script") :]
    assert json.loads(re.search(r"scene = (\{.*\});\n", script)[1])["beads"]["names"] == names
    assert "<img src=x" not in text and "<!--" not in text and text.count("<script") == text.count("</script>") == 1
    assert "@scene@</li>" in text and "<p>@png@</p>" in text and 'alt="@caption@ &lt;/figure&gt;"' in text


def test_the_snakefile_quotes_what_it_puts_into_a_shell():
    command = re.search(r'"(cgcore sweep .*)"', (ROOT / "notebooks" / "sweeps" / "Snakefile").read_text())[1]
    specs = {name: spec for _, name, spec, _ in Formatter().parse(command) if name}
    assert specs == {"NOTEBOOK": "q", "GRID": "q", "OUT": "q", "params.index": ""}


TWICE = """
import sys
import test_train as t
split = t.Split(t.frames(t.N_TRAIN, 1), 0, t.frames(t.N_VALID, 2), (0,))
fitted = t.fit(t.SPRINGS, split, t.config(epochs=40), sys.argv[1])
print(f"RESULT {fitted.run.id} {fitted.loss} {fitted.train_loss.tolist()} {fitted.epoch_s.tolist()}")
"""


def test_two_processes_at_one_fit_give_one_result(tmp_path):
    """The second waits for the first and reads what it made, times of the epochs included."""
    command = [sys.executable, "-W", "ignore", "-c", TWICE, str(tmp_path)]
    started = [
        subprocess.Popen(command, cwd=ROOT / "tests", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(2)
    ]
    printed = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    results = [text.partition("RESULT ")[2] for text in printed]
    assert results[0] == results[1] and results[0]
    assert sum(": done" in text for text in printed) == 1
    assert len(list((tmp_path / "fit").iterdir())) == 1
