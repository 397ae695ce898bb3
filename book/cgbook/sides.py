"""Both sides of the barrier at phi = 0 of capped alanine: what unbiased and biased sets say of each, and of the passages."""

from pathlib import Path

import numpy as np

from cgbook.results import add, made_here
from cgcore import mapping
from cgcore.analysis import crossings
from cgcore.analysis.blocks import ratio, row
from cgcore.analysis.surface import backbone, basin_counts
from cgcore.reference import sets

UNBIASED, BIASED, LEFT = SETS = ("ala2_obc2", "ala2_obc2_phi", "ala2_obc2_left")
"""One Hamiltonian: started outside, with a bias along phi, and started inside."""
BLOCKS = 20


def make(folder: Path):
    """Write a row for each set, and one that holds the passages of the unbiased ones against the biased share."""
    entries, free, share = {entry.name: entry for entry in sets.available()}, [], None
    for name in SETS:
        runs = _runs(name)
        passed = crossings.passages([phi for phi, _, _ in runs], entries[name].spacing_ps)
        table = shares(runs, passed.inside, each_run=name == LEFT)
        if name == BIASED:
            share = table["inside"]
        else:
            free.append({key: getattr(passed, key) for key in ("escapes", "inside_ns", "entries", "outside_ns")})
            table |= free[-1]
        if name == LEFT:
            del table["inside"], table["inside_error"]  # says where the runs were started
        words = f"{len(runs)} runs, errors over {'the runs' if name == LEFT else f'{BLOCKS} blocks'}"
        table |= {"ns": entries[name].length_ns}
        add(folder, "sides", {"case": name}, table, manifest=made_here(set=name), sampling=words)
    totals = {key: sum(table[key] for table in free) for key in free[0]}
    table = totals | crossings.detailed_balance(*totals.values(), share)
    add(folder, "sides", {"case": "balance"}, table, manifest=made_here(sets=SETS))


def shares(runs: list[tuple], inside: list[np.ndarray], *, each_run: bool) -> dict:
    """Shares with errors: of the inside, of psi < 0 within it, and of alpha_R outside.

    runs: phi, psi and what each frame counts, (T,) of each run; inside: where it is. Errors are over the runs, or over
    contiguous blocks of all of them.
    """
    series = [(*run, here) for run, here in zip(runs, inside, strict=True)]
    if not each_run:
        of_all = [np.concatenate(parts) for parts in zip(*series, strict=True)]
        series = list(zip(*(np.array_split(part, BLOCKS) for part in of_all), strict=True))
    sums = {"inside": [], "psi_negative_inside": [], "alpha_R_outside": []}
    for phi, psi, counts, here in series:
        within, without = counts * here, counts * ~here
        alpha = basin_counts(*(a[None] for a in (phi, psi, without.astype(float))))["alpha_R"][0]
        sums["inside"].append((within.sum(), counts.sum()))
        sums["psi_negative_inside"].append((within[psi < 0].sum(), within.sum()))
        sums["alpha_R_outside"].append((alpha, without.sum()))
    table = {}
    for name, pairs in sums.items():
        parts, wholes = np.array([pair for pair in pairs if pair[1] > 0], float).reshape(-1, 2).T
        if len(parts) > 1:
            table |= row(name, ratio(parts, wholes))
    return table


def _runs(name: str) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """phi and psi in rad and what frames count, (T,) each, of every run of a set."""
    topology, frames = sets.load(name)
    beads = mapping.load("core", topology, residue="ala")
    of_all = backbone(mapping.apply(beads, frames), **beads.dihedrals)
    return [tuple(a[0, i[v]] for a in of_all) for i, v in zip(*frames.by_replica(), strict=True)]
