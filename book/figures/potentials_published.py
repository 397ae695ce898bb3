"""MAE of the fitted potentials beside the paper's, map by map."""

import matplotlib.pyplot as plt
import numpy as np

from cgcore import plots

MAPS = {"four_site": "four-site", "three_site": "three-site", "two_site": "two-site"}


def draw(chapter):
    figure, axes = plt.subplots(1, len(MAPS), figsize=(3.6 * len(MAPS), 4.8))
    for ax, (name, title) in zip(axes, MAPS.items(), strict=True):
        labels = [label for label in chapter.table(name) if "_seed" not in label]
        places, mae = np.arange(len(labels)), [chapter.row(label, "force_mae_meV_per_A") for label in labels]
        ax.errorbar(places, [m.value for m in mae], [m.error for m in mae], fmt="o", capsize=3, label="here")
        paper = [chapter.value(label, "published_mae", np.nan) for label in labels]
        ax.plot(places, paper, "_", markersize=16, markeredgewidth=2, color=plots.REFERENCE_COLOUR, label="paper")
        names = [chapter.title(k).removeprefix(f"{title}, ").removeprefix("MACE ") for k in labels]
        ax.set_xticks(places, names, rotation=60, ha="right")
        ax.set(title=title, ylabel="force MAE (meV/Å)")
        ax.margins(x=0.1)
    for ax in axes[1:]:
        ax.set_ylabel("")
    axes[0].legend()
    return figure
