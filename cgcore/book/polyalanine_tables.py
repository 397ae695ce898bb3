"""From finished runs of the polyalanine notebook to what the chapter reads: a small table and a surface for each."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cgcore import store
from cgcore.analysis.chain import OF_RESIDUES
from cgcore.book.collect import FIT_KEYS, manifests, parameters_of, publish_model, read, seed_words, settings_of, write

REFERENCE = "reference"
ARRAYS = "polyalanine.npz"
MAPS = {"chain_ca": "CA", "chain_core": "Core", "chain_core_beta": "Core Beta"}
TYPINGS = {
    "study": {"chain_ca": "all different"},
    "unique": "all different",
    "single": "single",
    "symmetric": "symmetric",
    "alternating": "alternating",
}
"""Of a map whose species in the study need no word, none."""
SHOWN = 200
"""Frames of each replica that the chapter keeps, evenly spread."""
OF_FRAMES = ("js_reference", "left_handed_early", "left_handed_late", "turns", "closest_nm", "closest_trained_nm")
"""Columns that a run of which no frame counts has nothing to say to, and nor has the reference."""
MD_KEYS = ("temperature_K", "ns_per_day_per_replica", "ns_per_day_aggregate")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What tells one run of the chapter from another. extras, in words: mirror, SO(3), NequIP, ... The chapter's runs
    learn from the forces of least noise and have walls where the reference was never; what does not is told."""

    map: str
    typing: str = "study"
    extras: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        """Its name among files: chain_ca_single_mirror."""
        plain = str.maketrans({"ν": "nu", " ": "_", "=": None, "(": None, ")": None})
        return "_".join([self.map, self.typing, *(word.replace(" = ", "").translate(plain) for word in self.extras)])

    @property
    def label(self) -> str:
        """Its name in tables and pictures, as "CA, single, SO(3)"."""
        if self.map == REFERENCE:
            return "Atomistic reference"
        typing = TYPINGS[self.typing]
        typing = typing.get(self.map) if isinstance(typing, dict) else typing
        return ", ".join([MAPS[self.map], *filter(None, [typing]), *self.extras])


def setting(parameters: dict) -> Setting:
    """The setting of a run from its notebook's parameters."""
    told = {
        "mirror": parameters.get("mirror"),
        "SO(3)": parameters.get("symmetry", "O3") == "SO3",
        "NequIP": parameters.get("potential") == "nequip",
        f"ν = {parameters['nu']}": parameters["nu"] != 2,
        f"{parameters['layers']} layers": parameters.get("layers") is not None,
        f"{parameters['cutoff_nm']} nm": parameters.get("cutoff_nm") is not None,
        "bond types": parameters.get("bond_types"),
        "plain sum": parameters.get("force_map", "sum") == "sum",
        "no walls": parameters.get("prior", "none") == "none",
    }
    extras = [words for words, holds in told.items() if holds] + seed_words(parameters)
    return Setting(map=parameters["map"], typing=parameters["typing"], extras=tuple(extras))


def collect(runs: list[Path], folder: Path) -> list[Path]:
    """Write table and arrays of every finished run, and of the reference; what was written.

    runs: folders of `run_notebook` with result.json, fit/ and md/, the latter with results "chain" and "dynamics" in its
    manifest and polyalanine.npz. Raises StoreError for a run that is not finished, and for two of one setting.
    """
    written, reference = [], {}
    for which, run in settings_of(runs, setting).items():
        fit, md = manifests(run)
        parameters = parameters_of(run)
        arrays = store.read_npz(run / "md" / md["id"] / ARRAYS)
        written += write(folder, which.stem, _result(which, parameters, fit, md), _ours(arrays))
        written += publish_model(run, fit, folder, which.stem)
        if not parameters.get("mirror"):
            reference |= md["results"]["chain"][REFERENCE]  # the backbone's alphas come from maps that have one
            if "reference_F" in arrays:
                theirs = {"F": arrays["reference_F"]} | {k: arrays[k] for k in ("chi_edges", "q_edges")}
                written += write(folder, REFERENCE, _reference(reference, md), theirs)
    return sorted(set(written))


def load(folder: Path) -> dict[Setting, tuple[dict, dict[str, np.ndarray]]]:
    """Tables and arrays of the collected runs by setting, in their order; the reference's map is "reference"."""
    return read(Path(folder).glob("*.json"), Setting)


def _ours(arrays: dict) -> dict:
    """The surface, and the series at SHOWN times."""
    kept = {k: arrays[k] for k in ("F", "chi_edges", "q_edges") if k in arrays}
    at = np.unique(np.linspace(0, len(arrays["time"]) - 1, SHOWN).round().astype(int))
    series = {k: arrays[k][..., at] for k in ("time", "survival", "q", "chi", *OF_RESIDUES) if k in arrays}
    return kept | series


def _result(which: Setting, parameters: dict, fit: dict, md: dict) -> dict:
    chain, dynamics = md["results"]["chain"], md["results"]["dynamics"]
    numbers = dict.fromkeys(OF_FRAMES) | {k: v for k, v in chain.items() if k != REFERENCE}
    numbers |= {k: fit["results"][k] for k in FIT_KEYS if k in fit["results"]}
    numbers |= {k: dynamics[k] for k in MD_KEYS if k in dynamics}
    numbers |= {"training_s": fit["results"].get("wall_s", fit["wall_s"]), "simulation_s": dynamics["wall_s"]}
    frames = chain["n_frames"] + chain["n_frames_excluded"]
    return {
        "label": which.label,
        "order": _order(which),
        "sampling": f"{dynamics['replicas']} replicas of {dynamics['length_ps']:g} ps, "
        f"{chain['n_frames_excluded']} of {frames} frames excluded",
        "table": numbers,
        "manifest": {"setting": asdict(which), "parameters": parameters, "fit": fit}
        | {"md": {k: v for k, v in md.items() if k != "results"}},
    }


def _reference(table: dict, md: dict) -> dict:
    which = Setting(map=REFERENCE)
    about = {"setting": asdict(which), "data": md["data"], "versions": md["versions"], "git": md["git"]}
    words = {"label": which.label, "order": 9999, "sampling": "twenty runs of 1 ns"}
    return words | {"table": table, "manifest": about}


def _order(which: Setting) -> int:
    """By map, what was added, and species."""
    return 1000 * list(MAPS).index(which.map) + 100 * len(which.extras) + list(TYPINGS).index(which.typing)
