"""Whether this book finds what the study says: claims of `paper.toml`, each decided by numbers of the results."""

import math
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from cgbook.results import BOOK, Chapter, ResultError, Row, load
from cgcore.acceptance import DEVIATIONS, RULE_OF_THREE
from cgcore.store import read_toml

FILE = "paper.toml"
AGREES, DIFFERS, UNDECIDED, MISSING = "agrees", "differs", "undecided", "not made"
MARKS = {AGREES: "✓", DIFFERS: "✗", UNDECIDED: "?", MISSING: "–"}


class Evidence(NamedTuple):
    """One number beside its limits. says: what it is; sampling: of its run."""

    says: str
    row: Row
    sampling: str
    verdict: str


class Claim(NamedTuple):
    """What the study says, and what we find. why: the reason of a difference; missing: what is not made; page: more of it."""

    item: str
    study: str
    tests: list[Evidence]
    why: str
    missing: str
    page: str

    @property
    def verdict(self) -> str:
        """Differs where one test does, agrees where all do and none is missing, else undecided; not made without any."""
        verdicts = {test.verdict for test in self.tests} | ({UNDECIDED} if self.missing else set())
        if not self.tests:
            return MISSING
        return next(word for word in (DIFFERS, UNDECIDED, AGREES) if word in verdicts)


def claims(book: Path = BOOK) -> list[Claim]:
    """All claims, in the order of the study. Raises ResultError for a number that is not in the results."""
    chapters: dict[str, Chapter] = {}

    def row(place: str, runs: int | None = None) -> tuple[Row, str]:
        name, _, rest = place.partition("/")
        label, _, quantity = rest.partition(":")
        chapter = chapters.setdefault(name, load(book / "results" / name))
        found, replicas = chapter.row(label, quantity), runs or chapter.value(label, "n_replicas")
        if found.value == 0 and not found.error and replicas and not found.unit:  # a share that nobody has seen
            found = found._replace(error=RULE_OF_THREE / replicas / DEVIATIONS)
        return found, chapter.runs[chapter.run(label)]["sampling"]

    def test(says: str, number: str, less: str = "", runs: int | None = None, **limits: float) -> Evidence:
        if not limits or limits.keys() - {"below", "above"}:
            raise ResultError(f"{FILE}, {number}: want below or above, or both, got {sorted(limits)}")
        found, sampling = row(number, runs)
        if less:
            other, _ = row(less)
            found = Row(found.value - other.value, math.hypot(found.error or 0, other.error or 0), found.unit)
        return Evidence(says, found, sampling, judged(found, **limits))

    told = []
    for claim in read_toml(book / FILE)["claims"]:
        tests = [test(**words) for words in claim.pop("tests", [])]
        told.append(Claim(tests=tests, why=claim.pop("why", ""), missing=claim.pop("missing", ""), **claim))
    return told


def judged(row: Row, below: float = math.inf, above: float = -math.inf) -> str:
    """A number with two errors inside the limits agrees, outside one of them differs, else it is undecided."""
    margin = DEVIATIONS * (row.error or 0.0)
    if above <= row.value - margin and row.value + margin <= below:
        return AGREES
    return DIFFERS if row.value + margin < above or row.value - margin > below else UNDECIDED


def counts(book: Path = BOOK) -> Counter:
    """How many claims have each verdict."""
    return Counter(claim.verdict for claim in claims(book))
