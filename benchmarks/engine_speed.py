"""A step of the simulation: a textbook MACE in JAX-MD's loop (P0) beside the engine with every form of the same network."""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import textbook_mace
from engine_systems import System
from turns import interleaved, timed, told, told_ratio

from cgcore.config import MDConfig
from cgcore.neighbors import row_index
from cgcore.potentials import mace, nequip
from cgcore.potentials.base import Potential
from cgcore.potentials.compiled import for_simulation
from cgcore.simulate.engine import Engine
from cgcore.simulate.lists import first_parameters
from cgcore.units import ns_per_day

VARIANTS: dict[str, Callable] = {
    "P2": lambda s: (textbook_mace.potential(s.model), s.params),
    "plain": lambda s: ((mace if isinstance(s.model, mace.Model) else nequip).build(s.model), s.params),
    "ours": lambda s: fastest(s),
}
"""system -> potential and parameters, each run by cgcore's loop; P0 is the textbook in JAX-MD's loop. "ours" is what a
simulation takes: a MACE packed for the machine; "plain" the network as it is trained."""

SLOW, FEWER = ("P0", "P2"), 5
"""With the textbook's network a call makes so many times fewer steps."""

TOLERANCE = 1e-5


def fastest(s: System) -> tuple[Potential, object]:
    """The network in the form that simulations take, and its parameters."""
    potential, params = VARIANTS["plain"](s)
    return for_simulation(potential, params, s.starts(4), s.molecule.box)[:2]


class Ours:
    """A potential in cgcore's loop."""

    def __init__(self, potential: Potential, params, s: System, config: MDConfig):
        starts = jnp.asarray(s.starts(config.replicas))
        self.engine = Engine(potential, params, s.molecule, config, starts.dtype)
        cutoff = potential.listed.cutoff_nm if potential.listed else None
        self.lists = first_parameters(
            cutoff, np.asarray(starts), s.molecule.mass, s.molecule.box, config, at_once=self.engine.at_once
        )
        self.state, self.number = self.engine.begin(self.lists, starts), 0
        self.compile_s = self.engine.compile_s

    def run(self):
        """One frame, its positions brought to the host."""
        frame = self.engine.frame(self.lists, self.state, self.number)
        self.state, self.number = frame.state, self.number + 1
        return np.asarray(frame.state.position)


class Textbook:
    """P0."""

    def __init__(self, s: System, config: MDConfig):
        start = time.perf_counter()
        self.loop = textbook_mace.Loop(
            s.model, s.params, s.molecule.box, s.molecule.mass, jnp.asarray(s.starts(config.replicas)), config
        )
        self.state = self.loop.begin()
        self.chunk = self.loop.chunk.lower(self.state).compile()
        self.compile_s = time.perf_counter() - start

    def run(self):
        self.state, _ = self.chunk(self.state)
        return np.asarray(self.state.position)


def agreement(s: System, frames: int = 4) -> dict[str, float]:
    """Largest relative difference of energy, and RMS difference of forces over their RMS, of each variant from `plain`.

    Raises SystemExit where one is beyond the tolerance, or a frame has more neighbours than the model has room for.
    """
    box = jnp.asarray(s.molecule.box, jnp.float32)
    x = jnp.asarray(s.starts(frames))
    index = None
    if s.liquid:
        index, full = jax.vmap(lambda x: row_index(x, box, s.model.config.cutoff_nm, s.model.capacity))(x)
        if full.any():
            raise SystemExit(f"{s.label}: more neighbours than the model's {s.model.capacity} slots; other frames?")

    def evaluate(make):
        potential, params = make(s)
        if potential.listed:
            one = jax.value_and_grad(lambda x, i: potential.listed.energy(params, x, box, i))
            return jax.jit(lambda x, i: jax.lax.map(lambda a: one(*a), (x, i)))(x, index)
        return jax.jit(jax.vmap(jax.value_and_grad(lambda x: potential.energy(params, x, box))))(x)

    found = {name: evaluate(make) for name, make in VARIANTS.items()}
    apart = {}
    for name, of_variant in found.items():
        pair = (dict(zip(("energy", "force"), values, strict=True)) for values in (of_variant, found["plain"]))
        apart |= dict(zip((f"{name}_energy", f"{name}_force"), differences(*pair), strict=True))
    refuse(s.label, apart, TOLERANCE)
    return apart


def differences(found, wanted) -> tuple[float, float]:
    """Largest relative difference of "energy" (T,), and RMS difference of "force" (T, N, 3) over its RMS."""
    energy = np.max(np.abs(np.asarray(found["energy"]) / wanted["energy"] - 1.0))
    force = np.linalg.norm(np.asarray(found["force"]) - wanted["force"]) / np.linalg.norm(wanted["force"])
    return float(energy), float(force)


def refuse(label: str, apart: dict[str, float], tolerance: float):
    """Raise SystemExit where a difference is beyond the tolerance: what computes something else is not timed."""
    if not max(apart.values()) <= tolerance:
        raise SystemExit(f"{label}: they differ by {max(apart.values()):.1e}, want {tolerance:.0e} at most: {apart}")


def speed(s: System, replicas: int, steps: int, repeats: int) -> dict:
    """ms per step, ns/day of one simulation and in all, and ratios to P0, of P0 and every variant; steps: in one call."""
    textbook = isinstance(s.model, mace.Model)
    apart = agreement(s) if textbook else {}
    variants = VARIANTS if textbook else {"ours": VARIANTS["plain"]}
    of_call = {name: max(1, steps // FEWER) if name in SLOW else steps for name in ("P0", *variants)}
    config = {n: MDConfig(replicas=replicas, steps_per_frame=of_call[n], n_frames=1) for n in of_call}
    runners = {"P0": Textbook(s, config["P0"])} if textbook else {}
    runners |= {name: Ours(*make(s), s, config[name]) for name, make in variants.items()}
    taken = interleaved({name: timed(runner.run) for name, runner in runners.items()}, repeats)
    seconds = {name: t / of_call[name] for name, t in taken.items()}
    out = {"beads": len(s.beads.beads), "replicas": replicas, "steps": steps, "trained": s.trained}
    for name, t in seconds.items():
        rate = ns_per_day(config[name].dt_ps, float(np.median(t)))
        out |= told(name, t) | {f"{name}_ns_day": rate, f"{name}_ns_day_aggregate": replicas * rate}
        out[f"{name}_compile_s"] = runners[name].compile_s
        if textbook:
            out |= told_ratio(f"{name}_ratio", seconds["P0"] / t)
    return out | runners["ours"].lists.numbers() | apart
