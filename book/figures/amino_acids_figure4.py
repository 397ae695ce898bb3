"""Free energy along the improper dihedral, and the mean first-passage time over temperature where there were transitions."""

import matplotlib.pyplot as plt
import numpy as np

from cgcore import plots
from cgcore.metadynamics.barrier import without_flat_top


def draw(chapter):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.4, 3.6))
    for label, colour in zip(chapter.table("inversion"), plots.PALETTE, strict=False):
        curves = chapter.curves(label)
        shown = without_flat_top(curves["F"]), curves["F_error"]
        plots.inversion(left, curves["points"], *shown, label=chapter.title(label), color=colour)
        passage = curves["log10_passage_time_s"], curves["log10_passage_time_s_error"]
        if np.isfinite(passage).any():
            plots.passage_time(right, curves["temperature_K"], *passage, color=colour)
    left.get_legend().remove()  # above both panels, whose curves leave no room
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure
