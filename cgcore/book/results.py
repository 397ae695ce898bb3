"""The small result tables that the chapters read: one JSON file per run in `book/results/<system>/`.

{"label": "Core", "order": 1, "sampling": "100 replicas of 200 ps, 20 ns in all",
 "values": {"js_reference": {"name": "JS distance to the reference", "value": 0.31, "error": 0.01, "unit": "bit"}}}
"""

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from cgcore.config import ConfigError, did_you_mean, from_dict


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One number of a run with its standard error (None where there is none) and unit ('' where it has none)."""

    name: str
    value: float
    error: float | None = None
    unit: str = ""

    def text(self) -> str:
        """The value rounded to two digits of its error, as `0.312 ± 0.011`; to three digits where it has none."""
        if self.error is None or not self.error > 0:
            return f"{self.value:.3g}"
        places = max(0, 1 - math.floor(math.log10(self.error)))
        return f"{self.value:.{places}f} ± {self.error:.{places}f}"

    @property
    def heading(self) -> str:
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one run found: its name in the tables, its place among the others, how it was sampled, its numbers."""

    label: str
    order: int
    sampling: str
    values: dict

    @property
    def quantities(self) -> dict[str, Quantity]:
        return {key: from_dict(Quantity, raw) for key, raw in self.values.items()}


def save(path: Path, *, label: str, order: int, sampling: str, quantities: dict[str, Quantity]) -> Path:
    """Write one run's result for the chapters, atomically."""
    values = {key: asdict(quantity) for key, quantity in quantities.items()}
    text = json.dumps(asdict(Result(label=label, order=order, sampling=sampling, values=values)), indent=1)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(text + "\n")
    os.replace(part, path)
    return path


def load(folder: Path) -> dict[str, Result]:
    """The results of a folder by file name, in their order; empty where there are none."""
    found = {p.stem: from_dict(Result, json.loads(p.read_text())) for p in sorted(Path(folder).glob("*.json"))}
    return dict(sorted(found.items(), key=lambda item: item[1].order))


def table(results: dict[str, Result]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of text: a row per run, a column per quantity in the order in which they first come."""
    columns: dict[str, str] = {}
    for result in results.values():
        for key, quantity in result.quantities.items():
            columns.setdefault(key, quantity.heading)
    rows = [
        [r.label, *(r.quantities[key].text() if key in r.values else "–" for key in columns)] for r in results.values()
    ]
    return ["", *columns.values()], rows


def number(folder: Path, run: str, key: str) -> str | None:
    """One number with its unit as text, None where the run has not been made. Raises ConfigError for an unknown key."""
    results = load(folder)
    if run not in results:
        return None
    found = results[run].quantities
    if key not in found:
        raise ConfigError(f"{folder}/{run}.json has no {key!r}; it has {sorted(found)}{did_you_mean(key, found)}")
    return f"{found[key].text()} {found[key].unit}".strip()
