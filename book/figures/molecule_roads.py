"""One distribution of each molecule of the page "Your molecule", model and reference."""

import matplotlib.pyplot as plt

from cgcore import plots

SHOWN = {
    "valine": ("dihedral_C-CA-N-C_ace", "Valine: φ"),
    "chignolin": ("gyration", "Chignolin: radius of gyration"),
    "butanol": ("dihedral_C1-C2-C4-C5", "2-Butanol: C1–C2–C4–C5"),
    "ethanol": ("g_OHOH", "Ethanol: OH–OH"),
    "water": ("g_WW", "Water"),
}
"""Label -> curve and title."""


def draw(chapter):
    figure, axes = plt.subplots(1, len(SHOWN), figsize=(3.1 * len(SHOWN), 3.2))
    for ax, (label, (name, title)) in zip(axes, SHOWN.items(), strict=True):
        curves = chapter.curves(label)
        for key, words, colour in ((f"reference_{name}", "reference", plots.REFERENCE_COLOUR), (name, "model", "C0")):
            values = curves[key], curves[f"{key}_error"]
            if name.startswith("g_"):
                plots.rdf(ax, curves["r"], *values, label=words, color=colour)
            else:
                plots.density(ax, name, curves[f"{name}_edges"], *values, label=words, color=colour)
        ax.set_title(title)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure
