"""The result of one run as one small table: its Ramachandran surface beside the reference, every number with an error."""

import numpy as np

from cgcore.analysis.blocks import between_halves, jackknife, pieces, ratio, row
from cgcore.analysis.surface import (
    basin_counts,
    counts1d,
    counts2d,
    divergence,
    edges,
    exchanged,
    free_energy,
    jensen_shannon,
    normalised,
    reflected,
    symmetry,
)
from cgcore.units import PS_PER_NS

BINS = 24  # 15 degrees, for the numbers
SURFACE_BINS = 48  # 7.5 degrees, for the surface that is drawn
MARGINAL_BINS = 72  # 5 degrees
REFERENCE_BLOCKS = 10
SYMMETRIES = {
    "point_symmetry": reflected,
    "chain_symmetry": exchanged,
    "mirror_chain_symmetry": lambda P: exchanged(reflected(P)),
}


def ramachandran(
    phi: np.ndarray,
    psi: np.ndarray,
    valid: np.ndarray,
    reference_phi: np.ndarray,
    reference_psi: np.ndarray,
    reference_weight: np.ndarray,
    *,
    temperature_K: float,
    frame_ps: float,
    reference_frame_ps: float,
    bins: int = BINS,
) -> tuple[dict, dict[str, np.ndarray]]:
    """Compare a run's surface with the reference's: (C, T) rad and valid frames; (T',) rad and weights -> table, arrays.

    The table is that of `summary`, with js_reference (bit, with error and floor as `surface.divergence`), and the
    reference's own summary as "reference". Arrays: P and F in kJ/mol (M, M) with edges (M + 1,) rad, on a finer grid
    than the table's; phi_density, phi_density_error and the same of psi (K,) 1/rad with marginal_edges (K + 1,) rad; the
    reference's with "reference_" before the name.
    """
    reference = blocked(reference_phi, reference_psi, reference_weight)
    run = blocked(phi, psi, valid)
    ours, theirs = (counts2d(*angles, bins, counted) for *angles, counted in (run, reference))
    table = summary(*run, frame_ps=frame_ps, bins=bins) | divergence("js_reference", ours, theirs)
    table |= {
        "n_frames_excluded": int(np.size(valid) - np.count_nonzero(valid)),
        "n_replicas": int(np.atleast_2d(valid).shape[0]),
        "reference": summary(*reference, frame_ps=reference_frame_ps, bins=bins),
    }
    theirs = surfaces(*reference, temperature_K=temperature_K)
    arrays = {f"reference_{name}": array for name, array in theirs.items() if not name.endswith("edges")}
    return table, surfaces(*run, temperature_K=temperature_K) | arrays


def blocked(phi, psi, valid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angles and what frames count as blocks (B, T): the replicas, or contiguous pieces of a single trajectory."""
    phi, psi, valid = np.atleast_2d(phi), np.atleast_2d(psi), np.atleast_2d(valid)
    if len(phi) > 1:
        return phi, psi, valid
    (phi, counted), (psi, _) = (pieces(angle[0], valid[0], REFERENCE_BLOCKS) for angle in (phi, psi))
    return phi, psi, counted


def summary(phi: np.ndarray, psi: np.ndarray, valid: np.ndarray, *, frame_ps: float, bins: int = BINS) -> dict:
    """Plain numbers of one surface from blocks (B, T) of frames; valid: which count, or what each counts.

    Of frames with weights "counting" says how many that count alike are worth them.
    Each symmetry index (bit) as `surface.symmetry`; the population of each basin and of phi > 0 with its _error (0 and 0
    says never seen, not exactly zero); noise_floor, the mean JS in bit between random halves of the blocks.
    """
    counts = counts2d(phi, psi, bins, valid)
    n_frames = int(np.count_nonzero(valid))
    table = {
        "n_blocks": int(np.count_nonzero(counts.any((1, 2)))),
        "n_frames": n_frames,
        **({} if valid.dtype == bool else {"counting": float(valid.sum() ** 2 / np.square(valid).sum())}),
        "ns": n_frames * frame_ps / PS_PER_NS,
        "bins": bins,
        "empty_bins": int(np.count_nonzero(counts.sum(0) == 0)),
        "noise_floor": between_halves(jensen_shannon, counts),
    }
    for name, image in SYMMETRIES.items():
        table |= symmetry(name, counts, image)
    for name, inside in basin_counts(phi, psi, valid).items():
        table |= row(name, ratio(inside, valid.sum(1)))
    return table


def surfaces(
    phi: np.ndarray, psi: np.ndarray, valid: np.ndarray, *, temperature_K: float, bins: int = SURFACE_BINS
) -> dict:
    """The arrays to draw, from blocks (B, T): P, F, edges, and the marginals with errors."""
    P = normalised(counts2d(phi, psi, bins, valid).sum(0))
    arrays = {"P": P, "F": free_energy(P, temperature_K), "edges": edges(bins), "marginal_edges": edges(MARGINAL_BINS)}
    for name, angle in (("phi", phi), ("psi", psi)):
        counts = counts1d(angle, MARGINAL_BINS, valid)
        arrays |= row(f"{name}_density", jackknife(lambda n: normalised(n) * (MARGINAL_BINS / (2 * np.pi)), counts))
    return arrays
