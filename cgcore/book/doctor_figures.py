"""The pictures behind a diagnosis: what a symmetry makes of the reference, what is left of a hand, and bonds beside strangers."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from cgcore import plots
from cgcore.analysis.surface import free_energy
from cgcore.doctor import observables
from cgcore.doctor.examine import Broken, OfMolecule
from cgcore.doctor.groups import Element
from cgcore.doctor.stereo import Retention, volume

MOST_FRAMES = 20_000
VMAX = 20.0


def symmetrised(m: OfMolecule, broken: Broken, x: np.ndarray, temperature_K: float) -> Figure:
    """The reference in the observable that suffers most, and its average with its image: what a model comes to at best.

    x: (T, M, n, 3) nm.
    """
    name = broken.worst.observable
    looks = [o for o in m.looks if o.name == name]
    x = _thinned(x)
    bins = observables.edges(looks[0], x)
    identity = Element(tuple(range(m.molecule.size)), 1)
    here, there = (observables.counts(looks[0], x, g, bins) for g in (identity, broken.element))
    shape = [len(edge) - 1 for edge in bins]
    axes_of = _in_units(looks[0], bins)
    pictures = {"reference": here, f"averaged with {broken.name}": here + there}
    with plots.style():
        figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.4), sharey=True)
        for ax, (title, counts) in zip(axes, pictures.items(), strict=True):
            counts = counts.reshape(shape).astype(float)
            if len(shape) == 2:
                _surface(ax, free_energy(counts, temperature_K), axes_of, title)
            else:
                _profile(ax, free_energy(counts, temperature_K), axes_of[0], title)
    return figure


def hands(m: OfMolecule, kept: list[Retention], x: np.ndarray) -> Figure:
    """Signed volumes of the beads at each stereocentre that still has four."""
    x = _thinned(x)
    with plots.style():
        figure, ax = plt.subplots(figsize=(5.6, 3.2))
        for centre in kept:
            ax.hist(
                volume(x, centre.beads),
                bins=np.linspace(-1, 1, 101),
                density=True,
                histtype="step",
                label=centre.centre,
            )
        ax.axvline(0, color="0.4", linewidth=1, linestyle="--")
        ax.set(xlabel="Signed volume at the stereocentre", ylabel="Density", xlim=(-1, 1))
        if len(kept) <= 8:
            ax.legend()
    return figure


def separations(lengths) -> Figure:
    """Range of each kind of bond beside the closest bead without a bond."""
    with plots.style():
        figure, ax = plt.subplots(figsize=(6.2, 0.9 + 0.32 * len(lengths)))
        for row, entry in enumerate(lengths):
            ax.plot(entry.bonded, (row, row), color=plots.PALETTE[0], linewidth=5, solid_capstyle="butt")
            ax.plot(entry.of_kind, row, marker="|", markersize=14, color="0.4", linestyle="none")
            ax.plot(entry.of_species, row, marker="|", markersize=14, color=plots.PALETTE[3], linestyle="none")
        ax.set_yticks(range(len(lengths)), [entry.pair for entry in lengths])
        ax.set(
            xlabel="Distance (nm)",
            ylim=(-0.6, len(lengths) - 0.4),
        )
        ax.invert_yaxis()
    return figure


def _in_units(look: observables.Observable, bins) -> list[tuple[np.ndarray, str]]:
    """Edges and label of each axis: distances of two beads in nm, angles and dihedrals in degrees."""
    names = look.name.split(", ", 1) if len(bins) == 2 else [look.name]
    lengths = [len(beads) == 2 for beads in look.coordinates]
    return [
        (edges, f"{name} (nm)") if is_length else (np.degrees(edges), f"{name} (°)")
        for name, edges, is_length in zip(names, bins, lengths, strict=True)
    ]


def _surface(ax, F, axes, title):
    (x, first), (y, second) = axes
    colours = plt.get_cmap(plots.SURFACE_COLOURS).with_extremes(over="0.9", bad="white")
    mesh = ax.pcolormesh(x, y, np.ma.masked_invalid(F.T), cmap=colours, vmin=0, vmax=VMAX)
    ax.set(xlabel=first, ylabel=second, title=title)
    plots.free_energy_bar(ax, mesh)


def _profile(ax, F, axis, title):
    edges, label = axis
    ax.stairs(F, edges, baseline=None)
    ax.set(xlabel=label, ylabel="F (kJ/mol)", title=title, ylim=(-0.05 * VMAX, VMAX))


def _thinned(x: np.ndarray) -> np.ndarray:
    flat = x.reshape(-1, *x.shape[2:])
    return flat[:: max(1, len(flat) // MOST_FRAMES)]
