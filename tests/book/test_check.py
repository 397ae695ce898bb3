"""Published numbers are those of the published curves, and one that is not is found."""

import shutil

from cgbook.check import check, say
from cgbook.results import BOOK, load, save


def test_every_number_that_can_be_is_computed_again():
    found, bare = check(BOOK / "results")
    kinds = {c.quantity for c in found}
    assert len(found) > 400 and {c.chapter for c in found} >= {"amino_acids", "hexane", "potentials"}
    assert {"point_symmetry", "phi_positive", "angle_ABA_js", "g_AA_mse_all", "barrier_kcal_mol", "observed"} <= kinds
    assert not [c for c in found if not c.agrees] and not bare


def test_a_number_that_was_typed_is_found(tmp_path):
    for name in ("amino_acids", "hexane"):
        shutil.copytree(BOOK / "results" / name, tmp_path / name, ignore=shutil.ignore_patterns("models", "*.png"))
    chapter = load(tmp_path / "amino_acids")
    run = load(BOOK / "results" / "amino_acids").run("core")
    chapter.rows[run]["point_symmetry"] = chapter.rows[run]["point_symmetry"]._replace(value=0.02)
    save(chapter)
    next((tmp_path / "hexane" / "manifests").iterdir()).unlink()
    words, well = say(tmp_path)
    assert not well and f"amino_acids/{run} point_symmetry: published 0.02" in words and "no manifest" in words
    assert words.count("✗") == 2


def test_a_run_of_the_blind_test_that_was_called_otherwise_is_found(tmp_path):
    """Its question and the matrix are computed from all runs again, so they stay as they were."""
    shutil.copytree(BOOK / "results" / "doctor", tmp_path / "doctor")
    chapter = load(tmp_path / "doctor")
    run = next(r for r, about in chapter.runs.items() if about["kind"] == "blind_run")
    wrong = "not seen" if chapter.rows[run]["observed"].value == "seen" else "seen"
    chapter.rows[run]["observed"] = chapter.rows[run]["observed"]._replace(value=wrong)
    save(chapter)
    words, well = say(tmp_path)
    assert not well and words.count("✗") == 1 and f"{run} observed: published {wrong}, again" in words
