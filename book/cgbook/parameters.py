"""The tagged parameters cell of a template: its names, types and defaults, and strict checks against them.

papermill only warns about a name that the template lacks, and then runs with the defaults; its reader of types skips
`int | None`. So the cell is read as Python here.
"""

import ast
import types
import typing
from dataclasses import dataclass
from pathlib import Path

import nbformat

from cgcore.config import ConfigError, check_type, did_you_mean
from cgcore.store.files import parsed

OUT_DIR = "out_dir"
"""The parameter through which a template learns its run folder; the runner sets it."""

TYPES = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict, "None": None}


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One line `name: type = default  # help` of the parameters cell."""

    name: str
    hint: type | types.UnionType
    default: object
    help: str

    def checked(self, value):
        """The value, whole numbers as float where one is wanted, so that 3 and 3.0 are the same run.

        Raises ConfigError unless it is of the annotated type.
        """
        check_type(self.name, value, self.hint)
        allowed = typing.get_args(self.hint) or (self.hint,)
        return float(value) if type(value) is int and float in allowed and int not in allowed else value


def read_notebook(path: Path):
    """A notebook of format 4. Raises StoreError for a file that is none, FileNotFoundError where there is no file."""

    def parse(text: str):
        try:
            notebook = nbformat.reads(text, as_version=nbformat.NO_CONVERT)
            if notebook.nbformat != 4:
                raise ValueError(f"want format 4, found {notebook.nbformat}")
            nbformat.validate(notebook)
        except (nbformat.ValidationError, AttributeError, KeyError, TypeError) as error:
            raise ValueError(str(error).partition("\n")[0]) from error
        return notebook

    return parsed(path, "Jupyter notebook", parse)


def read_parameters(template: Path) -> dict[str, Parameter]:
    """The parameters of a notebook template by name, in their order.

    Raises ConfigError where the cell is missing, or a line of it is not `name: type = literal`.
    """
    template = Path(template)
    if not template.is_file():
        near = did_you_mean(template.name, [p.name for p in template.parent.glob("*.ipynb")])
        raise ConfigError(f"template: want a notebook, found no file {template}{near}")
    cells = [c for c in read_notebook(template).cells if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ConfigError(f"{template}: want one cell tagged 'parameters', found {len(cells)}")
    try:
        nodes = ast.parse(cells[0].source).body
    except (SyntaxError, ValueError) as error:
        raise ConfigError(
            f"{template}: parameters cell: want Python, found {error}: {cells[0].source!r:.200}"
        ) from error
    parameters = [_parameter(node, cells[0].source, template) for node in nodes]
    return {p.name: p for p in parameters}


def check_parameters(template: Path, given: dict, parameters: dict[str, Parameter] | None = None) -> dict:
    """The complete parameters of a run, without out_dir: the template's defaults with the given values in their places.

    Raises ConfigError for a name that the template lacks (with the likely one), and for a value of another type than
    the annotation. Nothing is run. parameters: those of the template, where they are known.
    """
    parameters = read_parameters(template) if parameters is None else parameters
    for name in given.keys() - parameters.keys():
        near = did_you_mean(name, parameters)
        raise ConfigError(f"{Path(template).name}: unknown parameter {name!r}; known are {sorted(parameters)}{near}")
    if OUT_DIR in given:
        raise ConfigError(f"{OUT_DIR} is set by the runner, one folder per run; choose where runs go with `out`")
    return {name: p.checked(given.get(name, p.default)) for name, p in parameters.items() if name != OUT_DIR}


def typed_parameters(template: Path, pairs: typing.Iterable[tuple[str, str]]) -> dict:
    """Parameters as a command line gives them, (name, text) pairs, as values of the annotated types.

    Text for a `str` is taken as it is, anything else is read as a Python literal. Raises as `check_parameters`.
    """
    parameters, given = read_parameters(template), {}
    for name, text in pairs:
        if name in given:
            raise ConfigError(f"parameter {name!r} is given twice, as {given[name]!r} and {text!r}")
        hint = parameters[name].hint if name in parameters else str
        given[name] = text if str in (typing.get_args(hint) or (hint,)) else _literal(text)
    check_parameters(template, given)
    return given


def _parameter(node: ast.stmt, source: str, template: Path) -> Parameter:
    line = source.splitlines()[node.end_lineno - 1]
    if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None):
        raise ConfigError(f"{template}: parameters cell: want `name: type = default  # unit`, got {line!r}")
    try:
        hint, default = _hint(node.annotation), ast.literal_eval(node.value)
    except (KeyError, ValueError, TypeError) as error:
        raise ConfigError(f"{template}: want types of {sorted(TYPES)} and a literal, got {line!r}") from error
    comment = line.encode()[node.end_col_offset :].decode().strip().lstrip("#").strip()  # columns are bytes
    return Parameter(name=node.target.id, hint=hint, default=default, help=comment)


def _hint(node: ast.expr):
    """A type annotation: a name of TYPES, or several joined by `|`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _hint(node.left) | _hint(node.right)
    return TYPES[ast.unparse(node)]


def _literal(text: str):
    """The value of a Python literal; text that is none stays text, for the type check to name."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # the last two for text nested without end
        return {"true": True, "false": False, "none": None, "null": None}.get(text.lower(), text)
