"""The pictures behind a diagnosis: what a symmetry makes of the reference, what is left of a hand, and bonds beside strangers."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cgcore import plots
from cgcore.analysis.surface import free_energy
from cgcore.doctor import observables
from cgcore.doctor.examine import Broken, OfMolecule
from cgcore.doctor.groups import Element
from cgcore.doctor.stereo import Retention, volume

MOST_FRAMES = 20_000
VMAX = 20.0
GREEK = {"phi": "φ", "psi": "ψ", "omega": "ω", "chi": "χ"}


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
        figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.4), sharex=True, sharey=True)
        for ax, (title, counts) in zip(axes, pictures.items(), strict=True):
            F = free_energy(counts.reshape(shape).astype(float), temperature_K)
            if len(shape) == 2:
                mesh = _surface(ax, F, axes_of, title)
            else:
                _profile(ax, F, axes_of[0], title)
            ax.label_outer()
            for axis, beads in zip((ax.xaxis, ax.yaxis), looks[0].coordinates, strict=False):
                if len(beads) == 4:
                    plots.degree_axis(axis, axis.get_label_text())
        if len(shape) == 2:
            plots.free_energy_bar(axes, mesh)
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


def separations(lengths, unsampled) -> Figure:
    """Range of each kind of bond, the closest bead without a bond, and the distances between them that no frame has."""
    bond, stranger = plots.PALETTE[0], plots.PALETTE[3]
    known = [v for entry in lengths for v in (*entry.bonded, entry.of_species, entry.of_kind) if np.isfinite(v)]
    left, right = min(known), max(known)
    room = 0.1 * (right - left)
    with plots.style():
        figure, ax = plt.subplots(figsize=(7.6, 1.3 + 0.34 * len(lengths)))
        for row, entry in enumerate(lengths):
            for gap in unsampled:
                if gap.pair == entry.pair and gap.on_the_way:
                    ax.barh(
                        row, gap.high - gap.low, left=gap.low, height=0.5, color="0.93", edgecolor="0.7", hatch="////"
                    )
            ax.barh(row, np.ptp(entry.bonded), left=entry.bonded[0], height=0.3, color=bond)
            for closest, colour in ((entry.of_kind, "0.4"), (entry.of_species, stranger)):
                if np.isfinite(closest) and not (colour == "0.4" and closest >= entry.of_species):
                    ax.plot([closest] * 2, [row - 0.35, row + 0.35], color=colour, linewidth=2)
                    ax.plot([closest, right + room], [row, row], color=colour, linewidth=1)
        ax.set_yticks(range(len(lengths)), [entry.pair for entry in lengths])
        ax.set(xlabel="Distance (nm)", xlim=(left - room, right + room), ylim=(len(lengths) - 0.4, -0.6))
        handles = {
            "bonds": Patch(color=bond),
            "strangers of the partner's species": Line2D([], [], color=stranger, linewidth=2),
        }
        if any(entry.of_kind < entry.of_species or np.isnan(entry.of_species) for entry in lengths):
            handles["of its mass, whatever the label"] = Line2D([], [], color="0.4", linewidth=2)
        if any(gap.on_the_way for gap in unsampled):
            handles["no frame"] = Patch(facecolor="0.93", edgecolor="0.7", hatch="////")
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4, fontsize="small")
    return figure


def _in_units(look: observables.Observable, bins) -> list[tuple[np.ndarray, str]]:
    """Edges and label of each axis: distances of two beads in nm, angles and dihedrals in degrees."""
    names = look.name.split(", ", 1) if len(bins) == 2 else [look.name]
    names = [GREEK.get(name, name) for name in names]
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
    return mesh


def _profile(ax, F, axis, title):
    edges, label = axis
    ax.stairs(F, edges, baseline=None)
    ax.set(xlabel=label, ylabel="F (kJ/mol)", title=title, ylim=(-0.05 * VMAX, VMAX))


def _thinned(x: np.ndarray) -> np.ndarray:
    flat = x.reshape(-1, *x.shape[2:])
    return flat[:: max(1, len(flat) // MOST_FRAMES)]
