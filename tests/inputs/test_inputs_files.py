"""Topologies and text that lie, or that are only half there: by kind, what is brought, and what the message must say."""

from dataclasses import replace
from io import BytesIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pytest
from brought import ALA2, write
from numpy.testing import assert_allclose

from cgcore import geometry, io, map_files, mapping
from cgcore.errors import CgcoreError, TextError, read_text
from cgcore.frames import Topology


def refused(path: Path, message: str):
    with pytest.raises(CgcoreError, match=message):
        io.read_topology(path)


# Elements and masses


def pdb(*atoms: tuple, conect: str = "") -> str:
    """A PDB file from (columns of the name, residue, number, x in Å, element)."""
    lines = [
        f"ATOM  {k:5d} {name:4s} {residue:<4s}A{number:4d}    {x:8.3f}{0:8.3f}{0:8.3f}  1.00  0.00          {symbol:>2s}  "
        for k, (name, residue, number, x, symbol) in enumerate(atoms, start=1)
    ]
    return "\n".join([*lines, conect, "END", ""])


def gro(*atoms: tuple) -> str:
    rows = [f"{n:5d}{res:<5s}{name:>5s}{k:5d}{x:8.3f}{0:8.3f}{0:8.3f}" for k, (name, res, n, x) in enumerate(atoms, 1)]
    return "\n".join(["title", f"{len(atoms)}", *rows, "   3.0 3.0 3.0", ""])


@pytest.mark.parametrize(
    "name, text, elements",
    [
        ("charmm.pdb", pdb(("N   ", "ALA", 1, 0, ""), ("CA  ", "ALA", 1, 1.46, ""), ("HA  ", "ALA", 1, 2.5, "")), "N C H"),
        ("namd.pdb", pdb(("CD  ", "LYS", 1, 0, ""), ("CE  ", "LYS", 1, 1.5, ""), ("NZ  ", "LYS", 1, 3, "")), "C C N"),
        ("his.pdb", pdb(("HG11", "VAL", 1, 0, ""), ("HE2 ", "HSP", 2, 2, ""), ("1HB ", "ALA", 3, 4, "")), "H H H"),
        ("ion.pdb", pdb(("CA  ", "CA", 1, 0, ""), ("NA  ", "NA", 2, 5, ""), ("K   ", "K", 3, 9, "")), "Ca Na K"),
        ("ligand.pdb", pdb(("CL1 ", "LIG", 1, 0, "CL"), ("CA  ", "LIG", 1, 1.7, "C")), "Cl C"),
        ("sites.pdb", pdb(("X1  ", "LIG", 1, 0, "C"), ("X2  ", "LIG", 1, 1.5, "N")), "C N"),
        ("water.gro", gro(("OW", "SOL", 1, 0), ("HW1", "SOL", 1, 0.1), ("HW2", "SOL", 1, -0.1)), "O H H"),
        ("hexane.gro", gro(("C1", "HEX", 1, 0), ("H2", "HEX", 1, 0.11)), "C H"),
    ],
)  # fmt: skip
def test_elements_are_told_where_names_residues_and_columns_agree(tmp_path, name, text, elements):
    assert " ".join(io.read_topology(write(tmp_path, name, text)).elements) == elements


def test_the_carbons_of_charmm_weigh_what_carbons_do(tmp_path):
    """Names to the left and no elements: 144.17 g/mol of capped alanine, and not 172.24 with calcium for CA."""
    lines = []
    for line in (ALA2 / "topology.pdb").read_text().splitlines():
        if line.startswith("ATOM"):
            line = f"{line[:12]}{line[12:16].strip():<4s}{line[16:76]}  "
        lines.append(line)
    found = io.read_topology(write(tmp_path, "a.pdb", "\n".join(lines) + "\n"))
    assert_allclose(found.mass.sum(), 144.174, atol=0.005)
    assert "".join(found.elements) == "CHHHCOHNCHCHHHCONHCHHH".replace("OHN", "ONH")


@pytest.mark.parametrize(
    "before, after", [("", "END\n"), ("MODEL 1\n", "ENDMDL\n"), ("", "TER\nEND\n"), ("", "TER\nENDMDL\n")]
)
def test_atoms_are_those_of_the_first_frame(tmp_path, topology, before, after):
    """However programs part the frames of a PDB file."""
    text = (ALA2 / "topology.pdb").read_text()
    body = "\n".join(line for line in text.splitlines() if line.startswith(("ATOM", "CRYST1"))) + "\n"
    path = write(tmp_path, "a.pdb", (before + body + after) * 2)
    assert io.read_topology(path).names == topology.names
    assert io.read(path, topology, frame_ps=1.0).n_frames in (1, 2)


ELEMENTS = {
    "calcium or carbon": ("a.pdb", pdb(("CA  ", "LIG", 1, 0, ""), ("N1  ", "LIG", 1, 1.5, "")), "atom CA of residue LIG has no element, and a name for C or Ca"),
    "chlorine or carbon": ("a.pdb", pdb(("CL1 ", "LIG", 1, 0, ""), ("N1  ", "LIG", 1, 1.5, "")), "CL1 .* a name for C or Cl; .*element column \\(77-78\\)"),
    "bromine or boron": ("a.pdb", pdb(("BR1 ", "LIG", 1, 0, ""), ("N1  ", "LIG", 1, 1.9, "")), "a name for B or Br"),
    "selenium": ("a.pdb", pdb(("SE  ", "LIG", 1, 0, ""), ("C1  ", "LIG", 1, 1.9, "")), "a name for S or Se"),
    "calcium in alanine": ("a.pdb", pdb(("CA  ", "ALA", 1, 0, "CA"), ("N   ", "ALA", 1, 1.5, "N")), "atom CA of residue ALA has element 'CA', and a name for C"),
    "charmm's sodium": ("a.pdb", pdb(("SOD ", "SOD", 1, 0, "")), "atom SOD .* a name for no element"),
    "charmm's chloride": ("a.pdb", pdb(("CLA ", "CLA", 1, 0, "")), "atom CLA .* a name for no element"),
    "virtual site": ("a.gro", gro(("OW", "SOL", 1, 0), ("HW1", "SOL", 1, 0.1), ("HW2", "SOL", 1, -0.1), ("MW", "SOL", 1, 0.02)), "atom MW .* virtual sites have none"),
    "lone pair": ("a.pdb", pdb(("LP1 ", "LIG", 1, 0, ""), ("C1  ", "LIG", 1, 1, "")), "atom LP1 of residue LIG has no element"),
    "no such element": ("a.pdb", pdb(("C1  ", "LIG", 1, 0, "XX"), ("N1  ", "LIG", 1, 1.5, "N")), "has element 'XX'"),
    "chlorine in gro": ("a.gro", gro(("CL1", "LIG", 1, 0), ("C2", "LIG", 1, 0.17)), "take a PDB in place of a GRO file"),
    "bead": ("a.gro", gro(("BB", "MAR", 1, 0), ("SC1", "MAR", 1, 0.3)), "atom SC1 .* a name for S or Sc|atom BB"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ELEMENTS)
def test_an_element_is_never_guessed(tmp_path, kind):
    name, text, message = ELEMENTS[kind]
    refused(write(tmp_path, name, text), message)


def top(atoms: str, types: str = "", more: str = "", molecules: str = "MOL 1") -> str:
    types = f"[ atomtypes ]\n{types}\n" if types else ""
    return f"{types}[ moleculetype ]\nMOL 3\n[ atoms ]\n{atoms}\n{more}\n[ system ]\nx\n[ molecules ]\n{molecules}\n"


METHYL = "1 CT 1 LIG C1 1 0.0 {c}\n2 HC 1 LIG H2 1 0.0 {h}\n3 HC 1 LIG H3 1 0.0 {h}\n4 HC 1 LIG H4 1 0.0 {h}"
TYPES = "CT CT 6 12.011 0.0 A 0.35 0.27\nHC HC 1 1.008 0.0 A 0.25 0.12"
HEAVY = METHYL.format(c="2.939", h="4.032")
BONDS = "[ bonds ]\n1 2 1\n1 3 1\n1 4 1\n"


def test_repartitioned_masses_stand_and_atomic_numbers_say_the_element(tmp_path):
    found = io.read_topology(write(tmp_path, "a.top", top(HEAVY, TYPES, BONDS)))
    assert "".join(found.elements) == "CHHH"
    assert_allclose(found.mass, [2.939, 4.032, 4.032, 4.032])


@pytest.mark.parametrize(
    "types",
    [
        TYPES,
        TYPES.replace("CT CT 6", "CT 6").replace("HC HC 1", "HC 1"),
        TYPES.replace(" 6 ", " ").replace(" 1 1.008", " 1.008"),
    ],
)
def test_masses_come_from_the_types_where_atoms_have_none(tmp_path, types):  # fmt: skip
    found = io.read_topology(write(tmp_path, "a.top", top(METHYL.format(c="", h=""), types, BONDS)))
    assert_allclose(found.mass, [12.011, 1.008, 1.008, 1.008])
    assert "".join(found.elements) == "CHHH"


def test_conditions_included_files_constraints_and_water_are_read(tmp_path):
    write(tmp_path, "types.itp", f"[ atomtypes ]\n{TYPES}\n")
    write(tmp_path, "water.itp", "[ moleculetype ]\nSOL 2\n[ atoms ]\n1 O 1 SOL OW 1 0 15.999\n2 H 1 SOL HW1 1 0 1.008\n"
          "3 H 1 SOL HW2 1 0 1.008\n#ifdef FLEXIBLE\n[ bonds ]\n1 2 1\n1 3 1\n#else\n[ settles ]\n1 1 0.1 0.16\n#endif\n")  # fmt: skip
    more = '[ bonds ]\n1 2 1\n1 3 6\n[ constraints ]\n1 3 1 0.109\n3 4 2 0.18\n#ifdef POSRES\n#include "posre.itp"\n#endif\n'
    text = '#include "types.itp"\n' + top(METHYL.format(c="", h=""), "", more, "MOL 1\nSOL 1")
    text = text.replace("[ system ]", '#include "water.itp"\n[ system ]')
    found = io.read_topology(write(tmp_path, "a.top", text))
    assert found.bonds.tolist() == [[0, 1], [0, 2], [4, 5], [4, 6]]
    assert found.constraints.tolist() == [[0, 2], [2, 3], [4, 5], [4, 6], [5, 6]]
    flexible = io.read_topology(write(tmp_path, "b.top", "#define FLEXIBLE\n" + text))
    assert flexible.constraints.tolist() == [[0, 2], [2, 3]]
    assert flexible.bonds.tolist() == found.bonds.tolist()


TOPS = {
    "helium for hydrogen": (top(HEAVY.replace("2.939", "12.011")), "atom H2 of residue LIG has mass 4.032 g/mol, and a name for H; .*masses are repartitioned"),
    "beryllium for carbon": (top(METHYL.format(c="8.987", h="1.008")), "atom C1 of residue LIG has mass 8.987 g/mol, and a name for C"),
    "carbon that weighs as chlorine": (top("1 X 1 LIG CA 1 0 35.45"), "mass 35.45 g/mol, and a name for C or Ca"),
    "united atom": (top("1 CH3 1 LIG C1 1 0 15.035"), "mass 15.035 .*united atoms"),
    "no mass": (top(METHYL.format(c="", h="")), "want eight columns, .* or \\[ atomtypes \\] with it; included files that were not found: none"),
    "no mass, force field not found": ('#include "x.ff/ff.itp"\n' + top(METHYL.format(c="", h="")), "not found: \\['x.ff/ff.itp'\\]"),
    "virtual site": (top(METHYL.format(c="12.011", h="1.008") + "\n5 M 1 LIG M5 1 0 0.0"), "atom M5 of residue LIG has mass 0 g/mol"),
    "virtual_sites2": (top(METHYL.format(c="12.011", h="1.008"), "", "[ virtual_sites2 ]\n1 2 3 1 0.5"), "line 8: \\[ virtual_sites2 \\] may say what is bonded or held, and is not read here"),
    "virtual_sites3": (top(METHYL.format(c="12.011", h="1.008"), "", "[ virtual_sites3 ]\n1 2 3 4 1 0.5 0.5"), "\\[ virtual_sites3 \\] may say"),
    "virtual_sitesn": (top(METHYL.format(c="12.011", h="1.008"), "", "[ virtual_sitesn ]\n1 1 2 3"), "\\[ virtual_sitesn \\]"),
    "bonds between molecules": (top(METHYL.format(c="12.011", h="1.008")) + "[ intermolecular_interactions ]\n[ bonds ]\n1 2 6", "intermolecular_interactions .* may say"),
    "polarizable": (top(METHYL.format(c="12.011", h="1.008"), "", "[ polarization ]\n1 2 1 0.001"), "\\[ polarization \\]"),
    "shells of water": (top(METHYL.format(c="12.011", h="1.008"), "", "[ water_polarization ]\n1 2 3 1"), "\\[ water_polarization \\]"),
    "a slip": (top(METHYL.format(c="12.011", h="1.008"), "", BONDS.replace("bonds", "bond")), "\\[ bond \\] may say"),
    "defined twice": (top(METHYL.format(c="12.011", h="1.008")) + "[ moleculetype ]\nMOL 3\n", "a molecule of this name is defined before"),
    "#endif missing": ("#ifdef A\n" + top(METHYL.format(c="12.011", h="1.008")), "an #ifdef without #endif; was the file cut off"),
    "#else alone": ("#else\n" + top(METHYL.format(c="12.011", h="1.008")), "line 1: #else without an #ifdef"),
    "#if": ("#if 1\n" + top(METHYL.format(c="12.011", h="1.008")), "line 1: #if is not known here; .*grompp -pp"),
    "a bond to nowhere": (top(METHYL.format(c="12.011", h="1.008"), "", "[ bonds ]\n1 5 1"), "want a bond between two of 4 atoms; found '1 5 1'"),
    "a bond to itself": (top(METHYL.format(c="12.011", h="1.008"), "", "[ bonds ]\n2 2 1"), "want a bond between two of 4 atoms"),
    "a constraint to nowhere": (top(METHYL.format(c="12.011", h="1.008"), "", "[ constraints ]\n1 9 1 0.1"), "\\[ constraints \\]: want a bond between"),
    "settles of two atoms": (top("1 O 1 SOL OW 1 0 15.999\n2 H 1 SOL HW1 1 0 1.008", "", "[ settles ]\n1 1 0.1 0.16"), "\\[ settles \\]: want a bond between two of 2"),
    "a bond of words": (top(METHYL.format(c="12.011", h="1.008"), "", "[ bonds ]\nC1 H2 1"), "\\[ bonds \\]: invalid literal.*found 'C1 H2 1'"),
    "a cut line": (top(METHYL.format(c="12.011", h="1.008"), "", "[ bonds ]\n1"), "\\[ bonds \\]: .*found '1'"),
}  # fmt: skip


@pytest.mark.parametrize("kind", TOPS)
def test_a_gromacs_topology_is_read_whole_or_refused(tmp_path, kind):
    text, message = TOPS[kind]
    refused(write(tmp_path, "a.top", text), message)


# Bonds and atoms


def test_two_peptides_without_a_TER_between_are_not_made_one(tmp_path):
    one = [line for line in (ALA2 / "topology.pdb").read_text().splitlines() if line.startswith("ATOM")]
    free = [line for line in one if " ACE " not in line and " NME " not in line]
    moved = [f"{x[:22]}{3:4d}{x[26:30]}{float(x[30:38]) + 4.5:8.3f}{x[38:]}" for x in free]
    refused(
        write(tmp_path, "a.pdb", "\n".join([*free, *moved, "END\n"])),
        "the bond ALA1:C–ALA3:N is .* nm long.*ended by TER",
    )
    ter = write(tmp_path, "b.pdb", "\n".join([*free, "TER", *[m[:21] + "B" + m[22:] for m in moved], "END\n"]))
    found = io.read_topology(ter)
    assert len(np.unique(geometry.molecules(found.bonds, found.n_atoms))) == 2


BONDED = {
    "conect to far": (pdb(("C1  ", "LIG", 1, 0, "C"), ("C2  ", "LIG", 1, 4.0, "C"), conect="CONECT    1    2"), "the bond LIG1:C1–LIG1:C2 is 0.400 nm long, at most 0.228"),
    "in Å as nm": (pdb(("C1  ", "LIG", 1, 0, "C"), ("C2  ", "LIG", 1, 15.0, "C"), conect="CONECT    1    2"), "All are about 9.9 times as long as they should be: lengths look like Å taken for nm"),
    "its own number": (pdb(("C1  ", "LIG", 7, 0, "C"), ("H1  ", "LIG", 7, 3.0, "H"), conect="CONECT    1    2"), "LIG7:C1–LIG7:H1"),
    "alternate locations": (pdb(("C1  ", "LIG", 1, 0, "C"), ("C1  ", "LIG", 1, 0.1, "C")).replace("C1   L", "C1  AL", 1).replace("C1   L", "C1  BL"), "2 atoms in the file, of which 1 could be told apart; .*alternate locations"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BONDED)
@pytest.mark.filterwarnings("ignore:WARNING. duplicate atom")
def test_impossible_bonds_and_atoms_left_out_are_refused(tmp_path, kind):
    text, message = BONDED[kind]
    refused(write(tmp_path, "a.pdb", text), message)


def test_bonds_of_a_top_are_held_against_the_frames(tmp_path, topology, few):
    far = replace(topology, bonds=np.array([*topology.bonds.tolist(), [0, 21]]))
    with pytest.raises(io.TrajectoryError, match="the bond ACE0:CH3–NME2:HH33 is .* contradict the distances"):
        io.read(ALA2 / "solute.trr", far, stride=3000)


def test_a_pdb_beyond_its_numbers_is_refused_at_once(tmp_path):
    line = "HETATM99999  O   HOH A9999       0.000   0.000   0.000  1.00  0.00           O  "
    refused(
        write(tmp_path, "a.pdb", "\n".join([*[line] * 100_000, "CONECT    1    2", "END"])),
        "100000 atoms, and CONECT records, which number 99999 at most",
    )


def test_a_map_of_a_hundred_thousand_atoms_needs_little_memory(tmp_path):
    """Weights are kept where they are not zero: 100 020 by 100 020 of them took 80 GB each."""
    n = 33_340
    names = ("OW", "HW1", "HW2") * n
    water = Topology(
        names=names,
        residues=("SOL",) * (3 * n),
        residue_index=tuple(np.repeat(np.arange(n), 3).tolist()),
        elements=("O", "H", "H") * n,
        mass=np.array([15.999, 1.008, 1.008] * n),
        bonds=(np.array([[0, 1], [0, 2]]) + 3 * np.arange(n)[:, None, None]).reshape(-1, 2),
    )
    text = 'description = "x"\nleaves_atoms_out = false\n[typings.published]\ndescription = "x"\nby = "nothing"\n'
    path = write(tmp_path, "w.toml", text + '[residues.SOL]\nO = ["OW"]\nH = ["HW1"]\nG = ["HW2"]\n')
    m = mapping.load(path, water, residue="sol")
    assert m.weights.nnz == 100_020 and m.weights.shape == (100_020, 100_020)
    assert m.bonds.shape == (66_680, 2)


# Text


TOML = (Path(mapping.__file__).parent / "maps" / "core.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_byte_order_marks_are_read(tmp_path, encoding):
    assert map_files.read(write(tmp_path, "a.toml", TOML.encode(encoding))) == map_files.read(
        write(tmp_path, "b.toml", TOML)
    )
    text = top(METHYL.format(c="12.011", h="1.008"), "", BONDS)
    assert io.read_topology(write(tmp_path, "a.top", text.encode(encoding))).n_atoms == 4


ENCODED = {
    "a map in Latin-1": ("a.toml", lambda: ("# für\n" + TOML).encode("latin-1"), map_files.read, "line 1: want text in UTF-8, found the byte 0xfc"),
    "a comment in Latin-1": ("a.top", lambda: (top("") + "; Å\n").encode("latin-1"), io.read_topology, "line 10: want text in UTF-8, found the byte 0xc5"),
    "a PDB in Latin-1": ("a.pdb", lambda: b"REMARK \xe9\n" + (ALA2 / "topology.pdb").read_bytes(), io.read_topology, "line 1: want text in UTF-8"),
    "a PDB with a mark": ("a.pdb", lambda: b"\xef\xbb\xbf" + (ALA2 / "topology.pdb").read_bytes(), io.read_topology, "found a byte order mark"),
    "a GRO in UTF-16": ("a.gro", lambda: (ALA2 / "solute.gro").read_text().encode("utf-16"), io.read_topology, "found a byte order mark"),
    "a map that is none": ("a.toml", lambda: b"\x89PNG\r\n\x1a\n\x00", map_files.read, "found the byte 0x89"),
    "a map of zeros": ("a.toml", lambda: b"\0" * 40, map_files.read, "not a TOML file"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ENCODED)
def test_another_encoding_is_one_clear_error(tmp_path, kind):
    name, data, reader, message = ENCODED[kind]
    with pytest.raises(CgcoreError, match=message):
        reader(write(tmp_path, name, data()))


def test_text_is_read_whatever_the_locale(tmp_path):
    assert read_text(write(tmp_path, "a", "φ ψ Å ✓".encode())) == "φ ψ Å ✓"
    assert issubclass(TextError, ValueError)


def test_what_a_terminal_cannot_show_does_not_end_a_command(monkeypatch):
    from cgcore.cli.app import every_command

    terminal = TextIOWrapper(BytesIO(), encoding="cp1252")
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setattr("sys.stderr", TextIOWrapper(BytesIO(), encoding="ascii"))
    every_command()
    print("✗ φ Å")
    terminal.flush()
    assert terminal.buffer.getvalue() == "? ? Å\n".encode("cp1252")
