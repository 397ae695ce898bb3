"""Figures 1 and 2 of the study from whatever runs are there."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from cgcore import plots
from cgcore.book.hexane_bands import BAND
from cgcore.book.hexane_tables import MAPS, OPTIMAL, POTENTIALS, REFERENCE, WIDE_NM, load, pick
from cgcore.profiles.hexane import BUNDLED

QUANTITY = {"four_site": "dihedral_ABBA", "three_site": "angle_ABA", "two_site": "bond_AA"}
REFERENCE_LINE = {"color": plots.REFERENCE_COLOUR, "linewidth": 2.2, "zorder": 1}
LINES = {
    **{name: {"color": plots.MODEL_COLOURS[name], "label": POTENTIALS[name]} for name in ("spline", "mace")},
    OPTIMAL: {"color": plots.PALETTE[4], "label": "MACE, least noisy forces", "linestyle": "--"},
}
PAIRS_ONLY = (1, 1)
"""nu and layers with which MACE sees pairs alone."""


def draw(folder: Path) -> list[Path]:
    """figure1.png and figure2.png in the folder of collected runs; those for which there are runs."""
    found = load(folder)
    drawn = [(figure_1(found), "figure1.png"), (figure_2(found), "figure2.png")]
    paths = []
    for figure, name in drawn:
        if figure is not None:
            figure.savefig(folder / name, dpi=130)
            plt.close(figure)
            paths.append(folder / name)
    return paths


def figure_1(found: dict):
    """The bonded quantity that says most, and g of A and A: reference, splines and MACE, a column a map.

    The two-site MACE is drawn by nearest neighbours, whose bonds switch, and thinly by the first bonds; of the others the
    one from the least noisy forces is drawn dashed, where there is one.
    """
    maps = [m for m in QUANTITY if _models(found, m) and _reference(found, m)]
    if not maps:
        return None
    with plots.style():
        figure, axes = plt.subplots(2, len(maps), figsize=(3.05 * len(maps) + 0.1, 5.2), squeeze=False)
        for (above, below), map in zip(axes.T, maps, strict=True):
            name = QUANTITY[map]
            _density(above, name, _reference(found, map), label="reference", **REFERENCE_LINE)
            _rdf(below, _reference(found, map), **REFERENCE_LINE)
            for potential, arrays in _models(found, map).items():
                line = LINES[potential]
                shown = "nearest" if (map, potential) == ("two_site", "mace") else name
                if shown != name:
                    _density(above, name, arrays, color=line["color"], linewidth=0.9, linestyle=":")
                _density(above, shown, arrays, **line)
                _rdf(below, arrays, **{k: v for k, v in line.items() if k != "label"})
            above.set_title(MAPS[map])
            if map == "two_site":
                above.set_xlabel("Bond or nearest neighbour (nm)")
            below.set_ylabel(r"$g_\mathrm{AA}(r)$")
        for ax in axes[1, 1:]:
            ax.set_ylabel("")
        _legend(figure)
    return figure


def figure_2(found: dict):
    """MACE by correlation order and layers: (a) angle of the three-site model, (b) g of the two-site model."""
    panels = [("three_site", "a"), ("two_site", "b")]
    runs = {m: _by_order(found, m) for m, _ in panels}
    panels = [(m, letter) for m, letter in panels if runs[m] and _reference(found, m)]
    if not panels:
        return None
    orders = sorted({order for m, _ in panels for order in runs[m]})
    looks = _looks(orders)
    with plots.style():
        figure, axes = plt.subplots(1, len(panels), figsize=(4.6 * len(panels), 3.8), squeeze=False)
        for ax, (map, letter) in zip(axes[0], panels, strict=True):
            for order, arrays in [(None, _reference(found, map)), *runs[map].items()]:
                line = REFERENCE_LINE if order is None else looks[order]
                label = "reference" if order is None else f"ν = {order[0]}, L = {order[1]}"
                if map == "three_site":
                    _density(ax, QUANTITY[map], arrays, label=label, **line)
                else:
                    _rdf(ax, arrays, label=label, **line)
                    ax.set_ylabel(r"$g_\mathrm{AA}(r)$")
            ax.set_title(f"({letter}) {MAPS[map]}", loc="left")
        _legend(figure)
    return figure


def _legend(figure):
    """Every label once, above the panels."""
    handles = {}
    for ax in figure.axes:
        handles |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=min(4, len(handles)))


def _looks(orders: list[tuple[int, int]]) -> dict:
    """Pairs alone in a colour of its own; the others in one hue, darker with more body orders, in changing dashes."""
    many = [order for order in orders if order != PAIRS_ONLY]
    shades = plots.shades(len(many))
    styles = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)))
    looks = {o: {"color": s, "linestyle": styles[k % 4]} for k, (o, s) in enumerate(zip(many, shades, strict=True))}
    return looks | {PAIRS_ONLY: {"color": plots.PALETTE[3], "linestyle": "-"}}


def _reference(found: dict, map: str) -> dict | None:
    return (pick(found, map=map, potential=REFERENCE) or ({}, None))[1]


def _models(found: dict, map: str) -> dict[str, dict]:
    """Arrays of splines, and of MACE with nu = 2, two layers and the larger cut-off, by potential."""
    network = dict(map=map, potential="mace", nu=2, layers=2, cutoff_nm=WIDE_NM[map])
    runs = {
        "spline": pick(found, map=map, potential="spline"),
        "mace": pick(found, **network),
        OPTIMAL: pick(found, OPTIMAL, **network),
    }
    return {name: run[1] for name, run in runs.items() if run and run[1]}


def _by_order(found: dict, map: str) -> dict[tuple[int, int], dict]:
    """Arrays of the plain MACE runs with the larger cut-off by (nu, layers), all of the same frames."""
    cutoff = WIDE_NM[map]
    common = dict(map=map, potential="mace", cutoff_nm=cutoff, learn_from=BUNDLED)
    orders = sorted({(w.nu, w.layers) for w in found if (w.map, w.potential, w.cutoff_nm) == (map, "mace", cutoff)})
    runs = {o: pick(found, nu=o[0], layers=o[1], **common) for o in orders}
    return {order: run[1] for order, run in runs.items() if run and run[1]}


def _density(ax, name: str, arrays: dict, **line):
    plots.density(ax, name, arrays[f"{name}_edges"], arrays[name], BAND * arrays[f"{name}_sd"], **line)


def _rdf(ax, arrays: dict, **line):
    first = np.flatnonzero(arrays["g_AA"])[0]
    plots.rdf(ax, arrays["r"], arrays["g_AA"], BAND * arrays["g_AA_sd"], legend=False, **line)
    ax.set_xlim(max(0.0, float(arrays["r"][first]) - 0.05), 1.3)
