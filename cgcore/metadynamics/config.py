"""Settings of a metadynamics: along what it goes, how high and how often its hills are."""

import math
from dataclasses import dataclass

from cgcore.errors import CgcoreError

from ..config import ConfigError, MDConfig, positive
from ..units import KCAL


class MetadynamicsError(CgcoreError, ValueError):
    """A metadynamics that cannot begin or go on, with what was wanted and what was found."""


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A collective variable s = sum_k c_k q_k: q_k a distance of two beads (nm), an angle of three or a dihedral of four (rad).

    An improper dihedral is one of four beads that are no chain, such as (N, CA, CB, C) around CA. Dihedrals with whole
    coefficients make a variable of period 2 pi, on a grid from -pi to pi; any other needs bounds, beyond which the bias
    stays what it is at the bound and no hills are added.
    """

    name: str
    beads: tuple[tuple[str, ...], ...]  # of each term
    width: float  # of the hills, in the unit of the variable
    coefficients: tuple[float, ...] = (1.0,)  # of the terms
    low: float | None = None
    high: float | None = None
    spacing: float | None = None  # of the grid; None for a fifth of the width

    def __post_init__(self):
        where = f"Variable {self.name!r}"
        if not self.name or set(self.name) & set(" \t\n#"):
            raise ConfigError(f"{where}: want a name of one word, since hills files have it as a column")
        if not self.beads or isinstance(self.beads[0], str):
            raise ConfigError(f'{where}: want terms of beads, such as (("N", "CA", "CB", "C"),), got {self.beads!r}')
        if wrong := [term for term in self.beads if not 2 <= len(set(term)) == len(term) <= 4]:
            raise ConfigError(f"{where}: want two, three or four different beads in a term, got {wrong[0]!r}")
        if len(self.coefficients) != len(self.beads):
            raise ConfigError(
                f"{where}: want one coefficient a term, got {len(self.coefficients)} for {len(self.beads)} terms"
            )
        positive(self, "width", "spacing")
        if self.periodic and (self.low, self.high) != (None, None):
            raise ConfigError(
                f"{where}: a dihedral has the period 2 pi, want no bounds, got {self.low} and {self.high}"
            )
        if not self.periodic and (self.low is None or self.high is None or not self.low < self.high):
            raise ConfigError(f"{where}: want bounds low < high of its grid, got {self.low} and {self.high}")
        if self.spacing is not None and self.width < self.spacing:
            raise ConfigError(
                f"{where}: hills of width {self.width:g} are below the grid spacing {self.spacing:g}, so that they would "
                "fall between its points; want a width of at least the spacing, better five times that"
            )

    @property
    def periodic(self) -> bool:
        """Whether all terms are dihedrals with whole coefficients."""
        return all(len(b) == 4 and float(c).is_integer() for b, c in zip(self.beads, self.coefficients, strict=True))

    @property
    def bounds(self) -> tuple[float, float]:
        return (-math.pi, math.pi) if self.periodic else (self.low, self.high)

    @property
    def bins(self) -> int:
        """Intervals of the grid."""
        low, high = self.bounds
        return max(2, math.ceil((high - low) / (self.spacing or self.width / 5) - 1e-9))


@dataclass(frozen=True, kw_only=True)
class MetadynamicsConfig:
    """Well-tempered metadynamics with the study's hills by default.

    Of replicas with a shared bias each feels the hills of all; else each has its own, and they are independent runs.
    """

    variables: tuple[Variable, ...] = ()
    height_kJ_mol: float = 0.2 * KCAL  # of the first hill
    bias_factor: float | None = 5.0  # gamma; None for hills that stay as high as the first
    pace: int = 500  # steps between hills
    shared: bool = False

    def __post_init__(self):
        positive(self, "height_kJ_mol", "pace")
        if self.bias_factor is not None and not 1 < self.bias_factor < math.inf:
            raise ConfigError(
                f"MetadynamicsConfig.bias_factor: want more than 1, or None for hills of one height, got {self.bias_factor}"
            )
        if len(names := [v.name for v in self.variables]) != len(set(names)):
            raise ConfigError(f"MetadynamicsConfig.variables: want different names, got {names}")

    @property
    def deepening(self) -> float:
        """gamma / (gamma - 1): F = -this times the bias, in the long run."""
        return 1.0 if self.bias_factor is None else self.bias_factor / (self.bias_factor - 1)

    def frames_per_hill(self, md: MDConfig) -> int:
        """Frames from hill to hill. Raises MetadynamicsError unless hills come at the end of a frame."""
        if self.pace % md.steps_per_frame:
            raise MetadynamicsError(
                f"a hill every {self.pace} steps, but frames of {md.steps_per_frame}: want a multiple, for hills are added "
                "between frames"
            )
        return self.pace // md.steps_per_frame


@dataclass(frozen=True, kw_only=True)
class BiasedConfig:
    """All that a simulation with a bias depends on besides its model, so that a run can be named by it."""

    md: MDConfig
    metadynamics: MetadynamicsConfig
