"""What the figures of several chapters share: surfaces on one scale, curves of a liquid, maps, labels of panels."""

import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from cgbook.results import Chapter
from cgcore import mapping, plots, poster, viewer
from cgcore.observables import BAND
from cgcore.reference import sets

VMAX = 15.0
"""kJ/mol, the top of the colour scale."""
COLUMNS = 3
"""Of maps in a figure."""
CHARACTERS = 30
"""Of a line in the title of a panel."""
REFERENCE_LINE = {"color": plots.REFERENCE_COLOUR, "linewidth": 2.2, "zorder": 1}


def surfaces(chapter: Chapter, places: Sequence[Sequence[str]]) -> Figure:
    """Draw free energies on one scale with one colour bar, a panel for each label of rows of them, "" for none.

    Labels of axes are only at the first panel of each row and the lowest of each column.
    """
    drawn = np.array(places) != ""
    size = (2.9 * drawn.shape[1] + 0.9, 3.05 * len(drawn) + 0.3)
    figure, axes = plt.subplots(*drawn.shape, figsize=size, sharex=True, sharey=True, squeeze=False)
    for ax in axes[~drawn]:
        ax.set_axis_off()
    for r, k in np.argwhere(drawn):
        mesh = surface(axes[r, k], chapter, places[r][k])
        first, lowest = not drawn[r, :k].any(), not drawn[r + 1 :, k].any()
        axes[r, k].tick_params(labelleft=first, labelbottom=lowest)
        axes[r, k].yaxis.label.set_visible(first)
        axes[r, k].xaxis.label.set_visible(lowest)
    plots.free_energy_bar(list(axes.flat), mesh)
    return figure


def surface(ax, chapter: Chapter, label: str, **look):
    """Draw F over handedness and helicity, or over phi and psi under a title with the time simulated; the mesh."""
    curves, title = chapter.curves(label), chapter.title(label)
    look = {"vmax": VMAX, "colourbar": False} | look
    if "chi_edges" in curves:
        return plots.helix_surface(ax, curves["F"], curves["chi_edges"], curves["q_edges"], **{"title": title} | look)
    title = f"{title.replace('all species', 'all')} ({chapter.row(label, 'ns').value:.3g}\u00a0ns)"
    return plots.ramachandran(ax, curves["F"], curves["edges"], textwrap.fill(title, CHARACTERS), **look)


def density(ax, curves: dict, name: str, **line):
    """The density of a bonded quantity, with a band of BAND standard deviations over replicas or blocks."""
    plots.density(ax, name, curves[f"{name}_edges"], curves[name], BAND * curves[f"{name}_sd"], **line)


def rdf(ax, curves: dict, **line):
    """g of two A beads from where it begins, with such a band."""
    r, g = curves["r"], curves["g_AA"]
    plots.rdf(ax, r, g, BAND * curves["g_AA_sd"], legend=False, **line)
    ax.set(ylabel=r"$g_\mathrm{AA}(r)$", xlim=(max(0.0, float(r[np.flatnonzero(g)[0]]) - 0.05), 1.3))


def legend_above(figure, ncols: int = 4):
    """Every label of the panels once, above them."""
    handles = {}
    for ax in figure.axes:
        handles |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=min(ncols, len(handles)))


def maps(chapter: Chapter, reference: str, residue: str, entries: Sequence[tuple[str, str, str]]) -> Figure:
    """Draw the first molecule of a reference set, its atoms inside the beads of each (map, typing, title)."""
    topology, atoms = sets.load(reference)
    rows = -(-len(entries) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(3.1 * COLUMNS, 2.3 * rows), squeeze=False, layout="none")
    figure.subplots_adjust(left=0, right=1, bottom=0, top=1 - 0.11 / rows, wspace=0, hspace=0.12)
    for ax, (name, typing, title) in zip(axes.flat, entries, strict=True):
        beads = mapping.load(name, topology, typing=typing, residue=residue)
        position = mapping.apply(beads, atoms[:1]).position[0]
        molecule = viewer.first_molecule(topology, atoms.position[0], beads, position)
        poster.panel(ax, *viewer.scene(*molecule))
        ax.set_title(title, fontsize=11)
    return figure
