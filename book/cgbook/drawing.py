"""What the figures of several chapters share: surfaces on one scale, curves of a liquid, maps, labels of panels."""

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np

from cgbook.results import Chapter
from cgcore import mapping, plots, poster, viewer
from cgcore.observables import BAND
from cgcore.reference import sets

VMAX = 15.0
"""kJ/mol, the top of the colour scale."""
REFERENCE_LINE = {"color": plots.REFERENCE_COLOUR, "linewidth": 2.2, "zorder": 1}


def ramachandrans(chapter: Chapter, places: Sequence[Sequence[str | None]]):
    """Free energies over phi and psi on one scale, a panel for each label, titled with the time simulated."""

    def panel(ax, label: str):
        curves, ns = chapter.curves(label), chapter.row(label, "ns").value
        title = f"{chapter.title(label).replace('all species', 'all')} ({ns:.3g} ns)"
        return plots.ramachandran(ax, curves["F"], curves["edges"], title, vmax=VMAX, colourbar=False)

    return _surfaces(places, panel)


def helices(chapter: Chapter, labels: Sequence[str]):
    """Free energies over handedness and helicity on one scale, side by side."""

    def panel(ax, label: str):
        F, chi_edges, q_edges = (chapter.curves(label)[name] for name in ("F", "chi_edges", "q_edges"))
        return plots.helix_surface(ax, F, chi_edges, q_edges, chapter.title(label), vmax=VMAX, colourbar=False)

    return _surfaces([labels], panel)


def _surfaces(places: Sequence[Sequence[str | None]], panel: Callable):
    """One colour bar for all; labels of axes only at the first panel of each row and the lowest of each column."""
    drawn = np.array([[label is not None for label in row] for row in places])
    size = (2.9 * drawn.shape[1] + 0.9, 3.05 * len(drawn) + 0.3)
    figure, axes = plt.subplots(*drawn.shape, figsize=size, sharex=True, sharey=True, squeeze=False)
    for ax in axes[~drawn]:
        ax.set_axis_off()
    for r, k in np.argwhere(drawn):
        mesh = panel(axes[r, k], places[r][k])
        first, lowest = not drawn[r, :k].any(), not drawn[r + 1 :, k].any()
        axes[r, k].tick_params(labelleft=first, labelbottom=lowest)
        axes[r, k].yaxis.label.set_visible(first)
        axes[r, k].xaxis.label.set_visible(lowest)
    plots.free_energy_bar(list(axes.flat), mesh)
    return figure


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


def maps(reference: str, residue: str, entries: Sequence[tuple[str, str, str]], columns: int = 3):
    """The first molecule of a reference set, its atoms inside the beads of each (map, typing, title)."""
    topology, atoms = sets.load(reference)
    rows = -(-len(entries) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.1 * columns, 2.3 * rows), squeeze=False, layout="none")
    figure.subplots_adjust(left=0, right=1, bottom=0, top=1 - 0.11 / rows, wspace=0, hspace=0.12)
    for ax, (name, typing, title) in zip(axes.flat, entries, strict=True):
        beads = mapping.load(name, topology, typing=typing, residue=residue)
        position = mapping.apply(beads, atoms[:1]).position[0]
        molecule = viewer.first_molecule(topology, atoms.position[0], beads, position)
        poster.panel(ax, *viewer.scene(*molecule))
        ax.set_title(title, fontsize=11)
    return figure
