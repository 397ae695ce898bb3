"""A simulation in a process of its own, on several devices."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_simulate import short

HERE = Path(__file__).parent


def started(code: str, **environment) -> subprocess.Popen:
    path = os.pathsep.join(map(str, (HERE, HERE.parent)))
    code = f"import conftest, sys; from pathlib import Path; from test_simulate import short; {code}"
    return subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path} | environment)


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
