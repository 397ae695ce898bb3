"""The bonded quantity that says most, and g of A and A: reference, splines and MACE, a column for each map."""

import matplotlib.pyplot as plt

from cgbook.drawing import REFERENCE_LINE, density, legend_above, rdf
from cgcore import plots

QUANTITY = {"four_site": "dihedral_ABBA", "three_site": "angle_ABA", "two_site": "bond_AA"}
MACE = {
    "four_site": "four_site_mace_nu2_l2_650pm_barrier",
    "three_site": "three_site_mace_nu2_l2_700pm_barrier",
    "two_site": "two_site_mace_nu2_l2_800pm_barrier",
}
SPLINE_LINE, MACE_LINE = ({"color": plots.MODEL_COLOURS[name]} for name in ("spline", "mace"))
OPTIMISED_LINE = {"color": plots.PALETTE[4], "linestyle": "--"}


def draw(chapter):
    """MACE of two sites by nearest neighbours, since its bonds rearrange, and dotted by the first bonds."""
    figure, axes = plt.subplots(2, 3, figsize=(9.25, 5.2))
    for (above, below), (name, quantity) in zip(axes.T, QUANTITY.items(), strict=True):
        mace, two_site = f"{MACE[name]}_hexane_3000_frames", name == "two_site"
        lines = [("reference", f"reference_{name}", REFERENCE_LINE), ("splines", f"{name}_spline", SPLINE_LINE)]
        lines += [("MACE", mace, MACE_LINE)]
        if two_site:
            density(above, chapter.curves(mace), quantity, **MACE_LINE, linewidth=0.9, linestyle=":")
        else:
            lines += [("MACE, optimised forces", f"{MACE[name]}_optimised", OPTIMISED_LINE)]
        for words, label, line in lines:
            shown = "nearest" if two_site and words == "MACE" else quantity
            density(above, chapter.curves(label), shown, label=words, **line)
            rdf(below, chapter.curves(label), **line)
        above.set_title(chapter.title(f"{name}_spline").partition(",")[0])
    axes[0, 2].set_xlabel("Bond or nearest neighbour (nm)")
    for ax in axes[1, 1:]:
        ax.set_ylabel("")
    legend_above(figure)
    return figure
