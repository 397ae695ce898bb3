"""Trajectories that lie, or that are only half there; boxes a frame, boxes that are no cubes, times that are none."""

import re
import struct
import warnings
from dataclasses import replace

import h5py
import mdtraj
import numpy as np
import pytest
from brought import ALA2, write
from numpy.testing import assert_allclose, assert_array_equal

from cgcore import io, mapping, store


def trr(topology, frames, *, box=None, time=None) -> bytes:
    """Frames as GROMACS writes them; box: vectors (T, 3, 3) nm."""
    data = b""
    for k, (x, f) in enumerate(zip(frames.position, frames.force, strict=True)):
        vectors = np.zeros((3, 3)) if box is None else box[k]
        sizes = (0, 0, 36, 0, 0, 0, 0, 12 * len(x), 0, 12 * len(x))
        data += struct.pack(">3i12s13i", 1993, 13, 12, b"GMX_trn_file", *sizes, len(x), k, 0)
        reals = np.concatenate([[k if time is None else time[k], 0.0], vectors.ravel(), x.ravel(), f.ravel()])
        data += reals.astype(">f4").tobytes()
    return data


DODECAHEDRON = np.array([[2.6, 0, 0], [0, 2.6, 0], [1.3, 1.3, 1.8385]])


@pytest.mark.parametrize("shape", ["cube", "dodecahedron", "skewed"])
def test_a_solute_is_made_whole_by_the_box_of_each_frame_and_then_has_none(tmp_path, topology, few, shape):
    """Constant pressure: every atom wrapped into its frame's box, the molecule across all faces; distances come back."""
    form = {"cube": np.eye(3) * 2.6, "dodecahedron": DODECAHEDRON, "skewed": np.array([[2.6, 0, 0], [0.9, 2.4, 0], [-0.8, 1.1, 2.2]])}[shape]  # fmt: skip
    boxes = form * (1 + 0.01 * np.arange(few.n_frames))[:, None, None]
    x = np.asarray(few.position, float) - few.position[:, 8:9] + 0.01
    fraction = np.einsum("tad,tdk->tak", x, np.linalg.inv(boxes))
    wrapped = replace(few, position=np.einsum("tak,tkd->tad", fraction % 1, boxes))
    i, j = topology.bonds.T
    assert (np.linalg.norm(wrapped.position[:, i] - wrapped.position[:, j], axis=-1).max(1) > 1.0).all()
    found = io.read(write(tmp_path, "a.trr", trr(topology, wrapped, box=boxes)), topology)
    assert_array_equal(found.box, [np.inf] * 3)
    shape_of = np.linalg.norm(x[:, :, None] - x[:, None], axis=-1)
    assert_allclose(np.linalg.norm(found.position[:, :, None] - found.position[:, None], axis=-1), shape_of, atol=2e-6)


def test_several_molecules_want_one_box(tmp_path, topology, few):
    two = replace(topology, bonds=topology.bonds[topology.bonds[:, 1] != 1])  # a hydrogen by itself
    for boxes, message in (
        (np.stack([np.eye(3) * (2.6 + 0.1 * k) for k in range(few.n_frames)]), "from .2.59.* at constant pressure"),
        (
            np.stack([DODECAHEDRON] * few.n_frames),
            "want one orthorhombic box for the 2 molecules .*got vectors .*dodecahedron",
        ),
    ):
        with pytest.raises(io.TrajectoryError, match=message):
            io.read(write(tmp_path, "a.trr", trr(two, few, box=boxes)), two)


def test_times_of_zero_are_none(tmp_path, topology, few):
    path = write(tmp_path, "a.trr", trr(topology, few, time=np.zeros(few.n_frames)))
    with pytest.raises(io.TrajectoryError, match=r"frames without times; .*frame_ps \(--frame-ps\)"):
        io.read(path, topology)
    assert_allclose(io.read(path, topology, frame_ps=2.0).time, 2.0 * np.arange(few.n_frames))
    trajectory = mdtraj.load(ALA2 / "solute.trr", top=ALA2 / "topology.pdb")[:3]
    trajectory.time = np.zeros(3)
    trajectory.save_xtc(tmp_path / "a.xtc")
    assert_allclose(io.read(tmp_path / "a.xtc", topology, frame_ps=0.4, stride=2).time, [0.0, 0.8])


def test_a_box_in_some_frames_only_is_refused(tmp_path, topology, few):
    whole = trr(topology, few[:1], box=np.eye(3)[None] * 3)
    sizes = struct.pack(">10i", 0, 0, 0, 0, 0, 0, 0, 264, 0, 264)
    without = whole[:24] + sizes + whole[64:84] + whole[120:]
    with pytest.raises(io.TrajectoryError, match="1 of 2 frames hold a box; want all alike"):
        io.read(write(tmp_path, "a.trr", whole + without), topology)
    alone = io.read(write(tmp_path, "b.trr", without), topology)
    assert_array_equal(alone.box, [np.inf] * 3)
    assert_allclose(alone.position, few.position[:1])


def test_an_xtc_cut_anywhere_is_refused_or_has_its_whole_frames(tmp_path, topology):
    mdtraj.load(ALA2 / "solute.trr", top=ALA2 / "topology.pdb")[:3].save_xtc(tmp_path / "a.xtc")
    data = (tmp_path / "a.xtc").read_bytes()
    whole = io.read(tmp_path / "a.xtc", topology)
    for cut in range(1, len(data), 23):
        path = write(tmp_path, "b.xtc", data[:cut])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                found = io.read(path, topology)
            except io.TrajectoryError as error:
                assert re.search("cut off or damaged|at least one frame", str(error))
            else:
                assert_array_equal(found.position, whole.position[: found.n_frames])
                assert cut * whole.n_frames == pytest.approx(found.n_frames * len(data), rel=0.02)


def packed(folder, few, change):
    io.write_packed(folder / "a.h5", few)
    with h5py.File(folder / "a.h5", "a") as file:
        change(file)
    return folder / "a.h5"


PACKED = {
    "no box": (lambda f: f.attrs.__delitem__("box_nm"), "cut off or damaged"),
    "no times": (lambda f: f.__delitem__("time_ps"), r"no \['time_ps'\] in it"),
    "no forces": (lambda f: f.__delitem__("force"), r"no \['force'\] in it"),
    "no step": (lambda f: f["force"].attrs.__delitem__("step"), "cut off or damaged"),
    "times that stand": (lambda f: f["time_ps"].__setitem__(slice(None), 1.0), "times do not increase"),
    "a step ten times as long": (lambda f: f["position_difference"].attrs.__setitem__("step", 2e-3), "contradict the distances"),
    "a step that is none": (lambda f: f["force"].attrs.__setitem__("step", np.nan), "forces of .* not finite"),
}  # fmt: skip


@pytest.mark.parametrize("kind", PACKED)
def test_a_packed_file_that_was_changed_is_refused(tmp_path, topology, few, kind):
    change, message = PACKED[kind]
    with pytest.raises(io.TrajectoryError, match=message):
        io.read(packed(tmp_path, few, change), topology)


def test_what_is_not_finite_is_not_packed(tmp_path, few):
    """Integers have no nan: it would become zero."""
    force = np.array(few.force)
    force[1, 2, 0] = np.nan
    with pytest.raises(io.TrajectoryError, match="forces of 1 frames are not finite, first in frame 1"):
        io.write_packed(tmp_path / "a.h5", replace(few, force=force))
    with pytest.raises(io.TrajectoryError, match="positions of"):
        io.write_packed(tmp_path / "a.h5", replace(few, position=np.full_like(few.position, np.inf)))


def test_messages_have_the_numbers_of_the_file(topology):
    assert store.data_file("ala2/topology.pdb").is_file()
    assert (topology.atom(0), topology.atom(8), topology.residue(21)) == ("ACE0:CH3", "ALA1:CA", "NME2")
    with pytest.raises(mapping.MappingError, match="atom ACE0:CH3 occurs twice"):
        mapping.load("core", replace(topology, names=("CH3", "CH3", *topology.names[2:])))
