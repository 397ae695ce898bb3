"""Maps of capped alanine against literal tables, mechanics, and every slip in a table that has been thought of."""

from dataclasses import replace
from pathlib import Path

import hexane
import mdtraj
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgcore import geometry, io, mapping
from cgcore.frames import Frames, Topology
from cgcore.mapping import MappingError

ALA2 = Path(__file__).parents[1] / "notebooks" / "data" / "ala2"
TWENTY_TWO = (
    "CH3_ace HH31_ace HH32_ace HH33_ace C_ace O_ace N H CA HA CB HB1 HB2 HB3 C O "
    "N_nme H_nme CH3_nme HH31_nme HH32_nme HH33_nme"
)
HEAVY = "CH3_ace C_ace O_ace N CA CB C O N_nme CH3_nme"
CORE = "C_ace N CA C N_nme"
BETA = "C_ace N CA CB C N_nme"
HEAVY_BONDS = "0-1 1-2 1-3 3-4 4-5 4-6 6-7 6-8 8-9"
CORE_BONDS = "0-1 1-2 2-3 3-4"
BETA_BONDS = "0-1 1-2 2-3 2-4 4-5"
ATOM_BONDS = "0-1 0-2 0-3 0-4 4-5 4-6 6-7 6-8 8-9 8-10 8-14 10-11 10-12 10-13 14-15 14-16 16-17 16-18 18-19 18-20 18-21"
# map, typing, beads, species, bonds: the nine maps of the study
NINE = [
    ("atomistic", "published", TWENTY_TWO, "C H H H C O N H C H C H H H C O N H C H H H", ATOM_BONDS),
    ("united_atom", "published", HEAVY, "CH3 C O NH CH CH3 C O NH CH3", HEAVY_BONDS),
    ("heavy_atom", "published", HEAVY, "C C O N C C C O N C", HEAVY_BONDS),
    ("core", "published", CORE, "C N C C N", CORE_BONDS),
    ("core", "unique", CORE, CORE, CORE_BONDS),
    ("core", "single", CORE, "bead bead bead bead bead", CORE_BONDS),
    ("core_beta", "published", BETA, "C N C C C N", BETA_BONDS),
    ("core_beta", "unique", BETA, BETA, BETA_BONDS),
    ("core_beta", "single", BETA, "bead bead bead bead bead bead", BETA_BONDS),
]
# map, typing, beads of one molecule, species, carbons (counted along the chain) and number of atoms of each bead
HEXANE = [
    ("two_site", "published", "C123 C456", "A A", "123 456", (10, 10)),
    ("two_site", "labelled", "C123 C456", "A B", "123 456", (10, 10)),
    ("three_site", "published", "C12 C34 C56", "A B A", "12 34 56", (7, 6, 7)),
    ("four_site", "published", "C2 C3 C4 C5", "A B B A", "2 3 4 5", (1, 1, 1, 1)),
    ("six_site", "published", "C1 C2 C3 C4 C5 C6", "A B B B B A", "1 2 3 4 5 6", (1,) * 6),
]
SPECIES = {
    "united_atom": (0, 1, 2, 3, 4, 0, 1, 2, 3, 0),  # 1 2 3 4 5 1 2 3 4 1 in the study
    "heavy_atom": (0, 0, 1, 2, 0, 0, 0, 1, 2, 0),
}


@pytest.fixture(scope="module")
def topology():
    return io.read_topology(ALA2 / "topology.pdb")


@pytest.fixture(scope="module")
def frames(topology):
    return io.read(ALA2 / "solute.trr", topology, stride=100)


def table(tmp_path, text: str) -> Path:
    (tmp_path / "mine.toml").write_text(text)
    return tmp_path / "mine.toml"


HEAD = 'description = "mine"\nleaves_atoms_out = true\n'
STUDY = '[typings.published]\ndescription = "by element"\nby = "composition"\n'


def test_the_maps_of_the_study_are_all_there():
    found = {(a.map, a.typing): a for a in mapping.available() if not a.map.startswith("chain_")}
    assert found.keys() == {row[:2] for row in NINE} | {row[:2] for row in HEXANE}
    wanted = {"core": "any peptide", "core_beta": "any peptide"} | dict.fromkeys({row[0] for row in HEXANE}, "hex")
    assert all(a.fits == wanted.get(key[0], "any molecule") for key, a in found.items())
    assert all(a.description for a in found.values())


@pytest.mark.parametrize("row", NINE, ids=lambda row: f"{row[0]}-{row[1]}")
def test_map_against_the_literal_table(row, topology):
    name, typing, beads, labels, bonds = row
    m = mapping.load(name, topology, typing=typing)
    assert (m.name, m.typing) == (name, typing)
    assert m.beads == tuple(beads.split())
    assert [m.species_names[s] for s in m.species] == labels.split()
    assert list(dict.fromkeys(m.species)) == list(range(len(m.species_names)))
    assert [f"{i}-{j}" for i, j in m.bonds] == bonds.split()
    assert m.dihedrals["phi"] == m.indices("C_ace", "N", "CA", "C")
    assert m.dihedrals["psi"] == m.indices("N", "CA", "C", "N_nme")
    assert m.species == SPECIES.get(name, m.species)


@pytest.mark.parametrize("row", HEXANE, ids=lambda row: f"{row[0]}-{row[1]}")
def test_maps_of_a_liquid(row, tmp_path):
    """Three molecules of hexane: names numbered by molecule, bonds inside molecules, carbons in the order of the chain."""
    name, typing, beads, labels, carbons, sizes = row
    (tmp_path / "topol.top").write_text(hexane.top(3))
    liquid = io.read_topology(tmp_path / "topol.top")
    m, n = mapping.load(name, liquid, residue="hex", typing=typing), len(sizes)
    assert m.beads == tuple(f"{bead}_{k}" for k in (1, 2, 3) for bead in beads.split())
    assert [m.species_names[s] for s in m.species] == labels.split() * 3
    assert m.bonds.tolist() == [[n * k + i, n * k + i + 1] for k in range(3) for i in range(n - 1)]
    assert tuple(map(len, m.atoms)) == sizes * 3
    chain = [i for i in range(20) if liquid.elements[i] == "C"]
    for wanted, atoms in zip(carbons.split(), m.atoms, strict=False):
        assert [str(chain.index(a) + 1) for a in atoms if liquid.elements[a] == "C"] == list(wanted)
    assert_allclose(
        m.mass, [12.011 * len(c) + 1.008 * (s - len(c)) for c, s in zip(carbons.split(), sizes, strict=True)] * 3
    )


def test_a_liquid_keeps_forces_and_box(tmp_path):
    (tmp_path / "topol.top").write_text(hexane.top(3))
    liquid = io.read_topology(tmp_path / "topol.top")
    random, box = np.random.default_rng(0), np.full(3, 1.7)
    position, force = random.normal(size=(2, 2, 60, 3))
    atoms = Frames(position=position, force=force, box=box, time=np.arange(2.0), names=liquid.names)
    m = mapping.load("three_site", liquid, residue="hex")
    beads = mapping.apply(m, atoms)
    assert_array_equal(beads.box, box)
    assert_allclose(beads.force.reshape(2, 3, 3, 3).sum(axis=2), force.reshape(2, 3, 20, 3).sum(axis=2), atol=1e-12)
    centre = np.average(position.reshape(2, 3, 20, 3), axis=2, weights=liquid.mass[:20])
    assert_allclose(np.average(beads.position.reshape(2, 3, 3, 3), axis=2, weights=m.mass[:3]), centre, atol=1e-12)


def test_masses_by_hand(topology):
    """g/mol from the periodic table: C 12.011, H 1.008, N 14.007, O 15.999."""
    heavy = {"C": 12.011, "O": 15.999, "N": 14.007, "CH3": 15.035, "CH": 13.019, "NH": 15.015}
    for name in ("united_atom", "heavy_atom", "core", "core_beta"):
        m = mapping.load(name, topology)
        assert_allclose(m.mass, [heavy[m.species_names[s]] for s in m.species], atol=0.002)


@pytest.mark.parametrize("name", ["united_atom", "atomistic"])
def test_maps_of_all_atoms_keep_mass_momentum_and_force(name, topology, frames):
    m = mapping.load(name, topology)
    beads = mapping.apply(m, frames)
    assert_allclose(m.mass.sum(), topology.mass.sum(), rtol=1e-12)
    assert_allclose(beads.force.sum(axis=1), frames.force.sum(axis=1), atol=5e-3)
    assert_allclose(m.force_weights.sum(axis=0), 1.0)
    centre = np.average(frames.position.astype(float), axis=1, weights=topology.mass)
    assert_allclose(np.average(beads.position, axis=1, weights=m.mass), centre, atol=1e-6)


def test_the_atomistic_map_changes_nothing(topology, frames):
    beads = mapping.apply(mapping.load("atomistic", topology), frames)
    assert_array_equal(beads.position, frames.position)
    assert_array_equal(beads.force, frames.force)


def test_weights_are_centre_of_mass_weights(topology):
    m = mapping.load("united_atom", topology)
    row = m.weights.toarray()[m.indices("CH3_nme")[0]]
    assert_allclose(m.weights.sum(axis=1), 1.0, rtol=1e-14)
    assert_array_equal(np.flatnonzero(row), [18, 19, 20, 21])
    assert m.atoms[m.indices("CH3_nme")[0]] == (18, 19, 20, 21)
    assert_allclose(row[18:], np.array([12.011, 1.008, 1.008, 1.008]) / 15.035, atol=1e-4)


@pytest.mark.parametrize("name", ["united_atom", "atomistic"])
def test_virtual_work(name, topology, frames):
    """Moving the atoms of each bead together does the same work on beads and on atoms: sum F.dR = sum f.dr."""
    m = mapping.load(name, topology)
    shift = np.random.default_rng(0).normal(size=(len(m.beads), 3))
    moved = replace(frames, position=frames.position + m.force_weights.T @ shift)
    before = mapping.apply(m, replace(frames, position=frames.position.astype(float)))
    step = mapping.apply(m, moved).position - before.position
    assert_allclose(step, np.broadcast_to(shift, step.shape), atol=1e-12)
    work = np.sum(frames.force.astype(float) * (m.force_weights.T @ shift), axis=(1, 2))
    assert_allclose(np.sum(before.force.astype(float) * step, axis=(1, 2)), work, atol=2e-2)


def test_raw_masses_off_the_origin(tmp_path):
    """Masses 12 and 16 at x = 100 and 101: the bead is at 100 + 16/28, not at (12 * 100 + 16 * 101)."""
    top = Topology(
        names=("C", "O"),
        residues=("MOL",) * 2,
        residue_index=(0, 0),
        elements=("C", "O"),
        mass=np.array([12.0, 16.0]),
        bonds=np.array([[0, 1]]),
    )
    path = table(tmp_path, HEAD + STUDY + '[residues.MOL]\nCO = ["C", "O"]')
    m = mapping.load(path, top, residue="mol")
    position = np.array([[[100.0, 5, 5], [101.0, 5, 5]]])
    one = Frames(position=position, force=position, box=np.full(3, np.inf), time=np.zeros(1), names=top.names)
    beads = mapping.apply(m, one)
    assert_allclose(beads.position, [[[100 + 16 / 28, 5, 5]]], rtol=1e-14)
    assert_allclose(beads.force, [[[201, 10, 10]]])
    assert (beads.names, m.species_names, m.name) == (("CO",), ("CO",), "mine")
    assert m.bonds.shape == (0, 2)


def test_a_molecule_across_the_boundary(tmp_path, topology, frames):
    """Wrapped atoms, written and read, map to the same beads up to a shift of the molecule."""
    m = mapping.load("united_atom", topology)
    box = frames.box.astype(float)
    wrapped = (frames.position[:3] - frames.position[:3, 8:9] + 0.02) % box
    path = tmp_path / "wrapped.xtc"
    with mdtraj.formats.XTCTrajectoryFile(str(path), "w") as file:
        file.write(wrapped.astype(np.float32), time=np.arange(3), box=np.tile(np.diag(box), (3, 1, 1)))
    found = mapping.apply(m, io.read(path, topology)).position
    wanted = mapping.apply(m, frames[:3]).position
    assert_allclose(found - found[:, 4:5], wanted - wanted[:, 4:5], atol=2e-3)


@pytest.mark.parametrize("name", ["core", "core_beta", "heavy_atom", "atomistic"])
def test_phi_and_psi_are_those_of_mdtraj_on_the_atoms(name, topology, frames):
    m = mapping.load(name, topology)
    trajectory = mdtraj.load(ALA2 / "solute.trr", top=ALA2 / "topology.pdb", stride=100)
    wanted = np.hstack([mdtraj.compute_phi(trajectory)[1], mdtraj.compute_psi(trajectory)[1]])
    quads = np.array([m.dihedrals["phi"], m.dihedrals["psi"]])
    beads = mapping.apply(m, frames)
    turn = np.asarray(geometry.dihedrals(beads.position.astype(float), quads, beads.box.astype(float))) - wanted
    assert_allclose((turn + np.pi) % (2 * np.pi) - np.pi, 0.0, atol=1e-5)


def test_missing_forces_stay_missing(topology, frames):
    m = mapping.load("core", topology)
    without = replace(frames, force=None)
    assert mapping.apply(m, without).force is None
    with pytest.raises(MappingError, match="want frames with forces"):
        mapping.apply(m, without, require_forces=True)
    with pytest.raises(MappingError, match="want frames of 22 atoms, got 5; these frames are mapped already"):
        mapping.apply(m, mapping.apply(m, frames))


def polymer() -> Topology:
    """CAP - (CA, OG1-HG1) x 3, where the name OG1 hides no carbon."""
    names = ("CH3",) + ("CA", "OG1", "HG1") * 3
    bonds = [(0, 1)] + [(k, k + 1) for a in (1, 4, 7) for k in (a, a + 1)] + [(1, 4), (4, 7)]
    return Topology(
        names=names,
        residues=("CAP",) + ("MON",) * 9,
        residue_index=(0, *(k for k in (1, 2, 3) for _ in range(3))),
        elements=("C",) + ("C", "O", "H") * 3,
        mass=np.array([12.0] + [12.0, 16.0, 1.0] * 3),
        bonds=np.array(sorted(bonds)),
    )


POLYMER = '[residues.CAP]\nM = ["CH3"]\n[residues.MON]\nCA = ["CA"]\nOG = ["OG1", "HG1"]\n'


def test_repeated_residues_are_numbered_and_elements_come_from_the_topology(tmp_path):
    labels = '[typings.mine]\ndescription = "by label"\nlabels = { M = "A", CA = "B", CA_2 = "X", OG = "O" }\n'
    path = table(tmp_path, HEAD.replace("true", "false") + STUDY + labels + POLYMER)
    m = mapping.load(path, polymer(), residue="mon")
    assert m.beads == ("M", "CA_1", "OG_1", "CA_2", "OG_2", "CA_3", "OG_3")
    assert [m.species_names[s] for s in m.species] == ["C", "C", "OH", "C", "OH", "C", "OH"]
    assert_allclose(m.mass, [12, 12, 17, 12, 17, 12, 17])
    assert m.bonds.tolist() == [[0, 1], [1, 2], [1, 3], [3, 4], [3, 5], [5, 6]]
    labelled = mapping.load(path, polymer(), residue="mon", typing="mine")
    assert [labelled.species_names[s] for s in labelled.species] == ["A", "B", "O", "X", "O", "B", "O"]


def test_beads_may_be_bonded_through_atoms_that_are_left_out(tmp_path):
    """One bead a monomer, the cap left out: no two beads share an atomic bond."""
    text = HEAD + STUDY + '[residues.CAP]\n[residues.MON]\nOG = ["OG1"]\n'
    with pytest.raises(MappingError, match="not connected by bonds"):
        mapping.load(table(tmp_path, text), polymer(), residue="mon")
    path = table(tmp_path, text.replace("true\n", "true\nbonds_through_left_out = true\n", 1))
    top = polymer()
    along = top.bonds.tolist()
    assert [0, 1] in along and [1, 4] in along, "the left-out CA of the monomers are bonded along the chain"
    # All left-out atoms hang together, so that each bead is bonded to each.
    assert mapping.load(path, top, residue="mon").bonds.tolist() == [[0, 1], [0, 2], [1, 2]]


def test_separate_molecules_need_no_bond_between_them(tmp_path):
    top = polymer()
    apart = replace(top, bonds=np.array([b for b in top.bonds.tolist() if b not in ([0, 1], [1, 4], [4, 7])]))
    m = mapping.load(table(tmp_path, HEAD + STUDY + POLYMER), apart, residue="mon")
    assert m.bonds.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_formulas():
    found = [mapping.formula(list(e)) for e in ("HCHH", "HN", "CHHCHHH", "HOC")]
    assert found == ["CH3", "NH", "C2H5", "COH"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "core_bta"}, "unknown map 'core_bta'; there are .*did you mean 'core_beta'"),
        ({"name": "core", "typing": "singel"}, "unknown typing 'singel'.*did you mean 'single'"),
        ({"name": "core", "residue": "alq"}, "residue 'alq' is not in the topology, which holds .*did you mean 'ALA'"),
        ({"name": "nowhere.toml"}, "nowhere.toml: no such file"),
    ],
)
def test_unknown_names(options, message, topology):
    with pytest.raises(MappingError, match=message):
        mapping.load(topology=topology, **options)


def test_unknown_bead(topology):
    with pytest.raises(MappingError, match="no bead 'N_nma'; .*did you mean 'N_nme'"):
        mapping.load("core", topology).indices("CA", "N_nma")


ALA = (
    '[residues.ACE]\nC_ace = ["C"]\n[residues.ALA]\nN = ["N"]\nCA = ["CA"]\nC = ["C"]\n[residues.NME]\nN_nme = ["N"]\n'
)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('CA = ["CA"]', 'CA = ["CA1"]', r"bead CA: residue ALA1 has no atom 'CA1'; .*did you mean 'CA'"),
        ('CA = ["CA"]', 'CA = ["CA", "CA"]', r"\[residues.ALA\]: atom 'CA' is named 2 times"),
        ('CA = ["CA"]', 'CA = ["CA", "N"]', r"\[residues.ALA\]: atom 'N' is named 2 times"),
        ('CA = ["CA"]', "CA = []", "bead CA: want a list of atom names"),
        ('CA = ["CA"]', 'CA = "CA"', "bead CA: want a list of atom names"),
        ('CA = ["CA"]\n', "", r"fall into \[\['C_ace', 'N'\], \['C', 'N_nme'\]\]"),
        ('CA = ["CA"]', 'CA = ["CA"]\nCA = ["CB"]', "not a TOML file"),
        ('[residues.NME]\nN_nme = ["N"]\n', "", "topology holds residue 'NME', the map only"),
        ("leaves_atoms_out = true", "leaves_atoms_out = false", "17 atoms belong to no bead.*leaves_atoms_out"),
        ("leaves_atoms_out", "leave_atoms_out", "unknown key 'leave_atoms_out'; .*did you mean 'leaves_atoms_out'"),
        ("leaves_atoms_out = true", "leaves_atoms_out = 1", "want bool for 'leaves_atoms_out', got 1"),
        ('description = "mine"\n', "", "missing key 'description'"),
        ('by = "composition"', 'by = "compositon"', "by = 'compositon'.*did you mean 'composition'"),
        ('by = "composition"', 'bye = "composition"', r"\[typings.published\]: unknown key 'bye'"),
        ('by = "composition"', "", r"\[typings.published\]: want one of 'by' and 'labels'"),
        ('by = "composition"', 'labels = { N = "A" }', "no label for bead 'C_ace'"),
        ('by = "composition"', 'labels = { NN = "A" }', "a label for 'NN', which is no bead"),
        ('by = "composition"', "labels = { N = 1 }", "want a name in quotes as label of N, got 1"),
        (
            "leaves_atoms_out = true",
            'leaves_atoms_out = true\natoms = "heavyy"',
            "atoms: want a list of names, or one of",
        ),
        ("leaves_atoms_out = true", "leaves_atoms_out = true\natoms = []", "atoms: want a list of names, or one of"),
        ("[residues.ACE]", '[dihedrals]\nphi = ["N", "CA"]\n[residues.ACE]', "phi: want four beads"),
        ("[residues.ACE]", '[dihedrals]\nphi = ["N", "CA", "C", "X"]\n[residues.ACE]', "no bead 'X'"),
    ],
)
def test_slips_in_a_table(tmp_path, topology, old, new, message):
    good = HEAD + STUDY + ALA
    assert old in good
    assert mapping.load(table(tmp_path, good), topology).beads == tuple(CORE.split())
    with pytest.raises(MappingError, match=message):
        mapping.load(table(tmp_path, good.replace(old, new)), topology)


def test_a_residue_of_its_own_beside_the_rule(tmp_path, topology):
    """The residue that a file lists has its beads, all others those of the rule."""
    rule = HEAD + 'atoms = ["N", "CA", "C"]\n' + STUDY
    m = mapping.load(table(tmp_path, rule + '[residues.ALA]\nCA = ["N", "CA", "CB"]\nC = ["C"]\n'), topology)
    assert m.beads == ("C_ace", "CA", "C", "N_nme")
    assert m.bonds.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert m.dihedrals == {}, "phi has two atoms in one bead"
    with pytest.raises(MappingError, match="want 'smarts', or 'atoms' and 'residues' or one of them"):
        mapping.load(table(tmp_path, rule + '[smarts]\nC = "C"\n'), topology)


def test_topologies_that_do_not_fit(topology):
    with pytest.raises(MappingError, match="residue 'ala' is not in the topology, which holds .*'GLY'"):
        mapping.load("core", replace(topology, residues=("GLY",) * 22), residue="ala")
    twice = ("CH3",) + topology.names[:1] + topology.names[2:]
    with pytest.raises(MappingError, match="atom ACE0:CH3 occurs twice in the topology"):
        mapping.load("core", replace(topology, names=twice))


def test_topologies_without_the_bonds(topology):
    with pytest.raises(MappingError, match="residue ACE0 of the topology falls into 6 parts.*CONECT"):
        mapping.load("core", replace(topology, bonds=np.zeros((0, 2), dtype=int)))
    peptide = [b for b in topology.bonds.tolist() if b not in ([4, 6], [14, 16])]
    with pytest.raises(MappingError, match="beads of phi are not connected by bonds; .*between residues"):
        mapping.load("core", replace(topology, bonds=np.array(peptide)))
