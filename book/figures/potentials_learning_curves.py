"""Held-out RMSE against frames, with the noise floor from neighbours where there is one."""

import matplotlib.pyplot as plt
import numpy as np

from cgcore import plots
from cgcore.analysis import force_errors

LIMITS = (
    ("learning_curve_rmse", "its limit", plots.PALETTE[0]),
    ("neighbours_rmse", "from neighbours", plots.PALETTE[1]),
)


def draw(chapter):
    labels = chapter.table("noise_floor")
    figure, axes = plt.subplots(1, len(labels), figsize=(3.2 * len(labels), 3.2))
    for ax, label in zip(axes, labels, strict=True):
        curves, rows = chapter.curves(label), chapter.rows[chapter.run(label)]
        value, error = np.array([force_errors.rmse(errors) for errors in curves["errors"]]).T
        ax.errorbar(curves["n_frames"], value, error, fmt="o-", capsize=3)
        for quantity, words, colour in LIMITS:
            if quantity in rows:
                middle, error, *_ = rows[quantity]
                ax.axhline(middle, color=colour, linestyle="--", label=words)
                ax.axhspan(middle - error, middle + error, color=colour, alpha=0.2, linewidth=0)
        ax.set(xscale="log", title=chapter.title(label), xlabel="training frames")
        ax.legend()
    axes[0].set_ylabel("held-out force RMSE (meV/Å)")
    return figure
