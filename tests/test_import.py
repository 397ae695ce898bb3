"""`cgcore import`: anybody's finished run as a reference folder that every command takes, or a message that names the way."""

import json
import shutil
import subprocess
from dataclasses import replace

import mdtraj
import numpy as np
import pytest
from gmx import needs_gmx
from numpy.testing import assert_allclose, assert_array_equal
from typer.testing import CliRunner

from cgcore import geometry, io, steps
from cgcore.cli import app
from cgcore.config import ConfigError
from cgcore.io import TrajectoryError
from cgcore.io.trr import read_trr
from cgcore.mapping import MappingError
from cgcore.reference import imported, sets
from cgcore.reference.errors import ReferenceRunError
from cgcore.reference.import_config import ImportConfig
from cgcore.store import data_file, read_json

PDB, TRR = data_file("ala2/topology.pdb"), data_file("ala2/solute.trr")


def cgcore(*words) -> str:
    """What a command prints; its message where it ends with status 1."""
    ended = CliRunner().invoke(app, [str(word) for word in words])
    if ended.exception and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return ended.output


def make(out, *trajectories, topology=PDB, **options):
    config = ImportConfig(trajectories=tuple(map(str, trajectories)), topology=str(topology), **options)
    return imported.make(config, out, progress=False)


@pytest.fixture(scope="module")
def atoms():
    topology = io.read_topology(PDB)
    return topology, io.read(TRR, topology, stride=40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make(tmp_path_factory.mktemp("import") / "run", TRR, stride=40)


def test_a_run_becomes_a_reference(folder, atoms):
    topology, frames = sets.load(folder)
    assert_array_equal(frames.position, atoms[1].position)
    assert_array_equal(frames.force, atoms[1].force)
    assert_array_equal(frames.time, atoms[1].time)
    assert_allclose(frames.box, atoms[1].box)
    assert (topology.names, topology.residue_labels) == (atoms[0].names, atoms[0].residue_labels)
    assert_array_equal(sets.load(folder, stride=7)[1].force, atoms[1].force[::7])
    assert sets.kind(folder) is sets.Kind.IMPORTED and not sets.is_held(folder)
    assert sets.source(folder) == str(folder) and sets.temperature_K(folder) == 300.0
    assert io.read_topology(sets.topology_file(folder)).names == topology.names
    config, manifest = (read_json(folder / name) for name in ("config.json", "manifest.json"))
    assert config["trajectories"][0]["file"] == "solute.trr" and len(config["topology"]["sha256"]) == 64
    assert config["stride"] == 40 and config["temperature_K"] == 300.0
    assert manifest["frames"] == frames.n_frames == 314 and abs(manifest["virial"]["ratio"] - 1) < 0.1
    assert set(manifest["sha256"]) == {"topology.json", "replica_00.trr"}


def test_every_command_takes_it(folder):
    said = cgcore("doctor", "core_beta", folder)
    assert "core_beta, typing published, 314 frames" in said
    reference = steps.load(steps.configure("amino_acids", map="core_beta", reference=str(folder), frames=300))
    assert reference.atoms.n_frames == 314 and reference.split.train.force is not None
    assert reference.split.train.n_frames + reference.split.valid.n_frames > 250


def test_what_needs_a_protocol_refuses_in_words(folder, tmp_path):
    message = "imported frames, whose force field and bias are not known; want a bundled set, or a folder of `cgcore reference`"
    assert message in cgcore("hold", "core_beta", folder, "--out", tmp_path / "held")
    with pytest.raises(ConfigError, match="imported frames, whose force field and bias are not known"):
        steps.load(steps.configure("amino_acids", map="core_beta", reference=str(folder), weights="none"))


def test_frames_without_forces_are_for_the_doctor_alone(tmp_path, atoms):
    np.savez(tmp_path / "a.npz", position=atoms[1].position, time=atoms[1].time)
    said = cgcore(
        "import",
        tmp_path / "a.npz",
        "--topology",
        PDB,
        "--out",
        tmp_path / "run",
        "--length-unit",
        "nm",
        "--time-unit",
        "ps",
    )
    assert "314 frames of 22 atoms, 1 replica, without forces: the doctor takes them, no training does" in said
    assert "core_beta, typing published, 314 frames" in cgcore("doctor", "core_beta", tmp_path / "run")
    with pytest.raises(
        ConfigError, match="frames without forces, from which nothing can be learnt; import them with --forces"
    ):
        steps.load(steps.configure("amino_acids", map="core_beta", reference=str(tmp_path / "run")))
    with pytest.raises(ConfigError, match="--force-unit eV/Å: no file has forces"):
        make(tmp_path / "b", tmp_path / "a.npz", length_unit="nm", time_unit="ps", force_unit="eV/angstrom")


def test_replicas_and_weights(tmp_path, atoms):
    """Two runs with a bias, packed: each on its own clock, every frame with what it counts."""
    _, frames = atoms
    weights = np.random.default_rng(0).uniform(0.1, 3.0, frames.n_frames)
    for k, some in enumerate((slice(0, 100), slice(100, 250))):
        part = frames[some]
        io.write_packed(tmp_path / f"{k}.h5", replace(part, weight=weights[some]))
    whole = sets.load(make(tmp_path / "run", tmp_path / "0.h5", tmp_path / "1.h5"))[1]
    assert whole.replica.tolist() == [0] * 100 + [1] * 150
    wanted = np.concatenate([weights[:100] / weights[:100].mean(), weights[100:250] / weights[100:250].mean()])
    assert_allclose(whole.weight, wanted)
    some = sets.load(tmp_path / "run", stride=3)[1]
    assert_allclose(some.weight[:34], whole.weight[:100:3] / whole.weight[:100:3].mean())
    assert_allclose(whole.position, frames.position[:250], atol=1.1e-4)


def test_a_finished_folder_is_left_as_it_is(folder, tmp_path):
    kept = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    assert make(folder, TRR, stride=40) == folder
    with pytest.raises(ReferenceRunError, match="holds another simulation: stride was 40, now 20.*another --out"):
        make(folder, TRR, stride=20)
    assert kept == {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ReferenceRunError, match="files without a config.json"):
        make(tmp_path, TRR, stride=40)


def test_a_killed_import_does_not_look_finished_and_is_started_again(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(imported, "trr_frame", killed)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "run", TRR, stride=400)
    with pytest.raises(ConfigError, match="an import that is not finished; start the same `cgcore import` again"):
        sets.load(tmp_path / "run")
    monkeypatch.undo()
    assert sets.load(make(tmp_path / "run", TRR, stride=400))[1].n_frames == 32
    assert not list((tmp_path / "run").glob("*.part"))


def test_a_damaged_folder_is_not_learnt_from(folder, tmp_path):
    for name, says in (
        ("replica_00.trr", "not the file that the manifest was written for"),
        ("topology.json", "not the file"),
    ):
        copy = shutil.copytree(folder, tmp_path / name)
        data = bytearray((copy / name).read_bytes())
        data[100] ^= 1
        (copy / name).write_bytes(data)
        with pytest.raises(ReferenceRunError, match=says):
            sets.load(copy)


def test_a_folder_of_something_else_is_told_what_it_needs(tmp_path):
    with pytest.raises(
        ConfigError, match="is a folder without config.json: `cgcore import TRAJECTORY --topology FILE --out FOLDER`"
    ):
        sets.load(tmp_path)


# Refused before anything is written


REFUSED = {
    "length": ({"length_unit": "nm"}, "about 10 times as long as they should be: lengths look like Å taken for nm"),
    "force": ({"force_unit": "kJ/mol/nm"}, "they look like kcal/mol/Å; one of these is 41.84 kJ/mol/nm"),
    "force by 4.184": ({"force_unit": "kJ/mol/Å"}, "they look like kcal/mol/nm; one of these is 4.184 kJ/mol/nm"),
    "no unit": ({"length_unit": None, "force_unit": None}, "want --length-unit .* and --force-unit"),
    "no times": ({}, "314 frames without times; give their spacing as frame_ps"),
    "constraints": ({"frame_ps": 16.0, "constraints": "h-bonds"}, "12 distances such as .* and are said to be held fixed; was this run made without"),
    "selection": ({"select": "resname HOH"}, "no such atoms; residues are .'ACE', 'ALA', 'NME'."),
    "selection in what words": ({"select": "protein and"}, "want words as MDTraj has them, such as 'protein'"),
    "selection that cuts": ({"select": "resname ALA"}, "cuts 2 bonds such as ACE0:C–ALA1:N; want whole molecules"),
}  # fmt: skip


@pytest.mark.parametrize("slip", REFUSED)
def test_slips_leave_nothing_behind(tmp_path, atoms, slip):
    """Frames in Å and kcal/mol/Å, and what is said of them."""
    options, message = REFUSED[slip]
    known = {"length_unit": "angstrom", "force_unit": "kcal/mol/angstrom"}
    np.savez(tmp_path / "a.npz", position=10.0 * atoms[1].position, force=atoms[1].force / 41.84)
    spacing = {} if slip == "no times" else {"frame_ps": 16.0}
    with pytest.raises((TrajectoryError, ConfigError), match=message):
        make(tmp_path / "run", tmp_path / "a.npz", **known | spacing | options)
    assert not (tmp_path / "run").exists()


def test_right_units_are_converted(tmp_path, atoms):
    np.savez(
        tmp_path / "a.npz", position=10.0 * atoms[1].position, force=atoms[1].force / 41.84, time=1000 * atoms[1].time
    )
    cgcore("import", tmp_path / "a.npz", "--topology", PDB, "--out", tmp_path / "run", "--length-unit", "angstrom", "--force-unit", "kcal/mol/angstrom", "--time-unit", "fs")  # fmt: skip
    _, frames = sets.load(tmp_path / "run")
    assert_allclose(frames.position, atoms[1].position, atol=1e-5)
    assert_allclose(frames.force, atoms[1].force, rtol=1e-5, atol=1e-3)
    assert_allclose(frames.time, atoms[1].time, rtol=1e-6)
    assert read_json(tmp_path / "run" / "config.json")["force_unit"] == "kcal/mol/Å"


def test_bonds_that_no_file_has_are_asked_for(tmp_path, atoms):
    """A GRO file of a molecule that is no standard residue has none; they come from another file of the same atoms."""
    lines = data_file("ala2/solute.gro").read_text().splitlines()
    renamed = [f"{1:5d}{'LIG':<5s}{f'{x[10:15].strip()[0]}{k}':>5s}{x[15:]}" for k, x in enumerate(lines[2:-1], 1)]
    (tmp_path / "a.gro").write_text("\n".join([*lines[:2], *renamed, lines[-1], ""]))
    with pytest.raises(
        TrajectoryError,
        match=r"LIG1:C5 and LIG1:O6 are 0.1.* nm apart .*Bonds may also come from another .*\(--bonds\)",
    ):
        make(tmp_path / "run", TRR, topology=tmp_path / "a.gro", stride=400)
    run = make(tmp_path / "run", TRR, topology=tmp_path / "a.gro", bonds=str(PDB), stride=400)
    assert_array_equal(sets.load(run)[0].bonds, atoms[0].bonds)
    (tmp_path / "m.toml").write_text(
        'description = "x"\nleaves_atoms_out = true\n[typings.published]\ndescription = "x"\nby = "bead"\n[smarts]\nCA = "[CX4:1](N)(C)C=O"\n'
    )
    with pytest.raises(
        MappingError, match="LIG1:C1 and 21 others of their residues have no bonds, and patterns are found along bonds"
    ):
        steps.mapping.load(tmp_path / "m.toml", io.read_topology(tmp_path / "a.gro"))


@pytest.mark.parametrize(
    "words, says",
    [
        (["x.trr", "--topology", PDB, "--out", "o"], "x.trr: no such file"),
        ([TRR, "--topology", PDB, "--out", "o", "--force-unit", "kcal"], "--force-unit: want one of"),
        ([TRR, "--topology", PDB, "--out", "o", "--constraints", "hbonds"], "did you mean 'h-bonds'"),
        ([TRR, "--topology", PDB, "--out", "o", "--forces", TRR, "--forces", PDB], "want one file for each of 1 traj"),
        ([TRR, TRR, "--topology", PDB, "--out", "o"], "one trajectory is named twice"),
        ([TRR, "--topology", PDB, "--out", "o", "--stride", "0"], "want at least 1, got 0"),
        ([TRR, "--topology", PDB, "--out", "o", "--force-unit", "eV/Å"], "forces are in kJ/mol/nm by the format"),
        ([TRR, "--topology", PDB, "--out", "o", "--frame-ps", "2"], "carries its own times"),
        ([PDB, "--topology", TRR, "--out", "o"], "want a file that ends in one of"),
    ],
)
def test_what_a_user_mistypes(tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    assert says in cgcore("import", *words)
    assert not (tmp_path / "o").exists()


# A run of GROMACS as it lies in its folder


MDP = """integrator = {integrator}
dt = 0.0005
nsteps = {steps}
nstxout = 20
nstfout = 20
nstxout-compressed = 20
tc-grps = System
tau-t = 0.5
ref-t = 300
gen-vel = yes
gen-temp = 300
rcoulomb = 0.9
rvdw = 0.9
coulombtype = PME
constraints = none
"""


@pytest.fixture(scope="module")
def gromacs(tmp_path_factory):
    """Capped alanine in a dodecahedron of water: topol.top with #include, md.tpr, md.trr, md.xtc."""
    run = tmp_path_factory.mktemp("gmx")
    shutil.copyfile(PDB, run / "in.pdb")
    for name, integrator, n in (("em", "steep", 50), ("md", "sd", 2000)):
        (run / f"{name}.mdp").write_text(MDP.format(integrator=integrator, steps=n))
    for words in (
        "pdb2gmx -f in.pdb -ff amber99sb-ildn -water tip3p -o conf.gro -p topol.top",
        "editconf -f conf.gro -o box.gro -c -bt dodecahedron -box 2.4",
        "solvate -cp box.gro -cs spc216 -p topol.top -o em0.gro",
        "grompp -f em.mdp -c em0.gro -p topol.top -o em.tpr -maxwarn 3",
        "mdrun -deffnm em -nt 1",
        "grompp -f md.mdp -c em.gro -p topol.top -o md.tpr -maxwarn 3",
        "mdrun -deffnm md -nt 1",
    ):
        subprocess.run(["gmx", "-nobackup", *words.split()], cwd=run, check=True, capture_output=True)
    return run


@needs_gmx
def test_a_plain_folder_of_gromacs(gromacs, tmp_path):
    """The solute out of its water and dodecahedron, whole; rigid water of the .top and its unused ions are no obstacle."""
    said = cgcore(
        "import",
        gromacs / "md.trr",
        "--topology",
        gromacs / "topol.top",
        "--select",
        "protein",
        "--out",
        tmp_path / "a",
    )
    assert "101 frames of 22 atoms, 1 replica, with forces" in said
    topology, frames = sets.load(tmp_path / "a")
    assert (
        set(topology.residues) == {"ACE", "ALA", "NME"} and len(topology.bonds) == 21 and not len(topology.constraints)
    )
    assert_allclose(topology.mass.sum(), 144.17, atol=0.02)
    whole = io.read_topology(gromacs / "topol.top")
    assert whole.n_atoms > 900 and len(whole.constraints) == whole.n_atoms - 22
    stored = read_trr(gromacs / "md.trr", whole.n_atoms, 1, np.arange(22))
    assert_array_equal(frames.force, stored.force)
    assert_allclose(frames.position, geometry.make_whole(stored.position, topology.bonds, stored.vectors), atol=1e-6)
    assert np.isinf(frames.box).all()


@needs_gmx
def test_united_atoms_keep_their_masses(tmp_path):
    """GROMOS as pdb2gmx writes it: atomic numbers from the force field, masses of united atoms through the folder's file."""
    residue = [line for line in PDB.read_text().splitlines() if " ALA " in line]
    (tmp_path / "in.pdb").write_text("\n".join([*residue, "END", ""]))
    words = "pdb2gmx -f in.pdb -ff gromos54a7 -water spc -ignh -o conf.gro -p topol.top"
    subprocess.run(["gmx", "-nobackup", *words.split()], cwd=tmp_path, check=True, capture_output=True)
    found = io.read_topology(tmp_path / "topol.top")
    assert "".join(found.elements) == "NHHHCCCOO"
    assert_allclose(found.mass[[4, 5]], [13.019, 15.035])
    io.save_topology(tmp_path / "t.json", found)
    assert_array_equal(io.read_topology(tmp_path / "t.json").mass, found.mass)


@needs_gmx
def test_tpr_and_xtc_with_forces_from_elsewhere(gromacs, tmp_path):
    pytest.importorskip("MDAnalysis")
    make(tmp_path / "a", gromacs / "md.trr", topology=gromacs / "topol.top", select="protein", constraints="none")
    make(
        tmp_path / "b",
        gromacs / "md.xtc",
        topology=gromacs / "md.tpr",
        forces=(str(gromacs / "md.trr"),),
        select="not water",
    )
    (one, first), (other, second) = sets.load(tmp_path / "a"), sets.load(tmp_path / "b")
    assert (one.names, one.elements) == (other.names, other.elements)
    assert_array_equal(one.bonds, other.bonds)
    assert_allclose(one.mass, other.mass, rtol=1e-6)
    assert_array_equal(first.force, second.force)
    assert_allclose(first.position - first.position[:, :1], second.position - second.position[:, :1], atol=1.1e-3)


@needs_gmx
def test_a_liquid_in_a_dodecahedron_is_refused_with_the_way_out(gromacs, tmp_path):
    with pytest.raises(
        TrajectoryError,
        match=r"want one orthorhombic box .*Want the solute alone \(`cgcore import --select protein`\), or, of a liquid, a run at",
    ):
        make(tmp_path / "a", gromacs / "md.trr", topology=gromacs / "topol.top")


def test_json_of_a_topology_is_plain(folder):
    assert set(json.loads((folder / "topology.json").read_text())) == {
        "names", "residues", "residue_index", "elements", "mass", "bonds", "constraints", "residue_labels"
    }  # fmt: skip


def test_frames_without_forces_beside_others_are_refused_in_any_order(tmp_path, atoms):
    _, frames = atoms
    bare = tmp_path / "bare.xtc"
    mdtraj.Trajectory(frames.position, None, time=frames.time).save_xtc(str(bare))
    for files in ((bare, TRR), (TRR, bare)):
        with pytest.raises(TrajectoryError, match=r"bare.*: frames without forces beside others with forces"):
            make(tmp_path / "run", *files)


def test_a_run_at_another_temperature_is_told_so(tmp_path):
    """Forces that fit 300 K, told as 200 K: near enough to be no other unit, and not what the folder would say."""
    folder = make(tmp_path / "run", TRR, stride=40, temperature_K=200.0)
    assert "pull back as at" in imported.summary(folder) and "not 200: say --temperature-K" in imported.summary(folder)


def test_a_selection_by_chain_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="chains are not kept"):
        make(tmp_path / "run", TRR, select="chainid 0")


def test_a_folder_of_another_command_is_called_that_and_not_damaged(folder, tmp_path):
    for words in (
        ("accept", folder),
        ("export", folder, "--to", "ase", "--out", tmp_path / "out"),
        ("reference", "ala2", "--length-ns", 0.01, "--out", folder),
    ):
        told = cgcore(*words)
        assert "another command" in told and "remove" not in told, told
