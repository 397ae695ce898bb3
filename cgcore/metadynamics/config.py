"""Settings of a metadynamics: along which dihedral it goes, how high and how often its hills are."""

import math
from dataclasses import dataclass

from cgcore.errors import CgcoreError

from ..config import Checked, ConfigError, MDConfig, number
from ..units import KCAL


class MetadynamicsError(CgcoreError, ValueError):
    """A metadynamics that cannot begin or go on, with what was wanted and what was found."""


@dataclass(frozen=True, kw_only=True)
class MetadynamicsConfig(Checked):
    """Well-tempered metadynamics along one dihedral, the paper's by default: N-CA-CB-C, improper, around CA.

    Each replica has its own bias, so that replicas are independent runs. The grid has five points a width.
    Raises ConfigError for values that cannot be.
    """

    beads: tuple[str, str, str, str] = ("N", "CA", "CB", "C")
    width: float = number(0.1, least=1e-3, most=math.pi)  # of the hills, rad
    height_kJ_mol: float = number(0.2 * KCAL, above=0)  # of the first hill
    bias_factor: float = number(5.0, above=1)  # gamma
    pace: int = number(500, least=1)  # steps between hills
    growing_frames: int | None = number(
        None, least=1
    )  # from then on replicas share their mean bias, which stands; None: it grows
    symmetric: bool = False  # every hill at s and at -s, where mirror images have one energy and F(s) = F(-s)

    def __post_init__(self):
        super().__post_init__()
        if not len(set(self.beads)) == len(self.beads) == 4:
            raise ConfigError(f"MetadynamicsConfig.beads: want four different beads of a dihedral, got {self.beads!r}")

    @property
    def deepening(self) -> float:
        """gamma / (gamma - 1): F = -this times the bias, in the long run."""
        return self.bias_factor / (self.bias_factor - 1)

    @property
    def bins(self) -> int:
        """Intervals of the grid from -pi to pi."""
        return max(2, math.ceil(2 * math.pi / (self.width / 5) - 1e-9))

    def frames_per_hill(self, md: MDConfig) -> int:
        """Frames from hill to hill. Raises MetadynamicsError unless hills come at the end of a frame."""
        if self.pace % md.steps_per_frame:
            raise MetadynamicsError(
                f"a hill every {self.pace} steps, but frames of {md.steps_per_frame}: want a multiple, for hills are added "
                "between frames"
            )
        return self.pace // md.steps_per_frame
