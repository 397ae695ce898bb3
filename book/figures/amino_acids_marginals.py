"""The densities of phi and psi with standard errors: Core, Core Beta and the reference."""

import matplotlib.pyplot as plt

from cgcore import plots

LINES = {"core": plots.PALETTE[0], "core_beta": plots.PALETTE[1], "reference_ala2": plots.REFERENCE_COLOUR}


def draw(chapter):
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
    for label, colour in LINES.items():
        curves = chapter.curves(label)
        for ax, angle in zip(axes, ("phi", "psi"), strict=True):
            values = curves[f"{angle}_density"], curves[f"{angle}_density_error"]
            plots.marginals(ax, curves["marginal_edges"], *values, angle, label=chapter.title(label), color=colour)
    axes[1].set_ylabel("")
    axes[1].get_legend().remove()
    return figure
