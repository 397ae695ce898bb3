"""What references tell without any simulation of ours, as runs of their chapters: rows and curves.

Free energies along angles and dihedrals by mean torques, of the frames and of published models in them; the ranges of
pair distances without samples; and the parts of the long simulation of the chain.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cgbook.collect import draw
from cgbook.results import BOOK, Chapter, add, flat, load, made_here
from cgcore import observables, steps, train, train_splines
from cgcore.analysis import chain, torsion
from cgcore.analysis.bonded import kinds
from cgcore.analysis.chain_series import of_reference
from cgcore.config import SplineConfig
from cgcore.data import frames_hash
from cgcore.frames import Frames
from cgcore.potentials import saved, splines
from cgcore.potentials.terms import terms
from cgcore.units import PS_PER_NS

TEMPERATURE_K = 300.0
PROFILED = {"three_site": "angle_ABA", "four_site": "dihedral_ABBA"}
BACKBONES = (
    ("ala", "core_beta", "ala2_obc2"),
    ("gly", "core", "gly2_obc2"),
    ("pro", "core_beta", "pro2_obc2"),
    ("thr", "core_beta", "thr2_obc2"),
    ("ala", "core_beta", "ala2"),
)
OF_PARTS = ("helicity", "handedness", "helical", "left_handed", "left_handed_helical", "alpha", "radius_nm")


class Observed(NamedTuple):
    """One run. frames: behind it; model: the run whose network was asked for forces, if any."""

    kind: str
    config: dict
    sampling: str
    table: dict
    curves: dict[str, np.ndarray]
    frames: Frames
    model: str | None = None


def observe(results: Path = BOOK / "results") -> list[Path]:
    """Compute all of it, and draw the figures of the chapters anew; the paths of these."""
    written = []
    for name, of_chapter in (("hexane", of_liquid), ("amino_acids", of_backbones), ("polyalanine", of_runs)):
        for kind, config, sampling, table, curves, frames, model in of_chapter(load(results / name)):
            manifest = made_here(seed=0, data=frames_hash(frames), model=model)
            add(results / name, kind, config, table, manifest=manifest, sampling=sampling, curves=curves)
        written += draw(load(results / name))
    return written


def of_liquid(chapter: Chapter, maps: tuple[str, ...] = ("three_site", "four_site", "two_site")) -> Iterator[Observed]:
    """Of hexane: profiles by positions, by both force maps and by models; ranges without samples for pairs of species.

    Tables of `torsion.Profile.table` and `observables.unsampled_pairs`.
    """
    for name in maps:
        loaded = {
            force_map: steps.load(steps.configure("hexane", profile="laptop", map=name, force_map=force_map))
            for force_map in ("sum", "optimised")
        }
        if name in PROFILED:
            yield from _profiles(chapter, name, loaded)
        frames = loaded["sum"].split.train
        for pair, table in observables.unsampled_pairs(loaded["sum"].beads, frames).items():
            yield Observed("unsampled", {"case": f"{name}_{pair}"}, f"{frames.n_frames} frames", table, {}, frames)


def _profiles(chapter: Chapter, name: str, loaded: dict[str, steps.Reference]) -> Iterator[Observed]:
    """By positions and forces of all frames; by models, which have no noise of their own, in every eighth."""
    frames, beads = {k: reference.split.train for k, reference in loaded.items()}, loaded["sum"].beads
    paths = kinds(tuple(beads.species_names[s] for s in beads.species), beads.bonds)[PROFILED[name]]
    size, n = paths.shape[1], frames["sum"].n_frames
    angle, _ = torsion.end_torques(frames["sum"], paths)
    positions = torsion.profile_from_positions(angle, size, TEMPERATURE_K)
    for label in (label for label in chapter.labels if label.startswith(f"mean_force_{name}_")):
        case = label.removeprefix("mean_force_")
        source, network = case.removeprefix(f"{name}_"), case in chapter.labels and "spline" not in case
        if network and not chapter.model(case).is_file():
            continue  # a network that was not kept: its numbers stay
        profile, table, words = positions, {"js": None}, f"{n} frames"
        if source != "positions":
            own = frames[source] if source in frames else _with_forces(chapter, case, loaded, network)
            profile, table = torsion.profile_from_forces(*torsion.end_torques(own, paths), size, TEMPERATURE_K), {}
            words = words if source in frames else f"{own.n_frames} of {n} frames"
        table = profile.table(positions) | table
        curves = {key: getattr(profile, key) for key in ("centres", "free_energy", "error", "density")}
        model = chapter.run(case) if network else None
        yield Observed("mean_torque", {"case": case}, words, table, curves, frames["sum"], model)


def _with_forces(chapter: Chapter, case: str, loaded: dict[str, steps.Reference], network: bool) -> Frames:
    """Some of the training frames with the forces of a published network, or of splines, which are solved for anew."""
    reference = loaded["optimised" if case.endswith("optimised") else "sum"]
    learnt, few = reference.split.train, reference.split.train[:: observables.EVERY]
    if network:
        _, potential, params = saved.read(chapter.model(case))
        return replace(few, force=train.predict(potential, params, few))
    knots = splines.for_frames(terms(reference.beads), learnt, SplineConfig())
    return replace(few, force=train_splines.predict(knots, train_splines.solve_for(knots, learnt), few))


def of_backbones(chapter: Chapter) -> Iterator[Observed]:
    """Of capped residues: the free energy along psi by both force maps (`observables.of_mean_torque`)."""
    for residue, name, reference in BACKBONES:
        for force_map in ("sum", "optimised"):
            config = steps.configure(
                "amino_acids", profile="laptop", residue=residue, map=name, reference=reference, force_map=force_map
            )
            data = steps.load(config)
            frames = data.split.train
            table, curves = observables.of_mean_torque(frames, data.beads, TEMPERATURE_K)
            settings = flat({"data": {k: v for k, v in config.resolved()["data"].items() if k != "mirror"}})
            yield Observed("mean_torque", settings, f"{frames.n_frames} frames", table, curves, frames)


def of_runs(chapter: Chapter) -> Iterator[Observed]:
    """Of the chain: means over parts of the reference's runs, which start as a helix and stretched out in turn."""
    data = steps.load(steps.configure("polyalanine", profile="laptop", map="chain_core_beta"))
    series = of_reference(data.frames, data.beads)
    valid = series["valid"]
    helix, late = np.arange(len(valid))[:, None] % 2 == 0, np.arange(valid.shape[1]) >= valid.shape[1] // 2
    runs, divergence = chain.convergence(chain.counts(series))
    run_ns = float(np.ptp(data.frames.sampled_ps[[0, -1]])) / PS_PER_NS / len(valid)
    for k, chosen in enumerate((valid, valid & helix, valid & ~helix, valid & ~helix & late)):
        numbers, n = chain.numbers(series | {"valid": chosen}), int(chosen.sum())
        table = {"n_frames": n} | {k: v for k, v in numbers.items() if k.removesuffix("_error") in OF_PARTS}
        curves = {} if k else {"length_ns": runs * run_ns, "divergence": divergence}
        yield Observed("reference", {"case": f"part_{k}"}, f"{n} frames", table, curves, data.frames)
