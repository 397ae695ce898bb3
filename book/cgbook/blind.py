"""The doctor's blind test: verdicts that were written down before any run, and what runs say (`blind/cases.toml`: the rule).

python -m cgbook.blind verdicts reference/blind
python -m cgbook.blind score runs/molecule/*
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from cgbook.results import ABSENT, BOOK, Chapter, add, load, made_here
from cgcore import mapping
from cgcore.acceptance import read_back
from cgcore.config import ConfigError, RunConfig
from cgcore.doctor import examine, verdict
from cgcore.doctor.examine import Broken, Examination
from cgcore.doctor.findings import ARTEFACT, BARRIER, LIMITS, level_of
from cgcore.doctor.symmetry import bound_of
from cgcore.frames import Ensemble
from cgcore.reference import sets
from cgcore.steps import simulate_protocol
from cgcore.store import read_json, read_toml, write_json

FOLDER = BOOK / "blind"
RULE = read_toml(FOLDER / "cases.toml")
SEEN, NOT_SEEN, UNDECIDED = "seen", "not seen", "undecided"
NUMBERS = "value", "error", "floor"


@dataclass(frozen=True)
class Case:
    """One map of one molecule, and the symmetry of the network."""

    reference: str
    map: str
    typing: str = "published"
    symmetry: str = "O3"

    @property
    def name(self) -> str:
        usual = {"published", "O3"}
        return "_".join([self.reference, self.map, *(w for w in (self.typing, self.symmetry) if w not in usual)])

    @property
    def path(self) -> Path:
        return FOLDER / "verdicts" / f"{self.name}.json"


def cases() -> list[Case]:
    """Every case, in the order of the file."""
    return [Case(name, **m) for group in RULE["cases"] for name in group["references"] for m in group["maps"]]


def questions(found: Examination, case: Case) -> Iterator[tuple[Broken, str]]:
    """Each symmetry that would show, and whether the doctor expects it to: seen, or not seen."""
    (of_molecule,) = found.molecules
    for broken in of_molecule.broken:
        worst, absent = broken.worst, case.symmetry == "SO3" and broken.element.parity < 0
        if worst is None or worst.excess <= LIMITS["bound_bit"] or not worst.sure(LIMITS["deviations"]):
            continue
        level = level_of(broken, of_molecule.independent)
        expected = {ARTEFACT: SEEN, BARRIER: NOT_SEEN}.get(level, UNDECIDED)
        yield broken, NOT_SEEN if absent else expected


def write_verdict(case: Case, folder: Path) -> dict:
    """Examine the reference FOLDER/<name> of a case and write what the doctor expects of it."""
    source = folder / case.reference
    topology, frames = sets.load(source)
    beads = mapping.load(case.map, topology, typing=case.typing)
    found = examine(beads, topology, frames, temperature_K=sets.temperature_K(source))
    asked = [
        {
            "symmetry": broken.name,
            "observable": broken.worst.observable,
            "reference": dict(zip(NUMBERS, (*broken.worst.bound, broken.worst.floor), strict=True)),
            "path": broken.path,
            "expected": expected,
        }
        for broken, expected in questions(found, case)
    ]
    told = {
        "case": vars(case),
        "command": RULE["commands"][case.reference],
        "frames": found.n_frames,
        "questions": asked,
    }
    sums = read_json(source / "manifest.json", "sha256")["sha256"]
    write_json(case.path, made_here(**told, verdict=verdict(found).splitlines(), sha256=sums))
    return told


def judge(row: dict[str, float]) -> str:
    """Whether a sample has lost what the reference has, by the rule: its row of kind blind_run."""
    if row["replicas"] < RULE["least_replicas"]:
        return UNDECIDED
    excess, margin = row["bound"] - row["bound_floor"], RULE["deviations"] * row["bound_error"]
    limit = RULE["half"] * max(0.0, row["reference_bound"] - row["reference_bound_floor"])
    if excess + margin < limit:
        return SEEN
    return NOT_SEEN if excess - margin > limit else UNDECIDED


def agreed(words: list[str]) -> str:
    """What all seeds say, undecided where they do not agree; a dash for fewer seeds than the rule wants."""
    if len(words) < RULE["seeds"]:
        return ABSENT
    return words[0] if len(set(words)) == 1 else UNDECIDED


def pieces(run: Ensemble) -> list[np.ndarray]:
    """The frames (t, N, 3) of each replica that count, of the second part of the run."""
    late = np.arange(run.position.shape[1]) >= RULE["skip"] * run.position.shape[1]
    return [np.asarray(x)[v & late] for x, v in zip(run.position, run.valid, strict=True) if (v & late).any()]


def score(run: Path, results: Path) -> list[tuple[str, str, str]]:
    """Judge one finished observation and add a row for each question of its case: symmetry, expected, observed.

    Raises ConfigError for a run of no case, and where its reference, made again, asks other questions than the verdict.
    """
    config, reference, fitted, out_dir = read_back(run)
    case, kelvin = case_of(config), config.md.temperature_K
    found = examine(reference.beads, reference.topology, reference.atoms, temperature_K=kelvin)
    asked, told = list(questions(found, case)), read_json(case.path, "questions", "sha256")
    now, then = [(b.name, word) for b, word in asked], [(q["symmetry"], q["expected"]) for q in told["questions"]]
    if now != then:
        raise ConfigError(f"{run}: of its reference the doctor says {now}, of that of {case.path.name} {then}")
    (of_molecule,) = found.molecules
    blocks, rows = pieces(simulate_protocol(config, reference, fitted, out_dir).ensemble), []
    sums = read_json(Path(config.data.reference) / "manifest.json", "sha256")["sha256"]
    for number, (broken, expected) in enumerate(asked):
        theirs = broken.worst
        observable = next(o for o in of_molecule.observables if o.name == theirs.observable)
        ours = bound_of(observable, blocks, broken.element, temperature_K=kelvin, inefficiency=1.0)
        table = {"expected": expected, "replicas": len(blocks)}
        for name, bound in (("bound", ours), ("reference_bound", theirs)):
            table |= {name: bound.bound.value, f"{name}_error": bound.bound.error, f"{name}_floor": bound.floor}
        table["observed"] = word = judge(table)
        key = {"case": case.name, "question": number, "seed": config.md.seed}
        sampling = f"{len(blocks)} replicas of {(1 - RULE['skip']) * config.md.length_ps:g} ps"
        about = made_here(run=run.name, frames_of_the_verdict=sums == told["sha256"], **key)
        add(results / "doctor", "blind_run", key, table, manifest=about, sampling=sampling)
        rows.append((broken.name, expected, word))
    return rows


def case_of(config: RunConfig) -> Case:
    """The case that a run is of. Raises ConfigError where there is none."""
    d = config.data
    sought = Case(Path(d.reference).name, d.map, d.typing, getattr(config.potential, "symmetry", "O3"))
    if sought not in cases():
        raise ConfigError(
            f"{sought.name}: no case of {FOLDER / 'cases.toml'}; is the folder of the reference named as there?"
        )
    return sought


def words_of(chapter: Chapter) -> dict[tuple[str, int], list[str]]:
    """(case, question) -> what each of its runs says, by the numbers of its row."""
    found = defaultdict(list)
    for run, about in chapter.runs.items():
        if about["kind"] == "blind_run":
            found[about["config"]["case"], about["config"]["question"]].append(judge(row_of(chapter, run)))
    return found


def row_of(chapter: Chapter, run: str) -> dict[str, float]:
    """The numbers of a run with their errors, as `judge` takes them."""
    rows = chapter.rows[run].items()
    return {name: row.value for name, row in rows} | {f"{name}_error": row.error for name, row in rows}


def summarise(results: Path) -> dict[tuple[str, str], int]:
    """Write a row for each question: what was expected, what the seeds agree on. Returns (expected, observed) -> how many."""
    judged, counts = words_of(load(results / "doctor")), Counter()
    for case in cases():
        for number, asked in enumerate(read_json(case.path, "questions")["questions"]):
            words, key = judged[case.name, number], {"case": case.name, "question": number}
            observed = agreed(words)
            table = {"symmetry": asked["symmetry"], "expected": asked["expected"], "observed": observed}
            for word, name in ((SEEN, "seeds_seen"), (NOT_SEEN, "seeds_kept")):
                table[name] = f"{words.count(word)} of {len(words)}" if words else ABSENT
            add(results / "doctor", "blind", key, table, manifest=made_here(verdict=case.path.name, **key))
            counts[asked["expected"], observed] += 1
    add(results / "doctor", "blind_counts", {"of": "questions"}, matrix(counts), manifest=made_here())
    return dict(counts)


def matrix(counts: Counter) -> dict[str, float]:
    """How often which observation followed which expectation, and the share of right ones among what was decided.

    Args:
        counts: (expected, observed) -> questions.

    Returns:
        expected_<a>_observed_<b>; decided, right; right_share with the exact limits of a binomial share (95 %).
    """
    words = SEEN, NOT_SEEN
    table = {f"expected_{a}_observed_{b}".replace(" ", "_"): counts[a, b] for a in words for b in (*words, UNDECIDED)}
    decided, right = sum(counts[a, b] for a in words for b in words), sum(counts[a, a] for a in words)
    table |= {"questions": counts.total(), "decided": decided, "right": right}
    if decided:
        low, high = binomtest(right, decided).proportion_ci(0.95, "exact")
        table |= {"right_share": right / decided, "right_low": float(low), "right_high": float(high)}
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["verdicts", "score"])
    parser.add_argument("paths", type=Path, nargs="+")
    given = parser.parse_args()
    if given.what == "verdicts":
        for each in (case for case in cases() if not case.path.exists()):  # what runs have judged stays
            for asked in write_verdict(each, given.paths[0])["questions"]:
                print(f"{each.name:28} {asked['symmetry']}: {asked['expected']}", flush=True)
    else:
        for path in given.paths:
            for symmetry, expected, observed in score(path, BOOK / "results"):
                print(f"{path.name} {symmetry}: expected {expected}, {observed}", flush=True)
    print(summarise(BOOK / "results"))
