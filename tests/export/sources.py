"""Potentials of every kind on small beads, as an export has them before it writes."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from cgcore import geometry, steps
from cgcore.config import MACEConfig, MDConfig, NequIPConfig
from cgcore.export import folder as folders
from cgcore.export.load import Source
from cgcore.export.source import Found
from cgcore.potentials import barrier, mace, nequip, priors, splines
from cgcore.potentials.base import Potential, add
from cgcore.potentials.terms import EXCLUDED, Term
from cgcore.simulate import Molecule

BONDS = np.array([[0, 1], [1, 2], [2, 3], [3, 4], [1, 5]])
"""A chain of five with a branch, whose second bead is a stereocentre."""
SPECIES, WORDS = (0, 1, 0, 2, 0, 1), ("A", "B", "C")
MASS = np.array([14.0, 13.0, 15.0, 28.0, 14.0, 13.0])
CHAIN = np.array(
    [[0, 0, 0], [0.14, 0.05, 0], [0.24, -0.06, 0.04], [0.38, -0.02, -0.03], [0.47, -0.13, 0.03], [0.16, 0.16, 0.1]]
)
MD = MDConfig(replicas=16, n_frames=100, steps_per_frame=20, dt_ps=0.004, friction_per_ps=10.0, bond_tolerance_nm=1.0)
NETWORK = dict(channels=4, n_bessel=3, radial_width=8, max_ell=1, layers=1, cutoff_nm=0.5)
RANGES = np.full((3, 3, 2, 2), np.inf)
RANGES[..., 0, :] = 0.0, 0.145
RANGES[0, 1, 1] = RANGES[1, 0, 1] = 0.2, 0.26
BOX = np.full(3, 2.4)


def frames(n: int, copies: int = 1, seed: int = 0) -> np.ndarray:
    """(n, N, 3) nm, the molecule a little bent; several on a lattice."""
    rng = np.random.default_rng(seed)
    corners = 0.8 * np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), -1).reshape(-1, 3)[:copies]
    whole = np.concatenate([CHAIN + corner for corner in corners])
    return (whole + rng.normal(0, 0.008, (n, *whole.shape))).astype(np.float32).astype(float)


def copied(members: np.ndarray, copies: int) -> np.ndarray:
    return np.concatenate([members + k * len(SPECIES) for k in range(copies)])


def wanted(kind: str, q):
    """Energy, kJ/mol, that a spline of the kind has inside its knots; a dihedral tells a molecule from its image."""
    if kind == "pair":
        return 4.0 * (1 - q / 0.9) ** 3 * np.exp(-q)
    centre, stiffness = {"bond": (0.15, 8000.0), "angle": (1.9, 60.0), "dihedral": (0, 0)}[kind]
    return 3 * np.cos(q - 0.7) + np.sin(2 * q) if kind == "dihedral" else stiffness / 2 * (q - centre) ** 2


def of_splines(copies: int = 1) -> tuple[Potential, dict]:
    n, species = len(SPECIES) * copies, np.tile(SPECIES, copies)
    bonds, made, params = copied(BONDS, copies), [], {}
    members = {kind: geometry.paths(bonds, n, k) for kind, k in (("bond", 2), ("angle", 3), ("dihedral", 4))}
    members["pair"] = geometry.pairs_apart(bonds, n, EXCLUDED)
    knots = {
        "bond": (0.1, 0.01, 12),
        "angle": (1.2, 0.1, 15),
        "dihedral": (-np.pi, np.pi / 18, 36),
        "pair": (0.2, 0.05, 14),
    }
    for kind, rows in members.items():
        first, step, count = knots[kind]
        names = ["-".join(sorted(WORDS[s] for s in species[row])) if kind == "pair" else "all" for row in rows]
        key = np.array(names)
        for name in np.unique(key):
            term = Term(f"{kind}_{name}", kind, rows[key == name])
            spline = splines.Spline(term=term, first=first, step=step, counts=np.ones(count, int), outside=0)
            x = np.linspace(first, first + step * count, 20 * count)
            fitted = np.linalg.lstsq(spline.basis(x), wanted(kind, x), rcond=None)[0]
            made.append(spline)
            params[term.name] = spline.free @ (spline.free.T @ fitted)
    return splines.build(tuple(made), liquid=copies > 1), params


def of_priors(copies: int = 1) -> list[Potential]:
    bonds, fours = copied(BONDS, copies), copied(np.array([[0, 1, 2, 5]]), copies)
    capacity = 12 if copies > 1 else None
    walls = barrier.Barrier(species=SPECIES * copies, ranges=RANGES, stiffness=1e4, capacity=capacity)
    return [
        priors.build(priors.Harmonic(Term("bonds", "bond", bonds), np.full(len(bonds), 3e3), np.full(len(bonds), 0.15))),
        priors.build(priors.Harmonic(Term("improper", "dihedral", fours), np.full(len(fours), 90.0), np.full(len(fours), 2.0))),
        barrier.build(walls),
    ]  # fmt: skip


def of_network(module, config, copies: int = 1, **more) -> tuple[Potential, dict]:
    capacity = 30 if copies > 1 else None
    fixed = dict(species=SPECIES * copies, n_species=3, mean_neighbours=4.0, capacity=capacity)
    potential = module.build(module.Model(config=config, **fixed, **more))
    return potential, potential.init(jax.random.key(5))


def source(kind: str) -> Source:
    """One of KINDS."""
    (trained, params), copies = KINDS[kind]()
    added = of_priors(copies)
    config = replace(steps.configure("amino_acids"), md=MD)
    bonds = copied(BONDS, copies)
    molecule = Molecule(
        names=tuple(f"{WORDS[s]}{k}" for k, s in enumerate(SPECIES)) * copies,
        mass=np.tile(MASS, copies),
        bonds=bonds,
        bond_length=np.full(len(bonds), 0.15),
        box=BOX if copies > 1 else np.full(3, np.inf),
    )
    labels = tuple(WORDS[s] for s in SPECIES) * copies
    parts = (params, *({} for _ in added))
    table = {"bonds": [], "improper": [], "barrier": {}}
    return Source(config, add(trained, *added), parts, molecule, labels, frames(4, copies), table)


KINDS = {
    "splines": lambda: (of_splines(), 1),
    "liquid of splines": lambda: (of_splines(8), 8),
    "mace": lambda: (of_network(mace, MACEConfig(**NETWORK, readout_width=4)), 1),
    "mace with bond types and SO3": lambda: (
        of_network(mace, MACEConfig(**NETWORK | {"layers": 2}, readout_width=4, bond_types=True, symmetry="SO3"), bonds=tuple(map(tuple, BONDS.tolist()))),
        1,
    ),
    "liquid of mace": lambda: (of_network(mace, MACEConfig(**NETWORK, readout_width=4), 8), 8),
    "nequip": lambda: (of_network(nequip, NequIPConfig(**NETWORK)), 1),
}  # fmt: skip


def exported(kind: str, module, folder: Path) -> Source:
    """Write one of KINDS for a target's module."""
    made = source(kind)
    found = Found(Path("runs/toy/0"), made.config, Path("runs/fit/0"), None)
    folder.mkdir(exist_ok=True)
    folders.write(folder, made, found, module.__name__.rpartition(".")[2], module.write)
    return made
