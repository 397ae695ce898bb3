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


def test_a_profile_has_a_gap_where_it_is_unknown_and_the_plane_in_its_middle(ax):
    points = np.linspace(-np.pi, np.pi, 201)[:-1]
    F = 4.184 * np.where(np.abs(points) < 1, np.nan, 20 * np.sin(points) ** 2)
    plots.inversion(ax, points, F, np.zeros(200))
    degrees, drawn = ax.lines[0].get_xydata().T
    assert (
        degrees[0] == pytest.approx(0, abs=1e-9)
        and degrees[100] == pytest.approx(180)
        and drawn[100] == pytest.approx(0, abs=1e-9)
    )
    assert np.nanmax(drawn) == pytest.approx(20, rel=1e-3)
    assert np.isnan(drawn[(degrees < 57) | (degrees > 303)]).all()
    assert np.isfinite(drawn[(degrees > 60) & (degrees < 300)]).all()
