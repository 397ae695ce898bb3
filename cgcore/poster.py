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
    """Draw the scene on axes of one's own, without ticks."""
    from matplotlib.patheffects import withStroke

    atoms = np.asarray(molecule["position"], float).reshape(-1, 3)
    frames = np.asarray(beads["frames"], float)
    later = beads.get("later_bonds") or [beads["bonds"]] * (len(frames) - 1)
    every = max(1, (len(frames) - 1) // GHOSTS)
    for frame, bonds in zip(frames[1::every], later[::every], strict=True):
        _sticks(ax, frame, bonds, ["#9aa3ad"] * len(frame), 2.0, z=0, alpha=0.35)
    _sticks(ax, atoms, molecule["bonds"], molecule["colours"], 7.0, z=10)
    for i, z in _by_depth(atoms):
        _ball(ax, atoms[i], molecule["radius"][i] * 0.75, molecule["colours"][i], z=20 + z)
    x, halo = frames[0], [withStroke(linewidth=3, foreground="white", alpha=0.85)]
    _sticks(ax, x, beads["bonds"], beads["colours"], 9.0, z=5, alpha=0.55)
    for i, z in _by_depth(x):
        _ball(ax, x[i], beads["radius"], beads["colours"][i], z=40 + z, alpha=0.5 if len(atoms) else 1.0)
        name = ax.text(*x[i, :2], beads["names"][i], ha="center", va="center", fontsize=11, weight="bold", zorder=80)
        name.set(color="#10202e", path_effects=halo, parse_math=False)
    ax.set_axis_off()
    _fit(ax, np.vstack([atoms, x])[:, :2], 1.2 * beads["radius"])


def _fit(ax, points: np.ndarray, margin: float):
    """Equal scales on both axes, every point and a margin around it in the picture."""
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    size = ax.get_window_extent().size
    half = max((high - low) / 2 / size) * size
    ax.set(**{f"{name}lim": (c - h, c + h) for name, c, h in zip("xy", (low + high) / 2, half, strict=True)})


def _by_depth(x: np.ndarray):
    """The points (N, 3) from the hindmost, and how far in front each is, 0 to 10."""
    return [(i, 10.0 * np.count_nonzero(x[:, 2] < x[i, 2]) / len(x)) for i in np.argsort(x[:, 2])]


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
