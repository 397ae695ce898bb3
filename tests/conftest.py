"""A strict session: float64, no NaN, no silent overflow, no window; programs of one file do not outlive it."""

import gc

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
    jax.clear_caches()
    gc.collect()
