"""How fast the simulation engine is, beside a textbook MACE in JAX-MD's loop, for the chapter on speed.

    python benchmarks/engine.py speed three_site four_site two_site heavy_atom --trained PARAMETERS
    python benchmarks/engine.py training three_site heavy_atom
    python benchmarks/engine.py beads
    python benchmarks/engine.py replicas
    python benchmarks/engine.py draw

Energies and forces of all variants are compared before anything is timed. Variants take turns; five repeats, of which
the median and the range are told. Adds rows to book/results/engine.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import textbook_mace
from engine_systems import System, system, tiled

from cgbook.collect import draw
from cgbook.results import add, load, made_here
from cgcore import trainer
from cgcore.config import MDConfig
from cgcore.neighbors import row_index
from cgcore.potentials import mace, nequip
from cgcore.potentials.base import Potential, force
from cgcore.potentials.compiled import for_simulation
from cgcore.potentials.mace.native.weights import Weights
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

TOLERANCE = 1e-5
REPEATS = 5


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
        self.lists = first_parameters(cutoff, np.asarray(starts), s.molecule.mass, s.molecule.box, config)
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
    """Largest relative difference of energy, and RMS difference of forces over their RMS, of each variant from `ours`.

    Raises SystemExit where one is beyond the tolerance.
    """
    box = jnp.asarray(s.molecule.box, jnp.float32)
    x = jnp.asarray(s.starts(frames))
    index = None
    if s.liquid:
        index = jax.vmap(lambda x: row_index(x, box, s.model.config.cutoff_nm, s.model.capacity)[0])(x)

    def evaluate(make):
        potential, params = make(s)
        if potential.listed:
            one = jax.value_and_grad(lambda x, i: potential.listed.energy(params, x, box, i))
            return jax.jit(lambda x, i: jax.lax.map(lambda a: one(*a), (x, i)))(x, index)
        return jax.jit(jax.vmap(jax.value_and_grad(lambda x: potential.energy(params, x, box))))(x)

    found = {name: evaluate(make) for name, make in VARIANTS.items()}
    energy, slope = found["plain"]
    apart = {}
    for name, (e, g) in found.items():
        apart[f"{name}_energy"] = float(jnp.max(jnp.abs(e - energy) / jnp.abs(energy)))
        apart[f"{name}_force"] = float(jnp.sqrt(jnp.mean((g - slope) ** 2) / jnp.mean(slope**2)))
    if (worst := max(apart.values())) > TOLERANCE:
        raise SystemExit(f"{s.label}: variants differ by {worst:.1e}, want {TOLERANCE}: {apart}")
    return apart


def interleaved(runners: dict[str, Callable], repeats: int = REPEATS) -> dict[str, np.ndarray]:
    """Seconds of each runner's calls, which take turns; the first of each is not counted."""
    seconds = {name: [] for name in runners}
    for repeat in range(repeats + 1):
        for name, run in runners.items():
            start = time.perf_counter()
            run()
            if repeat:
                seconds[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in seconds.items()}


def told(name: str, seconds: np.ndarray, per: float = 1.0) -> dict[str, float]:
    """Median and range in milliseconds for each of `per`."""
    ms = 1e3 * seconds / per
    return {f"{name}_ms": float(np.median(ms)), f"{name}_ms_low": float(ms.min()), f"{name}_ms_high": float(ms.max())}


def speed(s: System, replicas: int, steps: int, repeats: int) -> dict:
    """ms per step, ns/day of one simulation and in all, and ratios to P0, of P0 and every variant."""
    config = MDConfig(replicas=replicas, steps_per_frame=steps, n_frames=1)
    textbook = isinstance(s.model, mace.Model)
    apart = agreement(s) if textbook else {}
    variants = VARIANTS if textbook else {"ours": VARIANTS["plain"]}
    runners = {"P0": Textbook(s, config)} if textbook else {}
    runners |= {name: Ours(*make(s), s, config) for name, make in variants.items()}
    seconds = interleaved({name: runner.run for name, runner in runners.items()}, repeats)
    out = {"beads": len(s.beads.beads), "replicas": replicas, "steps": steps, "trained": s.trained}
    for name, t in seconds.items():
        rate = ns_per_day(steps * config.dt_ps, float(np.median(t)))
        out |= told(name, t, steps)
        out |= {f"{name}_ns_day": rate, f"{name}_ns_day_aggregate": replicas * rate}
        out[f"{name}_compile_s"] = runners[name].compile_s
        if textbook:
            ratio = seconds["P0"] / t
            out |= {f"{name}_ratio": float(np.median(ratio)), f"{name}_ratio_low": float(ratio.min())}
            out[f"{name}_ratio_high"] = float(ratio.max())
    return out | runners["ours"].lists.numbers() | apart


def training(s: System, batch: int, repeats: int) -> dict:
    """ms per gradient of the force-matching loss over a batch, ours and P0's energy."""
    chosen = np.linspace(0, s.frames.n_frames - 1, batch).astype(int)
    x, wanted = jnp.asarray(s.starts(s.frames.n_frames)[chosen]), jnp.asarray(s.frames.force)[chosen]
    box = jnp.asarray(s.molecule.box, jnp.float32)
    runners, out = {}, {"beads": len(s.beads.beads), "frames": batch}
    for name, make in (("P0", VARIANTS["P2"]), ("ours", VARIANTS["plain"])):
        potential, params = make(s)
        if name == "P0" and potential.listed:
            potential = with_rows(potential, s)
        start = time.perf_counter()
        compiled = jax.jit(jax.grad(loss_of(potential, s.liquid, x, wanted, box))).lower(params).compile()
        out[f"{name}_compile_s"] = time.perf_counter() - start
        runners[name] = lambda compiled=compiled, params=params: jax.block_until_ready(compiled(params))
    seconds = interleaved(runners, repeats)
    for name, t in seconds.items():
        out |= told(name, t)
    return out | {"ours_ratio": float(np.median(seconds["P0"] / seconds["ours"]))}


def loss_of(potential: Potential, liquid: bool, x, wanted, box) -> Callable:
    """loss(params): mean square error of the forces on frames x (C, N, 3) nm; a liquid's come one after the other."""

    def one(params, x):
        return force(potential, params, x, box)

    forces = trainer.few_frames_at_once(one, 1) if liquid else one
    return lambda params: jnp.mean((jax.vmap(forces, (None, 0))(params, x) - wanted) ** 2)


def with_rows(potential: Potential, s: System) -> Potential:
    """The potential with rows of the model's own capacity."""

    def energy(params, x, box):
        index, _ = row_index(x, box, s.model.config.cutoff_nm, s.model.capacity)
        return potential.listed.energy(params, x, box, index)

    return potential._replace(energy=energy)


def cost(small: System, tiles: int, replicas: int, steps: int) -> dict:
    """ms per step and the largest memory that this process has had, GB, of ours; a process for each is the caller's."""
    config = MDConfig(replicas=replicas, steps_per_frame=steps, n_frames=1)
    potential, params = VARIANTS["ours"](small)
    s = tiled(small, tiles) if small.liquid else small
    if isinstance(params, Weights):  # packed of the small box: all boxes have the same beads
        params = params._replace(species=jnp.asarray(s.model.species, jnp.int32))
    runner = Ours(potential, params, s, config)
    seconds = interleaved({"ours": runner.run}, 1)["ours"]
    on_device = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    peak = on_device or 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    beads = len(s.beads.beads)
    return {
        "beads": beads,
        "replicas": replicas,
        **told("ours", seconds, steps),
        "us_per_bead": float(1e6 * np.median(seconds) / steps / beads / replicas),
        "memory_GB": peak / 1e9,
        "compile_s": runner.compile_s,
    } | runner.lists.numbers()


def in_a_process(*words: str) -> dict:
    """The result of this program with other words, from a process of its own."""
    command = [sys.executable, __file__, *words]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()[-1])


def write(folder: Path, kind: str, case: str, table: dict):
    """Add one row to the chapter."""
    sampling = f"{table['replicas']} replicas" if table.get("replicas", 1) > 1 else ""
    add(folder, kind, {"case": case}, table, manifest=made_here(), sampling=sampling)
    print(kind, case, json.dumps(table), sep="\n", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "training", "beads", "replicas", "one", "draw"))
    parser.add_argument("systems", nargs="*", default=[])
    parser.add_argument("--network", choices=("mace", "nequip"), default="mace")
    parser.add_argument("--nu", type=int, default=2)
    parser.add_argument("--layers", type=int)
    parser.add_argument("--trained", type=Path, help="folder with NAME_NETWORK.npz, parameters by store.save_tree")
    parser.add_argument("--replicas", type=int, help="1 of a liquid, 100 of a molecule by default")
    parser.add_argument("--steps", type=int, default=50, help="in one call")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--tiles", type=int, default=1, help="of the hexane box, along each axis; for `one`")
    parser.add_argument("--most", type=int, help="beads or replicas at most")
    parser.add_argument("--folder", type=Path, default=Path("book/results/engine"))
    given = parser.parse_args()
    network = dict(network=given.network, nu=given.nu, layers=given.layers, trained=given.trained)
    suffix = "" if given.network == "mace" else f"_{given.network}"
    if given.what in ("speed", "training"):
        for name in given.systems:
            s = system(name, **network)
            if given.what == "speed":
                table = speed(s, given.replicas or (1 if s.liquid else 100), given.steps, given.repeats)
            else:
                table = training(s, 32, given.repeats)
            write(given.folder, given.what, f"{name}{suffix}", table)
    elif given.what == "one":
        s = system(given.systems[0], **network)
        print(json.dumps(cost(s, given.tiles, given.replicas or 1, given.steps)))
    elif given.what == "draw":
        draw(load(given.folder))
    else:
        beads = given.what == "beads"
        trained = ["--trained", str(given.trained)] if given.trained else []
        sizes = [1, 2, 3, 5, 7] if beads else [1, 10, 100, 1000]
        for n in sizes:
            if (300 * n**3 if beads else n) > (given.most or 10**6):
                break
            chosen = ["three_site", "--tiles", str(n)] if beads else ["heavy_atom", "--replicas", str(n)]
            table = in_a_process("one", *chosen, *trained, "--steps", str(given.steps))
            write(given.folder, given.what, f"{n:04}", table)


if __name__ == "__main__":
    main()
