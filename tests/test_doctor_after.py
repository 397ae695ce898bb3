"""After training: symmetries of energies that are known, and events that were put into trajectories by hand."""

from dataclasses import replace

import numpy as np
import pytest

from cgcore import mapping
from cgcore.doctor import after, examine
from cgcore.frames import Ensemble, Status
from cgcore.mapping import apply
from cgcore.reference import sets


@pytest.fixture(scope="module")
def core_beta():
    topology, frames = sets.load("ala2_obc2", stride=32)
    beads = mapping.load("core_beta", topology, typing="single")
    return examine(beads, topology, frames), apply(beads, frames)


@pytest.fixture(scope="module")
def core():
    topology, frames = sets.load("ala2_obc2", stride=32)
    beads = mapping.load("core", topology)
    return examine(beads, topology, frames), apply(beads, frames)


def distances(x):
    i, j = np.triu_indices(len(x), 1)
    return np.linalg.norm(x[i] - x[j], axis=-1)


def test_the_mirror_and_exchange_tests_tell_which_symmetries_an_energy_has(core_beta):
    found, beads = core_beta

    def blind(x):
        return 100 * distances(x).sum()

    def handed(x):
        return blind(x) + 1e5 * np.linalg.det(x[[0, 1, 3]] - x[2])

    def directed(x):
        return 100 * (np.arange(len(distances(x))) * distances(x)).sum()

    holds = {
        name: [t.holds for t in after.invariances(e, found, beads)]
        for name, e in {"blind": blind, "handed": handed, "directed": directed}.items()
    }
    names = [t.name for t in after.invariances(blind, found, beads)]
    assert names == ["mirror image", "chain reversal", "chain reversal with mirror image"]
    assert holds["blind"] == [True, True, True]
    assert holds["handed"][0] is False
    assert holds["directed"] == [True, False, False]


def test_a_change_counts_once_it_has_lasted():
    state = np.array([[0, 0, 1, 0, 0, 1, 1, 1, 0, 1, 1, 0, 0, 0]]) > 0
    assert after.changes(state, np.ones_like(state), 2).tolist() == [2]
    assert after.changes(state, np.ones_like(state), 3).tolist() == [2]
    assert after.changes(state, np.arange(14)[None] < 8, 3).tolist() == [1]
    assert after.changes(state, np.zeros_like(state), 2).tolist() == [0]


def test_rates_have_exact_poisson_intervals():
    none = after.rate(0, 10.0)
    assert none.per_ns == 0 and none.low == 0 and none.high == pytest.approx(0.36889, rel=1e-4)
    ten = after.rate(10, 10.0)
    assert (ten.low, ten.high) == (pytest.approx(0.47954, rel=1e-4), pytest.approx(1.83904, rel=1e-4))


def run_of(beads, parity, status=0):
    """Two replicas of the frames, the first reflected where parity is -1; the second fails half way where status says so."""
    x = np.asarray(beads.position, float)
    n = len(x)
    return Ensemble(
        position=np.stack([x * parity[:, None, None], x]),
        energy=np.zeros((2, n)),
        kinetic=np.zeros((2, n)),
        time=np.arange(n) * 0.5,
        status=np.array([0, int(status)]),
        first_bad=np.array([n, n // 2 if status else n]),
        names=beads.names,
    )


def test_inversions_put_into_a_run_are_counted(core_beta):
    found, beads = core_beta
    (m,) = found.molecules
    parity = np.where((np.arange(beads.n_frames) // 100) % 2, -1.0, 1.0)
    run = run_of(beads, parity, Status.NEIGHBOURS_FULL | Status.BOND_BROKEN)
    (rate,) = after.inversions(run, m).values()
    assert rate.events == (beads.n_frames - 1) // 100
    assert rate.ns == pytest.approx((beads.n_frames + beads.n_frames // 2) * 0.5 / 1000)
    assert after.overflows(run) == 1
    assert after.failures(run).events == 1
    quiet = after.switches(run, found, np.full(3, np.inf))
    assert quiet["n_exchanges"] == 0 and quiet["switch_rate"] == 0
    exposure = (beads.n_frames + beads.n_frames // 2) * 0.5 / 1000
    assert quiet["switch_rate_high"] == pytest.approx(3.688879 * 2 / exposure, rel=1e-5)


def test_mirror_conformers_of_a_lost_hand_are_counted(core):
    found, beads = core
    (m,) = found.molecules
    quiet = replace(beads, position=np.repeat(np.asarray(beads.position)[:1], 400, axis=0), time=np.arange(400) * 0.5)
    parity = np.where((np.arange(400) // 100) % 2, -1.0, 1.0)
    rates = after.flips(run_of(quiet, parity), m, beads)
    assert list(rates) == ["mirror image"] and rates["mirror image"].events == 3
    assert after.flips(run_of(quiet, np.ones(400)), m, beads)["mirror image"].events == 0


def test_partners_that_changed_by_hand_are_counted_among_species_or_masses(core_beta):
    """N and C of alanine change places: their bonds to the neighbours are exchanged, among beads of one species."""
    found, beads = core_beta
    order = [beads.names.index(b) for b in ("C_ace", "C", "CA", "CB", "N", "N_nme")]
    x = np.asarray(beads.position, float)[:1].repeat(40, axis=0)
    x[20:] = x[20:][:, order]
    run, box = run_of(replace(beads, position=x, time=np.arange(40) * 0.5), np.ones(40)), np.full(3, np.inf)
    table = after.switches(run, found, box)
    assert table["n_exchanges"] == 2 and table["switched_end"] == 1  # one in each replica
    assert table["switch_rate_low"] < table["switch_rate"] < table["switch_rate_high"]
    labelled = replace(found, mapping=replace(found.mapping, species=tuple(range(6))))
    assert after.switches(run, labelled, box)["n_exchanges"] == 0
    assert after.switches(run, labelled, box, alike="mass")["n_exchanges"] == 2
