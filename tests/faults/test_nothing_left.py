"""A simulation of which nothing is left says so, and what its replicas died of."""

from types import SimpleNamespace

import numpy as np
import pytest

from cgcore.config import MDConfig
from cgcore.observables import of_backbone, of_liquid
from cgcore.simulate import SimulationError


@pytest.mark.parametrize(
    "observe, first_bad, says",
    [
        (of_backbone, [0, 0], "all 2 replicas failed by 0 ps, no frame is left: {'n_bond_broken': 2}"),
        (of_liquid, [0, 1], r"all 2 replicas failed by \d+ ps, no frame is left"),
    ],
    ids=["molecule", "liquid"],
)
def test_all_replicas_failed(observe, first_bad, says):
    time = 0.5 * np.arange(1, 101)
    valid = np.arange(100) < np.array(first_bad)[:, None]
    ensemble = SimpleNamespace(valid=valid, time=time, status=np.array([4, 4]))
    simulated = SimpleNamespace(ensemble=ensemble, table={"n_bond_broken": 2, "n_frames": 0, "n_nonfinite": 0})
    reference = SimpleNamespace(split=SimpleNamespace(train=SimpleNamespace(box=np.ones(3))))
    with pytest.raises(SimulationError, match=says):
        observe(SimpleNamespace(md=MDConfig(n_frames=100)), reference, simulated)
