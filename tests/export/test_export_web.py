"""engine.wasm against the double-precision model, what it conserves and what it samples, in Python and in a browser."""

import hashlib
import json
import shutil
from functools import cache
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sources import BONDS, BOX, exported, of_network, of_priors, source
from web_engine import WASM, Module

from cgcore.config import MACEConfig, MDConfig
from cgcore.export import ExportError, web
from cgcore.export.folder import read
from cgcore.export.load import Source, exact, load
from cgcore.export.source import find
from cgcore.export.web import build, weights
from cgcore.potentials import mace
from cgcore.potentials.base import add
from cgcore.simulate.dynamics import State, step
from cgcore.units import KB

MODELS = Path(__file__).parents[2] / "book" / "results"
TIGHT = 1e-5
PUBLISHED = {
    "core": "amino_acids/models/926d73861388.npz",
    "core_beta": "amino_acids/models/79f924519ee1.npz",
    "core_single": "amino_acids/models/b285ece79443.npz",
    "two_site_typed": "hexane/models/09d5a29cceef.npz",
}
DRAWN = {
    "O(3)": ({}, 1),
    "SO(3)": (dict(symmetry="SO3"), 1),
    "one layer": (dict(layers=1, correlation=1), 1),
    "nu = 1": (dict(correlation=1), 1),
    "bond types": (dict(bond_types=True), 1),
    "liquid": ({}, 8),
}


@cache
def drawn(name: str, **more) -> Source:
    """A network of the paper's sizes with random parameters, of DRAWN, with walls and hills."""
    options, copies = DRAWN[name]
    bonds = tuple(map(tuple, BONDS.tolist())) if "bond_types" in options else ()
    potential, params = of_network(mace, MACEConfig(cutoff_nm=0.5, **options | more), copies, bonds=bonds)
    made = source("liquid of mace" if copies > 1 else "mace")
    return made._replace(potential=add(potential, of_priors(copies)[2]), params=(params, {}))


def module(of: Source) -> Module:
    made = Module(weights.words(of.potential, of.params, of.molecule.mass, of.start, of.molecule.box))
    assert made.code == 0
    return made


def agrees(of: Source, spread_nm: float):
    """Energies and forces of the starts, and of frames beside them, to 1e-5 of their root mean square."""
    beside = np.random.default_rng(2).normal(0, spread_nm, of.start.shape)
    start = np.concatenate([of.start, of.start + beside]).astype(np.float32).astype(float)
    energy, force = exact(of._replace(start=start))
    computed, made = module(of), []
    for x in start:
        made.append(computed.evaluate(x))
    energies, forces = map(np.array, zip(*made, strict=True))
    assert np.linalg.norm(energies - energy) <= TIGHT * np.linalg.norm(energy)
    assert np.linalg.norm(forces - force) <= TIGHT * np.linalg.norm(force)
    assert_allclose(forces.sum(1), 0, atol=1e-4 * np.abs(force).max())
    return computed, start, energies


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", DRAWN)
def test_energies_and_forces_are_those_of_the_model(name):
    """In single precision, with barriers whose walls and hills the frames reach, and in a box across its sides."""
    of = drawn(name)
    barriers = exact(of._replace(potential=of.potential.terms[1], params={}))[0]
    assert barriers.min() > 0.5, "the frames feel them"
    computed, start, energies = agrees(of, 0.004)
    mirrored = computed.evaluate(start[0] * [-1, 1, 1])[0]
    if name == "SO(3)":
        assert abs(mirrored - energies[0]) > 1e-3 * abs(energies[0]), "it tells a molecule from its mirror image"
    else:
        assert_allclose(mirrored, energies[0], rtol=1e-5)
    if name == "liquid":
        assert_allclose(computed.evaluate(start[0] + BOX * [1, -2, 3])[0], energies[0], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_three_factors_are_those_of_the_model():
    agrees(drawn("SO(3)", correlation=3), 0.004)


@pytest.fixture(scope="module")
def core() -> Source:
    return load(find(MODELS / PUBLISHED["core"]))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_are_those_of_the_page(name):
    """With their priors, which frames of the reference hardly feel: two beads are brought behind the wall as well."""
    of = load(find(MODELS / PUBLISHED[name], "hexane" if "two_site" in name else None))
    agrees(of, 0.01)
    assert of.handed == ("two_site" not in name)
    near = of.start[:1].copy()
    near[0, 1] = near[0, 0] + 0.8 * (near[0, 1] - near[0, 0])
    near = near.astype(np.float32).astype(float)
    energy, force = exact(of._replace(start=near))
    found = module(of).evaluate(near[0])
    assert_allclose(found[0], energy[0], rtol=TIGHT)
    assert np.linalg.norm(found[1] - force[0]) < 2 * TIGHT * np.linalg.norm(force[0])


@pytest.mark.slow
def test_steps_are_those_of_our_simulations():
    """At zero temperature no noise is left, and BAOAB is one trajectory; without friction it is velocity Verlet."""
    of, dt = drawn("O(3)"), 0.001
    computed, x, mass = module(of), of.start[0].astype(np.float32), of.molecule.mass
    with jax.enable_x64(True):
        params = jax.tree.map(lambda a: np.asarray(a, np.float64), of.params)
        slope = jax.jit(jax.value_and_grad(lambda x: of.potential.energy(params, x, of.molecule.box)))

        def evaluate(position):
            energy, gradient = slope(position)
            return energy, -gradient, None

        for friction in (0.0, 20.0):
            config = MDConfig(friction_per_ps=friction or 1.0)
            start = jnp.asarray(x, float)
            energy, force, _ = evaluate(start)
            state = State(start, jnp.zeros_like(start), force, energy)
            for _ in range(60):
                state, _ = step(state, jnp.zeros_like(start) if friction else None, evaluate, mass, dt, config)
            computed.start(x, 1, kelvin=0.0, dt_ps=dt, friction=friction)
            computed.call("steps", 60)
            moved = np.asarray(state.position) - x
            assert np.abs(moved).max() > 0.005
            assert np.linalg.norm(computed.array("positions") - x - moved) < 1e-3 * np.linalg.norm(moved)
            assert_allclose(
                computed.array("velocities"),
                state.momentum / mass[:, None],
                atol=1e-3 * np.abs(state.momentum / mass[:, None]).max(),
            )


def kinetic(computed: Module, mass: np.ndarray) -> np.ndarray:
    return (mass[:, None] * computed.array("velocities").astype(float) ** 2 / 2).sum(1)


@pytest.mark.physics
@pytest.mark.slow
def test_energy_is_conserved_to_second_order(core):
    """Half the step, a quarter of the error."""
    computed, mass, ps = module(core), core.molecule.mass, 1.0
    computed.start(core.start[0], 5, kelvin=300.0)
    computed.call("steps", 2000)
    settled, spread = computed.array("positions"), []
    for dt in (0.002, 0.001, 0.0005):
        energy = [computed.start(settled, 5, kelvin=300.0, dt_ps=dt, friction=0.0) + kinetic(computed, mass).sum()]
        momentum = (mass[:, None] * computed.array("velocities")).sum(0)
        assert_allclose(momentum, 0, atol=1e-4)
        for _ in range(round(ps / dt)):
            energy.append(computed.call("steps", 1) + kinetic(computed, mass).sum())
        spread.append(np.std(energy))
        assert abs(np.mean(energy[-50:]) - np.mean(energy[:50])) < 3 * spread[-1], "no drift"
    assert_allclose(np.array(spread[:-1]) / spread[1:], 4, rtol=0.2)
    assert spread[0] < 0.5


@pytest.mark.physics
@pytest.mark.slow
def test_every_bead_has_the_temperature(core):
    """Equipartition: kT / 2 for each of its three velocities, whatever its mass."""
    computed, mass = module(core), core.molecule.mass

    def sampled(n: int) -> np.ndarray:
        """K of every bead, means of ten blocks of n frames."""
        found = []
        for _ in range(10 * n):
            computed.call("steps", 10)
            found.append(2 * kinetic(computed, mass) / (3 * KB))
        return np.array(found).reshape(10, n, -1).mean(1)

    computed.start(core.start[0], 9, kelvin=300.0, dt_ps=0.001, friction=100.0)
    computed.call("steps", 1000)
    blocks = sampled(500)
    error = blocks.std(0, ddof=1) / np.sqrt(10)
    assert error.max() < 8
    assert (np.abs(blocks.mean(0) - 300) < 4 * error + 1.5).all()
    computed.call("set_temperature", 450.0)
    computed.call("steps", 1000)
    assert_allclose(sampled(100).mean(), 450, rtol=0.05)


def test_velocities_are_normal_numbers_of_the_temperature():
    of = drawn("one layer")
    computed, scaled = module(of), []
    for seed in range(600):
        computed.start(of.start[0], seed, kelvin=300.0)
        scaled.append(computed.array("velocities") / np.sqrt(KB * 300 / of.molecule.mass)[:, None])
    x = np.ravel(scaled)
    n = len(x)
    assert abs(x.mean()) < 4 / np.sqrt(n) and abs(x.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs(np.mean(x**4) - 3) < 4 * np.sqrt(96 / n), "and not of another distribution"
    assert abs(np.mean(x[:-1] * x[1:])) < 4 / np.sqrt(n), "neighbours do not know of each other"


def test_a_seed_is_a_trajectory():
    """Bit for bit, however the steps are asked for; another seed is another one."""
    of, found = drawn("O(3)"), []
    for seed, stretches in ((3, (50,)), (3, (20, 1, 29)), (4, (50,))):
        computed = module(of)
        computed.start(of.start[0], seed)
        for n in stretches:
            computed.call("steps", n)
        found.append(computed.array("positions").view(np.uint32))
    assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).all()


def test_what_is_no_model_is_refused():
    of = drawn("one layer")
    good = weights.words(of.potential, of.params, of.molecule.mass, of.start, of.molecule.box)
    assert Module(good).code == 0
    assert Module(good[:10]).code == Module(np.roll(good, 1)).code == 1
    changed = good.copy()
    changed[len(good) // 2] ^= 1
    assert Module(good[:-1]).code == Module(changed).code == 2
    many = good.copy()
    many[2] = 257
    many[-1] = weights.checksum(many[:-1])
    assert Module(many).code == 3
    computed = Module(good)
    assert np.isnan(computed.start(np.full((6, 3), np.nan), 1)) and np.isnan(computed.call("steps", 10))


@pytest.mark.slow
def test_potentials_that_a_page_cannot_have_are_refused(tmp_path):
    for kind, says in (
        ("splines", "want a MACE"),
        ("nequip", "want a MACE"),
        ("mace", "want channels of 32, got 4"),
    ):
        with pytest.raises(ExportError, match=f"web: {says}"):
            exported(kind, web, tmp_path / kind)
    of = drawn("O(3)")
    given = (of.molecule.mass, of.start, of.molecule.box)
    with pytest.raises(ExportError, match="want no priors but barrier and repulsion"):
        weights.words(add(of.potential, of_priors()[0]), (of.params, {}), *given)
    of = drawn("liquid")
    with pytest.raises(ExportError, match=r"want a box of at least 1\.0 nm"):
        weights.words(of.potential, of.params, of.molecule.mass, of.start, np.full(3, 0.9))
    with pytest.raises(ExportError, match="a name of letters"):
        web.script("core-beta", {})


def test_the_module_is_what_the_recipe_makes(tmp_path):
    pytest.importorskip("ziglang")
    assert version("ziglang") == build.ZIGLANG
    made = build.build(tmp_path / "engine.wasm")
    assert hashlib.sha256(made.read_bytes()).digest() == hashlib.sha256(WASM.read_bytes()).digest(), (
        "engine.c and engine.wasm differ: python -m cgcore.export.web.build"
    )
    assert len(WASM.read_bytes()) < 60_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What `cgcore export --to web` writes of a drawn network."""
    where = tmp_path_factory.mktemp("web")
    of = drawn("O(3)")._replace(handed=True, dihedrals={"phi": (0, 1, 2, 3)})
    web.write(where, of)
    return where, of


def fields(script: Path) -> dict:
    return json.loads(script.read_text().split(" = ", 1)[1].rstrip(";\n"))


@pytest.mark.slow
def test_a_model_file_says_what_it_is(folder):
    where, of = folder
    told = fields(where / "model.js")
    assert told["names"] == list(of.molecule.names) and told["species"] == list(of.labels)
    assert told["dihedrals"] == {"phi": [0, 1, 2, 3]} and told["box"] is None and told["symmetry"] == "O3"
    left, right = (np.array(told["starts"][hand]).reshape(4, -1, 3) for hand in ("L", "D"))
    assert_allclose(left * [-1, 1, 1], right)
    assert_allclose(left.mean(1), 0, atol=1e-6)
    energy, force = exact(of)
    assert_allclose(told["check"]["energy"], energy[0], rtol=1e-5)
    assert_allclose(np.reshape(told["check"]["force"], (-1, 3)), force[0], atol=1e-4 * np.abs(force).max())
    assert (where / "engine.wasm").read_bytes() == WASM.read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium here")
def test_a_browser_computes_the_same_bits(folder, tmp_path):
    """From a file: the trajectory of wasmtime, the words of a refusal, a thermostat that can be set."""
    where, of = folder
    from chromium import Page

    shutil.copy(Path(__file__).parent / "engine.html", where)
    with Page((where / "engine.html").as_uri(), tmp_path / "profile") as page:
        page.wait("window.found !== undefined", 250)
        told = page.get("window.found")
        assert not page.errors
    computed, start = module(of), fields(where / "model.js")["starts"]["L"][0]
    computed.start(start, 7, dt_ps=of.config.md.dt_ps, friction=of.config.md.friction_per_ps)
    energy = computed.call("steps", 500)
    assert_array_equal(told["bits"], computed.array("positions").view(np.uint32).ravel())
    assert told["energy"] == energy and told["supported"] and told["failed"] == "NaN"
    assert_allclose(told["kinetic"], kinetic(computed, of.molecule.mass).sum(), rtol=1e-6)
    assert_allclose(told["timePs"], 500 * of.config.md.dt_ps)
    assert told["frozen"] < 1e-3 * told["kinetic"]
    for what, says in (
        ("nothing", "lacks names"),
        ("short", "damaged"),
        ("letters", "damaged"),
        ("changed", "damaged"),
        ("other", "no model of cgcore"),
        ("energies", "differ by"),
        ("names", "names 1 beads, its weights are of 6"),
        ("start", "want positions of 6 beads, 18 numbers, got 2"),
    ):
        assert says in told["refused"][what], told["refused"]


@pytest.mark.slow
def test_a_folder_for_a_page(tmp_path):
    """What every target writes, and reads back."""
    of = drawn("O(3)")
    from cgcore.export import folder as folders
    from cgcore.export.source import Found

    folders.write(tmp_path, of, Found(Path("runs/toy/0"), of.config, Path("runs/fit/0"), None), "web", web.write)
    assert_allclose(read(tmp_path).energy, exact(of)[0])
    assert "CgEngine.create" in (tmp_path / "README.md").read_text()
