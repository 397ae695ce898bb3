"""Several devices, simulated by four of the CPU in a process of their own, give the numbers of one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_train import SPRINGS, config, frames, new_run

from cgcore.data import Split
from cgcore.train import fit

pytestmark = pytest.mark.slow

N_TRAIN, N_VALID = 64, 22  # the held-out frames do not fill batches

SCRIPT = """
import json, sys, jax
import conftest
from pathlib import Path
from test_train import SPRINGS, config, new_run
from test_train_devices import history, the_split
from cgcore.data import DataError
from cgcore.train import fit

folder = Path(sys.argv[1])
found = {"devices": jax.device_count(), "molecules": history(False, folder / "a"), "liquid": history(True, folder / "b")}
for name, split, batch in (("batch", the_split(), 18), ("held out", the_split(3), 16)):
    try:
        fit(SPRINGS, split, config(batch_size=batch), new_run(folder / "c"), progress=False)
    except DataError as error:
        found[name] = str(error)
print(json.dumps(found))
"""


def the_split(n_valid: int = N_VALID) -> Split:
    return Split(frames(N_TRAIN, 1), 0, frames(n_valid, 2), (0,))


def history(periodic: bool, folder: Path) -> dict:
    """Losses and parameters of a short training; a liquid's frames are taken one after the other."""
    result = fit(SPRINGS._replace(periodic=periodic), the_split(), config(), new_run(folder), progress=False)
    params = {name: value.tolist() for name, value in result.params.items()}
    return {"train": result.train_loss.tolist(), "valid": result.valid_loss.tolist()} | params


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    here = Path(__file__).parent
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)]),
    }
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path_factory.mktemp("four"))],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.parametrize("kind", ["molecules", "liquid"])
def test_four_devices_give_the_numbers_of_one(four, kind, tmp_path):
    assert four["devices"] == 4 and jax.device_count() == 1
    one = history(kind == "liquid", tmp_path / "one")
    for name, value in one.items():
        assert_allclose(four[kind][name], value, rtol=1e-9, atol=1e-12, err_msg=name)
    assert np.ptp(one["train"]) > 0.01


def test_what_devices_cannot_share_is_refused(four):
    assert "4 devices can share equally, got 18 frames" in four["batch"]
    assert "held out" not in four, "frames that weigh nothing fill the last batch up"
