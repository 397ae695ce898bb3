"""How far the basins of models are from the reference's, by what they were trained on."""

import matplotlib.pyplot as plt
import numpy as np

from cgcore import plots
from cgcore.acceptance import DEPTH_KT, DEVIATIONS
from cgcore.units import kT

BASINS = {"phi_positive": "φ > 0", "alpha_R": "α"}
TEMPERATURE_K = 300.0


def draw(chapter):
    """Bars are two standard errors, of walks and reference together; the band is what passes."""
    labels, limit = chapter.table("labels"), DEPTH_KT * kT(TEMPERATURE_K)
    places = -np.arange(len(labels))
    figure, axes = plt.subplots(1, len(BASINS), figsize=(8.4, 0.8 + 0.42 * len(labels)), sharex=True, sharey=True)
    for ax, (basin, title) in zip(axes, BASINS.items(), strict=True):
        gaps = [chapter.row(label, f"walks_{basin}_depth_kJ_mol") for label in labels]
        errors = [DEVIATIONS * gap.error for gap in gaps]
        ax.axvspan(-limit, limit, color=plots.REFERENCE_COLOUR, alpha=0.15, lw=0)
        ax.axvline(0.0, color=plots.REFERENCE_COLOUR, lw=0.8)
        ax.errorbar([gap.value for gap in gaps], places, xerr=errors, fmt="o", color=plots.PALETTE[0], capsize=3)
        ax.set(title=title, xlabel="Too shallow (−) or too deep (+) (kJ/mol)", yticks=places)
        ax.margins(y=0.2)
        for place, words in ((0.0, " reference"), (-limit, r" $\pm k_\mathrm{B}T$")):
            ax.annotate(
                words, (place, 0.99), xycoords=("data", "axes fraction"), va="top", color=plots.REFERENCE_COLOUR
            )
    axes[0].set_yticklabels([chapter.title(label) for label in labels])
    return figure
