"""Force maps with less noise: the same mean force, by hand and on the bundled alanine."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

from cgcore import force_maps, io, mapping, store
from cgcore.frames import Frames, Topology
from cgcore.mapping import MappingError
from cgcore.units import kT


@pytest.fixture(scope="module")
def alanine():
    topology = io.read_topology(store.data_file("ala2/topology.pdb"))
    return topology, io.read(store.data_file("ala2/solute.trr"), topology, require_forces=True, stride=10)


def forces(m, frames):
    return np.asarray(mapping.apply(m, frames).force, dtype=float)


@pytest.mark.parametrize(
    "name, ratio",  # United Atom leaves nothing out but water: there is little to gain
    [("core", 0.95), ("core_beta", 0.95), ("united_atom", 1.0)],
)
def test_weights_reproduce_positions_and_lower_the_noise_on_frames_not_seen(alanine, name, ratio):
    topology, frames = alanine
    plain = mapping.load(name, topology)
    best = force_maps.optimised(plain, topology, frames[:600])
    assert_allclose((best.force_weights @ plain.weights.T).toarray(), np.eye(len(plain.beads)), atol=1e-8)
    held_out = frames[700:]
    assert forces(best, held_out).std() < ratio * forces(plain, held_out).std()


def test_the_total_force_on_a_solute_stays_that_of_its_surroundings(alanine):
    """Moving all atoms alike moves all beads alike, so the weights of each atom sum to those of a rigid shift."""
    topology, frames = alanine
    plain = mapping.load("united_atom", topology)
    best = force_maps.optimised(plain, topology, frames)
    # Every atom is in a bead: C has full row sums, and B C^T = 1 makes the virtual work of bead shifts right.
    shift = np.random.default_rng(0).normal(size=(len(plain.beads), 3))
    lifted = best.force_weights.T @ shift
    assert_allclose(plain.weights @ lifted, shift, atol=1e-8)


def test_the_mean_force_of_a_harmonic_chain_is_kept():
    """Three atoms in a row on springs, beads on the outer two: the mean force is known, and B estimates it with less noise."""
    random, k, temperature = np.random.default_rng(2), 4000.0, 300.0
    n = 40_000
    hessian = k * np.array([[2.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 2.0]])  # both ends tied to walls
    covariance = kT(temperature) * np.linalg.inv(hessian)
    position = random.multivariate_normal(np.zeros(3), covariance, size=(n, 3)).swapaxes(1, 2)
    force = -np.einsum("ij,tjd->tid", hessian, position)
    topology = Topology(
        names=("A", "M", "B"),
        residues=("X",) * 3,
        residue_index=(0, 0, 0),
        elements=("C",) * 3,
        mass=np.full(3, 12.0),
        bonds=np.array([[0, 1], [1, 2]]),
    )
    member = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    ends = mapping.Mapping(
        name="ends",
        typing="single",
        beads=("A", "B"),
        species=(0, 0),
        species_names=("bead",),
        atoms=((0,), (2,)),
        weights=csr_array(member),
        force_weights=csr_array(member),
        mass=np.array([12.0, 12.0]),
        bonds=np.array([[0, 1]]),
        dihedrals={},
    )
    frames = Frames(
        position=position, force=force, box=np.full(3, np.inf), time=np.arange(n) * 1.0, names=topology.names
    )
    best = force_maps.optimised(ends, topology, frames)
    # Elimination of the middle atom: U = 1/2 R^T K R with the Schur complement K.
    K = hessian[np.ix_([0, 2], [0, 2])] - np.outer(hessian[[0, 2], 1], hessian[1, [0, 2]]) / hessian[1, 1]
    R = position[:, [0, 2]]
    noise = {}
    for name, m in (("plain", ends), ("best", best)):
        mapped = forces(m, frames)
        fitted = np.linalg.lstsq(R.swapaxes(1, 2).reshape(-1, 2), -mapped.swapaxes(1, 2).reshape(-1, 2), rcond=None)[0]
        assert_allclose(fitted.T, K, rtol=0.02, atol=0.01 * k)
        noise[name] = np.std(mapped + np.einsum("ij,tjd->tid", K, R))
    # With B = K C K_inverse the mapped force is the mean force itself.
    assert noise["plain"] > 60 and noise["best"] < 0.02 * noise["plain"]


def test_molecules_of_a_liquid_share_their_weights():
    topology = io.read_topology(store.data_file("hexane/topology.pdb"))
    frames = io.read(store.data_file("hexane/replica_00.h5"), topology, require_forces=True, stride=60)
    member = np.zeros((200, 2000))
    for molecule in range(100):
        member[2 * molecule, 20 * molecule : 20 * molecule + 10] = 1
        member[2 * molecule + 1, 20 * molecule + 10 : 20 * molecule + 20] = 1
    mass = member @ topology.mass
    two = mapping.Mapping(
        name="two",
        typing="single",
        beads=tuple(f"A_{k}" for k in range(200)),
        species=(0,) * 200,
        species_names=("A",),
        atoms=tuple(tuple(np.flatnonzero(row)) for row in member),
        weights=csr_array(member * topology.mass / mass[:, None]),
        force_weights=csr_array(member),
        mass=mass,
        bonds=np.array([[2 * k, 2 * k + 1] for k in range(100)]),
        dihedrals={},
    )
    best = force_maps.optimised(two, topology, frames)
    weights = best.force_weights.toarray()
    assert_allclose(weights[:2, :20], weights[198:, 1980:])
    assert not weights[:2, 20:].any()
    assert np.square(forces(best, frames)).mean() < np.square(forces(two, frames)).mean()


def test_what_cannot_be_done_is_refused(alanine):
    topology, frames = alanine
    core = mapping.load("core", topology)
    with pytest.raises(MappingError, match="want frames with forces"):
        force_maps.optimised(core, topology, replace(frames, force=None))
    with pytest.raises(MappingError, match="want ten an atom"):
        force_maps.optimised(core, topology, frames[:50])
    with pytest.raises(MappingError, match="held 1 distances fixed"):
        force_maps.optimised(core, replace(topology, constraints=np.array([[0, 1]])), frames)
    with pytest.raises(MappingError, match="frames of 22 atoms, got 5"):
        force_maps.optimised(core, topology, mapping.apply(core, frames))
