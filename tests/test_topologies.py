"""Topologies of other programs: mmCIF, MOL, SDF, PSF, bonds of another file, and what is saved of them."""

from dataclasses import replace

import mdtraj
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgcore import io
from cgcore.io import TrajectoryError
from cgcore.store import data_file

TOPOLOGY = data_file("ala2/topology.pdb")


@pytest.fixture(scope="module")
def topology():
    return io.read_topology(TOPOLOGY)


def same(found, topology, names=True):
    assert (found.elements, found.n_atoms) == (topology.elements, topology.n_atoms)
    assert_array_equal(found.bonds, topology.bonds)
    assert_allclose(found.mass, topology.mass, atol=2e-3)
    if names:
        assert (found.names, found.residues, found.residue_index) == (
            topology.names,
            topology.residues,
            topology.residue_index,
        )


def test_mmcif(tmp_path, topology):
    mdtraj.load_pdb(TOPOLOGY, standard_names=False).save_cif(str(tmp_path / "a.cif"))
    same(io.read_topology(tmp_path / "a.cif"), topology)
    (tmp_path / "b.cif").write_text("data_x\n")
    with pytest.raises(TrajectoryError, match="want a whole CIF file"):
        io.read_topology(tmp_path / "b.cif")


def molecule(block="V2000", hydrogens=True):
    chem = pytest.importorskip("rdkit.Chem")
    made = chem.MolFromSmiles("CCO")
    made = chem.AddHs(made) if hydrogens else made
    made.SetProp("_Name", "ETH ethanol")
    return chem.MolToMolBlock(made, forceV3000=block == "V3000")


@pytest.mark.parametrize("block", ["V2000", "V3000"])
def test_mol_and_sdf(tmp_path, block):
    (tmp_path / "a.mol").write_text(molecule(block))
    (tmp_path / "a.sdf").write_text(molecule(block) + "\n$$$$\n")
    for name in ("a.mol", "a.sdf"):
        found = io.read_topology(tmp_path / name)
        assert found.names == ("C1", "C2", "O3", "H4", "H5", "H6", "H7", "H8", "H9") and set(found.residues) == {"ETH"}
        assert found.bonds.tolist() == [[0, 1], [0, 3], [0, 4], [0, 5], [1, 2], [1, 6], [1, 7], [2, 8]]
        assert_allclose(found.mass.sum(), 46.069, atol=0.01)


def test_slips_of_mol_and_sdf(tmp_path):
    path = tmp_path / "a.sdf"
    for text, message in (
        (molecule() + "\n$$$$\n" + molecule() + "\n$$$$\n", "want one molecule, found 2"),
        (molecule(hydrogens=False), "6 hydrogens are not in it"),
        (molecule()[:200], "want a whole SDF file"),
    ):
        path.write_text(text)
        with pytest.raises(TrajectoryError, match=message):
            io.read_topology(path)


def test_what_is_not_installed_is_named_with_the_way_to_it(tmp_path, monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *rest):
        if name.partition(".")[0] in ("MDAnalysis", "rdkit"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    for name, message in (
        ("a.tpr", r"MDAnalysis .* `pip install cgcore\[mdanalysis\]`"),
        ("a.sdf", r"RDKit .*`pip install cgcore\[smarts\]`"),
    ):
        (tmp_path / name).write_text("x")
        with pytest.raises(TrajectoryError, match=message):
            io.read_topology(tmp_path / name)


PSF = """PSF

       1 !NTITLE
 REMARKS water

       3 !NATOM
       1 W    1    TIP3 OH2  OT    -0.834000       15.9994           0
       2 W    1    TIP3 H1   HT     0.417000        1.0080           0
       3 W    1    TIP3 H2   HT     0.417000        1.0080           0

       2 !NBOND: bonds
       1       2       1       3
"""


def test_psf(tmp_path):
    pytest.importorskip("MDAnalysis")
    (tmp_path / "a.psf").write_text(PSF)
    found = io.read_topology(tmp_path / "a.psf")
    assert (found.names, set(found.residues), "".join(found.elements)) == (("OH2", "H1", "H2"), {"TIP3"}, "OHH")
    assert found.bonds.tolist() == [[0, 1], [0, 2]]
    assert_allclose(found.mass, [15.9994, 1.008, 1.008], rtol=1e-6)
    (tmp_path / "b.psf").write_text("hello\n")
    with pytest.raises(TrajectoryError, match="want a whole PSF file"):
        io.read_topology(tmp_path / "b.psf")


def test_bonds_of_one_molecule_serve_a_liquid_of_it(tmp_path):
    (tmp_path / "a.sdf").write_text(molecule())
    one = io.read_topology(tmp_path / "a.sdf")
    rows = [
        f"{m + 1:5d}ETH  {n:>5s}{9 * m + k:5d}{0.1 * k:8.3f}{float(m):8.3f}{0:8.3f}"
        for m in range(3)
        for k, n in enumerate(one.names, 1)
    ]
    (tmp_path / "a.gro").write_text("\n".join(["t", "27", *rows, "   5.0 5.0 5.0", ""]))
    gro = io.read_topology(tmp_path / "a.gro")
    assert not len(gro.bonds)
    found = io.with_bonds_of("a.sdf", gro, one)
    assert_array_equal(found.bonds, np.concatenate([one.bonds + 9 * m for m in range(3)]))
    with pytest.raises(TrajectoryError, match="want bonds between the 27 atoms .* found 8,"):
        io.with_bonds_of("a.sdf", gro, one.take(np.arange(8)))


def test_a_saved_topology_loses_nothing(tmp_path, topology):
    united = replace(
        topology, mass=topology.mass + 3.024, constraints=np.array([[0, 1]]), names=("a long name", *topology.names[1:])
    )
    io.save_topology(tmp_path / "t.json", united)
    found = io.read_topology(tmp_path / "t.json")
    blank = dict(mass=0, bonds=0, constraints=0)
    assert replace(found, **blank) == replace(united, **blank)
    for name in blank:
        assert_array_equal(getattr(found, name), getattr(united, name))


def test_atoms_that_are_taken_keep_what_is_between_them(topology):
    some = replace(topology, constraints=np.array([[8, 9], [0, 1]])).take(np.arange(6, 16))
    assert some.names == topology.names[6:16] and set(some.residues) == {"ALA"} and set(some.residue_index) == {0}
    assert some.atom(2) == topology.atom(8) and some.constraints.tolist() == [[2, 3]]
    inside = (topology.bonds >= 6).all(1) & (topology.bonds < 16).all(1)
    assert_array_equal(some.bonds, topology.bonds[inside] - 6)
