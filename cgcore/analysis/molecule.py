"""The result of one run of a single molecule of any kind as one small table, beside the reference."""

from functools import partial
from itertools import combinations, pairwise

import numpy as np

from cgcore import geometry
from cgcore.analysis import bonded
from cgcore.analysis.blocks import row
from cgcore.analysis.sample import of_molecule
from cgcore.analysis.stability import exclusions
from cgcore.analysis.surface import counts2d, divergence, edges, free_energy, normalised
from cgcore.frames import Ensemble, Frames
from cgcore.mapping import Mapping

INSIDE = 3.0
"""Standard errors within which two densities agree."""
BINS, DRAWN_BINS = 24, 48
"""Of each angle of a surface: for its numbers, and for the one that is drawn."""
MOST_SURFACES = 6
CONTACT_NM, APART = 0.6, 3
"""Beads more bonds than APART from each other are in contact when they are nearer than CONTACT_NM."""


def molecule(
    run: Ensemble, reference: Frames, beads: Mapping, *, temperature_K: float, weight: np.ndarray | None = None
) -> tuple[dict, dict[str, np.ndarray]]:
    """Compare where a run's beads are with the reference's: a table of plain numbers, and the arrays to draw.

    run: replicas (C, T, N, 3) nm; weight: (C, T), what each frame of a run with a bias counts; reference: mapped frames, with weights where they have them. Blocks are the replicas, or
    pieces of a single trajectory. With the beads' names in place of A and B:

    - exclusions of `stability.exclusions`;
    - bond_A-B, angle_A-B-C, dihedral_A-B-C-D and gyration, the mass-weighted radius: numbers of `bonded.beside`; mean _mean
      (nm, rad) but for dihedrals;
    - surface_P:Q_js of pairs of dihedrals: those that the map names, in turn, else those that have three beads in common;
    - contacts_mean: pairs of beads in contact, where any beads are far enough apart along the bonds.

    "reference" holds the reference's own numbers. Arrays: <quantity>_edges, <quantity> (1/nm or 1/rad), _error, _sd;
    surface_P:Q (kJ/mol) with surface_edges; the reference's with "reference_" before the name.
    """
    samples = of_molecule(run, weight), of_molecule(reference)
    counts = tuple(sample.counts() for sample in samples)
    table, own, arrays = exclusions(run.first_bad, run.position.shape[1], samples[0].frame_ps), {}, {}
    measured = {
        name: [bonded.values(sample, paths) for sample in samples]
        for name, paths in bonded.kinds(beads.beads, beads.bonds).items()
    }
    measured["gyration"] = [s.per_frame(lambda x: gyration(x, beads.mass)[:, None]) for s in samples]
    for name, (ours, theirs) in measured.items():
        table |= bonded.beside(name, ours, theirs, arrays, INSIDE, counts)
        if not name.startswith("dihedral"):
            table |= row(f"{name}_mean", bonded.mean(ours, counts[0]))
            own |= row(f"{name}_mean", bonded.mean(theirs, counts[1]))
    far = geometry.pairs_apart(beads.bonds, len(beads.beads), APART)
    if len(far):
        for into, sample, count in zip((table, own), samples, counts, strict=True):
            into |= row("contacts_mean", bonded.mean(sample.per_frame(lambda x: contacts(x, far)), count))
    for name, (first, second) in surfaces(beads).items():
        table |= _surface(name, first, second, samples, counts, temperature_K, arrays)
    return table | {"reference": own}, arrays


def surfaces(beads: Mapping) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Pairs of dihedrals by name, "surface_P:Q" -> four bead indices each; MOST_SURFACES at most."""
    if len(beads.dihedrals) > 1:
        pairs = list(pairwise(beads.dihedrals.items()))
    else:
        chains = [tuple(map(int, path)) for path in geometry.paths(beads.bonds, len(beads.beads), 4)]
        named = [("-".join(beads.beads[i] for i in chain), chain) for chain in chains]
        pairs = [
            (p, q) for p, q in combinations(named, 2) if len(set(p[1]) & set(q[1])) == 3 and p[1][1:3] != q[1][1:3]
        ]
    return {f"surface_{p}:{q}": (first, second) for (p, first), (q, second) in pairs[:MOST_SURFACES]}


def gyration(x: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """(T,) nm, the radius of gyration of whole molecules (T, N, 3) nm of masses (N,)."""
    centre = np.average(x, axis=1, weights=mass)[:, None]
    return np.sqrt(np.average(np.square(x - centre).sum(-1), axis=1, weights=mass))


def contacts(x: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(T, 1) how many of the pairs (P, 2) of (T, N, 3) nm are in contact."""
    apart = np.linalg.norm(x[:, pairs[:, 0]] - x[:, pairs[:, 1]], axis=-1)
    return (apart < CONTACT_NM).sum(1, dtype=float)[:, None]


def _surface(name, first, second, samples, counts, temperature_K: float, arrays: dict) -> dict:
    """The divergence of the surface over two dihedrals, and F of both."""
    quads, found = np.array([first, second]), []
    for sample, count, prefix in zip(samples, counts, ("", "reference_"), strict=True):
        angles = sample.per_frame(partial(geometry.dihedrals, quads=quads, box=sample.box))
        per_block = [counts2d(a[:, 0], a[:, 1], DRAWN_BINS, c)[0] for a, c in zip(angles, count, strict=True)]
        arrays[f"{prefix}{name}"] = free_energy(normalised(np.sum(per_block, axis=0)), temperature_K)
        half = DRAWN_BINS // BINS
        found.append(np.array(per_block).reshape(-1, BINS, half, BINS, half).sum((2, 4)))
    arrays["surface_edges"] = edges(DRAWN_BINS)
    return divergence(f"{name}_js", *found)
