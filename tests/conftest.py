"""A strict session: float64, no NaN, no silent overflow, no window."""

import os

os.environ["MPLBACKEND"] = "Agg"  # also in the kernels of notebooks

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_debug_nans", True)
np.seterr(divide="raise", invalid="raise", over="raise")
