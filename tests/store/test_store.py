import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cgcore
from cgcore import store
from cgcore.config import MDConfig, TrainConfig
from cgcore.store import bundled, kernels, runs

ROOMS = ("geometry",)


def opened(root, config=None, kind="md", **data):
    return store.open_run(root, kind, config or MDConfig(), data=data, rooms=ROOMS)


def test_a_run_is_named_by_configuration_data_and_kernels(tmp_path, monkeypatch):
    md = MDConfig()
    ids = [
        opened(tmp_path).id,
        opened(tmp_path, replace(md, seed=1)).id,
        opened(tmp_path, frames="abc").id,
        opened(tmp_path, frames="abd").id,
        opened(tmp_path, TrainConfig()).id,
        opened(tmp_path, kind="fit").id,
        store.open_run(tmp_path, "md", md, data={}, rooms=("geometry", "mace")).id,
    ]
    assert len(set(ids)) == 7 and all(len(i) == 12 and int(i, 16) >= 0 for i in ids)
    assert opened(tmp_path).id == ids[0] == opened(tmp_path / "elsewhere").id
    assert opened(tmp_path, replace(md, seed=np.int64(1))).id == ids[1]
    monkeypatch.setattr(kernels, "version", lambda room: "2")
    assert opened(tmp_path).id not in ids


def test_data_hash_sees_values_shapes_and_dtypes():
    x = np.arange(6.0)
    hashes = {store.data_hash(a) for a in (x, x + 1e-12, x.reshape(2, 3), x.astype(np.float32), x[:0])}
    assert len(hashes) == 5
    assert store.data_hash(x.reshape(2, 3).T) == store.data_hash(x.reshape(2, 3).T.copy())


def test_a_run_from_start_to_manifest(tmp_path):
    run = opened(tmp_path, MDConfig(seed=7), x="abc")
    assert run.folder == tmp_path / "md" / run.id and not run.done
    with pytest.raises(store.StoreError, match="not complete"):
        run.manifest  # noqa: B018
    manifest = run.finish({"js": np.float32(0.25), "ok": np.True_, "bad": np.nan, "n": np.arange(2)}, 12.5, engines=[1])
    assert manifest["results"] == {"js": 0.25, "ok": True, "bad": None, "n": [0, 1]}
    assert manifest["config"]["seed"] == 7 and manifest["data"] == {"x": "abc"} and manifest["engines"] == [1]
    assert manifest["config"]["dt_ps"] == 0.002 and manifest["wall_s"] == 12.5
    assert manifest["kernels"] == {"geometry": kernels.version("geometry")}
    assert manifest["versions"]["cgcore"] == cgcore.__version__
    assert manifest["versions"]["numpy"] == np.__version__
    assert manifest["device"]["platform"] in ("cpu", "gpu", "tpu") and manifest["device"]["cpus"] >= 1
    again = opened(tmp_path, MDConfig(seed=7), x="abc")
    assert again.done and again.manifest == manifest
    assert not opened(tmp_path, MDConfig(seed=8), x="abc").done


def test_a_run_is_held_by_one_process_at_a_time(tmp_path):
    """Another process waits until the first lets go, then finds what that has finished."""
    run = opened(tmp_path)
    code = (
        f"import fcntl, sys; f = open({str(run.path('.lock'))!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)"
    )
    with run.held():
        assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 1
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_foreign_or_edited_folder_is_refused(tmp_path):
    run = opened(tmp_path)
    config = store.read_json(run.path("config.json"))
    config["config"]["replicas"] = 3
    store.write_json(run.path("config.json"), config)
    with pytest.raises(store.StoreError, match="edited by hand"):
        opened(tmp_path)
    run.path("config.json").unlink()
    run.path("notes.txt").write_text("mine")
    with pytest.raises(store.StoreError, match=r"notes\.txt"):
        opened(tmp_path)


def test_git_state_outside_a_checkout(tmp_path, monkeypatch):
    (tmp_path / "cgcore").mkdir()
    monkeypatch.setattr(runs.kernels, "ROOT", tmp_path)
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
        [sys.executable, "-c", KILLED.format(write=write), path], check=False, cwd=Path(__file__).parents[2]
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
