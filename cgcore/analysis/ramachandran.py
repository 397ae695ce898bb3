"""The result of one run as one small table: its Ramachandran surface beside the reference, every number with an error."""

import numpy as np

from cgcore.analysis.blocks import Estimate, between_halves, if_symmetric, jackknife, pieces
from cgcore.analysis.surface import (
    basin_counts,
    bin_index,
    chain_symmetry,
    counts2d,
    edges,
    exchanged,
    free_energy,
    jensen_shannon,
    mirror_chain_symmetry,
    normalised,
    point_symmetry,
    reflected,
    symmetry_bound,
)
from cgcore.units import PS_PER_NS

BINS = 24  # 15 degrees, for the numbers
SURFACE_BINS = 48  # 7.5 degrees, for the surface that is drawn
MARGINAL_BINS = 72  # 5 degrees
REFERENCE_BLOCKS = 10

INDICES = {
    "point_symmetry": (point_symmetry, reflected),
    "chain_symmetry": (chain_symmetry, exchanged),
    "mirror_chain_symmetry": (mirror_chain_symmetry, lambda P: exchanged(reflected(P))),
}


def ramachandran(
    phi: np.ndarray,
    psi: np.ndarray,
    valid: np.ndarray,
    reference_phi: np.ndarray,
    reference_psi: np.ndarray,
    *,
    temperature_K: float,
    frame_ps: float,
    reference_frame_ps: float,
    bins: int = BINS,
) -> tuple[dict, dict[str, np.ndarray]]:
    """A run's surface beside the reference's: (C, T) rad and valid frames, (T',) rad -> table, arrays.

    The table is that of `summary`, with js_reference (bit), its error (jackknife over the run's replicas and over the
    reference's contiguous blocks, in quadrature), js_reference_floor (what sampling noise alone would give), and the
    reference's own summary as "reference". Arrays: P and F in kJ/mol (M, M) with edges (M + 1,) rad, on a finer grid
    than the table's; phi_density, phi_density_error and the same of psi (K,) 1/rad with marginal_edges (K + 1,) rad; the
    reference's with "reference_" before the name.
    """
    reference = blocked(reference_phi, reference_psi, np.ones(np.shape(reference_phi), bool))
    run = blocked(phi, psi, valid)
    ours, theirs = counts2d(*run[:2], bins, run[2]), counts2d(*reference[:2], bins, reference[2])
    js = jackknife(lambda n: jensen_shannon(n, theirs.sum(0)), ours)
    js_r = jackknife(lambda n: jensen_shannon(n, ours.sum(0)), theirs)
    halves = [between_halves(jensen_shannon, n) for n in (ours, theirs)]
    table = summary(*run, frame_ps=frame_ps, bins=bins) | {
        "n_frames_excluded": int(np.size(valid) - np.count_nonzero(valid)),
        "n_replicas": int(np.atleast_2d(valid).shape[0]),
        "js_reference": js.value,
        "js_reference_error": float(np.hypot(js.error, js_r.error)),
        "js_reference_floor": sum(halves) / 4,
        "reference": summary(*reference, frame_ps=reference_frame_ps, bins=bins),
    }
    arrays = surfaces(*run, temperature_K=temperature_K)
    arrays |= {
        f"reference_{name}": array
        for name, array in surfaces(*reference, temperature_K=temperature_K).items()
        if not name.endswith("edges")
    }
    return table, arrays


def blocked(phi, psi, valid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angles and valid frames as blocks (B, T): the replicas, or contiguous pieces of a single trajectory."""
    phi, psi, valid = np.atleast_2d(phi), np.atleast_2d(psi), np.atleast_2d(valid)
    if len(phi) > 1:
        return phi, psi, valid
    pieces_phi, pieces_valid = pieces(phi[0], valid[0], REFERENCE_BLOCKS)
    return pieces_phi, pieces(psi[0], valid[0], REFERENCE_BLOCKS)[0], pieces_valid


def summary(phi: np.ndarray, psi: np.ndarray, valid: np.ndarray, *, frame_ps: float, bins: int = BINS) -> dict:
    """Plain numbers of one surface from blocks (B, T) of frames.

    For each symmetry index (bit): value, _error (jackknife over blocks), _floor (its mean if the system were symmetric,
    from sampling noise alone) and _bound (smallest JS of any symmetric surface to this one); the population of each
    basin and of phi > 0 with its _error (0 and 0 says never seen, not exactly zero); noise_floor, the mean JS in bit between random halves of the blocks.
    """
    counts = counts2d(phi, psi, bins, valid)
    n_frames = int(counts.sum())
    table = {
        "n_blocks": int(np.count_nonzero(counts.any((1, 2)))),
        "n_frames": n_frames,
        "ns": n_frames * frame_ps / PS_PER_NS,
        "bins": bins,
        "empty_bins": int(np.count_nonzero(counts.sum(0) == 0)),
        "noise_floor": between_halves(jensen_shannon, counts),
    }
    for name, (index, image) in INDICES.items():
        table |= row(name, jackknife(index, counts))
        table[f"{name}_floor"] = if_symmetric(index, image, counts)
        table |= row(f"{name}_bound", jackknife(lambda n, image=image: symmetry_bound(n, image), counts))
    frames = valid.sum(1)
    for name, inside in basin_counts(phi, psi, valid).items():
        table |= row(name, jackknife(lambda n: float(n[0] / n[1]), np.stack([inside, frames], axis=1)))
    return table


def row(name: str, estimate: Estimate) -> dict:
    return {name: estimate.value, f"{name}_error": estimate.error}


def surfaces(
    phi: np.ndarray, psi: np.ndarray, valid: np.ndarray, *, temperature_K: float, bins: int = SURFACE_BINS
) -> dict:
    """The arrays to draw, from blocks (B, T): P, F, edges, and the marginals with errors."""
    P = normalised(counts2d(phi, psi, bins, valid).sum(0))
    arrays = {"P": P, "F": free_energy(P, temperature_K), "edges": edges(bins), "marginal_edges": edges(MARGINAL_BINS)}
    for name, angle in (("phi", phi), ("psi", psi)):
        density = jackknife(lambda n: normalised(n) * (MARGINAL_BINS / (2 * np.pi)), marginal_counts(angle, valid))
        arrays |= row(f"{name}_density", density)
    return arrays


def marginal_counts(angle: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Frames per block and bin of one angle: (B, T) rad -> (B, MARGINAL_BINS)."""
    block, frame = np.nonzero(valid)
    flat = block * MARGINAL_BINS + bin_index(angle[block, frame], MARGINAL_BINS)
    return np.bincount(flat, minlength=len(angle) * MARGINAL_BINS).reshape(-1, MARGINAL_BINS)
