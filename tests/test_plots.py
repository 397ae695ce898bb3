import ast
import inspect

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from cgcore import plots
from cgcore.analysis.surface import BASINS, edges


@pytest.fixture
def ax():
    with plots.style():
        figure = Figure()
        yield figure.subplots()
        figure.canvas.draw()  # what a renderer would refuse shows here


def test_style_is_lent_not_given():
    before = dict(mpl.rcParams)
    with plots.style():
        assert not mpl.rcParams["axes.spines.top"]
        assert mpl.rcParams["axes.prop_cycle"].by_key()["color"] == plots.PALETTE
    assert dict(mpl.rcParams) == before


def test_no_figure_is_made_or_shown():
    names = {ast.unparse(n) for n in ast.walk(ast.parse(inspect.getsource(plots))) if isinstance(n, ast.Attribute)}
    assert not {n for n in names if n.startswith(("plt.", "mpl.pyplot")) or n.endswith(".show")}
    assert "pyplot" not in inspect.getsource(plots)


def test_ramachandran_has_phi_to_the_right_and_psi_upwards(ax):
    F = np.full((12, 12), np.nan)
    F[2, 9] = 3.5  # phi in [-120, -90], psi in [90, 120]
    mesh = plots.ramachandran(ax, F, edges(12), "Core", basins=BASINS)
    drawn = mesh.get_array()
    assert drawn.count() == 1 and drawn[9, 2] == 3.5
    corners = mesh.get_coordinates()
    np.testing.assert_allclose(corners[9, 2], [-120, 90])
    np.testing.assert_allclose(corners[10, 3], [-90, 120])
    assert list(ax.get_xticks()) == list(ax.get_yticks()) == [-180, -90, 0, 90, 180]
    assert (ax.get_xlim(), ax.get_ylim(), ax.get_title()) == ((-180, 180), (-180, 180), "Core")
    assert "varphi" in ax.get_xlabel() and "psi" in ax.get_ylabel() and "°" in ax.get_xlabel()
    (bar,) = [a for a in ax.figure.axes if a is not ax]
    assert bar.get_ylabel() == "F (kJ/mol)" and mesh.get_clim() == (0, 20)
    drawn_area = sum(p.get_width() * (min(p.get_y() + p.get_height(), 180) - max(p.get_y(), -180)) for p in ax.patches)
    assert drawn_area == 360 * 360


def test_one_colour_bar_for_two_surfaces(ax):
    mesh = plots.ramachandran(ax, np.zeros((4, 4)), edges(4), vmax=12.0, colourbar=False)
    assert len(ax.figure.axes) == 1
    bar = plots.free_energy_bar([ax], mesh)
    assert bar.vmax == 12 and len(ax.figure.axes) == 2


def test_training_history_is_in_mev_per_angstrom(ax):
    plots.training_history(ax, [1, 2], [96.4853, 48.24265], [100.0, 60.0], best=2)
    train, valid, kept = ax.lines
    np.testing.assert_allclose(train.get_ydata(), [100, 50])
    np.testing.assert_allclose(valid.get_ydata(), np.array([100, 60]) / 0.964853)
    assert set(kept.get_xdata()) == {2}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Epoch", "Force RMSE (meV/Å)")
    assert [t.get_text() for t in ax.get_legend().texts] == ["training", "validation", "kept"]


def test_survival_is_in_percent_over_nanoseconds(ax):
    plots.survival(ax, [250.0, 500.0], [0.5, 0.25], "Core")
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[0, 100], [0.25, 50], [0.5, 25]])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Time (ns)", "Whole replicas (%)")


def test_short_times_are_in_picoseconds(ax):
    plots.survival(ax, [5.0, 20.0], [1.0, 0.5])
    assert ax.lines[0].get_xdata()[-1] == 20 and ax.get_xlabel() == "Time (ps)"


def test_heating_has_logarithmic_axes_with_its_steps(ax):
    plots.heating(ax, np.array([0.5, 2.0]), np.array([1.0, 4.0]), np.array([0.1, 1.0]), "Core")
    assert (ax.get_xscale(), ax.get_yscale(), ax.get_ylabel()) == ("log", "log", "Heating in 100 ps (K)")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0.5", "2"]


def test_bond_deviation_marks_what_broke(ax):
    deviation = np.full((3, 4), 0.01)
    deviation[1, 2], deviation[1, 3] = 0.06, np.inf
    plots.bond_deviation(ax, [0.0, 1.0, 2.0, 3.0], deviation, 0.05)
    *whole, broken, limit = ax.lines
    assert [line.get_color() for line in whole] == [plots.PALETTE[0]] * 2 and broken.get_color() == plots.PALETTE[3]
    assert np.isnan(broken.get_ydata()[3]) and set(limit.get_ydata()) == {0.05}
    assert "passed by 1 of 3 replicas" in ax.texts[0].get_text() and ax.get_ylabel() == "Largest bond deviation (nm)"


def test_bars_with_errors_and_reference(ax):
    plots.compare_bars(ax, ["Core", "Core Beta"], [0.1, 0.9], [0.02, 0.01], "Point symmetry (bit)", reference=0.99)
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], [0.1, 0.9])
    (whiskers,) = ax.collections
    np.testing.assert_allclose([s[:, 1] for s in whiskers.get_segments()], [[0.08, 0.12], [0.89, 0.91]])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["Core", "Core Beta"]
    assert ax.get_ylabel() == "Point symmetry (bit)"


def test_marginals_integrate_to_one_over_degrees(ax):
    e = edges(36)
    flat = np.full(36, 1 / (2 * np.pi))
    plots.marginals(ax, e, flat, 0.1 * flat, "psi", "Core")
    plots.marginals(ax, e, 3 * flat, 0.1 * flat, "psi", "reference", color=plots.REFERENCE_COLOUR)
    line = ax.lines[0]
    assert np.sum(line.get_ydata()) * 10 == pytest.approx(1) and line.get_xdata()[0] == pytest.approx(-175)
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(1.1 / 360) and band.min() == pytest.approx(0.9 / 360)
    assert ax.get_ylim()[0] == 0 and ax.get_ylim()[1] > 3.1 / 360
    assert ax.get_ylabel() == "Density (1/°)" and "psi" in ax.get_xlabel()
    with pytest.raises(ValueError, match="'phi' or 'psi'"):
        plots.marginals(ax, e, flat, flat, "chi")


def test_a_profile_is_not_drawn_where_no_hill_fell(ax):
    points = np.linspace(-np.pi, np.pi, 201)
    whole = 20 * np.sin(points) ** 2
    plots.inversion(ax, points, whole, np.zeros(201))
    assert np.isfinite(ax.lines[0].get_ydata()).all()
    plots.inversion(ax, points, np.where(np.abs(points) < 1, 30.0, whole), np.zeros(201))
    degrees, drawn = ax.lines[1].get_xydata().T
    assert (
        np.isnan(drawn[(degrees < 50) | (degrees > 310)]).all()
        and np.isfinite(drawn[(degrees > 60) & (degrees < 300)]).all()
    )
