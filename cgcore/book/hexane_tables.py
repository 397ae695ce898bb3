"""From finished runs of the hexane notebook to what the chapter reads: a small table and densities for each."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from cgcore import store
from cgcore.analysis import force_errors
from cgcore.analysis.blocks import row
from cgcore.book.collect import (
    FIT_KEYS,
    MODELS,
    OPTIMAL,
    manifests,
    parameters_of,
    publish_model,
    read,
    seed_words,
    write,
)
from cgcore.profiles.hexane import BUNDLED

REFERENCE = "reference"
ARRAYS = "hexane.npz"
HELD_OUT = "held_out.npz"
MAPS = {"four_site": "Four-site", "three_site": "Three-site", "two_site": "Two-site", "six_site": "Six-site"}
POTENTIALS = {"spline": "splines", "mace": "MACE", "nequip": "NequIP"}
WIDE_NM = {"four_site": 0.65, "three_site": 0.70, "two_site": 0.80}
"""The larger cut-off of table 1, the notebook's default."""
WALLS = "walls"
"""What a run with `potentials.unseen` is called."""
LAYERS = {"mace": 2, "nequip": 3}
MD_KEYS = ("temperature_K", "ns_per_day_per_replica", "ns_per_day_aggregate")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What tells one run of the chapter from another; None where it has no meaning for the potential."""

    map: str
    potential: str
    nu: int | None = None
    layers: int | None = None
    cutoff_nm: float | None = None
    extras: tuple[str, ...] = ()  # in words: bond types, walls, optimal forces, typing, seed
    learn_from: str = BUNDLED

    @property
    def stem(self) -> str:
        """Its name among files: three_site_mace_nu2_l2_r0.70."""
        parts = {"nu": self.nu, "l": self.layers, "r": self.cutoff_nm and f"{self.cutoff_nm:.2f}"}
        told = [f"{key}{value}" for key, value in parts.items() if value is not None]
        more = [*self.extras, *self.learnt_elsewhere]
        return "_".join([self.map, self.potential, *told, *(e.replace(" ", "_") for e in more)])

    @property
    def label(self) -> str:
        """Its name in tables, as "Three-site, MACE, 2 layers, 0.70 nm"."""
        told = [MAPS[self.map], POTENTIALS[self.potential]]
        told += [f"ν = {self.nu}"] if self.nu is not None else []
        told += [f"{self.layers} {'layer' if self.layers == 1 else 'layers'}"] if self.layers is not None else []
        told += [f"{self.cutoff_nm:.2f} nm"] if self.cutoff_nm is not None else []
        return ", ".join([*told, *self.extras, *self.learnt_elsewhere])

    @property
    def learnt_elsewhere(self) -> list[str]:
        """The name of a set other than the one that comes with the project, in words."""
        return [] if self.learn_from == BUNDLED else [self.learn_from.replace("_", " ")]

    @property
    def plain(self) -> bool:
        """A potential as in the study; walls where the reference never was take nothing from it."""
        return set(self.extras) <= {WALLS}


def setting(parameters: dict) -> Setting:
    """The setting of a run from its notebook's parameters."""
    map, potential = parameters["map"], parameters["potential"]
    extras = ["bond types"] if parameters.get("bond_types") else []
    extras += [WALLS] if parameters.get("prior", "none") == "unseen" else []
    extras += [OPTIMAL] if parameters.get("force_map", "sum") != "sum" else []
    extras += [parameters["typing"]] if parameters.get("typing", "study") != "study" else []
    extras += seed_words(parameters)
    network = potential in LAYERS
    return Setting(
        map=map,
        potential=potential,
        nu=parameters["nu"] if potential == "mace" else None,
        layers=(parameters["layers"] or LAYERS[potential]) if network else None,
        cutoff_nm=(parameters["cutoff_nm"] or WIDE_NM.get(map)) if network else None,
        extras=tuple(extras),
        learn_from=Path(parameters.get("learn_from", BUNDLED)).name,
    )


def collect(runs: list[Path], folder: Path) -> list[Path]:
    """Write table and arrays of every finished run, and of the reference they share; what was written.

    runs: folders of `run_notebook` with result.json, fit/ and md/, the latter with results "liquid" and "dynamics" in
    its manifest and hexane.npz. A row of `folder` that was trained by fewer or more updates than a run of its setting is
    kept, that of fewer under their number. Raises StoreError for a run that is not finished, and for two of one setting and
    as many updates.
    """
    found = _by_updates(runs)
    written, splines = [], _splines(found, folder)
    for (which, updates), run in found.items():
        fit, md = manifests(run)
        which = _beside(which, updates, folder)
        arrays = store.read_npz(run / "md" / md["id"] / ARRAYS)
        ours = {k: a for k, a in arrays.items() if not k.startswith(f"{REFERENCE}_")}
        theirs = {k.removeprefix(f"{REFERENCE}_"): a for k, a in arrays.items() if k not in ours}
        theirs |= {k: a for k, a in ours.items() if k == "r" or k.endswith("_edges")}
        result = _result(which, parameters_of(run), fit, md)
        result["table"] |= _less_splines(run / "fit" / fit["id"] / HELD_OUT, splines[_forces(which)])
        written += write(folder, which.stem, result, ours)
        written += publish_model(run, fit, folder, which.stem)
        if md["results"]["liquid"][REFERENCE]:
            written += write(folder, f"{REFERENCE}_{which.map}", _reference(which.map, md), theirs)
    return sorted(set(written))


def _by_updates(runs: list[Path]) -> dict[tuple[Setting, int | None], Path]:
    """The runs by their setting and the updates of their training, None for splines."""
    found = {}
    for run in runs:
        which, updates = setting(parameters_of(run)), manifests(run)[0]["results"].get("updates")
        other = found.setdefault((which, updates), run)
        if other is not run:
            raise store.StoreError(f"{run} and {other} are both {which.label}; want one of them")
    return found


def _beside(which: Setting, updates: int | None, folder: Path) -> Setting:
    """The setting of a run of so many updates; where it or the row that is there has fewer, that one told by them."""
    path = folder / f"{which.stem}.json"
    found = store.read_json(path) if updates and path.is_file() else None
    there = found and found["manifest"]["fit"]["results"].get("updates")
    if not there or there == updates:
        return which
    shorter = replace(which, extras=(*which.extras, f"{min(there, updates)} updates"))
    if updates < there:
        return shorter
    found["manifest"]["setting"] = asdict(shorter)
    found |= {"label": shorter.label, "order": _order(shorter)}
    write(folder, shorter.stem, found, store.read_npz(path.with_suffix(".npz")))
    if (model := folder / MODELS / f"{which.stem}.npz").is_file():
        model.rename(model.with_stem(shorter.stem))
    return which


def _splines(runs: dict[tuple[Setting, int | None], Path], folder: Path) -> dict[tuple[str, bool], Path]:
    """Held-out errors of splines by what they were fitted to: of the runs, else of the chapter on potentials."""
    potentials = folder.parent / "potentials"
    kept = {(m, False): potentials / m / f"{m}_splines.npz" for m in MAPS}
    kept |= {(m, True): potentials / "force_maps" / f"{m}_splines_optimal.npz" for m in MAPS}
    made = {_forces(which): run for (which, _), run in runs.items() if which.potential == "spline"}
    return kept | {forces: run / "fit" / manifests(run)[0]["id"] / HELD_OUT for forces, run in made.items()}


def _forces(which: Setting) -> tuple[str, bool]:
    """Map, and whether its forces are the least noisy ones: errors of one can be compared."""
    return which.map, OPTIMAL in which.extras


def _less_splines(ours: Path, splines: Path) -> dict:
    """Force error less that of the splines on the same frames, meV/Å, with its paired error; empty for splines."""
    if ours == splines or not (ours.is_file() and splines.is_file()):
        return {}
    ours, theirs = map(store.read_npz, (ours, splines))
    if not np.array_equal(ours["time"], theirs["time"]):
        return {}
    return row("less_splines", force_errors.difference(ours["errors"], theirs["errors"]))


def load(folder: Path) -> dict[Setting, tuple[dict, dict[str, np.ndarray]]]:
    """Tables and arrays of the collected runs by setting, in their order; the reference's have the potential
    "reference"."""
    return read(Path(folder).glob("*.json"), Setting)


def pick(found: dict, *extras: str, **wanted) -> tuple[dict, dict[str, np.ndarray]] | None:
    """Table and arrays of the run of such a setting: that of the most frames to learn from, with walls where there is one
    with; None without any."""
    sets = [wanted.pop("learn_from")] if "learn_from" in wanted else _sets(found)
    settings = [Setting(**wanted, extras=e, learn_from=s) for s in sets for e in ((WALLS, *extras), extras)]
    return next((found[which] for which in settings if which in found), None)


def _sets(found: dict) -> list[str]:
    """What the runs learnt from, the set that comes with the project last: it is the smallest."""
    return sorted({which.learn_from for which in found} | {BUNDLED}, key=lambda name: (name == BUNDLED, name))


def _result(which: Setting, parameters: dict, fit: dict, md: dict) -> dict:
    liquid, dynamics = md["results"]["liquid"], md["results"]["dynamics"]
    numbers = {k: v for k, v in liquid.items() if k != REFERENCE}
    numbers |= {k: fit["results"][k] for k in FIT_KEYS if k in fit["results"]}
    numbers |= {k: dynamics[k] for k in MD_KEYS if k in dynamics}
    numbers |= {"training_s": fit["results"].get("wall_s", fit["wall_s"]), "simulation_s": dynamics["wall_s"]}
    sampling = (
        f"{dynamics['replicas']} replicas of {dynamics['length_ps']:g} ps, {liquid['n_frames_excluded']} of "
        f"{round(dynamics['replicas'] * dynamics['length_ps'] / _frame_ps(liquid))} frames excluded"
    )
    made = {"fit": fit, "md": {k: v for k, v in md.items() if k != "results"}}
    about = {"setting": asdict(which), "parameters": parameters}
    return {
        "label": which.label,
        "order": _order(which),
        "sampling": sampling,
        "table": numbers,
        "manifest": about | made,
    }


def _reference(map: str, md: dict) -> dict:
    which = Setting(map=map, potential=REFERENCE)
    about = {"setting": asdict(which), "data": md["data"], "versions": md["versions"], "git": md["git"]}
    return {
        "label": f"{MAPS[map]}, reference",
        "order": 1000 * list(MAPS).index(map) + 999,
        "sampling": "one atomistic simulation",
        "table": md["results"]["liquid"][REFERENCE],
        "manifest": about,
    }


def _order(which: Setting) -> int:
    """By map, potential, what was added, cut-off, nu and layers."""
    digits = (which.plain is False, round(10 * (which.cutoff_nm or 0)), which.nu or 0, which.layers or 0)
    place = 300 * list(POTENTIALS).index(which.potential)
    return 1000 * list(MAPS).index(which.map) + place + sum(d * n for d, n in zip(digits, (150, 15, 3, 1), strict=True))


def _frame_ps(liquid: dict) -> float:
    """Time between frames, from the frames that count and their time."""
    return 1000 * liquid["ns"] / liquid["n_frames"] if liquid["n_frames"] else 0.5
