"""Share of replicas whose bonds are whole at constant energy: a panel for each map, a curve for each time step."""

import matplotlib.pyplot as plt

from cgcore import plots


def draw(chapter):
    labels = chapter.table("nve")
    figure, axes = plt.subplots(1, len(labels), figsize=(2.5 * len(labels) + 0.6, 3.2), sharey=True)
    for ax, label in zip(axes, labels, strict=True):
        curves = chapter.curves(label)
        steps = curves["step_fs"]
        for step, whole, colour in zip(steps, curves["survival"], plots.shades(len(steps)), strict=True):
            plots.survival(ax, curves["time"], whole, color=colour)
            ax.lines[-1].set_label(f"{step:g} fs")
        ax.set_title(chapter.title(label))
        ax.label_outer()
    axes[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
