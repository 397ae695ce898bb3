"""The physics report: whether published networks sample the ensemble that they are simulated in, and keep its symmetries.

`cgcore physics` takes networks of the chapters with their priors, in the form that simulates them, and writes a row each
to the chapter "physics". In the BAOAB splitting positions are right to a higher order in the time step than velocities,
so kinetic energies are judged at a quarter of the published step, and energies of positions at the published one.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cgbook import physics_checks as checks
from cgbook.results import Chapter, add, load, made_here
from cgcore import data, steps
from cgcore.config import MDConfig
from cgcore.errors import CgcoreError
from cgcore.potentials import saved
from cgcore.potentials.base import Potential
from cgcore.potentials.compiled import for_simulation
from cgcore.reference import sets
from cgcore.simulate import Molecule
from cgcore.simulate.driver import trajectory
from cgcore.simulate.engine import Engine
from cgcore.simulate.lists import first_parameters
from cgcore.units import FS_PER_PS

CHAPTERS = "hexane", "amino_acids", "polyalanine"
COLD_K = 300.0
PARTS = 1.0, 0.5, 0.25
"""Of the published time step, at constant energy; the last is that of the kinetic checks."""
ENERGY_PS, VELOCITY_PS = 0.25, 0.05
"""Between frames: of energies, and of velocities, five times their memory under the published friction."""


class Plan(NamedTuple):
    """replicas; K of the hotter of two temperatures, and ps to settle and to sample at each, 0 for not at all; frames for
    the kinetic checks, and at constant energy."""

    replicas: int
    hot_K: float
    settle_ps: float
    length_ps: float
    kinetic: int
    constant: int


PLANS = {
    "molecule": Plan(16, 400.0, 3.0, 6.0, 80, 60),
    "chain": Plan(4, 350.0, 3.0, 4.0, 20, 60),
    "liquid": Plan(2, 330.0, 1.5, 2.5, 15, 40),
    "liquid, not packed": Plan(1, 330.0, 0.0, 0.0, 10, 15),
}


class Network(NamedTuple):
    """A published network with its priors. start: held-out frames (C, N, 3) nm; dt_ps: the step of its published run."""

    model: object
    potential: Potential
    params: object
    molecule: Molecule
    start: np.ndarray
    dt_ps: float
    plan: Plan


def make(results: Path, wanted: list[str], say: Callable = print):
    """Examine the published networks, or those of the wanted labels, and write a row for each to results/physics."""
    chapters = [load(results / name) for name in CHAPTERS]
    kept = {label: c for c in chapters for label in c.labels if c.labels[label].get("protocol") == "nvt"}
    kept = {label: c for label, c in kept.items() if c.model(label).is_file()}
    if strange := sorted(set(wanted) - set(kept)):
        raise CgcoreError(f"want labels of published networks, {', '.join(kept)}; got {', '.join(strange)}")
    for label in wanted or kept:
        network, frames = read(kept[label], label)
        table, words = examine(network)
        table["published_K"] = kept[label].value(label, "temperature_K")
        manifest = made_here(model=kept[label].run(label), frames=frames)
        case = {"chapter": kept[label].name, "case": label}
        add(results / "physics", "physics", case, table, manifest=manifest, sampling=words)
        say(f"{label}\n  " + "\n  ".join(f"{key} {value}" for key, value in table.items()))


def read(chapter: Chapter, label: str, plan: Plan | None = None) -> tuple[Network, str]:
    """A published network and the reference of its start and priors: its own, or the system's if that is not bundled."""
    about = chapter.runs[chapter.run(label)]["config"]
    given = {name: about[f"data.{name}"] for name in ("map", "residue", "typing", "force_map", "mirror", "reference")}
    if given["reference"] not in {entry.name for entry in sets.available()}:
        del given["reference"]
    prior, potential = "+".join(about["prior"]) or "none", about["potential.potential"]
    config = steps.configure(chapter.name, profile="laptop", potential=potential, prior=prior, **given)
    reference = steps.load(config)
    model, trained, params = saved.read(chapter.model(label))
    potential, params, _ = steps.with_priors(config, reference, trained, params)
    beads, fast = steps.molecule(reference), config.kind == "mace"
    size = "molecule" if len(beads.mass) < 30 else "liquid" if beads.liquid else "chain"
    plan = plan or PLANS[size if fast or not beads.liquid else "liquid, not packed"]
    start = data.initial_positions(reference.split.valid, plan.replicas, seed=0).astype(np.float32)
    return Network(model, potential, params, beads, start, about["md.dt_ps"], plan), config.data.reference


def examine(network: Network) -> tuple[dict, str]:
    """All checks of a network as a table, and in words what they rest on."""
    model, potential, params, of, start, dt_ps, plan = network
    fast, weights, engines = for_simulation(potential, params, start, of.box)
    packed = sum(engine["engine"] != "as trained" for engine in engines)
    with jax.enable_x64(True):
        double = checks.on_frames(potential, jax.tree.map(np.float64, params), of.box)
        single = checks.on_frames(fast, weights, of.box.astype(np.float32))
        told = of.bonds if getattr(model, "bonds", ()) else None
        table = checks.symmetries(double, single, start[:2], model.species, told, of.liquid)
    run, whole = partial(sample, of, fast, weights), []
    if plan.length_ps:
        both, settled, n = (COLD_K, plan.hot_K), *(round(t / ENERGY_PS) for t in (plan.settle_ps, plan.length_ps))
        whole = [run(start, settled + n, ENERGY_PS, dt_ps, temperature_K=kelvin) for kelvin in both]
        table |= checks.configurational([energy[:, settled:] for *_, energy, _ in whole], both)
        start = whole[0][0][:, -1]
    position, velocity, *_ = slow = run(start, plan.kinetic, VELOCITY_PS, PARTS[-1] * dt_ps)
    later = (a[:, plan.kinetic // 5 :].reshape(-1, *a.shape[2:]) for a in (position, velocity))
    table |= checks.kinetic(*later, of.mass, of.bonds, COLD_K)
    steps_ps = [part * dt_ps for part in PARTS]
    constant = [run(position[:, -1], plan.constant, 2 * dt_ps, x, ensemble="nve") for x in steps_ps]
    table |= checks.energy_order([energy + kinetic for *_, energy, kinetic in constant], steps_ps)
    failed = plan.replicas - min(len(frames[0]) for frames in (*whole, slow))
    words = f"{plan.replicas} replicas, {plan.length_ps:g} ps at each of two temperatures"
    return table | {"step_fs": dt_ps * FS_PER_PS, "packed": packed, "failed": failed}, words


def sample(
    of: Molecule, potential: Potential, params, start: np.ndarray, n: int, every_ps: float, dt_ps: float, **more
):
    """n frames of the replicas that stay whole: position (C, T, N, 3) nm, velocity nm/ps, energy and kinetic energy kJ/mol.

    The folder of a run keeps no velocities, so the frames are taken as they come.
    """
    config = MDConfig(replicas=len(start), n_frames=n, steps_per_frame=round(every_ps / dt_ps), dt_ps=dt_ps, **more)
    start, whole, frames = jnp.asarray(start, jnp.float32), np.ones(len(start), bool), []
    engine = Engine(potential, params, of, config, start.dtype)
    cutoff_nm = potential.listed.cutoff_nm if potential.listed else None
    lists = first_parameters(cutoff_nm, np.asarray(start), of.mass, of.box, config)
    for frame, status, *_ in trajectory(engine, lists, engine.begin(lists, start), 0, whole.copy()):
        whole, state = whole & (status == 0), frame.state
        frames.append([np.asarray(a, float) for a in (state.position, state.momentum, state.energy, frame.kinetic)])
    if not whole.any():
        raise CgcoreError(f"none of {len(start)} replicas stayed whole for {n * every_ps:g} ps: nothing to judge")
    position, momentum, *energies = (np.stack(a, axis=1)[whole] for a in zip(*frames, strict=True))
    return position, momentum / of.mass[:, None], *energies
