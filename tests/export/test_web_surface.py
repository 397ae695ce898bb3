"""What engine.wasm samples in half a nanosecond beside the book's simulations: the surface of Core, the hand of Core Beta."""

from pathlib import Path

import numpy as np
import pytest
from web_engine import Module

from cgcore import geometry
from cgcore.analysis.surface import jensen_shannon, reflected
from cgcore.export.load import load
from cgcore.export.source import find
from cgcore.export.web import weights
from cgcore.store import read_npz

RESULTS = Path(__file__).parents[2] / "book" / "results" / "amino_acids"
CORE, CORE_BETA = "926d73861388", "79f924519ee1"
EVERY, FRICTION = 20, 5.0
BINS = 12
BOTH = 0.1
"""Of the frames, that must have phi > 0 at least where both hands are visited."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def angles(run: str, steps: int) -> np.ndarray:
    """phi and psi (T, 2) rad of one molecule that begins as L, a frame every EVERY steps."""
    of = load(find(RESULTS / "models" / f"{run}.npz"))
    engine = Module(weights.words(of.potential, of.params, of.molecule.mass, of.start, of.molecule.box))
    engine.start(of.start[0], seed=1, kelvin=300.0, dt_ps=of.config.md.dt_ps, friction=FRICTION)
    frames = []
    for _ in range(steps // EVERY):
        engine.call("steps", EVERY)
        frames.append(engine.array("positions"))
    pair = np.array([of.dihedrals["phi"], of.dihedrals["psi"]])
    return np.asarray(geometry.dihedrals(np.array(frames), pair, np.full(3, np.inf)))


def shares(of: np.ndarray) -> np.ndarray:
    """The distribution over phi and psi (BINS, BINS) of angles (T, 2)."""
    counts = np.histogram2d(*of.T, bins=BINS, range=[[-np.pi, np.pi]] * 2)[0]
    return counts / counts.sum()


def published(run: str) -> np.ndarray:
    P = np.asarray(read_npz(RESULTS / "curves" / f"{run}.npz")["P"], float)
    return P.reshape(BINS, len(P) // BINS, BINS, -1).sum((1, 3)) / P.sum()


def test_core_crosses_and_fills_the_surface_of_the_row():
    """Halves of the run are four times as far apart as the whole is from what it samples, where neither has another cause."""
    run = angles(CORE, 250_000)
    whole, halves = shares(run), [shares(half) for half in np.array_split(run, 2)]
    noise = jensen_shannon(*halves)
    assert jensen_shannon(whole, published(CORE)) < noise
    assert jensen_shannon(whole, reflected(whole)) < noise
    positive = (run[:, 0] > 0).mean()
    assert BOTH < positive < 1 - BOTH


def test_core_beta_stays_l():
    run = angles(CORE_BETA, 100_000)
    assert (run[:, 0] > 0).mean() < BOTH / 2
    assert jensen_shannon(shares(run), reflected(shares(run))) > 0.8
