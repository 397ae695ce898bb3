"""The noise floor by learning curves: one potential fitted to ever more frames, beside frames that are nearly alike.

`cgcore learning-curves` writes the rows of kind "learning_curve" of the chapter on potentials: splines for the three maps
of hexane, minutes each, and MACE for Core alanine, some minutes more.
"""

from pathlib import Path

import numpy as np

from cgbook.results import add, made_here
from cgcore import data, steps, train, train_splines
from cgcore.analysis import force_errors, noise_floor
from cgcore.analysis.blocks import Estimate
from cgcore.potentials import mace, splines
from cgcore.units import MEV_PER_ANGSTROM

HEXANE = dict(system="hexane", potential="spline"), (10, 30, 100, 300, None)
CURVES = {
    "four_site": HEXANE,
    "three_site": HEXANE,
    "two_site": HEXANE,
    "core": (dict(system="amino_acids", profile="laptop", frames=4000), (10, 30, 100, 400, None)),
}
"""Of each map the configuration, and the numbers of training frames: None is all."""


def make(results: Path, out: Path):
    """Fit, estimate the floor, and write the rows."""
    for map, (settings, frames) in CURVES.items():
        config = steps.configure(map=map, **settings)
        reference = steps.load(config)
        fits, residual = curve(config, reference, frames, out)
        errors = np.stack([fit.held_out for fit in fits.values()])
        table = floors(reference.split, residual, dict(zip(fits, errors, strict=True)), gap_ps=config.data.gap_ps)
        split = {"train_frames": reference.split.train.n_frames, "valid_frames": reference.split.valid.n_frames}
        sampling = "{train_frames} frames to learn from, {valid_frames} held out".format(**split)
        curves = {"time": reference.split.valid.time, "n_frames": np.array(list(fits)), "errors": errors}
        made = made_here(fits=[fit.run.id for fit in fits.values()])
        about, told = (
            config.resolved() | {"frames": "curve"},
            {"manifest": made, "sampling": sampling, "curves": curves},
        )
        add(results / "potentials", "learning_curve", about, split | table, **told)


def curve(config, reference: steps.Reference, frames: tuple, out: Path) -> tuple[dict, np.ndarray]:
    """Fits by their number of training frames, and the held-out forces (T, N, 3) less those of the last."""
    split, beads = reference.split, reference.beads
    if config.kind == "spline":
        knots = splines.for_frames(steps.terms(beads), split.train, config.potential)
        chosen = (data.subsample(split.train, n) for n in frames)
        fits = {few.n_frames: train_splines.fit(knots, split._replace(train=few), out) for few in chosen}
        predicted = train_splines.predict(knots, fits[max(fits)].params, split.valid)
    else:
        model = mace.build(mace.for_frames(config.potential, beads.species, split.train, liquid=reference.liquid))
        fits = train.learning_curve(model, split, config.train, out, frames=frames)
        predicted = train.predict(model, fits[max(fits)].params, split.valid)
    return fits, np.asarray(split.valid.force) - predicted


def floors(split: data.Split, residual: np.ndarray, errors: dict[int, np.ndarray], *, gap_ps: float) -> dict:
    """Loss and both estimates of its floor, kJ^2/mol^2/nm^2, their roots in meV/Å, and how far apart the estimates are."""
    losses = {n: force_errors.loss(of_frame) for n, of_frame in errors.items()}
    found = {"loss": losses[max(losses)]}
    both = noise_floor.floors(split.valid, residual, gap_ps=gap_ps, curve=losses)
    found |= {f.method.replace(" ", "_"): f.estimate for f in both if f.estimate}
    table = {}
    for name, (value, error) in found.items():
        root = np.sqrt(value)
        table |= {name: value, f"{name}_error": error, f"{name}_rmse": root / MEV_PER_ANGSTROM}
        table |= {f"{name}_rmse_error": error / (2 * root) / MEV_PER_ANGSTROM}
    if all(f.estimate for f in both):
        first, second = (Estimate(*f.estimate) for f in both)
        table["apart"] = abs(first.value - second.value) / float(np.hypot(first.error, second.error))
        table["agree"] = int(table["apart"] < noise_floor.AGREE)
    return table
