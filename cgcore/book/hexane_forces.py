"""What forces alone say of the angle and the torsion of hexane, and what was learnt of it by what was trained on them."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from cgcore import data, force_maps, mapping, plots, store, train
from cgcore.analysis import bonded, torsion
from cgcore.book.collect import MODEL, manifests, parameters_of
from cgcore.book.hexane_tables import MAPS, OPTIMAL, POTENTIALS, WALLS, WIDE_NM, Setting, setting
from cgcore.frames import Frames
from cgcore.mapping import Mapping
from cgcore.potentials import saved, splines
from cgcore.potentials.terms import terms
from cgcore.profiles.hexane import hexane_config
from cgcore.reference import sets
from cgcore.store.runs import device, git_state, versions

QUANTITIES = {"three_site": "angle_ABA", "four_site": "dihedral_ABBA"}
TEMPERATURE_K = 300.0
STRIDE = 8
"""Models have no noise of their own: every so many of the training frames are enough for their mean torque."""
SOURCES = {"positions": "positions", "sum": "forces, plain sum", "optimal": "forces, least noisy"}
LOOKS = {
    "positions": {"color": plots.REFERENCE_COLOUR, "linewidth": 2.2},
    "sum": {"color": plots.PALETTE[4]},
    "optimal": {"color": plots.PALETTE[3]},
}
AXES = {
    "three_site": {"xlim": (90, 180), "ylim": (-1, 22), "xticks": range(90, 181, 30), "xlabel": "Angle A–B–A (°)"},
    "four_site": {
        "xlim": (0, 180),
        "ylim": (-3, 32),
        "xticks": range(0, 181, 60),
        "xlabel": "Size of the dihedral (°)",
    },
}


def write(runs: list[Path], folder: Path) -> list[Path]:
    """mean_force/<map>_<source>.json and mean_force.png: the angle or torsion by positions and by both force maps of the
    frames that the notebook trains on, and by the forces that models of `runs` have in the same frames.

    A map without such runs, or of which no parameters were kept, is left out; the picture is drawn where `runs` have all
    rows. js: divergence to positions, js_noise: of drawing the same frames again, bit; mean in rad; gauche with its 95 %
    limits, barrier in kJ/mol.
    """
    trained = sorted((run for run in runs if _learnt(run).is_file()), key=_updates)
    longest = {setting(parameters_of(run)): run for run in trained}
    kept = {run: which for which, run in longest.items()}
    found = {map: _profiles(map, {r: w for r, w in kept.items() if _shown(w, map)}) for map in QUANTITIES}
    found = {map: profiles for map, profiles in found.items() if profiles}
    paths = [path for map, profiles in found.items() for path in _tables(folder / "mean_force", map, profiles)]
    if not found or set((folder / "mean_force").glob("*.json")) - set(paths):
        return paths  # profiles of some rows are not at hand: the picture that has them stays
    return [*paths, _draw(folder / "mean_force.png", found)]


def _shown(which: Setting, map: str) -> bool:
    """Splines, and the networks of figure 1, with and without walls."""
    usual = which.potential == "spline" or (which.nu in (None, 2) and which.cutoff_nm == WIDE_NM[map])
    return which.map == map and usual and set(which.extras) <= {WALLS, OPTIMAL}


def _updates(run: Path) -> int:
    """Of the training, zero for splines."""
    return manifests(run)[0]["results"].get("updates", 0)


def _learnt(run: Path) -> Path:
    """What its fit left: a network as a file, or the coefficients of splines."""
    is_spline = parameters_of(run)["potential"] == "spline"
    return run / "fit" / manifests(run)[0]["id"] / ("params.npz" if is_spline else MODEL)


def _profiles(map: str, runs: dict[Path, Setting]) -> dict:
    """Label, profile and manifest by the name of the source; none without runs."""
    if not runs:
        return {}
    topology, atoms = sets.load("hexane")
    d = hexane_config(profile="laptop", map=map).fit.data
    beads = mapping.load(map, topology, typing=d.typing, residue=d.residue)
    part = data.split_blocks(atoms, d.blocks, d.valid_blocks, d.gap_ps).train
    least = force_maps.optimised(beads, topology, part)
    frames = {name: mapping.apply(b, part, require_forces=True) for name, b in (("sum", beads), ("optimal", least))}
    paths = bonded.kinds(tuple(beads.species_names[s] for s in beads.species), beads.bonds)[QUANTITIES[map]]
    made = {"data": {"hexane": store.data_hash(part.position)}, "versions": versions(), "git": git_state()}
    made |= {"device": device(), "seed": 0, "draws": torsion.DRAWS}
    about = made | {"frames": f"{part.n_frames} frames"}
    q, _ = torsion.end_torques(frames["sum"], paths)
    met = torsion.profile_from_positions(q, paths.shape[1], TEMPERATURE_K)
    found = {"positions": (SOURCES["positions"], met, about)}
    found |= {name: (SOURCES[name], _of(frames[name], paths), about) for name in frames}
    for run, which in sorted(runs.items(), key=lambda item: (OPTIMAL in item[1].extras, item[1].potential)):
        forces = "optimal" if OPTIMAL in which.extras else "sum"
        few = _with_forces_of(run, frames[forces], beads)
        more = {"fit": manifests(run)[0]["id"], "frames": f"{few.n_frames} of {part.n_frames} frames"}
        told = [f"{POTENTIALS[which.potential]} of the {SOURCES[forces].removeprefix('forces, ')}"]
        label = ", ".join([*told, *which.learnt_elsewhere])
        found[which.stem] = (label, _of(few, paths), about | more)
    return found


def _of(frames: Frames, paths: np.ndarray) -> torsion.Profile:
    return torsion.profile_from_forces(*torsion.end_torques(frames, paths), paths.shape[1], TEMPERATURE_K)


def _with_forces_of(run: Path, learnt: Frames, beads: Mapping) -> Frames:
    """Some of the training frames, with the forces of the potential that a run fitted, to them or to other frames."""
    config = hexane_config(**{k: v for k, v in parameters_of(run).items() if k != "out_dir"})
    if config.kind == "spline":
        potential = splines.build(splines.for_frames(terms(beads), learnt, config.fit.potential), liquid=True)
        params = store.load_tree(_learnt(run))
    else:
        _, potential, params = saved.read(_learnt(run))
    few = learnt[::STRIDE]
    return replace(few, force=train.predict(potential, params, few))


def _tables(folder: Path, map: str, found: dict) -> Iterable[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for order, (name, (label, profile, about)) in enumerate(found.items()):
        js, noise = profile.distance(found["positions"][1])
        table = {"js": None if name == "positions" else js, "js_noise": noise}
        if map == "four_site":
            keys = ("gauche", "gauche_low", "gauche_high", "barrier_kJ_mol", "barrier_kJ_mol_error")
            table |= dict(zip(keys, (*profile.gauche(), *profile.barrier()), strict=True))
        else:
            table |= dict(zip(("mean", "mean_error"), profile.mean(), strict=True))
        path = folder / f"{name if name.startswith(map) else f'{map}_{name}'}.json"
        result = {"label": f"{MAPS[map]}, {label}", "order": 100 * list(QUANTITIES).index(map) + order}
        store.write_json(path, result | {"sampling": about["frames"], "table": table, "manifest": about})
        yield path


def _draw(path: Path, found: dict) -> Path:
    """A row a map: left what the frames tell, with bands of two standard errors; right what was trained on them."""
    with plots.style():
        figure, rows = plt.subplots(len(found), 2, figsize=(7.6, 3.3 * len(found)), sharey="row", squeeze=False)
        letters = iter("abcd")
        for axes, (map, profiles) in zip(rows, found.items(), strict=True):
            for name, (label, profile, _) in profiles.items():
                degrees, met = np.degrees(profile.centres), profile.density > 0
                look = LOOKS.get(name) or _look(name)
                for ax in axes if name == "positions" else axes[:1] if name in LOOKS else axes[1:]:
                    ax.plot(degrees[met], profile.free_energy[met], label=label, **look)
                    if name in LOOKS:
                        low, high = (profile.free_energy + s * profile.error for s in (-2, 2))
                        ax.fill_between(degrees[met], low[met], high[met], color=look["color"], alpha=0.2, linewidth=0)
            for ax in axes:
                ax.set(**AXES[map])
                ax.set_title(f"({next(letters)}) {MAPS[map]}", loc="left")
                ax.legend(fontsize=8)
            axes[0].set_ylabel("Free energy (kJ/mol)")
        figure.savefig(path, dpi=130)
        plt.close(figure)
    return path


def _look(stem: str) -> dict:
    kind = next(k for k in plots.MODEL_COLOURS if f"_{k}" in stem)
    return {"color": plots.MODEL_COLOURS[kind], "linestyle": "--" if OPTIMAL.replace(" ", "_") in stem else "-"}
