"""Each artefact without and with its remedy, a point for each training, and what a step then costs."""

import matplotlib.pyplot as plt

from cgbook.blind import RULE, row_of
from cgbook.results import BOOK, load
from cgcore import plots
from cgcore.units import KCAL


def draw(chapter):
    """Bars: two standard errors, of rates 95 % limits; a triangle is a lower limit."""
    hexane, acids, engine = (load(BOOK / "results" / name) for name in ("hexane", "amino_acids", "engine"))
    cost = {
        k: f"\nstep × {engine.value(f'price_{k}', 'step_ratio'):.2g}" for k in ("so3", "bead", "bond_types", "improper")
    }
    mirror = {"Core": "core", "by SO(3)" + cost["so3"]: "core_SO3", "Core Beta" + cost["bead"]: "core_beta"}
    bonds = {"not told": "no_bond_types", "bond types" + cost["bond_types"]: "bond_types"}
    species = {"one species": ("core_single", "core_beta_single"), "by element\nstep × 1": ("core", "core_beta")}
    prior = {"as trained": "inversion_core_beta", "improper prior" + cost["improper"]: "inversion_core_beta_improper"}
    figure, axes = plt.subplots(2, 2, figsize=(8.2, 6.6))
    for ax, title, what, points, results, columns in (
        (axes[0, 0], "Mirror image", "Asymmetry over the reference's", kept, chapter, mirror),
        (axes[0, 1], "Bonds of hexane", "New bonds per molecule (1/ns)", rates, hexane, bonds),
        (axes[1, 0], "Direction of the chain", "From its reversal (bit)", directions, acids, species),
        (axes[1, 1], "Inversion of Core Beta", "Barrier (kcal/mol)", barrier, acids, prior),
    ):
        for place, of in enumerate(columns.values()):
            for k, (marker, value, *bar) in enumerate(shown := list(points(results, of))):
                x, look = place + 0.1 * (k - (len(shown) - 1) / 2), {"mfc": "white"} if marker == "s" else {}
                ax.errorbar(x, value, [[bar[0]], [bar[-1]]], fmt=marker, ms=5, color=plots.PALETTE[0], **look)
        ax.set_xticks(range(len(columns)), columns)
        ax.set(title=title, ylabel=what, xlim=(-0.6, len(columns) - 0.4), ylim=(min(0.0, ax.get_ylim()[0]), None))
    return figure


def kept(chapter, case: str):
    for marker, molecule in (("o", "ser"), ("s", "ile")):
        for seed in range(1, RULE["seeds"] + 1):
            row = row_of(chapter, chapter.one(kind="blind_run", case=f"{molecule}_{case}", question=0, seed=seed))
            whole = row["reference_bound"] - row["reference_bound_floor"]
            yield marker, (row["bound"] - row["bound_floor"]) / whole, RULE["deviations"] * row["bound_error"] / whole


def rates(hexane, table: str):
    for label in hexane.table(table):
        rate, low, high = (hexane.row(label, f"rearrangement_rate{end}").value for end in ("", "_low", "_high"))
        yield "o", rate, rate - low, high - rate


def directions(acids, labels: tuple[str, str]):
    for marker, label, quantity in zip("os", labels, ("chain_symmetry", "mirror_chain_symmetry"), strict=True):
        row = acids.row(label, quantity)
        yield marker, row.value, 2 * row.error


def barrier(acids, label: str):
    row, climbed = (acids.row(label, quantity) for quantity in ("barrier_kcal_mol", "sampled_range_kJ_mol"))
    yield ("^", climbed.value / KCAL, 0.0) if row.value is None else ("o", row.value, 2 * row.error)
