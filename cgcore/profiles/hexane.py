"""From a hexane notebook's parameters to configurations: one template, profiles that differ in numbers alone."""

from dataclasses import dataclass, field

from ..config import (
    ConfigError,
    DataConfig,
    MACEConfig,
    MDConfig,
    NequIPConfig,
    SplineConfig,
    TrainConfig,
    check_type,
    from_dict,
)
from .common import FORCE_MAPS, PRIORS, check_word, langevin, network

CUTOFF_NM = {"four_site": 0.65, "three_site": 0.70, "two_site": 0.80, "six_site": 0.65}
"""The larger of the study's two cut-offs for each map; the six-site map, which it has no table for, as the four-site."""

BUNDLED = "hexane"
"""The set that comes with the project, with which every liquid is compared."""

POTENTIALS = {"mace": MACEConfig, "nequip": NequIPConfig, "spline": SplineConfig}

HEXANE = {
    "quick": dict(
        frames=150,
        train=dict(epochs=1, batch_size=1, learning_rate=4e-3, learning_rate_decay=0.03),
        replicas=2,
        length_ps=10.0,
    ),
    "laptop": dict(
        frames=None,
        train=dict(epochs=2, batch_size=1, learning_rate=4e-3, learning_rate_decay=0.03),
        replicas=4,
        length_ps=60.0,
    ),
    "gpu": dict(
        frames=None,
        train=dict(epochs=4, batch_size=8, learning_rate=4e-3, learning_rate_decay=0.01),
        replicas=20,
        length_ps=60.0,
    ),
    "paper": dict(frames=None, train=dict(epochs=50), replicas=50, length_ps=1000.0),
}
"""What the profiles set. A CPU is given few updates of one frame each, at a rate that falls further; a graphics card more
of eight frames, for a reference of thousands; `paper` has the study's."""


@dataclass(frozen=True, kw_only=True)
class LiquidFitConfig:
    """All that a potential of the liquid depends on. force_map: "sum" of a bead's atoms, or the "optimal" one, of least
    noise; potential: the configuration of one kind. Splines are not trained but solved for."""

    data: DataConfig
    potential: MACEConfig | NequIPConfig | SplineConfig
    train: TrainConfig | None
    force_map: str = "sum"


@dataclass(frozen=True, kw_only=True)
class LiquidConfig:
    """One run of the hexane notebook. learn_from: a set, or a folder of `cgcore reference`; prior: "unseen" joins the fitted
    potential with `potentials.unseen`, or "none"."""

    profile: str
    kind: str
    fit: LiquidFitConfig
    learn_from: str = BUNDLED
    prior: str = "none"
    md: MDConfig = field(default_factory=MDConfig)


def hexane_config(
    *,
    profile: str = "quick",
    map: str = "three_site",
    typing: str = "study",
    learn_from: str = BUNDLED,
    potential: str = "mace",
    nu: int = 2,
    layers: int | None = None,
    cutoff_nm: float | None = None,
    bond_types: bool = False,
    force_map: str = "sum",
    prior: str = "none",
    frames: int | None = None,
    epochs: int | None = None,
    replicas: int | None = None,
    length_ps: float | None = None,
    seed: int = 22,
) -> LiquidConfig:
    """A run's configuration from the notebook's parameters; None takes the profile's, the map's or the network's value.

    nu and bond_types are of MACE only; splines have neither layers nor a cut-off to choose.
    Raises ConfigError for an unknown profile, map, potential, force map or prior, and for values of the wrong type or range.
    """
    for name, value, known in (
        ("profile", profile, HEXANE),
        ("map", map, CUTOFF_NM),
        ("potential", potential, POTENTIALS),
        ("force_map", force_map, FORCE_MAPS),
        ("prior", prior, PRIORS),
    ):
        check_word(name, value, known)
    check_type("learn_from", learn_from, str)
    numbers = HEXANE[profile]
    data = dict(residue="hex", map=map, typing=typing, valid_blocks=2)
    train = numbers["train"] | dict(seed=seed) | ({} if epochs is None else dict(epochs=epochs))
    return LiquidConfig(
        profile=profile,
        kind=potential,
        fit=LiquidFitConfig(
            data=from_dict(DataConfig, data | dict(frames=numbers["frames"] if frames is None else frames)),
            potential=_potential(potential, map, nu, layers, cutoff_nm, bond_types),
            train=None if potential == "spline" else from_dict(TrainConfig, train),
            force_map=force_map,
        ),
        learn_from=learn_from,
        prior=prior,
        md=langevin(numbers, replicas, length_ps, seed),
    )


def _potential(kind: str, map: str, nu: int, layers: int | None, cutoff_nm: float | None, bond_types: bool):
    if kind != "spline":
        cutoff_nm = CUTOFF_NM[map] if cutoff_nm is None else cutoff_nm
        return from_dict(POTENTIALS[kind], network(kind, layers, nu, bond_types, cutoff_nm=cutoff_nm))
    if (nu, layers, cutoff_nm, bond_types) != (2, None, None, False):
        given = f"nu = {nu}, layers = {layers}, cutoff_nm = {cutoff_nm}, bond_types = {bond_types}"
        raise ConfigError(f"nu, layers, cutoff_nm and bond_types are settings of networks, not of splines; got {given}")
    return SplineConfig()
