"""A simulation made longer: it goes on where a finished, shorter one of the same kind ended."""

from pathlib import Path

import numpy as np

from ..store import Run, read_json, write_json
from ..store.files import replacing
from ..store.runs import CONFIG, MANIFEST
from .record import STATE

LENGTH = "n_frames"
BEGAN = "began_with.json"


def go_on_from_shorter(folder: Run, among: Path) -> Run | None:
    """Begin a run with the frames and the last state of the longest finished run that is this one but shorter.

    among: a folder of folders like the run's root, such as those of a sweep, each with <kind>/<id>. The shorter run has
    the same parents, code and configuration except for its number of frames. Noise is drawn by the number of the step,
    so the run becomes what it would have been without the other. Returns the shorter run, None where there is none or
    where this one has begun.
    """
    if folder.path(STATE).is_file():
        return None
    shorter = [run for run in _finished(among, folder.identity["kind"]) if _is_shorter(run, folder)]
    if not shorter:
        return None
    found = max(shorter, key=_length)
    for source in sorted(found.folder.glob("*.npy")):
        frames = np.load(source, mmap_mode="r")
        shape = (frames.shape[0], _length(folder), *frames.shape[2:])
        longer = np.lib.format.open_memmap(folder.path(source.name), mode="w+", dtype=frames.dtype, shape=shape)
        longer[:, : frames.shape[1]] = frames
        longer.flush()
    write_json(folder.path(BEGAN), {"began_with": found.id, "began_with_frames": _length(found)})
    with replacing(folder.path(STATE)) as state:
        state.write(found.path(STATE).read_bytes())
    return found


def began_with(folder: Run) -> dict:
    """Which run's frames, and how many, are a run's first ones; empty where it made all of them."""
    return read_json(folder.path(BEGAN)) if folder.path(BEGAN).is_file() else {}


def _finished(among: Path, kind: str) -> list[Run]:
    folders = [manifest.parent for manifest in sorted(Path(among).glob(f"*/{kind}/*/{MANIFEST}"))]
    return [Run(folder=folder, identity=read_json(folder / CONFIG)) for folder in folders if (folder / STATE).is_file()]


def _is_shorter(run: Run, than: Run) -> bool:
    def without_length(run):
        rest = {key: value for key, value in run.identity.items() if key not in ("id", "cgcore")}
        return rest | {"config": {key: value for key, value in rest["config"].items() if key != LENGTH}}

    return without_length(run) == without_length(than) and _length(run) < _length(than)


def _length(run: Run) -> int:
    return run.identity["config"][LENGTH]
