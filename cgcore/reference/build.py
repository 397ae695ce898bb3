"""Where atoms begin: capped peptides as recipes/starts has them, and a box of hexane. Names are those of GROMACS.

Starting structures only: bonds and angles are ideal, clashes are left to a minimisation.
"""

from dataclasses import replace
from typing import NamedTuple

import mdtraj
import numpy as np

from ..config import ConfigError
from ..frames import Topology
from ..io import read, read_topology
from ..store import read_toml
from .protocol import RECIPES, system

HEXANE_BOX_NM = 2.79573
HEXANE_TOP = RECIPES / "hexane.top"
"""The liquid's topology for both engines: OPLS-AA types and charges."""


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
