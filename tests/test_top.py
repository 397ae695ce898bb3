"""GROMACS topologies: what is read, against the GRO file of the same atoms, and every slip that has been thought of."""

from dataclasses import replace

import numpy as np
import pytest
from hexane import top
from numpy.testing import assert_allclose, assert_array_equal

from cgcore import io
from cgcore.io import TrajectoryError


def read(tmp_path, text: str):
    (tmp_path / "topol.top").write_text(text)
    return io.read_topology(tmp_path / "topol.top")


def test_molecules_are_repeated(tmp_path):
    found = read(tmp_path, top(2))
    assert found.n_atoms == 40
    assert found.names[:6] == ("C1", "H2", "H3", "H4", "C5", "H6") and found.names[20:] == found.names[:20]
    assert set(found.residues) == {"HEX"} and found.residue_index == (0,) * 20 + (1,) * 20
    assert "".join(found.elements[:20]) == "CHHHCHHCHHCHHCHHCHHH"
    assert_allclose(found.mass.sum(), 2 * (6 * 12.011 + 14 * 1.008))
    assert found.bonds.shape == (38, 2) and found.constraints.shape == (0, 2)
    assert_array_equal(found.bonds[19:], found.bonds[:19] + 20)
    degree = np.bincount(found.bonds.ravel())
    assert_array_equal(degree, np.where(np.array(found.elements) == "C", 4, 1))


def test_several_residues_and_molecules(tmp_path):
    two = "[ moleculetype ]\nAB 3\n[ atoms ]\n1 c 1 AAA C 1 0 12.01\n2 o 2 BBB O 1 0 16.0 ; oxygen\n[ bonds ]\n2 1 1\n"
    one = "[moleculetype]\nNA 1\n[ atoms ]\n1 na 7 NAP NA 1 1 22.99\n"
    found = read(tmp_path, f"{two}{one}#ifdef POSRES\n#endif\n[ molecules ]\nNA 1\nAB 2\nNA 1\n")
    assert found.names == ("NA", "C", "O", "C", "O", "NA")
    assert found.residues == ("NAP", "AAA", "BBB", "AAA", "BBB", "NAP")
    assert found.residue_index == (0, 1, 2, 3, 4, 5)
    assert found.elements == ("Na", "C", "O", "C", "O", "Na")
    assert found.bonds.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("HEX 2", "HEX 2\nSOL 561", r"\[ molecules \] counts 561 'SOL', this file defines \['HEX'\]; included files"),
        ("[ molecules ]\nHEX 2", "", r"want a section \[ molecules \], found none; is this an .itp file"),
        ("HEX 2", "HEX two", r"\[ molecules \]: .*found 'HEX two'"),
        ("C1 1 0.0 12.011", "C1 1 0.0", r"\[ atoms \]: want eight columns, the last of them the mass"),
        (
            "C1 1 0.0 12.011",
            "CH3 1 0.0 15.5",
            "atom CH3 of residue HEX has mass 15.5 g/mol, and a name for C; .*united atoms",
        ),
        ("1 2 1\n", "1 21 1\n", r"\[ bonds \]: want a bond between two of 20 atoms; found '1 21 1'"),
        ("[ moleculetype ]\nHEX 3\n", "", r"line 3, \[ atoms \]: want a \[ moleculetype \] before it"),
    ],
)
def test_slips(tmp_path, old, new, message):
    text = top(2).replace("oplsaa.ff", "nowhere.ff")  # GROMACS' own folder has that of hexane
    assert old in text
    with pytest.raises(TrajectoryError, match=message):
        read(tmp_path, text.replace(old, new, 1))


def test_the_bundled_hexane_has_the_same_atoms_and_bonds(tmp_path):
    """100 molecules of the .top reader against the PDB file of the reference set, whose bonds are CONECT records."""
    from cgcore.store import data_file

    pdb, found = io.read_topology(data_file("hexane/topology.pdb")), read(tmp_path, top(100))
    blank = dict(mass=0, bonds=0, constraints=0, residue_labels=())
    assert replace(found, **blank) == replace(pdb, **blank)
    assert_allclose(found.mass, pdb.mass, atol=1e-3)
    assert_array_equal(found.bonds, pdb.bonds)
