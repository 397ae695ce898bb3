"""What the tests of inputs share: the atoms of alanine, and a few of its frames with forces."""

import pytest
from brought import ALA2

from cgcore import io


@pytest.fixture(scope="module")
def topology():
    return io.read_topology(ALA2 / "topology.pdb")


@pytest.fixture(scope="module")
def few(topology):
    return io.read(ALA2 / "solute.trr", topology, stride=3000)
