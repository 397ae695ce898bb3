"""RMS of the mapped forces, and RMSE and MAE of the splines, from the sum and from the optimised force map."""

import matplotlib.pyplot as plt
import numpy as np

QUANTITIES = {
    "mapped_force_rms_meV_per_A": "RMS of forces",
    "force_rmse_meV_per_A": "RMSE",
    "force_mae_meV_per_A": "MAE",
}


def draw(chapter):
    labels, places = chapter.table("force_map_gain"), np.arange(len(QUANTITIES))
    figure, axes = plt.subplots(1, len(labels), figsize=(3.0 * len(labels), 3.0), sharey=True)
    for ax, label in zip(axes, labels, strict=True):
        for offset, force_map, words in ((-0.2, "sum", "plain sum"), (0.2, "optimised", "optimised")):
            heights = [chapter.row(label, f"{force_map}_{quantity}").value for quantity in QUANTITIES]
            ax.bar(places + offset, heights, 0.36, label=words)
        ax.set_xticks(places, QUANTITIES.values())
        ax.set_title(chapter.title(label))
    axes[0].set_ylabel("meV/Å")
    axes[-1].legend()
    return figure
