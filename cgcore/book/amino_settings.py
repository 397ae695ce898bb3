"""What tells one run of the amino-acid chapter from another: its name among files, in tables, and its group."""

import re
from dataclasses import dataclass

from cgcore.book.collect import OPTIMAL, seed_words
from cgcore.profiles.amino_acids import numbers_of, reference_set

MAPS = {
    "atomistic": "Atomistic",
    "united_atom": "United Atom",
    "heavy_atom": "Heavy Atom",
    "core": "Core",
    "core_beta": "Core Beta",
}
TYPINGS = {"study": "", "unique": "all species different", "single": "one species"}
RESIDUES = ("ala", "gly", "pro", "thr")
POTENTIALS = {"mace": "", "nequip": "NequIP"}
SO3 = "SO(3)"
"""Among the extras: a model that knows its mirror image."""
EPOCHS = "epochs"
"""Ends the extra that says for how long a model was trained, where that is longer than the profile's."""
KINDS = {"nvt": "md", "nve": "nve", "inversion": "metadynamics"}
"""For each study the kind of run that holds its results."""
REFERENCE = "reference"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One run. reference: None for the residue's usual set; extras: other settings that differ, in words."""

    study: str = "nvt"
    residue: str = "ala"
    map: str = "core"
    typing: str = "study"
    potential: str = "mace"
    reference: str | None = None
    extras: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """The folder below the chapter's: "" for the nine maps of the study, else what the runs of a table share."""
        if self.study != "nvt":
            return self.study
        longer = self.reference is not None and all(word.endswith(EPOCHS) for word in self.extras)
        if self.extras and not longer:
            return "least_noise" if OPTIMAL in self.extras else "options"
        if self.potential != "mace":
            return self.potential
        if self.residue != "ala":
            return "residues"
        return "implicit" if self.reference == "obc2" else "other" if self.reference else ""

    @property
    def stem(self) -> str:
        """Its name among files: core_beta_single, gly_core, core_nequip."""
        told = [self.residue] if self.residue != "ala" else []
        told += [self.map] + ([self.typing] if self.typing != "study" else [])
        told += [self.potential] if self.potential != "mace" else []
        told += [re.sub(r"\W+", "_", word).strip("_").lower() for word in (self.reference or "", *self.extras) if word]
        return "_".join(told)

    @property
    def label(self) -> str:
        """Its name in tables: "Gly, Core", "Core Beta, one species"."""
        told = [self.residue.title()] if self.residue != "ala" else []
        told += [MAPS.get(self.map, self.map), TYPINGS.get(self.typing, self.typing), POTENTIALS[self.potential]]
        told += ["implicit water" if self.reference == "obc2" else self.reference or "", *self.extras]
        return ", ".join(filter(None, told))

    @property
    def order(self) -> int:
        """By residue, map, typing, and what was added."""
        maps, typings = list(MAPS), list(TYPINGS)
        place = maps.index(self.map) if self.map in maps else len(maps)
        digits = (self.residue_order, place, typings.index(self.typing) if self.typing in typings else len(typings))
        added = 2 * bool(self.extras) + (self.potential != "mace") + 4 * (self.reference is not None)
        return sum(d * n for d, n in zip(digits, (1000, 100, 10), strict=True)) + added

    @property
    def residue_order(self) -> int:
        """Place among the residues."""
        return RESIDUES.index(self.residue) if self.residue in RESIDUES else len(RESIDUES)

    @property
    def reference_stem(self) -> str:
        """Name of what the run was learnt from, among the files of its group."""
        told = [self.residue] if self.residue != "ala" else []
        told += [REFERENCE] + ([self.reference] if self.reference and self.group != "implicit" else [])
        return "_".join(told)


def setting(parameters: dict) -> Setting:
    """The setting of a run from its notebook's parameters."""
    given = {"nu": 2, "layers": None, "cutoff_nm": 0.5, "symmetry": "O3", "bond_types": False} | parameters
    extras = [f"ν = {given['nu']}"] if given["nu"] != 2 else []
    extras += [f"{given['layers']} {'layer' if given['layers'] == 1 else 'layers'}"] if given["layers"] else []
    extras += [f"{given['cutoff_nm']:.2f} nm"] if given["cutoff_nm"] != 0.5 else []
    extras += [SO3] if given["symmetry"] == "SO3" else []
    extras += ["bond types"] if given["bond_types"] else []
    extras += [OPTIMAL] if given.get("force_map", "sum") != "sum" else []
    longer = (given.get("epochs") or 0) > numbers_of(given["profile"], given["map"])["train"]["epochs"]
    extras += [f"{given['epochs']} {EPOCHS}"] if longer else []
    extras += seed_words(parameters)
    residue, reference = given["residue"], given.get("reference")
    usual = reference_set(residue, reference) == reference_set(residue, None)
    return Setting(
        study=given.get("study", "nvt"),
        residue=residue,
        map=given["map"],
        typing=given["typing"],
        potential=given.get("potential", "mace"),
        reference=None if usual else reference,
        extras=tuple(extras),
    )
