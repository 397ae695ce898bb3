"""From an amino-acid notebook's parameters to configurations: one template, three studies, three profiles of numbers."""

from dataclasses import dataclass, field

from ..config import (
    FRAME_PS,
    ConfigError,
    DataConfig,
    FitConfig,
    MACEConfig,
    MDConfig,
    NequIPConfig,
    TrainConfig,
    check_type,
    from_dict,
)
from .common import FORCE_MAPS, check_word, frames_of, network

NETWORKS = ("mace", "nequip")
STUDIES = ("nvt", "nve", "inversion")
"""Langevin dynamics and its surface; constant energy with one time step after another; metadynamics from hand to hand."""

SHORT = dict(learning_rate=4e-3, learning_rate_decay=0.03)
"""For few updates: a rate that is higher than the study's and falls further. Ten epochs of it give Core the held-out error
of fifty of the study's, 730.7 beside 730.4 meV/Å."""

PROFILES = {
    "quick": dict(frames=4_000, train=SHORT | dict(epochs=5), nvt=(64, 20.0), nve=(4, 3.0), inversion=(2, 25.0)),
    "laptop": dict(frames=None, train=SHORT | dict(epochs=10), nvt=(40, 200.0), nve=(20, 20.0), inversion=(4, 5000.0)),
    "paper": dict(frames=None, train=dict(epochs=50), nvt=(100, 5000.0), nve=(100, 100.0), inversion=(4, 5000.0)),
}
"""What the profiles set: frames of the reference, training, and for each study the replicas and the length of each in ps."""

TEN_BEADS = {
    "quick": dict(train=SHORT | dict(epochs=3), nvt=(32, 5.0), nve=(2, 3.0), inversion=(2, 10.0)),
    "laptop": dict(train=SHORT | dict(epochs=5), nvt=(20, 200.0), inversion=(3, 5000.0)),
    "paper": {},
}
ALL_ATOMS = {
    "quick": dict(train=SHORT | dict(epochs=2), nvt=(8, 1.0), nve=(2, 2.0), inversion=(2, 1.0)),
    "laptop": dict(train=SHORT | dict(epochs=3), nvt=(16, 20.0), nve=(10, 10.0), inversion=(2, 1000.0)),
    "paper": dict(inversion=(4, 2500.0)),
}
LARGER = {"heavy_atom": TEN_BEADS, "united_atom": TEN_BEADS, "atomistic": ALL_ATOMS}
"""What a profile sets instead for maps of more beads. A step takes as long as there are pairs in reach: 20 of Core, 30 of
Core Beta, 90 of ten beads, and about 300 of all atoms, which also take four steps for one of the others."""


@dataclass(frozen=True, kw_only=True)
class PeptideFitConfig(FitConfig):
    """All that a potential of an amino acid depends on. force_map: "sum" of a bead's atoms, or the "optimal" one, of least
    noise."""

    force_map: str = "sum"


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run of the notebook: reference set, data, network, training, and the simulations of its study.

    `potential` says which network counts, `force_map` which forces. In the study "nve", md holds replicas, length and seed of all its simulations.
    """

    profile: str = "quick"
    study: str = "nvt"
    potential: str = "mace"
    reference: str = "ala2"
    force_map: str = "sum"
    data: DataConfig = field(default_factory=DataConfig)
    mace: MACEConfig = field(default_factory=MACEConfig)
    nequip: NequIPConfig = field(default_factory=NequIPConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    md: MDConfig = field(default_factory=MDConfig)

    def __post_init__(self):
        check_word("potential", self.potential, NETWORKS)
        check_word("study", self.study, STUDIES)
        check_word("force_map", self.force_map, FORCE_MAPS)

    @property
    def network(self) -> MACEConfig | NequIPConfig:
        """The configuration of the chosen network."""
        return getattr(self, self.potential)

    @property
    def fit(self) -> PeptideFitConfig:
        chosen = {self.potential: self.network}
        return PeptideFitConfig(data=self.data, train=self.train, force_map=self.force_map, **chosen)


def run_config(
    *,
    profile: str = "quick",
    study: str = "nvt",
    residue: str = "ala",
    map: str = "core",
    typing: str = "study",
    reference: str | None = None,
    potential: str = "mace",
    nu: int = 2,
    layers: int | None = None,
    cutoff_nm: float = 0.5,
    symmetry: str = "O3",
    bond_types: bool = False,
    force_map: str = "sum",
    frames: int | None = None,
    epochs: int | None = None,
    replicas: int | None = None,
    length_ps: float | None = None,
    seed: int = 22,
) -> RunConfig:
    """A run's configuration from the notebook's parameters; None takes the profile's or the network's own value.

    layers, cutoff_nm and symmetry are those of the chosen potential; nu and bond_types are of MACE only.
    Raises ConfigError for an unknown profile or study, for the inversion of a molecule without CB, and for values of the wrong type or range.
    """
    check_word("profile", profile, PROFILES)
    check_word("study", study, STUDIES)
    check_word("potential", potential, NETWORKS)
    if study == "inversion" and (map == "core" or residue == "gly"):
        raise ConfigError(f"study 'inversion': want a map with a bead CB, which map {map!r} of {residue!r} has not")
    numbers = numbers_of(profile, map)
    usual_replicas, usual_ps = numbers[study]
    raw = dict(
        profile=profile,
        study=study,
        potential=potential,
        reference=reference_set(residue, reference),
        force_map=force_map,
        data=dict(residue=residue, map=map, typing=typing, frames=numbers["frames"] if frames is None else frames),
        train=numbers["train"] | dict(seed=seed) | ({} if epochs is None else dict(epochs=epochs)),
        md=_dynamics(study, map, usual_ps if length_ps is None else length_ps)
        | dict(replicas=usual_replicas if replicas is None else replicas, seed=seed),
    )
    chosen = network(potential, layers, nu, bond_types, cutoff_nm=cutoff_nm, symmetry=symmetry)
    return from_dict(RunConfig, raw | {potential: chosen})


def numbers_of(profile: str, map: str) -> dict:
    """What a profile sets for a map: frames, training, and for each study replicas and length in ps."""
    return PROFILES[profile] | LARGER.get(map, {}).get(profile, {})


def reference_set(residue: str, reference: str | None) -> str:
    """The set that a residue is learnt from: "ala2", alanine in explicit water as in the study, and of the others those in
    implicit water, gly2_obc2 and so on; "obc2" takes that of alanine too. Any other word is a set or a folder itself.
    """
    check_type("residue", residue, str)
    check_type("reference", reference, str | None)
    if reference is None and residue == "ala":
        return "ala2"
    return f"{residue}2_obc2" if reference in (None, "obc2") else reference


def mirror_symmetric(residue: str, symmetry: str) -> bool:
    """Whether a model has the same free energy at an improper dihedral and at its negative: its energy must be the same for
    mirror images, and CA the one stereocentre, which it is not in threonine."""
    return symmetry == "O3" and residue != "thr"


def _dynamics(study: str, map: str, length_ps: float) -> dict:
    """Steps and frames: 2 fs as in the study, 0.5 fs for all atoms, whose hydrogens move, and 1 fs for an inversion."""
    dt_ps = 0.001 if study == "inversion" else 0.0005 if map == "atomistic" else 0.002
    return dict(
        n_frames=frames_of(length_ps),
        steps_per_frame=round(FRAME_PS / dt_ps),
        dt_ps=dt_ps,
        ensemble="nve" if study == "nve" else "nvt",
    )
