"""MACE packed as machine code against the model in double precision."""

import os
import platform
import subprocess
import sys

import jax
import jax.numpy as jnp
import numba
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
from cgcore.potentials.mace.native import call, edges, xla
from cgcore.potentials.mace.native.pack import PackError, native_frames, pack

NEAR_NONE = np.zeros((41, 0, 2), np.int32)
"""Beads without tables of their own for those that bonds lead to."""
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
    bonds = [(i, i + 1) for i in range(len(sample[1]) - 1) if not is_liquid or i % 3 < 2]  # in threes, or a chain
    model = mace.for_frames(MACEConfig(cutoff_nm=0.5, **options), sample[1], sample[0], liquid=is_liquid, bonds=bonds)
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
        ("molecule", dict(correlation=2, bond_types=True)),
        ("molecule", dict(correlation=1, layers=1, bond_types=True)),
        ("liquid", dict(correlation=2, bond_types=True)),
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
    sets = [frames.astype(np.float32).astype(float) for frames in (x[:2], *behind)]  # the same positions for both
    assert [bool(wall.energy({}, frames[0], box) > 0) for frames in sets] == [False, True, True, True]
    both_ways = (energies_and_forces(p, q, np.concatenate(sets), box) for p, q in ((plain, both), (fast, packed)))
    for found, wanted in zip(*both_ways, strict=True):  # energies, then forces
        for one, other in zip(np.split(found, len(sets)), np.split(wanted, len(sets)), strict=True):
            assert np.linalg.norm(one - other) < 1e-5 * np.linalg.norm(other)


def test_harmonics_and_their_gradients():
    """Of 40 edges, against e3nn-jax's, and the gradient of a sum of them and of r."""
    from cgcore.potentials.mace.network import spherical_harmonics

    random = np.random.default_rng(1)
    weight = random.normal(size=16).astype(np.float32)

    def total(v):
        return spherical_harmonics(3, v)[1:] @ weight[1:] + weight[0] * jnp.linalg.norm(v)

    vectors = random.normal(size=(40, 3)).astype(np.float32)
    position, box = np.concatenate([vectors, np.zeros((1, 3), np.float32)]), np.zeros(3, np.float32)
    found, index = edges.room(40), np.arange(40, dtype=np.int32)[None].repeat(41, 0)
    count = edges.find(found, position, box, index, 40, np.array([0.1, 0.1, 9.0, 30], np.float32), NEAR_NONE)
    assert count == 40 and (found.who[:40] == np.arange(40)).all()
    assert_allclose(found.y[:, :40].T, spherical_harmonics(3, -vectors), rtol=1e-5, atol=1e-5)
    found.dy[:] = weight[:, None]
    edges.pull(found, count)
    assert_allclose(found.vector[:, :40].T, jax.vmap(jax.grad(total))(-vectors), rtol=2e-5, atol=2e-5)


def test_radial_functions_and_their_slopes_between_knots():
    """Of polynomials of degree 5 in sqrt(r), which quintic interpolation reproduces; constant below the first knot."""
    random, knots, first, last = np.random.default_rng(2), 9, 0.4, 1.0
    roots, step = np.linspace(first, last, knots), (last - first) / (knots - 1)
    several = [np.polynomial.Polynomial(random.normal(size=6)) for _ in range(32)]
    parts = [[p.deriv(k)(roots) * step**k if k else p(roots) for p in several] for k in range(3)]
    table = np.ascontiguousarray(np.moveaxis(np.array(parts, np.float32), -1, 0)[:, None])  # (knots, 1, 3, 32)
    distance = np.array([0.1, 0.17, 0.3, 0.55, 0.98], np.float32)
    position = np.zeros((6, 3), np.float32)
    position[:5, 0] = distance
    found, index = edges.room(5), np.arange(5, dtype=np.int32)[None].repeat(6, 0)
    edges.find(
        found,
        position,
        np.zeros(3, np.float32),
        index,
        5,
        np.array([first, step, last**2, knots], np.float32),
        NEAR_NONE,
    )
    value, slope = edges.rows(len(found.who)), edges.rows(len(found.who))
    for s in range(5):
        edges.radial(table, found, s, value, slope)
    root = np.maximum(np.sqrt(distance), first)
    assert_allclose(value[:5].T, [p(root) for p in several], rtol=2e-5, atol=2e-5)
    wanted = np.array([p.deriv()(root) / (2 * root) for p in several])
    wanted[:, 0] = 0
    assert_allclose(slope[:5].T, wanted, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("kind", ["molecule", "liquid"])
def test_threads_leave_no_trace(frames, molecule, kind):
    """Pieces of one frame, and frames of a batch, by two threads and by one: the same bits."""
    sample = frames if kind == "liquid" else molecule
    model, params = model_of(sample, kind == "liquid")
    packed = pack(model, params, sample[0].position, sample[0].box)
    box = jnp.asarray(sample[0].box if kind == "liquid" else np.full(3, np.inf), jnp.float32)
    found, threads = [], numba.get_num_threads()
    for n in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(n)
        try:
            x = jnp.asarray(sample[0].position[:4], jnp.float32)
            found.append([force(packed.potential, packed.weights, frame, box) for frame in x])
            found.append(jax.vmap(lambda frame: force(packed.potential, packed.weights, frame, box))(x))
        finally:
            numba.set_num_threads(threads)
    for other in found[1:]:
        assert_allclose(np.stack(other), np.stack(found[0]), rtol=0, atol=0)


def test_what_cannot_be_packed_is_refused(molecule):
    model, params = model_of(molecule, False, channels=16)
    with pytest.raises(PackError, match="want channels of 32 to pack a model, got 16"):
        pack(model, params, molecule[0].position, molecule[0].box)
    model, params = model_of(molecule, False)
    with pytest.raises(PotentialError, match="differ from the model's by .* with 2048 knots; want at most 1e-12"):
        pack(model, params, molecule[0].position, molecule[0].box, tolerance=1e-12)


def test_without_a_folder_for_its_cache_the_kernel_is_compiled_all_the_same(monkeypatch):
    """As in an installation that cannot be written, where a RuntimeError came after the training."""
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    monkeypatch.setattr(call, "custom_call", lambda name, function: function)
    found = call.kernel_call.__wrapped__()
    assert isinstance(found._cache, caching.NullCache) and found.targetoptions["parallel"]


def test_the_kernel_is_read_from_disk_by_the_process_that_compiled_it_too(monkeypatch):
    """Else a run would round otherwise in its first process than in those that go on with it."""
    monkeypatch.setattr(call, "custom_call", lambda name, function: function)
    found = call.kernel_call.__wrapped__()
    found.compile((xla.BUFFERS, xla.BUFFERS))
    assert sum(found.stats.cache_hits.values()) == 1


AS_ON_ANOTHER_MACHINE = """
import sys
import jax
import numpy as np
from cgcore.potentials.mace.native import pack
from cgcore.potentials.base import force

with np.load(sys.argv[1], allow_pickle=True) as given:
    x, weights, index = (given[name] for name in ("x", "weights", "index"))
energy, forces = jax.jit(pack.native_frames)(tuple(weights), x, np.full(3, np.inf, np.float32), index)
np.savez(sys.argv[2], energy=energy, forces=forces)
"""


def test_a_processor_with_shorter_vectors_gives_the_same_bits(molecule, tmp_path):
    """The code that Numba makes for AVX2, without AVX-512, in a process of its own."""
    if "x86_64" not in platform.machine():
        pytest.skip("no x86-64 processor")
    model, params = model_of(molecule, False)
    packed = pack(model, params, molecule[0].position, molecule[0].box)
    x = np.asarray(molecule[0].position[:2], np.float32)
    index = np.array([[j for j in range(7) if j != i] for i in range(7)], np.int32)
    weights = np.empty(len(packed.weights), object)
    weights[:] = [np.asarray(array) for array in packed.weights]
    np.savez(tmp_path / "given.npz", x=x, weights=weights, index=index)
    narrow = {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": "+avx2,+fma"}
    command = [sys.executable, "-c", AS_ON_ANOTHER_MACHINE, tmp_path / "given.npz", tmp_path / "found.npz"]
    subprocess.run(command, env=os.environ | narrow, check=True)
    wanted = jax.jit(native_frames)(packed.weights, x, np.full(3, np.inf, np.float32), index)
    with np.load(tmp_path / "found.npz") as found:
        assert_allclose(found["energy"], wanted[0], rtol=0, atol=0)
        assert_allclose(found["forces"], wanted[1], rtol=0, atol=0)
