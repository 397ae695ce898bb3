"""Small runs of every kind, each killed at any moment and gone on with: what `python jobs.py KIND FOLDER` does.

A kind has `work`, which runs or goes on, and `left`, what a finished folder holds, to be compared to the last bit.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
OFTEN = "CGCORE_TEST_CHECKPOINT_S"
"""Seconds between checkpoints of a reference run, for the processes that are started here."""
BEGUN = "begun"
"""The file of a folder that says that everything is loaded and the work begins."""


def begun(folder: Path):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / BEGUN).touch()


def training(folder: Path):
    import test_train as t

    begun(folder)
    split = t.Split(t.frames(t.N_TRAIN, 1), 0, t.frames(t.N_VALID, 2), (0,))
    t.fit(t.SPRINGS, split, t.config(epochs=40), folder, checkpoint_minutes=0.0, progress=False)


def simulation(folder: Path):
    import test_simulate as t

    from cgcore.simulate import driver

    begun(folder)
    driver.CHECKPOINT_S = 0.05
    t.short(folder, n_frames=1500)


def walk(folder: Path):
    import test_metadynamics as t

    from cgcore.simulate import driver

    begun(folder)
    driver.CHECKPOINT_S = 0.05
    t.biased_run(folder, md=t.toys.config(n_frames=300))


def reference(folder: Path, jobs: int = 2):
    from cgcore.reference import protocol, run

    begun(folder)
    wanted = protocol.protocol("gly2", every_ps=0.2, equilibration_ps=0.2, replicas=2)
    run.simulate(wanted, 0.02, folder / "reference", progress=False, jobs=jobs)


PARAMETERS = 'size: int = 1\nout_dir: str = "runs/scratch"\n'
BODY = """import json, time
from pathlib import Path
made = Path(out_dir) / "tiny" / str(size)
made.mkdir(parents=True, exist_ok=True)
time.sleep(0.3)
about = {"config": {"size": size}, "date": "2026", "device": {"platform": "cpu"}, "results": {"square": size**2}}
(made / "manifest.json").write_text(json.dumps(about))
"""


def sweep(folder: Path):
    import nbformat

    from cgbook import sweep as sweeps

    begun(folder)
    template, grid, cell = folder / "tiny.ipynb", folder / "g.yml", nbformat.v4.new_code_cell
    cells = [cell(PARAMETERS, id="a", metadata={"tags": ["parameters"]}), cell(BODY, id="b")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), template)
    grid.write_text("grid: {size: [2, 3]}")
    sweeps.sweep(template, grid, folder / "runs")


if os.environ.get(OFTEN):  # workers of a pool load this module as well
    from cgcore.reference import engine_openmm

    engine_openmm.CHECKPOINT_S = float(os.environ[OFTEN])


def chain(folder: Path):
    """Three kinds in one process, which loads what they need but once."""
    for work in (training, simulation, walk):
        work(folder / work.__name__)


KINDS = {work.__name__: work for work in (training, simulation, walk, reference, sweep)}
WORK = KINDS | {"chain": chain}


def left(kind: str, folder: Path) -> dict[str, str]:
    """What a finished run left that two equal ones share to the last bit, times excepted."""
    from cgcore.reference import sets
    from cgcore.store import load_tree

    if kind == "chain":
        return {part: str(left(part, folder / part)) for part in ("training", "simulation", "walk")}
    if kind == "training":
        (path,) = folder.glob("fit/*/params.npz")
        kept = load_tree(path)
        return {"params": str(kept["best"]), "losses": str(kept["losses"][:, :2].tolist())}
    if kind == "sweep":
        rows = json.loads(next(folder.glob("runs/sweeps/*/summary.json")).read_text())
        return {str(row["size"]): str(row["square"]) for row in rows}
    if kind == "reference":  # a resumed one draws other noise: that it is whole is what is promised
        _, frames = sets.load(folder / "reference")
        return {"frames": str(frames.n_frames)}
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("md/*/*.npy"))}


def started(kind: str, folder: Path, often: float = 0.05) -> subprocess.Popen:
    """A process of its own that works, and keeps what it has so often, s; returns when it has begun to."""
    folder.mkdir(parents=True, exist_ok=True)
    for mark in folder.rglob(BEGUN):
        mark.unlink()
    with open(folder / "words.txt", "ab") as words:
        streams = {"stdin": subprocess.DEVNULL, "stdout": words, "stderr": words, "start_new_session": True}
        streams["env"] = os.environ | {OFTEN: str(often)}
        process = subprocess.Popen([sys.executable, __file__, kind, str(folder)], **streams)
    while not list(folder.rglob(BEGUN)):
        if process.poll() is not None:
            raise RuntimeError(f"{kind} did not begin:\n{(folder / 'words.txt').read_text()}")
        time.sleep(0.02)
    return process


def end(process: subprocess.Popen, how: str, number: int = signal.SIGKILL) -> int:
    """Send a signal to the whole group of a process or to it alone ("parent"); its exit status."""
    if process.poll() is None:
        (os.killpg if how == "group" else os.kill)(process.pid, number)
    return process.wait()


if __name__ == "__main__":
    sys.path[:0] = [
        str(HERE.parent),
        str(HERE),
        str(HERE.parents[1]),
    ]  # the conftest of all tests before that beside this
    if sys.argv[1] not in ("reference", "sweep"):
        import conftest  # noqa: F401  the precision of the tests

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    WORK[sys.argv[1]](Path(sys.argv[2]))
