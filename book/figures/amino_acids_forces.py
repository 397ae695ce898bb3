"""Free energy along psi by forces of both force maps, by models that were trained on them, and by positions."""

import matplotlib.pyplot as plt
import numpy as np

from cgcore import plots
from cgcore.analysis.torsion import above_mean

SYSTEMS = {"core_beta_obc2": "Ala, Core Beta", "gly_core": "Gly, Core"}
FORCE_MAPS = {"sum": ("plain sum", "", plots.PALETTE[4]), "optimised": ("optimised", "_optimised", plots.PALETTE[3])}
TEMPERATURE_K = 300.0


def draw(chapter):
    """Bands of forces are two standard errors."""
    figure, axes = plt.subplots(1, 2, figsize=(9.4, 3.6), sharey=True)
    for ax, (system, title) in zip(axes, SYSTEMS.items(), strict=True):
        for force_map, (words, ending, colour) in FORCE_MAPS.items():
            curves = chapter.curves(f"forces_{system}_{force_map}")
            psi, population = np.degrees(curves["centres"]), curves["population"]
            band = curves["free_energy"], 2 * curves["error"]
            plots.band(ax, psi, *band, label=f"forces, {words}", color=colour)
            model = above_mean(chapter.curves(system + ending)["psi_density"], population, TEMPERATURE_K)
            ax.plot(psi, model, "--", color=colour, label=f"model of the {words}")
        positions = above_mean(population, population, TEMPERATURE_K)
        ax.plot(psi, positions, color=plots.REFERENCE_COLOUR, label="positions")
        plots.degree_axis(ax.xaxis, plots.PSI)
        ax.set(title=title, ylim=(-6, 24), ylabel="F (kJ/mol)")
        ax.label_outer()
    axes[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
