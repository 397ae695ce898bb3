"""What forces alone say of the depths of valleys along psi, and what models make of it that were trained on them."""

from dataclasses import asdict
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from cgcore import data, force_maps, mapping, plots, store
from cgcore.analysis import torsion
from cgcore.analysis.torsion import PMF
from cgcore.book.amino_settings import MAPS, OPTIMAL, Setting
from cgcore.book.amino_tables import load
from cgcore.profiles.amino_acids import run_config
from cgcore.reference import sets
from cgcore.store.runs import device, git_state, versions
from cgcore.units import kT

TEMPERATURE_K = 300.0
ALPHA = tuple(np.radians([-100.0, 50.0]))
"""The side of psi where alpha is."""
SYSTEMS = (
    Setting(map="core_beta", reference="obc2"),
    Setting(residue="gly"),
    Setting(residue="pro", map="core_beta"),
    Setting(residue="thr", map="core_beta"),
    Setting(map="core_beta"),
)
SHOWN = SYSTEMS[:2]
FORCES = {"sum": "plain sum", "optimal": "least noisy"}
LOOKS = {"sum": plots.PALETTE[4], "optimal": plots.PALETTE[3]}


def write(folder: Path) -> list[Path]:
    """forces/<system>_<forces>.json in the folder of collected runs: the share of alpha by forces and by positions; and
    forces.png, the free energy along psi by both, beside that of the models there are."""
    written, drawn = [], {}
    made = {"versions": versions(), "git": git_state(), "device": device(), "seed": 0, "draws": torsion.PMF_DRAWS}
    for order, which in enumerate(SYSTEMS):
        config = run_config(profile="laptop", residue=which.residue, map=which.map, reference=which.reference)
        topology, atoms = sets.load(config.reference)
        d = config.data
        beads = mapping.load(d.map, topology, typing=d.typing, residue=d.residue)
        part = data.split_blocks(atoms, d.blocks, d.valid_blocks, d.gap_ps).train
        about = made | {"data": {config.reference: store.data_hash(part.position, part.force)}, "config": asdict(d)}
        for number, (name, words) in enumerate(FORCES.items()):
            mapped = mapping.apply(force_maps.optimised(beads, topology, part) if name == "optimal" else beads, part)
            found = torsion.pmf_from_mean_torque(
                *torsion.optimised_torque(mapped.position, mapped.force, beads.dihedrals["psi"])
            )
            drawn[which, name] = found
            result = {"label": f"{_title(which)}, {words}", "order": 10 * order + number}
            result |= {"sampling": f"{part.n_frames} frames", "table": _table(found)}
            written.append(folder / "forces" / f"{which.stem}_{name}.json")
            written[-1].parent.mkdir(parents=True, exist_ok=True)
            store.write_json(written[-1], result | {"manifest": about})
    figure = _draw(drawn, load(folder))
    figure.savefig(folder / "forces.png", dpi=130)
    plt.close(figure)
    return [*written, folder / "forces.png"]


def _table(found: PMF) -> dict:
    inside = (found.centres > ALPHA[0]) & (found.centres < ALPHA[1])
    share = found.share(*ALPHA, TEMPERATURE_K)
    numbers = dict(zip(("alpha_forces", "alpha_low", "alpha_high"), share, strict=True))
    return numbers | {"alpha_positions": float(found.population[inside].sum()), "error_kJ_mol": found.error_kJ_mol}


def _draw(drawn: dict[tuple[Setting, str], PMF], models: dict):
    """Positions in grey, forces as bands of two standard errors, models that were trained on them as broken lines."""
    with plots.style():
        figure, axes = plt.subplots(1, len(SHOWN), figsize=(4.4 * len(SHOWN) + 0.6, 3.6), sharey=True, squeeze=False)
        for ax, which in zip(axes[0], SHOWN, strict=True):
            for name, words in FORCES.items():
                found, colour = drawn[which, name], LOOKS[name]
                psi, error = np.degrees(found.centres), 2 * found.draws.std(0)
                ax.plot(psi, found.free_energy, color=colour, label=f"forces, {words}")
                low, high = found.free_energy - error, found.free_energy + error
                ax.fill_between(psi, low, high, color=colour, alpha=0.2, linewidth=0)
                extras = (OPTIMAL,) if name == "optimal" else ()
                model = models.get(Setting(**vars(which) | {"extras": extras}))
                if model is not None:
                    density = np.asarray(model[1]["psi_density"], float)
                    centres = np.degrees(np.convolve(model[1]["marginal_edges"], [0.5, 0.5], "valid"))
                    label = f"model of the {words}"
                    ax.plot(centres, _relative(density, found, centres), "--", color=colour, label=label)
            ax.plot(psi, _relative(found.population, found, psi), color=plots.REFERENCE_COLOUR, label="positions")
            plots.degree_axis(ax.xaxis, r"$\psi$ (°)")
            ax.set(title=_title(which), ylim=(-6, 24))
            ax.label_outer()
        axes[0, 0].set_ylabel("F (kJ/mol)")
        axes[0, -1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _relative(density: np.ndarray, found: PMF, psi_deg: np.ndarray) -> np.ndarray:
    """-kT ln of a density at psi (K,), nan where there is none, above its mean over the frames as `PMF` has it."""
    F = -kT(TEMPERATURE_K) * np.log(np.where(density > 0, density, np.nan))
    weight = np.interp(psi_deg, np.degrees(found.centres), found.population, period=360.0) * (density > 0)
    return F - np.nansum(F * weight) / weight.sum()


def _title(which: Setting) -> str:
    return f"{which.residue.title()}, {MAPS[which.map]}" + (", explicit water" if which == SYSTEMS[-1] else "")
