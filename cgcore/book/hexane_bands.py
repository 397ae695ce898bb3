"""How much of each run's densities and pair distributions lies in the reference's band, as the chapter's figures draw it."""

from pathlib import Path

import numpy as np

from cgcore import store
from cgcore.book.hexane_tables import REFERENCE, load, pick

BAND = 3.0
"""Standard deviations of the reference's blocks in its band, as in the study's figures."""


def write(folder: Path) -> list[Path]:
    """bands/<run>.json for every run of the folder of collected ones: <quantity>_in_band, the part of the reference's
    density, or of the distances at which g is not zero, at which the run's mean is in the reference's band.

    The band is three standard deviations over the blocks of the reference's one simulation, on either side of its mean.
    """
    found, written = load(folder), []
    for order, (which, (_, arrays)) in enumerate(found.items()):
        reference = pick(found, map=which.map, potential=REFERENCE)
        if which.potential == REFERENCE or not arrays or not reference:
            continue
        names = [k for k in reference[1] if f"{k}_sd" in reference[1] and k in arrays]
        table = {f"{name}_in_band": in_band(name, arrays, reference[1]) for name in names}
        row = store.read_json(folder / f"{which.stem}.json")
        kept = {key: row[key] for key in ("label", "sampling", "manifest")}
        written.append(folder / "bands" / f"{which.stem}.json")
        written[-1].parent.mkdir(exist_ok=True)
        store.write_json(written[-1], kept | {"order": order, "table": table})
    return written


def in_band(name: str, ours: dict, theirs: dict) -> float:
    """Part of the reference that the band holds, between 0 and 1: of its density, or of the distances in reach of g."""
    p, q = ours[name], theirs[name]
    inside = np.abs(p - q) <= BAND * theirs[f"{name}_sd"]
    weight = ((p > 0) | (q > 0)).astype(float) if name.startswith("g_") else q
    return float(np.sum(weight[inside]) / np.sum(weight))
