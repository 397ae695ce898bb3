"""MAE of the fitted potentials beside the paper's, map by map."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

from cgcore import plots

MAPS = {"four_site": "four-site", "three_site": "three-site", "two_site": "two-site"}


def draw(chapter):
    labels = {name: [k for k in chapter.table(name) if "_seed" not in k] for name in MAPS}
    counts = [len(of_map) for of_map in labels.values()]
    size = (8.6, 1.2 + 0.25 * sum(counts) + 0.6 * len(counts))
    figure, axes = plt.subplots(len(MAPS), 1, figsize=size, height_ratios=counts)
    for ax, (name, title) in zip(axes, MAPS.items(), strict=True):
        places = np.arange(len(labels[name]))
        mae = [chapter.row(label, "force_mae_meV_per_A") for label in labels[name]]
        ax.errorbar([m.value for m in mae], places, xerr=[m.error for m in mae], fmt="o", capsize=3, label="here")
        paper = [chapter.value(label, "published_mae", np.nan) for label in labels[name]]
        ax.plot(paper, places, "|", markersize=13, markeredgewidth=2, color=plots.REFERENCE_COLOUR, label="paper")
        ax.set_yticks(places, [chapter.title(k).removeprefix(f"{title}, ").removeprefix("MACE ") for k in labels[name]])
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=(1, 2, 5, 10)))
        ax.set_title(title.capitalize(), loc="left")
        ax.invert_yaxis()
        ax.margins(y=0.1)
    axes[-1].set_xlabel("force MAE (meV/Å)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure
