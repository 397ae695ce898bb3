"""GROMACS, a peer that is not always there."""

import shutil

import pytest

needs_gmx = pytest.mark.skipif(shutil.which("gmx") is None, reason="GROMACS is not installed (apt-get install gromacs)")
