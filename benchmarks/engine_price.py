"""What a remedy costs: a step of the simulation and an update of the training with it, in units of those without it."""

from dataclasses import replace

import numpy as np
from engine_speed import Ours
from engine_systems import System, of_run
from engine_training import updates
from turns import interleaved, timed, told, told_ratio

from cgcore.config import MDConfig
from cgcore.potentials import barrier, mace, priors
from cgcore.potentials.base import Potential, add
from cgcore.potentials.compiled import for_simulation

TWO, THREE = "two_site_mace_nu2_l2_800pm", "three_site_mace_nu2_l2_700pm_barrier_hexane_3000_frames"

REMEDIES = {
    "bead": ("amino_acids", "core", "core_beta"),
    "so3": ("amino_acids", "core", "core_so_3"),
    "improper": ("amino_acids", "core_beta", "improper"),
    "bond_types": ("hexane", f"{TWO}_barrier_hexane_3000_frames", f"{TWO}_bond_types_barrier"),
    "barrier": ("hexane", THREE, "barrier"),
}
"""Remedy -> chapter, the published network without it, and the one with it or the prior that joins after training."""

PRIORS = {
    "improper": lambda s: priors.for_frames(("improper",), s.beads, s.frames, temperature_K=300.0)[0],
    "barrier": lambda s: barrier.build(barrier.for_frames(s.beads.species, s.frames, liquid=s.liquid)),
}


def price(name: str, repeats: int, steps: int) -> dict:
    """ms per step and per update without and with a remedy, and their ratios turn by turn.

    Updates have as many frames as the training of the network without the remedy; a prior joins after training and has none.
    """
    chapter, label, changed = REMEDIES[name]
    plain = of_run(chapter, label)
    other = plain if changed in PRIORS else of_run(chapter, changed)
    config = MDConfig(replicas=1 if plain.liquid else 100, steps_per_frame=steps, n_frames=1)
    out, runners = {"replicas": config.replicas, "frames": plain.training.batch_size}, {}
    for side, s, prior in (("without", plain, None), ("with", other, PRIORS.get(changed))):
        potential, params, engines = fastest(s, prior)
        out |= {f"{side}_{key}": engines[0].get(key, np.nan) for key in ("energy_error", "force_error")}
        runners[side] = Ours(potential, params, s, config)
    out |= compared("step", {side: timed(runner.run) for side, runner in runners.items()}, repeats, steps)
    if changed in PRIORS:
        return out
    sides = {"without": plain, "with": replace(other, training=plain.training)}
    return out | compared(
        "update", {k: timed(updates(mace.build(s.model), s, s.training)) for k, s in sides.items()}, repeats
    )


def fastest(s: System, prior) -> tuple[Potential, object, list[dict]]:
    """The network, with a prior where there is one, in the form that simulations take."""
    potential, params = mace.build(s.model), s.params
    if prior:
        potential, params = add(potential, prior(s)), (params, {})
    return for_simulation(potential, params, s.starts(4), s.molecule.box)


def compared(what: str, turns: dict, repeats: int, per: float = 1.0) -> dict:
    """Milliseconds of both sides and the ratio of the second to the first."""
    seconds = interleaved(turns, repeats)
    out = {}
    for side, t in seconds.items():
        out |= told(f"{what}_{side}", t, per)
    return out | told_ratio(f"{what}_ratio", seconds["with"] / seconds["without"])
