"""How converged the reference sets are: the small tables and pictures of the chapter "Reference data"."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from cgcore import plots, store
from cgcore.analysis import helix, rdf
from cgcore.analysis.blocks import Estimate, block_mean, jackknife, row
from cgcore.analysis.chain import FINER, HELICAL
from cgcore.analysis.chain import edges as helix_edges
from cgcore.analysis.ramachandran import BINS, summary, surfaces
from cgcore.analysis.surface import backbone, counts2d, jensen_shannon
from cgcore.reference import sets
from cgcore.units import kT

DIPEPTIDES, CHAINS, LIQUIDS = "dipeptides", "chains", "liquids"
BLOCKS = 20
RDF_BINS = 100
TEMPERATURE_K = 300.0
VMAX = 20.0  # kJ/mol
NAMES = {"ala2": "Ala", "gly2": "Gly", "pro2": "Pro", "thr2": "Thr", "ala15": "Ala₁₅", "hexane": "Hexane"}
SOLVENTS = {"tip3p": "in TIP3P", "obc2": "in OBC2", "none": ""}


def collect(folder: Path) -> list[Path]:
    """Write tables and pictures of every set that comes with the project below `folder`; what was written."""
    written = []
    for order, entry in enumerate(sets.available()):
        kind = LIQUIDS if entry.solvent == "none" else CHAINS if entry.system == "ala15" else DIPEPTIDES
        topology, frames = sets.load(entry.name)
        table, arrays = {DIPEPTIDES: dipeptide, CHAINS: chain, LIQUIDS: liquid}[kind](topology, frames)
        (folder / kind).mkdir(parents=True, exist_ok=True)
        result = {
            "label": f"{NAMES[entry.system]} {SOLVENTS[entry.solvent]}".strip(),
            "order": order,
            "sampling": f"{entry.replicas} {'run' if entry.replicas == 1 else 'runs'}, {entry.length_ns:.3g} ns in all, every {entry.spacing_ps:g} ps",
            "table": {"ns": entry.length_ns, "frames": entry.frames} | table,
            "manifest": store.read_json(store.data_file(f"{entry.name}/{sets.SET}"))["made_by"],
        }
        paths = [folder / kind / f"{entry.name}.json", folder / kind / f"{entry.name}.npz"]
        store.write_json(paths[0], result)
        store.write_npz(paths[1], **arrays)
        written += paths
    return written + _solvents(folder) + draw(folder)


def dipeptide(topology, frames) -> tuple[dict, dict]:
    """Basins, symmetry and what sampling noise alone would give, from contiguous blocks; the surface."""
    phi, psi = (blocks(a) for a in angles(topology, frames))
    valid = np.ones(phi.shape, bool)
    table = summary(phi, psi, valid, frame_ps=float(np.median(np.diff(frames.sampled_ps))))
    drop = {"ns", "n_frames"}
    return {k: v for k, v in table.items() if k not in drop}, surfaces(phi, psi, valid, temperature_K=TEMPERATURE_K)


def angles(topology, frames) -> tuple[np.ndarray, np.ndarray]:
    """phi and psi (T,) in rad of the one residue between the caps."""
    at = {(r, n): k for k, (r, n) in enumerate(zip(topology.residue_index, topology.names, strict=True))}
    first, middle, last = sorted(set(topology.residue_index))
    ca, c = at[middle, "CA"], at[middle, "C"]
    phi, psi, _ = backbone(frames, (at[first, "C"], at[middle, "N"], ca, c), (at[middle, "N"], ca, c, at[last, "N"]))
    return phi[0], psi[0]


def chain(topology, frames) -> tuple[dict, dict]:
    """Helicity and handedness with block errors, and F(chi, Q) of the CA atoms."""
    ca = np.flatnonzero(np.array(topology.names) == "CA")
    position = np.asarray(frames.position)[:, ca]
    q, chi = helix.helicity(position), helix.handedness(position)
    edges = helix_edges(FINER)
    counts = np.histogram2d(chi, q, bins=tuple(edges.values()))[0]
    with np.errstate(divide="ignore"):
        F = -kT(TEMPERATURE_K) * np.log(counts / counts.max())
    table = {}
    for name, series in {
        "helicity": q,
        "handedness": chi * 1000,
        "helical": (q > HELICAL).astype(float),
        "left_handed": (chi < 0).astype(float),
        "left_handed_helical": ((chi < 0) & (q > HELICAL)).astype(float),
    }.items():
        table |= row(name, block_mean(blocks(series)))
    return table, {"F": F, **edges, "q": q, "chi": chi, "time": frames.sampled_ps}


def liquid(topology, frames) -> tuple[dict, dict]:
    """Density, and g(r) of the molecules' centres of mass with its error over blocks."""
    molecule = np.array(topology.residue_index)
    n = molecule.max() + 1
    weight = np.zeros((n, topology.n_atoms))
    weight[molecule, np.arange(topology.n_atoms)] = topology.mass
    weight /= weight.sum(1, keepdims=True)
    centres = np.einsum("ma,tad->tmd", weight, np.asarray(frames.position, dtype=np.float64))
    box = np.asarray(frames.box, dtype=np.float64)
    everyone = np.arange(n)
    edges = np.linspace(0.0, float(min(box) / 2), RDF_BINS + 1)
    counted = rdf.pair_counts(np.array_split(centres, BLOCKS // 2), box, everyone, everyone, everyone, edges)
    g, error = counted.g()
    peak = int(np.argmax(g))
    table = {
        "density_g_per_cm3": float(topology.mass.sum() / np.prod(box) / 602.214),
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


def _solvents(folder: Path, names=("ala2", "ala2_obc2")) -> list[Path]:
    """The Jensen-Shannon divergence in bit of one molecule's surfaces in two solvents, with errors over both."""
    if not {entry.name for entry in sets.available()} >= set(names):
        return []
    counts = []
    for name in names:
        phi, psi = (blocks(a) for a in angles(*sets.load(name)))
        counts.append(counts2d(phi, psi, BINS))
    first, second = counts
    a = jackknife(lambda n: jensen_shannon(n, second.sum(0)), first)
    b = jackknife(lambda n: jensen_shannon(n, first.sum(0)), second)
    table = row("js", Estimate(a.value, float(np.hypot(a.error, b.error))))
    path = folder / "solvents" / "ala2.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    label = f"{NAMES['ala2']}, explicit beside implicit"
    store.write_json(path, {"label": label, "order": 0, "sampling": "", "table": table, "manifest": {"sets": names}})
    return [path]


def draw(folder: Path) -> list[Path]:
    """The pictures of the chapter from the tables."""
    written = []
    if surfaces_of := sorted((folder / DIPEPTIDES).glob("*.npz")):
        with plots.style():
            columns = min(3, len(surfaces_of))
            rows = -(-len(surfaces_of) // columns)
            size = (3.2 * columns + 0.8, 3.4 * rows)
            figure, axes = plt.subplots(
                rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
            )
            for ax, path in zip(axes.flat, surfaces_of, strict=False):
                arrays, label = store.read_npz(path), store.read_json(path.with_suffix(".json"))["label"]
                mesh = plots.ramachandran(ax, arrays["F"], arrays["edges"], title=label, vmax=VMAX, colourbar=False)
                ax.label_outer()
            for above, ax in zip(axes.flat[len(surfaces_of) - columns :], axes.flat[len(surfaces_of) :], strict=False):
                ax.set_visible(False)
                above.tick_params(labelbottom=True)
                above.set_xlabel(plots.PHI)
            plots.free_energy_bar(list(axes.flat), mesh)
        written.append(_save(figure, folder / "dipeptides.png"))
    for path in sorted((folder / CHAINS).glob("*.npz")):
        arrays = store.read_npz(path)
        with plots.style():
            figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
            plots.helix_surface(left, arrays["F"], arrays["chi_edges"], arrays["q_edges"], vmax=VMAX)
            plots.helix_series(right, arrays["time"] / 1000, arrays["q"])
        written.append(_save(figure, folder / f"{path.stem}.png"))
    for path in sorted((folder / LIQUIDS).glob("*.npz")):
        arrays = store.read_npz(path)
        with plots.style():
            figure, ax = plt.subplots(figsize=(4.8, 3.4))
            plots.rdf(ax, arrays["r"], arrays["g"], arrays["g_error"], label="centres of mass")
        written.append(_save(figure, folder / f"{path.stem}.png"))
    return written


def _save(figure, path: Path) -> Path:
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path
