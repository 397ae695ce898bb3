"""Reading and writing trajectories: values from the bundled sample, and every bad file that has been thought of."""

import gc
import struct
import subprocess
import warnings
from pathlib import Path

import mdtraj
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgcore import io
from cgcore.frames import Topology

ALA2 = Path(__file__).parents[1] / "notebooks" / "data" / "ala2"
FRAME_BYTES = 648
HALF = np.array([0.08, 0.12, 0.04])  # 0.15 nm


@pytest.fixture(scope="module")
def topology():
    return io.read_topology(ALA2 / "topology.pdb")


@pytest.fixture(scope="module")
def frames(topology):
    return io.read(ALA2 / "solute.trr", topology, require_forces=True, require_box=True)


@pytest.fixture(scope="module")
def trajectory():
    return mdtraj.load(ALA2 / "solute.trr", top=ALA2 / "topology.pdb")[:5]


def pair() -> Topology:
    """Two bonded carbons."""
    return Topology(
        names=("C1", "C2"),
        residues=("MOL", "MOL"),
        residue_index=(0, 0),
        elements=("C", "C"),
        mass=np.array([12.0, 12.0]),
        bonds=np.array([[0, 1]]),
    )


def trr_frame(position, force=None, box=(2.0, 2.0, 2.0), time=0.0, real="f") -> bytes:
    """One TRR frame, by the layout of GROMACS (XDR)."""
    n, size = len(position), {"f": 4, "d": 8}[real]
    block = n * 3 * size
    vectors = np.asarray(box if np.ndim(box) == 2 else np.diag(box))
    sizes = [0, 0, 9 * size, 0, 0, 0, 0, block, 0, 0 if force is None else block]
    body = [vectors, position] + ([] if force is None else [force])
    return (
        struct.pack(">3i12s", 1993, 13, 12, b"GMX_trn_file")
        + struct.pack(">13i", *sizes, n, 0, 0)
        + struct.pack(f">2{real}", time, 0.0)
        + b"".join(np.asarray(b, dtype=f">{real}").tobytes() for b in body)
    )


def write_trr(path, *frames: bytes):
    path.write_bytes(b"".join(frames))
    return path


def read_error(path, topology, message, error=io.TrajectoryError, **options):
    with pytest.raises(error, match=message):
        io.read(path, topology, **options)


def test_the_sample_is_the_one_that_was_checksummed():
    subprocess.run(["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"], cwd=ALA2, check=True)
    named = {line.split()[1] for line in (ALA2 / "SHA256SUMS").read_text().splitlines()}
    assert named == {p.name for p in ALA2.iterdir()} - {"SHA256SUMS", "README.md"}
    assert sum(p.stat().st_size for p in ALA2.iterdir()) <= 12e6


def test_topology_is_that_of_the_file(topology):
    assert topology.names[4:10] == ("C", "O", "N", "H", "CA", "HA")
    assert topology.names[1] == "HH31"
    assert topology.residues == ("ACE",) * 6 + ("ALA",) * 10 + ("NME",) * 6
    assert topology.residue_index == (0,) * 6 + (1,) * 10 + (2,) * 6
    assert "".join(topology.elements) == "CHHHCONHCHCHHHCONHCHHH"
    assert_allclose(topology.mass.sum(), 144.174, atol=0.005)  # C6H12N2O2
    assert (topology.bonds[:, 0] < topology.bonds[:, 1]).all()


def test_bonds_are_those_of_the_simulation(topology):
    lines = (ALA2 / "topol.top").read_text().split("[ bonds ]")[1].split("[")[0].split("\n")
    simulated = sorted(tuple(int(i) - 1 for i in line.split()[:2]) for line in lines if line.strip())
    assert [tuple(b) for b in topology.bonds.tolist()] == simulated


def test_a_gro_file_gives_the_same_topology_as_the_pdb_file(topology):
    gro = io.read_topology(ALA2 / "solute.gro")
    assert (gro.names, gro.residues, gro.elements) == (topology.names, topology.residues, topology.elements)
    assert_array_equal(gro.bonds, topology.bonds)
    assert_array_equal(gro.mass, topology.mass)


def test_frames_of_the_sample(frames):
    assert frames.position.shape == frames.force.shape == (12_535, 22, 3)
    assert frames.position.dtype == frames.force.dtype == np.float32
    assert_allclose(frames.box, 2.57774, atol=1e-5)
    assert_allclose(np.diff(frames.time), 0.4, atol=5e-4)
    assert_allclose(frames.time[[0, -1]], [0.0, 5013.6], atol=1e-3)
    assert_allclose(np.sqrt(np.mean(frames.force.astype(float) ** 2)), 850.67, atol=0.01)


def test_positions_are_those_of_mdtraj_and_of_the_gro_file(frames, topology, trajectory):
    assert_array_equal(frames.position[:5], trajectory.xyz)
    assert_allclose(io.read(ALA2 / "solute.gro", topology).position[0], frames.position[0], atol=6e-4)


def test_forces_are_the_bytes_of_the_file(frames):
    with open(ALA2 / "solute.trr", "rb") as file:
        file.seek(7 * FRAME_BYTES + 84 + 36 + 264)
        stored = np.frombuffer(file.read(264), dtype=">f4").reshape(22, 3)
    assert_array_equal(frames.force[7], stored)


def test_a_stride_takes_every_nth_frame_across_chunks(frames, topology):
    third = io.read(ALA2 / "solute.trr", topology, stride=3)
    for name in ("position", "force", "time"):
        assert_array_equal(getattr(third, name), getattr(frames, name)[::3])


def test_double_precision(tmp_path):
    position, force = np.array([HALF, 2 * HALF]), np.array([[1.5, -2.0, 3.0], [0.0, 1.0, 2.0]])
    path = write_trr(tmp_path / "a.trr", *(trr_frame(position + t, force, time=t, real="d") for t in (0.0, 0.5)))
    frames = io.read(path, pair(), require_forces=True)
    assert_allclose(frames.position[1], position + 0.5, rtol=1e-6)
    assert_allclose(frames.force[0], force)
    assert_array_equal(frames.time, [0.0, 0.5])


@pytest.mark.parametrize("real", ["f", "d"])
def test_a_trr_cut_at_any_byte_keeps_its_whole_frames(tmp_path, real):
    position = np.array([HALF, 2 * HALF])
    whole = [trr_frame(position + 0.01 * t, position, time=t, real=real) for t in range(3)]
    data, size = b"".join(whole), len(whole[0])
    for cut in range(1, len(data) + 1):
        path = write_trr(tmp_path / "cut.trr", data[:cut])
        kept, dropped = divmod(cut, size)
        if not kept:
            read_error(path, pair(), "no whole frame")
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            frames = io.read(path, pair(), require_forces=True)
        assert frames.n_frames == kept
        assert_allclose(frames.force, np.tile(position, (kept, 1, 1)), rtol=1e-6)
        assert [(w.message.frames, w.message.dropped_bytes) for w in caught] == ([(kept, dropped)] if dropped else [])


@pytest.mark.parametrize("cut", [1, 12, 83, 84, 300, FRAME_BYTES - 1])
def test_the_sample_cut_off_says_what_was_dropped(tmp_path, topology, frames, cut):
    data = (ALA2 / "solute.trr").read_bytes()[: 4 * FRAME_BYTES + cut]
    path = write_trr(tmp_path / "cut.trr", data)
    with pytest.warns(
        io.TruncatedTrajectoryWarning, match=f"kept the 4 whole frames before it, dropped the last {cut} bytes"
    ):
        cut_off = io.read(path, topology)
    assert_array_equal(cut_off.force, frames.force[:4])


def test_a_damaged_trr_is_no_truncated_one(tmp_path):
    frame = trr_frame([HALF, 2 * HALF])
    read_error(
        write_trr(tmp_path / "a.trr", frame, b"\0" * len(frame)), pair(), f"byte {len(frame)} is not the start of a TRR"
    )
    read_error(
        write_trr(tmp_path / "b.trr", b"not a trajectory at all, but text"), pair(), "byte 0 is not the start of a TRR"
    )
    read_error(write_trr(tmp_path / "c.trr", frame[:64] + b"\xff" * 8 + frame[72:]), pair(), "damaged header")


def test_missing_forces_are_none_and_an_error_when_required(tmp_path):
    path = write_trr(tmp_path / "a.trr", trr_frame([HALF, 2 * HALF]))
    assert io.read(path, pair()).force is None
    read_error(path, pair(), "want forces, the file has none; .*nstfout = 0", require_forces=True)


def test_forces_in_some_frames_only_are_refused(tmp_path):
    position = np.array([HALF, 2 * HALF])
    path = write_trr(tmp_path / "a.trr", trr_frame(position, position), trr_frame(position, time=1.0))
    read_error(path, pair(), "1 of 2 frames hold forces; .*nstfout")


def test_frames_and_topology_of_different_size(tmp_path, topology):
    read_error(
        ALA2 / "solute.trr", pair(), "22 atoms in a frame, 2 in the topology; does the trajectory hold the solvent"
    )
    path = write_trr(tmp_path / "a.trr", trr_frame([HALF, 2 * HALF]))
    read_error(path, topology, "2 atoms in a frame, 22 in the topology; does the topology hold the solvent")
    read_error(ALA2 / "solute.gro", pair(), "22 atoms in a frame, 2 in the topology")


@pytest.mark.parametrize("ending", ["trr", "xtc", "pdb", "gro"])
def test_empty_and_absent_files(tmp_path, ending):
    (tmp_path / f"a.{ending}").touch()
    read_error(tmp_path / f"a.{ending}", pair(), "the file is empty")
    read_error(tmp_path / f"b.{ending}", pair(), "no such file", error=FileNotFoundError)
    if ending in {"pdb", "gro"}:
        with pytest.raises(io.TrajectoryError, match="the file is empty"):
            io.read_topology(tmp_path / f"a.{ending}")


def test_unknown_formats(topology):
    read_error("run.binpos", topology, r"want a file that ends in one of .*\.trr.*got '.binpos'")
    with pytest.raises(io.TrajectoryError, match="got '.trr'"):
        io.read_topology(ALA2 / "solute.trr")
    read_error(ALA2 / "solute.trr", topology, "stride of 1 or more, got 0", stride=0)


def test_numbers_that_are_not_finite(tmp_path):
    position = np.array([HALF, 2 * HALF])
    bad = position.copy()
    bad[1, 2] = np.nan
    path = write_trr(tmp_path / "a.trr", trr_frame(position, position), trr_frame(bad, position, time=1.0))
    read_error(path, pair(), "positions of 1 frames are not finite, first in frame 1")
    path = write_trr(tmp_path / "b.trr", trr_frame(position, bad))
    read_error(path, pair(), "forces of 1 frames are not finite, first in frame 0")


def test_boxes(tmp_path):
    position = np.array([HALF, 2 * HALF])
    path = write_trr(tmp_path / "c.trr", trr_frame(position, box=(0.0, 0.0, 0.0)))
    assert_array_equal(io.read(path, pair()).box, [np.inf] * 3)
    read_error(path, pair(), "want a box in all three dimensions", require_box=True)


def test_times_must_increase(tmp_path):
    path = write_trr(tmp_path / "a.trr", *(trr_frame([HALF, 2 * HALF], time=t) for t in (0.0, 1.0, 1.0)))
    read_error(path, pair(), r"1.0 ps is followed by 1.0 ps \(frame 2\)")


def test_a_molecule_across_the_boundary_is_made_whole(tmp_path):
    position = np.array([[1.95, 1.0, 0.05], [0.08, 1.0, 1.98]])
    frames = io.read(write_trr(tmp_path / "a.trr", trr_frame(position), trr_frame([HALF, 2 * HALF], time=1.0)), pair())
    assert_allclose(frames.position[0, 1] - frames.position[0, 0], [0.13, 0.0, -0.07], atol=1e-6)
    assert_allclose(frames.position[1], [HALF, 2 * HALF], rtol=1e-6)


def test_xtc(tmp_path, topology, frames, trajectory):
    trajectory.save_xtc(tmp_path / "a.xtc")
    read = io.read(tmp_path / "a.xtc", topology, stride=2)
    assert_allclose(read.position, frames.position[:5:2], atol=6e-4)
    assert_allclose(read.time, frames.time[:5:2])
    assert_allclose(read.box, frames.box, atol=1e-6)
    assert read.force is None
    (tmp_path / "b.xtc").write_bytes((tmp_path / "a.xtc").read_bytes()[:-9])
    read_error(tmp_path / "b.xtc", topology, "want a whole XTC file; it is cut off or damaged")


def test_pdb_carries_no_times(tmp_path, topology, frames, trajectory):
    trajectory.save_pdb(tmp_path / "a.pdb")
    read_error(tmp_path / "a.pdb", topology, "5 frames without times; give their spacing as frame_ps")
    read = io.read(tmp_path / "a.pdb", topology, stride=2, frame_ps=0.4)
    assert_allclose(read.time, [0.0, 0.8, 1.6])
    assert_allclose(read.position, frames.position[:5:2], atol=6e-5)
    read_error(ALA2 / "solute.trr", topology, "carries its own times", frame_ps=0.4)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # mdtraj leaves a file open when its parser fails
def test_damaged_text_files(tmp_path, topology):
    pdb, gro = (ALA2 / "topology.pdb").read_text(), (ALA2 / "solute.gro").read_text()
    texts = [
        pdb[:600],
        pdb.replace("14.930", "xx.930"),
        "END\n",
        "hello\n",
        gro[:500],
        gro[:-34],
        "hello\nworld\n",
        pdb,
    ]
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.{'pdb' if number < 4 else 'gro'}"
        path.write_text(text)
        message = f"{path.name}: want a whole {path.suffix[1:].upper()} file; it is cut off or damaged"
        read_error(path, topology, message)
        with pytest.raises(io.TrajectoryError, match=message):
            io.read_topology(path)
    gc.collect()  # closes them here, where the warning is expected


def test_an_atom_without_an_element_is_refused(tmp_path):
    line = "ATOM      1  Q1  MOL A   1       1.000   2.000   3.000  1.00  0.00            \nEND\n"
    (tmp_path / "a.pdb").write_text(line)
    with pytest.raises(io.TrajectoryError, match="a name for no element"):
        io.read_topology(tmp_path / "a.pdb")
