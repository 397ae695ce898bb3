"""Commands about models of beads: what a map will do, whether a run is good enough, where it goes."""

from pathlib import Path
from typing import Annotated

import typer

from .app import Atoms, Held, Kelvin, Sample, Spacing, Stride, app


@app.command()
def doctor(
    mapping: Annotated[str, typer.Argument(help="A map of `cgcore maps`, or a .toml file of your own.")],
    trajectory: Sample,
    typing: Annotated[str, typer.Option(help="One of the map's typings.")] = "published",
    residue: Annotated[str | None, typer.Option(help="A residue that the topology must hold.")] = None,
    topology: Atoms = None,
    frame_ps: Spacing = None,
    stride: Stride = 1,
    temperature_k: Kelvin = None,
    constraints: Held = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the verdict, every number and the proposed map.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON in place of words.")] = False,
):
    """Say which artefacts a model trained with a mapping will have, from reference frames, before any training."""
    from cgcore.doctor import as_json, diagnose, verdict, write

    examination = diagnose(
        mapping,
        trajectory,
        typing=typing,
        residue=residue,
        topology=topology,
        frame_ps=frame_ps,
        stride=stride,
        temperature_K=temperature_k,
        constraints=constraints,
    )
    typer.echo(as_json(examination) if json else verdict(examination))
    if out is not None:
        for path in write(examination, mapping, out):
            typer.echo(path, err=json)


@app.command()
def accept(
    observed: Annotated[list[Path], typer.Argument(help="Finished observations: runs/<system>/<id>.")],
    against: Annotated[
        str | None, typer.Option(help="A set or folder that populations are held against; the run's own by default.")
    ] = None,
    walk_ps: Annotated[
        float, typer.Option(help="Of each walk along phi; longer ones go on where shorter ones ended.")
    ] = 1000.0,
):
    """Say whether runs are good enough to be used: pass, fail or undecided, with the numbers that decide it."""
    from cgcore.acceptance import accept as tested
    from cgcore.errors import CgcoreError

    failed = False
    for folder in observed:
        try:
            tests, verdict = tested(folder, against, walk_ps)
        except CgcoreError as error:  # the others are tested none the less
            typer.secho(f"Not tested: {error}", err=True, fg=typer.colors.RED)
            failed = True
            continue
        typer.echo(f"{folder}: {verdict}")
        for t in tests:
            _tell(t)
        failed |= verdict == "fail"
    raise typer.Exit(int(failed))


@app.command()
def reweight(
    walked: Annotated[Path, typer.Argument(help="A run that `cgcore accept` has tested: its walks are taken.")],
    observed: Annotated[list[Path], typer.Argument(help="Finished observations of the same map: runs/<system>/<id>.")],
    against: Annotated[
        str | None, typer.Option(help="A set or folder that populations are held against; the walked run's by default.")
    ] = None,
):
    """Say what other potentials would have made of the walks of one: populations within minutes, without simulating."""
    from cgcore.reweighting import reweight as judge

    for folder, tests in judge(walked, observed, against).items():
        typer.echo(folder)
        for t in tests:
            _tell(t)


@app.command()
def export(
    run: Annotated[
        Path, typer.Argument(help="runs/<system>/<id>, runs/fit/<id>, or a published book/results/**/models/<id>.npz.")
    ],
    to: Annotated[str, typer.Option(help="ase, openmm, lammps, mace-torch or web.")],
    out: Annotated[Path | None, typer.Option(help="A new folder; export/ID_TARGET by default.")] = None,
    reference: Annotated[
        str | None, typer.Option(help="Where priors and start come from, if a published network's own is not here.")
    ] = None,
):
    """Write the potential of a run, with its priors, for another program: a folder with run.py and a README."""
    from cgcore.export import export as written

    folder = out or Path("export") / f"{run.resolve().stem}_{to}"
    typer.echo(f"Done: {written(run, to, folder, reference=reference) / 'README.md'}")


def _tell(t):
    """One line of a test."""
    value = "–" if t.value is None else f"{t.value:.3g}" + ("" if t.error is None else f" ± {t.error:.2g}")
    typer.echo(f"  {t.verdict:10}{t.name:50}{value:>18}  limit {t.limit:.3g} {t.unit}  {t.why}".rstrip())
