"""Well-tempered metadynamics of independent replicas along one periodic variable.

`config` holds the settings; `grid` is the energy between the points of a grid; `bias` grows it, and reads back what a
run left of each frame; `barrier` finds the saddle of a free energy and the rate over it; `inversion` puts them together for
the paper's barrier of chiral inversion.
"""

from .bias import BiasedTrajectory, Variable, biased_trajectory, dihedral, final_bias, reweighting, well_tempered
from .config import MetadynamicsConfig, MetadynamicsError
