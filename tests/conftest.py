"""A strict session: float64, no NaN, no silent overflow, no window; programs of one file do not outlive it."""

import ctypes
import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path

import jax
import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")  # here and not in the environment: kernels of notebooks draw into their cells

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_debug_nans", True)
np.seterr(divide="raise", invalid="raise", over="raise")

WORKER = "PYTEST_XDIST_WORKER" in os.environ
PROGRAMS = Path(tempfile.gettempdir()) / f"cgcore-programs-{os.getppid() if WORKER else os.getpid()}"
"""Compiled programs of this session, for all of its processes: files compile much alike. Never those of an earlier one."""
jax.config.update("jax_compilation_cache_dir", str(PROGRAMS))
jax.config.update("jax_compilation_cache_max_size", 4_000_000_000)  # and so with a lock
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def pytest_sessionfinish():
    if not WORKER:
        shutil.rmtree(PROGRAMS, ignore_errors=True)


MOST = 1_200_000_000
"""Bytes by which programs may let this process grow until they are released before their file is done."""


@pytest.fixture(scope="module", autouse=True)
def compiled_programs_are_released():
    """Each file compiles what it needs: kept to the end, the programs of all files take gigabytes."""
    yield
    release()


@pytest.fixture(autouse=True)
def compiled_programs_stay_below_a_limit():
    """Files that compile many large programs need some of them again, and one process must not take gigabytes."""
    yield
    if resident() > MOST + left["bytes"]:
        release()


def release():
    if engine := sys.modules.get("cgcore.simulate.engine"):  # it keeps whole frames of dynamics
        engine._compiled.cache_clear()
    jax.clear_caches()
    gc.collect()
    if sys.platform == "linux":  # else what was freed stays with the process
        ctypes.CDLL(None).malloc_trim(0)
    left["bytes"] = resident()


def resident() -> int:
    """Bytes of this process in memory, 0 where that cannot be told."""
    if sys.platform != "linux":
        return 0
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


left = {"bytes": resident()}
"""In memory after the last release."""
