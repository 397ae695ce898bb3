"""Frozen, strict configurations.

Counts are chosen, times are derived; every physical number carries its unit in its name.
"""

import dataclasses
import difflib
import math
import numbers
import typing
from dataclasses import dataclass, field

from cgcore.errors import CgcoreError


class ConfigError(CgcoreError, ValueError):
    """A configuration that cannot be run, with what was wanted, what was found and the likely slip."""


PROTOCOLS = ("nvt", "nve", "inversion")
"""Langevin dynamics; constant energy with one time step after another; metadynamics between the enantiomers."""
FORCE_MAPS = ("sum", "optimised")
"""The force on a bead: the sum of its atoms', as in the paper, or the linear combination of least variance."""
WEIGHTS = ("boltzmann", "none")
"""In the loss: exp(V / kT), as for a run without bias; or all alike, so that barriers count, too. The mean force is the same
where the beads have the four atoms of the biased dihedral."""
SYMMETRIES = ("O3", "SO3")
"""Of a network: mirror images have the same energy, or may differ."""
PRIORS = ("repulsion", "barrier", "improper", "bonds")
"""What can be added to a trained potential: see `potentials.barrier` and `potentials.priors`."""
FRAME_PS = 0.5
"""Time between saved frames in the paper, ps."""
SEED = {"least": 0, "most": 2**31 - 1}
"""Limits of a seed."""


def number(default, **limits):
    """A field of a `Checked` configuration that holds a number within limits, as `check_range` takes them."""
    return field(default=default, metadata={"limits": limits})


def word(default: str, known: tuple[str, ...]):
    """A field of a `Checked` configuration that holds one of the known words."""
    return field(default=default, metadata={"known": known})


class Checked:
    """A configuration whose fields are held to their types and limits however it is built: read, or made in Python."""

    def __post_init__(self):
        hints = typing.get_type_hints(type(self))
        for entry in dataclasses.fields(self):
            name, value = f"{type(self).__name__}.{entry.name}", getattr(self, entry.name)
            check_type(name, value, hints[entry.name])
            check_range(name, value, **entry.metadata.get("limits", {}))
            if "known" in entry.metadata:
                check_word(name, value, entry.metadata["known"])


@dataclass(frozen=True, kw_only=True)
class DataConfig(Checked):
    """Which reference, map and bead types, which forces, and how the frames are split into contiguous blocks."""

    reference: str = "ala2"  # a set that comes with the project, or a folder
    residue: str | None = None  # that the topology must hold, for maps of several
    map: str = "core"
    typing: str = "published"
    force_map: str = word("sum", FORCE_MAPS)
    mirror: bool = False  # learn from the mirror images
    frames: int | None = number(None, least=1)  # of the reference, evenly spread; None for all
    weights: str = word("boltzmann", WEIGHTS)  # what frames of a reference with a bias count in the loss
    blocks: int = number(10, least=2, most=100_000)  # contiguous blocks that the reference is cut into
    valid_blocks: int = number(1, least=1)  # of which so many are held out
    gap_ps: float = number(5.0, least=0)  # dropped at each side of a held-out block

    def __post_init__(self):
        super().__post_init__()
        if self.valid_blocks >= self.blocks:
            raise ConfigError(
                f"DataConfig: {self.valid_blocks} held-out blocks of {self.blocks} leave none to train on"
            )


@dataclass(frozen=True, kw_only=True)
class MACEConfig(Checked):
    """The paper's MACE: hidden 32x0e+32x1o, max_ell 3, 8 Bessel functions, envelope p = 6.

    Two options each remove a symmetry that a molecule may not have. symmetry "SO3" drops parity (hidden 32x0e+32x1e), so
    that mirror images may differ; bond_types tells the radial network how many bonds apart two beads are (1, 2, 3, or
    more or none), so that beads cannot exchange partners.
    """

    correlation: int = number(2, least=1, most=3)  # nu, factors in the symmetric contraction
    layers: int = number(2, least=1, most=20)
    cutoff_nm: float = number(0.5, above=0, most=100)
    channels: int = number(32, least=1, most=10_000)
    max_ell: int = number(3, least=1, most=20)
    n_bessel: int = number(8, least=1, most=1000)
    envelope_power: int = number(6, least=1, most=1000)
    radial_width: int = number(64, least=1, most=100_000)
    readout_width: int = number(16, least=1, most=100_000)
    symmetry: str = word("O3", SYMMETRIES)
    bond_types: bool = False

    def __post_init__(self):
        super().__post_init__()
        _check_symmetry(self, 3 if self.correlation == 1 else 2)


@dataclass(frozen=True, kw_only=True)
class NequIPConfig(Checked):
    """The paper's NequIP: hidden 32x0e+32x1o, harmonics up to max_ell 2, 8 Bessel functions.

    symmetry "SO3" takes all of them of even parity, so that mirror images may differ.
    """

    layers: int = number(3, least=1, most=20)
    cutoff_nm: float = number(0.5, above=0, most=100)
    channels: int = number(32, least=1, most=10_000)
    max_ell: int = number(2, least=1, most=20)
    n_bessel: int = number(8, least=1, most=1000)
    radial_width: int = number(64, least=1, most=100_000)
    radial_depth: int = number(2, least=1, most=20)  # hidden layers of the radial network
    symmetry: str = word("O3", SYMMETRIES)

    def __post_init__(self):
        super().__post_init__()
        _check_symmetry(self, 3)


def _check_symmetry(config, layers: int):
    """Raise ConfigError for SO3 with fewer layers than a pseudoscalar takes.

    A pseudoscalar is a vector times a vector product. MACE forms the product of two neighbours' vectors in the second
    layer, and multiplies in the same layer if nu > 1; NequIP, which forms no products of messages, in the third.
    """
    name = type(config).__name__
    if config.symmetry == "SO3" and config.layers < layers:
        raise ConfigError(
            f"{name}.symmetry = 'SO3': want at least {layers} layers, got {config.layers}; with fewer no pseudoscalar of "
            "the surroundings is formed, and mirror images would still be alike"
        )


@dataclass(frozen=True, kw_only=True)
class SplineConfig(Checked):
    """Knots of the classical potentials, spaced as in the paper; where they begin and end is read from the data."""

    cutoff_nm: float = number(1.0, above=0, most=100)
    pair_step_nm: float = number(0.02, least=1e-4, most=10)
    bond_step_nm: float = number(0.005, least=1e-4, most=10)
    angle_step_rad: float = number(0.05, least=1e-3, most=math.pi)
    dihedral_step_rad: float = number(0.314, least=1e-3, most=math.pi)  # rounded to a whole number of intervals
    min_samples: int = number(10, least=1)  # an interval at either end with fewer is left out
    zero_force_at_cutoff: bool = True  # else only the energy, as csg_fmatch does

    def __post_init__(self):
        super().__post_init__()
        if self.cutoff_nm < 4 * self.pair_step_nm:
            raise ConfigError(
                f"SplineConfig: want a cut-off of at least four knots, got {self.cutoff_nm} nm in steps of "
                f"{self.pair_step_nm} nm"
            )


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Checked):
    """Force matching with the paper's optimiser: Nesterov Adam, weight decay, exponential decay over the whole run."""

    epochs: int = number(50, least=1, most=10_000_000)
    batch_size: int = number(32, least=1, most=10_000_000)
    learning_rate: float = number(1e-3, above=0)
    learning_rate_decay: float = number(0.9, above=0)  # factor over the whole run
    b1: float = number(0.9, least=0, below=1)
    b2: float = number(0.995, least=0, below=1)
    eps: float = number(1e-8, above=0, most=1)
    weight_decay: float = number(1e-3, least=0, most=1000)
    seed: int = number(22, **SEED)


@dataclass(frozen=True, kw_only=True)
class MDConfig(Checked):
    """Dynamics of many replicas; a frame every `steps_per_frame` steps, the start not included.

    ensemble: "nvt", Langevin dynamics, or "nve", constant energy from velocities of the temperature.
    """

    replicas: int = number(100, least=1, most=1_000_000)
    n_frames: int = number(10_000, least=1, most=100_000_000)
    steps_per_frame: int = number(250, least=1, most=10_000_000)
    dt_ps: float = number(0.002, least=1e-6, most=1)
    temperature_K: float = number(300.0, above=0, most=1_000_000)
    friction_per_ps: float = number(100.0, above=0, most=1_000_000)
    # A molecule's bond further than this from its reference mean counts as broken.
    bond_tolerance_nm: float = number(0.05, above=0)
    # A liquid of this thermal energy, twice that of 300 K, counts as failed.
    thermal_limit_kJ_mol: float = number(5.0, above=0)
    seed: int = number(0, **SEED)
    ensemble: str = word("nvt", ("nvt", "nve"))

    @property
    def frame_ps(self) -> float:
        return self.dt_ps * self.steps_per_frame

    @property
    def length_ps(self) -> float:
        return self.frame_ps * self.n_frames


@dataclass(frozen=True, kw_only=True)
class RunConfig(Checked):
    """One run of a template, with nothing left open.

    train is None for splines, which are solved for. With the protocol "nve", md holds replicas, length and seed of the
    simulations with every time step.
    """

    system: str
    protocol: str = word("nvt", PROTOCOLS)
    data: DataConfig = field(default_factory=DataConfig)
    potential: MACEConfig | NequIPConfig | SplineConfig = field(default_factory=MACEConfig)
    train: TrainConfig | None = None
    prior: tuple[str, ...] = ()
    md: MDConfig = field(default_factory=MDConfig)

    def __post_init__(self):
        super().__post_init__()
        for name in self.prior:
            check_word("prior", name, PRIORS)

    def resolved(self) -> dict:
        """All settings as plain values, the kind of potential among them."""
        config = dataclasses.asdict(self) | {"prior": list(self.prior)}
        if self.data.weights == WEIGHTS[0]:  # younger than many runs, whose names stay
            del config["data"]["weights"]
        return config | {"potential": {"potential": self.kind} | config["potential"]}

    @property
    def kind(self) -> str:
        """Which potential it is: mace, nequip or spline."""
        return next(kind for kind, cls in POTENTIALS.items() if isinstance(self.potential, cls))


POTENTIALS = {"mace": MACEConfig, "nequip": NequIPConfig, "spline": SplineConfig}
"""The kinds of potentials, by name."""


def from_resolved(raw: dict) -> RunConfig:
    """The configuration that `RunConfig.resolved` gave, as a run's manifest has it; what is younger takes its default."""
    potential = dict(raw["potential"])
    check_word("potential", kind := potential.pop("potential", None), POTENTIALS)
    config = from_dict(RunConfig, {key: value for key, value in raw.items() if key != "potential"})
    return dataclasses.replace(config, potential=from_dict(POTENTIALS[kind], potential))


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
            values[key] = value
    return cls(**values)


def check_type(name: str, value, hint):
    """Raise ConfigError unless value is of the hinted type; whole numbers pass as floats, bools never as numbers."""
    if typing.get_origin(hint) is tuple:
        hint = tuple
    wanted = typing.get_args(hint) or (hint,)
    allowed = tuple({int: numbers.Integral, float: numbers.Real}.get(t, t) for t in wanted)  # NumPy's numbers as well
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        words = " or ".join(getattr(t, "__name__", str(t)) for t in wanted)
        slip = "; it is quoted" if isinstance(value, str) and str not in allowed else ""
        raise ConfigError(f"{name}: want {words}, got {value!r} ({type(value).__name__}){slip}")


def check_range(name: str, value, *, least=-math.inf, above=-math.inf, most=math.inf, below=math.inf):
    """Raise ConfigError unless a number is finite and within its limits; None and what is no number pass."""
    if not isinstance(value, numbers.Real) or (least <= value <= most and above < value < below):
        return
    limits = {"more than": above, "at least": least, "less than": below, "at most": most}
    wanted = " and ".join(f"{words} {limit}" for words, limit in limits.items() if abs(limit) < math.inf)
    raise ConfigError(f"{name}: want {wanted or 'a finite number'}, got {value}")


def whole_frames(name: str, length: float, frame: float) -> int:
    """How many frames a length is, both in one unit. Raises ConfigError unless it is a whole number of them, 10^8 at most."""
    check_type(name, length, float)
    check_range(name, length, least=frame, most=frame * 100_000_000)
    n = round(length / frame)
    if abs(n * frame - length) > 1e-6 * length:
        raise ConfigError(f"{name}: want whole frames of {frame:g}, as {n * frame:g}, got {length}")
    return n


def check_word(name: str, value, known, otherwise: str = ""):
    """Raise ConfigError unless value is one of the known words, with the one that was likely meant, and what else there is."""
    if not isinstance(value, str) or value not in known:
        raise ConfigError(f"{name}: want one of {sorted(known)}, got {value!r}{did_you_mean(value, known)}{otherwise}")


def did_you_mean(word, known) -> str:
    """A hint when a known word is near, else nothing."""
    words = {str(k).lower(): str(k) for k in known}
    near = difflib.get_close_matches(str(word).lower(), words, n=1)
    return f"; did you mean {words[near[0]]!r}?" if near else ""
