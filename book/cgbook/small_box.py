"""A few molecules of a liquid of two-bead molecules, in a box of the same density, whose network can run in a page."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from cgcore import simulate
from cgcore.export.load import Source, load
from cgcore.export.source import find
from cgcore.potentials import barrier, mace
from cgcore.potentials.base import add
from cgcore.potentials.compiled import flat
from cgcore.steps import WALK_FRICTION_PER_PS
from cgcore.units import kT

MOLECULES = (2, 3, 4)
"""Along x, y and z at the start; so many that the box is wider than two cut-offs of 0.8 nm."""
SETTLE_PS, STARTS_PS = 10.0, 5.0
"""Until the lattice is forgotten, and between the frames from which simulations start."""
STARTS = 3
DT_PS = 0.005
"""Of the page; the walls of the priors bear 9 fs."""


def load_small(network: Path, reference: str) -> Source:
    """A published network of a liquid of pairs, of so few molecules, without a start."""
    whole = load(find(network, reference))
    n, of = int(np.prod(MOLECULES)), whole.molecule
    bonds = np.arange(2 * n).reshape(n, 2)
    if not np.array_equal(of.bonds[:n], bonds):
        raise ValueError(f"{network}: want molecules of two beads, one after the other, got bonds {of.bonds[:3]}")
    few, parts = dict(capacity=2 * n - 1), []
    for term, _ in flat(whole.potential, whole.params):
        if isinstance(term.model, mace.Model):
            typed = tuple(map(tuple, bonds.tolist())) if term.model.config.bond_types else ()
            model = replace(term.model, species=term.model.species[: 2 * n], bonds=typed, short_rows=None, **few)
            parts.append(mace.build(model))
        else:
            parts.append(barrier.build(replace(term.model, species=term.model.species[: 2 * n], **few)))
    molecule = simulate.Molecule(
        names=of.names[: 2 * n],
        mass=of.mass[: 2 * n],
        bonds=bonds,
        bond_length=of.bond_length[:n],
        box=of.box * (n / len(of.bonds)) ** (1 / 3),
    )
    params = tuple(params for _, params in flat(whole.potential, whole.params))
    return whole._replace(potential=add(*parts), params=params, molecule=molecule, labels=whole.labels[: 2 * n])


def starts(source: Source) -> np.ndarray:
    """Frames (STARTS, N, 3) nm of a simulation that begins on a lattice; of a network that keeps its bonds."""
    box, length = source.molecule.box, source.molecule.bond_length[0]
    corners = np.stack(np.meshgrid(*map(np.arange, MOLECULES), indexing="ij"), -1).reshape(-1, 3) * box / MOLECULES
    lattice = np.stack([corners, corners + [length, 0, 0]], axis=1).reshape(1, -1, 3).astype(np.float32)
    steps, wanted = 250, STARTS_PS * STARTS + SETTLE_PS
    dt = source.config.md.dt_ps
    md = replace(source.config.md, replicas=1, steps_per_frame=steps, n_frames=round(wanted / (steps * dt)))
    with tempfile.TemporaryDirectory() as folder:
        run = simulate.run(
            source.potential,
            source.params,
            source.molecule,
            lattice,
            replace(md, friction_per_ps=WALK_FRICTION_PER_PS),
            Path(folder),
        )
        position = np.array(run.ensemble.position[0])
    return position[:: -round(STARTS_PS / (steps * dt))][:STARTS]


def distances(P: np.ndarray, edges: np.ndarray, temperature_K: float, first: float, last: float, bins: int) -> list:
    """Free energy, kJ/mol, of a histogram P over edges (nm) in as many bins from first to last; None where P is zero."""
    below = np.concatenate([[0], np.cumsum(np.asarray(P, float) * np.diff(edges))])
    share = np.diff(np.interp(np.linspace(first, last, bins + 1), edges, below))
    with np.errstate(divide="ignore"):
        F = -kT(temperature_K) * np.log(share / share.max())
    return [round(value, 2) if np.isfinite(value) else None for value in F.tolist()]
