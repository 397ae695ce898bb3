"""How long a time step may be: against velocity Verlet's limit for a spring, and against survivals that are known."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgcore import simulate
from cgcore.analysis.time_steps import heating, step_limit
from cgcore.config import ConfigError, MDConfig
from cgcore.geometry import distances
from cgcore.potentials.base import Potential
from cgcore.simulate import Molecule

LIMIT_FS = 3.5
PAIR = np.array([[0, 1]])
DUMBBELL = Molecule(names=("A", "B"), mass=np.array([12.0, 12.0]), bonds=PAIR, bond_length=np.array([0.15]))
SPRING = Potential(lambda key: None, lambda k, x, box: 0.5 * k * jnp.sum((distances(x, PAIR, box) - 0.15) ** 2))
STIFFNESS = 6.0 * (2 / (LIMIT_FS / 1000)) ** 2  # reduced mass 6 g/mol, limit w dt = 2
STARTS = np.tile([[[0.0, 0, 0], [0.15, 0, 0]]], (6, 1, 1))


def dumbbells(folder, steps_fs=(2.0, 3.0, 4.0)):
    return simulate.time_steps(
        *(SPRING, jnp.array(STIFFNESS), DUMBBELL, STARTS, MDConfig(replicas=6)),
        folder,
        **dict(steps_fs=steps_fs, length_ps=0.12, frame_ps=0.012, progress=False),
    )


@pytest.mark.physics
def test_a_spring_lives_up_to_verlets_limit(tmp_path):
    """w dt = 2 is 3.5 fs: all survive 3 fs, none 4 fs; the error says that nothing between was tried."""
    table, arrays, ids = dumbbells(tmp_path)
    assert sorted(ids) == sorted(path.name for path in (tmp_path / "md").iterdir()) and len(set(ids)) == 3
    assert (table["safe_step_fs"], table["unsafe_step_fs"]) == (3.0, 4.0)
    assert abs(table["step_limit_fs"] - LIMIT_FS) < 2 * table["step_limit_fs_error"] < 0.6
    assert [row["n_replicas_failed"] for row in table["steps"]] == [0, 0, 6]
    assert_allclose(arrays["survival"][:2], 1)
    assert (np.diff(arrays["survival"][2]) <= 0).all() and arrays["survival"][2, -1] == 0
    assert arrays["survival"].shape == (3, 10) and arrays["time"][-1] == pytest.approx(0.12)
    assert [row["stable_ps"] for row in table["steps"][:2]] == pytest.approx([0.12] * 2)
    assert table["steps"][2]["stable_ps"] < 0.06
    assert all(row["energy_drift_kJ_mol_ns"] > 0 < row["energy_drift_kJ_mol_ns_error"] for row in table["steps"][:2])


def test_frames_are_whole_steps(tmp_path):
    with pytest.raises(ConfigError, match="want frames of a whole number of steps, got 0.012 ps in steps of 0.7 fs"):
        dumbbells(tmp_path, steps_fs=(0.7,))


def test_the_limit_is_where_survival_falls():
    """90 of 100 at 2 fs, 45 at 3 fs, 75 are enough: a third of the way; fewer replicas say it less well."""
    survived = np.arange(100) < np.array([100, 90, 45, 0])[:, None]
    limit = step_limit(np.array([1.0, 2.0, 3.0, 4.0]), survived, enough=0.75)
    assert (limit.safe, limit.unsafe, limit.limit) == (2.0, 3.0, pytest.approx(2 + 1 / 3))
    assert 1 / np.sqrt(12) < limit.error < 0.35
    few = step_limit(np.array([1.0, 2.0, 3.0, 4.0]), survived[:, ::10], enough=0.75)
    assert few.error > limit.error


def test_a_step_that_recovers_does_not_count():
    survived = np.arange(10) < np.array([10, 5, 10])[:, None]
    limit = step_limit(np.array([1.0, 2.0, 3.0]), survived)
    assert (limit.safe, limit.unsafe) == (1.0, 2.0)


def test_one_of_ten_says_nothing_and_three_do():
    """Where 95 % are enough, one failure of ten has a probability of 0.40, two of 0.086, three of 0.012."""
    steps = np.array([0.5, 1.0, 2.0])
    limit = step_limit(steps, np.arange(10) >= np.array([1, 0, 3])[:, None])
    assert (limit.safe, limit.unsafe, limit.limit) == (1.0, 2.0, pytest.approx(1.0))
    assert np.isnan(step_limit(steps, np.arange(10) >= np.array([1, 0, 2])[:, None]).unsafe)


def test_heating_is_the_drift_over_the_heat_capacity():
    """A gain of 1000 kB heats three kB by 333 K, and a large molecule of springs has 3 kB for each bead."""
    assert heating(8.314, n_beads=2, length_ps=1000.0) == pytest.approx(1000 / 3, rel=1e-3)
    assert heating(8.314, n_beads=1001) == pytest.approx(100 / 3000, rel=1e-3)


def test_bounds_where_all_or_none_are_safe():
    whole = step_limit(np.array([1.0, 2.0]), np.ones((2, 5), bool))
    assert (whole.safe, whole.limit) == (2.0, 2.0) and np.isnan(whole.unsafe) and np.isnan(whole.error)
    none = step_limit(np.array([1.0, 2.0]), np.zeros((2, 5), bool))
    assert (none.safe, none.unsafe) == (0.0, 1.0) and 0 < none.limit < 1
    with pytest.raises(ValueError, match="want rising steps"):
        step_limit(np.array([2.0, 1.0]), np.ones((2, 5), bool))
