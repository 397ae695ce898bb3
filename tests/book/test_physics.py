"""The physics report: what its checks find in samples that are right and wrong, and one published network of each kind."""

from pathlib import Path

import numpy as np
import pytest

from cgbook import physics, physics_checks
from cgbook.results import load
from cgcore.errors import CgcoreError
from cgcore.units import kT

RESULTS = Path(__file__).parents[2] / "book" / "results"
BY_CHANCE = 0.0027
"""Three standard errors."""
MASS, BONDS = np.array([12.0, 14.0, 15.0, 13.0]), np.array([[0, 1], [1, 2], [2, 3]])


def of_temperature(kelvin: float) -> np.ndarray:
    """Energies (32, 100) of twelve harmonic degrees of freedom, kJ/mol."""
    return np.random.default_rng(int(kelvin)).gamma(6.0, kT(kelvin), size=(32, 100)) - 40.0


@pytest.mark.parametrize("really_K, right", [(400.0, True), (360.0, False)])
def test_the_ratio_of_two_temperatures(really_K, right):
    energies = [of_temperature(300.0), of_temperature(really_K)]
    table = physics_checks.configurational(energies, (300.0, 400.0))
    assert (table["ensemble_sigma"] < 3) == right and table["independent"] > 1000


def test_too_few_energies_are_not_judged():
    few = [of_temperature(kelvin)[:2, :4] for kelvin in (300.0, 400.0)]
    assert physics_checks.configurational(few, (300.0, 400.0))["ensemble_sigma"] is None


@pytest.mark.parametrize("hotter, wrong", [("nothing", []), ("all", ["mean", "beads"]), ("one bead", ["beads"])])
def test_velocities_of_maxwell_and_others(hotter, wrong):
    random = np.random.default_rng(3)
    bent = np.cumsum([[0, 0, 0], [0.1, 0.05, 0], [0.1, -0.05, 0.03], [0.1, 0.05, -0.04]], axis=0)
    position = bent + 0.01 * random.normal(size=(1500, 4, 3))
    velocity = random.normal(size=position.shape) * np.sqrt(kT(300.0) / MASS)[:, None]
    if hotter == "all":
        velocity *= 1.03
    elif hotter == "one bead":  # at the cost of the others
        velocity *= np.sqrt([1.3, 0.9, 0.9, 0.9])[:, None]
    table = physics_checks.kinetic(position, velocity, MASS, BONDS, 300.0)
    assert table["small_step_K"] == pytest.approx(300 * (1.0609 if hotter == "all" else 1), abs=8)
    assert (table["kinetic_mean_sigma"] > 3) == ("mean" in wrong) and (table["beads_p"] < BY_CHANCE) == bool(wrong)
    assert table["motions_p"] > BY_CHANCE or wrong


@pytest.mark.parametrize("order", [1, 2])
def test_the_order_of_an_integrator(order):
    random, steps_ps = np.random.default_rng(0), [0.002, 0.001, 0.0005]
    totals = [50 + dt**order * random.normal(size=(8, 400)) for dt in steps_ps]
    table = physics_checks.energy_order(totals, steps_ps)
    assert table["energy_order"] == pytest.approx(order, abs=0.05) and table["energy_order_error"] < 0.03


def test_an_energy_that_tells_images_apart_is_found_out():
    """z and the number of a bead are in it: turned, exchanged or mirrored it is another, and shifted it is higher."""

    def energy(position):
        weight = np.arange(1.0, 5.0)[:, None] * np.array([0.0, 0.0, 1.0])
        return float((weight * position**2).sum() / 2), -weight * position

    frames = np.random.default_rng(1).normal(size=(2, 4, 3))
    table = physics_checks.symmetries(energy, energy, frames, (0, 0, 1, 1), None, False)
    assert min(table[name] for name in ("rotation", "translation", "permutation")) > 0.1


@pytest.mark.parametrize("label, packed", [("core", 1), ("core_nequip", 0)])
def test_a_published_network_of_each_kind(label, packed):
    plan = physics.Plan(6, 400.0, 0.0, 0.0, 30, 25)
    network, frames = physics.read(load(RESULTS / "amino_acids"), label, plan)
    table, _ = physics.examine(network)
    assert frames == "ala2" and table["packed"] == packed and table["failed"] == 0
    assert max(table[name] for name in ("rotation", "translation", "permutation", "mirror")) < 1e-10
    assert min(value for name, value in table.items() if name.endswith("_p")) > BY_CHANCE
    assert max(table["kinetic_mean_sigma"], table["kinetic_width_sigma"]) < 3
    assert table["energy_order"] == pytest.approx(2, abs=0.1)


def test_a_label_without_a_network_is_refused(tmp_path):
    with pytest.raises(CgcoreError, match="want labels of published networks, .*core_nequip.*; got cor"):
        physics.make(RESULTS, ["cor"])
