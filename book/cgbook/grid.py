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

import math
import re
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import yaml

from cgbook.parameters import check_parameters, read_parameters
from cgcore.config import Checked, ConfigError, did_you_mean, from_dict
from cgcore.errors import CgcoreError
from cgcore.profiles import UNKNOWN_MAP, configure, systems
from cgcore.store.files import parsed

MOST_ROWS, MOST_BYTES = 1000, 500_000
PLAIN = re.compile(r"[-+]?(0|[1-9]\d*|\d*\.\d*|\.(inf|nan))([eE][-+]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Grid(Checked):
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
        if (count := max(1, len(self.rows)) * math.prod(map(len, self.grid.values()))) > MOST_ROWS:
            raise ConfigError(f"want {MOST_ROWS} runs at most, got {count}; make several grids of it")
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
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ConfigError(f"{path}: want a grid of at most {MOST_BYTES} bytes, got {size}; is it another file?")
    try:
        grid = from_dict(Grid, parsed(path, "YAML", _load))
        combinations = grid.combinations()
    except CgcoreError as error:
        raise ConfigError(str(error) if str(path) in str(error) else f"{path}: {error}") from error
    if (grid.notebook or template.name) != template.name:
        raise ConfigError(f"{path} is a grid for {grid.notebook}, got the notebook {template.name}")
    parameters, runs = read_parameters(template), []
    for number, given in enumerate(combinations):
        try:
            values = check_parameters(template, given, parameters)
            if template.stem in systems():
                configure(template.stem, of_map=UNKNOWN_MAP, **values)
        except CgcoreError as error:
            raise ConfigError(f"{path}, row {number} {given}: {error}") from error
        if values in runs:
            raise ConfigError(
                f"{path}: rows {runs.index(values)} and {number} are the same run, {given}; "
                "do they differ only by a value that is the default?"
            )
        runs.append(values)
    return runs


class _Loader(yaml.SafeLoader):
    """YAML without its traps: a key given twice, and numbers that are others than they look (010 is 8, 1:30 is 90)."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)

    def plain_number(self, node):
        if not PLAIN.fullmatch(node.value):
            words = f"{node.value} can be read in several ways; want a plain decimal number, or quotes around a word"
            raise yaml.constructor.ConstructorError(None, None, words, node.start_mark)
        return self.construct_yaml_int(node) if node.tag == INT else self.construct_yaml_float(node)


INT, FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_Loader.add_constructor(INT, _Loader.plain_number)
_Loader.add_constructor(FLOAT, _Loader.plain_number)
_Loader.add_implicit_resolver(
    FLOAT, re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+"), list("-+0123456789")
)  # 1e-3, too


def _load(text: str):
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
