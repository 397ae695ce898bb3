"""The doctor's cases, a table in `doctor_cases.toml`, and what was observed of each: by the paper, and by this book's runs."""

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cgcore import store
from cgcore.data import mirrored
from cgcore.frames import Frames

YES, NO = "yes", "no"
DEVIATIONS = 3.0
"""Standard errors beyond noise from which on a surface is not symmetric."""
SURFACES = {"mirror": ("point_symmetry",), "direction": ("chain_symmetry", "mirror_chain_symmetry")}
"""Symmetries of which one is enough: a chain that keeps its handedness is read backwards in the mirror."""
BONDED = "bond types"
"""An extra of a potential that is told of bonds, which is not what the doctor speaks of."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One map with one typing on one reference set. observed: "mirror", "direction", "switch", "inversion" -> the paper's
    word; kind: of a control, "d_ala2" or "racemate"."""

    set: str
    map: str
    typing: str
    residue: str
    name: str
    observed: dict[str, str]
    kind: str = ""

    @property
    def label(self) -> str:
        return f"{self.name}, {self.map.removeprefix('chain_').replace('_', ' ')}, {self.typing}"

    @property
    def file(self) -> str:
        return f"{self.kind or self.set}_{self.map}_{self.typing}"

    def change(self, frames: Frames) -> Frames:
        """The frames as they are, or what a control makes of them: all reflected, or every second."""
        if not self.kind:
            return frames
        if self.kind == "d_ala2":
            return mirrored(frames)
        sign = np.where(np.arange(frames.n_frames) % 2, -1, 1).astype(np.float32)[:, None, None]
        return replace(frames, position=np.asarray(frames.position) * sign)


def _cases(systems: list[dict]) -> tuple[Case, ...]:
    return tuple(
        Case(map=case.pop("map"), typing=case.pop("typing"), observed=case, **system)
        for system in systems
        for case in system.pop("cases")
    )


_TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
STUDY, CONTROLS = _cases(_TABLE["systems"]), _cases(_TABLE["controls"])


def own(results: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    """(residue, map, typing) -> "mirror", "direction", "switch" -> a word, from results/amino_acids and results/hexane.

    Runs that are not there have seen nothing; as tables come, so do observations.
    """
    seen: dict[tuple[str, str, str], dict[str, str]] = {}
    for result in map(store.read_json, sorted(Path(results).glob("amino_acids/*.json"))):
        if "fit" in result.get("manifest", {}):
            data, table = result["manifest"]["fit"]["config"]["data"], result["table"]
            seen[data["residue"], data["map"], data["typing"]] = {
                key: YES if any(_is_noise(table, name) for name in names) else NO
                for key, names in SURFACES.items()
                if all(name in table for name in names)
            }
    for result in map(store.read_json, sorted(Path(results).glob("hexane/*.json"))):
        setting = result.get("manifest", {}).get("setting", {})
        extras, rate = setting.get("extras", ()), result["table"].get("switch_rate_low")
        if setting.get("potential") in ("mace", "nequip") and rate is not None and BONDED not in extras:
            words = seen.setdefault(("hex", setting["map"], "labelled" if "labelled" in extras else "study"), {})
            words["switch"] = YES if words.get("switch") == YES or rate > 0 else NO
    return seen


def seen_by(case: Case, ours: dict[tuple[str, str, str], dict[str, str]], key: str) -> tuple[str | None, str]:
    """What was observed, None for nothing, and in words by whom. Where both have looked and differ, this book's word counts."""
    here = None if case.kind else ours.get((case.residue, case.map, case.typing), {}).get(key)
    there = case.observed.get(key)
    if here is None:
        return there, f"{there} (study)" if there else "–"
    if there is None:
        return here, f"{here} (ours)"
    return here, f"{here} (both)" if here == there else f"{here} (ours), {there} (study)"


def _is_noise(table: dict, name: str) -> bool:
    """Whether a surface over φ and ψ is as near to its own image as noise is."""
    return table[name] < table[f"{name}_floor"] + DEVIATIONS * table[f"{name}_error"]
