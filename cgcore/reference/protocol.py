"""Which systems there are, and the numbers of their simulations."""

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

from ..config import ConfigError, check_type, did_you_mean, positive

ENGINES = ("openmm", "gromacs")
SOLVENTS = ("none", "obc2", "tip3p")
CONSTRAINTS = ("none", "h-bonds")


class System(NamedTuple):
    """What can be simulated: residues between caps, or none of them for the liquid."""

    description: str
    residues: tuple[str, ...]
    solvents: tuple[str, ...]  # the first is the default of OpenMM
    starts: tuple[str, ...] = ()  # conformations that replicas start from in turn

    @property
    def is_liquid(self) -> bool:
        return not self.residues


def _dipeptide(name: str, residue: str) -> System:
    return System(f"capped {name}", (residue,), ("obc2", "tip3p"), ("extended", "ppii", "helix"))


SYSTEMS = {
    "hexane": System("100 molecules of liquid hexane", (), ("none",)),
    "ala2": _dipeptide("alanine", "ALA"),
    "gly2": _dipeptide("glycine", "GLY"),
    "pro2": _dipeptide("proline", "PRO"),
    "thr2": _dipeptide("threonine", "THR"),
    "ala15": System("capped polyalanine of 15 residues", ("ALA",) * 15, ("obc2", "tip3p"), ("helix", "extended")),
}


def system(name: str) -> System:
    """The system of that name. Raises ConfigError with the known ones."""
    if name not in SYSTEMS:
        raise ConfigError(f"unknown system {name!r}; there are {sorted(SYSTEMS)}{did_you_mean(name, SYSTEMS)}")
    return SYSTEMS[name]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """All that a reference simulation depends on but its length; lengths can be added to.

    hydrogen_mass: g/mol of repartitioned hydrogens, None for the real one. Configurations and forces do not depend on
    masses, and heavier hydrogens allow longer steps. friction_per_ps is the Langevin thermostat's of OpenMM, tau_ps the
    v-rescale thermostat's of GROMACS. cutoff_nm, margin_nm (solute to wall) and grid_nm (PME) are None without a box.
    """

    system: str
    engine: str = "openmm"
    solvent: str = "obc2"
    chirality: str = "L"
    constraints: str = "none"
    replicas: int = 1
    seed: int = 1
    dt_ps: float = 0.002
    steps_per_frame: int = 1000
    temperature_K: float = 300.0
    hydrogen_mass: float | None = None
    friction_per_ps: float | None = None
    tau_ps: float | None = None
    cutoff_nm: float | None = None
    grid_nm: float | None = None
    margin_nm: float | None = None
    equilibration_ps: float = 100.0  # of each stage before production

    def __post_init__(self):
        known = system(self.system)
        for value, allowed, name in (
            (self.engine, ENGINES, "engine"),
            (self.solvent, SOLVENTS, "solvent"),
            (self.constraints, CONSTRAINTS, "constraints"),
            (self.chirality, ("L", "D"), "chirality"),
        ):
            if value not in allowed:
                raise ConfigError(f"{name}: want one of {allowed}, got {value!r}{did_you_mean(value, allowed)}")
        if self.solvent not in known.solvents:
            raise ConfigError(f"{self.system}: want solvent {' or '.join(known.solvents)}, got {self.solvent!r}")
        if self.engine == "gromacs" and self.solvent == "obc2":
            raise ConfigError("GROMACS has had no implicit solvent since 2019; want --engine openmm or --solvent tip3p")
        if self.chirality == "D" and known.is_liquid:
            raise ConfigError("hexane is not chiral; chirality is for peptides")
        if self.constraints != "none" and known.is_liquid:
            raise ConfigError("hexane is simulated without constraints, as in the study")
        positive(self, "replicas", "dt_ps", "steps_per_frame", "temperature_K", "equilibration_ps")

    @property
    def frame_ps(self) -> float:
        return self.dt_ps * self.steps_per_frame

    @property
    def periodic(self) -> bool:
        return self.solvent != "obc2"


def protocol(
    name: str,
    *,
    engine: str = "openmm",
    solvent: str | None = None,
    every_ps: float | None = None,
    dt_fs: float | None = None,
    **options,
) -> Protocol:
    """The study's protocol for GROMACS; for OpenMM the same physics with a Langevin thermostat.

    In implicit solvent and water OpenMM steps by 2 fs with hydrogens of 4 g/mol. every_ps is the spacing of frames, a
    multiple of the step. Raises ConfigError for what does not exist or does not fit together.
    """
    known = system(name)
    if solvent is None:
        solvent = known.solvents[-1 if engine == "gromacs" else 0]
    values: dict = {}
    if known.is_liquid:
        values |= {"dt_ps": 0.001, "cutoff_nm": 1.22, "grid_nm": 0.26, "friction_per_ps": 1.0, "tau_ps": 1.0}
        every_ps = every_ps or 2.0
    elif solvent == "tip3p":
        values |= {"cutoff_nm": 1.0, "grid_nm": 0.16, "margin_nm": 1.2, "friction_per_ps": 1.0, "tau_ps": 0.1}
        every_ps = every_ps or 1.0
    else:
        values |= {"friction_per_ps": 1.0}
        every_ps = every_ps or 2.0
    if engine == "gromacs":
        values |= {"dt_ps": 0.001 if known.is_liquid else 0.0005, "friction_per_ps": None}
    else:
        values |= {"tau_ps": None}
        if not known.is_liquid:
            values |= {"dt_ps": 0.002, "hydrogen_mass": 4.0}
    if dt_fs is not None:
        check_type("--dt-fs", dt_fs, float)
        values["dt_ps"] = dt_fs / 1000
    if not (values["dt_ps"] > 0 and every_ps > 0):
        raise ConfigError(f"want positive times, got a step of {values['dt_ps']} ps and frames every {every_ps} ps")
    steps = round(every_ps / values["dt_ps"])
    if not steps or abs(steps * values["dt_ps"] - every_ps) > 1e-9 * every_ps:
        raise ConfigError(f"frames every {every_ps} ps are no multiple of the step of {values['dt_ps']} ps")
    known_options = {f.name for f in dataclasses.fields(Protocol)}
    if unknown := options.keys() - known_options:
        raise ConfigError(f"unknown option {min(unknown)!r}{did_you_mean(min(unknown), known_options)}")
    return Protocol(system=name, engine=engine, solvent=solvent, steps_per_frame=steps, **values | options)
