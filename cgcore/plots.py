"""Draw one result on one Axes. Nothing is computed here but a change of unit, and no figure is made or shown."""

from contextlib import contextmanager

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from cgcore.units import KCAL, MEV_PER_ANGSTROM, PS_PER_NS

PALETTE = sns.color_palette("colorblind")
REFERENCE_COLOUR = "0.25"
SHORT_PS = 100.0
"""Times below are drawn in ps."""
SURFACE_COLOURS = "viridis"
BASIN_LABELS = {
    "beta": r"$\beta$",
    "ppII": r"$\mathrm{P_{II}}$",
    "alpha_R": r"$\alpha_\mathrm{R}$",
    "alpha_L": r"$\alpha_\mathrm{L}$",
    "mirror_beta": r"mirror $\beta$",
}
BONDED_LABELS = {
    "bond": "Bond",
    "angle": "Angle",
    "dihedral": "Dihedral",
    "nearest": "Nearest neighbour",
    "gyration": "Radius of gyration",
}
MODEL_COLOURS = {"spline": PALETTE[1], "mace": PALETTE[0], "nequip": PALETTE[2]}
PHI, PSI, CHI = r"$\varphi$ (°)", r"$\psi$ (°)", "Handedness χ (10⁻³ nm³)"
ZERO = {"color": "0.6", "linewidth": 0.6, "linestyle": (0, (4, 4))}


@contextmanager
def style():
    """The book's look for the figures made inside the block; the caller's settings come back afterwards."""
    theme = sns.axes_style("ticks") | sns.plotting_context("notebook", font_scale=0.9)
    ours = {
        "axes.prop_cycle": mpl.cycler(color=PALETTE),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": "medium",
        "figure.constrained_layout.use": True,
        "figure.dpi": 110,
        "savefig.dpi": 160,
        "legend.frameon": False,
        "mathtext.fontset": "dejavusans",
    }
    with mpl.rc_context(theme | ours):
        yield


def degree_axis(axis, label: str, start: int = -180) -> None:
    """Ticks every 90 degrees of a whole turn from `start` on ax.xaxis or ax.yaxis."""
    axis.axes.set(**{f"{axis.axis_name}lim": (start, start + 360), f"{axis.axis_name}label": label})
    axis.set_ticks(range(start, start + 361, 90))
    axis.set_ticks(range(start, start + 361, 30), minor=True)


def ramachandran(
    ax: Axes,
    F: np.ndarray,
    edges: np.ndarray,
    title: str = "",
    vmax: float = 20.0,
    colourbar: bool = True,
    basins: dict | None = None,
    labels: tuple[str, str] = (PHI, PSI),
):
    """Free energy surface F (M, M) in kJ/mol, phi along its first axis, edges (M + 1,) in rad; empty bins stay white.

    labels: of both axes, for other dihedrals than phi and psi; basins: name -> ((phi, phi), (psi, psi)) in degrees, outlined where given. Returns the mesh, for a shared colour bar.
    """
    mesh = _surface(ax, np.degrees(edges), np.degrees(edges), F, vmax, colourbar)
    for zero in (ax.axhline, ax.axvline):
        zero(0, **ZERO)
    for name, ((left, right), (low, high)) in (basins or {}).items():
        _outline(ax, name, left, right, low, high)
    degree_axis(ax.xaxis, labels[0])
    degree_axis(ax.yaxis, labels[1])
    ax.set(aspect="equal", title=title)
    ax.spines[:].set_visible(True)
    return mesh


def helix_surface(
    ax: Axes,
    F: np.ndarray,
    chi_edges: np.ndarray,
    q_edges: np.ndarray,
    title: str = "",
    vmax: float = 20.0,
    colourbar: bool = True,
):
    """Free energy F (chi, Q) in kJ/mol over handedness in nm^3 and helicity; empty bins stay white. Returns the mesh."""
    mesh = _surface(ax, chi_edges * 1000, q_edges, F, vmax, colourbar)
    ax.axvline(0, **ZERO)
    ax.set(xlabel=CHI, ylabel="Helicity Q", title=title)
    return mesh


def _surface(ax: Axes, x_edges: np.ndarray, y_edges: np.ndarray, F: np.ndarray, vmax: float, colourbar: bool):
    """A mesh of F, x along its first axis, nan white, with a colour bar where wanted."""
    colours = mpl.colormaps[SURFACE_COLOURS].with_extremes(over="0.9", bad="white")
    F = np.ma.masked_invalid(np.transpose(F))
    mesh = ax.pcolormesh(x_edges, y_edges, F, cmap=colours, vmin=0, vmax=vmax, rasterized=True)
    if colourbar:
        free_energy_bar(ax, mesh)
    return mesh


def free_energy_bar(axes, mesh):
    """The colour bar of `ramachandran`, beside one Axes or a list of them."""
    first = np.ravel(axes)[0]
    bar = first.figure.colorbar(mesh, ax=axes, label="F (kJ/mol)", extend="max", shrink=0.85)
    bar.locator = mpl.ticker.MultipleLocator(5)
    bar.outline.set_linewidth(0.6)
    return bar


def _outline(ax: Axes, name: str, left: float, right: float, low: float, high: float) -> None:
    """A rectangle in degrees with its name; a part beyond 180 comes in again from below."""
    for shift in (0, 360) if high > 180 else (0,):
        ax.add_patch(
            Rectangle((left, low - shift), right - left, high - low, fill=False, ec="0.35", lw=0.8, clip_on=True)
        )
    halo = [withStroke(linewidth=1.5, foreground="white")]
    label = BASIN_LABELS.get(name, name)
    ax.text(left + 8, min(high, 180) - 8, label, va="top", fontsize="small", color="0.1", path_effects=halo)


def training_history(
    ax: Axes,
    epochs: np.ndarray,
    train: np.ndarray,
    valid: np.ndarray,
    best: int | None = None,
    quantity: str = "Force RMSE",
) -> None:
    """Force error of training and validation in kJ/mol/nm over epochs, drawn in meV/Å; best: epoch of the kept model."""
    for values, label, colour in ((train, "training", PALETTE[0]), (valid, "validation", PALETTE[1])):
        ax.plot(epochs, np.asarray(values) / MEV_PER_ANGSTROM, label=label, color=colour, marker="o", markersize=3)
    if best is not None:
        ax.axvline(best, color="0.5", linewidth=0.8, linestyle=":", label="kept")
    ax.set(xlabel="Epoch", ylabel=f"{quantity} (meV/Å)")
    ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    ax.legend()


def survival(ax: Axes, time_ps: np.ndarray, fraction: np.ndarray, label: str | None = None, color=None) -> None:
    """Fraction of replicas whose bonds are whole, (T,) over time in ps, drawn in percent from all at the start."""
    time, label_of_time = times(np.append(0.0, time_ps))
    ax.plot(time, 100 * np.append(1.0, fraction), label=label, color=color, drawstyle="steps-post")
    ax.set(xlabel=label_of_time, ylabel="Whole replicas (%)", ylim=(-2, 104))
    if label:
        ax.legend(loc="lower left")


def heating(ax: Axes, step_fs: np.ndarray, kelvin: np.ndarray, error: np.ndarray, label: str, color=None) -> None:
    """By how many K a simulation at constant energy heats, (K,) with errors over time steps in fs, on logarithmic axes."""
    ax.errorbar(step_fs, kelvin, error, label=label, color=color, marker="o", markersize=4, capsize=2)
    ax.set(xscale="log", yscale="log", xlabel="Time step (fs)", ylabel="Heating in 100 ps (K)")
    ax.set_xticks(step_fs, [f"{step:g}" for step in step_fs], minor=False)
    ax.set_xticks([], minor=True)


def band(ax: Axes, x: np.ndarray, y: np.ndarray, error: np.ndarray, **line) -> None:
    """A line y (M,) over x (M,) with its standard error as a band. line: colour, style, width and label of the line."""
    (drawn,) = ax.plot(x, y, **{"linewidth": 1.4} | line)
    ax.fill_between(x, y - error, y + error, color=drawn.get_color(), alpha=0.25, linewidth=0)


def marginals(
    ax: Axes,
    edges: np.ndarray,
    density: np.ndarray,
    error: np.ndarray,
    angle: str = "phi",
    label: str | None = None,
    color=None,
) -> None:
    """Density of phi or psi, (K,) 1/rad with its standard error as a band; edges (K + 1,) in rad, drawn per degree."""
    if angle not in ("phi", "psi"):
        raise ValueError(f"angle: want 'phi' or 'psi', got {angle!r}")
    middle = np.degrees(edges[:-1] + edges[1:]) / 2
    band(ax, middle, np.radians(density), np.radians(error), label=label, color=color)
    degree_axis(ax.xaxis, PHI if angle == "phi" else PSI)
    ax.autoscale(axis="y")  # a limit set by an earlier curve would stay
    ax.set_ylim(bottom=0)
    ax.set_ylabel("Density (1/°)")
    if label:
        ax.legend()


def rdf(
    ax: Axes, r_nm: np.ndarray, g: np.ndarray, error: np.ndarray, label: str | None = None, legend: bool = True, **line
) -> None:
    """g(r) (M,) over r in nm with its standard error as a band. line: colour, style and width of the line."""
    band(ax, r_nm, g, error, label=label, **line)
    ax.axhline(1, **ZERO)
    ax.set(xlabel="r (nm)", ylabel="g(r)", xlim=(0, r_nm[-1]))
    ax.set_ylim(bottom=0)
    if label and legend:
        ax.legend(loc="lower right")


def shades(n: int) -> list:
    """n colours in an order, from light to dark, all dark enough for lines on white."""
    return sns.color_palette("viridis_r", n + 2)[2:]


def density(
    ax: Axes, name: str, edges: np.ndarray, values: np.ndarray, error: np.ndarray, label: str | None = None, **line
) -> None:
    """Density (M,) of a bonded quantity with an error band; name as in `analysis.liquid`: "angle_ABA", "nearest".

    edges (M + 1,) in nm or rad; angles are drawn in degrees. line: colour, style and width of the line.
    """
    word, _, species = name.partition("_")
    angular = word in ("angle", "dihedral")
    scale = np.degrees(1.0) if angular else 1.0
    middle = (edges[:-1] + edges[1:]) / 2 * scale
    band(ax, middle, values / scale, error / scale, label=label, **line)
    labels = species.split("-") if "-" in species else species
    quantity = " ".join([BONDED_LABELS[word], "–".join(labels)]).strip()
    unit = "°" if angular else "nm"
    ax.autoscale(axis="y")  # a limit set by an earlier curve would stay
    ax.set(xlabel=f"{quantity} ({unit})", ylabel=f"Density (1/{unit})")
    ax.set_ylim(bottom=0)
    if angular:
        first = -180 if word == "dihedral" else 0
        ax.set_xlim(first, 180)
        ax.set_xticks(range(first, 181, 90 if word == "dihedral" else 45))


def inversion(ax: Axes, points: np.ndarray, F: np.ndarray, error: np.ndarray, label: str | None = None, **line) -> None:
    """Free energy F (M,) in kJ/mol with an error band along an improper dihedral at points (M,) rad, drawn in kcal/mol
    from 0 to 360 degrees, so that the planar arrangement is in the middle; nan leaves a gap."""
    degrees = np.degrees(points) % 360
    F, error = (np.asarray(a)[np.argsort(degrees)] / KCAL for a in (F, error))
    band(ax, np.sort(degrees), F, error, label=label, **line)
    degree_axis(ax.xaxis, "Improper dihedral N–CA–CB–C (°)", start=0)
    ax.set_ylabel("F (kcal/mol)")
    ax.set_ylim(bottom=0, auto=True)  # the top is still that of all curves
    if label:
        ax.legend()


def passage_time(
    ax: Axes, temperature_K: np.ndarray, log10_s: np.ndarray, error: np.ndarray, label: str | None = None, **line
) -> None:
    """Time to wait, (K,) as log10 of seconds with an error band, over temperature in K."""
    band(ax, temperature_K, log10_s, error, label=label, **line)
    ax.set(xlabel="Temperature (K)", ylabel=r"$\log_{10}$ of the waiting time (s)")


def helix_series(ax: Axes, time_ns: np.ndarray, q: np.ndarray) -> None:
    """Helicity (T,) over time, replicas one after another."""
    ax.plot(time_ns, q, linewidth=0.5, color=PALETTE[0], rasterized=True)
    ax.set(xlabel="Time, runs one after another (ns)", ylabel="Helicity Q", ylim=(0, 1), xlim=(0, time_ns[-1]))


def handedness_series(ax: Axes, time_ps: np.ndarray, chi: np.ndarray) -> None:
    """Handedness of replicas (C, T) nm^3 over time (T,) ps, drawn over ns; nan leaves a gap where a frame does not count.

    Colours go from left-handed to right-handed by each replica's mean.
    """
    (time, label_of_time), chi = times(time_ps), 1000 * np.asarray(chi)
    counted = np.isfinite(chi).any(1)
    order = np.flatnonzero(counted)[np.argsort(np.nanmean(chi[counted], axis=1))]
    for replica, colour in zip(order, sns.color_palette("vlag_r", len(order)), strict=True):
        ax.plot(time, chi[replica], color=colour, linewidth=0.7, rasterized=True)
    ax.axhline(0, **ZERO)
    ax.set(xlabel=label_of_time, ylabel=CHI)


def times(time_ps: np.ndarray) -> tuple[np.ndarray, str]:
    """Times in ns, in ps if all are short, and the label of their axis."""
    time_ps = np.asarray(time_ps)
    return (time_ps / PS_PER_NS, "Time (ns)") if time_ps[-1] >= SHORT_PS else (time_ps, "Time (ps)")
