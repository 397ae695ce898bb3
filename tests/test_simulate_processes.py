"""Simulations in processes of their own: one that is killed, and one on several devices."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from test_simulate import short

from cgcore.store import StoreError, load_tree

HERE = Path(__file__).parent
FRAMES = 3000


def started(code: str, **environment) -> subprocess.Popen:
    path = os.pathsep.join(map(str, (HERE, HERE.parent)))
    code = f"import conftest, sys; from pathlib import Path; from test_simulate import short; {code}"
    return subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path} | environment)


def frames_done(root: Path) -> int:
    try:
        return max((int(load_tree(path)["done"]) for path in root.glob("md/*/state.npz")), default=0)
    except (FileNotFoundError, StoreError):
        return 0


@pytest.mark.slow
def test_a_killed_process_leaves_a_run_that_goes_on(tmp_path):
    """Killed outright, the run is finished here, and is the same to the last bit as one that nobody killed."""
    folder = tmp_path / "killed"
    folder.mkdir()
    code = "import cgcore.simulate.driver as d; d.CHECKPOINT_S = 0.05; "
    process = started(f"{code} short(Path({str(folder)!r}), n_frames={FRAMES})")
    while frames_done(folder) < 20 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 20 <= frames_done(folder) < FRAMES
    ensemble, table = short(folder, n_frames=FRAMES)
    unbroken, _ = short(tmp_path / "unbroken", n_frames=FRAMES)
    for name in ("position", "energy", "kinetic", "status"):
        assert_array_equal(getattr(ensemble, name), getattr(unbroken, name), err_msg=name)
    assert table["n_frames"] == 3 * FRAMES


@pytest.mark.slow
def test_four_devices_give_the_numbers_of_one(tmp_path):
    """Eight replicas, two on each of four devices, and six on three of them."""
    flags = f"--xla_force_host_platform_device_count=4 {os.environ.get('XLA_FLAGS', '')}"
    code = "; ".join(
        f"short(Path({str(tmp_path / str(n))!r}), replicas={n})[1]['devices'] == {d} or sys.exit(1)"
        for n, d in ((8, 4), (6, 3))
    )
    assert started(code, XLA_FLAGS=flags).wait() == 0
    for n in (8, 6):
        ensemble, table = short(tmp_path / f"one{n}", replicas=n)
        assert table["devices"] == 1
        (path,) = (tmp_path / str(n)).glob("md/*/position.npy")
        there = np.load(path)
        assert_allclose(there, ensemble.position, rtol=0, atol=1e-7)
