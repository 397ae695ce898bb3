"""What every energy must do, by one kit for all of them.

All are invariant under rotations, translations and permutations of equal beads. Most are invariant under all of O(3):
E(x) = E(-x), so that they cannot tell a molecule from its mirror image. Those of SO(3) can.
"""

from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgcore.config import MACEConfig, NequIPConfig
from cgcore.frames import Status
from cgcore.geometry import rotation
from cgcore.potentials import barrier, priors
from cgcore.potentials import mace as mace_network
from cgcore.potentials import nequip as nequip_network
from cgcore.potentials.base import Potential, PotentialError, add, force
from cgcore.potentials.terms import Term

CUTOFF = 0.5
SPECIES = (0, 1, 0, 1, 1, 0)
VACUUM = np.full(3, np.inf)
BATCH = 36  # frames of every evaluation, so that each potential is compiled once


BONDS = ((0, 1), (1, 2), (1, 3), (1, 4))  # beads 0 and 2, and 3 and 4, may change places


def mace(correlation: int, layers: int, *, symmetry: str = "O3", bonds=(), capacity: int | None = None) -> Potential:
    config = MACEConfig(
        correlation=correlation,
        layers=layers,
        cutoff_nm=CUTOFF,
        channels=2,
        max_ell=2,
        n_bessel=4,
        radial_width=8,
        readout_width=4,
        symmetry=symmetry,
        bond_types=bool(bonds),
    )
    model = mace_network.Model(
        config=config,
        species=SPECIES,
        n_species=2,
        mean_neighbours=2.0,
        bonds=bonds,
        capacity=capacity,
        short_rows=capacity and len(SPECIES),
    )
    return mace_network.build(model)


def nequip(layers: int, symmetry: str = "O3", capacity: int | None = None) -> Potential:
    config = NequIPConfig(
        layers=layers, cutoff_nm=CUTOFF, channels=2, n_bessel=4, radial_width=8, radial_depth=1, symmetry=symmetry
    )
    return nequip_network.build(
        nequip_network.Model(config=config, species=SPECIES, n_species=2, mean_neighbours=2.0, capacity=capacity)
    )


def barriers(ranges, capacity: int | None = None) -> Potential:
    """Ranges (S, S, G, 2) nm that end at the cut-off."""
    return barrier.build(barrier.Barrier(species=SPECIES, ranges=np.array(ranges), stiffness=1e3, capacity=capacity))


def repulsion(capacity: int | None = None) -> Potential:
    """One wall for all species."""
    return barriers(np.broadcast_to([0.0, CUTOFF], (2, 2, 1, 2)), capacity)


def hills() -> Potential:
    """Of each pair of species a wall and a hill of its own."""
    walls, starts = np.array([[0.15, 0.2], [0.2, 0.24]]), np.array([[0.2, 0.25], [0.25, 0.3]])
    first = np.stack([np.zeros((2, 2)), walls], axis=-1)
    return barriers(np.stack([first, np.stack([starts, np.full((2, 2), CUTOFF)], axis=-1)], axis=2))


def held(kind: str, members, k: float, q0) -> Potential:
    """Springs of a prior on the named beads."""
    members, every = np.array(members), np.ones(len(members))
    return priors.build(priors.Harmonic(Term(kind, kind, members), k * every, np.array(q0)))


def improper() -> Potential:
    """The dihedral 1-0-3-4: of one sign, so that a mirror image has another energy."""
    return held("dihedral", [(1, 0, 3, 4)], 50.0, [0.9])


class Kind(NamedTuple):
    """What distinguishes potentials in the kit: their group, and how they end at the cut-off, as (1 - r / r_c)^order."""

    make: object
    group: str = "O3"
    order: int = 4
    lone: bool = False  # whether a bead alone has an energy
    blind: bool = False  # to the species of beads
    named: bool = False  # an energy of named beads however far apart, and not of all that are in reach


POTENTIALS = {
    f"mace-nu{nu}-L{layers}": Kind(lambda nu=nu, layers=layers: mace(nu, layers))
    for nu, layers in product((1, 2, 3), (1, 2))
}
POTENTIALS |= {
    "sum": Kind(lambda: add(mace(1, 1), mace(2, 1))),
    "mace-rows": Kind(lambda: mace(2, 2, capacity=5)),
    "mace-SO3": Kind(lambda: mace(2, 2, symmetry="SO3"), group="SO3"),
    "mace-bonds": Kind(lambda: mace(2, 2, bonds=BONDS)),
    "nequip": Kind(lambda: nequip(2), order=3, lone=True),
    "nequip-SO3-rows": Kind(lambda: nequip(3, "SO3", capacity=5), group="SO3", order=3, lone=True),
    "repulsion": Kind(repulsion, order=2, blind=True),
    "repulsion-rows": Kind(lambda: repulsion(capacity=5), order=2, blind=True),
    "barrier": Kind(hills, order=2),
    "bonds": Kind(lambda: held("bond", BONDS, 1e3, [0.25, 0.25, 0.3, 0.3]), named=True),
    "improper": Kind(improper, group="SO3", named=True),
    "mace-priors": Kind(lambda: add(mace(2, 1), repulsion(), improper()), group="SO3", named=True),
}
IN_REACH = [name for name, kind in POTENTIALS.items() if not kind.named]


class Case(NamedTuple):
    kind: Kind
    potential: Potential
    params: object
    batch: object  # compiled: (BATCH, N, 3), box -> energies, gradients
    base: np.ndarray  # (N, 3) nm, every bead within the cut-off of others
    energy: float
    gradient: np.ndarray

    def __call__(self, frames, box=VACUUM):
        """Energies (B,) and gradients (B, N, 3) of up to BATCH frames."""
        frames = np.asarray(frames)
        padded = np.concatenate([frames, np.repeat(frames[:1], BATCH - len(frames), axis=0)])
        energy, gradient = self.batch(self.params, padded, box)
        return np.asarray(energy)[: len(frames)], np.asarray(gradient)[: len(frames)]


@pytest.fixture(scope="module", params=POTENTIALS)
def case(request) -> Case:
    kind = POTENTIALS[request.param]
    potential = kind.make()
    params = potential.init(jax.random.key(3))
    batch = jax.jit(
        jax.vmap(jax.value_and_grad(potential.energy, argnums=1), (None, 0, None)),
        compiler_options={"xla_backend_optimization_level": 0},
    )
    random = np.random.default_rng(8)
    base = 0.22 * np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1], [2, 0, 1]])
    base = base + 0.03 * random.normal(size=base.shape)
    unit = Case(kind, potential, params, batch, base, 1.0, np.ones_like(base))
    (energy,), (gradient,) = unit(base[None])
    assert abs(energy) > 1e-5 and np.abs(gradient).max() > 1e-4  # else the tests below compare zeros
    return unit._replace(energy=energy, gradient=gradient)


def close(case: Case, energy, gradient, wanted_energy, wanted_gradient, tolerance=1e-11):
    """Equal to within the tolerance times the energy and the largest force of the base frame."""
    assert_allclose(energy, wanted_energy, rtol=0, atol=tolerance * abs(case.energy))
    wanted_gradient = np.broadcast_to(wanted_gradient, np.shape(gradient))
    assert_allclose(gradient, wanted_gradient, rtol=0, atol=tolerance * np.abs(case.gradient).max())


def test_rotation(case):
    """Energies are scalars, forces turn with the frame (SO(3))."""
    turns = [np.asarray(rotation(jax.random.key(i))) for i in range(4)]
    energy, gradient = case([case.base @ q.T for q in turns])
    close(case, energy, gradient, case.energy, [case.gradient @ q.T for q in turns])


def test_reflection(case):
    """O(3): a mirror image has the same energy, so that nothing can tell L from D. SO(3): it has another one."""
    mirrors = [-np.eye(3), np.diag([1.0, 1.0, -1.0])]
    energy, gradient = case([case.base @ m for m in mirrors])
    if case.kind.group == "O3":
        close(case, energy, gradient, case.energy, [case.gradient @ m for m in mirrors])
    else:
        assert abs(energy[0] - energy[1]) < 1e-11 * abs(case.energy)  # the two are each other's rotation
        assert abs(energy[0] - case.energy) > 1e-6 * abs(case.energy)


def test_translation(case):
    energy, gradient = case([case.base + [0.3, -0.1, 0.7], case.base - 2.0])
    close(case, energy, gradient, case.energy, case.gradient)
    assert_allclose(case.gradient.sum(0), 0, atol=1e-11 * np.abs(case.gradient).max())
    torque = np.cross(case.base, case.gradient).sum(0)
    assert_allclose(torque, 0, atol=1e-11 * np.abs(case.gradient).max())


of_those_in_reach = pytest.mark.parametrize("case", IN_REACH, indirect=True)


@of_those_in_reach
def test_permutation(case):
    """Equal beads may change places, with their forces; others may not, but where the species do not count."""
    alike, other = [2, 1, 0, 4, 3, 5], [1, 0, 2, 3, 4, 5]
    energy, gradient = case([case.base[alike], case.base[other]])
    close(case, energy[0], gradient[0], case.energy, case.gradient[alike])
    if case.kind.blind:
        close(case, energy[1], gradient[1], case.energy, case.gradient[other])
    else:
        assert abs(energy[1] - case.energy) > 1e-4 * abs(case.energy)


def test_force_is_the_slope_of_the_energy(case):
    """Central differences of all coordinates, 1e-6 of the largest force."""
    h = 1e-5
    steps = h * np.eye(case.base.size).reshape(-1, *case.base.shape)
    energy, _ = case(np.concatenate([case.base + steps, case.base - steps]))
    plus, minus = np.split(energy, 2)
    slope = ((plus - minus) / (2 * h)).reshape(case.base.shape)
    assert_allclose(slope, case.gradient, rtol=0, atol=1e-6 * np.abs(case.gradient).max())


@of_those_in_reach
def test_far_apart_energies_add_up(case):
    """Two fragments beyond the cut-off: the energy is the sum of each alone, besides what scattered beads have."""
    far = np.array([10.0, 0.0, 0.0])
    scattered = 2.0 * np.arange(3)[:, None] * np.array([0.0, 1.0, 0.0])
    first, second = case.base[:3], case.base[3:]
    frames = [
        np.concatenate([first, second + far]),
        np.concatenate([first, scattered + far]),
        np.concatenate([scattered - far, second]),
        np.concatenate([scattered - far, scattered + far]),
    ]
    energy, gradient = case(frames)
    parts = energy[1] + energy[2] - energy[3]
    close(case, energy[0], gradient[0][:3], parts, gradient[1][:3])
    close(case, energy[0], gradient[0][3:], parts, gradient[2][3:])
    assert min(abs(energy[1] - energy[3]), abs(energy[2] - energy[3])) > 1e-6 * abs(case.energy)
    assert (energy[3] != 0) == case.kind.lone
    assert_array_equal(gradient[3], 0)


@of_those_in_reach
def test_smooth_at_the_cutoff(case):
    """A pair that parts: energy and force go to what they are apart, and stay there.

    MACE's envelope ends as (1 - x)^3, NequIP's as (1 - x)^2, and each Bessel function as (1 - x), x = r / r_c, a barrier as
    (1 - x)^2: to leading order twice the way inside the cut-off gives 2^order times the energy and half of that times the force.
    """
    scattered = np.concatenate([np.zeros((2, 3)), 5.0 + 2.0 * np.arange(4)[:, None] * np.ones(3)])
    inside = np.array([2e-3, 1e-3, 1e-9, 0.0, -1e-9, -1e-3, -0.2])
    frames = np.repeat(scattered[None], len(inside), axis=0)
    frames[:, 1, 0] = CUTOFF * (1 - inside)
    energy, gradient = case(frames)
    energy, pull = energy - energy[-1], gradient[:, 1, 0]
    assert energy[0] / energy[1] == pytest.approx(2**case.kind.order, rel=0.05)
    assert pull[0] / pull[1] == pytest.approx(2 ** (case.kind.order - 1), rel=0.05)
    assert abs(energy[2]) < 1e-14 * abs(case.energy)
    assert abs(pull[2]) < (1e-9 if case.kind.order > 2 else 1e-8) * np.abs(case.gradient).max()
    assert_array_equal(energy[3:], 0)
    assert_array_equal(gradient[3:], 0)


def test_periodic_box(case):
    """A bead moved by a box length is where it was, and a box too large to matter does not."""
    box = np.array([1.6, 1.7, 1.8])  # an image is further than the cut-off from every bead
    wrapped = case.base.copy()
    wrapped[0] += [1.6, 0, 0]
    wrapped[3] -= [0, 1.7, 3.6]
    energy, gradient = case([case.base, wrapped, case.base + [0.0, 1.65, -0.5], np.mod(case.base + 1.5, box)], box)
    close(case, energy, gradient, case.energy, case.gradient)


def test_batch_equals_singles(case):
    frames = case.base + 0.01 * np.random.default_rng(0).normal(size=(3, *case.base.shape))
    energy, gradient = case(frames)
    single = jax.jit(
        lambda x: (case.potential.energy(case.params, x, VACUUM), force(case.potential, case.params, x, VACUUM)),
        compiler_options={"xla_backend_optimization_level": 0},
    )
    for x, e, g in zip(frames, energy, gradient, strict=True):
        one, forces = single(x)
        close(case, one, -forces, e, g, 1e-12)


def test_single_precision(case):
    """float32 stays float32; forces are right to 1e-5 of the largest, energies to 1e-5 of that force times the cut-off.

    Not of the energy itself: energies of beads have both signs, and where they cancel (to 1/1000 in the model with nu = 1
    and two layers) the total keeps their rounding error.
    """
    params = jax.tree.map(lambda p: p.astype(jnp.float32), case.params)
    frames = np.repeat(case.base[None], BATCH, axis=0).astype(np.float32)
    energy, gradient = case.batch(params, frames, VACUUM.astype(np.float32))
    assert (energy.dtype, gradient.dtype) == (np.float32, np.float32)
    largest = np.abs(case.gradient).max()
    assert_allclose(energy, case.energy, rtol=0, atol=1e-5 * largest * CUTOFF)
    assert_allclose(gradient, np.broadcast_to(case.gradient, gradient.shape), rtol=0, atol=1e-5 * largest)


def test_a_sum_is_the_sum_of_its_terms():
    spring = Potential(lambda key: {"k": jax.random.uniform(key)}, lambda p, x, box: p["k"] * jnp.sum(x**2))
    field = Potential(lambda key: {"g": jnp.array(2.0)}, lambda p, x, box: p["g"] * jnp.sum(x[:, 2]))
    both = add(spring, field, spring)
    params = both.init(jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(4, 3))
    assert params[0]["k"] != params[2]["k"]
    k = params[0]["k"] + params[2]["k"]
    assert_allclose(both.energy(params, x, VACUUM), k * (x**2).sum() + 2 * x[:, 2].sum(), rtol=1e-12)
    assert_allclose(force(both, params, x, VACUUM), -2 * k * x - np.array([0, 0, 2.0]), rtol=1e-12)
    with pytest.raises(ValueError, match="zip"):
        both.energy(params[:2], x, VACUUM)


def test_a_sum_is_periodic_if_a_term_is_and_has_all_their_flaws():
    rows, pairs = mace(1, 1, capacity=2), mace(1, 1)
    both, neither = add(pairs, rows), add(pairs, pairs)
    assert (both.periodic, neither.periodic) == (True, False)
    crowd = np.zeros((6, 3)) + 0.1 * np.arange(6)[:, None]
    assert Status(int(both.check(crowd, VACUUM))) == Status.NEIGHBOURS_FULL
    assert Status(int(both.check(20 * crowd, VACUUM))) == Status.OK
    assert neither.check(crowd, VACUUM) == Status.OK


@pytest.mark.parametrize("network", [mace_network, nequip_network], ids=["mace", "nequip"])
def test_a_species_that_the_model_lacks_is_refused(network):
    """An array would be read at its last row, and nobody would know."""
    config = {mace_network: MACEConfig, nequip_network: NequIPConfig}[network]()
    with pytest.raises(
        PotentialError, match=r"species \[2, 5\] are missing from a model of 2, 0 ... 1; the first .* 1\."
    ):
        network.Model(config=config, species=(0, 5, 2), n_species=2, mean_neighbours=1.0)
