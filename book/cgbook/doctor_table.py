"""The doctor's proof: what it says of every map and typing of the paper, beside what was observed.

`cgcore doctor-table` examines the cases of `cases.toml` and writes the rows of the chapter "doctor": kind "maps" and
"controls" by case, and "calibration", the thresholds that one half of the maps gives.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from cgbook import blind
from cgbook.results import ABSENT, BOOK, Row, add, load
from cgcore import mapping
from cgcore.data import mirrored
from cgcore.doctor import Examination, examine, to_dict, verdict
from cgcore.doctor.findings import ARTEFACT, BARRIER, LIMITS, level_of
from cgcore.doctor.stereo import LOST, PATH
from cgcore.frames import Frames, Topology
from cgcore.reference import sets
from cgcore.store import read_toml

FRAMES = 2000
"""Frames of a set that are looked at, at most."""
ROUNDING = 1e-9
YES, NO, BEHIND, UNDECIDED = "yes", "no", "behind a barrier", "undecided"
QUESTIONS = "mirror", "direction", "rearrangement", "inversion"
SURFACES = {
    "mirror": ("point_symmetry", "handedness_symmetry"),
    "direction": ("chain_symmetry", "mirror_chain_symmetry"),
}
"""Symmetries of which one is enough: a chain that keeps its handedness is read backwards in the mirror."""
RARE_PER_NS = 1.0
"""Rearrangements of a molecule: a run without any has seen none only where the limit of its rate (95 %) is below this."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One map with one typing on one reference set. observed: question -> the paper's word; kind: "d_ala2" or "racemate"
    of a control, whose frames are all reflected, or every second one."""

    set: str
    map: str
    typing: str
    residue: str
    observed: dict[str, str]
    kind: str = ""

    @property
    def name(self) -> str:
        return f"{self.kind or self.set}_{self.map}" + (f"_{self.typing}" if self.typing != "published" else "")

    def frames(self) -> tuple[Topology, Frames]:
        """The atoms, and evenly spread frames as the case wants them."""
        topology, frames = _load(self.set)
        if self.kind == "racemate":
            sign = np.where(np.arange(frames.n_frames) % 2, -1, 1).astype(np.float32)[:, None, None]
            frames = replace(frames, position=np.asarray(frames.position) * sign)
        return topology, mirrored(frames) if self.kind == "d_ala2" else frames


@lru_cache(maxsize=1)
def _load(name: str) -> tuple[Topology, Frames]:
    topology, frames = sets.load(name)  # without forces, which decide nothing here
    return topology, replace(frames[:: max(1, frames.n_frames // FRAMES)], force=None)


def cases() -> dict[str, list[Case]]:
    """The maps and the controls, in the order of the table."""
    systems = read_toml(BOOK / "cases.toml")
    return {
        group: [
            Case(**about, map=case.pop("map"), typing=case.pop("typing"), observed=case)
            for about in systems[group]
            for case in about.pop("cases")
        ]
        for group in ("maps", "controls")
    }


def make(results: Path, say: Callable = print):
    """Examine all cases and write their rows to results/doctor; results: also where our own runs are."""
    ours, tables = seen_here(results), []
    for group, members in cases().items():
        for case in members:
            topology, frames = case.frames()
            beads = mapping.load(case.map, topology, typing=case.typing, residue=case.residue)
            examination = examine(beads, topology, frames)
            say(f"{case.name}\n{verdict(examination)}\n")
            table = row(case, examination, ours)
            tables += [table] if group == "maps" else []
            manifest = {"set": case.set, "frames": examination.n_frames, "map": case.map, "typing": case.typing}
            manifest["found"] = {k: v for k, v in to_dict(examination).items() if k not in ("findings", "verdict")}
            add(results / "doctor", group, {"case": case.name}, table, manifest=manifest)
    judged = "every second combination in the order of the table; the others judge"
    table, manifest = calibration(tables), {"rows": len(tables)}
    add(results / "doctor", "calibration", {"case": "thresholds"}, table, manifest=manifest, sampling=judged)


def seen_here(results: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    """(residue, map, typing) -> question -> what our runs of all three systems have seen of the artefact.

    Yes where one run shows it, else no where one excludes it, else undecided. What no run measures has no word.
    Models that are told of bonds, or that tell mirror images apart, are not what the doctor speaks of.
    """
    seen = defaultdict(lambda: defaultdict(set))
    folders = (results / name for name in ("amino_acids", "hexane", "polyalanine"))
    for chapter in (load(folder) for folder in folders if folder.is_dir()):
        for run, about in chapter.runs.items():
            c, rows = about["config"], chapter.rows[run]
            told = c.get("potential.bond_types"), c.get("potential.symmetry") == "SO3", "improper" in c.get("prior", ())
            if about["kind"] != "simulation" or c.get("potential.potential") not in ("mace", "nequip") or any(told):
                continue
            words = seen[c["data.residue"], c["data.map"], c["data.typing"]]
            for question, symmetries in SURFACES.items():
                if names := [name for name in symmetries if name in rows]:
                    atoms = chapter.rows[chapter.one(kind="reference", reference=c["data.reference"])]
                    words[question].add(_strongest({_symmetric(rows, atoms, name) for name in names}))
            if "rearrangement_rate_low" in rows:
                rare = rows["rearrangement_rate_high"].value < RARE_PER_NS
                shown = rows["rearrangement_rate_low"].value > 0
                words["rearrangement"].add(YES if shown else NO if rare else UNDECIDED)
            if "runs_with_transition" in rows:  # a walk along the improper dihedral
                words["inversion"].add(BEHIND if rows["runs_with_transition"].value > 0 else NO)
    return {key: {q: _strongest(shown) for q, shown in words.items()} for key, words in seen.items()}


def _strongest(words: set[str]) -> str:
    return next(word for word in (YES, BEHIND, NO, UNDECIDED) if word in words)


def _symmetric(model: dict[str, Row], atoms: dict[str, Row], name: str) -> str:
    """Whether a model's surface has a symmetry that the atoms' has not, by the rule of the blind test; no where those have it."""
    numbers = {"replicas": model["n_replicas"].value, "bound_error": model[name].error or 0.0}
    for prefix, rows in (("", model), ("reference_", atoms)):
        numbers |= {f"{prefix}bound": rows[name].value, f"{prefix}bound_floor": rows[f"{name}_floor"].value}
    if numbers["reference_bound"] < numbers["reference_bound_floor"] + blind.RULE["deviations"] * (
        atoms[name].error or 0.0
    ):
        return NO
    return {blind.SEEN: YES, blind.NOT_SEEN: NO}.get(blind.judge(numbers), UNDECIDED)


def seen_by(case: Case, ours: dict, question: str) -> tuple[str, str]:
    """What was observed, a dash for nothing, and in words by whom. Where both have looked and differ, our word counts."""
    here = None if case.kind else ours.get((case.residue, case.map, case.typing), {}).get(question)
    there = case.observed.get(question)
    if here == there:
        return here or ABSENT, f"{here} (both)" if here else ABSENT
    words = [f"{word} ({who})" for word, who in ((here, "ours"), (there, "study")) if word]
    return here or there, ", ".join(words)


def row(case: Case, examination: Examination, ours: dict) -> dict:
    """Predicted and observed side by side. Words: yes, no, behind a barrier; what nobody reports is a dash."""
    molecules = examination.molecules
    separation = min((x.separation for x in examination.lengths if np.isfinite(x.separation)), default=None)
    states = {s.state for m in molecules for s in m.stereo}
    broken = {
        question: [(b, m.independent) for m in molecules for b in m.broken if b.element.moves == moves]
        for question, moves in (("mirror", False), ("direction", True))
    }
    levels = {question: {level_of(*b) for b in symmetries} for question, symmetries in broken.items()}
    predicted = {q: YES if ARTEFACT in of_q else BEHIND if BARRIER in of_q else NO for q, of_q in levels.items()}
    predicted["rearrangement"] = YES if separation is not None and separation < LIMITS["separation"] else NO
    predicted["inversion"] = ABSENT if not states else BEHIND if PATH in states else "free" if states == {LOST} else NO
    table = {}
    for question in QUESTIONS:
        observed, source = seen_by(case, ours, question)
        table |= {question: predicted[question], f"{question}_observed": observed, f"{question}_seen": source}
    for question, symmetries in broken.items():
        # those that nothing stands in the way of decide, where there are any
        is_open = any(b.path is None for b, _ in symmetries)
        worst = [b.worst for b, _ in symmetries if b.worst and (b.path is None or not is_open)]
        if worst:
            bound = max(worst, key=lambda w: w.excess)
            for end, (value, error) in (("bound", bound.bound), ("kJ", bound.free_energy)):
                # zero but for rounding: reference and image do not overlap in any block
                table |= {f"{question}_{end}": value, f"{question}_{end}_error": error if error > ROUNDING else None}
            table |= {f"{question}_excess": bound.excess, f"{question}_open": int(is_open)}
    if planar := [s.planar for m in molecules for s in m.stereo if s.state == PATH]:
        table["planar"] = min(planar)
    table["separation"] = separation
    empty = [x for x in examination.unsampled if x.between and x.intermolecular]
    table["unsampled"] = ", ".join(f"{x.pair} {x.low:.2f} to {x.high:.2f}" for x in empty) or ABSENT
    table["species"] = len(set(examination.mapping.species))
    table["species_proposed"] = max(len(set(m.typing.proposed)) for m in molecules)
    return table | {"agrees": agreement(table)}


def agreement(table: dict) -> str:
    """Whether all observations that there are agree with what was predicted.

    What is behind a barrier is not seen in a plain simulation; whether there is one was measured as "inversion".
    """
    observed = [q for q in QUESTIONS if table[f"{q}_observed"] not in (ABSENT, UNDECIDED)]
    plain = {q: NO if table[q] == BEHIND and q != "inversion" else table[q] for q in observed}
    wrong = [q for q in observed if plain[q] != table[f"{q}_observed"]]
    return f"no: {', '.join(wrong)}" if wrong else YES if observed else ABSENT


def calibration(tables: list[dict]) -> dict:
    """Each threshold in the middle (geometric) of the gap that the first, third ... rows leave, judged on the others."""
    judged = [t["agrees"] for t in tables if t["agrees"] != ABSENT]
    numbers = {"combinations": len(tables), "observed": len(judged), "agree": sum(a == YES for a in judged)}
    numbers["ours"] = sum(any("(ours)" in str(v) or "(both)" in str(v) for v in t.values()) for t in tables)
    # of an open symmetry; 0 where there is none, None where a barrier decides
    excess = [t["mirror_excess"] if t.get("mirror_open") else None if "mirror_open" in t else 0.0 for t in tables]
    for name, question, values, sign in (
        ("separation", "rearrangement", [t["separation"] for t in tables], -1),
        ("bound_bit", "mirror", excess, 1),
    ):
        answers = [t[f"{question}_observed"] for t in tables]
        pairs = [(v, a == YES) for v, a in zip(values, answers, strict=True) if a in (YES, NO) and v is not None]
        threshold = _middle(pairs[::2], sign)
        right = [] if threshold is None else [((v - threshold) * sign > 0) == seen for v, seen in pairs]
        numbers |= {name: threshold, f"{name}_fitted": len(pairs[::2]), f"{name}_fitted_right": sum(right[::2])}
        numbers |= {f"{name}_judged": len(right[1::2]), f"{name}_right": sum(right[1::2])}
    return numbers


def _middle(pairs: list[tuple[float, bool]], sign: int) -> float | None:
    """The threshold with fewest errors; the middle of its gap."""
    cuts = [float(np.sqrt(max(a, 1e-4) * max(b, 1e-4))) for a, b in pairwise(sorted({v for v, _ in pairs}))]
    if not cuts or len({seen for _, seen in pairs}) < 2:
        return None
    return min(cuts, key=lambda cut: sum(((v - cut) * sign > 0) != seen for v, seen in pairs))
