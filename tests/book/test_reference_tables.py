"""The tables of the chapter on reference data: made again from the sets, and on frames whose order is known."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgbook import reference_tables as tables
from cgbook.results import BOOK, load
from cgcore import plots
from cgcore.analysis import helix
from cgcore.frames import Frames
from cgcore.reference import sets
from cgcore.reference.build import peptide

CHAPTER = load(BOOK / "results" / "reference")


@pytest.mark.parametrize("name, kind", [("gly2_obc2", "dipeptides"), ("hexane", "liquids")])
def test_the_committed_numbers_are_those_of_the_sets(name, kind):
    make = {"dipeptides": tables.dipeptide, "liquids": tables.liquid}[kind]
    table, arrays = make(*sets.load(name))
    rows = CHAPTER.rows[CHAPTER.one(kind=kind, case=name)]
    for key, value in table.items():
        base = key.removesuffix("_error")
        committed = rows[key].value if key in rows else rows[base].error
        assert committed == pytest.approx(value, rel=1e-6, abs=1e-9), key
    for key, value in CHAPTER.curves(f"{kind}_{name}").items():
        assert_allclose(arrays[key], value, rtol=2e-6, atol=1e-7)


def test_every_set_is_in_the_chapter():
    shown = {about["config"]["case"] for about in CHAPTER.runs.values()}
    assert {entry.name for entry in sets.available()} <= shown


def test_a_helix_and_its_mirror_image_are_told_apart(tmp_path):
    """Twenty blocks: half right-handed helices, half left-handed ones, by the chirality of what they are built from."""
    made = [peptide("ala15", "helix", chirality=hand) for hand in "LD"]
    random = np.random.default_rng(0)
    position = np.concatenate([np.tile(m.position, (200, 1, 1)) for m in made])
    position = position + random.normal(size=position.shape) * 0.003
    frames = Frames(
        position=position,
        force=None,
        box=np.full(3, np.inf),
        time=np.arange(400) * 1.0,
        names=made[0].topology.names,
    )
    table, arrays = tables.chain(made[0].topology, frames)
    assert table["helical"] == 1.0
    assert table["left_handed"] == table["left_handed_helical"] == 0.5
    assert abs(table["handedness"]) < 0.1
    ca = np.flatnonzero(np.array(frames.names) == "CA")
    assert_allclose(arrays["q"], helix.helicity(position[:, ca]))
    right = replace(frames, position=position[:200], time=frames.time[:200])
    assert tables.chain(made[0].topology, right)[0]["handedness"] > 20
    figure, (left, other) = plt.subplots(1, 2)
    plots.helix_surface(left, arrays["F"], arrays["chi_edges"], arrays["q_edges"])
    plots.helix_series(other, arrays["time"] / 1000, arrays["q"])
    assert "10⁻³ nm³" in left.get_xlabel() and "(ns)" in other.get_xlabel()
    figure.savefig(tmp_path / "helix.png")
    plt.close(figure)
