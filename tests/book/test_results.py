"""The results of a chapter: read back to the digit, as text with their errors, found by labels that match one run."""

import tomllib

import numpy as np
import pytest

from cgbook import results
from cgbook.results import BOOK, Chapter, ResultError, Row
from cgcore.store import StoreError

CHAPTERS = sorted(path.parent.name for path in (BOOK / "results").glob("*/runs.json"))
LABELS = tomllib.loads((BOOK / "labels.toml").read_text(encoding="utf-8"))
TOY = """
[toy.labels]
core = { title = "Core", kind = "simulation", map = "core" }
other = { title = "Core Beta", map = "core_beta", "md.replicas" = 4 }
both = { kind = "simulation" }
none = { map = "cores" }
misspelt = { mpa = "core" }

[toy.tables]
main = ["core", "other"]
"""
ROWS = {
    "js": Row(0.31234, 0.0123, "", 400),
    "big": Row(812.4, 25.0, "meV/Å"),
    "exact": Row(0.31127812445913283, 2e-16),
    "tiny": Row(4.57e-8, 6.3e-9),
    "rounding": Row(1.23456e-13),
    "n": Row(1234567),
    "published": Row(771.8),
    "computed": Row(771.8123),
    "large": Row(12345.67),
    "undefined": Row(float("inf"), float("nan")),
    "none": Row(None),
    "words": Row("1, 2, 3"),
}
TEXT = {
    "js": "0.312 ± 0.012",
    "big": "812 ± 25",
    "exact": "0.311",
    "tiny": "(4.57 ± 0.63)·10⁻⁸",
    "rounding": "1.23·10⁻¹³",
    "n": "1\u202f234\u202f567",
    "published": "771.8",
    "computed": "772",
    "large": "12346",
    "undefined": "inf",
    "none": "–",
    "words": "1, 2, 3",
}


@pytest.fixture
def chapter(tmp_path) -> Chapter:
    (tmp_path / "labels.toml").write_text(TOY, encoding="utf-8")

    def run(map, replicas, sampling):
        return {"kind": "simulation", "config": {"data.map": map, "md.replicas": replicas}, "sampling": sampling}

    runs = {"aaa": run("core", 4, "20 ns"), "bbb": run("core_beta", 4, "20 ns"), "ccc": run("core_beta", 2, "5 ns")}
    made = Chapter(tmp_path / "results" / "toy", runs, {"aaa": ROWS, "bbb": {"n": Row(5)}, "ccc": {}})
    results.save(made)
    return results.load(made.folder)


def test_rows_are_read_back_to_the_last_digit(chapter):
    """Whole numbers stay whole, words stay words, nothing stays nothing; saved again the files are the same."""
    assert chapter.runs["bbb"]["config"] == {"data.map": "core_beta", "md.replicas": 4}
    for quantity, row in ROWS.items():
        assert repr(chapter.rows["aaa"][quantity]) == repr(row), quantity
    files = [chapter.folder / name for name in ("rows.csv", "runs.json")]
    before = [path.read_bytes() for path in files]
    results.save(chapter)
    assert [path.read_bytes() for path in files] == before
    assert results.load(chapter.folder / "nowhere").runs == {}


def test_numbers_become_text_with_their_errors(chapter):
    assert {quantity: chapter.row("core", quantity).text() for quantity in ROWS} == TEXT
    assert results.cells(chapter, ["core", "other"], ["js", "n"]) == [
        ["Core", "0.312 ± 0.012", "1\u202f234\u202f567"],
        ["Core Beta", "–", "5"],
    ]
    with pytest.raises(ResultError, match=r"none of \['core', 'other'\] has 'jss'; known are"):
        results.cells(chapter, ["core", "other"], ["jss"])
    with pytest.raises(ResultError, match="toy: 'core' has no 'bigg'; it has"):
        chapter.row("core", "bigg")
    assert chapter.value("core", "js") == 0.31234 and chapter.value("core", "jss", 7) == 7
    assert chapter.value("core", "none", 7) == 7


def test_a_column_says_how_each_run_was_sampled_and_titles_go_without_what_all_rows_share(chapter):
    assert results.cells(chapter, ["core"], ["n", "sampling"]) == [["Core", "1\u202f234\u202f567", "20 ns"]]
    chapter.labels["core"]["title"] = "Core, MACE, barrier prior"
    assert results.cells(chapter, ["core"], ["n"], ["Core", " barrier prior"])[0][0] == "MACE"


def test_what_the_numbers_rest_on_is_said_once(chapter):
    assert results.sampling(chapter, ["core", "other"]) == "Each row: 20 ns."
    chapter.labels["third"] = {"title": "Reference", "map": "core_beta", "md.replicas": 2}
    assert results.sampling(chapter, ["core", "other", "third"]) == "Core; Core Beta: 20 ns. Reference: 5 ns."
    chapter.labels["other"]["title"] = "Core Beta, MACE"
    assert results.sampling(chapter, ["core", "other", "third"], [" MACE"]).startswith("Core; Core Beta: ")
    chapter.labels["again"] = dict(chapter.labels["core"])
    assert results.sampling(chapter, ["core", "other", "again", "third"]) == "Reference: 5 ns. All others: 20 ns."
    del chapter.runs["ccc"]["sampling"]  # then nothing is said of all others
    assert results.sampling(chapter, ["core", "other", "again", "third"]).endswith("Core: 20 ns.")


def test_a_label_names_one_run_by_its_configuration(chapter):
    assert (chapter.run("core"), chapter.run("other")) == ("aaa", "bbb")
    assert chapter.one(map="core_beta", replicas=2) == "ccc", "by the last part of a setting's name"
    for label in ("both", "none", "misspelt"):
        with pytest.raises(ResultError, match=r"want one run with \{.*found (none|runs \['aaa', 'bbb', 'ccc'\])"):
            chapter.run(label)
    with pytest.raises(ResultError, match="no label 'cor' of toy"):
        chapter.run("cor")
    assert chapter.table() == ["core", "other"]
    with pytest.raises(ResultError, match=r"no table 'mian' of toy in labels.toml; there are \['main'\]"):
        chapter.table("mian")
    with pytest.raises(ResultError, match="'core' has no curves"):
        chapter.curves("core")


def test_a_table_of_plain_numbers_becomes_rows_with_units():
    table = {"force_rmse_meV_per_A": 540.0, "js": 0.3, "js_error": 0.1, "stable": True, "an_error": 2.0}
    rows = results.as_rows(table, n=40)
    assert rows["js"] == Row(0.3, 0.1, results.unit_of("js"), 40)
    assert rows["force_rmse_meV_per_A"].n is None and rows["stable"].value == 1
    assert rows["an_error"].value == 2.0, "an error of nothing is a number of its own"
    assert results.unit_of("force_rmse_meV_per_A") == "meV/Å"


def test_a_run_takes_the_place_of_one_alike_or_is_refused(tmp_path):
    """By kind and configuration, with its files; added again under its name, it is the same run."""
    run = results.add(
        tmp_path, "study", {"data": {"map": "core"}}, {"js": 0.3}, manifest={"a": 1}, curves={"x": np.ones(2)}
    )
    assert results.add(tmp_path, "study", {"data": {"map": "core"}}, {"js": 0.4}, manifest={"a": 2}) == run
    chapter = results.load(tmp_path)
    assert chapter.rows == {run: {"js": Row(0.4, unit=results.unit_of("js"))}}
    about = {"kind": "study", "config": {"data.map": "core"}, "sampling": "", "cost": {}}
    with pytest.raises(StoreError, match=f"{run} is there, of the same configuration as other .*--replace"):
        chapter.put("other", about, {"js": 0.5}, {}, replace=False)
    chapter.put("other", about, {"js": 0.5}, {})
    assert list(chapter.runs) == ["other"] and chapter.rows["other"]["js"].value == 0.5
    assert not [path for path in tmp_path.rglob("*") if run in path.name]


# What is published


@pytest.fixture(scope="module")
def published() -> dict[str, Chapter]:
    return {name: results.load(BOOK / "results" / name) for name in CHAPTERS}


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_label_matches_one_run_and_every_run_has_one_label(published, name):
    chapter = published[name]
    found = [chapter.run(label) for label in chapter.labels]
    assert len(set(found)) == len(found)
    assert set(chapter.rows) == set(chapter.runs) and all(chapter.rows.values())


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_table_has_labels_that_exist(published, name):
    for table in LABELS[name].get("tables", {}):
        assert set(published[name].table(table)) <= published[name].labels.keys()


@pytest.mark.parametrize("name", CHAPTERS)
def test_published_errors_are_not_negative_and_units_are_those_of_the_quantities(published, name):
    for run, rows in published[name].rows.items():
        for quantity, row in rows.items():
            assert row.error is None or not row.error < 0, (run, quantity)
            assert row.unit == results.unit_of(quantity), (run, quantity)


def test_labels_are_of_chapters_that_there_are():
    assert LABELS.keys() - {"units"} == set(CHAPTERS)
