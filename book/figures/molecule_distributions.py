"""Capped threonine and phenylalanine by Core Beta: the six distributions that differ most from the reference's."""

import matplotlib.pyplot as plt

from cgcore import plots

LABEL = "thr_phe_core_beta"


def draw(chapter):
    ours, theirs = chapter.curves(LABEL), chapter.curves(f"reference_{LABEL}")
    rows = chapter.rows[chapter.run(LABEL)]
    apart = {name.removesuffix("_js"): row.value for name, row in rows.items() if name.endswith("_js")}
    worst = [name for name in sorted(apart, key=apart.get, reverse=True) if f"{name}_edges" in ours][:6]
    figure, axes = plt.subplots(2, 3, figsize=(9.6, 5.6))
    for ax, name in zip(axes.flat, worst, strict=True):
        for curves, label, colour in ((theirs, "reference", plots.REFERENCE_COLOUR), (ours, "Core Beta", "C0")):
            values = curves[name], curves[f"{name}_error"]
            plots.density(ax, name, ours[f"{name}_edges"], *values, label=label, color=colour)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure
