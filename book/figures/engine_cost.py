"""Time and memory of a step against beads, and its time for each bead against replicas."""

import matplotlib.pyplot as plt
import numpy as np

PANELS = (
    ("beads", "ours_ms", "ms per step"),
    ("beads", "memory_GB", "memory (GB)"),
    ("replicas", "us_per_bead", "µs per bead and step"),
)


def draw(chapter):
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2))
    for ax, (table, quantity, words) in zip(axes, PANELS, strict=True):
        labels = chapter.table(table)
        points = np.array([[chapter.row(label, name).value for name in (table, quantity)] for label in labels])
        ax.plot(*points.T, "o-")
        ax.set(xlabel=table, ylabel=words, xscale="log")
        ax.set(yscale="log") if quantity == "ours_ms" else ax.set_ylim(0, None)
    return figure
