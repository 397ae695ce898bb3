"""Every map and typing of the study, with what was observed of it, and controls that must come out clean.

What the study reports of each is from its text: figures 1 and 3 to 6, and the sections on chiral inversion and helices. For
capped glycine, proline and threonine the text gives no result map by map. Bond switches are reported for two-site hexane and
for two typings of the CA map, and of alanine's and hexane's other maps that they are sound.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cgcore.data import mirrored
from cgcore.frames import Frames

YES, NO, BEHIND = "yes", "no", "behind a barrier"


def same(value):
    return value


def racemate(frames: Frames) -> Frames:
    """Every second frame reflected."""
    sign = np.where(np.arange(frames.n_frames) % 2, -1, 1).astype(np.float32)[:, None, None]
    force = None if frames.force is None else np.asarray(frames.force) * sign
    return replace(frames, position=np.asarray(frames.position) * sign, force=force)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One map with one typing on one reference set; observed: "mirror", "direction", "switch", "inversion" -> a word."""

    set: str
    map: str | Path
    typing: str
    residue: str
    name: str
    observed: dict[str, str] = field(default_factory=dict)
    change: Callable[[Frames], Frames] = same
    kind: str = ""

    @property
    def label(self) -> str:
        return f"{self.name}, {Path(str(self.map)).stem.removeprefix('chain_').replace('_', ' ')}, {self.typing}"

    @property
    def file(self) -> str:
        return f"{self.kind or self.set}_{Path(str(self.map)).stem}_{self.typing}"


def _hexane(map: str, typing: str, **observed) -> Case:
    return Case(set="hexane", map=map, typing=typing, residue="hex", name="Hexane", observed=observed)


def _peptide(residue: str, name: str, map: str, typing: str = "study", **observed) -> Case:
    return Case(set=f"{residue}2_obc2", map=map, typing=typing, residue=residue, name=name, observed=observed)


def _chain(map: str, typing: str, **observed) -> Case:
    known = {"set": "ala15_obc2", "residue": "ala", "name": "Polyalanine-15"}
    return Case(map=f"chain_{map}", typing=typing, observed=observed, **known)


BACKBONE = ("study", "unique", "single")
SOUND = {"mirror": NO, "direction": NO, "switch": NO}
LEFT_OUT = {"mirror": YES, "direction": NO, "switch": NO}
ALANINE = {
    ("atomistic", "study"): {**SOUND, "inversion": NO},
    ("united_atom", "study"): {**SOUND, "inversion": BEHIND},
    ("heavy_atom", "study"): {**SOUND, "inversion": BEHIND},
    ("core", "study"): LEFT_OUT,
    ("core", "unique"): LEFT_OUT,
    ("core", "single"): {**LEFT_OUT, "direction": YES},
    ("core_beta", "study"): {**SOUND, "inversion": BEHIND},
    ("core_beta", "unique"): SOUND,
    ("core_beta", "single"): {**SOUND, "direction": YES},
}
STUDY = (
    _hexane("two_site", "study", switch=YES, mirror=NO, direction=NO),
    _hexane("two_site", "labelled"),
    _hexane("three_site", "study", **SOUND),
    _hexane("four_site", "study", **SOUND),
    _hexane("six_site", "study"),
    *(_peptide("ala", "Alanine", map, typing, **seen) for (map, typing), seen in ALANINE.items()),
    *(_peptide("gly", "Glycine", map) for map in ("atomistic", "united_atom", "heavy_atom")),
    *(_peptide("gly", "Glycine", "core", typing) for typing in BACKBONE),
    *(
        _peptide(residue, name, map, typing)
        for residue, name in (("pro", "Proline"), ("thr", "Threonine"))
        for map, typings in (
            ("united_atom", ("study",)),
            ("heavy_atom", ("study",)),
            ("core", BACKBONE),
            ("core_beta", BACKBONE),
        )
        for typing in typings
    ),
    _chain("ca", "study", mirror=YES, switch=YES),
    _chain("ca", "alternating", switch=YES),
    _chain("ca", "single"),
    _chain("ca", "symmetric"),
    _chain("core", "study", mirror=YES),
    _chain("core_beta", "study", mirror=NO),
)
"""The study calls its polyalanine Core "increased sampling of incorrect left-handed helices", which is a yes here."""

CONTROLS = tuple(
    replace(_peptide("ala", name, map), change=change, kind=kind)
    for kind, name, change in (("d_ala2", "D-alanine", mirrored), ("racemate", "Racemic alanine", racemate))
    for map in ("heavy_atom", "core", "core_beta")
)
