"""The doctor's proof: what it says of every map and typing of the paper, beside what was observed.

`python -m cgcore.book.doctor_table` writes a result for each combination to book/results/doctor/maps, the thresholds that
one half of them gives to book/results/doctor/calibration, and the controls to book/results/doctor/controls.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from cgcore import mapping, store
from cgcore.book.doctor_cases import CONTROLS, NO, STUDY, YES, Case, own, seen_by
from cgcore.doctor import Examination, examine, to_dict, verdict
from cgcore.doctor.findings import ARTEFACT, BARRIER, LIMITS, level_of
from cgcore.doctor.stereo import LOST, PATH
from cgcore.frames import Frames, Topology
from cgcore.reference import sets

FOLDER = Path("book/results/doctor")
FRAMES = 2000
"""Frames of a set that are looked at, at most."""
ROUNDING = 1e-9
BEHIND, NONE = "behind a barrier", "–"
QUESTIONS = "mirror", "direction", "switch", "inversion"


def make(folder: Path = FOLDER, say: Callable = lambda text: None, results: Path = FOLDER.parent) -> list[Path]:
    """Examine all combinations and controls, and write their results; results: where this book's own tables are."""
    written, tables, ours = [], {}, own(results)
    for place, cases in (("maps", STUDY), ("controls", CONTROLS)):
        tables[place] = []
        for order, case in enumerate(cases):
            examination = _examine(case)
            say(f"{case.label}\n{verdict(examination)}\n")
            tables[place].append(row(case, examination, ours))
            manifest = {"set": case.set, "frames": examination.n_frames, "map": case.map, "typing": case.typing}
            manifest["found"] = {k: v for k, v in to_dict(examination).items() if k not in ("findings", "verdict")}
            path = Path(folder) / place / f"{case.file}.json"
            written.append(_write(path, case.label, tables[place][-1], manifest, order=order))
    table = calibration(tables["maps"])
    say(str(table))
    judged = "every second combination in the order of the table; the others judge"
    path = Path(folder) / "calibration" / "thresholds.json"
    return [*written, _write(path, "Thresholds", table, {"rows": len(STUDY)}, sampling=judged)]


def row(case: Case, examination: Examination, ours: dict) -> dict:
    """Predicted and observed side by side. Words: yes, no, behind a barrier; an observation that nobody reports is a dash.

    ours: of `doctor_cases.own`; `_seen` is the observation with its source.
    """
    molecules = examination.molecules
    separations = [x.separation for x in examination.lengths if np.isfinite(x.separation)]
    states = {s.state for m in molecules for s in m.stereo}
    broken = {
        "mirror": [(b, m.independent) for m in molecules for b in m.broken if not b.element.moves],
        "direction": [(b, m.independent) for m in molecules for b in m.broken if b.element.moves],
    }
    table = {}
    for key in QUESTIONS:
        if key in broken:
            levels = {level_of(*b) for b in broken[key]}
            word = YES if ARTEFACT in levels else BEHIND if BARRIER in levels else NO
        elif key == "switch":
            word = YES if min(separations, default=np.inf) < LIMITS["separation"] else NO
        else:
            word = NONE if not states else BEHIND if PATH in states else "free" if states == {LOST} else NO
        observed, source = seen_by(case, ours, key)
        table |= {key: word, f"{key}_observed": observed or NONE, f"{key}_seen": source}
    for key, symmetries in broken.items():
        # those that nothing stands in the way of decide, where there are any
        is_open = any(b.path is None for b, _ in symmetries)
        worst = [b.worst for b, _ in symmetries if b.worst and (b.path is None or not is_open)]
        if worst:
            bound = max(worst, key=lambda w: w.excess)
            table |= {f"{key}_bound": bound.bound.value, f"{key}_bound_error": _error(bound.bound.error)}
            table |= {f"{key}_excess": bound.excess, f"{key}_open": int(is_open)}
            table |= {f"{key}_kJ": bound.free_energy.value, f"{key}_kJ_error": _error(bound.free_energy.error)}
    if planar := [s.planar for m in molecules for s in m.stereo if s.state == PATH]:
        table["planar"] = min(planar)
    table["separation"] = min(separations, default=None)
    empty = [x for x in examination.unsampled if x.between and x.intermolecular]
    table["unsampled"] = ", ".join(f"{x.pair} {x.low:.2f} to {x.high:.2f}" for x in empty) or NONE
    table["species"] = len(set(examination.mapping.species))
    table["species_proposed"] = max(len(set(m.typing.proposed)) for m in molecules)
    return table | {"agrees": agreement(table)}


def agreement(table: dict) -> str:
    """Whether all observations that there are agree with what was predicted.

    What is behind a barrier is not seen in a plain simulation; whether there is one was measured as "inversion".
    """
    observed = [k for k in QUESTIONS if table[f"{k}_observed"] != NONE]
    plain = {k: NO if table[k] == BEHIND and k != "inversion" else table[k] for k in observed}
    wrong = [k for k in observed if plain[k] != table[f"{k}_observed"]]
    return f"no: {', '.join(wrong)}" if wrong else YES if observed else NONE


def calibration(tables: list[dict]) -> dict:
    """Each threshold in the middle (geometric) of the gap that the first, third ... rows leave, judged on the others."""

    def excess(table: dict) -> float | None:
        """Of an open symmetry; 0 where there is none, None where a barrier decides."""
        if "mirror_open" not in table:
            return 0.0
        return table["mirror_excess"] if table["mirror_open"] else None

    judged = [t["agrees"] for t in tables if t["agrees"] != NONE]
    numbers = {"combinations": len(tables), "observed": len(judged), "agree": sum(a == YES for a in judged)}
    numbers["ours"] = sum(any("(ours)" in str(v) or "(both)" in str(v) for v in t.values()) for t in tables)
    for name, key, value, sign in (
        ("separation", "switch", lambda t: t["separation"], -1),
        ("bound_bit", "mirror", excess, 1),
    ):
        pairs = [(value(t), t[f"{key}_observed"] == YES) for t in tables if t[f"{key}_observed"] in (YES, NO)]
        pairs = [(v, seen) for v, seen in pairs if v is not None]
        threshold = _middle(pairs[::2], sign)
        numbers |= {name: threshold, f"{name}_fitted": len(pairs[::2]), f"{name}_judged": 0, f"{name}_right": 0}
        if threshold is not None:
            right = [((v - threshold) * sign > 0) == seen for v, seen in pairs]
            numbers |= {f"{name}_fitted_right": sum(right[::2]), f"{name}_judged": len(right[1::2])}
            numbers[f"{name}_right"] = sum(right[1::2])
    return numbers


def _middle(pairs: list[tuple[float, bool]], sign: int) -> float | None:
    """The threshold with fewest errors; the middle of its gap."""
    cuts = [float(np.sqrt(max(a, 1e-4) * max(b, 1e-4))) for a, b in pairwise(sorted({v for v, _ in pairs}))]
    if not cuts or len({seen for _, seen in pairs}) < 2:
        return None
    return min(cuts, key=lambda cut: sum(((v - cut) * sign > 0) != seen for v, seen in pairs))


def _error(error: float) -> float | None:
    """None for an error that is zero but for rounding: reference and image do not overlap in any block."""
    return error if error > ROUNDING else None


def _examine(case: Case) -> Examination:
    topology, frames = _load(case.set)
    return examine(
        mapping.load(case.map, topology, typing=case.typing, residue=case.residue), topology, case.change(frames)
    )


@lru_cache(maxsize=1)
def _load(name: str) -> tuple[Topology, Frames]:
    """Evenly spread frames of a set, without forces, which decide nothing here; the cases are in the order of the sets."""
    topology, frames = sets.load(name)
    return topology, replace(frames[:: max(1, frames.n_frames // FRAMES)], force=None)


def _write(path: Path, label: str, table: dict, manifest: dict, *, order: int = 0, sampling: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = {"label": label, "order": order, "sampling": sampling, "table": table, "manifest": manifest}
    store.write_json(path, entry)
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    for path in make(parser.parse_args().folder, say=print):
        print(path)
