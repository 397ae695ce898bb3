"""Both sides of the barrier at phi = 0 of capped alanine: what unbiased and biased sets say of each, and of the passages."""

from pathlib import Path

import numpy as np

from cgbook.reference_tables import BLOCKS, angles
from cgbook.results import add
from cgcore.analysis import crossings
from cgcore.analysis.blocks import ratio, row
from cgcore.analysis.surface import basin_counts
from cgcore.reference import sets

UNBIASED, BIASED, LEFT = SETS = ("ala2_obc2", "ala2_obc2_phi", "ala2_obc2_left")
"""One Hamiltonian: started outside, with a bias along phi, and started inside."""


def make(folder: Path):
    """Write a row for each set, and one that holds the passages of the unbiased ones against the biased share."""
    passed, tables = {}, {}
    entries = {entry.name: entry for entry in sets.available()}
    for name in SETS:
        runs = _runs(name)
        passed[name] = crossings.passages([phi for phi, _, _ in runs], entries[name].spacing_ps)
        tables[name] = shares(runs, passed[name].inside, each_run=name == LEFT) | {"ns": entries[name].length_ns}
        if name == BIASED:
            passages = {}
        else:
            passages = {k: getattr(passed[name], k) for k in ("inside_ns", "escapes", "outside_ns", "entries")}
        if name == LEFT:
            del tables[name]["inside"], tables[name]["inside_error"]  # of the starts that were chosen
        words = f"{len(runs)} runs, errors over {'runs' if name == LEFT else f'{BLOCKS} blocks'}"
        add(folder, "sides", {"case": name}, tables[name] | passages, manifest={"set": name}, sampling=words)
    free = [passed[name] for name in (UNBIASED, LEFT)]
    totals = {key: sum(getattr(p, key) for p in free) for key in ("escapes", "inside_ns", "entries", "outside_ns")}
    table = totals | crossings.detailed_balance(*totals.values(), tables[BIASED]["inside"])
    add(folder, "sides", {"case": "balance"}, table, manifest={"sets": SETS, "cores_deg": crossings.INSIDE})


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
    of_all = angles(topology, frames)
    return [tuple(a[i[v]] for a in of_all) for i, v in zip(*frames.by_replica(), strict=True)]
