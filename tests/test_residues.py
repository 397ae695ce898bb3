"""The maps of all four residues against their reference sets: beads, species, masses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgcore import mapping
from cgcore.analysis.surface import backbone
from cgcore.map_files import CAPS, MappingError
from cgcore.reference import sets

# residue -> heavy beads between the caps, their elements, and their masses with hydrogens (g/mol)
SIDE = {
    "ala": ("N CA CB C O", "N C C C O", (15.015, 13.019, 15.035, 12.011, 15.999)),
    "gly": ("N CA C O", "N C C O", (15.015, 14.027, 12.011, 15.999)),
    "pro": ("N CA CB CG CD C O", "N C C C C C O", (14.007, 13.019, 14.027, 14.027, 14.027, 12.011, 15.999)),
    "thr": ("N CA CB OG1 CG2 C O", "N C C O C C O", (15.015, 13.019, 13.019, 17.007, 15.035, 12.011, 15.999)),
}
ATOMS = {"ala": 22, "gly": 19, "pro": 26, "thr": 26}
UNITED = {
    "ala": "NH CH CH3 C O",
    "gly": "NH CH2 C O",
    "pro": "N CH CH2 CH2 CH2 C O",
    "thr": "NH CH CH OH CH3 C O",
}
TYPINGS = [
    (a.map, a.typing, residue)
    for a in mapping.available()
    for residue in ATOMS
    if a.fits != "hex" and not a.map.startswith("chain_") and (a.map, residue) != ("core_beta", "gly")
]


@pytest.fixture(scope="module")
def references():
    return {residue: sets.load(f"{residue}2_obc2", stride=200) for residue in ATOMS}


@pytest.mark.parametrize("row", TYPINGS, ids="-".join)
def test_every_map_takes_its_reference(row, references):
    """Forces add up to zero where all atoms count; beads of the residue stand between those of the caps."""
    name, typing, residue = row
    topology, atoms = references[residue]
    beads = mapping.load(name, topology, typing=typing, residue=residue)
    frames = mapping.apply(beads, atoms, require_forces=True)
    assert np.isfinite(frames.position).all()
    if name in ("atomistic", "united_atom"):
        assert_allclose(beads.mass.sum(), topology.mass.sum())
        assert np.abs(frames.force.sum(1)).max() < 60
    assert len(beads.bonds) == len(beads.beads) - (0 if residue == "pro" and name not in ("core", "core_beta") else 1)
    if name == "united_atom":  # its beads are centres of mass
        return
    phi, psi, _ = backbone(frames, **beads.dihedrals)
    index = {n: i for i, (n, r) in enumerate(zip(topology.names, topology.residues, strict=True)) if r not in CAPS}
    c, n = (
        list(zip(topology.names, topology.residues, strict=True)).index(atom) for atom in (("C", "ACE"), ("N", "NME"))
    )
    exact = backbone(atoms, (c, index["N"], index["CA"], index["C"]), (index["N"], index["CA"], index["C"], n))
    assert_allclose(phi, exact[0], atol=1e-4)
    assert_allclose(psi, exact[1], atol=1e-4)


@pytest.mark.parametrize("residue", SIDE)
def test_beads_species_and_masses(residue, references):
    """Threonine's OG1 is oxygen, with and without its hydrogen."""
    topology, _ = references[residue]
    names, elements, masses = SIDE[residue]
    heavy = mapping.load("heavy_atom", topology, residue=residue)
    assert heavy.beads == (*["CH3_ace", "C_ace", "O_ace"], *names.split(), "N_nme", "CH3_nme")
    assert [heavy.species_names[s] for s in heavy.species] == ["C", "C", "O", *elements.split(), "N", "C"]
    united = mapping.load("united_atom", topology, residue=residue)
    assert united.beads == heavy.beads
    assert [united.species_names[s] for s in united.species] == ["CH3", "C", "O", *UNITED[residue].split(), "NH", "CH3"]
    assert_allclose(united.mass[3:-2], masses, atol=0.01)
    whole = mapping.load("atomistic", topology, residue=residue)
    assert len(whole.beads) == ATOMS[residue]
    assert [whole.species_names[s] for s in whole.species] == list(topology.elements)
    core = mapping.load("core", topology, residue=residue)
    assert core.beads == ("C_ace", "N", "CA", "C", "N_nme")
    if residue != "gly":
        assert mapping.load("core_beta", topology, residue=residue).beads == ("C_ace", "N", "CA", "CB", "C", "N_nme")


def test_glycine_has_no_beta_carbon(references):
    with pytest.raises(MappingError, match="map 'core_beta': no residue of the topology has an atom 'CB'; want a map"):
        mapping.load("core_beta", references["gly"][0], residue="gly")
