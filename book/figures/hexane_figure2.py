"""MACE for pairs alone and for more bodies: (a) angle of the three-site model, (b) g of the two-site model."""

import matplotlib.pyplot as plt

from cgbook.drawing import REFERENCE_LINE, density, legend_above, rdf
from cgcore import plots

PAIRS = {"color": plots.PALETTE[3], "label": "ν = 1, L = 1"}
MANY = {"color": plots.shades(1)[0], "label": "ν = 2, L = 2"}


def draw(chapter):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 3.8))
    reference = REFERENCE_LINE | {"label": "reference"}
    for label, line in (
        ("reference_three_site", reference),
        ("three_site_mace_nu1_l1_700pm_barrier", PAIRS),
        ("three_site_mace_nu2_l2_700pm_barrier", MANY),
    ):
        density(left, chapter.curves(label), "angle_ABA", **line)
    for label, line in (
        ("reference_two_site", reference),
        ("two_site_mace_nu1_l1_800pm_barrier", PAIRS),
        ("two_site_mace_nu2_l2_800pm_barrier", MANY),
    ):
        rdf(right, chapter.curves(label), **line)
    left.set_title("(a) Three-site", loc="left")
    right.set_title("(b) Two-site", loc="left")
    legend_above(figure)
    return figure
