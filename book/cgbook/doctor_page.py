"""A diagnosis as one HTML file that needs nothing else: the verdict, the findings, and the figures behind them."""

import base64
import html
import io
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from cgcore import plots
from cgcore.analysis.surface import free_energy
from cgcore.doctor import Examination, headline
from cgcore.doctor.examine import Broken, OfMolecule
from cgcore.doctor.findings import LEVELS, TEXTS
from cgcore.doctor.report import worst_first
from cgcore.doctor.stereo import LOST, volume
from cgcore.doctor.symmetry import histograms

MOST_FRAMES = 20_000
VMAX = 20.0  # kJ/mol
GREEK = {"phi": "φ", "psi": "ψ", "omega": "ω", "chi": "χ"}
STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%}td,th{padding:.4rem .6rem;border-bottom:1px solid #ccc;text-align:left;vertical-align:top}
img{max-width:100%}figcaption,.clear td,.note td{color:#555}
.artefact,.artefact th{color:#a40000}.barrier,.barrier th{color:#8a5a00}p.clear,.clear th{color:#00602b}"""


def write(examination: Examination, name: str, folder: Path) -> Path:
    """Write the page into the folder, under the name of the map, `name`."""
    worst = headline(examination)
    title = html.escape(f"{examination.mapping.name}, typing {examination.mapping.typing}")
    rows = [
        f'<tr class="{f.level}"><th>{LEVELS[f.level]["mark"]} {html.escape(TEXTS[f.kind]["title"])}</th>'
        f"{''.join(f'<td>{html.escape(words)}</td>' for words in (f.what, f.sure, f.do))}</tr>"
        for f in worst_first(examination)
    ]
    with plots.style():
        pictures = "".join(_embedded(*figure) for figure in figures(examination))
    path = Path(folder) / f"{Path(name).stem}.html"
    path.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>'
        f'<p class="{worst}"><strong>{LEVELS[worst]["headline"]}</strong> ({examination.n_frames} frames at '
        f"{examination.temperature_K:g} K)</p><table><tr><th>Question</th><th>What</th><th>How sure</th><th>What to do</th>"
        f"</tr>{''.join(rows)}</table>{pictures}</html>\n",
        encoding="utf-8",
    )
    return path


def _embedded(figure: Figure, caption: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    data, words = base64.b64encode(buffer.getvalue()).decode(), html.escape(caption)
    return f'<figure><img src="data:image/png;base64,{data}" alt="{words}"><figcaption>{words}</figcaption></figure>'


def figures(examination: Examination) -> Iterator[tuple[Figure, str]]:
    """Each figure of an examination with its caption."""
    for m in examination.molecules:
        x = np.concatenate(m.molecule.select(examination.beads.position))
        x = x[:: max(1, len(x) // MOST_FRAMES)]
        for broken in m.broken:
            if broken.worst:
                yield (
                    symmetrised(m, broken, x, examination.temperature_K),
                    f"Free energy of the reference (left), and of its average with its {broken.name} (right), which is what "
                    "a model with that symmetry comes to at best. White: no frame.",
                )
        if centres := [s for s in m.stereo if s.state != LOST]:
            figure, ax = plt.subplots(figsize=(5.6, 3.2))
            for centre in centres:
                bins = np.linspace(-1, 1, 101)
                ax.hist(volume(x, centre.beads), label=centre.centre, bins=bins, density=True, histtype="step")
            ax.axvline(0, color="0.4", linewidth=1, linestyle="--")
            ax.set(xlabel="Signed volume at the stereocentre", ylabel="Density", xlim=(-1, 1))
            ax.legend()
            yield figure, "Signed volume of the beads at each stereocentre that they show; at zero they lie in a plane."
    if examination.lengths:
        yield (
            separations(examination),
            "Bonds beside the closest beads without a bond. Where they meet, a bonded bead can be taken for a neighbour; "
            "where a gap lies between them, a network guesses.",
        )


def symmetrised(m: OfMolecule, broken: Broken, x: np.ndarray, temperature_K: float) -> Figure:
    """Draw the reference in the observable that suffers most, and its average with its image; x: (K, n, 3) nm."""
    observable = next(o for o in m.observables if o.name == broken.worst.observable)
    counts, bins = histograms(observable, [x], broken.element)
    here, image = counts[0].reshape(2, *(len(edge) - 1 for edge in bins)).astype(float)
    surface = len(bins) == 2
    names = observable.name.split(", ", 1) if surface else [observable.name]
    sizes = [len(beads) for beads in observable.coordinates]
    labels = [GREEK.get(n, n) + (" (nm)" if size == 2 else " (°)") for n, size in zip(names, sizes, strict=True)]
    bins = [edge if size == 2 else np.degrees(edge) for edge, size in zip(bins, sizes, strict=True)]
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.4), sharex=True, sharey=True)
    titles = "reference", f"averaged with {broken.name}"
    for ax, title, count in zip(axes, titles, (here, here + image), strict=True):
        F = free_energy(count, temperature_K)
        if surface:
            colours = plt.get_cmap(plots.SURFACE_COLOURS).with_extremes(over="0.9", bad="white")
            mesh = ax.pcolormesh(*bins, np.ma.masked_invalid(F.T), cmap=colours, vmin=0, vmax=VMAX)
        else:
            ax.stairs(F, bins[0], baseline=None)
            ax.set(ylim=(-0.05 * VMAX, VMAX))
        ax.set(xlabel=labels[0], ylabel=labels[1] if surface else "F (kJ/mol)", title=title)
        ax.label_outer()
        for axis, size in zip((ax.xaxis, ax.yaxis), sizes, strict=False):
            if size == 4:
                plots.degree_axis(axis, axis.get_label_text())
    if surface:
        plots.free_energy_bar(axes, mesh)
    return figure


def separations(examination: Examination) -> Figure:
    """Draw the range of each kind of bond, the closest bead without one, and the distances between that no frame has."""
    lengths, empty = examination.lengths, {"color": "0.93", "edgecolor": "0.7", "hatch": "////"}
    closest, rows = np.array([entry.closest for entry in lengths]), np.arange(len(lengths))
    low, high = np.array([entry.bonded for entry in lengths]).T
    first, last = low.min(), np.nanmax([*high, *closest])
    room = 0.1 * (last - first)
    gaps = [(row, g) for row in rows for g in examination.unsampled if g.pair == lengths[row].pair and g.between]
    figure, ax = plt.subplots(figsize=(7.6, 1.3 + 0.34 * len(lengths)))
    for row, gap in gaps:
        label = "no frame" if gap is gaps[0][1] else None
        ax.barh(row, gap.high - gap.low, left=gap.low, height=0.5, label=label, **empty)
    ax.barh(rows, high - low, left=low, height=0.3, color=plots.PALETTE[0], label="bonds")
    neighbour = {"color": plots.PALETTE[3]}
    ax.vlines(closest, rows - 0.35, rows + 0.35, **neighbour, label="closest non-bonded bead of the kind")
    ax.hlines(rows, closest, last + room, linewidth=1, **neighbour)
    ax.set_yticks(rows, [entry.pair for entry in lengths])
    ax.set(xlabel="Distance (nm)", xlim=(first - room, last + room), ylim=(len(lengths) - 0.4, -0.6))
    figure.legend(loc="outside upper center", ncols=3, fontsize="small")
    return figure
