"""The torsion of four-site hexane as its positions, its forces and what was trained on them have it."""

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from cgcore import data, force_maps, mapping, plots, store, train
from cgcore.analysis import bonded, mean_force
from cgcore.book.collect import manifests
from cgcore.book.hexane_tables import OPTIMAL, POTENTIALS, WALLS, Setting, parameters_of, setting
from cgcore.frames import Frames
from cgcore.mapping import Mapping
from cgcore.potentials import mace, nequip, splines
from cgcore.potentials.terms import terms
from cgcore.profiles.hexane import LiquidConfig, hexane_config
from cgcore.reference import sets
from cgcore.store.runs import git_state, versions

MAP, DIHEDRAL = "four_site", "dihedral_ABBA"
TEMPERATURE_K = 300.0
STRIDE = 8
"""Models have no noise of their own: every so many of the training frames are enough for their mean torque."""
SOURCES = {"positions": "positions", "sum": "mapped forces, plain sum", "optimal": "mapped forces, least noisy"}
LOOKS = {
    "positions": {"color": plots.REFERENCE_COLOUR, "linewidth": 2.2},
    "sum": {"color": plots.PALETTE[4]},
    "optimal": {"color": plots.PALETTE[3]},
}


def write(runs: list[Path], folder: Path) -> list[Path]:
    """torsion/<source>.json and torsion.png: the gauche population and barrier by positions and by both force maps of
    the frames that the notebook trains on, and by the forces of the four-site models of `runs` on the same frames.

    Nothing without such runs, or where their parameters were not kept. gauche with gauche_low and gauche_high, its 95 % limits; barrier in kJ/mol with its error.
    """
    chosen = {run: setting(parameters_of(run)) for run in runs}
    chosen = {run: which for run, which in chosen.items() if _shown(which) and _params(run).is_file()}
    if not chosen:
        return []
    topology, atoms = sets.load("hexane")
    d = hexane_config(profile="laptop", map=MAP).fit.data
    beads = mapping.load(MAP, topology, typing=d.typing, residue=d.residue)
    part = data.split_blocks(atoms, d.blocks, d.valid_blocks, d.gap_ps).train
    frames = {
        "sum": mapping.apply(beads, part, require_forces=True),
        "optimal": mapping.apply(force_maps.optimal(beads, topology, part), part, require_forces=True),
    }
    labels = tuple(beads.species_names[s] for s in beads.species)
    quads = bonded.kinds(labels, beads.bonds)[DIHEDRAL]
    phi, _ = mean_force.torques(frames["sum"], quads)
    found = {"positions": (SOURCES["positions"], mean_force.from_positions(phi, TEMPERATURE_K), {})}
    for name, mapped in frames.items():
        found[name] = (SOURCES[name], mean_force.from_forces(*mean_force.torques(mapped, quads), TEMPERATURE_K), {})
    for run, which in sorted(chosen.items(), key=lambda item: (OPTIMAL in item[1].extras, item[1].potential)):
        learnt = frames["optimal" if OPTIMAL in which.extras else "sum"]
        few = _with_forces_of(run, learnt, beads)
        told = mean_force.from_forces(*mean_force.torques(few, quads), TEMPERATURE_K)
        found[which.stem] = (_short(which), told, {"fit": manifests(run)[0]["id"]})
    made = {"data": {"hexane": store.data_hash(frames["sum"].position)}, "versions": versions(), "git": git_state()}
    return [*_tables(folder / "torsion", found, made, frames["sum"].n_frames), _draw(folder / "torsion.png", found)]


def _shown(which: Setting) -> bool:
    return which.map == MAP and set(which.extras) <= {WALLS, OPTIMAL}


def _params(run: Path) -> Path:
    return run / "fit" / manifests(run)[0]["id"] / "params.npz"


def _with_forces_of(run: Path, learnt: Frames, beads: Mapping) -> Frames:
    """Some of the training frames, with the forces of the potential that a run fitted to all of them."""
    parameters = {k: v for k, v in parameters_of(run).items() if k != "out_dir"}
    config: LiquidConfig = hexane_config(**parameters)
    if config.kind == "spline":
        potential = splines.build(splines.for_frames(terms(beads), learnt, config.fit.potential), liquid=True)
    else:
        network = {"mace": mace, "nequip": nequip}[config.kind]
        potential = network.build(network.for_frames(config.fit.potential, beads.species, learnt, liquid=True))
    params = store.load_tree(_params(run))
    few = learnt[::STRIDE]
    return replace(few, force=train.predict(potential, params, few))


def _short(which: Setting) -> str:
    return f"{POTENTIALS[which.potential]} of {'the least noisy' if OPTIMAL in which.extras else 'the plain sum'}"


def _tables(folder: Path, found: dict, made: dict, n_frames: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for order, (name, (label, profile, more)) in enumerate(found.items()):
        barrier, error = profile.barrier
        low, high = profile.interval
        table = {"gauche": profile.gauche, "gauche_low": low, "gauche_high": high}
        table |= {"barrier_kJ_mol": barrier, "barrier_kJ_mol_error": error}
        about = {"label": label, "order": order, "sampling": f"{n_frames} frames", "manifest": made | more}
        paths.append(folder / f"{name}.json")
        store.write_json(paths[-1], about | {"table": table})
    return paths


def _draw(path: Path, found: dict) -> Path:
    """Left what the frames tell, with bands of two standard errors; right what was trained on them, beside the first."""
    with plots.style():
        figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.5), sharey=True)
        for name, (label, profile, _) in found.items():
            degrees = np.degrees(profile.centres)
            look = LOOKS.get(name) or _look(name)
            for ax in axes if name == "positions" else axes[:1] if name in LOOKS else axes[1:]:
                ax.plot(degrees, profile.free_energy, label=label, **look)
                if name in LOOKS:
                    low, high = (profile.free_energy + s * profile.error for s in (-2, 2))
                    ax.fill_between(degrees, low, high, color=look["color"], alpha=0.2, linewidth=0)
        for ax, letter in zip(axes, "ab", strict=True):
            ax.set(xlim=(0, 180), ylim=(-3, 32), xticks=range(0, 181, 60), xlabel="Size of the dihedral (°)")
            ax.set_title(f"({letter})", loc="left")
            ax.legend(fontsize=8)
        axes[0].set_ylabel("Free energy over trans (kJ/mol)")
        figure.savefig(path, dpi=130)
        plt.close(figure)
    return path


def _look(stem: str) -> dict:
    kind = next(k for k in plots.MODEL_COLOURS if f"_{k}" in stem)
    return {"color": plots.MODEL_COLOURS[kind], "linestyle": "--" if OPTIMAL.replace(" ", "_") in stem else "-"}
