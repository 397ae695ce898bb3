"""Each artefact without and with its remedy, a point for each training, and what a step then costs."""

import matplotlib.pyplot as plt

from cgbook.blind import RULE
from cgbook.results import BOOK, load
from cgcore import plots
from cgcore.units import KCAL

MOLECULES = {"o": "ser", "s": "ile"}
"""Marker -> reference of the blind test."""


def draw(chapter):
    """Bars: two standard errors, of rates 95 % limits; a triangle is a lower limit."""
    hexane, acids, engine = (load(BOOK / "results" / name) for name in ("hexane", "amino_acids", "engine"))
    panels = {
        ("Mirror image", "asymmetry kept, of the reference's"): {
            "Core": kept(chapter, "core"),
            "by SO(3)" + price(engine, "so3"): kept(chapter, "core_SO3"),
            "Core Beta" + price(engine, "bead"): kept(chapter, "core_beta"),
        },
        ("Bonds of hexane", "new bonds per molecule and ns"): {
            "not told": rates(hexane, "no_bond_types"),
            "bond types" + price(engine, "bond_types"): rates(hexane, "bond_types"),
        },
        ("Direction of the chain", "from its reversal (bit)"): {
            "one species": directions(acids, "core_single", "core_beta_single"),
            "by element\nstep × 1": directions(acids, "core", "core_beta"),
        },
        ("Inversion of Core Beta", "barrier (kcal/mol)"): {
            "as trained": barrier(acids, "inversion_core_beta"),
            "improper prior" + price(engine, "improper"): barrier(acids, "inversion_core_beta_improper"),
        },
    }
    figure, axes = plt.subplots(2, 2, figsize=(8.2, 6.6))
    for ax, ((title, what), columns) in zip(axes.flat, panels.items(), strict=True):
        for place, points in enumerate(map(list, columns.values())):
            for k, (marker, value, below, above) in enumerate(points):
                x, look = place + 0.1 * (k - (len(points) - 1) / 2), {"mfc": "white"} if marker == "s" else {}
                ax.errorbar(x, value, [[below], [above]], fmt=marker, ms=5, color=plots.PALETTE[0], **look)
        ax.set_xticks(range(len(columns)), columns)
        ax.set(title=title, ylabel=what, xlim=(-0.6, len(columns) - 0.4))
        ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
    return figure


def price(engine, remedy: str) -> str:
    return f"\nstep × {engine.value(f'price_{remedy}', 'step_ratio'):.2g}"


def kept(chapter, case: str):
    """The share of the reference's asymmetry that each run of the blind test has."""
    for marker, molecule in MOLECULES.items():
        for run, about in chapter.runs.items():
            if about["kind"] == "blind_run" and about["config"]["case"] == f"{molecule}_{case}":
                row = {quantity: r.value for quantity, r in chapter.rows[run].items()}
                whole = row["reference_bound"] - row["reference_bound_floor"]
                error = RULE["deviations"] * chapter.rows[run]["bound"].error / whole
                yield marker, (row["bound"] - row["bound_floor"]) / whole, error, error


def rates(hexane, table: str):
    for label in hexane.table(table):
        rate, low, high = (hexane.row(label, f"rearrangement_rate{end}").value for end in ("", "_low", "_high"))
        yield "o", rate, rate - low, high - rate


def directions(acids, core: str, core_beta: str):
    for marker, label, quantity in (("o", core, "chain_symmetry"), ("s", core_beta, "mirror_chain_symmetry")):
        row = acids.row(label, quantity)
        yield marker, row.value, 2 * row.error, 2 * row.error


def barrier(acids, label: str):
    """Where nothing crossed, what was climbed."""
    row, climbed = (acids.row(label, quantity) for quantity in ("barrier_kcal_mol", "sampled_range_kJ_mol"))
    crossed = row.value is not None
    yield ("o", row.value, 2 * row.error, 2 * row.error) if crossed else ("^", climbed.value / KCAL, 0.0, 0.0)
