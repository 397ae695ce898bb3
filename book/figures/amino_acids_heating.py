"""Heating at constant energy over the time step, as far as half of the replicas live; a ring marks the paper's step."""

import matplotlib.pyplot as plt
import numpy as np

from cgcore import plots


def draw(chapter):
    figure, ax = plt.subplots(figsize=(5.4, 3.6))
    for label, colour in zip(chapter.table("nve"), plots.PALETTE, strict=False):
        curves = chapter.curves(label)
        steps = curves["step_fs"][curves["survival"][:, -1] >= 0.5]
        rows = [chapter.row(label, f"heating_{step:g}fs") for step in steps]
        kelvin, error = np.array([row[:2] for row in rows]).T
        plots.heating(ax, steps, kelvin, error, label=chapter.title(label), color=colour)
        paper = steps == chapter.value(label, "published_step_fs")
        ax.plot(steps[paper], kelvin[paper], "o", markersize=11, markerfacecolor="none", color=colour)
    ax.set_xticks(curves["step_fs"], [f"{step:g}" for step in curves["step_fs"]])
    ax.set_ylim(0.3, 1000)
    ax.legend()
    return figure
