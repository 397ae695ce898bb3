"""The commands of `cgcore`: simulate a reference, look at a map, run notebooks, make the book."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from cgcore import __version__
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


@app.callback()
def every_command():
    """Coarse-graining with machine-learned potentials: the commands behind the book."""
    for stream in (sys.stdout, sys.stderr):  # what a terminal's encoding lacks must not end a command after its work
        stream.reconfigure(errors="replace")


@app.command()
def book(
    profile: Annotated[str, typer.Option(help="quick, laptop or paper.")] = "quick",
    root: Root = Path("."),
    out: Out = Path("runs"),
):
    """Run the book's notebooks, publish their pages and build the HTML."""
    _book("build").make_book(profile, root, out)


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
    given = _book("parameters").typed_parameters(notebook, pairs)
    executed = _book("run").run_notebook(notebook, given, out)
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
    sweeps = _book("sweep")
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
    for path in _book("collect").collect(observed, target, replace=replace, tests_only=tests_only):
        typer.echo(path)


@app.command("observe-references")
def observe_references(folder: Results = Path("book/results")):
    """Compute anew what the chapters say of their references alone, and draw their figures; it takes minutes."""
    for path in _book("reference_rows").observe(folder):
        typer.echo(path)


@app.command()
def maps():
    """List the maps and typings of beads that come with the package."""
    from cgcore import mapping

    for entry in mapping.available():
        residues = ", ".join(entry.residues)
        typer.echo(f"{entry.map:15} {entry.typing:11} {residues:18} {entry.description}")


@app.command()
def reference(
    system: Annotated[
        str | None, typer.Argument(help="hexane, ala2, gly2, pro2, thr2 or ala15; or a PDB file with all hydrogens.")
    ] = None,
    sequence: Annotated[str | None, typer.Option(help="In place of a file: a peptide such as ACE-VAL-NME.")] = None,
    smiles: Annotated[str | None, typer.Option(help="In place of a file: a molecule such as 'C[C@H](O)CC'.")] = None,
    forcefield: Annotated[
        str | None,
        typer.Option(help="amber99sbildn (of peptides), amber14, or mmff94 (of any small molecule, in vacuum)."),
    ] = None,
    solvent: Annotated[
        str | None, typer.Option(help="obc2 (implicit, of peptides the default), tip3p or none.")
    ] = None,
    length_ns: Annotated[float, typer.Option(help="Length of each replica.")] = 1.0,
    every_ps: Annotated[float | None, typer.Option(help="Of frames; 2 ps, or the paper's 1 ps in water.")] = None,
    replicas: Annotated[int, typer.Option(help="Runs from different starts.")] = 1,
    seed: Annotated[int, typer.Option(help="Of velocities, noise and starts.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Folder; reference/SYSTEM_SOLVENT by default.")] = None,
    chirality: Annotated[str, typer.Option(help="L or D.")] = "L",
    start: Annotated[
        str | None, typer.Option(help="Conformation of every replica, such as left; the system's in turn by default.")
    ] = None,
    constraints: Annotated[str, typer.Option(help="none or h-bonds, whose forces not every map can carry.")] = "none",
    dt_fs: Annotated[float | None, typer.Option(help="Time step; the protocol's by default.")] = None,
    bias: Annotated[
        str | None, typer.Option(help="Dihedral to cross all barriers of: phi, psi-2, or four atoms.")
    ] = None,
    bias_ns: Annotated[
        float | None, typer.Option(help="Length of the metadynamics that makes it, from its start after a kill; 5 ns.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    jobs: Annotated[int | None, typer.Option(help="Replicas at once; as many as cores by default.")] = None,
):
    """Simulate an atomistic reference with forces; a killed run goes on where it stopped, a longer one adds to it."""
    from cgcore.reference.protocol import bias_config, protocol
    from cgcore.reference.run import simulate

    name, own = _own_molecule(system, sequence, smiles, forcefield)
    wanted = protocol(
        name,
        solvent=solvent,
        every_ps=every_ps,
        dt_fs=dt_fs,
        replicas=replicas,
        seed=seed,
        chirality=chirality,
        start=start,
        constraints=constraints,
        bias=bias_config(bias, bias_ns),
        **own,
    )
    along = "" if bias is None else f"_{bias.replace(' ', '_').replace(':', '')}"
    along += "" if start is None else f"_{start}"
    folder = out or Path("reference") / f"{name}_{wanted.solvent}{along}"
    typer.echo(f"Done: {simulate(wanted, length_ns, folder, device=device, jobs=jobs)}")


@app.command("import")
def import_(
    trajectories: Annotated[
        list[str],
        typer.Argument(help="TRR, XTC, DCD, NetCDF, HDF5, LAMMPS dump, npz, XYZ, GRO or PDB; one a replica."),
    ],
    topology: Annotated[
        str, typer.Option(help="TOP, PDB, mmCIF, GRO, MOL, SDF, TPR or PSF: atoms, in the order of the frames.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to make.")],
    forces: Annotated[list[str] | None, typer.Option(help="Files with the forces, one a trajectory.")] = None,
    bonds: Annotated[str | None, typer.Option(help="Another topology, or one molecule of it, with the bonds.")] = None,
    length_unit: Annotated[str | None, typer.Option(help="nm, angstrom, bohr: of files that do not say.")] = None,
    force_unit: Annotated[str | None, typer.Option(help="kJ/mol/nm, kcal/mol/angstrom, eV/angstrom, ...")] = None,
    time_unit: Annotated[str | None, typer.Option(help="ps, fs, ns.")] = None,
    frame_ps: Annotated[float | None, typer.Option(help="Spacing of all frames, for files without times.")] = None,
    temperature_k: Annotated[float, typer.Option("--temperature-K", help="Of the run.")] = 300.0,
    constraints: Annotated[str | None, typer.Option(help="none, h-bonds, all-bonds: if frames cannot tell.")] = None,
    stride: Annotated[int, typer.Option(help="Take every so many frames.")] = 1,
    select: Annotated[str | None, typer.Option(help="Atoms to keep: protein, 'not water', 'resname LIG'.")] = None,
):
    """Make a reference folder, which every command takes, of the frames and forces of a finished run of any program."""
    from cgcore.reference.import_config import ImportConfig

    config = ImportConfig(
        trajectories=tuple(trajectories),
        topology=topology,
        forces=tuple(forces or ()),
        bonds=bonds,
        length_unit=length_unit,
        force_unit=force_unit,
        time_unit=time_unit,
        frame_ps=frame_ps,
        temperature_K=temperature_k,
        constraints=constraints,
        stride=stride,
        select=select,
    )
    from cgcore.reference import imported

    typer.echo(f"Done: {imported.summary(imported.make(config, out))}")


@app.command()
def sets():
    """List the reference sets that come with the package."""
    from cgcore.reference.sets import available

    for entry in available():
        amount = f"{entry.frames} frames, {entry.length_ns:.3g} ns, {entry.size / 1e6:.1f} MB"
        typer.echo(f"{entry.name:15} {amount:34} {entry.good_for}")


@app.command("mean-forces")
def mean_forces(
    map: Annotated[str, typer.Argument(help="A map of hexane: four_site, three_site or two_site.")],
    frames: Annotated[int, typer.Option(help="Held-out frames at which the beads stand still.")] = 4,
    length_ps: Annotated[float, typer.Option(help="For how long the atoms move under each.")] = 10.0,
    network: Annotated[list[Path] | None, typer.Option(help="A fit of hexane, fit/<id>; as often as needed.")] = None,
    out: Out = Path("runs"),
):
    """Hold the beads of hexane still and average the forces on them: the noise floor, and what potentials miss."""
    from cgcore.mean_forces import beside_mean_forces

    table = beside_mean_forces(map, network or [], out, frames=frames, length_ps=length_ps)
    for name, numbers in table.items():
        typer.echo(f"{name:24} " + "  ".join(f"{key} {value:.4g}" for key, value in numbers.items()))


@app.command()
def hold(
    map: Annotated[str, typer.Argument(help="A map of `cgcore maps`.")],
    reference: Annotated[str, typer.Argument(help="A set of `cgcore sets`, or a folder of `cgcore reference`.")],
    residue: Annotated[str, typer.Option(help="A residue of the map.")] = "ala",
    frames: Annotated[
        int, typer.Option(help="Frames at which the beads stand still, chosen for what they cover.")
    ] = 200,
    length_ps: Annotated[float, typer.Option(help="For how long the atoms move under each.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Of velocities and noise.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Folder; reference/REFERENCE_MAP_held by default.")] = None,
):
    """Make a reference of mean forces: beads held still, the force on them averaged over the atoms; resumable."""
    from cgcore.hold import hold as sample

    folder = out or Path("reference") / f"{Path(reference).name}_{map}_held"
    done = sample(reference, map, folder, residue=residue, frames=frames, length_ps=length_ps, seed=seed)
    typer.echo(f"Done: {done}; learn from it by reference={done}")


@app.command()
def doctor(
    mapping: Annotated[str, typer.Argument(help="A map of `cgcore maps`, or a .toml file of your own.")],
    trajectory: Annotated[
        str,
        typer.Argument(
            help="A set of `cgcore sets`, a folder of `cgcore reference` or `import`, or a trajectory file."
        ),
    ],
    typing: Annotated[str, typer.Option(help="One of the map's typings.")] = "published",
    residue: Annotated[str | None, typer.Option(help="A residue of the map; the first that the topology has.")] = None,
    topology: Annotated[Path | None, typer.Option(help="PDB, TOP, ... file, where TRAJECTORY is a file.")] = None,
    frame_ps: Annotated[float | None, typer.Option(help="Spacing of frames, for files without times.")] = None,
    stride: Annotated[int, typer.Option(help="Take every so many frames.")] = 1,
    temperature_k: Annotated[
        float | None, typer.Option("--temperature-K", help="Of the reference; 300 for a file.")
    ] = None,
    constraints: Annotated[str | None, typer.Option(help="none, h-bonds, all-bonds: if frames cannot tell.")] = None,
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
def propose(
    trajectory: Annotated[
        str,
        typer.Argument(
            help="A set of `cgcore sets`, a folder of `cgcore reference` or `import`, or a trajectory file."
        ),
    ],
    topology: Annotated[Path | None, typer.Option(help="PDB, TOP, ... file, where TRAJECTORY is a file.")] = None,
    frame_ps: Annotated[float | None, typer.Option(help="Spacing of frames, for files without times.")] = None,
    stride: Annotated[int, typer.Option(help="Take every so many frames.")] = 1,
    temperature_k: Annotated[
        float | None, typer.Option("--temperature-K", help="Of the reference; 300 for a file.")
    ] = None,
    constraints: Annotated[str | None, typer.Option(help="none, h-bonds, all-bonds: if frames cannot tell.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the maps and the verdict on each.")] = Path("proposals"),
):
    """Propose maps for a molecule, with the doctor's verdict beside each: the soundest first, then the cheapest."""
    from cgcore.doctor import read_frames
    from cgcore.proposals import propose as proposed
    from cgcore.proposals import ranking

    given = {"frame_ps": frame_ps, "stride": stride, "temperature_K": temperature_k, "constraints": constraints}
    atoms, frames, kelvin = read_frames(trajectory, topology=topology, **given)
    typer.echo(ranking(proposed(atoms, frames, out, temperature_K=kelvin)))
    typer.echo(f"maps and verdicts: {out}")


@app.command()
def accept(
    observed: Annotated[list[Path], typer.Argument(help="Finished observations: runs/<system>/<id>.")],
    against: Annotated[
        str | None, typer.Option(help="A set or folder that populations are held against; the run's own by default.")
    ] = None,
):
    """Say whether runs are good enough to be used: pass, fail or undecided, with the numbers that decide it."""
    from cgcore.acceptance import accept as tested

    failed = False
    for folder in observed:
        tests, verdict = tested(folder, against)
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
    to: Annotated[str, typer.Option(help="ase, openmm, lammps or mace-torch.")],
    out: Annotated[Path | None, typer.Option(help="A new folder; export/ID_TARGET by default.")] = None,
    reference: Annotated[
        str | None, typer.Option(help="Where priors and start come from, if a published network's own is not here.")
    ] = None,
):
    """Write the potential of a run, with its priors, for another program: a folder with run.py and a README."""
    from cgcore.export import export as written

    folder = out or Path("export") / f"{run.resolve().stem}_{to}"
    typer.echo(f"Done: {written(run, to, folder, reference=reference) / 'README.md'}")


@app.command("doctor-table")
def doctor_table(results: Results = Path("book/results")):
    """Examine every map and typing of the paper, and write what was said beside what was observed."""
    _book("doctor_table").make(results, say=typer.echo)


@app.command()
def physics(
    label: Annotated[list[str] | None, typer.Argument(help="Of published networks; all by default.")] = None,
    results: Results = Path("book/results"),
):
    """Check published networks against statistical mechanics: ensembles, energy, equipartition, symmetries."""
    _book("physics").make(results, label or [], say=typer.echo)


@app.command()
def convergence(results: Results = Path("book/results")):
    """Say how converged the reference sets that come with the package are, and draw them."""
    for path in _book("reference_tables").make(results / "reference"):
        typer.echo(path)


@app.command()
def comparisons(results: Results = Path("book/results")):
    """Put potentials beside each other on the same held-out frames, and table 1 of the paper beside ours."""
    _book("comparisons").make(results)


@app.command("learning-curves")
def learning_curves(out: Out = Path("runs"), results: Results = Path("book/results")):
    """Fit potentials to ever more frames and say how much of the force is noise; half an hour."""
    _book("learning_curves").make(results, out)


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


def _own_molecule(
    system: str | None, sequence: str | None, smiles: str | None, forcefield: str | None
) -> tuple[str, dict]:
    """The name of what is simulated, and the fields of the protocol of anyone's molecule."""
    from cgcore.config import ConfigError

    given = {"SYSTEM": system, "--sequence": sequence, "--smiles": smiles}
    if sum(value is not None for value in given.values()) != 1:
        raise ConfigError(
            f"want one of {', '.join(given)}, got {[k for k, v in given.items() if v is not None] or 'none'}"
        )
    if system is not None and not system.lower().endswith(".pdb"):
        return system, {} if forcefield is None else {"forcefield": forcefield}
    from cgcore.reference import own

    if smiles is not None:
        return own.label(smiles), {"structure": own.from_smiles(smiles), "forcefield": forcefield or "mmff94"}
    text = own.from_sequence(sequence) if sequence else own.from_pdb(system)
    return sequence or Path(system).stem, {"structure": text, "forcefield": forcefield or "amber99sbildn"}


def _tell(t):
    """One line of a test."""
    value = "–" if t.value is None else f"{t.value:.3g}" + ("" if t.error is None else f" ± {t.error:.2g}")
    typer.echo(f"  {t.verdict:10}{t.name:50}{value:>18}  limit {t.limit:.3g} {t.unit}  {t.why}".rstrip())


def _pair(text: str) -> tuple[str, str]:
    from cgcore.config import ConfigError

    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ConfigError(f"-p {text}: want NAME=VALUE, such as -p map=core_beta")
    return name.strip(), value.strip()


def _book(module: str):
    """A module of the book's package, which is beside cgcore and not below it."""
    from importlib import import_module

    try:
        return import_module(f"cgbook.{module}")
    except ModuleNotFoundError as error:
        if error.name != "cgbook":
            raise
        typer.secho("Error: this command needs the book's package cgbook, of book/ in a checkout", err=True)
        raise typer.Exit(1) from error
