"""From finished runs of the amino-acid notebook to what the chapter reads: a small table and arrays for each."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from cgcore import mapping, store
from cgcore.analysis.time_steps import heating, step_limit
from cgcore.book import amino_inversion
from cgcore.book.amino_settings import KINDS, REFERENCE, Setting, setting
from cgcore.book.collect import FIT_KEYS, manifests, publish_model, read, settings_of, wall_s, write
from cgcore.doctor.molecule import kinds
from cgcore.doctor.vibrations import fastest
from cgcore.profiles.amino_acids import reference_set
from cgcore.reference import sets

ARRAYS = {"nvt": "ramachandran.npz", "nve": "nve.npz", "inversion": "inversion.npz"}
COST = "cost"
"""Folder of what all models of the table took together."""
MD_KEYS = ("n_replicas_failed", "temperature_K", "ns_per_day_aggregate")
STRIDE, BLOCKS, TEMPERATURE_K = 10, 10, 300.0
"""Of the reference's frames by which the doctor judges."""
PUBLISHED_STEP_FS = {"atomistic": 1, "united_atom": 2, "heavy_atom": 2}
"""Up to which the study's models ran safely, fs."""
PUBLISHED_BARRIER = {"atomistic": "> 18", "united_atom": "16", "heavy_atom": "13", "core_beta": "13"}
"""The study's barriers of inversion, about, kcal/mol."""


def collect(runs: list[Path], folder: Path) -> list[Path]:
    """Write table and arrays of every finished run, each into the folder of its group, and of the references that they were
    learnt from; what was written.

    runs: folders of `run_notebook` with result.json, fit/ and the folder of their study. Raises StoreError for a run that
    is not finished, and for two of one setting.
    """
    written = []
    for which, run in settings_of(runs, setting).items():
        fit, made = manifests(run, ("fit", KINDS[which.study]))
        arrays = store.read_npz(run / KINDS[which.study] / made["id"] / ARRAYS[which.study])
        if which.study == "inversion":
            table, arrays = amino_inversion.read_anew(which, made["results"], arrays, made["config"]["md"])
            made = made | {"results": table}
        theirs = {k: a for k, a in arrays.items() if k.startswith(f"{REFERENCE}_")}
        ours = {k: a for k, a in arrays.items() if k not in theirs}
        written += write(folder / which.group, which.stem, _result(which, fit, made, wall_s(run)), ours)
        if which.study == "nvt":
            written += publish_model(run, fit, folder / which.group, which.stem)
            theirs = {k.removeprefix(f"{REFERENCE}_"): a for k, a in theirs.items()}
            theirs |= {k: a for k, a in ours.items() if k.endswith("edges")}
            written += write(folder / which.group, which.reference_stem, _reference(which, made), theirs)
    if rows := _models_of_table(folder):
        written.append(folder / COST / "together.json")
        written[-1].parent.mkdir(exist_ok=True)
        store.write_json(written[-1], _together(rows))
    return sorted(set(written))


def load(folder: Path) -> dict[Setting, tuple[dict, dict[str, np.ndarray]]]:
    """Tables and arrays of the collected runs by setting, in their order; the references' have the map "reference"."""
    tables = (path for path in Path(folder).rglob("*.json") if "setting" in store.read_json(path)["manifest"])
    return read(tables, Setting)


def _models_of_table(folder: Path) -> list[dict]:
    """The results of the chapter's own table, but for the reference."""
    found = (store.read_json(path) for path in sorted(folder.glob("*.json")))
    return [row for row in found if row["manifest"]["setting"]["map"] != REFERENCE]


def _together(rows: list[dict]) -> dict:
    """What the runs of one table took in all, and how fast they were simulated on one core, compiling included."""
    ns, run_s, simulation_s = (sum(row["table"][k] for row in rows) for k in ("ns", "run_s", "simulation_s"))
    table = {"models": len(rows), "ns": ns, "core_minutes": round(run_s / 60)}
    table["ns_per_day_aggregate"] = 86400 * ns / simulation_s
    about = {row["label"]: {k: row["manifest"][k]["id"] for k in ("fit", "md")} for row in rows}
    return {"label": "All together", "order": 0, "sampling": "", "table": table, "manifest": about}


def _result(which: Setting, fit: dict, made: dict, run_s: float) -> dict:
    table, sampling = {"nvt": _surface, "nve": _steps, "inversion": _inversion}[which.study](which, made["results"])
    table |= {k: fit["results"][k] for k in FIT_KEYS} | {"training_s": fit["results"]["wall_s"], "run_s": run_s}
    about = {"setting": asdict(which), "fit": fit, "md": {k: v for k, v in made.items() if k != "results"}}
    if which.study == "inversion":
        about["read_by"] = amino_inversion.READ_BY | {"code": store.code_hash(*amino_inversion.READ_BY["made_by"])}
    return {"label": which.label, "order": which.order, "sampling": sampling, "table": table, "manifest": about}


def _surface(which: Setting, results: dict) -> tuple[dict, str]:
    table, dynamics = results["ramachandran"], results["dynamics"]
    numbers = {k: v for k, v in table.items() if k != REFERENCE}
    numbers |= {k: dynamics[k] for k in MD_KEYS} | {"simulation_s": dynamics["wall_s"]}
    total = table["n_frames"] + table["n_frames_excluded"]
    length = f"{dynamics['replicas']} replicas of {dynamics['length_ps']:g} ps"
    return numbers, f"{length}, {table['n_frames_excluded']} of {total} frames excluded"


def _steps(which: Setting, results: dict) -> tuple[dict, str]:
    numbers = {k: v for k, v in results.items() if k != "steps"}
    drift, (n_beads, predicted) = "energy_drift_kJ_mol_ns", _before_training(which)
    for row in results["steps"]:
        name = f"{row['step_fs']:g}fs"
        for of, value in (("", row[drift]), ("_error", row[f"{drift}_error"])):
            numbers[f"drift_{name}{of}"] = value
            numbers[f"heating_{name}{of}"] = None if value is None else heating(value, n_beads)
        numbers[f"failed_{name}"] = row["n_replicas_failed"]
    step_fs, failed = (np.array([row[k] for row in results["steps"]]) for k in ("step_fs", "n_replicas_failed"))
    limit = step_limit(step_fs, np.arange(results["replicas"]) >= failed[:, None])
    numbers |= {"step_limit_fs": limit.limit, "step_limit_fs_error": limit.error, "safe_step_fs": limit.safe}
    numbers["predicted_step_fs"] = round(predicted, 1)
    numbers["published_step_fs"] = PUBLISHED_STEP_FS.get(which.map)
    return numbers, f"{results['replicas']} replicas of {results['length_ps']:g} ps with each step"


def _before_training(which: Setting) -> tuple[int, float]:
    """How many beads the map has, and the longest time step in fs that the doctor gives it."""
    topology, atoms = sets.load(reference_set(which.residue, which.reference), stride=STRIDE)
    beads = mapping.load(which.map, topology, typing=which.typing, residue=which.residue)
    (molecule,) = kinds(beads, topology)
    blocks = np.array_split(molecule.select(mapping.apply(beads, atoms).position), BLOCKS)
    return len(beads.species), fastest(molecule, beads.mass, blocks, TEMPERATURE_K).step_fs


def _inversion(which: Setting, results: dict) -> tuple[dict, str]:
    numbers = results | {"crossings": ", ".join(map(str, results["crossings"]))}
    numbers["published_barrier"] = PUBLISHED_BARRIER.get(which.map)
    return numbers, f"{results['runs']} runs of {results['length_ps'] / 1000:g} ns"


def _reference(which: Setting, made: dict) -> dict:
    table = made["results"]["ramachandran"][REFERENCE]
    about = {"setting": asdict(Setting(map=REFERENCE, residue=which.residue, reference=which.reference))}
    label = "Reference, implicit water" if which.reference == "obc2" else "Reference"
    return {
        "label": label if which.residue == "ala" else f"{which.residue.title()}, reference",
        "order": 1000 * which.residue_order + 999,
        "sampling": f"atomistic simulation of {table['ns']:.3g} ns, {table['n_frames']} frames",
        "table": table,
        "manifest": about | {"data": made["data"], "versions": made["versions"], "git": made["git"]},
    }
