"""Figures of the chapters: drawn from the published results, with units on axes, and refused where a label is missing."""

import warnings
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from numpy.testing import assert_allclose

from cgbook import collect
from cgbook.results import ResultError, load
from cgcore import plots

BOOK = Path(__file__).parents[2] / "book"
LONGEST = 60
UNIT = (
    "(°)",
    "(nm)",
    "(nm³)",
    "(10⁻³ nm³)",
    "(kJ/mol)",
    "(kcal/mol)",
    "(1/°)",
    "(1/nm)",
    "(ps)",
    "(1/ns)",
    "(ns)",
    "(fs)",
    "(K)",
    "(s)",
    "(%)",
)
UNIT += ("(bit)", "(meV/Å)", "meV/Å", "(10³ (meV/Å)²)", "(GB)", "ms per step", "µs per bead and step")
BARE = ("", "g(r)", "Helicity Q", "Share of residues", r"$g_\mathrm{AA}(r)$", "beads", "replicas", "training frames")
BARE += ("Asymmetry over the reference's",)
"""Of numbers without a unit."""


CHAPTERS = sorted(path.parent.name for path in (BOOK / "results").glob("*/rows.csv"))
FIGURES = [(chapter, name) for chapter in CHAPTERS for name in collect.figures(chapter)]


def test_every_module_is_a_figure_of_a_chapter():
    modules = list((BOOK / "figures").glob("*.py"))
    assert {path.stem for path in modules} <= {f"{chapter}_{name}" for chapter, name in FIGURES}
    assert max(len(path.read_text().splitlines()) for path in modules) <= LONGEST


@pytest.mark.parametrize("chapter, name", FIGURES)
def test_a_figure_is_drawn_from_the_published_results_without_warnings(chapter, name):
    results = load(BOOK / "results" / chapter)
    assert (results.folder / f"{name}.png").is_file()
    with plots.style(), warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = collect.figures(chapter)[name](results)
        figure.canvas.draw()
    labels = {label for ax in figure.axes if ax.axison for label in (ax.get_xlabel(), ax.get_ylabel())}
    assert not [label for label in labels if not label.endswith(UNIT) and label not in BARE]
    texts = [text for ax in figure.axes for text in (ax.title, ax.xaxis.label, *ax.get_xticklabels())]
    assert min(text.get_fontsize() for text in texts) * collect.DPI / 72 >= 8  # pixels
    plt.close(figure)


@pytest.mark.parametrize("chapter, name", [figure for figure in FIGURES if figure[1] != "maps"])
def test_a_figure_without_its_runs_says_which_label_it_misses(chapter, name):
    empty = replace(load(BOOK / "results" / chapter), runs={}, rows={})
    with plots.style(), pytest.raises(ResultError, match="want one run with"):
        collect.figures(chapter)[name](empty)
    plt.close("all")


def test_surfaces_have_labels_outside_alone():
    with plots.style():
        figure = collect.figures("amino_acids")["figure3"](load(BOOK / "results" / "amino_acids"))
    panels = [ax for ax in figure.axes[:-1] if ax.axison]
    assert len(panels) == 11 and sum(ax.yaxis.label.get_visible() for ax in panels) == 3
    assert sum(ax.xaxis.label.get_visible() for ax in panels) == 4
    assert panels[0].get_title() == "Reference (5.01\u00a0ns)"
    plt.close(figure)


def test_the_pictures_show_the_numbers_of_the_table():
    """Points of the labels are the rows, in their order."""
    results = load(BOOK / "results" / "amino_acids")
    with plots.style():
        figure = collect.figures("amino_acids")["labels"](results)
    for ax, basin in zip(figure.axes, ("phi_positive", "alpha_R"), strict=True):
        points = next(line for line in ax.lines if line.get_marker() == "o").get_xdata(orig=False)
        wanted = [results.value(label, f"walks_{basin}_depth_kJ_mol") for label in results.table("labels")]
        assert_allclose(points, wanted)
    plt.close(figure)
