"""Figures 3 and 4 of the study and those of its supporting information, from whatever runs are there."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from cgcore import plots
from cgcore.book.amino_settings import REFERENCE, Setting
from cgcore.book.amino_tables import load
from cgcore.metadynamics.barrier import without_flat_top

VMAX = 15.0
"""kJ/mol, the top of the colour scale."""
IMPLICIT = Setting(map=REFERENCE, reference="obc2")
EXPLICIT = Setting(map=REFERENCE)
OPENING = [[Setting(map="core"), Setting(map="core_beta"), EXPLICIT]]
NINE = [
    [EXPLICIT, *(Setting(map=m) for m in ("atomistic", "united_atom", "heavy_atom"))],
    [IMPLICIT, *(Setting(map="core", typing=t) for t in ("study", "unique", "single"))],
    [None, *(Setting(map="core_beta", typing=t) for t in ("study", "unique", "single"))],
]
RESIDUES = [
    [Setting(residue=r, map=m) for m in (REFERENCE, "core", "core_beta", "heavy_atom", "united_atom")]
    for r in ("gly", "pro", "thr")
]
KNOWING = Setting(map="core", extras=("SO(3)",))
"""Core by a network that tells a molecule from its mirror image."""
REMEDY = [[Setting(map="core"), KNOWING, EXPLICIT]]


def draw(folder: Path) -> list[Path]:
    """All pictures in the folder of collected runs; those for which there are runs."""
    found = load(folder)
    pictures = {
        "ramachandran.png": surfaces(found, OPENING),
        "marginals.png": marginals(found),
        "figure3.png": surfaces(found, NINE),
        "residues/surfaces.png": surfaces(found, RESIDUES),
        "options/surfaces.png": surfaces(found, REMEDY) if KNOWING in found else None,
        "nve/survival.png": survival(found),
        "nve/heating.png": heating(found),
        "inversion/figure4.png": barriers(found),
    }
    paths = []
    for name, figure in pictures.items():
        if figure is not None:
            figure.savefig(folder / name, dpi=130)
            plt.close(figure)
            paths.append(folder / name)
    return paths


def surfaces(found: dict, places: list[list[Setting | None]]):
    """Free energies over phi and psi on one scale, a panel for each place that has a run; None without a simulated one."""
    if not any(which in found and which.map != REFERENCE for row in places for which in row):
        return None
    rows = [row for row in places if any(which in found for which in row)]
    columns = [k for k in range(len(rows[0])) if any(row[k] in found for row in rows)]
    with plots.style():
        size = (2.9 * len(columns) + 0.9, 3.05 * len(rows) + 0.3)
        figure, axes = plt.subplots(len(rows), len(columns), figsize=size, sharex=True, sharey=True, squeeze=False)
        for r, k in np.ndindex(axes.shape):
            which = rows[r][columns[k]]
            if which not in found:
                axes[r, k].set_axis_off()
                continue
            table, arrays = found[which]
            title = f"{_title(which)} ({table['ns']:.3g} ns)"
            mesh = plots.ramachandran(axes[r, k], arrays["F"], arrays["edges"], title, vmax=VMAX, colourbar=False)
        _outer_labels(axes)
        plots.free_energy_bar(list(axes.flat), mesh)
    return figure


def marginals(found: dict):
    """The densities of phi and psi with standard errors, Core, Core Beta and the reference in one picture."""
    shown = [which for which in OPENING[0] if which in found]
    if not any(which.map != REFERENCE for which in shown):
        return None
    with plots.style():
        figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
        for number, which in enumerate(shown):
            arrays = found[which][1]
            colour = plots.REFERENCE_COLOUR if which.map == REFERENCE else plots.PALETTE[number]
            for ax, angle in zip(axes, ("phi", "psi"), strict=True):
                values = arrays[f"{angle}_density"], arrays[f"{angle}_density_error"]
                plots.marginals(ax, arrays["marginal_edges"], *values, angle, label=_title(which), color=colour)
        axes[1].set_ylabel("")
        axes[1].get_legend().remove()
    return figure


def survival(found: dict):
    """Share of replicas whose bonds are whole, at constant energy: a panel for each map, a curve for each time step."""
    shown = {which: arrays for which, (_, arrays) in found.items() if which.study == "nve"}
    if not shown:
        return None
    with plots.style():
        figure, axes = plt.subplots(1, len(shown), figsize=(2.5 * len(shown) + 0.6, 3.2), sharey=True, squeeze=False)
        for ax, (which, arrays) in zip(axes[0], shown.items(), strict=True):
            steps = arrays["step_fs"]
            for step, lived, colour in zip(steps, arrays["survival"], plots.shades(len(steps)), strict=True):
                plots.survival(ax, arrays["time"], lived, color=colour)
                ax.lines[-1].set_label(f"{step:g} fs")
            ax.set_title(which.label)
            ax.label_outer()
        axes[0, -1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def heating(found: dict):
    """Heating at constant energy over the time step, a curve for each map as far as half of its replicas live; a ring marks
    the study's step."""
    shown = {which: both for which, both in found.items() if which.study == "nve"}
    if not shown:
        return None
    with plots.style():
        figure, ax = plt.subplots(figsize=(5.4, 3.6))
        for (which, (table, arrays)), colour in zip(shown.items(), plots.PALETTE, strict=False):
            steps = arrays["step_fs"][arrays["survival"][:, -1] >= 0.5]
            kelvin, error = (np.array([table[f"heating_{s:g}fs{of}"] for s in steps]) for of in ("", "_error"))
            plots.heating(ax, steps, kelvin, error, label=which.label, color=colour)
            at = steps == table["published_step_fs"]
            ax.plot(steps[at], kelvin[at], "o", markersize=11, markerfacecolor="none", color=colour)
        ax.set_xticks(arrays["step_fs"], [f"{step:g}" for step in arrays["step_fs"]])
        ax.set_ylim(0.3, 1000)
        ax.legend()
    return figure


def barriers(found: dict):
    """Free energy along the improper dihedral, and the waiting time over temperature of the maps that went across."""
    shown = {which: arrays for which, (_, arrays) in found.items() if which.study == "inversion"}
    if not shown:
        return None
    with plots.style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(9.4, 3.6))
        for (which, arrays), colour in zip(shown.items(), plots.PALETTE, strict=False):
            shown = without_flat_top(arrays["F"]), arrays["F_error"]
            plots.inversion(left, arrays["points"], *shown, label=which.label, color=colour)
            if np.isfinite(arrays["log10_wait_s"]).any():
                waits = arrays["log10_wait_s"], arrays["log10_wait_s_error"]
                plots.passage_time(right, arrays["temperature_K"], *waits, color=colour)
        left.get_legend().remove()  # above both panels, whose curves leave no room
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _title(which: Setting) -> str:
    if which.map != REFERENCE:
        return which.label.replace("all species", "all")
    words = {EXPLICIT: "reference", IMPLICIT: "reference, implicit water"}
    return words.get(which, f"{which.residue.title()}, reference")


def _outer_labels(axes: np.ndarray):
    """Labels at the first panel of each row and the lowest of each column alone, so that panels come close."""
    drawn = np.vectorize(lambda ax: ax.axison)(axes)
    for r, k in np.argwhere(drawn):
        if drawn[r, :k].any():
            axes[r, k].set_ylabel("")
        if drawn[r + 1 :, k].any():
            axes[r, k].set_xlabel("")
        else:
            axes[r, k].tick_params(labelbottom=True)
        axes[r, k].tick_params(labelleft=not drawn[r, :k].any())
