"""Linear ACE, fitted to the mapped forces of three-site liquid hexane, beside the splines and networks of the same frames.

    uv run --group ace python benchmarks/linear_ace.py 2

Adds a row of kind "linear_ace" to book/results/potentials for each correlation order named. ace-jax makes the basis and its
derivatives; a ridge regression on forces alone makes the fit. The last of ten contiguous blocks of the training frames chooses
the ridge, with which all ten are fitted; held-out frames are only looked at in the end. Beads have two types and no bonds, as
for MACE. Times are CPU times of this process, of one core where it is given no more (taskset -c 0).
"""

import argparse
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np
from ace_jax import ACECalculator
from ace_jax.basis.model import Basis, build_model
from ace_jax.eval import fold_readout
from ace_jax.fit.data import Config, build_dataset
from ace_jax.fit.inducing import GPConfig
from ace_jax.fit.rows import chunked_rows_fn
from ase import Atoms

from cgbook.results import add, load, made_here
from cgcore import steps
from cgcore.analysis import force_errors
from cgcore.analysis.blocks import row
from cgcore.data import frames_hash
from cgcore.frames import Frames
from cgcore.units import MEV_PER_ANGSTROM

ANGSTROM, EV = 0.1, 100 * MEV_PER_ANGSTROM
"""nm, kJ/mol"""
SPECIES, CUTOFF_NM = [1, 2], 0.7
"""The two types of beads, as elements, and the cut-off of MACE."""
RADIAL = {"rin": 1.8, "r0": 3.0, "rcut": CUTOFF_NM / ANGSTROM}
"""Å: radial functions are constant below the first, below all distances in the frames, and finest between it and the second."""
BASIS = {
    1: {"totaldegree": 24, "nmax_by_order": [24], "lmax_by_order": [0]},
    2: {"totaldegree": 16, "nmax_by_order": [16, 6], "lmax_by_order": [0, 4]},
}
"""By correlation order: total degree, and the largest radial degree and l of each order up to it."""
BLOCKS, CALLS = 10, 20
RIDGES = 10.0 ** np.arange(-14, 0)
"""In units of the mean square of a column, for each force."""
BESIDE = {"splines": "three_site_splines", "mace": "three_site_nu2_700pm"}


def atoms(frames: Frames, species: np.ndarray) -> list[Atoms]:
    """The frames in Å."""
    cell, numbers = np.asarray(frames.box, float) / ANGSTROM, np.array(SPECIES)[species]
    return [Atoms(numbers, np.asarray(x, float) / ANGSTROM, cell=cell, pbc=True) for x in frames.position]


def sums(basis: Basis, frames: Frames, species: np.ndarray) -> list[np.ndarray]:
    """[A f]^T [A f] of each block of frames: A the forces of unit coefficients, f those of the frames, eV/Å."""
    model, meta = basis.eval_pair()
    rows = chunked_rows_fn(model, GPConfig(RADIAL["r0"], RADIAL["rcut"], meta["n_B"], meta["n_pair"], len(SPECIES), 1))
    configs = [
        Config(a.positions, a.numbers, a.cell.array, a.pbc, None, f, None, 0.0, 1.0, 0.0)
        for a, f in zip(atoms(frames, species), np.asarray(frames.force, float) * ANGSTROM / EV, strict=True)
    ]
    dataset = build_dataset(configs, meta, np.zeros(len(SPECIES)), 1, node_chunk=4)
    total = [0.0] * BLOCKS
    for block, members in enumerate(np.array_split(np.arange(frames.n_frames), BLOCKS)):
        for frame in members:
            batch = jax.tree.map(lambda a, frame=frame: a[frame], dataset)
            f = configs[frame].forces.reshape(-1, 1)
            columns = np.hstack([np.asarray(rows(batch).F)[: len(species)].reshape(len(f), -1), f])
            total[block] = total[block] + columns.T @ columns
    return total


def solve(total: np.ndarray, ridges: np.ndarray, n: int) -> np.ndarray:
    """(ridges, coefficients) of least squares from n forces, each column scaled to the mean square 1."""
    gram, b = total[:-1, :-1], total[:-1, -1]
    scale = 1 / np.sqrt(np.maximum(np.diag(gram) / n, 1e-300))
    values, vectors = np.linalg.eigh(gram * np.outer(scale, scale) / n)
    along = vectors.T @ (scale * b / n) / (np.maximum(values, 0) + ridges[:, None])
    return scale * (along @ vectors.T)


def chosen(blocks: list[np.ndarray], n: int) -> tuple[float, np.ndarray]:
    """The ridge with the least error on the last block, of n forces each, and the coefficients of all with it."""
    trial = solve(sum(blocks[:-1]), RIDGES, n * (BLOCKS - 1))
    beside = np.column_stack([trial, -np.ones(len(trial))])  # of A c - f
    ridge = RIDGES[np.argmin(np.sum(beside @ blocks[-1] * beside, 1))]
    return float(ridge), solve(sum(blocks), np.array([ridge]), n * BLOCKS)[0]


def calculator(basis: Basis, coefficients: np.ndarray) -> ACECalculator:
    """The fitted potential in ase's units, in single precision as networks here are simulated in."""
    model, meta = basis.eval_pair()
    many, pair = (c.reshape(len(SPECIES), -1).T for c in np.split(coefficients, [len(SPECIES) * meta["n_B"]]))
    return ACECalculator(fold_readout(replace(model, WB=many, Wpair=pair, folded=False)), meta, dtype=np.float32)


def call_ms(calc: ACECalculator, frame: Atoms) -> float:
    """CPU time of one call for forces, the median; beads move a little before each, and the list of neighbours is kept."""
    ms = []
    for k in range(CALLS):
        frame.positions += 1e-4 * (-1) ** k
        started = time.process_time()
        calc.get_forces(frame)
        ms.append(1e3 * (time.process_time() - started))
    return float(np.median(ms))


def measure(order: int, split, species: np.ndarray, folder: Path) -> tuple[dict, np.ndarray]:
    """The row of one correlation order, and the errors of held-out frames as `force_errors.by_frame`."""
    started = time.process_time()
    basis = build_model(SPECIES, order, **BASIS[order], **RADIAL)
    ridge, coefficients = chosen(sums(basis, split.train, species), split.train.force.size // BLOCKS)
    fit_s = time.process_time() - started
    calc = calculator(basis, coefficients)
    held_out = atoms(split.valid, species)
    errors = force_errors.by_frame(np.array([calc.get_forces(a) for a in held_out]) * EV / ANGSTROM, split.valid)
    table = {"train_frames": split.train.n_frames, "valid_frames": split.valid.n_frames, "ridge": ridge}
    table |= force_errors.HeldOut(held_out=errors).table()
    table |= {"coefficients": len(coefficients), "fit_cpu_s": fit_s, "force_cpu_ms": call_ms(calc, held_out[-1])}
    for name, label in BESIDE.items():
        theirs = load(folder).curves(label)["errors"]
        table |= row(f"less_{name}_meV_per_A", force_errors.difference(errors, theirs))
    return table, errors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("orders", nargs="+", type=int, choices=BASIS)
    parser.add_argument("--folder", type=Path, default=Path("book/results/potentials"))
    given = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    reference = steps.load(steps.configure("hexane", profile="laptop", map="three_site", force_map="sum"))
    split, species = reference.split, np.asarray(reference.beads.species)
    for order in given.orders:
        table, errors = measure(order, split, species, given.folder)
        of = {"potential": "linear_ace", "order": order, "cutoff_nm": CUTOFF_NM} | BASIS[order]
        config = {"data": {"map": "three_site", "reference": "hexane", "force_map": "sum"}, "potential": of}
        learnt = {"train": frames_hash(split.train), "valid": frames_hash(split.valid)}
        manifest = made_here(ace_jax=version("ace-jax"), data=learnt)
        sampling = f"{split.train.n_frames} frames to learn from, {split.valid.n_frames} held out"
        add(given.folder, "linear_ace", config, table, manifest=manifest, sampling=sampling, curves={"errors": errors})
        print(order, table, flush=True)


if __name__ == "__main__":
    main()
