"""Potentials of hexane beside mean forces that were sampled at fixed beads: what they have still to learn, and the noise."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from cgcore import data, force_maps, mapping, plots, store, train, train_splines
from cgcore.analysis import constrained, force_errors
from cgcore.analysis.blocks import Estimate, row
from cgcore.analysis.constrained import ConstrainedForce
from cgcore.book.collect import MODEL, MODELS, OPTIMAL
from cgcore.book.hexane_tables import Setting
from cgcore.config import DataConfig, MACEConfig, SplineConfig
from cgcore.data import Split
from cgcore.frames import Frames, Topology
from cgcore.mapping import Mapping
from cgcore.potentials import saved, splines
from cgcore.potentials.terms import terms
from cgcore.reference import sets
from cgcore.store.runs import MANIFEST, device, git_state, versions
from cgcore.units import MEV_PER_ANGSTROM

REFERENCE = "hexane"
MAPS = {"four_site": "Four-site", "three_site": "Three-site", "two_site": "Two-site"}
AGREE = 3.0
"""Standard errors that two measurements of one number may be apart."""


class Rival(NamedTuple):
    """A potential beside the mean force. forces(frames) -> (T, N, 3) kJ/mol/nm; plain: whether it learnt from plain sums;
    fit: the id of a network's training."""

    stem: str
    label: str
    forces: Callable[[Frames], np.ndarray]
    plain: bool
    fit: str | None = None


def reference(d: DataConfig) -> tuple[Topology, Split, Mapping]:
    """Topology, the atoms' frames in contiguous blocks to train on and held out, and the map with plain sums of forces."""
    topology, atoms = sets.load(REFERENCE)
    split = data.split_blocks(atoms, d.blocks, d.valid_blocks, d.gap_ps)
    return topology, split, mapping.load(d.map, topology, typing=d.typing, residue=d.residue)


def write(d: DataConfig, folder: Path, hexane: Path, networks: Sequence[Path] = ()) -> list[Path]:
    """One row for each potential of the map, <map>/<potential>.json; what was written. All in meV/Å.

    networks: folders of fits of the hexane notebook, beside what the chapter has.
    loss_rmse: of the plain held-out forces; noise_rmse: of the sampled forces about their mean; error_rmse: of the
    potential beside the mean force; sum_rmse: of both, and apart: by how many standard errors its square and that of
    loss_rmse differ. less_splines: by how much its mean square beside the mean force exceeds that of splines,
    10^3 (meV/Å)^2, with its paired error.
    """
    found = ConstrainedForce(**{key: a.astype(float) for key, a in store.read_npz(folder / f"{d.map}.npz").items()})
    made = store.read_json(folder / f"{d.map}.json")
    noise = constrained.over_beads(found.noise)
    topology, split, beads = reference(d)
    valid = mapping.apply(beads, split.valid, require_forces=True)
    held = replace(valid[: len(found.position)], position=found.position, force=found.mean)
    sampling = f"{made['sampling']}, {valid.n_frames} held out"
    about = {"mean_forces": made["manifest"], "versions": versions(), "git": git_state(), "device": device()}
    written = []
    for order, rival in enumerate(_rivals(d.map, topology, split, beads, hexane, networks)):
        forces = rival.forces(held)
        error = constrained.model_error(found, forces)
        table = rmse("noise_rmse", noise) | rmse("error_rmse", error)
        total = Estimate(noise.value + error.value, float(np.hypot(noise.error, error.error)))
        table |= rmse("sum_rmse", total)
        if order == 0:
            splines_forces = forces
        else:
            less = constrained.over_beads((forces - found.mean) ** 2 - (splines_forces - found.mean) ** 2)
            table |= row("less_splines", Estimate(*(x / MEV_PER_ANGSTROM**2 / 1000 for x in less)))
        if rival.plain:
            loss = force_errors.loss(force_errors.by_frame(rival.forces(valid), valid))
            apart = abs(total.value - loss.value) / np.hypot(total.error, loss.error)
            table |= rmse("loss_rmse", loss) | {"apart": float(apart), "agree": int(apart < AGREE)}
        result = {"label": rival.label, "order": order, "sampling": sampling, "table": table}
        written.append(folder / d.map / f"{rival.stem}.json")
        written[-1].parent.mkdir(parents=True, exist_ok=True)
        store.write_json(written[-1], result | {"manifest": about | {"fit": rival.fit}})
    return written


def _rivals(map: str, topology: Topology, split: Split, beads: Mapping, hexane: Path, networks) -> Iterator[Rival]:
    """Splines of the plain and of the least noisy forces, the networks of the hexane chapter, and others of the map."""
    least = force_maps.optimised(beads, topology, split.train)
    for name, of in (("", beads), (f", {OPTIMAL}", least)):
        parts = (mapping.apply(of, part, require_forces=True) for part in (split.train, split.valid))
        own = split._replace(**dict(zip(("train", "valid"), parts, strict=True)))
        knots = splines.for_frames(terms(of), own.train, SplineConfig())
        params = train_splines.fit(knots, own).params
        forces = partial(train_splines.predict, knots, params)
        yield Rival(f"spline{'_optimal_forces' if name else ''}", f"{MAPS[map]}, splines{name}", forces, not name)
    kept = {path: _of_chapter(hexane, path.stem) for path in sorted((hexane / MODELS).glob(f"{map}_*.npz"))}
    for path, (which, fit) in (kept | {folder / MODEL: of_fit(folder) for folder in networks}).items():
        if which.map == map:
            _, potential, params = saved.read(path)
            forces = partial(train.predict, potential, params)
            yield Rival(which.stem.removeprefix(f"{map}_"), which.label, forces, OPTIMAL not in which.extras, fit)


def _of_chapter(hexane: Path, stem: str) -> tuple[Setting, str]:
    """The setting of a network of the hexane chapter, and the id of its training."""
    made = store.read_json(hexane / f"{stem}.json")["manifest"]
    return Setting(**made["setting"] | {"extras": tuple(made["setting"]["extras"])}), made["fit"]["id"]


def of_fit(folder: Path) -> tuple[Setting, str]:
    """The setting of a finished fit of the hexane notebook, and its id. Raises StoreError where its network is not there."""
    if not (folder / MODEL).is_file():
        raise store.StoreError(f"{folder}: want a fit of the hexane notebook, which leaves {MANIFEST} and {MODEL}")
    made = store.read_json(folder / MANIFEST)
    model, *_ = saved.read(folder / MODEL)
    c, config = model.config, made["config"]
    extras = [OPTIMAL] if config["force_map"] != "sum" else []
    which = Setting(
        map=config["data"]["map"],
        potential="mace" if isinstance(c, MACEConfig) else "nequip",
        nu=getattr(c, "correlation", None),
        layers=c.layers,
        cutoff_nm=c.cutoff_nm,
        extras=(*extras, f"{made['results']['updates']} updates"),
        learn_from=next(iter(made["data"])),
    )
    return which, made["id"]


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
        size = (8.6, 1.2 + 0.36 * sum(ratios) + 0.5 * len(ratios))
        figure, axes = plt.subplots(len(tables), 1, figsize=size, squeeze=False, height_ratios=ratios)
        for ax, (m, found) in zip(axes.flat, tables.items(), strict=True):
            _bars(ax, [r["table"] for r in found])
            ax.set_yticks(range(len(found)), [_short(r["label"], m) for r in found], fontsize=9)
            ax.set_ylabel(MAPS[m])
            ax.invert_yaxis()
        axes.flat[-1].set_xlabel("mean square error (10³ (meV/Å)²)")
        figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
        figure.savefig(folder / "decomposition.png", dpi=130)
        plt.close(figure)
    return [folder / "decomposition.png"]


def _short(label: str, map: str) -> str:
    """A row's name without what the rows of a map have in common."""
    for known in (f"{MAPS[map]}, ", " ν = 2, 2 layers,", ", walls", ", 3 layers", " hexane"):
        label = label.replace(known, "")
    return label


def _bars(ax, tables: list[dict]):
    at = np.arange(len(tables))
    noise, error, loss = (np.array([t[f"{k}_rmse"] for t in tables]) for k in ("noise", "error", "loss"))
    spread = 2 * loss * np.array([t["loss_rmse_error"] for t in tables])
    ax.barh(at, noise**2 / 1000, 0.6, color=plots.PALETTE[0], alpha=0.6, label="noise")
    ax.barh(at, error**2 / 1000, 0.6, left=noise**2 / 1000, color=plots.PALETTE[1], label="beside the mean force")
    ax.errorbar(loss**2 / 1000, at, xerr=spread / 1000, fmt="o", color="black", capsize=3, label="held out")
