"""The loops of the convolution against the plain one in double precision: values, forces, gradients of a loss of forces."""

import contextlib
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgcore.config import MACEConfig
from cgcore.frames import Frames
from cgcore.neighbors import all_pairs
from cgcore.potentials import mace
from cgcore.potentials.base import force
from cgcore.potentials.mace import convolution
from cgcore.potentials.mace.couplings import convolution_paths

BOX = {"molecule": np.full(3, np.inf), "liquid": np.array([1.6, 1.5, 1.7])}


def frames(kind: str, n: int = 3) -> Frames:
    """A molecule of six beads, or forty of a liquid, none nearer than 0.2 nm to another."""
    random, beads = np.random.default_rng(5), []
    while len(beads) < (6 if kind == "molecule" else 40):
        new = random.uniform(0, 0.6 if kind == "molecule" else 1.5, 3)
        if all(np.linalg.norm(new - old) > 0.2 for old in beads):
            beads.append(new)
    position = np.array(beads) + 0.01 * random.normal(size=(n, len(beads), 3))
    shared = {"box": BOX[kind], "time": np.arange(n) * 1.0, "names": ("C",) * len(beads)}
    return Frames(position=position, force=100 * random.normal(size=position.shape), **shared)


@pytest.mark.parametrize("parity", [True, False], ids=["O3", "SO3"])
@pytest.mark.parametrize("hidden", [0, 1])
def test_each_derivative_times_its_factor_is_the_form(parity, hidden):
    paths = tuple(convolution_paths(hidden, 3, parity))
    edges = all_pairs(jnp.asarray(frames("molecule").position[0], jnp.float32), jnp.full(3, jnp.inf, jnp.float32))
    topology = tuple(jnp.asarray(x, jnp.int32) for x in (np.arange(6), edges.index, edges.length))
    random = np.random.default_rng(0)
    sizes = {"radial": (15, len(paths), 64), "harmonics": (15, 16, 1), "sent": (6, (hidden + 1) ** 2, 64)}
    sizes["received"] = (6, sum(2 * path[2] + 1 for path in paths), 64)
    value = {name: jnp.asarray(random.normal(size=size), jnp.float32) for name, size in sizes.items()}
    form = {
        wanted: float(jnp.sum(value[wanted] * convolution.form(wanted, paths, others(value, wanted), topology)))
        for wanted in convolution.FACTORS
    }
    assert_allclose(list(form.values()), form["received"], rtol=1e-4)
    assert abs(form["received"]) > 1.0


def others(value: dict, wanted: str) -> tuple:
    return tuple(value[name] for name in convolution.FACTORS if name != wanted)


@pytest.mark.parametrize(
    "kind, settings",
    [
        ("molecule", {}),
        ("molecule", {"symmetry": "SO3", "layers": 3}),
        ("molecule", {"max_ell": 2, "bond_types": True, "channels": 64}),
        ("liquid", {}),
    ],
)
def test_loops_are_the_plain_network(kind, settings):
    """Energies, forces and the gradient of a loss of forces: of a molecule's frames side by side and as one graph, and of
    a liquid's frame."""
    learnt = frames(kind)
    species = (0, 1) * (len(learnt.names) // 2)
    config = MACEConfig(cutoff_nm=0.5, **settings)
    bonds = [(0, 1), (1, 2), (2, 3)] if config.bond_types else ()
    model = mace.for_frames(config, species, learnt, liquid=kind == "liquid", bonds=bonds)
    potential = mace.build(replace(model, energy_scale=20.0))
    params = potential.init(jax.random.key(0))

    def all_of(dtype):
        x, target, box = (jnp.asarray(a, dtype) for a in (learnt.position, learnt.force, learnt.box))

        several = kind == "molecule"
        x, target = (x, target) if several else (x[0], target[0])

        def forces(params, x):
            return (
                -jax.grad(potential.together, argnums=1)(params, x, box)
                if several
                else force(potential, params, x, box)
            )

        def both(params):
            of_frame = jax.value_and_grad(potential.energy, argnums=1)
            found = (jax.vmap(of_frame, (None, 0, None)) if several else of_frame)(params, x, box)
            return found, jax.value_and_grad(lambda p: jnp.mean((forces(p, x) - target) ** 2))(params)

        return jax.jit(both)(jax.tree.map(lambda p: p.astype(dtype), params))

    (wanted_of, (loss, gradient)), (found_of, (found_loss, by_loops)) = all_of(jnp.float64), all_of(jnp.float32)
    assert float(found_loss) == pytest.approx(float(loss), rel=1e-5)
    for found, wanted in zip(found_of, wanted_of, strict=True):
        assert close(found, wanted) < 1e-5
    # In single precision the plain network is as far from the exact gradient: 1.5e-5 of it.
    assert close(*(np.concatenate([np.ravel(g[name]) for name in gradient]) for g in (by_loops, gradient))) < 3e-5
    assert max(close(by_loops[name], gradient[name]) for name in gradient) < 1e-4


def close(found, wanted) -> float:
    """Norm of the difference over the norm."""
    difference = np.asarray(found, float) - np.asarray(wanted, float)
    return float(np.linalg.norm(difference) / (np.linalg.norm(wanted) + 1e-30))


def test_the_loops_are_taken_where_they_can_be(monkeypatch):
    """On the CPU in single precision, with whole rows of channels; else the plain contraction."""
    taken = []
    monkeypatch.setattr(convolution, "form", lambda *given: taken.append(given) or convolution.plain)
    learnt = frames("molecule")
    cases = ((32, "f4", "f4", True), (32, "f8", "f8", False), (32, "f8", "f4", False), (16, "f4", "f4", False))
    for channels, of_params, of_position, by_loops in cases:
        taken.clear()
        model = mace.for_frames(MACEConfig(channels=channels, layers=1, correlation=1), (0,) * 6, learnt)
        potential = mace.build(model)
        params = {name: p.astype(of_params) for name, p in potential.init(jax.random.key(0)).items()}
        with contextlib.suppress(TypeError):  # what stands for the loops gives no array
            potential.energy(params, jnp.asarray(learnt.position[0], of_position), jnp.full(3, jnp.inf, of_position))
        assert bool(taken) == by_loops
