"""Shares of alpha-helical residues and of their mirror images over time; the reference's as dashed lines."""

import matplotlib.pyplot as plt

from cgcore import plots
from cgcore.analysis.chain_series import over_replicas

LABELS = ("chain_core", "chain_core_beta")
QUANTITIES = {"alpha": ("α", plots.PALETTE[0]), "mirror_alpha": ("mirror image of α", plots.PALETTE[3])}


def draw(chapter):
    figure, axes = plt.subplots(1, len(LABELS), figsize=(3.4 * len(LABELS) + 0.4, 3.2), sharey=True)
    for ax, label in zip(axes, LABELS, strict=True):
        curves = chapter.curves(label)
        time, label_of_time = plots.times(curves["time"])
        for name, (words, colour) in QUANTITIES.items():
            mean, error = over_replicas(curves[name])
            plots.band(ax, time, mean, error, label=words, color=colour)
            ax.axhline(chapter.row("reference", name).value, color=colour, linewidth=1.0, linestyle="--")
        ax.set(title=chapter.title(label), xlabel=label_of_time, ylabel="Share of residues")
        ax.set_ylim(bottom=0)
        ax.label_outer()
    axes[-1].legend()
    return figure
