"""How fast bonds vibrate: against springs of known frequency, and against the time steps that the study found safe."""

import numpy as np
import pytest

from cgcore import mapping
from cgcore.doctor import examine, findings
from cgcore.doctor.molecule import Molecule
from cgcore.doctor.vibrations import fastest
from cgcore.reference import sets
from cgcore.units import kT


def chain(n: int) -> Molecule:
    """n beads in a row, without atoms."""
    bonds = np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)
    return Molecule(
        beads=tuple(f"B{k}" for k in range(n)),
        species=(0,) * n,
        bonds=bonds,
        elements=(),
        atoms=(),
        labels=(),
        bead_of=(),
        atom_bonds=bonds[:0],
        copies=np.arange(n)[None],
        atom_copies=np.zeros((1, 0), int),
    )


def rod(lengths: np.ndarray, seed: int = 1) -> list[np.ndarray]:
    """Ten blocks of straight chains with such bonds (T, P), each turned at random."""
    random = np.random.default_rng(seed)
    along = np.concatenate([np.zeros((len(lengths), 1)), lengths.cumsum(1)], axis=1)
    way = random.normal(size=(len(lengths), 1, 3))
    x = along[..., None] * way / np.linalg.norm(way, axis=-1, keepdims=True)
    return np.array_split(x[:, None], 10)


def test_a_spring_between_two_masses():
    """w^2 = k (1 / m + 1 / M)."""
    spring, mass = 2e5, np.array([12.0, 16.0])
    lengths = np.random.default_rng(0).normal(0.12, np.sqrt(kT(300.0) / spring), size=(4000, 1))
    found = fastest(chain(2), mass, rod(lengths), 300.0)
    wanted = 2000 * np.pi / np.sqrt(spring * (1 / 12 + 1 / 16))
    assert abs(found.period_fs.value - wanted) < 3 * found.period_fs.error < 0.1 * wanted
    assert found.bond == "B0–B1" and found.step_fs == pytest.approx(found.period_fs.value / 10) and found.rigid == 0


def test_two_springs_in_a_row_are_faster_together_than_alone():
    """Carbon dioxide: symmetric stretch k / m, antisymmetric k (1 / m + 2 / M), one spring alone k (1 / m + 1 / M)."""
    spring, oxygen, carbon = 5e5, 16.0, 12.0
    lengths = np.random.default_rng(0).normal(0.12, np.sqrt(kT(300.0) / spring), size=(4000, 2))
    found = fastest(chain(3), np.array([oxygen, carbon, oxygen]), rod(lengths), 300.0)
    wanted = 2000 * np.pi / np.sqrt(spring * (1 / oxygen + 2 / carbon))
    assert abs(found.period_fs.value - wanted) < 4 * found.period_fs.error


def test_bonds_held_fixed_and_too_few_frames_are_told():
    lengths = np.random.default_rng(0).normal(0.12, [0.003, 1e-6], size=(400, 2))
    found = fastest(chain(3), np.ones(3), rod(lengths), 300.0)
    assert found.rigid == 1 and found.bond == "B0–B1" and found.period_fs.value > 0
    few = fastest(chain(3), np.ones(3), rod(lengths[:9]), 300.0)
    assert few.bond == "" and np.isnan(few.step_fs)
    assert fastest(chain(3), np.ones(3), rod(np.full((50, 2), 0.12)), 300.0) is None


@pytest.mark.parametrize("name, published", [("atomistic", 1.0), ("united_atom", 2.0), ("heavy_atom", 2.0)])
def test_alanine_s_steps_are_the_published_ones(name, published):
    topology, frames = sets.load("ala2", stride=10)
    found = examine(mapping.load(name, topology, residue="ala"), topology, frames)
    assert found.molecules[0].vibration.step_fs == pytest.approx(published, rel=0.08)
    (said,) = [f for f in findings(found) if f.kind == "steps"]
    assert said.do.startswith(f"time steps of at most {published:.1f} fs")
