"""MACE as Warp kernels, on the processor: the model in double precision, and the dynamics that are made with it in one call."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("warp")
import warp as wp

from cgcore import io, mapping, store
from cgcore.config import MACEConfig, MDConfig
from cgcore.frames import Frames
from cgcore.potentials import barrier, compiled, mace
from cgcore.potentials.base import add
from cgcore.potentials.mace.native.pack import native_frames, pack
from cgcore.potentials.mace.native.weights import weights
from cgcore.potentials.mace.warp import call, dynamics
from cgcore.simulate import Molecule, run
from cgcore.simulate.driver import trajectory
from cgcore.simulate.dynamics import State, step
from cgcore.simulate.engine import Engine
from cgcore.simulate.lists import first_parameters
from cgcore.units import kT

SPECIES = (0, 1, 2, 1, 0)
BONDS = tuple((i, i + 1) for i in range(4))
NO_BOX = np.full(3, np.inf)
MASS = np.array([15.0, 14.0, 30.0, 14.0, 15.0])
CHAIN = Molecule(names=tuple("ABCDE"), mass=MASS, bonds=np.array(BONDS), bond_length=np.full(4, 0.13), box=NO_BOX)


@pytest.fixture(scope="module")
def molecule() -> Frames:
    """Five beads along a bent chain, shaken, without a box."""
    line = np.cumsum(np.tile([[0.11, 0.07, 0.02], [0.10, -0.06, 0.05]], (3, 1)), axis=0)[:5]
    position = line + 0.01 * np.random.default_rng(5).normal(size=(3, 5, 3))
    return Frames(position=position, force=None, box=NO_BOX, time=np.arange(3.0), names=CHAIN.names)


@pytest.fixture(scope="module")
def liquid() -> tuple[Frames, mapping.Mapping]:
    """Two frames of liquid hexane as two beads a molecule."""
    atoms = io.read(
        store.data_file("hexane/replica_00.h5"), topology := io.read_topology(store.data_file("hexane/topology.pdb"))
    )
    beads = mapping.load("two_site", topology, residue="hex")
    return mapping.apply(beads, atoms[np.array([0, 300])]), beads


def model_of(frames: Frames, species=SPECIES, liquid: bool = False, **options) -> tuple[mace.Model, dict]:
    bonds = BONDS if options.get("bond_types") else ()
    model = mace.for_frames(MACEConfig(**dict(cutoff_nm=0.5) | options), species, frames, liquid=liquid, bonds=bonds)
    return model, mace.build(model).init(jax.random.key(3))


def packed_of(model: mace.Model, params: dict, knots: int = 256):
    """Weights as `pack` makes them, without the comparison."""
    return jax.tree.map(jnp.asarray, weights(model, params, knots, 0.05))


@pytest.fixture(scope="module")
def small(molecule):
    """The smallest network, and its packed weights."""
    model, params = model_of(molecule, layers=1, correlation=1)
    return model, params, packed_of(model, params)


def test_energies_and_forces_are_the_models(molecule):
    """With bond-typed edges and without mirror symmetry, to 1e-5 of the model in double precision, in frames and with their
    closest beads nearer; liquids and one layer are held so below."""
    model, params = model_of(molecule, correlation=2, symmetry="SO3", bond_types=True)
    packed = pack(model, params, molecule.position, molecule.box, frames=call.frames)
    assert 0 < packed.energy_error < 1e-5 and 0 < packed.force_error < 1e-5


@pytest.mark.parametrize("options", [dict(correlation=3), dict(correlation=3, layers=1), dict(correlation=1)], ids=str)
def test_energies_and_forces_are_those_of_the_native_tier(molecule, options):
    """Which is held against double precision by its own tests; with a warp for each bead, and with four the same bits."""
    model, params = model_of(molecule, **options)
    x, box, index = (
        jnp.asarray(molecule.position, jnp.float32),
        jnp.asarray(NO_BOX),
        jnp.array([[j for j in range(5) if j != i] for i in range(5)]),
    )
    packed = packed_of(model, params)
    found, wanted = call.frames(packed, x, box, index), native_frames(packed, x, box, index)
    for one, other in zip(found, wanted, strict=True):
        assert np.linalg.norm(one - other) < 1e-5 * np.linalg.norm(other)
    by_four = at_once(packed, x, 0 * x, 0 * x, steps=0, about=np.zeros(3), warps=4)
    assert_array_equal(by_four[2], found[1])
    assert_array_equal(by_four[3], found[0])


def test_a_liquid_finds_its_neighbours(liquid, monkeypatch):
    """Liquid hexane with its repulsion as one packed potential, chosen as simulations choose it, beside the native tier."""
    frames, beads = liquid
    model, params = model_of(frames, beads.species, True, cutoff_nm=0.6, correlation=2)
    wall = barrier.build(barrier.repulsion(beads.species, frames, liquid=True))
    both = add(mace.build(model), wall), (params, {})
    start = np.asarray(frames.position[:1])
    monkeypatch.setenv(compiled.ON_WARP, "1")
    potential, packed, (engine,) = compiled.for_simulation(*both, start, frames.box)
    assert engine["engine"] == "packed, by Warp" and engine["barriers"] == 1 and potential.advance is call.advance
    assert engine["energy_error"] < 1e-5 and engine["force_error"] < 1e-5
    x = jnp.asarray(frames.position, jnp.float32)
    x = x.at[1].add(jnp.asarray(frames.box, jnp.float32) * jnp.arange(-1, 2))  # images in other boxes
    box, index = jnp.asarray(frames.box, jnp.float32), jnp.arange(x.shape[1]) + jnp.zeros((x.shape[1], 1), jnp.int32)
    index = jnp.where(index == index.T, x.shape[1], index)  # all beads, for the native tier
    for found, wanted in zip(
        call.frames(packed, x, box, index[:, :80]), native_frames(packed, x, box, index), strict=True
    ):
        assert np.linalg.norm(found - wanted) < 1e-5 * np.linalg.norm(wanted)
    assert np.isnan(call.frames(packed, x, box, index[:, :5])[0]).all(), "too few slots have no energy"


def at_once(weights, x, momentum, force, *, steps, about, keys=None, first=0, slots=4, warps=1):
    keys = jnp.arange(2 * len(x), dtype=jnp.uint32).reshape(-1, 2) if keys is None else keys
    state = jnp.asarray(about, jnp.float32), jnp.array([first], jnp.int32), jnp.zeros(3)
    given = [jnp.asarray(array, jnp.float32) for array in (x, momentum, force)]
    return call.advance(weights, jnp.asarray(MASS), keys, *state, *given, steps=steps, slots=slots, warps=warps)


@wp.kernel(enable_backward=False)
def draw(out: wp.array2d(dtype=wp.uint32), normals: wp.array2d(dtype=wp.vec3), keys: wp.array2d(dtype=wp.uint32)):
    c, bead = wp.tid()
    normals[c, bead] = dynamics.normal(keys[c, 0], keys[c, 1], 7, bead)
    ones = wp.uint32(0xFFFFFFFF)
    words = dynamics.philox(wp.uint32(0), wp.uint32(0), dynamics.words(wp.uint32(0)))
    if bead == 1:
        words = dynamics.philox(ones, ones, dynamics.words(ones))
    for k in range(4):
        out[bead, k] = words[k]


def test_a_step_is_that_of_the_engine_with_noise_of_a_counter(molecule, small):
    """Words of Philox as its authors publish them; one step as `simulate.dynamics` writes it, with the noise that is drawn."""
    x = np.asarray(molecule.position[:2])
    keys = np.array([[1, 2], [3, 4]], np.uint32)
    out, normals = wp.zeros((5, 4), dtype=wp.uint32, device="cpu"), wp.zeros((2, 5), dtype=wp.vec3, device="cpu")
    wp.launch(draw, (2, 5), [out, normals, wp.array(keys, dtype=wp.uint32, device="cpu")], device="cpu")
    assert_array_equal(out.numpy()[0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8])
    assert_array_equal(out.numpy()[1], [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD])
    xi, packed = normals.numpy(), small[2]
    momentum = np.random.default_rng(1).normal(size=x.shape) * 5
    force = call.frames(packed, jnp.asarray(x, jnp.float32), jnp.asarray(NO_BOX), jnp.zeros((5, 4)))[1]
    config, dt = MDConfig(friction_per_ps=50.0), 0.004
    kept = np.exp(-config.friction_per_ps * dt)
    about = [dt, kept, np.sqrt((1 - kept**2) * kT(config.temperature_K))]
    found = at_once(packed, x, momentum, force, steps=1, about=about, keys=jnp.asarray(keys), first=7)

    def evaluate(x):
        energy, force = call.frames(packed, jnp.asarray(x, jnp.float32)[None], jnp.asarray(NO_BOX), jnp.zeros((5, 4)))
        return energy[0], force[0], None

    for c in range(2):
        state = State(*(jnp.asarray(a[c]) for a in (x, momentum, force)), jnp.zeros(()))
        wanted, _ = step(state, jnp.asarray(xi[c]), evaluate, jnp.asarray(MASS), jnp.asarray(dt), config)
        for name, array in zip(("position", "momentum", "force", "energy"), found, strict=False):
            assert_allclose(array[c], getattr(wanted, name), rtol=2e-5, atol=2e-5)


def test_steps_are_the_same_in_one_call_and_in_several(molecule, small):
    x = jnp.asarray(molecule.position[:2], jnp.float32)
    about, packed = [0.002, 0.9, 1.0], small[2]
    whole = at_once(packed, x, 0 * x, 0 * x, steps=5, about=about)
    begun = at_once(packed, x, 0 * x, 0 * x, steps=2, about=about)
    rest = at_once(packed, *begun[:3], steps=3, about=about, first=2)
    for one, other in zip(whole, rest, strict=True):
        assert_array_equal(one, other)


def test_a_step_of_one_layer_launches_three_kernels_and_the_call_one_more(molecule, small, monkeypatch):
    """Which a second layer raises to four; no card waits for the host in between."""
    launched, launch = [], wp.launch
    monkeypatch.setattr(wp, "launch", lambda kernel, *a, **k: launched.append(kernel.key) or launch(kernel, *a, **k))
    x = jnp.asarray(molecule.position[:1], jnp.float32)
    jax.block_until_ready(at_once(small[2], x, 0 * x, 0 * x, steps=3, about=[0.002, 0.9, 1.0]))
    assert launched == ["integrate", *3 * ["first_layer", "pull_first_layer", "integrate"]]


def test_beads_have_the_temperature(molecule, small):
    """Equipartition over 16 replicas, of each bead by itself."""
    packed, config, dt = small[2], MDConfig(), 0.01
    kept = np.exp(-100.0 * dt)
    about = [dt, kept, np.sqrt((1 - kept**2) * kT(config.temperature_K))]
    x = jnp.asarray(np.repeat(molecule.position[:1], 16, 0), jnp.float32)
    state, squares, first = (x, 0 * x, 0 * x), [], 0
    for _ in range(40):
        state = at_once(packed, *state, steps=4, about=about, first=first)[:3]
        first += 4
        squares.append(np.asarray(state[1], float) ** 2 / MASS[:, None] / kT(config.temperature_K))
    found = np.array(squares[5:])
    assert_allclose(found.mean((0, 1, 3)), 1, atol=4 * np.sqrt(2 / (35 * 16 * 3)))
    assert abs(found.mean() - 1) < 4 * np.sqrt(2 / found.size)


def test_the_energy_error_falls_with_the_square_of_the_step(molecule, small, tmp_path, monkeypatch):
    """At constant energy, by whole simulations: the largest departure within 0.08 ps; and the trajectory is the native one."""
    monkeypatch.setenv(compiled.ON_WARP, "1")
    model, params, _ = small
    potential = mace.build(replace(model, energy_scale=20.0))
    x = jnp.asarray(molecule.position[:1], jnp.float32)

    def simulate(dt: float, folder):
        config = MDConfig(replicas=1, n_frames=10, steps_per_frame=round(0.008 / dt), dt_ps=dt, ensemble="nve")
        return run(potential, params, CHAIN, x, replace(config, bond_tolerance_nm=9.0), folder, progress=False)

    totals = []
    for dt in (0.004, 0.002, 0.001):
        ensemble = simulate(dt, tmp_path).ensemble
        totals.append((ensemble.energy.astype(float) + ensemble.kinetic)[0])
    # With errors c dt^2, (16 - 1) c and (4 - 1) c from the shortest step: five times, where c dt would give three.
    coarse, fine = (np.abs(total - totals[2]).max() for total in totals[:2])
    assert 4.5 < coarse / fine < 5.5
    monkeypatch.delenv(compiled.ON_WARP)
    native = simulate(0.002, tmp_path / "native")
    assert native.run.manifest["engines"][0]["engine"] == "packed"
    warped = simulate(0.002, tmp_path)
    (engine,) = warped.run.manifest["engines"]
    assert engine["engine"] == "packed, by Warp" and max(engine["energy_error"], engine["force_error"]) < 1e-5
    assert_allclose(warped.ensemble.position, native.ensemble.position, atol=2e-5)


def test_a_frame_with_more_neighbours_than_slots_is_made_again(liquid, tmp_path, monkeypatch):
    """With the slots that it needs, and is the frame of lists that were long enough from the start."""
    frames, beads = liquid
    monkeypatch.setenv(compiled.ON_WARP, "1")
    model, params = model_of(frames, beads.species, True, cutoff_nm=0.45, layers=1, correlation=1)
    molecule = Molecule(
        names=beads.beads, mass=beads.mass, bonds=beads.bonds, bond_length=np.zeros(len(beads.bonds)), box=frames.box
    )
    x = jnp.asarray(frames.position[:1], jnp.float32)
    config = MDConfig(replicas=1, n_frames=1, steps_per_frame=2, thermal_limit_kJ_mol=1e4)
    potential, packed, _ = compiled.for_simulation(mace.build(model), params, x, frames.box)
    engine = Engine(potential, packed, molecule, config, x.dtype)
    enough = first_parameters(0.45, np.asarray(x), beads.mass, frames.box, config, at_once=True)
    state, found = engine.begin(enough, x), []
    for lists in (enough, replace(enough, capacity=2)):
        ((frame, status, after, redone),) = trajectory(engine, lists, state, 0, np.ones(1, bool))
        assert not status.any() and redone == (lists.capacity == 2) and after.capacity > 2
        found.append(frame.state.position)
    assert_array_equal(*found)


def test_without_warp_a_card_runs_the_network_as_trained(molecule, small, monkeypatch):
    monkeypatch.setenv(compiled.ON_WARP, "1")
    monkeypatch.setattr(compiled, "find_spec", lambda name: None)
    model, params, _ = small
    potential, _, (engine,) = compiled.for_simulation(mace.build(model), params, molecule.position, NO_BOX)
    assert potential.model == model and potential.advance is None
    assert engine == {"engine": "as trained", "why": "want Warp to run packed models on cpu: pip install 'cgcore[gpu]'"}
