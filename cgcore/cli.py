"""The commands of `cgcore`: make the book, run a notebook, list the maps, gather results."""

from pathlib import Path
from typing import Annotated

import typer

from cgcore import __version__

app = typer.Typer(
    help="Coarse-graining with machine-learned potentials: the commands behind the book.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
Root = Annotated[Path, typer.Option(help="The checkout: the folder with _config.yml, book/ and notebooks/.")]
Out = Annotated[Path, typer.Option(help="Where runs go, one folder each; finished ones are reused.")]


@app.command()
def book(
    profile: Annotated[str, typer.Option(help="quick, laptop or paper.")] = "quick",
    root: Root = Path("."),
    out: Out = Path("runs"),
):
    """Run the book's notebooks, publish their pages and build the HTML."""
    from cgcore.book import make_book

    _said(make_book, profile, root, out)


@app.command()
def run(
    notebook: Annotated[Path, typer.Argument(help="A template of notebooks/, such as notebooks/amino_acids.ipynb.")],
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="As often as needed.")
    ] = None,
    out: Out = Path("runs"),
):
    """Run one notebook with parameters; unknown or mistyped ones are refused before anything runs."""
    from cgcore.book import check_values, run_notebook, typed_parameters

    def execute():
        pairs = [_pair(text) for text in parameter or []]
        return run_notebook(notebook, typed_parameters(notebook, pairs), out, check=check_values)

    typer.echo(f"Done: {_said(execute)}")


@app.command()
def maps():
    """List the maps and typings of beads that come with the package."""
    from cgcore import mapping

    for entry in mapping.available():
        residues = ", ".join(entry.residues)
        typer.echo(f"{entry.map:12} {entry.typing:8} {residues:6} {entry.description}")


@app.command()
def results(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of finished runs: runs/amino_acids/<parameters>__<hash>.")
    ],
    folder: Annotated[Path, typer.Option(help="Where the chapter reads them.")] = Path("book/results/amino_acids"),
):
    """Gather the small tables, surfaces and pictures that the amino-acid chapter shows."""
    from cgcore.book.collect import collect

    for path in _said(collect, runs, folder):
        typer.echo(path)


@app.command()
def version():
    """Print the version."""
    typer.echo(__version__)


def _pair(text: str) -> tuple[str, str]:
    from cgcore.config import ConfigError

    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ConfigError(f"-p {text}: want NAME=VALUE, such as -p map=core_beta")
    return name.strip(), value.strip()


def _said(function, *args):
    """Call, and turn the errors that explain themselves into one message and exit status 1."""
    from cgcore.book import NotebookFailed
    from cgcore.book.build import BuildFailed
    from cgcore.config import ConfigError
    from cgcore.mapping import MappingError
    from cgcore.store import StoreError

    try:
        return function(*args)
    except (ConfigError, MappingError, NotebookFailed, BuildFailed, StoreError, FileNotFoundError) as error:
        typer.secho(f"Error: {error}", err=True, fg=typer.colors.RED)
        raise typer.Exit(1) from error
