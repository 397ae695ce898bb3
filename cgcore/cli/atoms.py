"""Commands about atoms and maps: reference simulations, frames of other programs, beads held still, groupings."""

from pathlib import Path
from typing import Annotated

import typer

from .app import Atoms, Held, Kelvin, Out, Sample, Spacing, Stride, app


@app.command()
def maps():
    """List the maps and typings of beads that come with the package."""
    from cgcore import mapping

    for entry in mapping.available():
        typer.echo(f"{entry.map:15} {entry.typing:11} {entry.fits:12} {entry.description}")


@app.command()
def propose(
    trajectory: Sample,
    topology: Atoms = None,
    frame_ps: Spacing = None,
    stride: Stride = 1,
    temperature_k: Kelvin = None,
    constraints: Held = None,
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
def sets():
    """List the reference sets that come with the package."""
    from cgcore.reference.sets import available

    for entry in available():
        amount = f"{entry.frames} frames, {entry.length_ns:.3g} ns, {entry.size / 1e6:.1f} MB"
        typer.echo(f"{entry.name:15} {amount:34} {entry.good_for}")


@app.command()
def reference(
    system: Annotated[
        str | None, typer.Argument(help="hexane, ala2, gly2, pro2, thr2 or ala15; or a PDB file with all hydrogens.")
    ] = None,
    sequence: Annotated[str | None, typer.Option(help="In place of a file: a peptide such as ACE-VAL-NME.")] = None,
    smiles: Annotated[str | None, typer.Option(help="In place of a file: a molecule such as 'C[C@H](O)CC'.")] = None,
    forcefield: Annotated[
        str | None,
        typer.Option(help="amber99sbildn (of peptides), amber14, mmff94 (of any small molecule), or tip3p (of water)."),
    ] = None,
    liquid: Annotated[
        int | None, typer.Option(help="So many copies of a molecule, in a cubic box of constant volume.")
    ] = None,
    density: Annotated[float | None, typer.Option(help="Of the liquid, in kg/m³: 789 of ethanol.")] = None,
    solvent: Annotated[
        str | None, typer.Option(help="obc2 (implicit, of peptides the default), tip3p or none.")
    ] = None,
    temperature_K: Annotated[float, typer.Option(help="Of the thermostat.")] = 300.0,
    length_ns: Annotated[float, typer.Option(help="Length of each replica.")] = 1.0,
    every_ps: Annotated[float | None, typer.Option(help="Of frames; 2 ps, or the paper's 1 ps in water.")] = None,
    replicas: Annotated[int, typer.Option(help="Runs from different starts.")] = 1,
    seed: Annotated[int, typer.Option(help="Of velocities, noise and starts.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Folder; reference/SYSTEM_SOLVENT by default, SYSTEM_N_DENSITY of a liquid.")
    ] = None,
    chirality: Annotated[str, typer.Option(help="L or D.")] = "L",
    start: Annotated[
        str | None, typer.Option(help="Conformation of every replica, such as left; the system's in turn by default.")
    ] = None,
    constraints: Annotated[
        str | None, typer.Option(help="none or h-bonds, whose forces not every map can carry; all-bonds of tip3p.")
    ] = None,
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

    name, own = _own_molecule(system, sequence, smiles, forcefield, liquid)
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
        molecules=liquid,
        density_kg_m3=density,
        temperature_K=temperature_K,
        **own,
    )
    along = "" if temperature_K == 300.0 else f"_{temperature_K:g}K"
    along += "" if bias is None else f"_{bias.replace(' ', '_').replace(':', '')}"
    along += "" if start is None else f"_{start}"
    around = f"{liquid}_{density:g}" if liquid else wanted.solvent
    if liquid:
        from cgcore.reference.system import start as begin

        built = begin(wanted, 0)
        typer.echo(f"{liquid} molecules, {built.topology.n_atoms} atoms, in a cube of {built.box[0]:.4f} nm")
    folder = out or Path("reference") / f"{name}_{around}{along}"
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
def hold(
    map: Annotated[str, typer.Argument(help="A map of `cgcore maps`.")],
    reference: Annotated[str, typer.Argument(help="A set of `cgcore sets`, or a folder of `cgcore reference`.")],
    residue: Annotated[str | None, typer.Option(help="A residue of the map, that the reference must hold.")] = None,
    frames: Annotated[
        int, typer.Option(help="Frames at which the beads stand still, chosen for what they cover.")
    ] = 200,
    length_ps: Annotated[float, typer.Option(help="For how long the atoms move under each.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Of velocities and noise.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Folder; reference/REFERENCE_MAP_held by default.")] = None,
):
    """Make a reference of mean forces: beads held still, the force on them averaged over the atoms; resumable."""
    from cgcore.hold import hold as sample

    folder = out or Path("reference") / f"{Path(reference).name}_{Path(map).stem}_held"
    done = sample(reference, map, folder, residue=residue, frames=frames, length_ps=length_ps, seed=seed)
    typer.echo(f"Done: {done}; learn from it by reference={done}")


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


def _own_molecule(
    system: str | None, sequence: str | None, smiles: str | None, forcefield: str | None, liquid: int | None
) -> tuple[str, dict]:
    """The name of what is simulated, and the fields of the protocol of anyone's molecule."""
    from cgcore.config import ConfigError

    given = {"SYSTEM": system, "--sequence": sequence, "--smiles": smiles}
    if sum(value is not None for value in given.values()) != 1:
        raise ConfigError(
            f"want one of {', '.join(given)}, got {[k for k, v in given.items() if v is not None] or 'none'}"
        )
    if sequence and liquid is not None:
        raise ConfigError(f"--liquid: want a small molecule, by --smiles or a PDB file, got --sequence {sequence}")
    if system is not None and not system.lower().endswith(".pdb"):
        return system, {} if forcefield is None else {"forcefield": forcefield}
    from cgcore.reference import own

    if smiles is not None:
        return own.label(smiles), {"structure": own.from_smiles(smiles), "forcefield": forcefield or "mmff94"}
    text = own.from_sequence(sequence) if sequence else own.from_pdb(system)
    return sequence or Path(system).stem, {"structure": text, "forcefield": forcefield or "amber99sbildn"}
