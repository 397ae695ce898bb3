"""A simulation from its initial positions to its table: frame by frame, each checked before it counts."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from tqdm import tqdm

from ..config import MDConfig
from ..frames import Ensemble, Status
from ..potentials.base import Potential
from ..potentials.compiled import for_simulation
from ..store import Run, data_hash, open_run
from ..units import ns_per_day
from .bias import Bias
from .cost import Cost, Meter
from .dynamics import State
from .engine import Engine, Frame
from .lists import ListParameters, first_parameters, may_have_missed, reallocate
from .record import Record
from .system import Molecule, check
from .table import table

CHECKPOINT_S = 30.0
"""Seconds between states on disk."""


class Simulation(NamedTuple):
    """ensemble: frames of all replicas; table: its small numbers; run: its folder; recorded: what a bias keeps, (C, T, ...)."""

    ensemble: Ensemble
    table: dict
    run: Run
    recorded: dict[str, np.ndarray]


def run(
    potential: Potential,
    params,
    molecule: Molecule,
    initial_positions: Array,
    config: MDConfig,
    root: Path,
    *,
    bias: Bias | None = None,
    progress: bool = True,
) -> Simulation:
    """Simulate config.replicas replicas from `initial_positions` (C, N, 3) nm.

    The run is root/md/<id>, named by the potential and its parameters, the configuration, the molecule, the initial
    positions and the bias, whichever form of the potential computes it. The number of frames is not in the name: a run
    of which more frames are wanted goes on, one of which fewer are wanted is read back that far.

    A replica fails when it is not finite, when the potential says that it has no energy for a frame, and by the paper's
    criteria: a molecule's when a bond is further than config.bond_tolerance_nm from its reference length, a liquid's
    when its thermal energy 2 K / 3N reaches config.thermal_limit_kJ_mol. It runs on, but its frames from then on do not
    count. Positions of a liquid are not wrapped, so that its molecules stay whole. A frame in which neighbours may have
    been missed is computed again with longer lists, and the table counts it in frames_redone; where even the longest
    list was left behind, the replica has the status NEIGHBOURS_FULL.

    Every CHECKPOINT_S seconds the state goes to disk: a killed run goes on from there and is the same as an unbroken
    one. A bias is part of the energies that are recorded.

    Raises:
        SimulationError: initial positions that do not fit the configuration or are not finite, or a liquid's potential
            without a box. StoreError: a disk without room for the frames, or a folder that has lost some.
    """
    initial_positions = jnp.asarray(initial_positions)
    check(potential, initial_positions, molecule, config)
    folder = _open(potential, params, molecule, initial_positions, config, root, bias)
    with folder.held():
        record = Record(folder, initial_positions.shape[1], config, bias)
        saved = record.saved
        if folder.done and saved and saved.done >= config.n_frames:
            tqdm.write(f"{folder.folder}: done")
            ensemble, cost = record.ensemble(molecule.names), saved.cost.first(config.n_frames)
            # Of a run that was made longer since, the numbers of its first frames.
            numbers = folder.manifest["results"] | table(ensemble, config, cost)
        else:
            potential, params, engines = for_simulation(potential, params, initial_positions, molecule.box)
            for refused in (engine for engine in engines if "why" in engine):
                tqdm.write(f"the network runs as trained: {refused['why']}")
            engine = Engine(potential, params, molecule, config, initial_positions.dtype, bias)
            lists, cost = _frames(engine, record, saved, potential, initial_positions, molecule, config, progress)
            ensemble = record.ensemble(molecule.names)
            numbers = (
                table(ensemble, config, cost.first(config.n_frames)) | {"devices": engine.n_devices} | lists.numbers()
            )
            folder.finish(numbers, numbers["wall_s"], engines=engines)
    return Simulation(ensemble, numbers, folder, record.recorded_frames())


def _open(potential, params, molecule: Molecule, initial_positions: Array, config: MDConfig, root: Path, bias) -> Run:
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(params)]
    named = {key: value for key, value in asdict(config).items() if key != "n_frames"}
    fixed = (molecule.mass, molecule.bonds, molecule.bond_length, molecule.box)
    return open_run(
        root,
        "md",
        {"potential": potential.identity, "md": named, "bias": bias and bias.identity},
        data={
            "params": data_hash(*leaves),
            "initial_positions": data_hash(np.asarray(initial_positions)),
            "molecule": data_hash(*map(np.asarray, fixed)),
        },
        rooms=("geometry", "simulate", *potential.rooms, *(("metadynamics",) if bias else ())),
    )


def _frames(engine: Engine, record: Record, saved, potential, initial_positions, molecule, config, progress: bool):
    """All frames that are missing, on disk; the list parameters and the cost after the last."""
    if saved:
        state, lists, done, cost = engine.spread(saved.state), saved.lists, saved.done, saved.cost
        tqdm.write(f"{record.folder.folder}: going on after {done} of {config.n_frames} frames")
    else:
        cutoff, start = potential.listed.cutoff_nm if potential.listed else None, np.asarray(initial_positions)
        lists = first_parameters(cutoff, start, molecule.mass, molecule.box, config, at_once=engine.at_once)
        done, cost = 0, Cost()
        state = engine.begin(lists, initial_positions)
    alive = ~record.status[:, :done].any(1)
    meter, saved_at = Meter(engine, cost), time.perf_counter()
    with tqdm(total=config.n_frames, initial=done, unit="frame", desc="simulate", disable=not progress) as bar:
        for frame, status, next_lists, redone in trajectory(engine, lists, state, done, alive):
            record.write(done, frame, status)
            done, cost, lists = done + 1, meter.frame(redone), next_lists
            if done == config.n_frames or time.perf_counter() - saved_at > CHECKPOINT_S:
                record.save(frame.state, lists, done, cost)
                saved_at = time.perf_counter()
            rate = ns_per_day(config.frame_ps * config.replicas, cost.frame_s)
            dead = int(record.status[:, done - 1].astype(bool).sum())
            bar.set_postfix({"ns/day in all": f"{rate:.0f}", "dead": dead}, refresh=False)
            bar.update()
    return lists, cost


def trajectory(
    engine: Engine, lists: ListParameters, state: State, first: int, alive: np.ndarray
) -> Iterator[tuple[Frame, np.ndarray, ListParameters, int]]:
    """Frames from number `first` on: each with its status (C,), the lists to go on with, and how often it was redone.

    alive: (C,) the replicas whose frames still count; the others may miss what neighbours they will. More room stays
    if a replica that asked for it survives the frame: one that collapses has more neighbours than lists should hold.
    """
    config, ahead = engine.config, None
    for number in range(first, config.n_frames):
        frame, usual, redone, asked = ahead or engine.frame(lists, state, number), lists, 0, np.zeros_like(alive)
        while True:
            # The device goes on with the next frame while this one is judged and written.
            ahead = engine.frame(lists, frame.state, number + 1) if number + 1 < config.n_frames else None
            usage, status = jax.tree.map(np.asarray, (frame.usage, frame.status))
            missed = alive & may_have_missed(lists, usage, status)
            asked |= missed
            roomier = reallocate(lists, usage, missed, engine.n_beads, config)
            if roomier == lists:
                break
            lists, redone = roomier, redone + 1
            frame = engine.frame(lists, state, number)
        status = np.where(missed, status | Status.NEIGHBOURS_FULL, status)
        alive = alive & (status == 0)
        if lists != usual and not (alive & asked).any():
            lists, ahead = usual, None
        state = frame.state
        yield frame, status, lists, redone
