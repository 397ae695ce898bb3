"""Splines against csg_fmatch of VOTCA: maps, terms, knots and forces of the same atomistic frames of hexane.

Two faults of csg_fmatch 2022.1 show here. Its gradient of an angle is wrong (`csg_angle_gradient`): angle tables agree
only once ours takes that gradient, too. And its `periodic` dihedrals replace the condition that both ends are equal by one
on the sum of the knots; without the flag both ends are equal, but the force need not average to zero over a turn, so
that there is no potential. Ours has both conditions, and that table agrees within its errors instead of to rounding.
"""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from mdtraj.formats import TRRTrajectoryFile
from numpy.testing import assert_allclose

from cgcore import mapping, train_splines
from cgcore.config import SplineConfig
from cgcore.data import Split
from cgcore.potentials.splines import for_frames
from cgcore.potentials.terms import terms
from cgcore.reference import sets
from cgcore.train_splines import fit

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("csg_fmatch") is None, reason="csg_fmatch of VOTCA is not installed"),
]

BLOCKS, FRAMES_PER_BLOCK = 4, 12
KNOTS = dict(pair_step_nm=0.06, angle_step_rad=0.2, dihedral_step_rad=0.785, zero_force_at_cutoff=False)
BOND_STEP = {"two_site": 0.03, "three_site": 0.015, "four_site": 0.005}


@pytest.fixture(scope="module")
def atoms():
    """Topology and 48 frames of atoms, evenly spread."""
    topology, frames = sets.load("hexane", stride=13)
    return topology, frames[: BLOCKS * FRAMES_PER_BLOCK]


@pytest.fixture(scope="module", params=list(BOND_STEP))
def both(request, atoms, tmp_path_factory):
    """Splines, our fit and the folder with csg_fmatch's tables: of all frames in one block, and in four."""
    topology, frames = atoms
    mapped = mapping.load(request.param, topology, residue="hex")
    beads = mapping.apply(mapped, frames)
    # Every interval needs samples in every block: csg_fmatch stops where a knot has none.
    config = SplineConfig(**KNOTS, bond_step_nm=BOND_STEP[request.param], min_samples=100)
    splines = for_frames(terms(mapped), beads, config)
    folder = tmp_path_factory.mktemp(request.param)
    write_inputs(folder, topology, frames, mapped)
    tables = {blocks: csg_fmatch(folder, splines, blocks) for blocks in (1, BLOCKS)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_splines, "evaluate", with_csg_angles(train_splines.evaluate))
        theirs = fit(splines, Split(beads, 0, beads[:1], (0,)), folder, blocks=BLOCKS)
    ours = fit(splines, Split(beads, 0, beads[:1], (0,)), folder, blocks=BLOCKS)
    return splines, ours, theirs, tables


def test_forces_agree_within_the_errors_of_both(both):
    """Block averages of csg_fmatch against one fit of all frames: rms of difference / error over a term's knots."""
    splines, _, theirs, tables = both
    for s in splines:
        wanted, found = tables[BLOCKS][s.term.name], theirs.tables[s.term.name]
        n = min(len(wanted), len(found.x))
        error = np.hypot(wanted[:n, 2], found.force_error[:n])
        chi = (wanted[:n, 1] - found.force[:n]) / error
        assert np.sqrt(np.mean(chi**2)) < 1.5, s.term.name
        assert np.median(found.force_error[:n] / wanted[:n, 2]) == pytest.approx(1.0, abs=0.7), s.term.name


def test_the_same_problem_has_the_same_solution(both):
    """One block of csg_fmatch: all but dihedrals to a fraction of an error, which samples beyond the knots make."""
    splines, _, theirs, tables = both
    for s in splines:
        wanted, found = tables[1][s.term.name], theirs.tables[s.term.name]
        n = min(len(wanted), len(found.x))
        assert_allclose(wanted[:n, 0], found.x[:n], atol=1e-9)
        difference = np.abs(wanted[:n, 1] - found.force[:n]) / np.maximum(found.force_error[:n], 1e-9)
        if s.term.kind != "dihedral":
            assert difference.max() < 0.3, s.term.name


def test_angles_of_csg_fmatch_differ_from_the_right_ones(both):
    """Were it right, the fit with the gradient of the geometry would be the nearer one."""
    splines, ours, theirs, tables = both
    for s in splines:
        if s.term.kind == "angle":
            n = min(len(tables[1][s.term.name]), len(ours.tables[s.term.name].x))
            wanted = tables[1][s.term.name][:n, 1]
            right, wrong = (np.abs(f.tables[s.term.name].force[:n] - wanted).max() for f in (ours, theirs))
            assert right > 3 * wrong


def csg_angle_gradient(beads: np.ndarray) -> np.ndarray:
    """(X, 3, 3): with a square for a product of two lengths in bead 0, and a bracket that closes too early in bead 2."""
    u, v = beads[:, 0] - beads[:, 1], beads[:, 2] - beads[:, 1]
    dot, a, b = ((x[:, None]) for x in ((u * v).sum(-1), np.linalg.norm(u, axis=-1), np.linalg.norm(v, axis=-1)))
    factor = 1 / np.sqrt(1 - (dot / (a * b)) ** 2)
    first = factor * (-v / (a * b) + dot * u / (a * b) ** 2)  # right: dot * u / (a^3 b)
    middle = factor * ((u + v) / (a * b) - dot * (b**2 * u + a**2 * v) / (a * b) ** 3)
    last = factor * (-u / (a * b)) + dot * v / (a * b**3)  # right: factor * (both)
    return np.stack([first, middle, last], axis=1)


def with_csg_angles(evaluate):
    def changed(term, position, box):
        right = evaluate(term, position, box)
        if term.kind != "angle":
            return right
        beads = np.asarray(position, float).reshape(-1, 3)[right.members]  # molecules are whole
        return right._replace(gradient=csg_angle_gradient(beads))

    return changed


def write_inputs(folder: Path, topology, frames, mapped):
    """Atoms with forces as TRR, their molecules, and the map with its bonded terms, of one molecule."""
    n_frames, molecules = frames.n_frames, len(set(topology.residue_index))
    box = np.tile(np.diag(frames.box), (n_frames, 1, 1)).astype(np.float32)
    with TRRTrajectoryFile(str(folder / "traj.trr"), "w") as file:
        time, step, zero = frames.time.astype(np.float32), np.arange(n_frames, dtype=np.int32), np.zeros(n_frames)
        file._write(frames.position, time, step, box, zero.astype(np.float32), None, frames.force)
    size, n = topology.n_atoms // molecules, len(mapped.beads) // molecules
    lines = [f"{i // size + 1:>5}HEX  {topology.names[i]:>5}{(i + 1) % 100000:>5}" for i in range(topology.n_atoms)]
    rows = [line + "".join(f"{x:8.3f}" for x in r) for line, r in zip(lines, frames.position[0], strict=True)]
    ends = " ".join(f"{x:.5f}" for x in frames.box)
    (folder / "first.gro").write_text("\n".join(["hexane", str(topology.n_atoms), *rows, ends, ""]))
    define = f'<clear/><define name="HEX" first="1" nbeads="{size}" nmols="{molecules}"/>'
    (folder / "topol.xml").write_text(f'<topology base="first.gro"><molecules>{define}</molecules></topology>')
    names = [bead.removesuffix("_1") for bead in mapped.beads[:n]]
    beads, maps, bonded = [], [], []
    for i, name in enumerate(names):
        atoms = " ".join(f"1:HEX:{topology.names[a]}" for a in mapped.atoms[i])
        weights = " ".join(f"{topology.mass[a]:.6f}" for a in mapped.atoms[i])
        kind = mapped.species_names[mapped.species[i]]
        beads.append(f"<cg_bead><name>{name}</name><type>{kind}</type><mapping>M{i}</mapping>")
        beads.append(f"<beads>{atoms}</beads></cg_bead>")
        maps.append(f"<map><name>M{i}</name><weights>{weights}</weights></map>")
    for term in terms(mapped):
        if term.kind != "pair":
            members = " ".join(names[i] for row in term.members[term.members.max(axis=1) < n] for i in row)
            bonded.append(f"<{term.kind}><name>{term.name}</name><beads>{members}</beads></{term.kind}>")
    (folder / "map.xml").write_text(
        f"<cg_molecule><name>HEX</name><ident>HEX</ident><topology><cg_beads>{''.join(beads)}</cg_beads>"
        f"<cg_bonded>{''.join(bonded)}</cg_bonded></topology><maps>{''.join(maps)}</maps></cg_molecule>"
    )


def csg_fmatch(folder: Path, splines, blocks: int) -> dict[str, np.ndarray]:
    """x, force and its error of each term, by ten points an interval, from csg_fmatch in so many blocks."""
    terms = []
    for s in splines:
        kind, ends = "bonded", f"<min>{s.knots[0]:.12f}</min><max>{s.knots[-1]:.12f}</max>"
        name, periodic = f"<name>{s.term.name}</name>", ""
        if s.term.kind == "pair":
            kind = "non-bonded"
            first, second = re.fullmatch(r"pair_(\w+)-(\w+)", s.term.name).groups()
            name += f"<type1>{first}</type1><type2>{second}</type2>"
        if s.term.kind == "dihedral":
            periodic = "<periodic>0</periodic>"  # its presence makes the ends equal; 1 undoes that again
        steps = f"<step>{s.step:.12f}</step><out_step>{s.step / 10:.14f}</out_step>"
        terms.append(f"<{kind}>{name}<fmatch>{ends}{steps}{periodic}</fmatch></{kind}>")
    frames = BLOCKS * FRAMES_PER_BLOCK // blocks
    head = f"<fmatch><frames_per_block>{frames}</frames_per_block><constrainedLS>true</constrainedLS></fmatch>"
    (folder / "options.xml").write_text(f"<cg>{head}{''.join(terms)}</cg>")
    command = "csg_fmatch --top topol.xml --trj traj.trr --cg map.xml --options options.xml"
    ended = subprocess.run(command.split(), cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-500:]
    return {s.term.name: np.loadtxt(folder / f"{s.term.name}.force", usecols=(0, 1, 2)) for s in splines}
