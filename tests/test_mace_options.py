"""MACE of liquids, and its options that remove a symmetry: mirror images told apart, and bonded partners known."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose

from cgcore.config import MACEConfig
from cgcore.frames import Frames, Status
from cgcore.geometry import rotation
from cgcore.neighbors import capacity_for, mean_neighbours, neighbour_counts
from cgcore.potentials.base import PotentialError, force
from cgcore.potentials.mace import Model, build, for_frames, to_mace_torch
from cgcore.potentials.mace.couplings import (
    contraction_monomials,
    convolution_paths,
)
from cgcore.potentials.mace.exchange import ExchangeError
from cgcore.potentials.mace.network import init, spherical_harmonics

VACUUM = np.full(3, np.inf)


def compiled(function):
    """Compiled with little optimisation: it runs once, and compiling is what takes the time."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def small(correlation: int = 2, layers: int = 2) -> Model:
    config = MACEConfig(
        correlation=correlation, layers=layers, channels=3, max_ell=2, n_bessel=4, radial_width=8, readout_width=4
    )
    return Model(config=config, species=(0, 1, 1, 0, 2), n_species=3, mean_neighbours=3.5)


@pytest.fixture(scope="module")
def position() -> np.ndarray:
    """Five beads in nm, all within the cut-off of some other."""
    grid = 0.2 * np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1.5]])
    return grid + 0.02 * np.random.default_rng(5).normal(size=grid.shape)


def test_a_liquid_in_its_box():
    """Rows give the energies and forces of all pairs with nearest images; whole boxes more or less change nothing.

    A row that overflows makes the energy NaN and is flagged.
    """
    box = np.array([1.0, 1.1, 1.2])
    random = np.random.default_rng(4)
    position = random.uniform(0, 1, (30, 3)) * box
    species = tuple(random.integers(0, 2, 30).tolist())
    liquid = Frames(position=position[None], force=None, box=box, time=np.zeros(1), names=("B",) * 30)
    config = replace(small().config, cutoff_nm=0.4)
    model = for_frames(config, species, liquid, liquid=True)
    assert model.capacity == capacity_for(position[None], box, 0.4)
    assert model.mean_neighbours == mean_neighbours(position[None], box, 0.4)
    potential, pairs = build(model), build(replace(model, capacity=None))
    assert (potential.periodic, pairs.periodic) == (True, False)
    params = potential.init(jax.random.key(2))
    listed, dense = (compiled(jax.value_and_grad(p.energy, argnums=1)) for p in (potential, pairs))
    wanted, slope = dense(params, position, box)
    images = position + box * random.integers(-2, 3, (30, 3))
    for x in (position, images, np.mod(position + 0.37, box)):
        energy, gradient = listed(params, x, box)
        assert_allclose(energy, wanted, rtol=1e-10)
        assert_allclose(gradient, slope, rtol=0, atol=1e-10 * np.abs(slope).max())
    assert potential.check(position, box) == Status.OK
    fullest = int(neighbour_counts(position[None], box, 0.4).max())
    narrow, few = build(replace(model, capacity=fullest - 1)), build(replace(model, short_rows=model.short_rows // 2))
    assert narrow.check(position, box) == few.check(position, box) == Status.NEIGHBOURS_FULL
    with jax.debug_nans(False):
        forces = compiled(lambda x: force(narrow, params, x, box))(position)
    assert np.isnan(forces).any()


def volume(x):
    """Signed volume of beads 0 ... 3, (nm / 10)^3: changes sign in a mirror."""
    return 1e3 * jnp.linalg.det(x[1:4] - x[0])


@pytest.mark.parametrize("symmetry", ["O3", "SO3"])
def test_only_without_parity_is_a_hand_learned(symmetry, position):
    """Forces of U = 5 tanh(V / 2), V the signed volume: opposite for mirror images, so O(3) can learn nothing of it."""
    random = np.random.default_rng(6)
    x = position + 0.03 * random.normal(size=(16, 5, 3))
    x = jnp.concatenate([x, x * np.array([1.0, 1.0, -1.0])])
    wanted = jax.vmap(jax.grad(lambda x: -5 * jnp.tanh(volume(x) / 2)))(x)
    config = replace(small().config, symmetry=symmetry, max_ell=1)
    potential = build(Model(config=config, species=(0, 1, 2, 3, 4), n_species=5, mean_neighbours=4.0))
    tx = optax.adam(0.02)

    def loss(params):
        return jnp.mean((jax.vmap(lambda x: force(potential, params, x, VACUUM))(x) - wanted) ** 2)

    @compiled
    def update(params, state):
        value, gradient = jax.value_and_grad(loss)(params)
        change, state = tx.update(gradient, state)
        return optax.apply_updates(params, change), state, value

    params = potential.init(jax.random.key(0))
    state, losses = tx.init(params), []
    for _ in range(90):
        params, state, value = update(params, state)
        losses.append(float(value))
    energies = compiled(jax.vmap(lambda x: potential.energy(params, x, VACUUM)))
    energy, turned = energies(x), energies(x @ np.asarray(rotation(jax.random.key(1))).T)
    assert_allclose(turned, energy, rtol=0, atol=1e-11 * np.abs(energy).max())
    split = np.subtract(*np.split(np.asarray(energy), 2))  # between mirror images
    if symmetry == "O3":
        assert_allclose(split, 0, atol=1e-11 * np.abs(energy).max())
        assert losses[-1] > 0.9 * float(jnp.mean(wanted**2))
    else:
        assert losses[-1] < 0.5 * float(jnp.mean(wanted**2))
        assert np.abs(split).mean() > 0.1


def test_paths_without_parity():
    """1 x 1 -> 1 and 1 x 2 -> 2 join; products of equal vectors do not, as A x A = 0; those of parity stay first-class."""
    kept, all_paths = (set(convolution_paths(1, 2, parity)) for parity in (True, False))
    assert all_paths - kept == {(1, 1, 1), (1, 2, 2)}
    for degree, ell in ((2, 0), (2, 1), (3, 0)):
        with_parity, without = (contraction_monomials(3, degree, (ell,), p)[1][ell] for p in (True, False))
        assert with_parity.shape[-1] <= without.shape[-1]
        assert np.abs(without).max(axis=(0, 1)).min() > 1e-12
    # No scalar of up to three factors of one set of harmonics changes sign in a mirror.
    harmonics = np.asarray(spherical_harmonics(3, np.array([[0.1, 0.7, -0.4], [0.5, -0.3, 0.2], [-0.6, 0.1, 0.3]])))
    one, mirrored = harmonics.sum(0), (harmonics * np.repeat([1, -1, 1, -1], [1, 3, 5, 7])).sum(0)
    monomials, coefficients = contraction_monomials(3, 3, (0,), False)
    for a in (one, mirrored):
        assert_allclose(
            np.einsum("m,mk->k", a[monomials].prod(1), coefficients[0][0]),
            np.einsum("m,mk->k", one[monomials].prod(1), coefficients[0][0]),
            atol=1e-12,
        )


def test_typed_edges_know_partners():
    """Two molecules of two equal beads exchange a partner: only with bond types does the energy change."""
    x = np.array([[0.0, 0, 0], [0.2, 0, 0], [0.0, 0.31, 0.05], [0.22, 0.3, 0]])
    exchanged = x[[0, 3, 2, 1]]
    bonds = ((0, 1), (2, 3))
    frames = Frames(position=x[None], force=None, box=VACUUM, time=np.zeros(1), names=("B",) * 4)
    difference = {}
    for bond_types in (False, True):
        config = replace(small().config, bond_types=bond_types)
        potential = build(for_frames(config, (0, 0, 0, 0), frames, bonds=bonds))
        params = potential.init(jax.random.key(0))
        energy = compiled(jax.vmap(lambda x, e=potential.energy, p=params: e(p, x, VACUUM)))
        one, other, whole = energy(np.stack([x, exchanged, x[[2, 3, 0, 1]]]))
        assert_allclose(whole, one, rtol=1e-11)  # whole molecules may change places
        difference[bond_types] = abs(one - other) / abs(one)
    assert difference[False] < 1e-11
    assert difference[True] > 1e-3


def test_bond_types_and_bonds_belong_together():
    config = replace(small().config, bond_types=True)
    with pytest.raises(PotentialError, match="want bonds with bond_types, .* bond_types = True and 0 bonds"):
        Model(config=config, species=(0, 0), n_species=1, mean_neighbours=1.0)


@pytest.mark.parametrize(
    ("option", "words"), [({"symmetry": "SO3"}, 'symmetry = "SO3"'), ({"bond_types": True}, "bond_types")]
)
def test_mace_torch_has_no_such_options(option, words):
    model = small()
    bonds = ((0, 1),) if "bond_types" in option else ()
    model = replace(model, config=replace(model.config, **option), bonds=bonds)
    with pytest.raises(ExchangeError, match=f"want a model without {words}"):
        to_mace_torch(model, init(jax.random.key(0), model))


def test_as_many_species_as_beads(position):
    frames = Frames(position=position[None], force=None, box=VACUUM, time=np.zeros(1), names=tuple("ABCDE"))
    with pytest.raises(PotentialError, match="want one species a bead, got 4 for 5 beads"):
        for_frames(MACEConfig(), (0, 1, 1, 0), frames)
