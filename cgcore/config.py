"""Frozen, strict configurations.

Counts are chosen, times are derived; every physical number carries its unit in its name.
"""

import dataclasses
import difflib
import typing
from dataclasses import dataclass, field

from cgcore.errors import CgcoreError


class ConfigError(CgcoreError, ValueError):
    """A configuration that cannot be run, with what was wanted, what was found and the likely slip."""


PROTOCOLS = ("nvt", "nve", "inversion")
"""Langevin dynamics; constant energy with one time step after another; metadynamics between the enantiomers."""
FORCE_MAPS = ("sum", "optimised")
"""The force on a bead: the sum of its atoms', as in the paper, or the linear combination of least variance."""
PRIORS = ("repulsion", "barrier", "improper", "bonds")
"""What can be added to a trained potential: see `potentials.barrier` and `potentials.priors`."""
FRAME_PS = 0.5
"""Time between saved frames in the paper, ps."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which reference, map and bead types, which forces, and how the frames are split into contiguous blocks."""

    reference: str = "ala2"  # a set that comes with the project, or a folder
    residue: str = "ala"
    map: str = "core"
    typing: str = "published"
    force_map: str = "sum"
    mirror: bool = False  # learn from the mirror images
    frames: int | None = None  # of the reference, evenly spread; None for all
    blocks: int = 10  # contiguous blocks that the reference is cut into
    valid_blocks: int = 1  # of which so many are held out
    gap_ps: float = 5.0  # dropped at each side of a held-out block

    def __post_init__(self):
        positive(self, "frames", "blocks", "valid_blocks")
        check_word("force_map", self.force_map, FORCE_MAPS)
        if self.gap_ps < 0:
            raise ConfigError(f"DataConfig.gap_ps: want zero or more picoseconds, got {self.gap_ps}")
        if self.valid_blocks >= self.blocks:
            raise ConfigError(
                f"DataConfig: {self.valid_blocks} held-out blocks of {self.blocks} leave none to train on"
            )


@dataclass(frozen=True, kw_only=True)
class MACEConfig:
    """The paper's MACE: hidden 32x0e+32x1o, max_ell 3, 8 Bessel functions, envelope p = 6.

    Two options each remove a symmetry that a molecule may not have. symmetry "SO3" drops parity (hidden 32x0e+32x1e), so
    that mirror images may differ; bond_types tells the radial network how many bonds apart two beads are (1, 2, 3, or
    more or none), so that beads cannot exchange partners.
    """

    correlation: int = 2  # nu, factors in the symmetric contraction
    layers: int = 2
    cutoff_nm: float = 0.5
    channels: int = 32
    max_ell: int = 3
    n_bessel: int = 8
    envelope_power: int = 6
    radial_width: int = 64
    readout_width: int = 16
    symmetry: str = "O3"
    bond_types: bool = False

    def __post_init__(self):
        positive(self, *(f.name for f in dataclasses.fields(self) if f.name not in ("symmetry", "bond_types")))
        if self.correlation > 3:
            raise ConfigError(f"MACEConfig.correlation (nu): want 1, 2 or 3, got {self.correlation}")
        _check_symmetry(self, 3 if self.correlation == 1 else 2)


@dataclass(frozen=True, kw_only=True)
class NequIPConfig:
    """The paper's NequIP: hidden 32x0e+32x1o, harmonics up to max_ell 2, 8 Bessel functions.

    symmetry "SO3" takes all of them of even parity, so that mirror images may differ.
    """

    layers: int = 3
    cutoff_nm: float = 0.5
    channels: int = 32
    max_ell: int = 2
    n_bessel: int = 8
    radial_width: int = 64
    radial_depth: int = 2  # hidden layers of the radial network
    symmetry: str = "O3"

    def __post_init__(self):
        positive(self, *(f.name for f in dataclasses.fields(self) if f.name != "symmetry"))
        _check_symmetry(self, 3)


def _check_symmetry(config, layers: int):
    """Raise ConfigError for an unknown symmetry, and for SO3 with fewer layers than a pseudoscalar takes.

    A pseudoscalar is a vector times a vector product. MACE forms the product of two neighbours' vectors in the second
    layer, and multiplies in the same layer if nu > 1; NequIP, which forms no products of messages, in the third.
    """
    name = type(config).__name__
    if config.symmetry not in ("O3", "SO3"):
        raise ConfigError(f"{name}.symmetry: want 'O3' (mirror images are alike) or 'SO3', got {config.symmetry!r}")
    if config.symmetry == "SO3" and config.layers < layers:
        raise ConfigError(
            f"{name}.symmetry = 'SO3': want at least {layers} layers, got {config.layers}; with fewer no pseudoscalar of "
            "the surroundings is formed, and mirror images would still be alike"
        )


@dataclass(frozen=True, kw_only=True)
class SplineConfig:
    """Knots of the classical potentials, spaced as in the paper; where they begin and end is read from the data."""

    cutoff_nm: float = 1.0
    pair_step_nm: float = 0.02
    bond_step_nm: float = 0.005
    angle_step_rad: float = 0.05
    dihedral_step_rad: float = 0.314  # rounded to a whole number of intervals
    min_samples: int = 10  # an interval at either end with fewer is left out
    zero_force_at_cutoff: bool = True  # else only the energy, as csg_fmatch does

    def __post_init__(self):
        steps = [f.name for f in dataclasses.fields(self) if f.name.endswith(("_nm", "_rad"))]
        positive(self, "min_samples", *steps)
        if self.cutoff_nm < 4 * self.pair_step_nm:
            raise ConfigError(
                f"SplineConfig: want a cut-off of at least four knots, got {self.cutoff_nm} nm in steps of "
                f"{self.pair_step_nm} nm"
            )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Force matching with the paper's optimiser: Nesterov Adam, weight decay, exponential decay over the whole run."""

    epochs: int = 50
    batch_size: int = 32
    learning_rate: float = 1e-3
    learning_rate_decay: float = 0.9  # factor over the whole run
    b1: float = 0.9
    b2: float = 0.995
    eps: float = 1e-8
    weight_decay: float = 1e-3
    seed: int = 22

    def __post_init__(self):
        positive(self, "epochs", "batch_size", "learning_rate", "learning_rate_decay", "eps")


@dataclass(frozen=True, kw_only=True)
class MDConfig:
    """Dynamics of many replicas; a frame every `steps_per_frame` steps, the start not included.

    ensemble: "nvt", Langevin dynamics, or "nve", constant energy from velocities of the temperature.
    """

    replicas: int = 100
    n_frames: int = 10_000
    steps_per_frame: int = 250
    dt_ps: float = 0.002
    temperature_K: float = 300.0
    friction_per_ps: float = 100.0
    bond_tolerance_nm: float = 0.05  # a molecule's bond further than this from its reference mean counts as broken
    thermal_limit_kJ_mol: float = 5.0  # a liquid of this thermal energy, twice that of 300 K, counts as failed
    seed: int = 0
    ensemble: str = "nvt"

    def __post_init__(self):
        if self.ensemble not in ("nvt", "nve"):
            raise ConfigError(f"MDConfig.ensemble: want 'nvt' (Langevin) or 'nve', got {self.ensemble!r}")
        positive(self, "replicas", "n_frames", "steps_per_frame", "dt_ps", "temperature_K", "friction_per_ps")
        positive(self, "bond_tolerance_nm", "thermal_limit_kJ_mol")

    @property
    def frame_ps(self) -> float:
        return self.dt_ps * self.steps_per_frame

    @property
    def length_ps(self) -> float:
        return self.frame_ps * self.n_frames


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run of a template, with nothing left open.

    train is None for splines, which are solved for. With the protocol "nve", md holds replicas, length and seed of the
    simulations with every time step.
    """

    system: str
    protocol: str = "nvt"
    data: DataConfig = field(default_factory=DataConfig)
    potential: MACEConfig | NequIPConfig | SplineConfig = field(default_factory=MACEConfig)
    train: TrainConfig | None = None
    prior: tuple[str, ...] = ()
    md: MDConfig = field(default_factory=MDConfig)

    def __post_init__(self):
        check_word("protocol", self.protocol, PROTOCOLS)
        for name in self.prior:
            check_word("prior", name, PRIORS)

    def resolved(self) -> dict:
        """All settings as plain values, the kind of potential among them."""
        config = dataclasses.asdict(self) | {"prior": list(self.prior)}
        return config | {"potential": {"potential": self.kind} | config["potential"]}

    @property
    def kind(self) -> str:
        """Which potential it is: mace, nequip or spline."""
        return type(self.potential).__name__.removesuffix("Config").lower()


def from_dict(cls, raw: dict):
    """Build a config dataclass, nested ones too, from plain values; unknown keys and wrong types are errors."""
    if not isinstance(raw, dict):
        raise ConfigError(f"{cls.__name__}: want a table of settings, got {raw!r} ({type(raw).__name__})")
    hints = typing.get_type_hints(cls)
    for key in raw.keys() - hints.keys():
        raise ConfigError(f"{cls.__name__}: unknown key {key!r}; known are {sorted(hints)}{did_you_mean(key, hints)}")
    values = {}
    for key, value in raw.items():
        nested = next((t for t in (hints[key], *typing.get_args(hints[key])) if dataclasses.is_dataclass(t)), None)
        if isinstance(value, (list, tuple)) and typing.get_origin(hints[key]) is tuple:
            values[key] = tuple(value)
        elif nested and not (value is None and type(None) in typing.get_args(hints[key])):
            values[key] = from_dict(nested, value)
        else:
            check_type(f"{cls.__name__}.{key}", value, hints[key])
            values[key] = value
    return cls(**values)


def check_type(name: str, value, hint):
    """Raise ConfigError unless value is of the hinted type; whole numbers pass as floats, bools never as numbers."""
    allowed = typing.get_args(hint) or (hint,)
    if float in allowed:
        allowed += (int,)
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        wanted = " or ".join(getattr(t, "__name__", str(t)) for t in allowed)
        slip = "; it is quoted" if isinstance(value, str) and str not in allowed else ""
        raise ConfigError(f"{name}: want {wanted}, got {value!r} ({type(value).__name__}){slip}")


def check_word(name: str, value, known):
    """Raise ConfigError unless value is one of the known words, with the one that was likely meant."""
    if value not in known:
        raise ConfigError(f"{name}: want one of {sorted(known)}, got {value!r}{did_you_mean(value, known)}")


def positive(config, *names: str):
    """Raise ConfigError unless the named fields are positive (None passes)."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not 0 < value < float("inf"):
            raise ConfigError(f"{type(config).__name__}.{name}: want a positive number, got {value}")


def did_you_mean(word, known) -> str:
    """A hint when a known word is near, else nothing."""
    near = difflib.get_close_matches(str(word), [str(k) for k in known], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
