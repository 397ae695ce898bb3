"""The result of one run of a chain as one small table: helices and their handedness beside the reference, all with errors."""

import numpy as np

from cgcore.analysis import chain_bonds
from cgcore.analysis.blocks import Estimate, between_halves, ratio, row
from cgcore.analysis.chain_series import of_reference, series
from cgcore.analysis.stability import exclusions, survival
from cgcore.analysis.surface import divergence, free_energy, jensen_shannon, normalised, symmetry
from cgcore.frames import Ensemble, Frames
from cgcore.mapping import Mapping
from cgcore.units import PS_PER_NS

CHI_BINS, Q_BINS = 24, 20
CHI_RANGE = (-0.06, 0.06)  # nm^3, its own image under reflection
FINER = 2
"""How much finer, each way, is the surface that is drawn."""
HELICAL = 0.5
"""Q_hel from which a frame counts as helical."""
TURNED_NM3 = 0.01
"""A chain has changed its handedness when chi has gone from beyond this to beyond its negative, or back."""
OF_RESIDUES = ("alpha", "mirror_alpha")
DRAWS = 20
"""Random choices of runs for each length of a sample."""
LEAST_FRAMES = 10
"""Where fewer count, or those of one replica alone, only their number is given."""


def chain(
    run: Ensemble, reference: Frames, beads: Mapping, *, temperature_K: float, hold_ps: float = 1.0
) -> tuple[dict, dict[str, np.ndarray]]:
    """Compare a run's helices with the reference's: a table of plain numbers, and the arrays to draw.

    run: replicas (C, T, N, 3) nm; reference: mapped frames of one trajectory. Frames from first_bad on do not count,
    but rearrangements of bonds are looked for in all: they are a way to fail. With standard errors over replicas, or over
    contiguous blocks of the reference:

    - exclusions of `stability.exclusions`; n_whole, n_rearranged, n_stretched, n_not_finite, how the replicas ended
      (`chain_bonds.endings`); the table of `chain_bonds.rearrangements`;
    - helicity, handedness (10^-3 nm^3), radius_nm, ends_nm, alpha, mirror_alpha (`chain_series.series`), and the shares of
      frames that are helical (Q > 0.5), left_handed (chi < 0) and both, left_handed_helical; left_given_helical,
      P(left | helical); left_handed_early and left_handed_late, in either half of the run, and likewise of alpha and
      mirror_alpha;
    - handedness_symmetry: the `surface.symmetry` of P(chi, Q) and P(-chi, Q); turns, how often a replica changes its handedness in
      a nanosecond;
    - js_reference, the `surface.divergence` from the reference's P(chi, Q).

    "reference" holds the reference's own. A run of which too few frames count has only exclusions, endings and
    rearrangements. Arrays: F (chi, Q) kJ/mol with chi_edges (nm^3) and q_edges, reference_F; q, chi and where there are any
    alpha and mirror_alpha (C, T), nan where a frame does not count; time (T,) ps and survival (T,).
    """
    position, valid, time = np.asarray(run.position), run.valid, np.asarray(run.time)
    frame_ps = float(time[0] if len(time) == 1 else np.median(np.diff(time)))
    bonds, replicas = chain_bonds.rearrangements(position, beads.bonds, frame_ps, hold_ps=hold_ps)
    endings = chain_bonds.endings(run.first_bad, position, replicas, within=round(10 * hold_ps / frame_ps))
    theirs = of_reference(reference, beads)
    table = exclusions(run.first_bad, position.shape[1], frame_ps)
    table |= {f"n_{kind}": endings.count(kind) for kind in chain_bonds.ENDINGS} | bonds
    table["reference"] = numbers(theirs)
    arrays = {"time": time, "survival": survival(run.first_bad, position.shape[1])}
    if valid.sum() < LEAST_FRAMES or valid.any(1).sum() < 2:
        return table, arrays
    ours = series(position, valid, beads)
    table |= numbers(ours) | _over_time(ours, frame_ps) | divergence("js_reference", counts(ours), counts(theirs))
    for name, source in (("F", ours), ("reference_F", theirs)):
        arrays[name] = free_energy(normalised(counts(source, FINER).sum(0)), temperature_K)
    for name in ("q", "chi", *OF_RESIDUES):
        if name in ours:
            arrays[name] = np.where(valid, ours[name], np.nan).astype(np.float32)
    return table, arrays | edges(FINER)


def numbers(measured: dict[str, np.ndarray]) -> dict:
    """Means and shares of a series with errors over its blocks, and the symmetry of its surface."""
    valid, left, helical = measured["valid"], measured["chi"] < 0, measured["q"] > HELICAL
    means = {"helicity": measured["q"], "handedness": 1000 * measured["chi"], "helical": helical, "left_handed": left}
    means |= {"left_handed_helical": left & helical}
    means |= {name: measured[name] for name in ("radius_nm", "ends_nm", *OF_RESIDUES) if name in measured}
    table = {}
    for name, values in means.items():
        table |= row(name, mean_of(values, valid))
    table |= row("left_given_helical", mean_of(left, helical & valid))
    return table | symmetry("handedness_symmetry", counts(measured), reflected)


def mean_of(values: np.ndarray, counted: np.ndarray) -> Estimate:
    """Mean of values (B, T) over the frames that count, with its error over blocks; None where fewer than two have any."""
    sums, n = np.where(counted, values, 0.0).sum(1), counted.sum(1)
    return ratio(sums[n > 0], n[n > 0]) if np.count_nonzero(n) > 1 else Estimate(None, None)


def counts(measured: dict[str, np.ndarray], finer: int = 1) -> np.ndarray:
    """Frames that count in each bin, block by block: (B, M, K) over chi and Q; the outermost bins hold all beyond."""
    chi = np.clip(measured["chi"], *CHI_RANGE)
    blocks = zip(chi, measured["q"], measured["valid"], strict=True)
    return np.array([np.histogram2d(c[v], q[v], tuple(edges(finer).values()))[0] for c, q, v in blocks])


def convergence(n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find how far P(chi, Q) of two sets of k blocks are apart, for growing k: k (K,) and the mean divergence (K,) in bit.

    Args:
        n: (B, M, K) frames of each block in each bin, as of `counts`. The mean is over DRAWS random choices of 2 k blocks.

    Raises:
        ValueError: fewer than four blocks.
    """
    if len(n) < 4:
        raise ValueError(f"convergence: want four blocks or more, got {len(n)}")
    random, sizes, means = np.random.default_rng(0), np.arange(1, len(n) // 2 + 1), []
    for k in sizes:
        choices = (random.permutation(len(n))[: 2 * k] for _ in range(DRAWS))
        means.append(np.mean([between_halves(jensen_shannon, n[chosen], n_splits=1) for chosen in choices]))
    return sizes, np.array(means)


def edges(finer: int = 1) -> dict[str, np.ndarray]:
    """chi_edges in nm^3 and q_edges, of the bins of the numbers or of ones so many times finer."""
    chi, q = np.linspace(*CHI_RANGE, finer * CHI_BINS + 1), np.linspace(0, 1, finer * Q_BINS + 1)
    return {"chi_edges": chi, "q_edges": q}


def reflected(P: np.ndarray) -> np.ndarray:
    """P(-chi, Q), that of the mirror image: (..., M, K)."""
    return P[..., ::-1, :]


def turns(chi: np.ndarray) -> np.ndarray:
    """How often each replica changes its handedness, chi (C, T) nm^3 -> (C,); nan does not count."""
    signs = (np.sign(x[np.abs(x) > TURNED_NM3]) for x in chi)  # nan is in no range
    return np.array([np.count_nonzero(np.diff(sign)) for sign in signs])


def _over_time(measured: dict, frame_ps: float) -> dict:
    """Either half of the run, and the changes of handedness."""
    valid = measured["valid"]
    early = np.arange(valid.shape[1]) < valid.shape[1] / 2
    changes = turns(np.where(valid, measured["chi"], np.nan))
    ns = valid.sum(1) * frame_ps / PS_PER_NS
    table = {**row("turns", ratio(changes[ns > 0], ns[ns > 0])), "n_turns": int(changes.sum())}
    shares = {"left_handed": measured["chi"] < 0} | {name: measured[name] for name in OF_RESIDUES if name in measured}
    for name, values in shares.items():
        table |= row(f"{name}_early", mean_of(values, valid & early))
        table |= row(f"{name}_late", mean_of(values, valid & ~early))
    return table
