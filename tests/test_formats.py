"""Frames and atoms through the formats of other programs, by real writers where there are some: equal, or refused in words."""

import warnings
from dataclasses import replace

import h5py
import mdtraj
import numpy as np
import pytest
from mdtraj.formats import DCDTrajectoryFile, NetCDFTrajectoryFile
from numpy.testing import assert_allclose, assert_array_equal

from cgcore import io
from cgcore.io import TrajectoryError, Units
from cgcore.store import data_file

TOPOLOGY = data_file("ala2/topology.pdb")
METAL = Units("Å", "eV/Å", "ps")
EV = 96.485332
CUBE = np.full(3, 90.0)


@pytest.fixture(scope="module")
def topology():
    return io.read_topology(TOPOLOGY)


@pytest.fixture(scope="module")
def frames(topology):
    """Forty frames with forces, and a box."""
    found = io.read(data_file("ala2/solute.trr"), topology, stride=300)[:40]
    return replace(found, position=np.round(found.position, 3), time=np.arange(40) * 0.5)


def xtc(path, f):
    trajectory = mdtraj.Trajectory(
        f.position,
        mdtraj.load(TOPOLOGY).topology,
        f.time,
        np.tile(f.box, (f.n_frames, 1)),
        np.tile(CUBE, (f.n_frames, 1)),
    )
    trajectory.save_xtc(path)


def dcd(path, f):
    with DCDTrajectoryFile(str(path), "w") as file:
        file.write(10 * f.position, np.tile(10 * f.box, (f.n_frames, 1)), np.tile(CUBE, (f.n_frames, 1)))


def netcdf(path, f):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*'netCDF4' Python package is not installed")
        with NetCDFTrajectoryFile(str(path), "w") as file:
            file.write(10 * f.position, f.time, np.tile(10 * f.box, (f.n_frames, 1)), np.tile(CUBE, (f.n_frames, 1)))


def by_mdanalysis(path, f):
    """NetCDF as AMBER has it, H5MD and TRR, with forces; inside, lengths are in Å and forces in kJ/mol/Å."""
    mda = pytest.importorskip("MDAnalysis")
    units = {"lengthunit": "nm", "forceunit": "kJ/(mol*nm)", "timeunit": "ps"} if path.suffix == ".h5md" else {}
    universe = mda.Universe.empty(f.position.shape[1], trajectory=True, forces=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mda.Writer(
            str(path), f.position.shape[1], forces=True, velocities=False, dt=f.time[1] - f.time[0], **units
        ) as writer:
            for k, t in enumerate(f.time):
                universe.atoms.positions, universe.atoms.forces = 10 * f.position[k], f.force[k] / 10
                universe.dimensions = [*(10 * f.box), 90, 90, 90]
                universe.trajectory.ts.frame, universe.trajectory.ts.time = k, t
                writer.write(universe)


def mdtraj_hdf5(path, f):
    """By the layout that MDTraj documents; its writer wants PyTables."""
    with h5py.File(path, "w") as file:
        file.attrs["conventions"] = np.bytes_("Pande")
        arrays = {
            "coordinates": f.position,
            "time": f.time,
            "cell_lengths": np.tile(f.box, (f.n_frames, 1)),
            "cell_angles": np.tile(CUBE, (f.n_frames, 1)),
        }
        for name, values in arrays.items():
            file[name] = np.asarray(values, np.float32)


def npz(path, f):
    np.savez(
        path,
        position=10 * np.asarray(f.position, float),
        force=np.asarray(f.force, float) / EV / 10,
        time=f.time,
        box=10 * f.box,
    )


def extended_xyz(path, f, symbols="CHHHCONHCHCHHHCONHCHHH"):
    x, force, box = 10 * np.asarray(f.position, float), np.asarray(f.force, float) / EV / 10, 10 * f.box
    text = ""
    for k, t in enumerate(f.time):
        text += f'22\nLattice="{box[0]:.9g} 0.0 0.0 0.0 {box[1]:.9g} 0.0 0.0 0.0 {box[2]:.9g}" Properties=species:S:1:forces:R:3:Z:I:1:pos:R:3 energy=-1.5 pbc="T T T" Time={t}\n'
        text += "".join(
            f"{s} {' '.join(f'{v:.9g}' for v in [*force[k, a]])} 6 {' '.join(f'{v:.9g}' for v in x[k, a])}\n"
            for a, s in enumerate(symbols)
        )
    path.write_text(text)


def lammps(path, f, columns="id type element x y z fx fy fz", units="", times=True, box=None):
    """A dump of atoms in any order, as `dump_modify time yes units yes` has it."""
    random, (a, b, c) = np.random.default_rng(0), 10 * f.box
    x, force = 10 * np.asarray(f.position, float), np.asarray(f.force, float) / EV / 10
    text = ""
    for k, t in enumerate(f.time):
        text += f"ITEM: UNITS\n{units}\n" * bool(units and k == 0) + f"ITEM: TIME\n{t}\n" * times
        text += f"ITEM: TIMESTEP\n{1000 * k}\nITEM: NUMBER OF ATOMS\n22\n"
        text += box or f"ITEM: BOX BOUNDS pp pp pp\n-3.0 {a - 3.0:.9g}\n0 {b:.9g}\n0 {c:.9g}\n"
        text += f"ITEM: ATOMS {columns}\n"
        for i in random.permutation(22):
            scaled = x[k, i] / (10 * f.box)
            words = {"id": i + 1, "type": 1, "element": "C", "mol": 1} | dict(
                zip(("xs", "ys", "zs"), scaled, strict=True)
            )
            words |= dict(zip(("fx", "fy", "fz", "x", "y", "z"), [*force[k, i], *x[k, i]], strict=True))
            text += (
                " ".join(
                    f"{words[name]:.9g}" if isinstance(words[name], float) else str(words[name])
                    for name in columns.split()
                )
                + "\n"
            )
    path.write_text(text)


FORMATS = {
    "a.xtc": (xtc, {}, False),
    "a.dcd": (dcd, {"frame_ps": 0.5}, False),
    "a.nc": (netcdf, {}, False),
    "a.ncdf": (by_mdanalysis, {}, True),
    "a.h5md": (by_mdanalysis, {}, True),
    "b.trr": (by_mdanalysis, {}, True),
    "a.h5": (mdtraj_hdf5, {}, False),
    "a.npz": (npz, {"units": METAL}, True),
    "a.extxyz": (extended_xyz, {"units": METAL}, True),
    "a.lammpstrj": (lammps, {"units": METAL}, True),
    "b.dump": (lambda p, f: lammps(p, f, units="metal"), {}, True),
    "c.dump": (lambda p, f: lammps(p, f, "mol id xs ys zs fx fy fz", times=False), {"units": METAL, "frame_ps": 0.5}, True),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_frames_come_back(tmp_path, topology, frames, name):
    """Positions to 1e-5 nm, forces to 1e-5 of their size and 1e-3 kJ/mol/nm, times and box; every third frame, some atoms."""
    writer, options, with_forces = FORMATS[name]
    writer(tmp_path / name, frames)
    found = io.read(tmp_path / name, topology, **options)
    assert_allclose(found.position, frames.position, atol=1e-5)
    assert_allclose(found.time, frames.time, atol=1e-5)
    assert_allclose(found.box, frames.box, rtol=1e-5)
    assert found.position.dtype == np.float32 and (found.force is not None) == with_forces
    if with_forces:
        assert_allclose(found.force, frames.force, rtol=1e-5, atol=1e-3)
    chosen = np.arange(6, 16)
    some = io.read(tmp_path / name, topology, stride=3, atoms=chosen, **options)
    assert_array_equal(some.position, found.position[::3, 6:16])
    assert_allclose(some.time, found.time[::3])
    if with_forces:
        assert_array_equal(some.force, found.force[::3, 6:16])
    with pytest.raises(TrajectoryError, match="22 atoms in a frame, 10 in the topology"):
        io.read(tmp_path / name, topology.take(chosen), **options)


@pytest.mark.parametrize("name", [n for n in FORMATS if n.split(".")[1] not in ("trr", "xtc")])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_file_that_is_cut_is_refused_or_has_its_whole_frames(tmp_path, topology, frames, name):
    writer, options, _ = FORMATS[name]
    writer(tmp_path / name, frames[:8])
    data = (tmp_path / name).read_bytes()
    whole = io.read(tmp_path / name, topology, **options)
    for cut in np.linspace(7, len(data) - 1, 24, dtype=int):
        path = tmp_path / f"cut_{name}"
        path.write_bytes(data[:cut])
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                found = io.read(path, topology, **options)
            except io.TrajectoryError:
                continue
            except Exception as error:
                assert type(error).__name__ == "StoreError", error  # npz
                continue
        assert_array_equal(found.position, whole.position[: found.n_frames])
        assert found.n_frames == 8 or any(w.category is io.TruncatedTrajectoryWarning for w in told)


UNITLESS = {"a.npz": npz, "a.extxyz": extended_xyz, "a.dump": lammps}


@pytest.mark.parametrize("name", UNITLESS)
def test_units_that_a_file_does_not_state_must_be_given_and_wrong_ones_are_told_apart(tmp_path, topology, frames, name):
    UNITLESS[name](path := tmp_path / name, frames)

    def refused(message, **units):
        with pytest.raises(TrajectoryError, match=message):
            io.read(path, topology, units=METAL._replace(**units))

    refused("want --length-unit .nm, Å, Bohr. and --time-unit .ps, fs, ns.. LAMMPS has Å, kcal", length=None, time=None)
    refused("want --force-unit .kJ/mol/nm, kcal/mol/nm", force=None)
    refused("unit of forces .* got 'eV/pm'; did you mean 'eV/nm'", force="eV/pm")
    refused("times as long as they should be: lengths look like Å taken for nm", length="nm")
    refused("All are about 5.2.*lengths look like|contradict the distances", length="Bohr")
    refused("they look like eV/Å|forces do not belong to the positions", force="kJ/mol/nm")


@pytest.mark.parametrize(
    "force, looks", [("kJ/mol/nm", "eV/Å; one of these is 964.853"), ("eV/nm", "kJ/mol/Å; one of these is 10 kJ"), ("kJ/mol/Å", "eV/nm; one of these is 96.48")]
)  # fmt: skip
def test_a_wrong_unit_of_forces_is_named(tmp_path, topology, frames, force, looks):
    npz(tmp_path / "a.npz", frames)
    with pytest.raises(TrajectoryError, match=f"they look like {looks}"):
        io.read(tmp_path / "a.npz", topology, units=METAL._replace(force=force))


def test_units_that_are_stated_are_not_to_be_contradicted(tmp_path, topology, frames):
    lammps(tmp_path / "a.dump", frames, units="metal")
    with pytest.raises(
        TrajectoryError,
        match="lengths are in Å by the format or the file's own word, and not in nm; leave --length-unit out",
    ):
        io.read(tmp_path / "a.dump", topology, units=Units(length="nm"))
    lammps(tmp_path / "b.dump", frames, units="lj")
    with pytest.raises(TrajectoryError, match="want a unit of lengths out of .* got 'lj'"):
        io.read(tmp_path / "b.dump", topology)
    by_mdanalysis(tmp_path / "a.h5md", frames)
    with h5py.File(tmp_path / "a.h5md", "a") as file:
        for name in ("position", "force"):
            del file[f"particles/trajectory/{name}/value"].attrs["unit"]
    with pytest.raises(TrajectoryError, match="want --length-unit .* and --force-unit"):
        io.read(tmp_path / "a.h5md", topology)


def test_a_triclinic_dump_has_the_box_of_lammps(tmp_path, topology, frames):
    """Bounds hold the tilted box: xlo_bound = xlo + min(0, xy, xz, xy + xz); scaled positions are along its vectors."""
    vectors = np.array([[30.0, 0, 0], [8.0, 28.0, 0], [-6.0, 5.0, 26.0]])
    bounds = "ITEM: BOX BOUNDS xy xz yz pp pp pp\n-6.0 38.0 8.0\n0.0 33.0 -6.0\n0.0 26.0 5.0\n"
    scaled = np.asarray(frames.position, float) * 10 @ np.linalg.inv(vectors) * frames.box  # what the writer divides by
    lammps(tmp_path / "a.dump", replace(frames, position=scaled), "id xs ys zs", box=bounds)
    found = io.read(tmp_path / "a.dump", topology, units=METAL)
    assert_allclose(found.position, frames.position, atol=1e-5)
    from cgcore.io.text_formats import read_lammps

    assert_allclose(read_lammps(tmp_path / "a.dump", 22, 1, None).vectors[0], vectors, atol=1e-9)


def change(path, old, new, count=1):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


SLIPS = {
    "no ids": (lambda p, f: lammps(p, f, "x y z"), "a.dump", "want columns id x y z .*`dump custom`"),
    "no positions": (lambda p, f: lammps(p, f, "id fx fy fz"), "a.dump", "want columns id x y z"),
    "no dump": (lambda p, f: p.write_text("LAMMPS data file\n"), "a.dump", "want a whole DUMP file.*'ITEM: '"),
    "a word for a number": (lambda p, f: (lammps(p, f), change(p, "ITEM: ATOMS id type element x y z fx fy fz\n", "ITEM: ATOMS id type element x y z fx fy fz\nnan ")), "a.dump", "cut off or damaged"),
    "other atoms": (lambda p, f: (lammps(p, f, "id x y z"), change(p, "\n7 ", "\n107 ")), "a.dump", "atoms of frame 1 are others than those of the first"),
    "steps that go back": (lambda p, f: (lammps(p, f, times=False), change(p, "TIMESTEP\n3000\n", "TIMESTEP\n1000\n")), "a.dump", "not evenly spaced, from -1000 to 3000 steps"),
    "times that go back": (lambda p, f: (lammps(p, f), change(p, "TIME\n1.5\n", "TIME\n0.5\n")), "a.dump", "times do not increase: 1.0 ps is followed by 0.5 ps"),
    "a nan": (lambda p, f: npz(p, replace(f, force=np.where(np.arange(22)[:, None] == 3, np.nan, f.force))), "a.npz", "forces of 40 frames are not finite"),
    "an unknown array": (lambda p, f: np.savez(p, positions=f.position), "a.npz", "want arrays named .*'position'.*got .'positions'"),
    "forces of other frames": (lambda p, f: np.savez(p, position=f.position, force=f.force[:-1]), "a.npz", "want force of as many frames"),
    "times of other frames": (lambda p, f: np.savez(p, position=f.position, time=f.time[:-1]), "a.npz", "want time of 40 frames"),
    "a box of what": (lambda p, f: np.savez(p, position=f.position, box=np.ones(6)), "a.npz", "want box of shape"),
    "a box that is not finite": (lambda p, f: np.savez(p, position=10 * f.position, time=f.time, box=np.full((40, 3, 3), np.nan)), "a.npz", None),
    "only forces": (lambda p, f: np.savez(p, force=f.force), "a.npz", "want positions, found forces alone; .*--forces"),
    "no positions in xyz": (lambda p, f: (extended_xyz(p, f), change(p, ":pos:", ":xyz:")), "a.xyz", "want a property pos"),
    "some forces": (lambda p, f: (extended_xyz(p, f), change(p, ":forces:", ":other:")), "a.xyz", "39 of 40 frames hold forces"),
    "no xyz": (lambda p, f: p.write_text("hello\nworld\n"), "a.xyz", "want a whole XYZ file"),
    "no hdf5 of a kind": (lambda p, f: h5py.File(p, "w").close(), "a.hdf5", "want an HDF5 file of"),
    "no netcdf": (lambda p, f: p.write_text("hello"), "a.nc", "want a whole NC file"),
}  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_slips(tmp_path, topology, frames, slip):
    write, name, message = SLIPS[slip]
    write(tmp_path / name, frames)
    if message is None:  # not periodic
        assert np.isinf(io.read(tmp_path / name, topology, units=METAL).box).all()
        return
    with pytest.raises(TrajectoryError, match=message):
        io.read(tmp_path / name, topology, units=METAL)


# Forces in a file of their own


def test_forces_of_another_file_are_matched_by_time(tmp_path, topology, frames):
    xtc(tmp_path / "a.xtc", frames[::2])
    by_mdanalysis(tmp_path / "f.trr", frames)
    found = io.read(tmp_path / "a.xtc", topology, forces=tmp_path / "f.trr", stride=2)
    assert_allclose(found.time, frames.time[::4])
    assert_allclose(found.force, frames.force[::4], rtol=1e-5, atol=1e-3)
    np.savez(tmp_path / "f.npz", force=frames.force[::2])
    again = io.read(tmp_path / "a.xtc", topology, forces=tmp_path / "f.npz", stride=2, units=Units(force="kJ/mol/nm"))
    assert_array_equal(again.force, frames.force[::4])


def test_forces_in_place_of_positions(tmp_path, topology, frames):
    """As NAMD writes them to a DCD file, and CP2K to an XYZ file; their unit must be said, and be right."""
    xtc(tmp_path / "a.xtc", frames)
    namd, cp2k = Units(force="kcal/mol/Å"), Units(force="Hartree/Bohr")
    dcd(tmp_path / "f.dcd", replace(frames, position=frames.force / 41.84 / 10))
    text = [
        f"22\n i = {k}, time = 0.5, E = -1\n" + "".join(f"C {' '.join(map(str, x))}\n" for x in f / 49614.7526)
        for k, f in enumerate(frames.force)
    ]
    (tmp_path / "f.xyz").write_text("".join(text))
    for name, units in (("f.dcd", namd), ("f.xyz", cp2k)):
        found = io.read(tmp_path / "a.xtc", topology, forces=tmp_path / name, units=units)
        assert_allclose(found.force, frames.force, rtol=1e-5, atol=1e-3)
        with pytest.raises(TrajectoryError, match="want --force-unit"):
            io.read(tmp_path / "a.xtc", topology, forces=tmp_path / name)
    dcd(tmp_path / "x.dcd", frames)
    with pytest.raises(TrajectoryError, match="the forces do not belong to the positions"):
        io.read(tmp_path / "a.xtc", topology, forces=tmp_path / "x.dcd", units=namd)


def test_forces_that_match_no_frames_are_refused(tmp_path, topology, frames):
    xtc(tmp_path / "a.xtc", frames)
    by_mdanalysis(tmp_path / "f.trr", frames[::2])

    def refused(message, forces="f.trr", of="a.xtc", **options):
        with pytest.raises(TrajectoryError, match=message):
            io.read(tmp_path / of, topology, forces=tmp_path / forces, **options)

    refused(
        r"no forces at 0.5 ps, the nearest are at .* ps; 20 of 40 frames of .*Then take every so many frames \(--stride\)"
    )
    np.savez(tmp_path / "f.npz", force=frames.force[:-1])
    refused("39 frames without times to tell which belong to the 40", "f.npz", units=Units(force="eV/Å"))
    np.savez(tmp_path / "g.npz", position=frames.position)
    refused("g.npz: want forces, the file has none", "g.npz", units=Units(force="eV/Å"))
    refused("f.trr: has forces of its own; leave .*f.trr out", of="f.trr")
    np.savez(tmp_path / "h.npz", force=frames.force)
    refused("they look like kJ/mol/nm|do not belong", "h.npz", units=Units(force="kcal/mol/Å"))


def test_forces_in_some_frames_of_a_trr_are_taken_with_a_stride(tmp_path, topology, frames):
    data = b"".join(
        io.trr_frame(x, f if k % 4 == 0 else None, frames.box, t, k)
        for k, (x, f, t) in enumerate(zip(frames.position, frames.force, frames.time, strict=True))
    )
    (tmp_path / "a.trr").write_bytes(data)
    with pytest.raises(TrajectoryError, match=r"10 of 40 frames hold forces; .*take every 4. frame \(--stride 4\)"):
        io.read(tmp_path / "a.trr", topology)
    assert_array_equal(io.read(tmp_path / "a.trr", topology, stride=4).force, frames.force[::4])


# Topologies
