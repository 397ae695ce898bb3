"""The application, its errors, and the options that commands share."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from cgcore.errors import explained


class Commands(TyperGroup):
    """The commands, whose errors that need no traceback become one message and exit status 1, 130 for an interrupt."""

    def invoke(self, ctx):
        # A scheduler's SIGTERM ends a command as Ctrl-C does: with its processes, and a checkpoint where there is one.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            return super().invoke(ctx)
        except (Exception, KeyboardInterrupt) as error:
            if (words := explained(error)) is None:
                raise
            typer.secho(f"Error: {words}", err=True, fg=typer.colors.RED)
            raise typer.Exit(130 if isinstance(error, KeyboardInterrupt) else 1) from error


app = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)
Results = Annotated[Path, typer.Option(help="The folder of the chapters.")]
Root = Annotated[Path, typer.Option(help="The checkout: the folder with _config.yml, book/ and notebooks/.")]
Out = Annotated[Path, typer.Option(help="Where runs go, one folder each; finished ones are reused.")]

Sample = Annotated[
    str,
    typer.Argument(help="A set of `cgcore sets`, a folder of `cgcore reference` or `import`, or a trajectory file."),
]
Atoms = Annotated[Path | None, typer.Option(help="PDB, TOP, ... file, where TRAJECTORY is a file.")]
Spacing = Annotated[float | None, typer.Option(help="Spacing of frames, for files without times.")]
Stride = Annotated[int, typer.Option(help="Take every so many frames.")]
Kelvin = Annotated[float | None, typer.Option("--temperature-K", help="Of the reference; 300 for a file.")]
Held = Annotated[str | None, typer.Option(help="none, h-bonds, all-bonds: if frames cannot tell.")]


@app.callback()
def every_command():
    """Coarse-graining with machine-learned potentials: the commands behind the book."""
    for stream in (sys.stdout, sys.stderr):  # what a terminal's encoding lacks must not end a command after its work
        stream.reconfigure(errors="replace")


def of_book(module: str):
    """A module of the book's package, which is beside cgcore and not below it."""
    from importlib import import_module

    try:
        return import_module(f"cgbook.{module}")
    except ModuleNotFoundError as error:
        if error.name != "cgbook":
            raise
        typer.secho("Error: this command needs the book's package cgbook, of book/ in a checkout", err=True)
        raise typer.Exit(1) from error
