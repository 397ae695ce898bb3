"""Rows that are made of other rows: the command gives what is published, from runs of one sample."""

import shutil

import numpy as np
import pytest

from cgbook import comparisons, results
from cgbook.results import BOOK
from cgcore.store import read_json


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The chapters as they are published, and made anew from the runs in them."""
    folder = tmp_path_factory.mktemp("book") / "results"
    shutil.copy(BOOK / "labels.toml", folder.parent)
    for chapter in ("potentials", "hexane"):
        shutil.copytree(BOOK / "results" / chapter, folder / chapter)
    comparisons.make(folder)
    return folder


@pytest.mark.parametrize(
    "chapter, kinds",
    [("potentials", {"fit", "differences", "gpu/differences", "seeds", "force_map_gain"}), ("hexane", {"table1"})],
)
def test_the_command_makes_the_rows_that_are_published(made, chapter, kinds):
    published, anew = (results.load(folder / chapter) for folder in (BOOK / "results", made))
    compared = [run for run, about in published.runs.items() if about["kind"] in kinds]
    assert len(compared) >= 18 and anew.runs.keys() == published.runs.keys()
    for run in compared:
        assert anew.rows[run].keys() == published.rows[run].keys()
        for quantity, row in published.rows[run].items():
            wanted = row.value if isinstance(row.value, str | None) else pytest.approx(row.value, rel=1e-5)
            assert anew.rows[run][quantity].value == wanted, (run, quantity)


def test_the_cells_of_table_1_are_of_one_sample_and_of_as_many_updates_for_a_map(made):
    hexane, potentials = (results.load(made / name) for name in ("hexane", "potentials"))
    updates = {}
    for run, about in hexane.runs.items():
        if about["kind"] != "table1":
            continue
        fit = read_json(hexane.path("manifests", run))["runs"][-1]
        assert potentials.runs[fit]["config"]["data.reference"] == "hexane"
        map = hexane.rows[run]["map"].value
        updates.setdefault(map, set()).add(potentials.rows[fit]["updates"].value)
    assert {map: len(found) for map, found in updates.items()} == dict.fromkeys(updates, 1) and len(updates) == 3


def test_splines_are_put_beside_networks_on_the_same_frames(tmp_path):
    config = {"data": {"map": "a", "reference": "r", "frames": None, "force_map": "sum"}}
    errors = np.random.default_rng(1).normal(10.0, 1.0, (40, 2))
    for potential, shift in (("spline", 0.0), ("mace", -0.5)):
        about = config | {"potential": {"potential": potential}}
        results.add(tmp_path, "simulation", about, {"ns": 1.0}, manifest={}, curves={"held_out_errors": errors + shift})
    comparisons.less_splines(tmp_path)
    found = {r: rows.get("less_splines") for r, rows in results.load(tmp_path).rows.items()}
    (apart,) = [row for row in found.values() if row]
    assert apart.value == pytest.approx(-0.5, abs=1e-5) and apart.error < 1e-5
