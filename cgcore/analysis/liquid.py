"""The result of one run of a molecular liquid as one small table, beside the reference, every number with an error."""

from itertools import combinations_with_replacement

import numpy as np

from cgcore.analysis import bonded, pair_bonds
from cgcore.analysis.blocks import Estimate, row
from cgcore.analysis.diffusion import diffusion
from cgcore.analysis.rdf import pair_counts
from cgcore.analysis.sample import Sample, of_ensemble, of_frames
from cgcore.analysis.stability import exclusions
from cgcore.frames import Ensemble, Frames
from cgcore.geometry import molecules
from cgcore.mapping import Mapping
from cgcore.units import PS_PER_NS

RDF_STEP_NM = 0.01
MILLI = 1e3
"""Table 1 of the paper gives errors of g in units of 10^-3."""
INSIDE = 3.0
"""Standard errors within which two densities agree."""
LEAST_FRAMES = 10
"""Where fewer count, only their number is given."""


def liquid(
    run: Ensemble, reference: Frames, beads: Mapping, box, *, skip_ps: float = 0.0, hold_ps: float = 1.0
) -> tuple[dict, dict[str, np.ndarray]]:
    """Compare a run's structure and motion with the reference's: a table of plain numbers, and the arrays to draw.

    run: replicas (C, T, N, 3) nm in a box (3,) nm, wrapped or not; reference: mapped frames of one trajectory. Blocks are
    the replicas, or pieces of a single one; frames from first_bad on, and the first skip_ps of each replica, do not
    count. With the species' names in place of A and B:

    - exclusions of `stability.exclusions`, and n_frames and ns after skip_ps;
    - g_AB_mse, in 10^-3: mean over r of (g - g_ref)^2, mean over replicas as in table 1 of the paper, with its standard
      error _error and standard deviation _sd over replicas; g_AB_mse_all of all replicas together, beside
      g_AB_mse_floor, what sampling noise alone would give there;
    - bond_AB, angle_ABA, dihedral_ABBA: mean _mean (nm, rad) but for dihedrals; _js, the `surface.divergence` from the
      reference; _inside, the part of the reference's density in bins where both agree within three standard errors;
      gauche_ABBA; nearest, the same for the nearest other bead;
    - nonbonded_closer: fraction of bonds, seen from both ends, with a non-bonded neighbour in another molecule, of the bonded bead's
      species, nearer than that bead, where there are bonds; for molecules of two beads also how bonds rearrange (`pair_bonds.rearrangements`),
      which counts when the old bonds have been longer than any in the reference;
    - diffusion in nm^2/ns (`diffusion.diffusion`).

    A run of which fewer than LEAST_FRAMES frames count has only the exclusions, and no arrays.
    "reference" holds the reference's own numbers. Pairs in one molecule, bonded or not, are left out of every g, by the
    initial bonds: the paper says "bonded beads are excluded", which its published code does for whole molecules.
    Arrays: r, g_AB, _error, _sd over blocks; <quantity>_edges, <quantity> (1/nm or 1/rad), _error, _sd; msd, msd_lag;
    rearranged over time; the reference's with "reference_" before the name.
    """
    ours, theirs = of_ensemble(run, box, skip_ps=skip_ps), of_frames(reference)
    table = exclusions(run.first_bad, run.position.shape[1], ours.frame_ps)
    table |= {"n_frames": ours.n_frames, "ns": ours.n_frames * ours.frame_ps / PS_PER_NS}
    if ours.n_frames < LEAST_FRAMES:
        return table | {"reference": {}}, {}
    molecule, arrays, own = molecules(beads.bonds, len(beads.beads)), {}, {}
    for name, (first, second) in species_pairs(beads).items():
        table |= _rdf(name, ours, theirs, molecule, first, second, arrays)
    labels = tuple(beads.species_names[s] for s in beads.species)
    measured = {
        name: [bonded.values(sample, paths) for sample in (ours, theirs)]
        for name, paths in bonded.kinds(labels, beads.bonds).items()
    }
    measured["nearest"] = [bonded.nearest(sample) for sample in (ours, theirs)]
    for name, (values, reference_values) in measured.items():
        table |= bonded.beside(name, values, reference_values, arrays, INSIDE) | _mean(name, values)
        own |= _mean(name, reference_values)
    for into, sample, prefix in ((table, ours, ""), (own, theirs, "reference_")):
        if len(beads.bonds):
            nearer = pair_bonds.nearer_neighbours(sample, beads.bonds, beads.species, molecule)
            into |= row("nonbonded_closer", bonded.mean([block.astype(float) for block in nearer]))
        estimate, curves = diffusion(sample)
        into |= row("diffusion", estimate or Estimate(None, None))
        arrays |= {prefix + key: value for key, value in curves.items()}
    if pair_bonds.pairs_up(beads.bonds, len(beads.beads)):
        lengths = bonded.values(theirs, np.asarray(beads.bonds))
        options = dict(hold_ps=hold_ps, longest_nm=max(float(block.max()) for block in lengths))
        # From the start, also where the rest skips it: rearrangements are counted from the bonds of the topology.
        for into, sample, prefix in ((table, of_ensemble(run, box), ""), (own, theirs, "reference_")):
            rates, arrays[f"{prefix}rearranged"] = pair_bonds.rearrangements(
                sample, beads.bonds, beads.species, **options
            )
            into |= rates
    return table | {"reference": own}, arrays


def species_pairs(beads: Mapping) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Bead indices of both species of each pair, by name: "g_AB" -> (beads A, beads B)."""
    species = np.array(beads.species)
    pairs = combinations_with_replacement(range(len(beads.species_names)), 2)
    return {
        "g_" + bonded.joined(beads.species_names[s] for s in pair): tuple(np.flatnonzero(species == s) for s in pair)
        for pair in pairs
    }


def rdf_edges(box: np.ndarray) -> np.ndarray:
    """(M + 1,) nm: bins of 0.01 nm from zero to half the box, as in the paper's published code."""
    bins = int(np.floor(min(box) / 2 / RDF_STEP_NM + 1e-9))
    return RDF_STEP_NM * np.arange(bins + 1)


def _rdf(name, ours: Sample, theirs: Sample, molecule, first, second, arrays: dict) -> dict:
    edges = rdf_edges(np.minimum(ours.box, theirs.box))
    both = [pair_counts(s.blocks(), s.box, molecule, first, second, edges) for s in (ours, theirs)]
    arrays["r"] = both[0].centres
    for prefix, counted in zip(("", "reference_"), both, strict=True):
        arrays |= row(f"{prefix}{name}", counted.g()) | {f"{prefix}{name}_sd": counted.spread()}
    (g, error), (g_ref, error_ref) = (counted.g() for counted in both)
    each = np.mean((both[0].counts / both[0].ideal - g_ref) ** 2, axis=1) * MILLI
    return {
        **row(f"{name}_mse", Estimate(float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each))))),
        f"{name}_mse_sd": float(each.std(ddof=1)),
        f"{name}_mse_all": float(np.mean((g - g_ref) ** 2)) * MILLI,
        f"{name}_mse_floor": float(np.mean(error**2 + error_ref**2)) * MILLI,
    }


def _mean(name: str, values: list[np.ndarray]) -> dict:
    """The gauche fraction of dihedrals, and the mean of all else."""
    if name.startswith("dihedral"):
        return row(name.replace("dihedral", "gauche"), bonded.gauche(values))
    return row(f"{name}_mean", bonded.mean(values))
