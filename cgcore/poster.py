"""The still picture behind a 3-D view: depth-sorted balls and sticks by matplotlib, no graphics hardware."""

import io

import numpy as np

SIZE_IN, DPI = (6.0, 4.0), 130
GHOSTS = 10
PIXELS = 96
LIGHT = np.array([-0.45, 0.55, 0.7]) / np.linalg.norm([-0.45, 0.55, 0.7])


def poster(molecule: dict, beads: dict) -> bytes:
    """PNG of a scene of `cgcore.viewer`: sticks and atoms, translucent beads over them, a name on every bead.

    Depth is z, towards the reader. Of a trajectory the first frame is drawn full and up to ten others faintly behind.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_IN, dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    panel(figure.add_axes((0, 0, 1, 1)), molecule, beads)
    out = io.BytesIO()
    figure.savefig(out, format="png", facecolor="white", metadata={"Software": None})
    return out.getvalue()


def panel(ax, molecule: dict, beads: dict):
    """The scene on axes of one's own, without ticks."""
    atoms = np.asarray(molecule["position"], float).reshape(-1, 3)
    frames = np.asarray(beads["frames"], float)
    for frame in frames[1 :: max(1, (len(frames) - 1) // GHOSTS)]:
        _sticks(ax, frame, beads["bonds"], ["#9aa3ad"] * len(frame), 2.0, z=0, alpha=0.35)
    _draw_atoms(ax, atoms, molecule)
    _draw_beads(ax, frames[0], beads, translucent=len(atoms) > 0)
    ax.set_axis_off()
    _fit(ax, np.vstack([atoms, frames[0]])[:, :2], beads["radius"])


def _fit(ax, points: np.ndarray, margin: float):
    """Equal scales on both axes, every point and a margin around it in the picture."""
    low, high = points.min(axis=0) - 1.2 * margin, points.max(axis=0) + 1.2 * margin
    middle, half = (low + high) / 2, (high - low) / 2
    size = ax.get_window_extent().size
    scale = max(half / size)
    for set_limits, centre, length in zip((ax.set_xlim, ax.set_ylim), middle, size, strict=True):
        set_limits(centre - scale * length, centre + scale * length)


def _draw_atoms(ax, x, molecule):
    if len(x):
        _sticks(ax, x, molecule["bonds"], molecule["colours"], 7.0, z=10)
    for i in np.argsort(x[:, 2]):
        _ball(ax, x[i], molecule["radius"][i] * 0.75, molecule["colours"][i], z=20 + _depth(x, i))


def _draw_beads(ax, x, beads, translucent: bool):
    from matplotlib.patheffects import withStroke

    _sticks(ax, x, beads["bonds"], beads["colours"], 9.0, z=5, alpha=0.55)
    for i in np.argsort(x[:, 2]):
        _ball(ax, x[i], beads["radius"], beads["colours"][i], z=40 + _depth(x, i), alpha=0.5 if translucent else 1.0)
        name = ax.text(*x[i, :2], beads["names"][i], ha="center", va="center", fontsize=11, weight="bold", zorder=80)
        name.set(color="#10202e", path_effects=[withStroke(linewidth=3, foreground="white", alpha=0.85)])


def _depth(x: np.ndarray, i: int) -> float:
    """0 for the hindmost to 10 for the foremost of the points."""
    return 10.0 * np.searchsorted(np.sort(x[:, 2]), x[i, 2]) / len(x)


def _sticks(ax, x, bonds, colours, width: float, z: float, alpha: float = 1.0):
    """Every bond as two halves in the colours of their ends, the hindmost first."""
    for i, j in sorted(bonds, key=lambda b: x[b[0], 2] + x[b[1], 2]):
        middle = (x[i] + x[j]) / 2
        for end, colour in ((x[i], colours[i]), (x[j], colours[j])):
            line = np.array([end[:2], middle[:2]]).T
            ax.plot(*line, color=colour, lw=width, alpha=alpha, solid_capstyle="round", zorder=z)


def _ball(ax, centre, radius: float, colour: str, z: float, alpha: float = 1.0):
    """A sphere lit from the upper left, with a thin rim."""
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Circle

    base = np.array(to_rgb(colour))
    x, y = np.meshgrid(*[np.linspace(-1, 1, PIXELS)] * 2)
    height = np.sqrt(np.clip(1 - x**2 - y**2, 0, None))
    lit = np.clip(np.stack([x, y, height], axis=-1) @ LIGHT, 0, None)[..., None]
    shade = np.clip(base * (0.62 + 0.45 * lit) + 0.55 * lit**14, 0, 1)
    inside = alpha * (height > 0)
    extent = (centre[0] - radius, centre[0] + radius, centre[1] - radius, centre[1] + radius)
    ax.imshow(np.dstack([shade, inside]), extent=extent, origin="lower", interpolation="bilinear", zorder=z)
    ax.add_patch(Circle(centre[:2], radius, fill=False, ec=base * 0.6, lw=1.0, alpha=min(1.0, alpha + 0.2), zorder=z))
