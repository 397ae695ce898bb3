"""How converged the reference sets are: the rows and curves of the chapter "Reference data", by `cgcore convergence`."""

from pathlib import Path

import numpy as np

from cgbook import sides
from cgbook.collect import draw
from cgbook.results import add, load
from cgcore.analysis import helix, rdf
from cgcore.analysis.blocks import Estimate, block_mean, jackknife, row
from cgcore.analysis.chain import FINER, HELICAL
from cgcore.analysis.chain import edges as helix_edges
from cgcore.analysis.ramachandran import BINS, summary, surfaces
from cgcore.analysis.surface import backbone, counts2d, free_energy, jensen_shannon
from cgcore.data import alike
from cgcore.frames import Frames, Topology
from cgcore.reference import sets
from cgcore.store import data_file, read_json

BLOCKS = 20
RDF_BINS = 100
TEMPERATURE_K = 300.0
PER_NM3 = 602.214  # g/mol in a nm^3 to g/cm^3
SOLVENTS = ("ala2", "ala2_obc2")
"""Sets of one molecule in two solvents, whose surfaces are compared."""


def make(folder: Path) -> list[Path]:
    """Write rows and curves of every set that comes with the project to the chapter in `folder`; the pictures drawn."""
    of_kind, surface_counts = {"dipeptides": dipeptide, "chains": chain, "liquids": liquid}, {}
    for entry in sets.available():
        kind = "liquids" if entry.solvent == "none" else "chains" if entry.system == "ala15" else "dipeptides"
        topology, frames = sets.load(entry.name)
        table, curves = of_kind[kind](topology, frames)
        runs = "run" if entry.replicas == 1 else "runs"
        add(
            folder,
            kind,
            {"case": entry.name},
            {"ns": entry.length_ns, "frames": entry.frames} | table,
            manifest=read_json(data_file(f"{entry.name}/{sets.SET}"))["made_by"],
            sampling=f"{entry.replicas} {runs}, {entry.length_ns:.3g} ns in all, every {entry.spacing_ps:g} ps",
            curves=curves,
        )
        if entry.name in SOLVENTS:
            phi, psi, counts = map(blocks, angles(topology, frames))
            surface_counts[entry.name] = counts2d(phi, psi, BINS, counts)
    if surface_counts.keys() >= set(SOLVENTS):
        table = row("js", between(*(surface_counts[name] for name in SOLVENTS)))
        add(folder, "solvents", {"case": "ala2"}, table, manifest={"sets": SOLVENTS})
    sides.make(folder)
    return draw(load(folder))


def dipeptide(topology: Topology, frames: Frames) -> tuple[dict, dict]:
    """Basins, symmetry and what sampling noise alone would give, from contiguous blocks; the surface."""
    phi, psi, valid = (blocks(a) for a in angles(topology, frames))
    table = summary(phi, psi, valid, frame_ps=float(np.median(np.diff(frames.sampled_ps))))
    of_blocks = {k: v for k, v in table.items() if k not in ("ns", "n_frames")}  # all frames are told elsewhere
    of_blocks |= of_runs(topology, frames)
    return of_blocks, surfaces(phi, psi, valid, temperature_K=TEMPERATURE_K)


def of_runs(topology: Topology, frames: Frames) -> dict:
    """The lowest and the highest share of phi > 0 of any run, where there are several."""
    phi, _, counts = angles(topology, frames)
    index, valid = frames.by_replica()
    if len(index) < 2:
        return {}
    shares = [np.average(phi[i[v]] > 0, weights=counts[i[v]]) for i, v in zip(index, valid, strict=True)]
    return {"phi_positive_lowest": float(min(shares)), "phi_positive_highest": float(max(shares))}


def angles(topology: Topology, frames: Frames) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """phi and psi (T,) in rad of the one residue between the caps, and what each frame counts."""
    at = {(r, n): k for k, (r, n) in enumerate(zip(topology.residue_index, topology.names, strict=True))}
    first, middle, last = sorted(set(topology.residue_index))
    n, ca, c = (at[middle, name] for name in ("N", "CA", "C"))
    return tuple(a[0] for a in backbone(frames, (at[first, "C"], n, ca, c), (n, ca, c, at[last, "N"])))


def between(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Jensen-Shannon divergence in bit of two surfaces, counts (B, M, M) each, with the error over both."""
    value, error = jackknife(lambda n: jensen_shannon(n, second.sum(0)), first)
    return Estimate(value, float(np.hypot(error, jackknife(lambda n: jensen_shannon(n, first.sum(0)), second).error)))


def chain(topology: Topology, frames: Frames) -> tuple[dict, dict]:
    """Helicity and handedness with block errors, and F(chi, Q) of the CA atoms."""
    position = np.asarray(alike(frames, "helices").position)[:, np.array(topology.names) == "CA"]
    q, chi = helix.helicity(position), helix.handedness(position)
    edges = helix_edges(FINER)
    F = free_energy(np.histogram2d(chi, q, bins=tuple(edges.values()))[0], TEMPERATURE_K)
    left, helical = chi < 0, q > HELICAL
    series = {"helicity": q, "handedness": 1000 * chi, "helical": helical, "left_handed": left}
    table = {}
    for name, values in (series | {"left_handed_helical": left & helical}).items():
        table |= row(name, block_mean(blocks(values.astype(float))))
    return table, {"F": F, **edges, "q": q, "chi": chi, "time": frames.sampled_ps}


def liquid(topology: Topology, frames: Frames) -> tuple[dict, dict]:
    """Density, and g(r) of the molecules' centres of mass with its error over blocks."""
    molecule = np.array(topology.residue_index)
    every = np.arange(molecule.max() + 1)
    weight = np.where(molecule == every[:, None], topology.mass, 0.0)
    weight /= weight.sum(1, keepdims=True)
    position = np.asarray(alike(frames, "g(r)").position, dtype=np.float64)
    centres = np.einsum("ma,tad->tmd", weight, position)
    box = np.asarray(frames.box, dtype=np.float64)
    edges = np.linspace(0.0, float(min(box) / 2), RDF_BINS + 1)
    counted = rdf.pair_counts(np.array_split(centres, BLOCKS // 2), box, every, every, every, edges)
    g, error = counted.g()
    peak = int(np.argmax(g))
    table = {
        "density_g_per_cm3": float(topology.mass.sum() / np.prod(box) / PER_NM3),
        "first_peak_nm": float(counted.centres[peak]),
        "first_peak": float(g[peak]),
        "first_peak_error": float(error[peak]),
        "largest_g_error": float(error[counted.centres > 0.4].max()),
    }
    return table, {"r": counted.centres, "g": g, "g_error": error}


def blocks(series: np.ndarray, n: int = BLOCKS) -> np.ndarray:
    """(T,) -> (B, T // B) contiguous; up to B - 1 frames at the end are left out."""
    length = len(series) // n
    return np.asarray(series)[: length * n].reshape(n, length)
