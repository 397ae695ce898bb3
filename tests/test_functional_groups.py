"""Maps by functional groups and rings: which beads there are, and that their patterns fit other files and other molecules."""

import sys

import numpy as np
import pytest
from doctoring import frames

from cgcore import functional_groups, mapping, proposals
from cgcore.frames import Topology
from cgcore.reference import own


@pytest.fixture(autouse=True)
def rdkit():
    return pytest.importorskip("rdkit")


def topology(smiles: str) -> Topology:
    (built, *_) = own.structures(own.from_smiles(smiles), smiles)
    return built.topology


def load(tmp_path, grouping, atoms: Topology):
    path = tmp_path / f"{grouping.name}.toml"
    path.write_text(grouping.toml())
    return mapping.load(path, atoms)


def found(tmp_path, smiles: str) -> dict[str, str]:
    """Grouping -> its beads with their elements, of all but heavy and united atoms; a map of names is marked by a star."""
    atoms, words = topology(smiles), {}
    for grouping in proposals.groupings(atoms):
        if not grouping.name.endswith("_atom"):
            beads = load(tmp_path, grouping, atoms)
            assert beads.mass.sum() == pytest.approx(atoms.mass.sum(), rel=1e-12), "every atom is in a bead"
            words[grouping.name] = " ".join(f"{b}:{beads.species_names[s]}" for b, s in zip(beads.beads, beads.species, strict=True))  # fmt: skip
            words[grouping.name] += " *" * ("residues" in grouping.table)
    return words


RING = "ring_a:C2H ring_b:C2H2 ring_c:C2H2"
EXPECTED = {
    "CCO": {"groups": "C2H5:C2H5 hydroxyl:OH"},
    "C[C@H](O)CC": {"groups": "C4H9:C4H9 hydroxyl:OH"},
    "CCCCCC": {},
    "CO": {},  # the groups are united atoms
    "Cc1ccccc1": {"groups": "CH3:CH3 ring:C6H5", "group_pairs": f"CH3:CH3 {RING} *"},
    "c1ccccc1-c1ccccc1": {
        "groups": "ring_1:C6H5 ring_2:C6H5",
        "group_pairs": f"{RING} ring_d:C2H ring_e:C2H2 ring_f:C2H2 *",
    },
    "CC(=O)OC": {"groups": "CH3_1:CH3 ester:CO2 CH3_2:CH3"},
    "C[S@](=O)CC": {"groups": "CH3:CH3 sulfoxide:OS C2H5:C2H5"},
    "CC(=O)O": {"groups": "CH3:CH3 carboxyl:CO2H"},
    "CC(=O)[O-]": {"groups": "CH3:CH3 carboxyl:CO2"},
    "CC(=O)NC": {"groups": "CH3_1:CH3 amide:CNOH CH3_2:CH3"},
    "CC(=O)C": {"groups": "CH3_1:CH3 carbonyl:CO CH3_2:CH3"},
    "CCC#N": {"groups": "C2H5:C2H5 nitrile:CN"},
    "CCOCC": {"groups": "C2H5_1:C2H5 ether:O C2H5_2:C2H5"},
    "CCNCC": {"groups": "C2H5_1:C2H5 amine:NH C2H5_2:C2H5"},
    "CCC(F)(F)F": {"groups": "C2H5:C2H5 halide:CF3"},  # three matches on one carbon are one bead
    "C[N+](=O)[O-]": {"groups": "CH3:CH3 nitro:NO2"},
    "O=C1CCCCC1": {"group_pairs": "carbonyl:CO ring_a:C3H6 ring_b:C2H4 *"},  # whole, it is one bead with its oxygen
    "Oc1ccccc1": {"groups": "hydroxyl:OH ring:C6H5", "group_pairs": f"hydroxyl:OH {RING} *"},
    "c1ccc2ccccc2c1": {"group_pairs": "ring_1:C2H2 ring_2:C2H2 ring_b:C2 ring_3:C2H2 ring_4:C2H2"},
    "CCCCCCCCCCO": {"groups": "C3H7:C3H7 C4H8:C4H8 C3H6:C3H6 hydroxyl:OH"},
}


@pytest.mark.parametrize("smiles", EXPECTED)
def test_beads_by_name(smiles, tmp_path):
    beads = {name: words for name, words in found(tmp_path, smiles).items() if not name.startswith("sites")}
    assert beads == EXPECTED[smiles]


def test_a_partition_of_the_chain_is_not_listed_twice(tmp_path):
    """Each grouping of all atoms is there once."""
    for smiles in ("CCOCC", "CCO", "CC(=O)C", "CCCCCC", "C[C@H](O)CC"):
        atoms = topology(smiles)
        parted = [
            frozenset(load(tmp_path, g, atoms).atoms) for g in proposals.groupings(atoms) if g.name != "heavy_atom"
        ]
        assert len(parted) == len(set(parted)) > 0


def test_patterns_fit_another_file_and_another_molecule(tmp_path):
    """The groups of methyl acetate, atoms in another order, and of ethylene glycol diacetate for CH3 and ester."""
    grouping = next(g for g in proposals.groupings(topology("CC(=O)OC")) if g.name == "groups")
    other = load(tmp_path, grouping, topology("COC(=O)C"))
    assert other.beads == ("CH3_1", "ester", "CH3_2") and [len(a) for a in other.atoms] == [4, 3, 4]
    longer = grouping.table["smarts"] | {"bridge": "[CX4H2:1][CX4H2:1]"}
    twice = load(tmp_path, proposals.Grouping("two", grouping.table | {"smarts": longer}), topology("CC(=O)OCCOC(=O)C"))
    assert twice.beads == ("CH3_1", "ester_1", "bridge", "ester_2", "CH3_2")


def test_a_liquid_has_the_groups_of_each_molecule(tmp_path):
    one = topology("CCO")
    n, copies = one.n_atoms, 3
    many = Topology(
        names=one.names * copies,
        residues=one.residues * copies,
        residue_index=tuple(k for k in range(copies) for _ in range(n)),
        elements=one.elements * copies,
        mass=np.tile(one.mass, copies),
        bonds=np.concatenate([one.bonds + k * n for k in range(copies)]),
    )
    grouping = next(g for g in proposals.groupings(many) if g.name == "groups")
    assert load(tmp_path, grouping, many).beads == tuple(f"{b}_{k}" for k in (1, 2, 3) for b in ("C2H5", "hydroxyl"))


def test_more_beads_alike_than_letters():
    assert [functional_groups.letter(k) for k in (0, 25, 26)] == ["a", "z", "27"]


def test_without_rdkit_one_line_says_what_is_left_out(tmp_path, monkeypatch):
    (built, *_) = own.structures(own.from_smiles("CCO"), "CCO")
    monkeypatch.setitem(sys.modules, "rdkit", None)
    x = built.position[None] + 0.003 * np.random.default_rng(0).standard_normal((60, *built.position.shape))
    proposed = proposals.propose(built.topology, frames(x, built.topology.names), tmp_path)
    lines = [line for line in proposals.ranking(proposed).splitlines() if "RDKit" in line]
    assert lines == [
        "– groups: no such map here: functional groups and rings are found by RDKit, which is not installed: `pip install cgcore[smarts]`"
    ]
    assert sorted(path.name for path in tmp_path.glob("*.toml")) == ["heavy_atom.toml", "united_atom.toml"]


def test_groups_get_a_verdict_and_a_price_beside_the_others(tmp_path):
    """Three beads in a row lose the hand of a sulfoxide, which its heavy atoms keep."""
    (built, *_) = own.structures(own.from_smiles("C[S@](=O)CC"), "mine")
    x = built.position[None] + 0.003 * np.random.default_rng(0).standard_normal((200, *built.position.shape))
    proposed = {p.name: p for p in proposals.propose(built.topology, frames(x, built.topology.names), tmp_path)}
    assert list(proposed)[-1] != "groups", "the groups are among the proposals, ranked"
    assert proposed["groups"].beads == 3 and proposed["groups"].pairs == 6
    assert "lost" in (tmp_path / "groups.txt").read_text()
    assert "kept with inversion path (S2)" in (tmp_path / "heavy_atom.txt").read_text()
    assert '[smarts]\nCH3 = "[CX4H3:1][SX3H0]"\n' in (tmp_path / "groups.toml").read_text()
