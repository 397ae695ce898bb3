"""What a reader sees who leaves the live page running: one molecule in engine.wasm, its crossings and its surface.

    python benchmarks/web_watch.py core core_beta --steps 3600000     # ten minutes at 6000 steps/s

Adds rows to book/results/engine.
"""

import argparse
from pathlib import Path

import numpy as np
from web_engine import Module

from cgbook.results import BOOK, add, load, made_here
from cgcore import geometry
from cgcore.analysis.surface import jensen_shannon, reflected
from cgcore.export.load import Source
from cgcore.export.load import load as loaded
from cgcore.export.source import find
from cgcore.export.web import weights
from cgcore.steps import WALK_FRICTION_PER_PS
from cgcore.units import PS_PER_NS

CHAPTER = BOOK / "results" / "amino_acids"
EVERY = 20
"""Steps between frames."""
BINS = 12
PART = 1 / 3
"""A stereocentre has crossed when its volume has this part of its size at the start on the other side, as the page counts."""


def frames(of: Source, steps: int) -> np.ndarray:
    """Positions (T, N, 3) nm of one molecule that begins as L, a frame every EVERY steps."""
    engine = Module(weights.words(of.potential, of.params, of.molecule.mass, of.start, of.molecule.box))
    engine.start(of.start[0], seed=1, kelvin=300.0, dt_ps=of.config.md.dt_ps, friction=WALK_FRICTION_PER_PS)
    out = np.empty((steps // EVERY, engine.n, 3), np.float32)
    for frame in out:
        engine.call("steps", EVERY)
        frame[:] = engine.array("positions")
    return out


def angles(of: Source, position: np.ndarray) -> np.ndarray:
    """phi and psi (T, 2) rad."""
    pair = np.array([of.dihedrals["phi"], of.dihedrals["psi"]])
    return np.asarray(geometry.dihedrals(position, pair, np.full(3, np.inf)))


def shares(of: np.ndarray) -> np.ndarray:
    """The distribution over phi and psi (BINS, BINS) of angles (T, 2)."""
    counts = np.histogram2d(*of.T, bins=BINS, range=[[-np.pi, np.pi]] * 2)[0]
    return counts / counts.sum()


def published(label: str) -> np.ndarray:
    """The same of a row of the book."""
    P = np.asarray(load(CHAPTER).curves(label)["P"], float)
    return P.reshape(BINS, len(P) // BINS, BINS, -1).sum((1, 3)) / P.sum()


def crossings(volume: np.ndarray) -> int:
    """How often a volume (T,) goes from PART of its size at the start to as much of the other sign, or back."""
    scaled = volume / volume[0]
    sides = np.sign(scaled[np.abs(scaled) > PART])
    return int((np.diff(sides) != 0).sum())


def watched(label: str, steps: int) -> dict:
    """How often the stereocentre crossed, where it is a bead; the share at phi > 0; how far the surface is from the row's.

    js_halves: of both halves of the run, which are four times as far apart as the whole is from what it samples.
    """
    of = loaded(find(load(CHAPTER).model(label)))
    position = frames(of, steps)
    turned = angles(of, position)
    halves = [shares(half) for half in np.array_split(turned, 2)]
    table = {
        "steps": steps,
        "ns": steps * of.config.md.dt_ps / PS_PER_NS,
        "phi_positive": float((turned[:, 0] > 0).mean()),
    }
    if "CB" in of.molecule.names:
        _, n, ca, c = (position[:, bead] for bead in of.dihedrals["phi"])
        cb = position[:, of.molecule.names.index("CB")]
        table["crossings"] = crossings(np.einsum("ti,ti->t", np.cross(n - ca, c - ca), cb - ca))
    whole = shares(turned)
    return table | {
        "js_published": jensen_shannon(whole, published(label)),
        "js_halves": jensen_shannon(*halves),
        "js_mirror": jensen_shannon(whole, reflected(whole)),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", nargs="+", help="of networks of the chapter on amino acids")
    parser.add_argument("--steps", type=int, default=3_600_000)
    parser.add_argument("--folder", type=Path, default=BOOK / "results" / "engine")
    given = parser.parse_args()
    for label in given.labels:
        table = watched(label, given.steps)
        words = f"one molecule for {table['ns']:.3g} ns"
        add(
            given.folder,
            "watch",
            {"case": label},
            table,
            manifest=made_here(run=load(CHAPTER).run(label)),
            sampling=words,
        )
        print(label, table, flush=True)
