"""A liquid in its box: images, whole molecules, the thermal criterion, and lists of neighbours that are too short."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgcore.config import MDConfig
from cgcore.frames import Status
from cgcore.geometry import displacement
from cgcore.potentials.base import Potential, with_neighbours
from cgcore.simulate import Molecule, SimulationError, run

N, CUTOFF = 27, 0.5
BOX = np.array([1.2, 1.2, 1.3])
LIQUID = Molecule(
    names=("A",) * N, mass=np.full(N, 15.0), bonds=np.zeros((0, 2), int), bond_length=np.zeros(0), box=BOX
)
LATTICE = (np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3) + 0.5) / 3 * BOX


def soft(capacity: int) -> Potential:
    """u = k (r_c - r)^3 of every pair, over rows of neighbours."""

    def energy(k, edges):
        return 0.5 * k * jnp.sum(edges.expand(jnp.maximum(CUTOFF - edges.distance, 0.0) ** 3))

    return with_neighbours(lambda key: jnp.array(500.0), energy, CUTOFF, capacity)


SOFT = soft(26)


def config(**values) -> MDConfig:
    return MDConfig(**{"replicas": 2, "n_frames": 8, "steps_per_frame": 5, "friction_per_ps": 10.0} | values)


def simulated(folder, potential=SOFT, molecule=LIQUID, x=LATTICE, **values):
    settings = config(**values)
    folder.mkdir(exist_ok=True)
    starts = np.broadcast_to(x, (settings.replicas, N, 3))
    return run(potential, jnp.array(500.0), molecule, starts, settings, folder, progress=False)[:2]


def test_a_box_moved_is_the_same_liquid(tmp_path):
    """Forces come by minimum image: a start shifted by whole boxes, bead by bead, gives the same displacements."""
    a, table = simulated(tmp_path / "a")
    images = np.random.default_rng(0).integers(-2, 3, (N, 3)) * BOX
    b, _ = simulated(tmp_path / "b", x=LATTICE + images)
    assert_allclose(b.position - images.astype(np.float32), a.position, atol=1e-5)
    assert (table["n_replicas_failed"], table["n_overheated"], table["n_neighbours_full"]) == (0, 0, 0)


def test_positions_are_not_wrapped(tmp_path):
    """Free beads pushed through the boundary go on in a straight line."""
    free = replace(LIQUID, mass=np.full(N, 1e-4))
    ensemble, _ = simulated(tmp_path, Potential(SOFT.init, lambda p, x, box: 0.0 * jnp.sum(x)), free)
    assert np.abs(ensemble.position - LATTICE).max() > 2 * BOX.max()
    assert np.abs(np.asarray(displacement(ensemble.position, LATTICE, BOX))).max() <= BOX.max() / 2 + 1e-5


def test_a_hot_liquid_is_excluded_from_the_frame_on(tmp_path):
    """kT of 600 K is 4.99 kJ/mol: its fluctuations exceed the limit now and then, 300 K never, 2000 K at once."""
    cold, _ = simulated(tmp_path / "cold")
    assert_array_equal(cold.status, Status.OK)
    hot, table = simulated(tmp_path / "hot", replicas=4, n_frames=20, temperature_K=600.0)
    over = ~(2 * hot.kinetic / (3 * N) < 5.0)
    assert over.any(1).sum() > 0
    assert_array_equal(hot.first_bad, np.where(over.any(1), over.argmax(1), 20))
    assert_array_equal(hot.status, np.where(over.any(1), Status.OVERHEATED, Status.OK))
    assert table["n_overheated"] == over.any(1).sum()
    assert_array_equal(simulated(tmp_path / "boiling", temperature_K=2000.0)[0].first_bad, 0)


def test_bonds_of_a_liquid_may_swap(tmp_path):
    """The bond criterion is for molecules: a liquid's bonds are only named."""
    bonded = replace(LIQUID, bonds=np.array([[0, 26]]), bond_length=np.array([0.1]))
    assert_array_equal(simulated(tmp_path, molecule=bonded)[0].status, Status.OK)


def test_a_potential_of_a_liquid_wants_a_box(tmp_path):
    with pytest.raises(SimulationError, match="want a molecule with its box, got none"):
        simulated(tmp_path, molecule=replace(LIQUID, box=np.full(3, np.inf)))


def test_what_the_potential_says_of_a_frame_counts(tmp_path):
    """A potential that cannot vouch for its second half of time: those frames are excluded and say why."""
    x = np.concatenate([LATTICE[:1] * 0, LATTICE[1:]])
    drifting = Potential(
        lambda key: None,
        lambda p, x, box: -1000.0 * x[0, 0],
        True,
        lambda x, box: jnp.where(x[0, 0] > 0.5, Status.NEIGHBOURS_FULL, Status.OK),
    )
    ensemble, table = simulated(tmp_path, drifting, x=x, n_frames=30, replicas=1, temperature_K=1e-6)
    beyond = ensemble.position[0, :, 0, 0] > 0.5
    assert 0 < beyond.argmax() < 29
    assert_array_equal(ensemble.first_bad, beyond.argmax())
    assert ensemble.status[0] & Status.NEIGHBOURS_FULL
    assert table["n_neighbours_full"] == 1
