"""Self-diffusion of beads by Einstein's relation."""

import numpy as np

from cgcore.analysis.blocks import Estimate
from cgcore.analysis.sample import Sample
from cgcore.geometry import displacement
from cgcore.units import PS_PER_NS

LAGS = 8


def unwrapped(position: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Continuous paths (T, N, 3) nm from wrapped or unwrapped ones: no bead moves by half a box between frames."""
    x = np.asarray(position, float)
    return position[:1] + np.cumsum(displacement(np.concatenate([x[:1], x[:-1]]), x, box), axis=0)


def diffusion(sample: Sample, *, from_ps: float = 5.0, to_ps: float = 20.0) -> tuple[Estimate | None, dict]:
    """D in nm^2/ns (the same number in 10^-5 cm^2/s) from the slope of the mean square displacement of the beads.

        <|r(t) - r(0)|^2> = 6 D t + c

    by least squares between two lags; what a bead moves inside its molecule is in c, whatever it is bonded to. The error is
    over replicas, or over the pieces of a single trajectory; those shorter than twice the longest lag are left out.
    None where fewer than two remain. Also the arrays msd (L,) nm^2, mean over replicas, and msd_lag (L,) ps.
    """
    lags = np.unique(np.linspace(from_ps, to_ps, LAGS).round(9) / sample.frame_ps).round().astype(int)
    lags = np.unique(lags[lags > 0])
    long = [block for block in sample.blocks() if len(block) >= 2 * to_ps / sample.frame_ps]
    if len(long) < 2 or len(lags) < 2:
        return None, {}
    curves = np.array([mean_square_displacement(unwrapped(block, sample.box), lags) for block in long])
    slopes = np.polyfit(lags * sample.frame_ps, curves.T, 1)[0] / 6 * PS_PER_NS
    estimate = Estimate(float(slopes.mean()), float(slopes.std(ddof=1) / np.sqrt(len(slopes))))
    return estimate, {"msd": curves.mean(0), "msd_lag": lags * sample.frame_ps}


def mean_square_displacement(path: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """(L,) nm^2 of paths (T, N, 3) at lags (L,) in frames, over beads and all time origins."""
    return np.array([np.mean(np.sum((path[lag:] - path[:-lag]) ** 2, axis=-1)) for lag in lags])
