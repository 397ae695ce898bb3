"""Free energy along the improper dihedral, beside the study's barriers, and the mean first-passage time over temperature."""

import matplotlib.pyplot as plt

from cgbook.drawing import legend_above
from cgcore import plots
from cgcore.metadynamics.barrier import without_flat_top


def draw(chapter):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.4, 3.6))
    for k, (label, colour) in enumerate(zip(chapter.table("inversion"), plots.PALETTE, strict=False)):
        curves = chapter.curves(label)
        shown = without_flat_top(curves["F"]), curves["F_error"]
        plots.inversion(left, curves["points"], *shown, label=chapter.title(label), color=colour)
        above, _, published = str(chapter.value(label, "published_barrier")).rpartition(" ")
        left.plot(150 + 20 * k, float(published), "^" if above else "_", color=colour, ms=7 if above else 14, mew=2)
        passage = (curves[f"log10_passage_time_s{end}"] for end in ("", "_error"))
        plots.passage_time(right, curves["temperature_K"], *passage, color=colour)
    left.get_legend().remove()  # the curves leave no room
    legend_above(figure, ncols=2)
    return figure
