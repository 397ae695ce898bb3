"""MACE for pairs alone and for more bodies: (a) angle of the three-site model, (b) g of the two-site model."""

import matplotlib.pyplot as plt

from cgbook.drawing import REFERENCE_LINE, density, legend_above, rdf
from cgcore import plots

LINES = (
    (REFERENCE_LINE | {"label": "reference"}, "reference_{}"),
    ({"color": plots.PALETTE[3], "label": "ν = 1, L = 1"}, "{}_mace_nu1_l1_{}pm_barrier"),
    ({"color": plots.shades(1)[0], "label": "ν = 2, L = 2"}, "{}_mace_nu2_l2_{}pm_barrier"),
)
"""Looks, and labels by map and cut-off in pm."""


def draw(chapter):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 3.8))
    for line, run in LINES:
        density(left, chapter.curves(run.format("three_site", 700)), "angle_ABA", **line)
        rdf(right, chapter.curves(run.format("two_site", 800)), **line)
    left.set_title("(a) Three-site", loc="left")
    right.set_title("(b) Two-site", loc="left")
    legend_above(figure)
    return figure
