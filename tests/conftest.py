"""A strict session: float64, no NaN, no silent overflow, no window."""

import jax
import matplotlib as mpl
import numpy as np

mpl.use("Agg")  # here and not in the environment: kernels of notebooks draw into their cells

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_debug_nans", True)
np.seterr(divide="raise", invalid="raise", over="raise")
