"""From the polyalanine notebook's parameters to configurations: one template, three profiles that differ in numbers
alone."""

from dataclasses import dataclass, field

from ..config import (
    DataConfig,
    MACEConfig,
    MDConfig,
    NequIPConfig,
    TrainConfig,
    check_type,
    from_dict,
)
from .common import FORCE_MAPS, PRIORS, check_word, langevin, network

CUTOFF_NM = {"chain_ca": 1.2, "chain_core": 0.5, "chain_core_beta": 0.5}
"""The study's cut-off for CA, and that of its amino acids for the backbones."""

POTENTIALS = {"mace": MACEConfig, "nequip": NequIPConfig}

CHAIN = {
    "quick": dict(
        frames=670,
        train=dict(epochs=1, batch_size=4, learning_rate=4e-3, learning_rate_decay=0.03),
        replicas=4,
        length_ps=5.0,
    ),
    "laptop": dict(
        frames=None,
        train=dict(epochs=4, batch_size=4, learning_rate=4e-3, learning_rate_decay=0.01),
        replicas=20,
        length_ps=500.0,
    ),
    "paper": dict(frames=None, train=dict(epochs=50), replicas=100, length_ps=5000.0),
}
"""What the profiles set. A CPU is given fewer updates of fewer frames, at a rate that falls further; `paper` has the
study's."""

BLOCKS = 10
"""Of the reference's twenty runs, which start as a helix and stretched out in turn: a block is one of each, and one of ten
blocks is held out."""


@dataclass(frozen=True, kw_only=True)
class ChainFitConfig:
    """All that a potential of the chain depends on. force_map: "sum" of a bead's atoms, or the "optimal" one, of least
    noise; mirror: whether it learns from the mirror images of the reference, a chain of D-alanine."""

    data: DataConfig
    potential: MACEConfig | NequIPConfig
    train: TrainConfig
    force_map: str = "sum"
    mirror: bool = False


@dataclass(frozen=True, kw_only=True)
class ChainConfig:
    """One run of the polyalanine notebook. prior: "unseen" joins the fitted potential with `potentials.unseen`, or
    "none"."""

    profile: str
    kind: str
    fit: ChainFitConfig
    prior: str = "none"
    md: MDConfig = field(default_factory=MDConfig)


def chain_config(
    *,
    profile: str = "quick",
    map: str = "chain_ca",
    typing: str = "study",
    potential: str = "mace",
    nu: int = 2,
    layers: int | None = None,
    cutoff_nm: float | None = None,
    symmetry: str = "O3",
    bond_types: bool = False,
    force_map: str = "sum",
    prior: str = "none",
    mirror: bool = False,
    frames: int | None = None,
    epochs: int | None = None,
    replicas: int | None = None,
    length_ps: float | None = None,
    seed: int = 22,
) -> ChainConfig:
    """A run's configuration from the notebook's parameters; None takes the profile's, the map's or the network's value.

    nu and bond_types are of MACE only. Raises ConfigError for an unknown profile, map, potential, force map or prior,
    and for values of the wrong type or range.
    """
    for name, value, known in (
        ("profile", profile, CHAIN),
        ("map", map, CUTOFF_NM),
        ("potential", potential, POTENTIALS),
        ("force_map", force_map, FORCE_MAPS),
        ("prior", prior, PRIORS),
    ):
        check_word(name, value, known)
    numbers = CHAIN[profile]
    data = dict(residue="ala", map=map, typing=typing, blocks=BLOCKS)
    train = numbers["train"] | dict(seed=seed) | ({} if epochs is None else dict(epochs=epochs))
    cutoff_nm = CUTOFF_NM[map] if cutoff_nm is None else cutoff_nm
    chosen = network(potential, layers, nu, bond_types, cutoff_nm=cutoff_nm, symmetry=symmetry)
    check_type("mirror", mirror, bool)
    return ChainConfig(
        profile=profile,
        kind=potential,
        fit=ChainFitConfig(
            data=from_dict(DataConfig, data | dict(frames=numbers["frames"] if frames is None else frames)),
            potential=from_dict(POTENTIALS[potential], chosen),
            train=from_dict(TrainConfig, train),
            force_map=force_map,
            mirror=mirror,
        ),
        prior=prior,
        md=langevin(numbers, replicas, length_ps, seed),
    )
