"""The pictures behind a diagnosis: what a symmetry makes of the reference, what is left of a handedness, and bond lengths."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cgcore import plots
from cgcore.analysis.surface import free_energy
from cgcore.doctor import Examination, observables
from cgcore.doctor.examine import Broken, OfMolecule
from cgcore.doctor.groups import Element
from cgcore.doctor.stereo import LOST, volume

MOST_FRAMES = 20_000
VMAX = 20.0
GREEK = {"phi": "φ", "psi": "ψ", "omega": "ω", "chi": "χ"}


def all_of(examination: Examination) -> Iterator[tuple[Figure, str]]:
    """Each figure of an examination with its caption."""
    for m in examination.molecules:
        x = m.molecule.select(examination.beads.position)
        x = x.reshape(-1, *x.shape[2:])
        x = x[:: max(1, len(x) // MOST_FRAMES)]
        for broken in m.broken:
            if broken.worst:
                yield (
                    symmetrised(m, broken, x, examination.temperature_K),
                    f"Free energy of the reference (left), and of its average with its {broken.name} (right), which is what "
                    "a model with that symmetry comes to at best. White: no frame.",
                )
        if any(s.state != LOST for s in m.stereo):
            yield (
                handedness(m, x),
                "Signed volume of the beads at each stereocentre that they show; at zero they lie in a plane.",
            )
    if examination.lengths:
        yield (
            separations(examination.lengths, examination.unsampled),
            "Bonds beside the closest beads without a bond. Where they meet, a bonded bead can be taken for a neighbour; "
            "where a gap lies between them, a network guesses.",
        )


def symmetrised(m: OfMolecule, broken: Broken, x: np.ndarray, temperature_K: float) -> Figure:
    """The reference in the observable that suffers most, and its average with its image; x: (K, n, 3) nm."""
    observable = next(o for o in m.observables if o.name == broken.worst.observable)
    bins = observables.edges(observable, x)
    shape = [len(edges) - 1 for edges in bins]
    identity = Element(tuple(range(m.molecule.size)), 1)
    here, there = (
        np.bincount(observables.place(observable, x, g, bins), minlength=np.prod(shape)).reshape(shape)
        for g in (identity, broken.element)
    )
    names = observable.name.split(", ", 1) if len(bins) == 2 else [observable.name]
    labels = [
        GREEK.get(n, n) + (" (nm)" if len(b) == 2 else " (°)")
        for n, b in zip(names, observable.coordinates, strict=True)
    ]
    bins = [e if len(b) == 2 else np.degrees(e) for e, b in zip(bins, observable.coordinates, strict=True)]
    colours = plt.get_cmap(plots.SURFACE_COLOURS).with_extremes(over="0.9", bad="white")
    with plots.style():
        figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.4), sharex=True, sharey=True)
        titles = "reference", f"averaged with {broken.name}"
        for ax, title, counts in zip(axes, titles, (here, here + there), strict=True):
            F = free_energy(counts.astype(float), temperature_K)
            if len(shape) == 2:
                mesh = ax.pcolormesh(*bins, np.ma.masked_invalid(F.T), cmap=colours, vmin=0, vmax=VMAX)
            else:
                ax.stairs(F, bins[0], baseline=None)
                ax.set(ylim=(-0.05 * VMAX, VMAX))
            ax.set(xlabel=labels[0], ylabel=labels[1] if len(shape) == 2 else "F (kJ/mol)", title=title)
            ax.label_outer()
            for axis, beads in zip((ax.xaxis, ax.yaxis), observable.coordinates, strict=False):
                if len(beads) == 4:
                    plots.degree_axis(axis, axis.get_label_text())
        if len(shape) == 2:
            plots.free_energy_bar(axes, mesh)
    return figure


def handedness(m: OfMolecule, x: np.ndarray) -> Figure:
    """Signed volumes of the beads (K, n, 3) nm at each stereocentre that still has four."""
    with plots.style():
        figure, ax = plt.subplots(figsize=(5.6, 3.2))
        for centre in m.stereo:
            if centre.state != LOST:
                how = {"bins": np.linspace(-1, 1, 101), "density": True, "histtype": "step"}
                ax.hist(volume(x, centre.beads), label=centre.centre, **how)
        ax.axvline(0, color="0.4", linewidth=1, linestyle="--")
        ax.set(xlabel="Signed volume at the stereocentre", ylabel="Density", xlim=(-1, 1))
        ax.legend()
    return figure


def separations(lengths, unsampled) -> Figure:
    """Range of each kind of bond, the closest bead without a bond, and the distances between them that no frame has."""
    bond, neighbour = plots.PALETTE[0], plots.PALETTE[3]
    no_frame = {"color": "0.93", "edgecolor": "0.7", "hatch": "////"}
    ends = np.array([v for entry in lengths for v in (*entry.bonded, entry.closest) if np.isfinite(v)])
    room = 0.1 * np.ptp(ends)
    with plots.style():
        figure, ax = plt.subplots(figsize=(7.6, 1.3 + 0.34 * len(lengths)))
        for row, entry in enumerate(lengths):
            for gap in unsampled:
                if gap.pair == entry.pair and gap.between:
                    ax.barh(row, gap.high - gap.low, left=gap.low, height=0.5, **no_frame)
            ax.barh(row, np.ptp(entry.bonded), left=entry.bonded[0], height=0.3, color=bond)
            ax.plot([entry.closest] * 2, [row - 0.35, row + 0.35], color=neighbour, linewidth=2)
            ax.plot([entry.closest, ends.max() + room], [row, row], color=neighbour, linewidth=1)
        ax.set_yticks(range(len(lengths)), [entry.pair for entry in lengths])
        limits = {"xlim": (ends.min() - room, ends.max() + room), "ylim": (len(lengths) - 0.4, -0.6)}
        ax.set(xlabel="Distance (nm)", **limits)
        keys = [
            Patch(color=bond, label="bonds"),
            Line2D([], [], color=neighbour, label="closest non-bonded bead of the kind"),
        ]
        keys += [Patch(facecolor="0.93", edgecolor="0.7", hatch="////", label="no frame")] if unsampled else []
        figure.legend(handles=keys, loc="outside upper center", ncols=3, fontsize="small")
    return figure
