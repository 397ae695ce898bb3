"""A simulation from its starts to its table: frame by frame, each checked before it counts."""

import time
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from tqdm import tqdm

from ..config import MDConfig
from ..frames import Ensemble, Status
from ..potentials.base import Potential
from ..store import Run, data_hash
from ..units import ns_per_day
from .cost import Cost, Meter
from .dynamics import State
from .engine import Engine, Frame
from .lists import Plan, first_plan, may_have_missed, wider
from .longer import began_with, go_on_from_shorter
from .memory import Bias
from .record import Record
from .system import Molecule, check
from .table import table

CHECKPOINT_S = 30.0
"""Seconds between states on disk."""


def run(
    potential: Potential,
    params,
    molecule: Molecule,
    starts: Array,
    config: MDConfig,
    folder: Run,
    *,
    bias: Bias | None = None,
    among: Path | None = None,
    progress: bool = True,
) -> tuple[Ensemble, dict]:
    """Simulate config.replicas replicas from `starts` (C, N, 3) nm; the ensemble and its small table.

    A replica fails when it is not finite, when the potential says that it has no energy for a frame, and by the study's
    criteria: a molecule's when a bond is further than config.bond_tolerance_nm from its reference length, a liquid's
    when its thermal energy 2 K / 3N reaches config.thermal_limit_kJ_mol. It runs on, but its frames from then on do not
    count. Positions of a liquid are not wrapped, so that its molecules stay whole. A frame in which neighbours may have
    been missed is computed again with longer lists, and the table counts it in frames_redone; where even the longest
    list was left behind, the replica has the status NEIGHBOURS_FULL.

    Every CHECKPOINT_S seconds the state goes to disk: a killed run goes on from there and is the same as an unbroken
    one. A finished run is read back. With `among`, a folder of run folders, a new run begins with what a finished one
    that differs in its length alone has computed, and the table says so. A bias is part of the energies that are recorded.
    Raises SimulationError for starts that do not fit the configuration or are not finite, for a liquid's potential
    without a box, and for a folder whose bias grew on another model.
    """
    starts = jnp.asarray(starts)
    check(potential, starts, molecule, config)
    if among is not None and bias is None and (shorter := go_on_from_shorter(folder, among)):
        tqdm.write(f"{folder.folder}: the first frames are those of {shorter.folder}")
    identity = bias and f"{bias.identity} on model {model_id(params)}"
    record = Record(folder, starts.shape[1], config, bias, identity)
    engine = Engine(potential, params, molecule, config, starts.dtype, bias)
    if saved := record.load():
        state, plan, done, cost = saved
        state = engine.spread(state)
        words = "done" if done == config.n_frames else f"going on after {done} of {config.n_frames} frames"
        tqdm.write(f"{folder.folder}: {words}")
    else:
        cutoff = potential.listed.cutoff_nm if potential.listed else None
        plan, done, cost = first_plan(cutoff, np.asarray(starts), molecule.mass, molecule.box, config), 0, Cost()
        state = engine.begin(plan, starts)
    alive = ~record.status[:, :done].any(1)
    meter, saved_at = Meter(engine, cost), time.perf_counter()
    with tqdm(total=config.n_frames, initial=done, unit="frame", desc="simulate", disable=not progress) as bar:
        for frame, status, next_plan, redone in trajectory(engine, plan, state, done, alive):
            record.write(done, frame, status)
            done, cost, plan = done + 1, meter.frame(redone), next_plan
            if done == config.n_frames or time.perf_counter() - saved_at > CHECKPOINT_S:
                record.save(frame.state, plan, done, cost)
                saved_at = time.perf_counter()
            rate = ns_per_day(config.frame_ps * config.replicas, cost.frame_s)
            dead = int(record.status[:, done - 1].astype(bool).sum())
            bar.set_postfix({"ns/day in all": f"{rate:.0f}", "dead": dead}, refresh=False)
            bar.update()
    ensemble = record.ensemble(molecule.names)
    numbers = {"devices": engine.n_devices} | plan.numbers() | began_with(folder)
    return ensemble, table(ensemble, config, cost) | numbers


def model_id(params) -> str:
    """12 hex digits of a model's parameters."""
    return data_hash(*map(np.asarray, jax.tree.leaves(params)))


def trajectory(
    engine: Engine, plan: Plan, state: State, first: int, alive: np.ndarray
) -> Iterator[tuple[Frame, np.ndarray, Plan, int]]:
    """Frames from number `first` on: each with its status (C,), the plan to go on with, and how often it was redone.

    alive: (C,) the replicas whose frames still count; the others may miss what neighbours they will. A wider plan stays
    if a replica that asked for it survives the frame: one that collapses has more neighbours than lists should hold.
    """
    config, ahead = engine.config, None
    for number in range(first, config.n_frames):
        frame, usual, redone, asked = ahead or engine.frame(plan, state, number), plan, 0, np.zeros_like(alive)
        while True:
            # The device goes on with the next frame while this one is judged and written.
            ahead = engine.frame(plan, frame.state, number + 1) if number + 1 < config.n_frames else None
            need, status = jax.tree.map(np.asarray, (frame.need, frame.status))
            missed = alive & may_have_missed(plan, need, status)
            asked |= missed
            wide = wider(plan, need, missed, engine.n_beads, config)
            if wide == plan:
                break
            plan, redone = wide, redone + 1
            frame = engine.frame(plan, state, number)
        status = np.where(missed, status | Status.NEIGHBOURS_FULL, status)
        alive = alive & (status == 0)
        if plan != usual and not (alive & asked).any():
            plan, ahead = usual, None
        state = frame.state
        yield frame, status, plan, redone
