"""g(r) of the centres of mass of hexane's molecules."""

import matplotlib.pyplot as plt

from cgcore import plots


def draw(chapter):
    curves = chapter.curves("liquids_hexane")
    figure, ax = plt.subplots(figsize=(4.8, 3.4))
    plots.rdf(ax, curves["r"], curves["g"], curves["g_error"], label="centres of mass")
    return figure
