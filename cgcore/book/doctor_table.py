"""The doctor's proof: what it says of every map and typing of the study, beside what was observed.

`python -m cgcore.book.doctor_table` writes a result for each combination to book/results/doctor/maps, the thresholds that
one half of them gives to book/results/doctor/calibration, and the controls to book/results/doctor/controls.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from cgcore import mapping, store
from cgcore.book import doctor_observed
from cgcore.book.doctor_cases import CONTROLS, STUDY, Case
from cgcore.doctor import Examination, examine, to_dict, verdict
from cgcore.doctor.findings import ARTEFACT, BARRIER, LIMITS, level_of
from cgcore.doctor.stereo import LOST, PATH
from cgcore.frames import Frames, Topology
from cgcore.reference import sets

FOLDER = Path("book/results/doctor")
FRAMES = 2000
"""Frames of a set that are looked at, at most."""
ROUNDING = 1e-9
YES, NO, BEHIND, NONE = "yes", "no", "behind a barrier", "–"


def make(folder: Path = FOLDER, say: Callable = lambda text: None, results: Path = FOLDER.parent) -> list[Path]:
    """Examine all combinations and controls, and write their results; results: where this book's own tables are."""
    folder, ours = Path(folder), doctor_observed.own(results)
    written, rows = [], []
    for order, case in enumerate(STUDY):
        start = time.process_time()
        found = _examine(case)
        say(f"{case.label} ({time.process_time() - start:.1f} s of one core)\n{verdict(found)}\n")
        rows.append((case, row(case, found, ours)))
        written.append(_write(folder / "maps" / f"{case.file}.json", case, order, rows[-1][1], found))
    for order, case in enumerate(CONTROLS):
        found = _examine(case)
        say(f"{case.label}\n{verdict(found)}\n")
        written.append(_write(folder / "controls" / f"{case.file}.json", case, order, row(case, found, ours), found))
    table = calibration(rows)
    say(str(table))
    path = folder / "calibration" / "thresholds.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    judged = "every second combination in the order of the table; the others judge"
    store.write_json(
        path, {"label": "Thresholds", "order": 0, "sampling": judged, "table": table, "manifest": {"rows": len(rows)}}
    )
    return [*written, path]


def row(case: Case, found: Examination, ours: dict) -> dict:
    """Predicted and observed side by side. Words: yes, no, behind a barrier; an observation that nobody reports is a dash.

    ours: of `doctor_observed.own`; `_seen` is the observation with its source.
    """
    separations = [x.separation for x in found.lengths if np.isfinite(x.separation)]
    separation = min(separations, default=float("inf"))
    predicted = {
        "mirror": _level(found, moves=False),
        "direction": _level(found, moves=True),
        "switch": YES if separation < LIMITS["separation"] else NO,
        "inversion": _inversion(found),
    }
    table = {}
    for key, value in predicted.items():
        word, source = doctor_observed.seen(case, ours, key)
        table |= {key: value, f"{key}_observed": word or NONE, f"{key}_seen": source}
    for name, broken in (("mirror", _broken(found, False)), ("direction", _broken(found, True))):
        if broken:
            table |= {f"{name}_bound": broken.bound.value, f"{name}_bound_error": _seen(broken.bound.error)}
            table |= {f"{name}_excess": broken.excess, f"{name}_open": int(_is_open(found, name == "direction"))}
            table |= {f"{name}_kJ": broken.free_energy.value, f"{name}_kJ_error": _seen(broken.free_energy.error)}
    planar = [s for m in found.molecules for s in m.stereo if s.state == PATH]
    if planar:
        table["planar"] = min(s.planar for s in planar)
    table["separation"] = separation if np.isfinite(separation) else None
    empty = [x for x in found.unsampled if x.between and x.intermolecular]
    table["unsampled"] = ", ".join(f"{x.pair} {x.low:.2f} to {x.high:.2f}" for x in empty) or NONE
    table["species"] = len(set(found.mapping.species))
    table["species_proposed"] = max(len(set(m.typing.proposed)) for m in found.molecules)
    table["agrees"] = agreement(table)
    return table


def agreement(table: dict) -> str:
    """Whether all observations that there are agree with what was predicted.

    What is behind a barrier is not seen in a plain simulation; whether there is one was measured as "inversion".
    """
    seen = {BEHIND: NO}
    known = [k for k in ("mirror", "direction", "switch", "inversion") if table[f"{k}_observed"] != NONE]
    plain = {k: table[k] if k == "inversion" else seen.get(table[k], table[k]) for k in known}
    wrong = [k for k in known if plain[k] != table[f"{k}_observed"]]
    return f"no: {', '.join(wrong)}" if wrong else (YES if known else NONE)


def calibration(rows: list[tuple[Case, dict]]) -> dict:
    """Each threshold in the middle (geometric) of the gap that the first, third ... rows leave, judged on the others."""
    judged = [t["agrees"] for _, t in rows if t["agrees"] != NONE]
    found = {"combinations": len(rows), "observed": len(judged), "agree": sum(a == YES for a in judged)}
    found["ours"] = sum(any("(ours)" in str(v) or "(both)" in str(v) for v in t.values()) for _, t in rows)
    kinds = {
        "separation": ("switch", lambda t: t["separation"], -1),
        "bound_bit": ("mirror", _open_excess("mirror"), 1),
    }
    for name, (key, value, sign) in kinds.items():
        known = [(value(t), t[f"{key}_observed"] == YES) for _, t in rows if t[f"{key}_observed"] in (YES, NO)]
        known = [(v, seen) for v, seen in known if v is not None]
        threshold = _middle(known[::2], sign)
        if threshold is None:
            found |= {name: None, f"{name}_fitted": len(known[::2]), f"{name}_judged": 0, f"{name}_right": 0}
            continue
        judged = [((v - threshold) * sign > 0) == seen for v, seen in known[1::2]]
        fitted = [((v - threshold) * sign > 0) == seen for v, seen in known[::2]]
        found |= {name: threshold, f"{name}_fitted": len(fitted), f"{name}_fitted_right": sum(fitted)}
        found |= {f"{name}_judged": len(judged), f"{name}_right": sum(judged)}
    return found


def _middle(known: list[tuple[float, bool]], sign: int) -> float | None:
    """The threshold with fewest errors; the middle of its gap."""
    values = sorted({v for v, _ in known})
    cuts = [float(np.sqrt(max(a, 1e-4) * max(b, 1e-4))) for a, b in pairwise(values)]
    if not cuts or len({seen for _, seen in known}) < 2:
        return None
    errors = [sum(((v - cut) * sign > 0) != seen for v, seen in known) for cut in cuts]
    return cuts[int(np.argmin(errors))]


def _open_excess(name: str):
    """The excess of an open symmetry, 0 where there is none, None where a barrier decides."""

    def value(table: dict):
        if f"{name}_open" not in table:
            return 0.0
        return table[f"{name}_excess"] if table[f"{name}_open"] else None

    return value


def _seen(error: float) -> float | None:
    """None for an error that is zero but for rounding: reference and image do not overlap in any block."""
    return error if error > ROUNDING else None


def _broken(found: Examination, moves: bool):
    """The bound that suffers most of the broken symmetries that move beads, or that do not; open ones first."""
    every = [b for m in found.molecules for b in m.broken if b.element.moves == moves and b.worst]
    some = [b for b in every if b.path is None] or every
    return max((b.worst for b in some), key=lambda w: w.excess, default=None)


def _is_open(found: Examination, moves: bool) -> bool:
    return any(b.path is None for m in found.molecules for b in m.broken if b.element.moves == moves)


def _level(found: Examination, *, moves: bool) -> str:
    levels = {level_of(b, m.independent) for m in found.molecules for b in m.broken if b.element.moves == moves}
    return YES if ARTEFACT in levels else BEHIND if BARRIER in levels else NO


def _inversion(found: Examination) -> str:
    states = {s.state for m in found.molecules for s in m.stereo}
    return NONE if not states else BEHIND if PATH in states else "free" if states == {LOST} else NO


def _examine(case: Case) -> Examination:
    topology, frames = _load(case.set)
    frames = case.change(frames)
    beads = mapping.load(case.map, topology, typing=case.typing, residue=case.residue)
    return examine(beads, topology, frames)


@lru_cache(maxsize=1)
def _load(name: str) -> tuple[Topology, Frames]:
    """Evenly spread frames of a set, without forces, which decide nothing here; the cases are in the order of the sets."""
    topology, frames = sets.load(name)
    return topology, replace(frames[:: max(1, frames.n_frames // FRAMES)], force=None)


def _write(path: Path, case: Case, order: int, table: dict, found: Examination) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = {k: v for k, v in to_dict(found).items() if k not in ("findings", "verdict")}
    entry = {
        "label": case.label,
        "order": order,
        "sampling": "",
        "table": table,
        "manifest": {
            "set": case.set,
            "frames": found.n_frames,
            "map": Path(str(case.map)).stem,
            "typing": case.typing,
            "found": numbers,
        },
    }
    store.write_json(path, entry)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    for path in make(parser.parse_args().folder, say=print):
        print(path)


if __name__ == "__main__":
    main()
