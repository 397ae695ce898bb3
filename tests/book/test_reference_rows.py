"""What references tell alone: the published rows, observed again."""

from pathlib import Path

import pytest

from cgbook import reference_rows
from cgbook.results import as_rows, load

RESULTS = Path(__file__).parents[2] / "book" / "results"


def check(chapter, observed):
    """The rows of a run that was observed again are the published ones; it has curves where it should."""
    (run,) = (k for k, about in chapter.runs.items() if (about["kind"], about["config"]) == observed[:2])
    published, again = chapter.rows[run], as_rows(observed.table, observed.table.get("n_frames"))
    assert published.keys() == again.keys() and chapter.runs[run]["sampling"] == observed.sampling
    # Networks are in single precision, splines a solution of equations: both round otherwise on another processor.
    tolerance = 1e-5 if any(kind in str(observed.config) for kind in ("mace", "spline")) else 1e-6
    for quantity, row in again.items():
        for old, new in zip(published[quantity][:2], row[:2], strict=True):
            assert new == (None if old is None else pytest.approx(old, rel=tolerance, abs=1e-9)), (
                observed.config,
                quantity,
            )
    assert bool(observed.curves) == (chapter.folder / "curves" / f"{run}.npz").is_file()


@pytest.mark.parametrize("name, observe", [("amino_acids", "of_backbones"), ("polyalanine", "of_runs")])
def test_rows_of_the_bundled_references_are_the_published_ones(name, observe):
    chapter = load(RESULTS / name)
    for observed in getattr(reference_rows, observe)(chapter):
        check(chapter, observed)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_rows_of_the_liquid_and_of_models_in_it_are_the_published_ones():
    chapter = load(RESULTS / "hexane")
    observed = list(reference_rows.of_liquid(chapter, ("three_site", "two_site")))  # four sites take as long as both
    assert len([made for made in observed if made.kind == "mean_torque"]) == 7
    for made in observed:
        check(chapter, made)
