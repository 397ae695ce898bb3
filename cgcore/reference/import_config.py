"""What `cgcore import` is asked for, held against itself before anything heavy is loaded."""

from dataclasses import dataclass
from pathlib import Path

from ..config import Checked, ConfigError, check_word, number
from ..units import FORCES, LENGTHS, TIMES, unit_word

CONSTRAINTS = ("none", "h-bonds", "all-bonds")


@dataclass(frozen=True, kw_only=True)
class ImportConfig(Checked):
    """Files of a finished run, one trajectory for each replica, and what they do not say.

    forces: files with the forces of the trajectories, in their order. bonds: another topology file whose bonds are taken.
    The units are those of files that do not state theirs. constraints: what the run had, None for what its frames show.
    select: atoms to keep, in MDTraj's words.
    """

    trajectories: tuple[str, ...]
    topology: str
    forces: tuple[str, ...] = ()
    bonds: str | None = None
    length_unit: str | None = None
    force_unit: str | None = None
    time_unit: str | None = None
    frame_ps: float | None = number(None, above=0, most=1_000_000)
    temperature_K: float = number(300.0, above=0, most=10_000)
    constraints: str | None = None
    stride: int = number(1, least=1)
    select: str | None = None

    def __post_init__(self):
        super().__post_init__()
        for name, table in (("length_unit", LENGTHS), ("force_unit", FORCES), ("time_unit", TIMES)):
            if (unit := getattr(self, name)) is not None:
                object.__setattr__(self, name, unit_word(unit))
                check_word(f"--{name.replace('_', '-')}", getattr(self, name), table)
        if self.constraints is not None:
            check_word("--constraints", self.constraints, CONSTRAINTS)
        if self.forces and len(self.forces) != len(self.trajectories):
            raise ConfigError(
                f"--forces: want one file for each of {len(self.trajectories)} trajectories, got {len(self.forces)}"
            )
        if not self.trajectories:
            raise ConfigError("want at least one trajectory, one for each replica")
        named = (self.topology, *self.trajectories, *self.forces, *([self.bonds] if self.bonds else []))
        if absent := [name for name in named if not Path(name).is_file()]:
            raise ConfigError(f"{absent[0]}: no such file")
        if len(set(self.trajectories)) < len(self.trajectories):
            raise ConfigError("one trajectory is named twice; every replica counts once")
