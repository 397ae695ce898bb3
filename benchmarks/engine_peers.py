"""The engine beside the strongest peers with the same trained weights, on one core and on all.

Each contestant is a program of its own (`turns.Program`), with so many cores and no more; `peer_calculators` has the
peers'. They are held against the network in double precision before anything is timed. Timed is one call for energy and
forces with what neighbours it looks for: ours makes its list anew, as mace-torch does; Symmetrix-XL keeps one with a skin of
0.5 Å. Frames follow each other as steps of a simulation do. Of ours the whole step of a simulation is timed as well.
"""

import itertools
import os
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import jax.numpy as jnp
import numpy as np
from engine_speed import Ours, differences, fastest, refuse
from engine_systems import System, system
from textbook_mace import weight_name
from turns import Program, interleaved, serve, told, told_ratio

from cgcore.config import MDConfig
from cgcore.potentials import mace
from cgcore.potentials.base import Potential
from cgcore.potentials.mace.network import shapes
from cgcore.units import kT, ns_per_day

TOLERANCE = 1e-4
APART, FOLLOWING = 4, 16
"""Frames far from each other on which energies and forces are compared, and steps that are timed."""

FRAME = MDConfig(replicas=1, steps_per_frame=50, n_frames=1)
"""What one call for steps of ours does."""

ELSEWHERE = ["uv", "run", "--quiet", "--script", str(Path(__file__).with_name("peer_calculators.py"))]
PROGRAMS = {"ours": [sys.executable, __file__], "symmetrix": ELSEWHERE, "mace_torch": ELSEWHERE}
ROWS = {
    "step": ("ours", "step"),
    "ours": ("ours", "force"),
    "ours_nu3": ("ours", "force_nu3"),
    "symmetrix": ("symmetrix", "force"),
    "mace_torch": ("mace_torch", "force"),
}
"""Row of the table -> program, and the call of it that is timed; energies and forces are in PROGRAM_CALL.npz."""


def peers(s: System, repeats: int) -> dict[str, dict]:
    """A table for each of ROWS: on one core and on all ms, ns/day, and the time in units of ours; differences.

    Raises SystemExit where energies or forces differ from the network's in double precision by more than TOLERANCE.
    """
    cores = {"one_core": 1, "all_cores": len(os.sched_getaffinity(0))}
    programs, apart, ready_s = {}, {}, {}
    with TemporaryDirectory() as scratch, ExitStack() as running:
        wanted = lay_out(s, Path(scratch))
        for name, command in PROGRAMS.items():
            for label, n in cores.items():
                programs[name, label] = program = running.enter_context(Program([*command, name, scratch], n))
                ready_s.setdefault(name, program.answer()["ready_s"])
                for row in (row for row, (program_of, _) in ROWS.items() if program_of == name):
                    found = np.load(Path(scratch) / f"{name}_{ROWS[row][1]}.npz")
                    apart[row] = dict(zip(("energy_apart", "force_apart"), differences(found, wanted), strict=True))
                    refuse(f"{s.label}, {row}", apart[row], TOLERANCE)
        turns = {
            (row, label): partial(programs[name, label].turn, call)
            for row, (name, call) in ROWS.items()
            for label in cores
        }
        seconds = interleaved(turns, repeats)
    tables = {}
    for row, (name, call) in ROWS.items():
        tables[row] = {"beads": len(s.beads.beads), "cores": cores["all_cores"], "ready_s": ready_s[name]} | apart[row]
        for label in cores:
            t = seconds[row, label] / (FRAME.steps_per_frame if call == "step" else 1)
            tables[row] |= told(label, t) | told_ratio(f"{label}_ratio", t / seconds["ours", label])
            tables[row][f"{label}_ns_day"] = ns_per_day(FRAME.dt_ps, float(np.median(t)))
    return tables


def lay_out(s: System, folder: Path) -> dict[str, np.ndarray]:
    """Write the weights for the peers and the frames for all; energies and forces of the network in double precision."""
    networks = {"nu2": (s.model, s.params), "nu3": of_third_order(s.model, s.params)}
    for name, network in networks.items():
        np.savez(folder / f"{name}.npz", **mace.to_mace_torch(*network, angstrom_ev=True))
    apart = s.starts(APART)
    mass = np.asarray(s.molecule.mass)[:, None]
    velocity = np.random.default_rng(0).normal(size=apart[0].shape) * np.sqrt(kT(FRAME.temperature_K) / mass)
    following = apart[0] + FRAME.dt_ps * np.arange(FOLLOWING)[:, None, None] * velocity
    numbers = 1 + np.asarray(s.model.species)
    box = np.asarray(s.molecule.box)
    np.savez(folder / "frames.npz", name=s.name, apart=apart, following=following, numbers=numbers, box=box)
    with jax.enable_x64(True):
        exact = jax.tree.map(lambda p: jnp.asarray(p, jnp.float64), s.params)
        energy, force = zip(*map(caller(mace.build(s.model), exact, box), apart.astype(float)), strict=True)
    return {"energy": np.array(energy), "force": np.array(force)}


def of_third_order(model: mace.Model, params: dict) -> tuple[mace.Model, dict]:
    """The same network with a third order of zero weights, which Symmetrix-XL's exporter asks for."""
    raised = replace(model, config=replace(model.config, correlation=3))
    wanted = shapes(raised)
    out = {name: params.get(name) for name in wanted}
    for layer in range(model.config.layers):
        for ell in model.out_ells(layer):
            for order in (1, 2, 3):
                name = weight_name(raised, layer, ell, order)
                given = order <= model.config.correlation
                out[name] = params[weight_name(model, layer, ell, order)] if given else np.zeros(wanted[name])
    return raised, out


def caller(potential: Potential, params, box: np.ndarray):
    """A function from (N, 3) nm to the energy, kJ/mol, and the forces (N, 3), kJ/mol/nm, on the host."""
    both = jax.jit(
        lambda params, x: jax.value_and_grad(potential.energy, argnums=1)(params, x, jnp.asarray(box, x.dtype))
    )

    def call(position: np.ndarray) -> tuple[float, np.ndarray]:
        energy, slope = both(params, position)
        return float(energy), -np.asarray(slope)

    return call


def main(folder: Path):
    """The program of ours."""
    started = time.perf_counter()
    frames = np.load(folder / "frames.npz")
    s = system(str(frames["name"]))
    potential, weights = fastest(s)
    calls = {"force": caller(potential, weights, frames["box"])}
    calls["force"](frames["apart"][0])
    ready_s = time.perf_counter() - started
    model, params = of_third_order(s.model, s.params)
    calls["force_nu3"] = caller(*fastest(replace(s, model=model, params=params)), frames["box"])
    following = itertools.cycle(frames["following"].astype(np.float32))
    timed = {"step": Ours(potential, weights, s, FRAME).run}
    for name, call in ({"step": calls["force"]} | calls).items():
        energy, force = zip(*map(call, frames["apart"]), strict=True)
        np.savez(folder / f"ours_{name}.npz", energy=energy, force=force)
        timed.setdefault(name, lambda call=call: call(next(following)))
    serve({"ready_s": ready_s}, timed)


if __name__ == "__main__":
    main(Path(sys.argv[2]))
