"""Where atoms begin: capped peptides as recipes/starts has them, a box of hexane, any liquid. Names are those of GROMACS.

Starting structures only: bonds and angles are ideal, clashes are left to a minimisation.
"""

import math
from dataclasses import replace
from typing import NamedTuple

import mdtraj
import numpy as np
from scipy.spatial.transform import Rotation

from ..config import ConfigError
from ..frames import Topology
from ..io import read, read_topology
from ..store import read_toml
from .protocol import RECIPES, system

HEXANE_BOX_NM = 2.79573
HEXANE_TOP = RECIPES / "hexane.top"
"""The liquid's topology for both engines: OPLS-AA types and charges."""
NM3_KG_PER_M3_MOL = 1e27 / 1e3 / 6.02214076e23
"""Volume in nm³ of one molecule of 1 g/mol at 1 kg/m³."""
GAP_NM = 0.3
"""Between the molecules of a liquid that is still loose."""
MOST_ATOMS = 99_999
"""That a PDB file numbers."""


class Structure(NamedTuple):
    """Atoms and where they are: position (A, 3) nm; box (3,) nm, inf where not periodic."""

    topology: Topology
    position: np.ndarray
    box: np.ndarray


def peptide(name: str, start: str, *, chirality: str = "L") -> Structure:
    """Read one of the starts of a peptide between the caps ACE and NME, its omega angles trans.

    name: of a system; start: one of its conformations, a model of its PDB file, of which chirality "D" gives the mirror
    image. Raises ConfigError for an unknown system.
    """
    if chirality not in ("L", "D"):
        raise ConfigError(f"chirality: want L or D, got {chirality!r}")
    model, path = (system(name).starts + system(name).beyond).index(start), RECIPES / "starts" / f"{name}.pdb"
    topology = read_topology(path)
    position = np.asarray(read(path, topology, frame_ps=1.0).position[model], dtype=float)
    return Structure(topology, position * [1.0, 1.0, -1.0 if chirality == "D" else 1.0], np.full(3, np.inf))


def hexane(seed: int = 0) -> Structure:
    """Build the paper's 100 molecules of hexane in their cubic box, all-trans and stacked in three layers.

    Each is turned about its axis and perhaps upside down at random; a run melts this crystal before it counts.
    """
    random = np.random.default_rng(seed)
    molecule = np.array(read_toml(RECIPES / "hexane.toml")["position"])
    topology = read_topology(HEXANE_TOP)
    count = topology.n_atoms // len(molecule)
    per_side, layers = 6, 3
    spacing = HEXANE_BOX_NM / np.array([per_side, per_side, layers])
    sites = (np.indices((per_side, per_side, layers)).reshape(3, -1).T + 0.5) * spacing
    sites = sites[np.sort(random.permutation(len(sites))[:count])]
    position = []
    for site in sites:
        turn, flip = random.uniform(0, 2 * np.pi), random.choice([-1.0, 1.0])
        c, s = np.cos(turn), np.sin(turn)
        # Two axes change sign together: a proper rotation.
        position.append(molecule @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]]) * [1, flip, flip] + site)
    mass = np.array([mdtraj.element.Element.getBySymbol(symbol).mass for symbol in topology.elements])
    return Structure(replace(topology, mass=mass), np.concatenate(position), np.full(3, HEXANE_BOX_NM))


def liquid(models: list[Structure], n: int, density_kg_m3: float, seed: int) -> Structure:
    """Place n copies of a molecule, each in one of the models and turned at random, in a cube of the density.

    They stand on a lattice so wide that none can touch or thread another, beyond the walls of the cube: the engine brings
    them nearer, as it moves their atoms. Raises ConfigError for more atoms than a PDB file holds.
    """
    random, one = np.random.default_rng(seed), models[0].topology
    if n * one.n_atoms > MOST_ATOMS:
        raise ConfigError(
            f"--liquid {n}: want at most {MOST_ATOMS} atoms, so {MOST_ATOMS // one.n_atoms} molecules, got {n * one.n_atoms}"
        )
    centred = [model.position - model.position.mean(axis=0) for model in models]
    cell = 2 * max(np.linalg.norm(x, axis=1).max() for x in centred) + GAP_NM
    sites = np.indices((math.ceil(n ** (1 / 3)),) * 3).reshape(3, -1).T * cell
    sites = sites[random.permutation(len(sites))[:n]]
    turns = Rotation.from_quat(random.standard_normal((n, 4))).as_matrix()
    which = random.integers(len(models), size=n)
    position = [centred[k] @ turn + site for k, turn, site in zip(which, turns, sites, strict=True)]
    edge = (n * one.mass.sum() * NM3_KG_PER_M3_MOL / density_kg_m3) ** (1 / 3)
    return Structure(_copies(one, n), np.concatenate(position), np.full(3, edge))


def _copies(one: Topology, n: int) -> Topology:
    """The atoms of a molecule n times over, residues numbered through."""
    place = np.arange(n)[:, None]
    return Topology(
        names=one.names * n,
        residues=one.residues * n,
        residue_index=tuple((place * (max(one.residue_index) + 1) + one.residue_index).ravel().tolist()),
        elements=one.elements * n,
        mass=np.tile(one.mass, n),
        bonds=(place[..., None] * one.n_atoms + one.bonds).reshape(-1, 2),
    )
