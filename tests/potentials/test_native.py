"""MACE packed as machine code against the model in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numba.core import caching
from numpy.testing import assert_allclose

from cgcore import io, mapping, store
from cgcore.config import MACEConfig
from cgcore.frames import Frames
from cgcore.geometry import displacement
from cgcore.neighbors import closest
from cgcore.potentials import barrier, compiled, mace
from cgcore.potentials.base import PotentialError, add, force
from cgcore.potentials.mace.native import call
from cgcore.potentials.mace.native.kernel import harmonics, pull_harmonics
from cgcore.potentials.mace.native.pack import PackError, pack

HEXANE = store.data_file("hexane/topology.pdb")


@pytest.fixture(scope="module")
def frames() -> tuple[Frames, tuple[int, ...]]:
    """Four frames of liquid hexane as three beads a molecule."""
    atoms = io.read(store.data_file("hexane/replica_00.h5"), topology := io.read_topology(HEXANE))
    beads = mapping.load("three_site", topology, residue="hex")
    return mapping.apply(beads, atoms[np.arange(0, 600, 150)]), beads.species


@pytest.fixture(scope="module")
def molecule() -> tuple[Frames, tuple[int, ...]]:
    """Seven beads of three species along a bent chain, shaken, without a box."""
    random = np.random.default_rng(5)
    line = np.cumsum(np.tile([[0.11, 0.07, 0.02], [0.10, -0.06, 0.05]], (4, 1)), axis=0)[:7]
    position = line + 0.01 * random.normal(size=(6, 7, 3))
    names = tuple(f"B{i}" for i in range(7))
    box = np.full(3, np.inf)
    return Frames(position=position, force=None, box=box, time=np.arange(6.0), names=names), (0, 1, 2, 1, 0, 1, 2)


def model_of(sample, is_liquid: bool, **options) -> tuple[mace.Model, dict]:
    model = mace.for_frames(MACEConfig(cutoff_nm=0.5, **options), sample[1], sample[0], liquid=is_liquid)
    return model, mace.build(model).init(jax.random.key(3))


def energies_and_forces(potential, params, position: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    both = jax.jit(lambda x: (potential.energy(params, x, box), force(potential, params, x, box)))
    energies, forces = zip(*(both(x) for x in position), strict=True)
    return np.stack(energies), np.stack(forces)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("liquid", dict(correlation=2)),
        ("molecule", dict(correlation=1, layers=1)),
        ("molecule", dict(correlation=3, layers=1)),
        ("molecule", dict(correlation=1)),
        ("molecule", dict(correlation=2)),
        ("molecule", dict(correlation=3)),
        ("molecule", dict(correlation=2, symmetry="SO3")),
    ],
    ids=str,
)
def test_packed_energies_and_forces_are_the_models(frames, molecule, kind, options):
    """To 1e-5, for orders, layers and symmetries; errors measured here, not those that the pack reports."""
    sample = frames if kind == "liquid" else molecule
    model, params = model_of(sample, kind == "liquid", **options)
    packed = pack(model, params, sample[0].position, sample[0].box)
    both = (packed.potential, packed.weights), (mace.build(model), params)
    results = (energies_and_forces(p, q, np.asarray(sample[0].position), sample[0].box) for p, q in both)
    for found, wanted in zip(*results, strict=True):
        assert np.linalg.norm(found - wanted) < 1e-5 * np.linalg.norm(wanted)


def test_batches_and_lists_that_are_too_long_change_nothing(frames):
    """Frames side by side as one after the other, and with the neighbours of a longer cut-off in the rows."""
    from cgcore.neighbors import row_index

    model, params = model_of(frames, True)
    packed = pack(model, params, frames[0].position, frames[0].box)
    box, x = jnp.asarray(frames[0].box), jnp.asarray(frames[0].position[:2])

    def listed(x):
        return packed.potential.listed.energy(packed.weights, x, box, row_index(x, box, 0.6, 40)[0])

    singles = np.stack([jax.grad(listed)(frame) for frame in x])
    direct = np.stack([-force(packed.potential, packed.weights, frame, box) for frame in x])
    assert_allclose(jax.vmap(jax.grad(listed))(x), singles, rtol=0, atol=0)
    assert_allclose(singles, direct, rtol=0, atol=1e-6 * np.abs(direct).max())


def nearer(position: np.ndarray, box: np.ndarray, shortest: float, by: float) -> np.ndarray:
    """The frame (N, 3) with its two closest beads so much nearer to each other than the shortest distance of any frame."""
    i, j = np.triu_indices(len(position), 1)
    apart = displacement(position[i], position[j], box)
    pair = np.linalg.norm(apart, axis=-1).argmin()
    moved = position.copy()
    moved[j[pair]] = position[i[pair]] + apart[pair] * (1 - by) * shortest / np.linalg.norm(apart[pair])
    return moved


@pytest.mark.parametrize("kind", ["molecule", "liquid"])
@pytest.mark.parametrize("layers", [1, 2])
def test_what_simulates_is_the_plain_sum_before_and_behind_the_wall(frames, molecule, kind, layers):
    """A packed MACE with its repulsion as the sum that is named and stored, to 1e-5: in frames, and with a pair 5, 10 and 20 %
    closer than any; there the repulsion pushes, so that both are the sum of two terms."""
    sample, species = frames if kind == "liquid" else molecule
    model, params = model_of((sample, species), kind == "liquid", layers=layers)
    wall = barrier.build(barrier.repulsion(species, sample, liquid=kind == "liquid"))
    plain, both = add(mace.build(model), wall), (params, {})
    box, x = np.asarray(sample.box, float), np.asarray(sample.position, float)
    fast, packed, engines = compiled.for_simulation(plain, both, x, box)
    assert [entry["engine"] for entry in engines] == ["packed"]
    shortest = float(closest(x, box).min())
    behind = [np.stack([nearer(frame, box, shortest, by) for frame in x[:2]]) for by in (0.05, 0.1, 0.2)]
    sets = [x[:2], *behind]
    assert [bool(wall.energy({}, frames[0], box) > 0) for frames in sets] == [False, True, True, True]
    both_ways = (energies_and_forces(p, q, np.concatenate(sets), box) for p, q in ((plain, both), (fast, packed)))
    for found, wanted in zip(*both_ways, strict=True):  # energies, then forces
        for one, other in zip(np.split(found, len(sets)), np.split(wanted, len(sets)), strict=True):
            assert np.linalg.norm(one - other) < 1e-5 * np.linalg.norm(other)


def test_harmonics_and_their_gradients():
    """Against e3nn-jax's, and the gradient of a sum of them and of r."""
    from cgcore.potentials.mace.network import spherical_harmonics

    random = np.random.default_rng(1)
    weight = random.normal(size=17)

    def total(v):
        return spherical_harmonics(3, v) @ weight[:16] + weight[16] * jnp.linalg.norm(v)

    for vector in random.normal(size=(5, 3)):
        length = np.linalg.norm(vector)
        y, pulled = np.zeros(16, np.float32), np.zeros(3, np.float32)
        harmonics(vector.astype(np.float32), np.float32(length), y)
        assert_allclose(y, spherical_harmonics(3, vector), rtol=1e-5, atol=1e-5)
        change = weight.astype(np.float32)
        pull_harmonics(vector.astype(np.float32), np.float32(length), change[:16], change[16], pulled)
        assert_allclose(pulled, jax.grad(total)(vector), rtol=2e-5, atol=2e-5)


def test_what_cannot_be_packed_is_refused(molecule):
    model, params = model_of(molecule, False, channels=16)
    with pytest.raises(PackError, match="want channels of 32 to pack a model, got 16"):
        pack(model, params, molecule[0].position, molecule[0].box)
    model, params = model_of(molecule, False)
    with pytest.raises(PotentialError, match="differ from the model's by .* with 4096 knots; want at most 1e-12"):
        pack(model, params, molecule[0].position, molecule[0].box, tolerance=1e-12)


def test_without_a_folder_for_its_cache_the_kernel_is_compiled_all_the_same(monkeypatch):
    """As in an installation that cannot be written, where a RuntimeError came after the training."""
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    monkeypatch.setattr(call, "custom_call", lambda name, function: function)
    for threads in (False, True):
        found = call.kernel_call.__wrapped__(threads)
        assert isinstance(found._cache, caching.NullCache) and found.targetoptions["parallel"] is threads


@pytest.mark.parametrize("threads", [False, True])
def test_the_kernel_is_read_from_disk_by_the_process_that_compiled_it_too(threads, monkeypatch):
    """Else a run would round otherwise in its first process than in those that go on with it."""
    monkeypatch.setattr(call, "custom_call", lambda name, function: function)
    found = call.kernel_call.__wrapped__(threads)
    found.compile((call.BUFFERS, call.BUFFERS))
    assert sum(found.stats.cache_hits.values()) == 1
