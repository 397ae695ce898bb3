"""Which run is meant: its configuration and where its trained parameters are, from its small files alone."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from cgcore.errors import CgcoreError

from ..config import RunConfig, from_resolved
from ..store import read_json
from ..store.runs import MANIFEST


class ExportError(CgcoreError, ValueError):
    """What cannot be exported, with what was wanted, what was found and what to use instead."""


class Found(NamedTuple):
    """trained: a fit's folder or a published file; manifest: of the observation, None for a published network."""

    run: Path
    config: RunConfig
    trained: Path
    manifest: dict | None


def find(run: Path, reference: str | None = None) -> Found:
    """The run behind a path; for its arguments and errors see `export`."""
    run = Path(run)
    if run.suffix == ".npz":
        return _published(run, reference)
    if reference is not None:
        raise ExportError(f"--reference is for published networks; {run} knows its own")
    if not (run / MANIFEST).is_file():
        raise ExportError(
            f"{run}: no {MANIFEST}; want a finished observation, runs/<system>/<id>, a fit, runs/fit/<id>, or a published "
            "network, models/<id>.npz"
        )
    manifest = read_json(run / MANIFEST, "versions")
    if manifest.get("kind") == "fit":
        run, manifest = _observation_of(run, manifest["id"])
    if "made_of" not in manifest:
        raise ExportError(
            f"{run}: made by {manifest.get('kind', 'another command')!r}; want a finished observation, runs/<system>/<id>, or a fit"
        )
    fit = run.resolve().parents[1] / "fit" / manifest["made_of"]["fit"]
    if not (fit / MANIFEST).is_file():
        raise ExportError(f"{run}: its fit is not in {fit}; was the folder copied without it?")
    return Found(run, from_resolved(manifest["config"]), fit, manifest)


def _observation_of(fit: Path, name: str) -> tuple[Path, dict]:
    """The one observation made of a fit, which alone says masses, start and priors."""
    known = {}
    for path in sorted(fit.resolve().parents[1].glob(f"*/*/{MANIFEST}")):
        manifest = read_json(path)
        if manifest.get("made_of", {}).get("fit") == name:
            known[path.parent] = manifest
    if not known:
        raise ExportError(
            f"{fit}: no observation was made of this fit, and a fit alone knows neither masses nor priors; run the notebook to "
            "its end, and export what it observed"
        )
    if len({str((m["config"]["prior"], m["config"]["md"])) for m in known.values()}) > 1:
        raise ExportError(
            f"{fit}: observations of this fit with different priors or dynamics: {[str(path) for path in known]}; want one of them"
        )
    return next(iter(known.items()))


def _published(path: Path, reference: str | None) -> Found:
    """A network of a chapter's results, whose settings runs.json has under dotted names."""
    from ..reference import sets  # late: it loads what reads trajectories

    table = path.resolve().parents[1] / "runs.json"
    runs = read_json(table) if table.is_file() else {}
    if not path.is_file() or path.stem not in runs:
        raise ExportError(f"{path}: want a published network, models/<id>.npz beside the runs.json that tells of it")
    settings = runs[path.stem]["config"]
    raw = {name: settings[name] for name in ("system", "protocol", "prior")}
    for name, value in settings.items():
        part, _, field = name.partition(".")
        if field and name != "md.length_ps":  # n_frames says it
            raw.setdefault(part, {})[field] = value
    config = from_resolved(raw)
    if reference is not None:
        return Found(path, replace(config, data=replace(config.data, reference=reference, frames=None)), path, None)
    wanted = config.data.reference
    if wanted not in {entry.name for entry in sets.available()} and not Path(wanted).is_dir():
        raise ExportError(
            f"{path}: was trained on {wanted!r}, which is not here, and its priors were read from that; say from which to read "
            "priors and start instead: --reference and a set or a folder of the same molecule"
        )
    return Found(path, config, path, None)
