"""The atomistic reference of polyalanine: figure 5b of the study, and how far twenty runs of 1 ns have converged."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from cgcore import mapping, plots, store
from cgcore.analysis.blocks import between_halves, row
from cgcore.analysis.chain import FINER, HELICAL, counts, edges, mean_of
from cgcore.analysis.chain_series import of_reference
from cgcore.analysis.surface import free_energy, jensen_shannon, normalised
from cgcore.reference import sets
from cgcore.store.runs import git_state, versions

SET = "ala15_obc2"
REFERENCE_FOLDER = "reference"
TEMPERATURE_K = 300.0
VMAX = 15.0  # kJ/mol
DRAWS = 20
"""Random choices of runs for each point of the curve."""


def write(folder: Path) -> list[Path]:
    """Tables of parts of the reference in `folder`/reference, and figure5.png."""
    topology, atoms = sets.load(SET)
    beads = mapping.load("chain_core_beta", topology)
    found = of_reference(mapping.apply(beads, atoms), beads)
    (folder / REFERENCE_FOLDER).mkdir(parents=True, exist_ok=True)
    made = {"set": SET, "data": {SET: store.data_hash(atoms.position)}, "versions": versions(), "git": git_state()}
    written = []
    for order, (label, chosen) in enumerate(parts(found["valid"]).items()):
        path = folder / REFERENCE_FOLDER / f"part_{order}.json"
        words = {"label": label, "order": order, "sampling": f"{int(chosen.sum())} frames"}
        store.write_json(path, words | {"table": table(found, chosen), "manifest": made})
        written.append(path)
    figure = draw(counts(found, FINER), *convergence(counts(found)), run_ns(atoms.sampled_ps, len(found["valid"])))
    figure.savefig(folder / "figure5.png", dpi=130)
    plt.close(figure)
    return [*written, folder / "figure5.png"]


def parts(valid: np.ndarray) -> dict[str, np.ndarray]:
    """Which frames (B, T) of the runs belong to each row of the table; runs start as a helix and stretched out in turn."""
    helix = np.arange(len(valid))[:, None] % 2 == 0
    late = np.arange(valid.shape[1])[None] >= valid.shape[1] // 2
    return {
        "All runs": valid,
        "Started as a helix": valid & helix,
        "Started stretched out": valid & ~helix,
        "Started stretched out, second half": valid & ~helix & late,
    }


def table(found: dict, chosen: np.ndarray) -> dict:
    """Means and shares of the chosen frames with errors over runs."""
    left, helical = found["chi"] < 0, found["q"] > HELICAL
    values = {"helicity": found["q"], "handedness": 1000 * found["chi"], "helical": helical, "left_handed": left}
    values |= {"left_handed_helical": left & helical, "alpha": found["alpha"], "radius_nm": found["radius_nm"]}
    numbers = {"n_frames": int(chosen.sum())}
    for name, series in values.items():
        numbers |= row(name, mean_of(series, chosen))
    return numbers


def convergence(n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far P(chi, Q) of two sets of k runs are apart, in bit, for growing k: k and the mean over random choices.

    n: frames of each run in each bin, (B, M, K). Raises ValueError for fewer than four runs.
    """
    if len(n) < 4:
        raise ValueError(f"convergence: want four runs or more, got {len(n)}")
    random = np.random.default_rng(0)
    sizes = np.arange(1, len(n) // 2 + 1)
    distance = [
        np.mean(
            [between_halves(jensen_shannon, n[random.permutation(len(n))[: 2 * k]], n_splits=1) for _ in range(DRAWS)]
        )
        for k in sizes
    ]
    return sizes, np.array(distance)


def run_ns(time: np.ndarray, runs: int) -> float:
    """Length of a run, of so many on one clock of picoseconds."""
    return float((time[-1] - time[0]) / 1000 / runs)


def draw(n: np.ndarray, sizes: np.ndarray, distance: np.ndarray, length_ns: float):
    """Free energy over handedness and helicity, and the distance of halves over their length."""
    with plots.style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.6), width_ratios=(1.2, 1))
        surface = free_energy(normalised(n.sum(0)), TEMPERATURE_K)
        plots.helix_surface(left, surface, *edges(FINER).values(), vmax=VMAX)
        right.plot(sizes * length_ns, distance, marker="o", markersize=4, color=plots.REFERENCE_COLOUR)
        right.set(xlabel="Length of either sample (ns)", ylabel="Their divergence (bit)", ylim=(0, 1))
    return figure
