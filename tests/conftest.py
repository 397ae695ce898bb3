"""A strict session: float64, no NaN, no silent overflow, no window; programs of one file do not outlive it."""

import ctypes
import gc
import sys

import jax
import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")  # here and not in the environment: kernels of notebooks draw into their cells

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_debug_nans", True)
np.seterr(divide="raise", invalid="raise", over="raise")


@pytest.fixture(scope="module", autouse=True)
def compiled_programs_are_released():
    """Each file compiles what it needs: kept to the end, the programs of all files take gigabytes."""
    yield
    if engine := sys.modules.get("cgcore.simulate.engine"):  # it keeps whole frames of dynamics
        engine._compiled.cache_clear()
    jax.clear_caches()
    gc.collect()
    if sys.platform == "linux":  # else what was freed stays with the process
        ctypes.CDLL(None).malloc_trim(0)
