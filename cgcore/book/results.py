"""The small result tables that the chapters read: one JSON file per run in `book/results/<system>/`.

{"label": "Core", "order": 1, "sampling": "100 replicas of 200 ps, 20 ns in all",
 "table": {"js_reference": 0.31, "js_reference_error": 0.01}}

with the table of `analysis.ramachandran` or another of its kind: plain numbers or words, the standard error of one beside it
under its name with `_error`; and a "manifest" of what made them.
"""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

from cgcore.config import ConfigError, did_you_mean, from_dict

ABSENT = "–"
THIN_SPACE = "\u202f"  # between groups of three digits
GIVEN = 4
"""A number that ends after so many digits was given so, as published ones are; what was computed does not end."""
ROUNDING = 1e-9
"""An error so small beside its value is that of the arithmetic."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one run found: its name in the tables, its place among the others, how it was sampled, its numbers."""

    label: str
    order: int
    sampling: str
    table: dict
    manifest: dict = field(default_factory=dict)

    def text(self, key: str) -> str:
        """One number, to two digits of its error as `0.312 ± 0.011`, to three digits where it has none; counts and numbers that are
        given to so few digits in full, words as they are.

        Raises ConfigError for a key that the table lacks.
        """
        if key not in self.table:
            raise ConfigError(f"result {self.label!r} has no {key!r}{did_you_mean(key, self.table)}")
        value, error = self.table[key], self.table.get(f"{key}_error")
        if value is None:
            return ABSENT
        if isinstance(value, str):
            return value
        if isinstance(value, int):
            return f"{value:,}".replace(",", THIN_SPACE)
        if not error or not math.isfinite(error) or error < ROUNDING * abs(value):
            given = float(f"{value:.{GIVEN}g}") == value
            return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.{GIVEN if given else 3}g}"
        places = max(0, 1 - math.floor(math.log10(error)))
        return f"{value:.{places}f} ± {error:.{places}f}"


def load(folder: Path) -> dict[str, Result]:
    """The results of a folder by file name, in their order; empty where there are none."""
    found = {p.stem: from_dict(Result, json.loads(p.read_text())) for p in sorted(Path(folder).glob("*.json"))}
    return dict(sorted(found.items(), key=lambda item: item[1].order))


def sampling(results: dict[str, Result]) -> str:
    """What the numbers rest on, in sentences: rows that rest on the same share one."""
    labels: dict[str, list[str]] = {}
    for result in results.values():
        if result.sampling:
            labels.setdefault(result.sampling, []).append(result.label)
    if len(labels) == 1 and len(results) > 1 and len(*labels.values()) == len(results):
        return f"Each row: {next(iter(labels))}."
    return " ".join(f"{'; '.join(names)}: {said}." for said, names in labels.items())


def rows(results: dict[str, Result], keys: list[str]) -> list[list[str]]:
    """A row of text per run: its label and the numbers of the keys, a dash where its table lacks one.

    Raises ConfigError for a key that no run has.
    """
    for key in keys:
        if not any(key in r.table for r in results.values()):
            known = sorted({k for r in results.values() for k in r.table})
            raise ConfigError(f"no result has {key!r}; known are {known}{did_you_mean(key, known)}")
    return [[r.label, *(r.text(k) if k in r.table else ABSENT for k in keys)] for r in results.values()]
