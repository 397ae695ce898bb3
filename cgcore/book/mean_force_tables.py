"""Potentials of hexane beside mean forces that were sampled at fixed beads: what they have still to learn, and the noise."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from cgcore import data, force_maps, mapping, plots, store, train, train_splines
from cgcore.analysis import conditional, force_errors
from cgcore.analysis.blocks import Estimate
from cgcore.analysis.conditional import MeanForce
from cgcore.analysis.ramachandran import row
from cgcore.book.collect import MODELS, OPTIMAL
from cgcore.config import DataConfig, SplineConfig
from cgcore.data import Split
from cgcore.frames import Frames, Topology
from cgcore.mapping import Mapping
from cgcore.potentials import saved, splines
from cgcore.potentials.terms import terms
from cgcore.reference import sets
from cgcore.store.runs import device, git_state, versions
from cgcore.units import MEV_PER_ANGSTROM

REFERENCE = "hexane"
MAPS = {"four_site": "Four-site", "three_site": "Three-site", "two_site": "Two-site"}
AGREE = 3.0
"""Standard errors that two measurements of one number may be apart."""


class Rival(NamedTuple):
    """A potential beside the mean force. forces(frames) -> (T, N, 3) kJ/mol/nm; plain: whether it learnt from plain sums."""

    stem: str
    label: str
    forces: Callable[[Frames], np.ndarray]
    plain: bool


def reference(d: DataConfig) -> tuple[Topology, Split, Mapping]:
    """Topology, the atoms' frames in contiguous blocks to train on and held out, and the map with plain sums of forces."""
    topology, atoms = sets.load(REFERENCE)
    split = data.split_blocks(atoms, d.blocks, d.valid_blocks, d.gap_ps)
    return topology, split, mapping.load(d.map, topology, typing=d.typing, residue=d.residue)


def write(d: DataConfig, folder: Path, hexane: Path) -> list[Path]:
    """One row for each potential of the map, <map>/<potential>.json; what was written. All in meV/Å.

    loss_rmse: of the plain held-out forces; noise_rmse: of the sampled forces about their mean; error_rmse: of the
    potential beside the mean force; sum_rmse: of both, and apart: by how many standard errors its square and that of
    loss_rmse differ.
    """
    found = MeanForce(**{key: a.astype(float) for key, a in store.read_npz(folder / f"{d.map}.npz").items()})
    made = store.read_json(folder / f"{d.map}.json")
    noise = conditional.noise(found)
    topology, split, beads = reference(d)
    valid = mapping.apply(beads, split.valid, require_forces=True)
    held = replace(valid[: len(found.position)], position=found.position, force=found.mean)
    sampling = f"{made['sampling']}, {valid.n_frames} held out"
    about = {"mean_forces": made["manifest"], "versions": versions(), "git": git_state(), "device": device()}
    written = []
    for order, rival in enumerate(_rivals(d.map, topology, split, beads, hexane)):
        error = conditional.model_error(found, rival.forces(held))
        table = rmse("noise_rmse", noise) | rmse("error_rmse", error)
        total = Estimate(noise.value + error.value, float(np.hypot(noise.error, error.error)))
        table |= rmse("sum_rmse", total)
        if rival.plain:
            loss = force_errors.loss(force_errors.by_frame(rival.forces(valid), valid))
            apart = abs(total.value - loss.value) / np.hypot(total.error, loss.error)
            table |= rmse("loss_rmse", loss) | {"apart": float(apart), "agree": int(apart < AGREE)}
        result = {"label": rival.label, "order": order, "sampling": sampling, "table": table, "manifest": about}
        written.append(folder / d.map / f"{rival.stem}.json")
        written[-1].parent.mkdir(parents=True, exist_ok=True)
        store.write_json(written[-1], result)
    return written


def _rivals(map: str, topology: Topology, split: Split, beads: Mapping, hexane: Path) -> Iterator[Rival]:
    """Splines of the plain and of the least noisy forces, and the trained networks of the hexane chapter."""
    least = force_maps.optimal(beads, topology, split.train)
    for name, of in (("", beads), (f", {OPTIMAL}", least)):
        parts = (mapping.apply(of, part, require_forces=True) for part in (split.train, split.valid))
        own = split._replace(**dict(zip(("train", "valid"), parts, strict=True)))
        knots = splines.for_frames(terms(of), own.train, SplineConfig())
        params = train_splines.fit(knots, own).params
        forces = partial(train_splines.predict, knots, params)
        yield Rival(f"spline{'_optimal_forces' if name else ''}", f"{MAPS[map]}, splines{name}", forces, not name)
    for path in sorted((hexane / MODELS).glob(f"{map}_*.npz")):
        _, potential, params = saved.read(path)
        label = store.read_json(hexane / f"{path.stem}.json")["label"]
        forces = partial(train.predict, potential, params)
        yield Rival(path.stem.removeprefix(f"{map}_"), label, forces, OPTIMAL not in label)


def rmse(key: str, square: Estimate) -> dict:
    """The root of a mean square in kJ^2/mol^2/nm^2, in meV/Å with its error; zero where noise made it negative."""
    value = np.sqrt(max(square.value, 0.0)) / MEV_PER_ANGSTROM
    error = square.error / MEV_PER_ANGSTROM**2 / (2 * value) if value else np.sqrt(square.error) / MEV_PER_ANGSTROM
    return row(key, Estimate(float(value), float(error)))


def draw(folder: Path) -> list[Path]:
    """decomposition.png: for each map and potential the two parts of the mean square error, and the held-out one beside
    their sum."""
    tables = {m: sorted(map(store.read_json, (folder / m).glob("*.json")), key=lambda r: r["order"]) for m in MAPS}
    tables = {m: [r for r in found if "loss_rmse" in r["table"]] for m, found in tables.items()}
    tables = {m: found for m, found in tables.items() if found}
    if not tables:
        return []
    with plots.style():
        ratios = [len(found) for found in tables.values()]
        figure, axes = plt.subplots(1, len(tables), figsize=(9.6, 4.6), squeeze=False, width_ratios=ratios)
        for ax, (m, found) in zip(axes.flat, tables.items(), strict=True):
            _bars(ax, [r["table"] for r in found])
            names = [
                r["label"].removeprefix(f"{MAPS[m]}, ").replace(", hexane 3000 frames", ",\n3000 frames") for r in found
            ]
            ax.set_xticks(range(len(found)), names, rotation=60, ha="right", fontsize=8)
            ax.set_title(MAPS[m])
        axes.flat[0].set_ylabel("mean square error (10³ (meV/Å)²)")
        axes.flat[-1].legend(loc="lower right", fontsize=8)
        figure.savefig(folder / "decomposition.png", dpi=130)
        plt.close(figure)
    return [folder / "decomposition.png"]


def _bars(ax, tables: list[dict]):
    at = np.arange(len(tables))
    noise, error, loss = (np.array([t[f"{k}_rmse"] for t in tables]) for k in ("noise", "error", "loss"))
    spread = 2 * loss * np.array([t["loss_rmse_error"] for t in tables])
    ax.bar(at, noise**2 / 1000, 0.6, color=plots.PALETTE[0], alpha=0.6, label="noise")
    ax.bar(at, error**2 / 1000, 0.6, bottom=noise**2 / 1000, color=plots.PALETTE[1], label="beside the mean force")
    ax.errorbar(at, loss**2 / 1000, spread / 1000, fmt="o", color="black", capsize=3, label="held out")
