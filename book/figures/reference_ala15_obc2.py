"""Handedness and helicity of polyalanine: its surface, and the helicity of all runs over time."""

import matplotlib.pyplot as plt

from cgbook import drawing
from cgcore import plots
from cgcore.units import PS_PER_NS


def draw(chapter):
    curves = chapter.curves("chains_ala15_obc2")
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
    drawing.surface(left, chapter, "chains_ala15_obc2", title="", colourbar=True)
    plots.helix_series(right, curves["time"] / PS_PER_NS, curves["q"])
    return figure
