"""Figures 5 and 6 of the study, and those beside them, from whatever runs are there."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from cgcore import plots
from cgcore.analysis.chain import OF_RESIDUES
from cgcore.book.polyalanine_tables import MAPS, REFERENCE, Setting, load

VMAX = 15.0  # kJ/mol, the top of the colour scale
SPECIES = ("study", "symmetric", "single", "alternating")
OF_REFERENCE = Setting(map=REFERENCE)


def draw(folder: Path) -> list[Path]:
    """figure6.png, species.png, controls.png, series.png and residues.png in the folder of collected runs; those with runs
    to show."""
    found = load(folder)
    plain = [Setting(map=map) for map in MAPS]
    species = [Setting(map="chain_ca", typing=typing) for typing in SPECIES]
    controls = [which for which in found if {"mirror", "SO(3)"} & set(which.extras)]
    drawn = {
        "figure6.png": surfaces(found, [*plain, OF_REFERENCE]),
        "species.png": surfaces(found, species),
        "controls.png": surfaces(found, [plain[0], *controls]) if controls else None,
        "series.png": series(found, plain),
        "residues.png": residues(found, plain),
    }
    paths = []
    for name, figure in drawn.items():
        if figure is not None:
            figure.savefig(folder / name, dpi=130)
            plt.close(figure)
            paths.append(folder / name)
    return paths


def surfaces(found: dict, wanted: list[Setting]):
    """F(chi, Q) of the settings that are there side by side, on one scale; None without any but the reference."""
    shown = [which for which in wanted if "F" in found.get(which, ({}, {}))[1]]
    if not set(shown) - {OF_REFERENCE}:
        return None
    with plots.style():
        size = (2.9 * len(shown) + 1.0, 3.4)
        figure, axes = plt.subplots(1, len(shown), figsize=size, sharex=True, sharey=True, squeeze=False)
        for ax, which in zip(axes[0], shown, strict=True):
            arrays = found[which][1]
            bins = arrays["chi_edges"], arrays["q_edges"]
            mesh = plots.helix_surface(ax, arrays["F"], *bins, title=which.label, vmax=VMAX, colourbar=False)
            ax.label_outer()
        plots.free_energy_bar(list(axes[0]), mesh)
    return figure


def series(found: dict, wanted: list[Setting]):
    """Handedness of every replica over time, and below it how many count; None without runs."""
    shown = [which for which in wanted if "chi" in found.get(which, ({}, {}))[1]]
    if not shown:
        return None
    with plots.style():
        size = (3.4 * len(shown) + 0.4, 4.6)
        figure, axes = plt.subplots(
            2, len(shown), figsize=size, sharex="col", sharey="row", squeeze=False, height_ratios=(3, 1)
        )
        for (above, below), which in zip(axes.T, shown, strict=True):
            arrays = found[which][1]
            plots.handedness_series(above, arrays["time"], arrays["chi"])
            plots.survival(below, arrays["time"], arrays["survival"])
            above.set_title(which.label)
            for ax in (above, below):
                ax.label_outer()
    return figure


def residues(found: dict, wanted: list[Setting]):
    """Shares of alpha-helical residues and of their mirror images over time, means over replicas with standard errors,
    and the reference's as dashed lines; None without runs whose maps have backbones."""
    shown = [which for which in wanted if OF_RESIDUES[0] in found.get(which, ({}, {}))[1]]
    if not shown:
        return None
    names = {"alpha": ("α", plots.PALETTE[0]), "mirror_alpha": ("mirror image of α", plots.PALETTE[3])}
    reference = found.get(OF_REFERENCE, ({}, {}))[0]
    with plots.style():
        size = (3.4 * len(shown) + 0.4, 3.2)
        figure, axes = plt.subplots(1, len(shown), figsize=size, sharey=True, squeeze=False)
        for ax, which in zip(axes[0], shown, strict=True):
            arrays = found[which][1]
            for name, (label, colour) in names.items():
                time, told = plots.times(arrays["time"])
                counted = np.isfinite(arrays[name]).sum(0)
                time, shares, counted = time[counted > 1], arrays[name][:, counted > 1], counted[counted > 1]
                mean = np.nanmean(shares, axis=0)
                error = np.nanstd(shares, axis=0, ddof=1) / np.sqrt(counted)
                ax.plot(time, mean, color=colour, label=label)
                ax.fill_between(time, mean - error, mean + error, color=colour, alpha=0.25, linewidth=0)
                if name in reference:
                    ax.axhline(reference[name], color=colour, linewidth=1.0, linestyle="--")
            ax.set(title=which.label, xlabel=told, ylabel="Share of residues")
            ax.set_ylim(bottom=0)
            ax.label_outer()
        axes[0, -1].legend()
    return figure
