"""What engine.wasm samples in half a nanosecond beside the book's simulations: the surface of Core, the hand of Core Beta."""

import numpy as np
import pytest
from web_watch import crossings, watched

BOTH = 0.1
"""Of the frames, that must have phi > 0 at least where both hands are visited."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_core_crosses_and_fills_the_surface_of_the_row():
    """Halves of the run are four times as far apart as the whole is from what it samples, where neither has another cause."""
    found = watched("core", 250_000)
    assert found["js_published"] < found["js_halves"]
    assert found["js_mirror"] < found["js_halves"]
    assert BOTH < found["phi_positive"] < 1 - BOTH


def test_core_beta_stays_l():
    found = watched("core_beta", 100_000)
    assert found["crossings"] == 0
    assert found["phi_positive"] < BOTH / 2
    assert found["js_mirror"] > 0.8


def test_a_volume_that_only_touches_the_plane_has_not_crossed():
    assert crossings(np.array([1.0, 0.2, -0.2, 0.1, 0.9])) == 0
    assert crossings(np.array([1.0, 0.1, -0.5, -0.1, 0.2, -0.4, 0.6])) == 2
