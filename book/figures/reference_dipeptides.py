"""Ramachandran surfaces of the capped amino acids."""

import matplotlib.pyplot as plt

from cgcore import plots

COLUMNS = 3
VMAX = 20.0  # kJ/mol


def draw(chapter):
    labels = chapter.table("dipeptides")
    columns = min(COLUMNS, len(labels))
    rows = -(-len(labels) // columns)
    size = (3.2 * columns + 0.8, 3.4 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False)
    for ax, label in zip(axes.flat, labels, strict=False):
        curves = chapter.curves(label)
        title = chapter.title(label)
        mesh = plots.ramachandran(ax, curves["F"], curves["edges"], title=title, vmax=VMAX, colourbar=False)
        ax.label_outer()
    for above, ax in zip(axes.flat[len(labels) - columns :], axes.flat[len(labels) :], strict=False):
        ax.set_visible(False)
        above.tick_params(labelbottom=True)
        above.set_xlabel(plots.PHI)
    plots.free_energy_bar(list(axes.flat), mesh)
    return figure
