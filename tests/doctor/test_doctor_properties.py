"""What must not change a verdict, and what must change with it, for whatever hypothesis thinks of."""

from dataclasses import replace
from functools import cache

import doctoring
import numpy as np
import pytest
from numpy.testing import assert_allclose

pytest.importorskip("hypothesis")
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cgcore.doctor import examine, findings
from cgcore.doctor.distances import lengths, unsampled
from cgcore.doctor.groups import symmetries
from cgcore.doctor.molecule import kinds
from cgcore.doctor.species import typing
from cgcore.frames import Frames

BEADS = ("N0", "C1", "C2", "O3", "F4")
BONDS = "0-1 1-2 2-3 1-4 1-5"
DIHEDRALS = """[dihedrals]
turn_N = ["BN0", "BC1", "BC2", "BO3"]
turn_F = ["BF4", "BC1", "BC2", "BO3"]
"""
HAND = -1.0
"""Of the frames as they are made: N, C2, F and H around C1."""
N_FRAMES, BOX = 200, np.full(3, 1.5)


def few(n: int):
    """The same examples each time, and no search for smaller ones, which takes minutes."""
    return settings(max_examples=n, derandomize=True, deadline=None, database=None, phases=(Phase.generate,))


@cache
def molecule():
    """One stereocentre, C1, whose N and F the beads' graph cannot tell apart; frames that turn about C1-C2 and shake."""
    atoms = doctoring.topology("N C C O F H", BONDS)
    random = np.random.default_rng(1)
    corner = 0.15 * np.array([[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]]) / np.sqrt(3)  # N, C2, F, H around C1
    axis = corner[1] / 0.15
    side = np.cross(axis, [1.0, 0, 0])
    side /= np.linalg.norm(side)
    angle = random.vonmises(0.7, 2.0, N_FRAMES)[:, None]
    out = np.cos(angle) * side + np.sin(angle) * np.cross(axis, side)
    o = corner[1] + 0.15 * (0.4 * axis + 0.9 * out)
    still = np.stack([corner[0], np.zeros(3), corner[1], np.zeros(3), corner[2], corner[3]])
    x = np.repeat(still[None], N_FRAMES, axis=0)
    x[:, 3] = o
    x += 0.003 * random.normal(size=x.shape)
    return atoms, Frames(
        position=x, force=None, box=np.full(3, np.inf), time=np.arange(N_FRAMES) * 20.0, names=atoms.names
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("properties")


def said(folder, order=BEADS, change=lambda x: x):
    atoms, frames = molecule()
    table = {f"B{name}": [name] for name in order}
    beads = doctoring.mapped(folder, atoms, table, "single", doctoring.TYPINGS + DIHEDRALS)
    moved = replace(frames, position=change(np.asarray(frames.position)))
    return examine(beads, atoms, moved)


def summary(found):
    """All that a verdict rests on, by names and not by numbers of beads."""
    (m,) = found.molecules
    names = m.molecule.beads
    broken = {}
    for b in m.broken:
        pairs = frozenset((names[i], names[k]) for i, k in enumerate(b.element.permutation) if i != k)
        broken[pairs, b.element.parity] = (b.path, [x.bound.value for x in b.bounds], [x.floor for x in b.bounds])
    return {
        "broken": broken,
        "stereo": [(s.centre, s.state, frozenset(names[k] for k in s.beads)) for s in m.stereo],
        "orbits": [
            {frozenset(names[k] for k in o) for o in orbits} for orbits in (m.typing.orbits, m.typing.typed_orbits)
        ],
        "fewest": len(set(m.typing.proposed)),
        "levels": sorted((f.kind, f.level) for f in findings(found)),
        "lengths": [v for x in found.lengths for v in (*x.bonded, x.closest, x.error_rate.value)],
        "ranges": [v for x in found.unsampled for v in (x.low, x.high, x.in_half)],
    }


def assert_same(ours, theirs):
    for key in ("stereo", "orbits", "fewest", "levels"):
        assert ours[key] == theirs[key], key
    assert ours["broken"].keys() == theirs["broken"].keys()
    for name, (path, bounds, floors) in ours["broken"].items():
        assert theirs["broken"][name][0] == path
        assert_allclose(theirs["broken"][name][1], bounds, atol=2e-3)
        assert_allclose(theirs["broken"][name][2], floors, atol=0.01)
    for key in ("lengths", "ranges"):
        assert_allclose(theirs[key], ours[key], rtol=1e-5)


@pytest.fixture(scope="module")
def whole(folder):
    found = summary(said(folder))
    swap = frozenset({("BN0", "BF4"), ("BF4", "BN0")})
    assert {k: v[0] for k, v in found["broken"].items()} == {
        (frozenset(), -1): "kept with inversion path",
        (swap, 1): "kept with inversion path",
        (swap, -1): None,
    }
    return found


def turn(numbers):
    """The rotation of a quaternion."""
    w, x, y, z = np.array(numbers) / np.linalg.norm(numbers)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


part = st.floats(-1, 1)
quaternions = st.tuples(part, part, part, part).filter(lambda q: np.linalg.norm(q) > 0.1)


@few(5)
@given(order=st.permutations(BEADS))
def test_the_order_and_numbers_of_beads_change_nothing(folder, whole, order):
    assert_same(whole, summary(said(folder, order)))


@few(5)
@given(quaternion=quaternions, shift=st.tuples(part, part, part), mirror=st.booleans())
def test_turning_and_shifting_change_nothing_and_a_mirror_only_the_hand(folder, whole, quaternion, shift, mirror):
    sign = -1.0 if mirror else 1.0
    found = said(folder, change=lambda x: sign * x @ turn(quaternion).T + np.array(shift))
    assert_same(whole, summary(found))
    assert np.unique(found.molecules[0].handedness.sign).tolist() == [sign * HAND]


@few(30)
@given(labels=st.lists(st.sampled_from("PQR"), min_size=5, max_size=5), mirror=st.booleans())
def test_a_proposed_typing_adds_nothing_and_finer_labels_take_away(folder, labels, mirror):
    """By the graphs alone: whatever the species, what is proposed has no symmetry of permutations that is not allowed."""
    atoms, _ = molecule()
    chosen = ", ".join(f'B{b} = "{s}"' for b, s in zip(BEADS, labels, strict=True))
    text = f'[typings.any]\ndescription = "any"\nlabels = {{ {chosen} }}\n'
    table = {f"B{b}": [b] for b in BEADS}
    hand = {1: -1 if mirror else 1}
    coarse = symmetries(kinds(doctoring.mapped(folder, atoms, table, "single"), atoms)[0], hand)
    (m,) = kinds(doctoring.mapped(folder, atoms, table, "any", text), atoms)
    fine = symmetries(m, hand)
    assert set(fine.model) <= set(coarse.model) and set(fine.molecule) == set(fine.model) & set(coarse.molecule)
    assert len(fine.model) == len(fine.molecule) * (1 + len(fine.cosets)), "cosets are of one size"
    proposed = typing(m, fine).proposed
    better = symmetries(replace(m, species=proposed), hand)
    assert not [g for g in better.cosets if g.moves]


@few(8)
@given(
    shift=st.tuples(part, part, part),
    axes=st.permutations(range(3)),
    mirror=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    swap=st.booleans(),
)
def test_distances_of_a_liquid_know_no_origin_no_axes_and_no_numbers_of_molecules(folder, shift, axes, mirror, swap):
    atoms = doctoring.topology("C C", "0-1", copies=6)
    beads = doctoring.mapped(folder, atoms, {"A": ["C0"], "B": ["C1"]}, "single")
    random = np.random.default_rng(7)
    first = random.uniform(0, 1.5, size=(40, 6, 1, 3))
    x = np.concatenate([first, first + 0.15 * turn((1, 2, 3, 4))[0]], axis=2).reshape(40, 12, 3)
    moved = (x[..., list(axes)] * np.where(mirror, -1, 1) + np.array(shift)) % 1.5
    if swap:
        moved = moved.reshape(40, 6, 2, 3)[:, ::-1].reshape(40, 12, 3)
    here, there = (lengths(beads, np.array_split(y, 4), BOX) for y in (x, moved))
    assert_allclose(here[0].bonded, there[0].bonded, rtol=1e-9)
    assert_allclose(here[0].error_rate, there[0].error_rate, atol=1e-12)
    assert_allclose(here[0].closest, there[0].closest, rtol=1e-9)
    ours, theirs = ([(u.low, u.high, u.in_half) for u in unsampled(beads, y, BOX)] for y in (x, moved))
    assert_allclose(theirs, ours, rtol=1e-9)
