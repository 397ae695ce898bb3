"""Files that are cut, empty, edited or missing are told of, with their path and what to do, before they count."""

import errno
import json
import re
import shutil

import jobs
import numpy as np
import pytest
import test_simulate
import test_train
from typer.testing import CliRunner

from cgbook.results import load as load_results
from cgbook.run import result_of
from cgbook.sweep import SWEEP, plan
from cgcore import cli, store
from cgcore.errors import CgcoreError, explained
from cgcore.reference import sets
from cgcore.reference.output import Recorder
from cgcore.reference.protocol import protocol
from cgcore.reference.run import simulate
from cgcore.store import bundled


def refuses(says: str):
    return pytest.raises(CgcoreError, match=re.escape(says))


# Simulations


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    test_simulate.short(folder)
    return folder


def cut(path, part=0.5):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])


def tree(path, **changes):
    saved = store.load_tree(path) | changes
    store.save_tree(path, {key: value for key, value in saved.items() if value is not None})


DAMAGE = {
    "position.npy missing": (lambda f: (f / "position.npy").unlink(), "counts 10 frames, found a file that is missing"),
    "position.npy cut": (lambda f: cut(f / "position.npy"), "in position; was it copied in part or edited?"),
    "position.npy zeros": (
        lambda f: np.save(f / "position.npy", 0 * np.load(f / "position.npy")),
        "frames with every bead at the origin",
    ),
    "position.npy of another size": (
        lambda f: np.save(f / "position.npy", np.ones((3, 10, 4, 3), np.float32)),
        "want shape (3, 10, 3, 3), found (3, 10, 4, 3)",
    ),
    "position.npy of fewer frames": (
        lambda f: np.save(f / "position.npy", np.load(f / "position.npy")[:, :7]),
        "counts 10 frames, found 7 frames in position",
    ),
    "energy.npy of double precision": (lambda f: np.save(f / "energy.npy", np.ones((3, 10))), "float64; remove"),
    "status.npy missing": (lambda f: (f / "status.npy").unlink(), "found a file that is missing or cut"),
    "status.npy empty": (lambda f: (f / "status.npy").write_bytes(b""), "found a file that is missing or cut"),
    "state.npz empty": (lambda f: (f / "state.npz").write_bytes(b""), "it is empty"),
    "state.npz cut": (lambda f: cut(f / "state.npz"), "is not a whole npz"),
    "state.npz text": (lambda f: (f / "state.npz").write_text("state"), "is not a whole npz"),
    "state.npz without done": (lambda f: tree(f / "state.npz", done=None), "found no 'done'"),
    "state.npz with more": (lambda f: tree(f / "state.npz", mine=np.ones(1)), "alone, found 'mine'"),
    "state.npz done -3": (
        lambda f: tree(f / "state.npz", done=np.array(-3)),
        "a state that is not whole (-3 frames done",
    ),
    "state.npz done 30": (lambda f: tree(f / "state.npz", done=np.array(30)), "30 frames done"),
    "state.npz without momenta": (lambda f: tree(f / "state.npz", state={"position": np.ones(3)}), "is not whole"),
    "state.npz of other lists": (lambda f: tree(f / "state.npz", lists={"colour": np.ones(1)}), "is not whole"),
    "manifest.json cut": (lambda f: cut(f / "manifest.json"), "is not whole JSON"),
    "manifest.json empty": (lambda f: (f / "manifest.json").write_text(""), "it is empty"),
    "manifest.json a list": (lambda f: (f / "manifest.json").write_text("[]"), "found a list"),
    "manifest.json without results": (lambda f: (f / "manifest.json").write_text('{"id": 1}'), "found no 'kind'"),
    "config.json cut": (lambda f: cut(f / "config.json"), "is not whole JSON"),
    "config.json a number": (lambda f: (f / "config.json").write_text("3"), "found a int"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_simulation_is_told_of(what, simulated, tmp_path):
    shutil.copytree(simulated, tmp_path / "copy")
    (folder,) = (tmp_path / "copy" / "md").iterdir()
    damage, says = DAMAGE[what]
    damage(folder)
    with refuses(says):
        test_simulate.short(tmp_path / "copy")


def test_without_its_manifest_a_finished_simulation_is_finished_again(simulated, tmp_path):
    shutil.copytree(simulated, tmp_path / "copy")
    (folder,) = (tmp_path / "copy" / "md").iterdir()
    before = json.loads((folder / "manifest.json").read_text())["results"]
    (folder / "manifest.json").unlink()
    test_simulate.same(test_simulate.short(tmp_path / "copy")[0], test_simulate.short(simulated)[0])
    after = json.loads((folder / "manifest.json").read_text())["results"]
    assert {k: v for k, v in before.items() if not k.endswith("_s")} | {"devices": 1} == {
        k: v for k, v in after.items() if not k.endswith("_s")
    }


# Trainings


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished fit, and one that was interrupted."""
    split = test_train.Split(test_train.frames(64, 1), 0, test_train.frames(21, 2), (0,))
    whole, part = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("part")
    test_train.fit(test_train.SPRINGS, split, test_train.config(), whole, progress=False)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        save = test_train.train._save

        def once(*args):
            save(*args)
            raise KeyboardInterrupt

        patch.setattr(test_train.train, "_save", once)
        test_train.fit(test_train.SPRINGS, split, test_train.config(), part, progress=False)
    return split, whole, part


def spoiled(params):
    return params | {"linear": np.full(3, np.nan)}


CHECKPOINTS = {
    "cut": (cut, "is not a whole npz"),
    "empty": (lambda p: p.write_bytes(b""), "it is empty"),
    "without losses": (lambda p: tree(p, losses=None), "found no 'losses'"),
    "not finite": (lambda p: tree(p, params=spoiled(store.load_tree(p)["params"])), "want finite parameters"),
    "best not finite": (lambda p: tree(p, best=spoiled(store.load_tree(p)["best"])), "want finite parameters"),
    "losses of another shape": (lambda p: tree(p, losses=np.ones(4)), "want finite parameters and losses of 4 epochs"),
    "more epochs": (lambda p: tree(p, losses=np.ones((9, 3))), "of 4 epochs at most"),
    "another model": (lambda p: tree(p, params={"linear": np.ones(7)}), "is of another model"),
    "more keys": (lambda p: tree(p, mine=np.ones(3)), "alone, found 'mine'"),
}


@pytest.mark.parametrize("what", CHECKPOINTS)
def test_a_damaged_checkpoint_of_a_training_is_told_of(what, trained, tmp_path):
    split, _, part = trained
    shutil.copytree(part, tmp_path / "copy")
    damage, says = CHECKPOINTS[what]
    damage(next((tmp_path / "copy").glob("fit/*/checkpoint.npz")))
    with refuses(says):
        test_train.fit(test_train.SPRINGS, split, test_train.config(), tmp_path / "copy", progress=False)


@pytest.mark.parametrize(
    "damage, says",
    [
        (lambda p: cut(p), "is not a whole npz"),
        (lambda p: tree(p, best=None), "found no 'best'"),
        (lambda p: tree(p, best=spoiled(store.load_tree(p)["best"])), "want finite parameters"),
        (lambda p: tree(p, losses=np.ones((2, 3))), "want finite parameters and losses"),
    ],
)
def test_damaged_parameters_are_told_of_and_a_lost_manifest_costs_no_training(
    damage, says, trained, tmp_path, monkeypatch
):
    split, whole, _ = trained
    shutil.copytree(whole, tmp_path / "copy")
    params = next((tmp_path / "copy").glob("fit/*/params.npz"))
    before = params.read_bytes()
    damage(params)
    again = (test_train.SPRINGS, split, test_train.config(), tmp_path / "copy")
    with refuses(says):
        test_train.fit(*again, progress=False)
    params.write_bytes(before)
    params.with_name("manifest.json").unlink()
    monkeypatch.setattr(test_train.train, "_train", None)
    assert test_train.fit(*again, progress=False).run.done


# References


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    wanted = protocol("gly2", every_ps=0.2, equilibration_ps=0.2, replicas=2)
    return wanted, simulate(wanted, 0.002, tmp_path_factory.mktemp("reference") / "run", progress=False, jobs=1)


def flip(path, at=-5):
    content = bytearray(path.read_bytes())
    content[at] ^= 0x40
    path.write_bytes(content)


SPOILT = {
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "not finished; let it run"),
    "a replica missing": (lambda f: (f / "replica_01.trr").unlink(), "the manifest lists it, found none"),
    "a replica cut": (lambda f: cut(f / "replica_01.trr"), "not the file that the manifest was written for"),
    "frames behind": (
        lambda f: (f / "replica_00.trr").write_bytes((f / "replica_00.trr").read_bytes() * 2),
        "damaged, edited, or being lengthened",
    ),
    "a flipped bit": (lambda f: flip(f / "replica_00.trr"), "not the file that the manifest was written for"),
    "an edited topology": (lambda f: flip(f / "topology.pdb"), "not the file that the manifest was written for"),
    "a manifest cut": (lambda f: cut(f / "manifest.json"), "is not whole JSON"),
    "a manifest without frames": (lambda f: (f / "manifest.json").write_text("{}"), "found no 'protocol'"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_reference_that_is_not_whole_is_not_learnt_from(what, reference, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(reference[1], folder)
    assert sets.load(folder)[1].n_frames == 20
    damage, says = SPOILT[what]
    damage(folder)
    with refuses(says):
        sets.load(folder)


@pytest.mark.parametrize(
    "name, damage, says",
    [
        ("replica_00.xml", lambda p: p.write_text(""), "found one that is empty, cut or edited; remove replica_00.trr"),
        ("replica_00.xml", lambda p: cut(p), "found one that is empty, cut or edited"),
        ("replica_00.xml", lambda p: p.write_text(p.read_text().replace("frames", "framse")), "edited; remove"),
        ("replica_00.xml", lambda p: p.write_text("<!-- frames -3 -->\n<State/>"), "or edited; remove replica_00"),
        ("replica_00.xml", lambda p: p.write_text("<!-- frames 10 -->\n<State/>"), "no state of OpenMM"),
        ("replica_00.trr", lambda p: cut(p), "the checkpoint beside it counts 10; was the file cut or replaced?"),
        ("replica_00.csv", lambda p: cut(p), "the checkpoint beside it counts 10 frames; copy it again, or remove"),
        ("config.json", lambda p: cut(p), "is not whole JSON"),
        ("config.json", lambda p: p.write_text("[]"), "found a list"),
    ],
)
def test_a_reference_with_a_damaged_checkpoint_does_not_go_on(name, damage, says, reference, tmp_path):
    wanted, folder = reference[0], tmp_path / "copy"
    shutil.copytree(reference[1], folder)
    damage(folder / name)
    with refuses(says):
        simulate(wanted, 0.003, folder, progress=False, jobs=1)


def test_a_shorter_length_leaves_a_longer_reference_as_it_is(reference):
    wanted, folder = reference
    before = (folder / "manifest.json").read_bytes()
    simulate(wanted, 0.001, folder, progress=False, jobs=1)
    assert (folder / "manifest.json").read_bytes() == before
    assert [Recorder(folder, k, 19).frames for k in range(2)] == [10, 10]


# Bundled sets, and what belongs to the book


@pytest.mark.parametrize(
    "name, content, says",
    [
        ("SHA256SUMS", b"", "is not listed in"),
        ("SHA256SUMS", b"abc\n", "want lines of a SHA-256 and a name"),
        ("SHA256SUMS", b"12  set.json\n", "want lines of a SHA-256 and a name"),
        ("SHA256SUMS", b"\xff\xfe\x00", "is not whole text"),
        ("set.json", b"{}", "want SHA-256"),
        ("set.json", b"", "want SHA-256"),
    ],
)
def test_a_bundled_set_with_damaged_files_is_told_of(name, content, says, tmp_path, monkeypatch):
    shutil.copytree(store.data_file("gly2_obc2/set.json").parent, tmp_path / "data" / "mine")
    monkeypatch.setattr(bundled, "data_roots", lambda: (tmp_path / "data",))
    (tmp_path / "data" / "mine" / name).write_bytes(content)
    with refuses(says):
        store.data_file("mine/set.json")


def test_a_set_whose_description_lacks_something_is_told_of(tmp_path):
    (tmp_path / "set.json").write_text('{"system": "ala2"}')
    with refuses("found no 'solvent'"):
        sets._describe(tmp_path)


def test_another_run_s_damaged_manifest_does_not_end_a_run(tmp_path, capsys):
    whole = {"config": {"a": 1}, "date": "2026", "device": {}}
    for name, text in {"a": "", "b": "{", "c": "[]", "d": "{}", "e": json.dumps(whole)}.items():
        (tmp_path / "t" / name).mkdir(parents=True)
        (tmp_path / "t" / name / "manifest.json").write_text(text)
    assert result_of({"template": "t.ipynb", "config": {"a": 1}}, tmp_path) == whole
    assert capsys.readouterr().out.count("Left out: ") == 4


@pytest.mark.parametrize("text, says", [("", "it is empty"), ("[]", "found a list"), ("{}", "found no 'template'")])
def test_a_damaged_record_of_a_sweep_is_told_of(text, says, tmp_path):
    import nbformat

    cell = nbformat.v4.new_code_cell(jobs.PARAMETERS, id="a", metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "t.ipynb")
    (tmp_path / "g.yml").write_text("rows: [{size: 2}]")
    (tmp_path / "runs" / "sweeps" / "t_g").mkdir(parents=True)
    (tmp_path / "runs" / "sweeps" / "t_g" / SWEEP).write_text(text)
    with refuses(says):
        plan(tmp_path / "t.ipynb", tmp_path / "g.yml", tmp_path / "runs")


@pytest.mark.parametrize(
    "rows",
    [
        "run,quantity\na,x\n",
        "run,quantity,value,error,unit,n\nb,x,1,,,\n",
        "run,quantity,value,error,unit,n\na,x,1,,,,9\n",
    ],
)
def test_a_damaged_table_of_results_is_told_of(rows, tmp_path):
    (tmp_path / "runs.json").write_text('{"a": {}}')
    (tmp_path / "rows.csv").write_text(rows)
    with refuses("rows.csv, line 2: want"):
        load_results(tmp_path)


# What the machine refuses


@pytest.mark.parametrize(
    "error, says",
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/x/y"),
            "/x/y: No space left on device; free some of the disk",
        ),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/x"), "your share of the disk is used up"),
        (OSError(errno.EFBIG, "File too large", "/x"), "ulimit -f"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), "choose another --out"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x"),
            "/x: Permission denied; want a file that you may read",
        ),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "ulimit -u"),
        (RuntimeError("can't start new thread"), "ulimit -u"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/x"), "a file lies where a folder is wanted"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "/x"), "want a file, this is a folder"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/x"), "/x: No such file or directory"),
        (MemoryError(), "out of memory; want more memory"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"), "out of memory"),
        (KeyboardInterrupt(), "interrupted; start again"),
    ],
)
def test_what_the_machine_refuses_is_one_message_with_help(error, says, monkeypatch):
    assert says in explained(error)

    def fail():
        raise error

    monkeypatch.setattr(cli.of_book, "of_book", lambda name: fail())
    done = CliRunner().invoke(cli.app, ["convergence"])
    assert done.exit_code == (130 if isinstance(error, KeyboardInterrupt) else 1)
    assert says in " ".join(done.output.split())


def test_a_fault_of_the_code_keeps_its_traceback():
    assert explained(ZeroDivisionError("x")) is None and explained(TypeError("x")) is None
