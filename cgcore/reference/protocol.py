"""Which systems there are, and the numbers of their simulations: those of recipes/protocols.toml."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..config import SEED, Checked, ConfigError, check_range, check_type, check_word, did_you_mean, number, word
from ..store import read_toml
from ..units import PS_PER_NS

RECIPES = Path(__file__).parent / "recipes"
TABLES = read_toml(RECIPES / "protocols.toml")
SOLVENTS = ("none", "obc2", "tip3p")
CONSTRAINTS = ("none", "h-bonds", "all-bonds")
FORCE_FIELDS = {
    "amber99sbildn": ("obc2", "tip3p", "none"),
    "amber14": ("obc2", "tip3p", "none"),
    "mmff94": ("none",),
    "tip3p": ("none",),
}
"""Of anyone's molecule, with the solvents of each, the first by default; that of the systems is amber99sbildn."""
DENSITIES_KG_M3 = 50.0, 5000.0
"""Of liquids of small molecules."""


class System(NamedTuple):
    """What can be simulated: residues between caps, or none of them for the liquid."""

    description: str
    residues: tuple[str, ...]
    solvents: tuple[str, ...]  # the first is the default
    starts: tuple[str, ...]  # conformations that replicas start from in turn
    beyond: tuple[str, ...] = ()  # those that replicas with a bias start from as well


SYSTEMS = {
    name: System(**{key: value if isinstance(value, str) else tuple(value) for key, value in entry.items()})
    for name, entry in TABLES["systems"].items()
}


def system(name: str) -> System:
    """Return the system of that name. Raises ConfigError with the known ones."""
    if name not in SYSTEMS:
        raise ConfigError(
            f"unknown system {name!r}; there are {sorted(SYSTEMS)}{did_you_mean(name, SYSTEMS)}; of your own: a PDB file, "
            "--sequence ACE-VAL-NME or --smiles CCO"
        )
    return SYSTEMS[name]


@dataclass(frozen=True, kw_only=True)
class BiasConfig(Checked):
    """Along which dihedral the bias goes, and how it is made.

    dihedral: phi or psi, with the number of its residue where there are several (phi-8), or four atoms such as
    "ACE1:C ALA2:N ALA2:CA ALA2:C".
    """

    dihedral: str
    length_ns: float = number(5.0, above=0, most=1_000_000)  # of the metadynamics
    bias_factor: float = number(10.0, above=1, most=1_000)  # gamma
    height_kJ_mol: float = number(1.0, above=0, most=100)  # of the first hill
    width: float = number(0.15, least=1e-2, most=math.pi)  # of the hills, rad
    pace_ps: float = number(1.0, above=0, most=1_000_000)  # between hills

    @property
    def bins(self) -> int:
        """Intervals of the table from -pi to pi, five a width."""
        return math.ceil(10 * math.pi / self.width)


def bias_config(dihedral: str | None, length_ns: float | None) -> BiasConfig | None:
    """The bias that a command asks for, none without a dihedral. Raises ConfigError for a length without one."""
    if dihedral is None:
        if length_ns is not None:
            raise ConfigError(f"--bias-ns {length_ns:g}: want a dihedral with it, --bias phi")
        return None
    return BiasConfig(dihedral=dihedral) if length_ns is None else BiasConfig(dihedral=dihedral, length_ns=length_ns)


@dataclass(frozen=True, kw_only=True)
class Protocol(Checked):
    """All that a reference simulation depends on but its length; lengths can be added to.

    hydrogen_mass: g/mol of repartitioned hydrogens, None for the real one. Configurations and forces do not depend on
    masses, and heavier hydrogens allow longer steps. friction_per_ps is the Langevin thermostat's. cutoff_nm, margin_nm
    (solute to wall) and grid_nm (PME) are None without a box. Of anyone's molecule, whose name is `system`, structure is the
    text of a PDB file with a model for each start, and forcefield one of FORCE_FIELDS; with molecules and density_kg_m3 it is a
    liquid of so many in a cube.
    """

    system: str
    solvent: str = word("obc2", SOLVENTS)
    chirality: str = word("L", ("L", "D"))
    start: str | None = None  # the conformation of every replica, None for the system's in turn
    constraints: str = word("none", CONSTRAINTS)
    replicas: int = number(1, least=1, most=10_000)
    seed: int = number(1, **SEED)
    dt_ps: float = number(0.002, least=1e-5, most=0.1)
    steps_per_frame: int = number(1000, least=1, most=100_000_000)
    temperature_K: float = number(300.0, above=0, most=10_000)
    hydrogen_mass: float | None = number(None, above=0, most=100)
    friction_per_ps: float | None = number(None, above=0, most=1_000_000)
    cutoff_nm: float | None = number(None, above=0, most=100)
    grid_nm: float | None = number(None, above=0, most=10)
    margin_nm: float | None = number(None, least=0, most=100)
    equilibration_ps: float = number(100.0, above=0, most=1_000_000)  # of each stage before production
    bias: BiasConfig | None = None
    structure: str | None = None
    forcefield: str | None = None
    molecules: int | None = number(None, least=10, most=9999)  # the most that a PDB file numbers
    density_kg_m3: float | None = number(None)

    def __post_init__(self):
        super().__post_init__()
        if self.molecules is not None or self.density_kg_m3 is not None:
            self._check_liquid()
        if self.structure is not None:
            check_word("forcefield", self.forcefield, FORCE_FIELDS)
            if self.start is not None:
                raise ConfigError(
                    "--start is for the systems that come with the project; a PDB file starts from its models"
                )
        elif self.forcefield is not None:
            raise ConfigError(
                f"--forcefield {self.forcefield}: {self.system} has its own; want a molecule of yours with it"
            )
        solvents = FORCE_FIELDS[self.forcefield] if self.structure else system(self.system).solvents
        if self.solvent not in solvents:
            raise ConfigError(f"{self.system}: want solvent {' or '.join(solvents)}, got {self.solvent!r}")
        if (self.constraints == "all-bonds") != (self.forcefield == "tip3p"):
            raise ConfigError(
                f"constraints: want all-bonds for tip3p, whose water is rigid, and for nothing else, got {self.constraints!r}"
            )
        if self.chirality == "D" and self.is_hexane:
            raise ConfigError("hexane is not chiral; chirality is for peptides")
        if self.constraints != "none" and self.is_hexane:
            raise ConfigError("hexane is simulated without constraints, as in the paper")
        if self.start is not None and self.is_hexane:
            raise ConfigError("hexane starts from a crystal that is melted; a start is for peptides")
        if self.start is not None:
            check_word(f"start of {self.system}", self.start, self.conformations)
        if self.bias and self.is_liquid:
            raise ConfigError(
                f"--bias: {self.system} is a liquid, simulated without bias: a bias acts on one dihedral, and every molecule has its own"
            )

    def _check_liquid(self):
        """Raise ConfigError for a liquid of something else than anyone's molecule, or of a density that no liquid has."""
        if self.structure is None:
            raise ConfigError(f"--liquid: want a molecule by --smiles or a PDB file, got the system {self.system!r}")
        if self.molecules is None or self.density_kg_m3 is None:
            raise ConfigError(
                "--liquid and --density: want both, a number of molecules and kg/m³, got "
                f"{self.molecules} and {self.density_kg_m3}"
            )
        if self.solvent != "none":
            raise ConfigError(f"--liquid: want solvent none, got {self.solvent!r}")
        least, most = DENSITIES_KG_M3
        if not least <= self.density_kg_m3 <= most:
            other = 1000 * self.density_kg_m3
            slip = f"; g/cm³? That would be --density {other:g}" if least <= other <= most else ""
            raise ConfigError(f"--density: want {least:g} to {most:g} kg/m³, got {self.density_kg_m3:g}{slip}")

    @property
    def conformations(self) -> tuple[str, ...]:
        """All that replicas can start from."""
        return system(self.system).starts + system(self.system).beyond

    @property
    def frame_ps(self) -> float:
        return self.dt_ps * self.steps_per_frame

    @property
    def before_ps(self) -> float:
        """Simulated before the first frame."""
        return 2 * self.equilibration_ps + (self.bias.length_ns * PS_PER_NS if self.bias else 0.0)

    @property
    def periodic(self) -> bool:
        return self.solvent == "tip3p" or self.is_liquid

    @property
    def is_liquid(self) -> bool:
        return self.molecules is not None or self.is_hexane

    @property
    def is_hexane(self) -> bool:
        return self.structure is None and not system(self.system).residues


def protocol(
    name: str,
    *,
    solvent: str | None = None,
    constraints: str | None = None,
    every_ps: float | None = None,
    dt_fs: float | None = None,
    **options,
) -> Protocol:
    """Return the paper's protocol with a Langevin thermostat.

    constraints are none by default, all-bonds of rigid water; every_ps is the spacing of frames, a multiple of the step;
    options are other fields of `Protocol`. Raises ConfigError for what does not exist or does not fit together.
    """
    if solvent is None and options.get("structure"):
        check_word("forcefield", options.get("forcefield"), FORCE_FIELDS)
        solvent = "none" if options.get("molecules") else FORCE_FIELDS[options["forcefield"]][0]
    solvent = system(name).solvents[0] if solvent is None else solvent
    fields = {field.name for field in dataclasses.fields(Protocol)}
    if unknown := options.keys() - fields:
        raise ConfigError(f"unknown option {min(unknown)!r}{did_you_mean(min(unknown), fields)}")
    if constraints is None:
        constraints = "all-bonds" if options.get("forcefield") == "tip3p" else "none"
    chosen = Protocol(system=name, solvent=solvent, constraints=constraints, **options)
    without = "hexane" if chosen.is_hexane else "liquid" if chosen.is_liquid else "vacuum"
    numbers = dict(TABLES["numbers"][without if solvent == "none" else solvent])
    for option, value, limits in (
        ("--every-ps", every_ps, {"above": 0}),
        ("--dt-fs", dt_fs, {"least": 0.01, "most": 100}),
    ):
        check_type(option, value, float | None)
        check_range(option, value, **limits)
    every_ps = numbers["every_ps"] if every_ps is None else every_ps
    dt_ps = numbers["dt_ps"] = numbers["dt_ps"] if dt_fs is None else dt_fs / 1000
    steps = round(every_ps / dt_ps)
    if not steps or abs(steps * dt_ps - every_ps) > 1e-9 * every_ps:
        raise ConfigError(f"frames every {every_ps} ps are no multiple of the step of {dt_ps} ps")
    numbers = {key: value for key, value in numbers.items() if key in fields}
    return dataclasses.replace(chosen, **{"steps_per_frame": steps, **numbers, **options})
