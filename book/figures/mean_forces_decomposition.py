"""The two parts of the mean square error of each potential, and the held-out one beside their sum."""

import matplotlib.pyplot as plt
import numpy as np

from cgcore import plots

MAPS = ("four_site", "three_site", "two_site")
SHARED = (" ν = 2, 2 layers,", ", barrier prior", ", 3 layers", " hexane")
"""What the titles of a map have in common."""


def draw(chapter):
    labels = {name: [k for k in chapter.table(name) if chapter.value(k, "loss_rmse") is not None] for name in MAPS}
    counts = [len(of_map) for of_map in labels.values()]
    size = (8.6, 1.2 + 0.36 * sum(counts) + 0.5 * len(counts))
    figure, axes = plt.subplots(len(MAPS), 1, figsize=size, height_ratios=counts)
    for ax, (name, of_map) in zip(axes, labels.items(), strict=True):
        places = np.arange(len(of_map))
        noise, error, loss = (
            np.array([chapter.row(label, f"{part}_rmse")[:2] for label in of_map]).T
            for part in ("noise", "error", "loss")
        )
        noise2, error2, loss2 = noise[0] ** 2 / 1000, error[0] ** 2 / 1000, loss[0] ** 2 / 1000
        spread = 2 * loss[0] * loss[1] / 1000
        ax.barh(places, noise2, 0.6, color=plots.PALETTE[0], alpha=0.6, label="noise")
        ax.barh(places, error2, 0.6, left=noise2, color=plots.PALETTE[1], label="error of the mean force")
        ax.errorbar(loss2, places, xerr=spread, fmt="o", color="black", capsize=3, label="held out")
        ax.set_yticks(places, [_short(chapter.title(label)) for label in of_map], fontsize=9)
        ax.set_title(chapter.title(name), loc="left")
        ax.invert_yaxis()
    axes[-1].set_xlabel("mean square error (10³ (meV/Å)²)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return figure


def _short(title: str) -> str:
    for words in (f"{title.partition(', ')[0]}, ", *SHARED):
        title = title.replace(words, "")
    return title
