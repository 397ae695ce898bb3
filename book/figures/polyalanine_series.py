"""Handedness of every replica over time, and below it how many count."""

import matplotlib.pyplot as plt

from cgcore import plots

LABELS = ("chain_ca", "chain_core", "chain_core_beta")


def draw(chapter):
    size = (3.4 * len(LABELS) + 0.4, 4.6)
    figure, axes = plt.subplots(2, len(LABELS), figsize=size, sharex="col", sharey="row", height_ratios=(3, 1))
    for (above, below), label in zip(axes.T, LABELS, strict=True):
        curves = chapter.curves(label)
        plots.handedness_series(above, curves["time"], curves["chi"])
        plots.survival(below, curves["time"], curves["survival"])
        above.set_title(chapter.title(label))
        for ax in (above, below):
            ax.label_outer()
    return figure
