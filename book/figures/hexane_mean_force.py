"""Free energies by mean torques, a row for each map: left what the frames tell, right what models make of it."""

import matplotlib.pyplot as plt
import numpy as np

from cgcore import plots

POSITIONS = ("positions", "positions", {"color": plots.REFERENCE_COLOUR, "linewidth": 2.2})
OF_FRAMES = (
    POSITIONS,
    ("sum", "forces, plain sum", {"color": plots.PALETTE[4]}),
    ("optimised", "forces, optimised", {"color": plots.PALETTE[3]}),
)
SPLINE, MACE = ({"color": plots.MODEL_COLOURS[name]} for name in ("spline", "mace"))
OF_MODELS = {
    "three_site": (
        POSITIONS,
        ("mace_nu2_l2_700pm_barrier", "MACE of the plain sum", MACE),
        ("mace_nu2_l2_700pm_barrier_optimised", "MACE of the optimised", MACE | {"linestyle": "--"}),
        ("spline", "splines of the plain sum", SPLINE),
    ),
    "four_site": (
        POSITIONS,
        ("mace_nu2_l2_650pm_barrier_hexane_3000_frames", "MACE of the plain sum, 3000 frames", MACE),
        ("spline", "splines of the plain sum", SPLINE),
        ("spline_optimised", "splines of the optimised", SPLINE | {"linestyle": "--"}),
    ),
}
ANGLE = {"xlim": (90, 180), "ylim": (-1, 22), "xticks": range(90, 181, 30), "xlabel": "Angle A–B–A (°)"}
DIHEDRAL = {"xlim": (0, 180), "ylim": (-3, 32), "xticks": range(0, 181, 60), "xlabel": "Size of the dihedral (°)"}


def draw(chapter):
    """Bands of frames are two standard errors; bins that no frame visits are left out."""
    figure, axes = plt.subplots(2, 2, figsize=(7.6, 6.6), sharey="row")
    for row, (name, look) in zip(axes, {"three_site": ANGLE, "four_site": DIHEDRAL}.items(), strict=True):
        for ax, lines in zip(row, (OF_FRAMES, OF_MODELS[name]), strict=True):
            for case, words, line in lines:
                curves = chapter.curves(f"mean_force_{name}_{case}")
                visited = curves["density"] > 0
                angle, F, error = (curves[k][visited] for k in ("centres", "free_energy", "error"))
                error = 2 * error if case in ("positions", "sum", "optimised") else 0 * error
                plots.band(ax, np.degrees(angle), F, error, label=words, **{"linewidth": 1.5} | line)
            ax.set(**look)
            ax.legend(fontsize=8)
        row[0].set_ylabel("Free energy (kJ/mol)")
    for ax, letter, words in zip(axes.flat, "abcd", ["Three-site"] * 2 + ["Four-site"] * 2, strict=True):
        ax.set_title(f"({letter}) {words}", loc="left")
    return figure
