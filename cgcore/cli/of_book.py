"""Commands that run notebooks and make the book; they need the book's package, of book/ in a checkout."""

from pathlib import Path
from typing import Annotated

import typer

from cgcore import __version__

from .app import Out, Results, Root, app, of_book


@app.command()
def book(
    profile: Annotated[str, typer.Option(help="quick, laptop or paper.")] = "quick",
    root: Root = Path("."),
    out: Out = Path("runs"),
    pdf: Annotated[bool, typer.Option("--pdf", help="Also print it to _build/book.pdf, with Chromium.")] = False,
):
    """Run the book's notebooks, publish their pages and build the HTML."""
    of_book("build").make_book(profile, root, out, printed=pdf)


@app.command()
def run(
    notebook: Annotated[Path, typer.Argument(help="A template of notebooks/, such as notebooks/amino_acids.ipynb.")],
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="As often as needed.")
    ] = None,
    out: Out = Path("runs"),
):
    """Run one notebook with parameters; unknown or mistyped ones are refused before anything runs."""
    pairs = [_pair(text) for text in parameter or []]
    given = of_book("parameters").typed_parameters(notebook, pairs)
    executed = of_book("run").run_notebook(notebook, given, out)
    typer.echo(f"Done: {executed}")


@app.command()
def sweep(
    notebook: Annotated[Path, typer.Argument(help="A template of notebooks/, such as notebooks/hexane.ipynb.")],
    grid: Annotated[Path, typer.Argument(help="Which runs: a YAML file such as notebooks/sweeps/table1.yml.")],
    jobs: Annotated[int, typer.Option(help="Runs at once; they share cores and graphics cards.")] = 1,
    index: Annotated[int | None, typer.Option(help="Only this row, from 0: a task of a cluster.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the rows with their states, run nothing.")] = False,
    out: Out = Path("runs"),
):
    """Run many settings of one notebook; finished ones are skipped, failed ones kept, and the rest goes on."""
    sweeps = of_book("sweep")
    if dry_run:
        typer.echo(sweeps.status_table(sweeps.plan(notebook, grid, out)))
    elif index is not None:
        typer.echo(f"Done: {sweeps.run_row(notebook, grid, out, index)}")
    else:
        sweeps.sweep(notebook, grid, out, jobs=jobs)


@app.command()
def results(
    observed: Annotated[list[Path], typer.Argument(help="Finished observations: runs/<system>/<id>.")],
    folder: Annotated[Path | None, typer.Option(help="Where the chapter reads them; by the system's name.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take out runs of the same configuration.")] = False,
    tests_only: Annotated[
        bool, typer.Option("--tests-only", help="Add what `cgcore accept` found, no surfaces and networks.")
    ] = False,
):
    """Add what notebooks observed to the results that a chapter shows, and draw its figures."""
    system = observed[0].resolve().parent.name
    target = folder or Path("book/results") / system
    for path in of_book("collect").collect(observed, target, replace=replace, tests_only=tests_only):
        typer.echo(path)


@app.command("observe-references")
def observe_references(folder: Results = Path("book/results")):
    """Compute anew what the chapters say of their references alone, and draw their figures; it takes minutes."""
    for path in of_book("reference_rows").observe(folder):
        typer.echo(path)


@app.command("doctor-table")
def doctor_table(results: Results = Path("book/results")):
    """Examine every map and typing of the paper, and write what was said beside what was observed."""
    of_book("doctor_table").make(results, say=typer.echo)


@app.command()
def physics(
    label: Annotated[list[str] | None, typer.Argument(help="Of published networks; all by default.")] = None,
    results: Results = Path("book/results"),
):
    """Check published networks against statistical mechanics: ensembles, energy, equipartition, symmetries."""
    of_book("physics").make(results, label or [], say=typer.echo)


@app.command()
def convergence(results: Results = Path("book/results")):
    """Say how converged the reference sets that come with the package are, and draw them."""
    for path in of_book("reference_tables").make(results / "reference"):
        typer.echo(path)


@app.command()
def comparisons(results: Results = Path("book/results")):
    """Put potentials beside each other on the same held-out frames, and table 1 of the paper beside ours."""
    of_book("comparisons").make(results)


@app.command("check-results")
def check_results(results: Results = Path("book/results")):
    """Compute published numbers again from published curves; ends with status 1 where one differs."""
    words, well = of_book("check").say(results)
    typer.echo(words)
    if not well:
        raise typer.Exit(1)


@app.command("learning-curves")
def learning_curves(out: Out = Path("runs"), results: Results = Path("book/results")):
    """Fit potentials to ever more frames and say how much of the force is noise; half an hour."""
    of_book("learning_curves").make(results, out)


@app.command()
def kernels(
    same: Annotated[list[str] | None, typer.Option(help="A room of changed code, equal numbers: names stay.")] = None,
    bump: Annotated[list[str] | None, typer.Option(help="A room whose numbers changed: new names.")] = None,
):
    """Say which versions the kernels have, by which results are named; record what a change of theirs is."""
    from cgcore.store import kernels as versions

    for action, rooms in (("same", same), ("bump", bump)):
        if rooms:
            versions.record(action, rooms)
    for room in versions.ROOMS:
        typer.echo(f"{room:14} {versions.version(room)}")


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
