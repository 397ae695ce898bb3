"""The grid file of a sweep: YAML that says which runs of a notebook belong together, read strictly.

    notebook: hexane.ipynb            # optional: the only template that the grid is for
    fixed: {profile: paper}           # the same in every run
    rows:                             # explicit runs ...
      - {map: four_site, cutoff_nm: 0.55}
      - {map: four_site, cutoff_nm: 0.65}
    grid: {nu: [1, 2, 3]}             # ... each with every combination of these

`rows` may be left out, then `grid` alone multiplies; or `grid`, then there are the rows. The last list of `grid` runs
fastest, and rows are numbered from 0.
"""

from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import yaml

from cgbook.parameters import check_parameters
from cgcore.config import ConfigError, did_you_mean, from_dict
from cgcore.errors import read_text
from cgcore.profiles import configure, systems


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The file as it is written."""

    notebook: str | None = None
    fixed: dict = field(default_factory=dict)
    rows: list = field(default_factory=list)
    grid: dict = field(default_factory=dict)

    def combinations(self) -> list[dict]:
        """Explicit rows times the combinations of the grid, with the fixed values. Raises ConfigError."""
        if not (self.rows or self.grid):
            raise ConfigError("no runs in it; want 'rows', 'grid' or both")
        for name, several in self.grid.items():
            if not isinstance(several, list) or not several:
                raise ConfigError(f"grid: want a list of values for {name!r}, got {several!r}; one value is 'fixed'")
        complete = []
        for row in self.rows or [{}]:
            if not isinstance(row, dict):
                raise ConfigError(f"rows: want a table of parameters, got {row!r}")
            parts = {"fixed": self.fixed, "rows": row, "grid": self.grid}
            for name in [n for part in parts.values() for n in part]:
                if len(where := [key for key, part in parts.items() if name in part]) > 1:
                    raise ConfigError(f"{name!r} is given twice, in {where[0]!r} and in {where[1]!r}")
            several = product(*self.grid.values())
            complete += [self.fixed | row | dict(zip(self.grid, values, strict=True)) for values in several]
        return complete


def read_grid(path: Path, template: Path) -> list[dict]:
    """The complete parameters of every run, without out_dir, in their order.

    All is checked here, so that nothing starts before everything can: names and types against the template
    (`check_parameters`), values by the system's profile, and no two runs alike. Raises ConfigError with the number of
    the row.
    """
    path, template = Path(path), Path(template)
    if not path.is_file():
        near = did_you_mean(path.name, [p.name for p in path.parent.glob("*.yml")])
        raise ConfigError(f"grid: want a YAML file, found no file {path}{near}")
    try:
        grid = from_dict(Grid, yaml.safe_load(read_text(path)))
        combinations = grid.combinations()
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not a YAML file: {' '.join(str(error).split())}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    if (grid.notebook or template.name) != template.name:
        raise ConfigError(f"{path} is a grid for {grid.notebook}, got the notebook {template.name}")
    runs: list[dict] = []
    for number, given in enumerate(combinations):
        try:
            values = check_parameters(template, given)
            if template.stem in systems():
                configure(template.stem, **values)
        except ValueError as error:  # ConfigError, or MappingError from a check
            raise ConfigError(f"{path}, row {number} {given}: {error}") from error
        if values in runs:
            raise ConfigError(
                f"{path}: rows {runs.index(values)} and {number} are the same run, {given}; "
                "do they differ only by a value that is the default?"
            )
        runs.append(values)
    return runs
