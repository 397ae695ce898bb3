"""One distribution of each molecule of the page "Your molecule", model and reference."""

import matplotlib.pyplot as plt

from cgcore import plots

SHOWN = {
    "valine": ("dihedral_C-CA-N-C_ace", "Valine: φ"),
    "chignolin": ("gyration", "Chignolin: radius of gyration"),
    "butanol": ("dihedral_C1-C2-C4-C5", "2-Butanol: C1–C2–C4–C5"),
    "ethanol": ("g_OH-OH", "Ethanol: OH–OH"),
    "water": ("g_OH2-OH2", "Water"),
}
"""Label -> curve and title."""


def draw(chapter):
    figure, axes = plt.subplots(2, 3, figsize=(9.6, 5.6))
    axes[1, 2].set_axis_off()
    for ax, (label, (name, title)) in zip(axes.flat, SHOWN.items(), strict=False):
        ours, theirs = chapter.curves(label), chapter.curves(f"reference_{label}")
        for curves, words, colour in ((theirs, "reference", plots.REFERENCE_COLOUR), (ours, "model", "C0")):
            values = curves[name], curves[f"{name}_error"]
            if name.startswith("g_"):
                plots.rdf(ax, ours["r"], *values, label=words, legend=False, color=colour)
            else:
                plots.density(ax, name, ours[f"{name}_edges"], *values, label=words, color=colour)
        ax.set_title(title)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure
