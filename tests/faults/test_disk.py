"""A disk that fills, at whatever moment: one error with a path, and with room again the same end to the last bit."""

import errno
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
import test_simulate
import test_train

from cgcore import store
from cgcore.reference import output
from cgcore.simulate import disk_bytes
from cgcore.store import files


def full_at(monkeypatch, call: int):
    """Let the disk be full from the call-th time on that something is brought to it."""
    fsync, calls = os.fsync, []

    def full(number):
        calls.append(number)
        if len(calls) >= call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(number)

    monkeypatch.setattr(os, "fsync", full)


@pytest.mark.parametrize("call", [1, 5])
def test_a_training_on_a_disk_that_fills(call, tmp_path, monkeypatch):
    split = test_train.Split(test_train.frames(64, 1), 0, test_train.frames(21, 2), (0,))
    with monkeypatch.context() as patch, pytest.raises(OSError) as error:
        full_at(patch, call)
        test_train.fit(test_train.SPRINGS, split, test_train.config(), tmp_path / "a", progress=False)
    assert error.value.errno == errno.ENOSPC and str(tmp_path) in error.value.filename
    assert not list(tmp_path.rglob("*.part"))
    fits = [
        test_train.fit(test_train.SPRINGS, split, test_train.config(), tmp_path / name, progress=False) for name in "ab"
    ]
    test_train.same(*fits)


@pytest.fixture
def small_disk():
    """A folder on a disk of a MB of its own; not below pytest's, which other sessions clear."""
    folder = Path(tempfile.mkdtemp(prefix="small_disk_"))
    try:
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True).returncode:
            pytest.skip("only root can mount a small disk")
        yield folder
        # Arrays may still be mapped: then the disk goes with them.
        subprocess.run(["umount", "--lazy", folder], check=True)
    finally:
        folder.rmdir()


def test_a_simulation_asks_for_its_room_before_it_starts(small_disk, monkeypatch):
    """Also where what the disk says of itself is wrong: the room is taken, so that nothing is written into a void."""
    with pytest.raises(store.StoreError, match=r"this run will write 0.01 GB, the disk has 0.00 GB left"):
        test_simulate.short(small_disk, n_frames=100_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 0, 10**12))
    with pytest.raises(OSError) as error:
        test_simulate.short(small_disk, n_frames=100_000)
    assert error.value.errno == errno.ENOSPC and error.value.filename.endswith("position.npy")
    assert disk_bytes(test_simulate.config(n_frames=100_000), 3) == 3 * 100_000 * 12 * 4


def test_a_full_disk_under_a_simulation_and_room_again(small_disk, tmp_path):
    """The frames have their room from the start, so only the state finds none; what was done stays."""
    rest = 1_048_576 - disk_bytes(test_simulate.config(), 3) - 60_000
    (small_disk / "filler").write_bytes(b"x" * int(rest))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(OSError) as error:
        patch.setattr(np, "savez", lambda file, **arrays: file.write(b"x" * 200_000))
        test_simulate.short(small_disk)
    assert error.value.errno == errno.ENOSPC and error.value.filename.endswith("state.npz")
    (small_disk / "filler").unlink()
    test_simulate.same(test_simulate.short(small_disk)[0], test_simulate.short(tmp_path / "unbroken")[0])


def test_a_reference_on_a_full_disk_names_the_file_and_drops_what_was_cut(small_disk):
    recorder = output.Recorder(small_disk, 0, 19)
    recorder.resume()
    recorder.append([b"f" * recorder.frame_bytes], ["0.2,1,300\n"])
    recorder.checkpoint("<State/>", 1)
    with pytest.raises(OSError) as error:
        recorder.append([b"f" * recorder.frame_bytes] * 3000, ["0.2,1,300\n"])
    assert error.value.errno == errno.ENOSPC and error.value.filename.endswith("replica_00.trr")
    assert recorder.resume() == "<State/>" and recorder.trajectory.stat().st_size == recorder.frame_bytes


def test_what_a_killed_process_left_half_written_goes_and_what_another_writes_stays(tmp_path):
    (tmp_path / ".x.json.1.part").write_text("half")
    with open(tmp_path / ".x.json.2.part", "w") as other:
        assert files.lock(other)
        store.write_json(tmp_path / "x.json", {})
        assert sorted(p.name for p in tmp_path.iterdir()) == [".x.json.2.part", "x.json"]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError) as error:
        store.write_json(tmp_path / "file" / "x.json", {})
    assert str(tmp_path / "file") in str(error.value.filename)
