"""Which distances no frame of liquid hexane has, map by map and pair by pair of species."""

from pathlib import Path

import numpy as np

from cgcore import data, mapping, store
from cgcore.book.hexane_tables import MAPS
from cgcore.potentials import unseen
from cgcore.profiles.hexane import hexane_config
from cgcore.reference import sets
from cgcore.store.runs import git_state, versions

SHOWN = ("three_site", "four_site", "two_site")


def write(folder: Path) -> list[Path]:
    """unseen/<map>_<pair>.json of the frames that the notebook trains on; what was written.

    shortest_nm: the nearest that two beads of the species come; bonded_nm, other_nm: where the widest range without any
    pair begins and ends, if there is one below `unseen.REACH_NM`; hill_kJ_mol: the wall that `prior: unseen` puts there.
    """
    (folder / "unseen").mkdir(parents=True, exist_ok=True)
    topology, atoms = sets.load("hexane")
    paths = []
    for place, map in enumerate(SHOWN):
        d = hexane_config(profile="laptop", map=map).fit.data
        beads = mapping.load(map, topology, typing=d.typing, residue=d.residue)
        frames = mapping.apply(beads, data.split_blocks(atoms, d.blocks, d.valid_blocks, d.gap_ps).train)
        ranges = unseen.for_frames(beads.species, frames, liquid=True).ranges
        made = {"data": {"hexane": store.data_hash(frames.position)}, "versions": versions(), "git": git_state()}
        about = {"sampling": f"{frames.n_frames} frames", "manifest": made}
        for a, b in zip(*np.triu_indices(len(ranges)), strict=True):
            pair = "".join("ABCDEF"[k] for k in (a, b))
            paths.append(folder / "unseen" / f"{map}_{pair}.json")
            label, order = f"{MAPS[map]}, {'–'.join(pair)}", 100 * place + 10 * a + b
            store.write_json(paths[-1], {"label": label, "order": int(order), "table": _table(ranges[a, b])} | about)
    return paths


def _table(ranges: np.ndarray) -> dict:
    """ranges (G, 2) nm, the first from zero."""
    widest = max(ranges[1:], key=lambda r: r[1] - r[0] if np.isfinite(r).all() else 0.0, default=None)
    table = {"shortest_nm": float(ranges[0, 1]), "bonded_nm": None, "other_nm": None, "hill_kJ_mol": None}
    if widest is not None and np.isfinite(widest).all():
        low, high = map(float, widest)
        table |= {"bonded_nm": low, "other_nm": high, "hill_kJ_mol": unseen.STIFFNESS * (high - low) ** 2 / 32}
    return table
