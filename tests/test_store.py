import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import cgcore
from cgcore import store
from cgcore.config import MDConfig, TrainConfig
from cgcore.profiles.amino_acids import RunConfig
from cgcore.store import bundled, identity, runs


def test_a_run_is_named_by_config_and_parents():
    md = MDConfig()
    assert store.run_id(md) == store.run_id(MDConfig())
    assert len(store.run_id(md)) == 12 and int(store.run_id(md), 16) >= 0
    ids = {
        store.run_id(md),
        store.run_id(replace(md, seed=1)),
        store.run_id(md, ["abc"]),
        store.run_id(md, ["abd"]),
        store.run_id(TrainConfig()),
        store.run_id(RunConfig()),
    }
    assert len(ids) == 6
    assert store.run_id(replace(md, seed=np.int64(1))) == store.run_id(replace(md, seed=1))


def test_equal_fields_of_another_type_are_another_run():
    @dataclass(frozen=True)
    class A:
        n: int = 1

    @dataclass(frozen=True)
    class B:
        n: int = 1

    assert store.run_id(A()) != store.run_id(B())


def test_data_hash_sees_values_shapes_and_dtypes():
    x = np.arange(6.0)
    hashes = {store.data_hash(a) for a in (x, x + 1e-12, x.reshape(2, 3), x.astype(np.float32), x[:0])}
    assert len(hashes) == 5
    assert store.data_hash(x.reshape(2, 3).T) == store.data_hash(x.reshape(2, 3).T.copy())


@pytest.fixture
def package(tmp_path):
    """A package where fit -> net -> base, and plots stands aside."""
    pkg = tmp_path / "pkg"
    (pkg / "nets").mkdir(parents=True)
    files = {
        "__init__.py": "",
        "fit.py": "import numpy\nfrom .nets import net\n",
        "plots.py": "from pkg import fit\n",
        "nets/__init__.py": "",
        "nets/net.py": "def f():\n    from pkg.nets.base import g\n",
        "nets/base.py": "g = 1\n",
    }
    for name, text in files.items():
        (pkg / name).write_text(text)
    return tmp_path


def test_code_hash_follows_imports_and_nothing_else(package, monkeypatch):
    assert set(identity.closure("pkg.fit", package)) == {"pkg", "pkg.fit", "pkg.nets", "pkg.nets.net", "pkg.nets.base"}
    monkeypatch.setattr(identity, "ROOT", package)
    before = store.code_hash("pkg.fit")
    (package / "pkg" / "plots.py").write_text("from pkg import fit  # another colour\n")
    assert store.code_hash("pkg.fit") == before
    (package / "pkg" / "nets" / "base.py").write_text("g = 2\n")
    assert store.code_hash("pkg.fit") != before
    with pytest.raises(ModuleNotFoundError, match="pkg.fitt"):
        store.code_hash("pkg.fitt")


def test_code_hash_of_this_package():
    assert {"cgcore", "cgcore.units", "cgcore.analysis.blocks"} <= set(
        identity.closure("cgcore.analysis.ramachandran", identity.ROOT)
    )


MADE_BY = ("cgcore.geometry",)


def test_a_run_from_start_to_manifest(tmp_path):
    run = store.open_run(tmp_path, "md", MDConfig(seed=7), ["a" * 12], made_by=MADE_BY)
    assert run.folder == tmp_path / "md" / run.id and not run.done
    with pytest.raises(store.StoreError, match="not complete"):
        run.manifest  # noqa: B018
    manifest = run.finish(
        {"js": np.float32(0.25), "ok": np.True_, "bad": np.nan, "n": np.arange(2)}, 12.5, data={"x": "abc"}
    )
    assert manifest["results"] == {"js": 0.25, "ok": True, "bad": None, "n": [0, 1]}
    assert manifest["seed"] == 7 and manifest["parents"] == ["a" * 12] and manifest["data"] == {"x": "abc"}
    assert manifest["config"]["dt_ps"] == 0.002 and manifest["wall_s"] == 12.5
    assert manifest["versions"]["cgcore"] == cgcore.__version__
    assert manifest["versions"]["numpy"] == np.__version__
    assert manifest["device"]["platform"] in ("cpu", "gpu", "tpu") and manifest["device"]["cpus"] >= 1
    again = store.open_run(tmp_path, "md", MDConfig(seed=7), ["a" * 12], made_by=MADE_BY)
    assert again.done and again.manifest == manifest
    assert not store.open_run(tmp_path, "md", MDConfig(seed=8), ["a" * 12], made_by=MADE_BY).done


def test_a_finished_run_beside_is_taken_over_and_an_unfinished_or_stale_one_is_not(tmp_path, monkeypatch):
    def opened(name):
        return store.open_run(tmp_path / name, "fit", MDConfig(), made_by=MADE_BY)

    first = opened("first")
    store.write_npz(first.path("params.npz"), x=np.arange(3.0))
    second = opened("second")
    assert not store.take_over(second, tmp_path)
    first.finish({"mae": 3.0}, 1.0)
    assert store.take_over(second, tmp_path) and second.done and second.manifest == first.manifest
    assert store.read_npz(second.path("params.npz"))["x"].tolist() == [0, 1, 2]
    assert store.take_over(second, tmp_path / "nowhere"), "a finished run needs no other"
    monkeypatch.setattr(runs, "code_hash", lambda *modules: "f00dfeedbeef")
    assert not store.take_over(opened("third"), tmp_path)


def test_results_of_other_code_are_refused(tmp_path, monkeypatch):
    old = store.open_run(tmp_path, "md", MDConfig(), made_by=MADE_BY)
    monkeypatch.setattr(runs, "code_hash", lambda *modules: "f00dfeedbeef")
    with pytest.raises(store.StaleResultError) as e:
        store.open_run(tmp_path, "md", MDConfig(), made_by=MADE_BY)
    for words in (str(old.folder), old.identity["code"], "f00dfeedbeef", cgcore.__version__, "Remove the folder"):
        assert words in str(e.value)


def test_a_foreign_or_edited_folder_is_refused(tmp_path):
    run = store.open_run(tmp_path, "md", MDConfig(), made_by=MADE_BY)
    config = store.read_json(run.path("config.json"))
    config["config"]["replicas"] = 3
    store.write_json(run.path("config.json"), config)
    with pytest.raises(store.StoreError, match="edited by hand"):
        store.open_run(tmp_path, "md", MDConfig(), made_by=MADE_BY)
    run.path("config.json").unlink()
    run.path("notes.txt").write_text("mine")
    with pytest.raises(store.StoreError, match=r"notes\.txt"):
        store.open_run(tmp_path, "md", MDConfig(), made_by=MADE_BY)


def test_git_state_outside_a_checkout(tmp_path, monkeypatch):
    (tmp_path / "cgcore").mkdir()
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    assert runs.git_state() is None


KILLED = """
import os, sys
from cgcore import store
os.replace = lambda *a: os._exit(9)
store.{write}
"""


@pytest.mark.parametrize(
    "name, write",
    [("x.json", "write_json(sys.argv[1], dict(a=2))"), ("x.npz", "write_npz(sys.argv[1], a=2.0)")],
)
def test_killed_before_the_replacement_leaves_the_old_file(tmp_path, name, write):
    path = tmp_path / name
    if name.endswith("json"):
        store.write_json(path, {"a": 1})
    else:
        store.write_npz(path, a=1.0)
    ended = subprocess.run(
        [sys.executable, "-c", KILLED.format(write=write), path], check=False, cwd=Path(__file__).parents[1]
    )
    assert ended.returncode == 9
    read = store.read_json if name.endswith("json") else store.read_npz
    assert read(path)["a"] == 1
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == [name]


def test_an_error_while_writing_leaves_nothing_behind(tmp_path, monkeypatch):
    store.write_npz(tmp_path / "x.npz", a=1.0)
    monkeypatch.setattr(np, "savez", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.write_npz(tmp_path / "x.npz", a=2.0)
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"] and store.read_npz(tmp_path / "x.npz")["a"] == 1


def test_files_that_are_not_whole(tmp_path):
    store.write_json(tmp_path / "x.json", {"rows": list(range(100))})
    store.write_npz(tmp_path / "x.npz", a=np.arange(1000.0))
    for name, read in (("x.json", store.read_json), ("x.npz", store.read_npz)):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(store.StoreError, match="not whole|not a whole"):
            read(path)
    with pytest.raises(store.StoreError, match="object"):
        store.write_npz(tmp_path / "y.npz", a=np.array([{}]))


def test_trees_come_back_as_they_were(tmp_path):
    rng = np.random.default_rng(0)
    tree = {
        "layer/0": {"w": rng.normal(size=(2, 3)), "b": rng.normal(size=3).astype(np.float32)},
        "stack": [(np.arange(3), None), {}, (), [np.array(True)]],
        "scale": np.array(2.5),
    }
    store.save_tree(tmp_path / "p.npz", tree)
    back = store.load_tree(tmp_path / "p.npz")

    def same(a, b):
        if isinstance(a, np.ndarray):
            return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
        if isinstance(a, dict):
            return type(b) is dict and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
        return a is b is None or (type(a) is type(b) and len(a) == len(b) and all(map(same, a, b)))

    assert same(tree, back)
    assert {"layer/0/w", "stack/0/0", "scale"} <= set(store.read_npz(tmp_path / "p.npz"))
    for bad, words in (
        ({"a": 1.0}, "array first"),
        ({1: np.ones(1)}, "words as keys"),
        ({"a/b": np.ones(1), "a": {"b": np.ones(1)}}, "'a/b'"),
        ({"file": np.ones(1)}, "'file'"),
    ):
        with pytest.raises(store.StoreError, match=words):
            store.save_tree(tmp_path / "q.npz", bad)
    store.write_npz(tmp_path / "r.npz", a=np.ones(1))
    with pytest.raises(store.StoreError, match="without a structure"):
        store.load_tree(tmp_path / "r.npz")


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    folder = tmp_path / "data" / "ala2"
    folder.mkdir(parents=True)
    (folder / "solute.gro").write_bytes(b"atoms")
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(b'atoms').hexdigest()}  solute.gro\n")
    monkeypatch.setattr(bundled, "data_roots", lambda: (tmp_path / "absent", tmp_path / "data"))
    return folder


def test_bundled_data_is_checked(bundle):
    assert store.data_file("ala2/solute.gro") == bundle / "solute.gro"
    with pytest.raises(
        FileNotFoundError, match=r"no bundled data file 'ala2/solute\.trr'; there is: ala2/solute\.gro$"
    ):
        store.data_file("ala2/solute.trr")
    (bundle / "solute.gro").write_bytes(b"ato")
    with pytest.raises(store.StoreError, match=r"3 bytes\); likely a partial download"):
        store.data_file("ala2/solute.gro")
    (bundle / "solute.gro").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    with pytest.raises(store.StoreError, match="git lfs pull"):
        store.data_file("ala2/solute.gro")
    (bundle / "other.gro").write_bytes(b"atoms")
    with pytest.raises(store.StoreError, match="not listed"):
        store.data_file("ala2/other.gro")
    (bundle / "SHA256SUMS").unlink()
    with pytest.raises(store.StoreError, match="cannot be checked"):
        store.data_file("ala2/solute.gro")


def test_json_of_a_dataclass(tmp_path):
    store.write_json(tmp_path / "c.json", MDConfig())
    assert json.loads((tmp_path / "c.json").read_text())["temperature_K"] == 300.0
    with pytest.raises(TypeError, match="set"):
        store.write_json(tmp_path / "d.json", {"a": {1, 2}})
