"""What this book's own simulations saw of the doctor's four questions, from the tables that the other chapters read.

Runs that are not there have seen nothing; as tables come, so do observations.
"""

from pathlib import Path

from cgcore import store
from cgcore.book.doctor_cases import NO, YES, Case

DEVIATIONS = 3.0
"""Standard errors beyond noise from which on a surface is not symmetric."""
SURFACES = {"mirror": ("point_symmetry",), "direction": ("chain_symmetry", "mirror_chain_symmetry")}
"""Symmetries of which one is enough: a chain that keeps its hand is read backwards in the mirror."""
BONDED = {"bond types"}
"""Extras of a potential that is told of bonds, which is not what the doctor speaks of."""


def own(results: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    """(residue, map, typing) -> "mirror", "direction", "switch" -> a word, from results/amino_acids and results/hexane."""
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for path in sorted(Path(results).glob("amino_acids/*.json")):
        result = store.read_json(path)
        if "fit" in result.get("manifest", {}):
            data = result["manifest"]["fit"]["config"]["data"]
            found[data["residue"], data["map"], data["typing"]] = _of_surface(result["table"])
    for path in sorted(Path(results).glob("hexane/*.json")):
        result = store.read_json(path)
        setting = result.get("manifest", {}).get("setting", {})
        extras = set(setting.get("extras", ()))
        if (
            setting.get("potential") in ("mace", "nequip")
            and "switch_rate_low" in result["table"]
            and not extras & BONDED
        ):
            key = "hex", setting["map"], next((e for e in extras if e == "labelled"), "study")
            before = found.get(key, {}).get("switch", NO)
            found[key] = {"switch": YES if before == YES or result["table"]["switch_rate_low"] > 0 else NO}
    return found


def seen(case: Case, ours: dict[tuple[str, str, str], dict[str, str]], key: str) -> tuple[str | None, str]:
    """What was observed, None for nothing, and in words by whom. Where both have looked and differ, this book's word counts."""
    here = ours.get((case.residue, Path(str(case.map)).stem, case.typing), {}).get(key) if not case.kind else None
    there = case.observed.get(key)
    if here is None:
        return there, f"{there} (study)" if there else "–"
    if there is None:
        return here, f"{here} (ours)"
    return here, f"{here} (both)" if here == there else f"{here} (ours), {there} (study)"


def _of_surface(table: dict) -> dict[str, str]:
    """Whether a surface over φ and ψ is its own image: as near to it as noise is."""
    return {
        key: YES if any(_is_noise(table, name) for name in names) else NO
        for key, names in SURFACES.items()
        if all(name in table for name in names)
    }


def _is_noise(table: dict, name: str) -> bool:
    return table[name] < table[f"{name}_floor"] + DEVIATIONS * table[f"{name}_error"]
