"""Well-tempered metadynamics of the replicas of a simulation.

`config` holds the settings; `variables` makes functions of positions out of names of beads; `grid` is the energy between
the points of a grid; `bias` grows it; `hills` reads and writes what was added; `reweight` gets unbiased averages back;
`walk` is what a run left of each frame; `inversion` is the study's barrier of chiral inversion.
"""

from .bias import well_tempered
from .config import BiasedConfig, MetadynamicsConfig, MetadynamicsError, Variable
from .hills import Hills, hills_of, read_hills, write_hills
from .variables import Collective, collectives
from .walk import Walk, walk_of

__all__ = [
    "BiasedConfig",
    "Collective",
    "Hills",
    "MetadynamicsConfig",
    "MetadynamicsError",
    "Variable",
    "Walk",
    "collectives",
    "hills_of",
    "read_hills",
    "walk_of",
    "well_tempered",
    "write_hills",
]
