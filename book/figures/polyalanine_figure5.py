"""The atomistic reference: free energy over handedness and helicity, and the divergence of halves over their length."""

import matplotlib.pyplot as plt

from cgbook import drawing
from cgcore import plots


def draw(chapter):
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.6), width_ratios=(1.2, 1))
    drawing.surface(left, chapter, "reference", title="", colourbar=True)
    halves = chapter.curves("reference_part_0")
    right.plot(halves["length_ns"], halves["divergence"], marker="o", markersize=4, color=plots.REFERENCE_COLOUR)
    right.set(xlabel="Length of either sample (ns)", ylabel="Their divergence (bit)", ylim=(0, 1))
    return figure
