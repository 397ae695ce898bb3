"""Maps of polyalanine-15: which beads, of which species, where, and bonded to which."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgcore import mapping
from cgcore.reference import sets


@pytest.fixture(scope="module")
def chain():
    return sets.load("ala15_obc2", stride=300)


def of_species(beads) -> str:
    return " ".join(beads.species_names[s] for s in beads.species)


CA_SPECIES = {
    "published": " ".join(f"CA_{k}" for k in range(1, 16)),
    "single": " ".join(["bead"] * 15),
    "symmetric": "1 2 3 4 5 6 7 8 7 6 5 4 3 2 1",
    "alternating": "1 2 1 2 1 2 1 2 1 2 1 2 1 2 1",
}


@pytest.mark.parametrize("typing", CA_SPECIES)
def test_a_ca_bead_is_the_ca_atom_with_its_mass_and_force(typing, chain):
    topology, atoms = chain
    beads = mapping.load("chain_ca", topology, typing=typing)
    assert of_species(beads) == CA_SPECIES[typing]
    assert_array_equal(beads.bonds, [[k, k + 1] for k in range(14)])
    assert_allclose(beads.mass, 12.011, rtol=1e-4)
    frames, ca = mapping.apply(beads, atoms), [k for k, name in enumerate(topology.names) if name == "CA"]
    assert_array_equal(frames.position, np.asarray(atoms.position)[:, ca])
    assert_array_equal(frames.force, np.asarray(atoms.force)[:, ca])


@pytest.mark.parametrize("name, residue", [("chain_core", "N C C"), ("chain_core_beta", "N C C C")])
def test_the_backbone_is_typed_by_element_or_all_different(name, residue, chain):
    topology, atoms = chain
    beads = mapping.load(name, topology)
    assert of_species(beads) == " ".join(["C", *[residue] * 15, "N"])
    unique = mapping.load(name, topology, typing="unique")
    assert len(set(unique.species)) == len(beads.beads) == 2 + 15 * len(residue.split())
    assert len(beads.bonds) == len(beads.beads) - 1
    named = {key: " ".join(beads.beads[b] for b in four) for key, four in beads.dihedrals.items()}
    assert named == {"phi": "C_7 N_8 CA_8 C_8", "psi": "N_8 CA_8 C_8 N_9"}
    side = {tuple(sorted(beads.indices(f"CA_{k}", f"CB_{k}"))) for k in range(1, 16)} if "beta" in name else set()
    assert side <= set(map(tuple, beads.bonds.tolist()))
    frames = mapping.apply(beads, atoms)
    ends = np.asarray(frames.position)[:, beads.bonds]
    lengths = np.linalg.norm(ends[:, :, 0] - ends[:, :, 1], axis=-1)
    assert lengths.min() > 0.12 and lengths.max() < 0.17


def test_the_middle_of_a_single_residue_is_that_residue():
    topology, _ = sets.load("ala2_obc2", stride=5000)
    chain, core = mapping.load("chain_core", topology), mapping.load("core", topology)
    assert (chain.beads, chain.species, chain.dihedrals) == (core.beads, core.species, core.dihedrals)
