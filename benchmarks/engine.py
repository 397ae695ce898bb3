"""How fast the simulation engine is, beside a textbook MACE in JAX-MD's loop and the strongest peers, for the chapter on speed.

    python benchmarks/engine.py all                     # EVERYTHING below: the next three for two systems
    python benchmarks/engine.py peers three_site        # Symmetrix-XL and mace-torch, in an environment that uv makes
    python benchmarks/engine.py speed three_site four_site two_site heavy_atom
    python benchmarks/engine.py training three_site heavy_atom
    python benchmarks/engine.py beads
    python benchmarks/engine.py replicas
    python benchmarks/engine.py price                   # what each remedy costs, for the chapter on remedies
    python benchmarks/engine.py gpu                     # accuracy, what is compiled for cards, and times where there is one
    python benchmarks/engine.py draw

Networks have the published parameters. What contestants compute is compared before anything is timed. They take turns; five
repeats, of which the median and the range are told. Adds rows to book/results/engine; only an idle machine's are worth it.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from engine_peers import peers
from engine_price import REMEDIES, price
from engine_speed import VARIANTS, Ours, speed
from engine_systems import PUBLISHED, System, system, tiled
from engine_training import training
from turns import interleaved, timed, told

from cgbook.collect import draw
from cgbook.results import add, load, made_here
from cgcore.config import MDConfig
from cgcore.potentials.mace.native.arrays import Weights

EVERYTHING = {
    "peers": ("three_site",),
    "speed": ("three_site", "heavy_atom"),
    "training": ("three_site", "heavy_atom"),
}
"""What `all` measures, of which systems: ten minutes on two idle cores."""


def cost(small: System, tiles: int, replicas: int, steps: int) -> dict:
    """ms per step and the largest memory that this process has had, GB, of ours; a process for each is the caller's."""
    config = MDConfig(replicas=replicas, steps_per_frame=steps, n_frames=1)
    potential, params = VARIANTS["ours"](small)
    s = tiled(small, tiles) if small.liquid else small
    if isinstance(params, Weights):  # packed of the small box: all boxes have the same beads
        params = params._replace(species=jnp.asarray(s.model.species, jnp.int32))
    runner = Ours(potential, params, s, config)
    seconds = interleaved({"ours": timed(runner.run)}, 1)["ours"]
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


def tables(what: str, s: System, given: argparse.Namespace) -> dict[str, dict]:
    """The rows of one kind for one system, by what their names end with."""
    if what == "speed":
        return {"": speed(s, given.replicas or (1 if s.liquid else 100), given.steps, given.repeats)}
    if what == "training":
        return {"": training(s, given.repeats, given.batch)}
    return {f"_{row}": table for row, table in peers(s, given.repeats).items()}


def gpu(given: argparse.Namespace):
    """Rows of the kernels for graphics cards: what they compute, what is compiled, and on a card how fast they are."""
    import engine_gpu  # Warp is an extra

    systems = {name: system(name) for name in given.systems or PUBLISHED}
    for name, s in systems.items():
        write(given.folder, "card", name, engine_gpu.agreement(s))
    for name, table in engine_gpu.compiled().items():
        write(given.folder, "kernels", name, table)
    if jax.default_backend() == "cpu":
        print("no card here: no times")
        return
    for name, s in systems.items():
        for replicas in (1,) if s.liquid else (1, 1000):
            end = f"_{jax.default_backend()}" + (f"_{replicas}" if replicas > 1 else "")
            write(given.folder, "speed", name + end, speed(s, replicas, 250, given.repeats))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("all", *EVERYTHING, "beads", "replicas", "price", "one", "gpu", "draw"))
    parser.add_argument("systems", nargs="*", help=f"of {', '.join(PUBLISHED)}")
    parser.add_argument("--network", choices=("mace", "nequip"), default="mace")
    parser.add_argument("--replicas", type=int, help="1 of a liquid, 100 of a molecule by default")
    parser.add_argument("--steps", type=int, default=50, help="in one call")
    parser.add_argument("--batch", type=int, help="frames of an update; as in the published training by default")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tiles", type=int, default=1, help="of the hexane box, along each axis; for `one`")
    parser.add_argument("--most", type=int, help="beads or replicas at most")
    parser.add_argument("--folder", type=Path, default=Path("book/results/engine"))
    given = parser.parse_args()
    suffix = "" if given.network == "mace" else f"_{given.network}"
    chosen = EVERYTHING if given.what == "all" else {given.what: given.systems}
    if given.what == "draw":
        draw(load(given.folder))
    elif given.what == "gpu":
        gpu(given)
    elif given.what == "price":
        for name in given.systems or REMEDIES:
            write(given.folder, "price", name, price(name, given.repeats, given.steps))
    elif given.what == "one":
        s = system(given.systems[0], network=given.network)
        print(json.dumps(cost(s, given.tiles, given.replicas or 1, given.steps)))
    elif given.what in ("beads", "replicas"):
        beads = given.what == "beads"
        for n in [1, 2, 3, 5, 7] if beads else [1, 10, 100, 1000]:
            if (300 * n**3 if beads else n) > (given.most or 10**6):
                break
            words = ["three_site", "--tiles", str(n)] if beads else ["heavy_atom", "--replicas", str(n)]
            table = in_a_process("one", *words, "--steps", str(given.steps))
            write(given.folder, given.what, f"{n:04}", table)
    else:
        for what, names in chosen.items():
            for name in names:
                for end, table in tables(what, system(name, network=given.network), given).items():
                    write(given.folder, what, f"{name}{suffix}{end}", table)


if __name__ == "__main__":
    main()
