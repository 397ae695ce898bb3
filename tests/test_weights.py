"""Frames with weights: whole numbers do what so many copies of each frame do, and what cannot use them refuses them."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgcore import data, io, mapping, steps, store, train_splines, trainer
from cgcore.analysis import chain_series, force_errors, ramachandran, surface, torsion
from cgcore.analysis.sample import of_frames
from cgcore.config import ConfigError, SplineConfig, TrainConfig
from cgcore.data import DataError
from cgcore.doctor import symmetry
from cgcore.doctor.groups import Element
from cgcore.frames import Frames
from cgcore.io import TrajectoryError
from cgcore.potentials import priors, splines
from cgcore.potentials.base import Potential
from cgcore.potentials.terms import terms
from cgcore.units import kT

BLOCKS = 10
T = 300.0


@pytest.fixture(scope="module")
def beads():
    topology = io.read_topology(store.data_file("ala2/topology.pdb"))
    core_beta = mapping.load("core_beta", topology)
    atoms = io.read(store.data_file("ala2/solute.trr"), topology, stride=10)[:200]
    return core_beta, mapping.apply(core_beta, atoms)


@pytest.fixture(scope="module")
def both(beads):
    """Frames with weights from 0 to 3, and those frames as often as that, in blocks of equal sums."""
    core_beta, frames = beads
    times = np.random.default_rng(0).permuted(np.tile([0, 0, 0, 0, 1, 1, 1, 1, 3, 3], (BLOCKS, 2)), axis=1).ravel()
    assert len(times) == frames.n_frames and times.mean() == 1
    copies = np.repeat(np.arange(frames.n_frames), times)
    repeated = replace(frames[copies], time=np.arange(len(copies)) * 1.0)
    return core_beta, replace(frames, weight=times.astype(float)), repeated


def of_both(both, function):
    """What a function of the map and the frames gives of both, for comparison."""
    core_beta, *kinds = both
    return [function(core_beta, frames) for frames in kinds]


def compared(weighted, repeated, **tolerance):
    for a, b in zip(jax.tree.leaves(weighted), jax.tree.leaves(repeated), strict=True):
        assert_allclose(a, b, **{"rtol": 1e-9} | tolerance)


def test_sizes_of_forces_and_bonds(both):
    compared(*of_both(both, lambda beads, frames: (data.force_rms(frames), data.bond_lengths(frames, beads.bonds))))


def test_held_out_errors(both):
    def errors(beads, frames):
        of_frames = force_errors.by_frame(np.zeros_like(frames.force), frames)
        return force_errors.mae(of_frames).value, force_errors.rmse(of_frames).value, force_errors.loss(of_frames).value

    compared(*of_both(both, errors))


def test_surfaces_and_populations_with_their_block_errors(both):
    def table(beads, frames):
        angles = surface.backbone(frames, **beads.dihedrals)
        numbers = ramachandran.summary(*ramachandran.blocked(*angles), frame_ps=1.0)
        different = ("n_frames", "counting", "ns", "n_blocks", "noise_floor")
        return {k: v for k, v in numbers.items() if k not in different and not k.endswith("_floor")}

    weighted, repeated = of_both(both, table)
    assert (
        weighted.keys() == repeated.keys()
        and {"alpha_R_error", "phi_positive", "point_symmetry_bound"} <= weighted.keys()
    )
    compared(weighted, repeated, atol=1e-12)


def test_a_rarely_counted_bin_has_its_own_slope():
    """A ring with a barrier whose frames count e^-20: the torque there is known as well as anywhere."""
    rng, n = np.random.default_rng(0), 72_000
    q = rng.uniform(-np.pi, np.pi, n)
    weight = np.exp(-25.0 * (1 + np.cos(q)) / 2 / kT(T))
    pmf = torsion.pmf_from_mean_torque(q, 12.5 * np.sin(q) + rng.normal(0, 1.0, n), weight / weight.mean())
    wanted = 12.5 * np.cos(pmf.centres)
    assert np.abs((pmf.free_energy - pmf.free_energy.min()) - (wanted - wanted.min())).max() < 0.6
    plain = torsion.pmf_from_mean_torque(q, 12.5 * np.sin(q) + rng.normal(0, 1.0, n))
    assert np.abs(plain.free_energy - plain.free_energy.min() - (wanted - wanted.min())).max() < 0.3


def test_errors_of_held_out_errors_do_not_grow_with_the_spread_of_weights(beads):
    """Of errors that are the same in every frame the mean is known, whatever the frames count."""
    _, frames = beads
    rng = np.random.default_rng(0)
    weighted = replace(frames, weight=rng.exponential(1.0, frames.n_frames), force=np.ones_like(frames.force))
    found = force_errors.mae(force_errors.by_frame(np.zeros_like(frames.force), weighted))
    assert found.error < 1e-9 * found.value


def test_replicas_start_by_the_weights():
    frames = Frames(
        position=np.arange(1000.0)[:, None, None] * np.ones(3), force=None, box=np.full(3, np.inf), time=np.arange(1000.0),
        names=("A",), weight=np.where(np.arange(1000) < 500, 1.9, 0.1),
    )  # fmt: skip
    starts = data.initial_positions(frames, 200, 3)[:, 0, 0]
    assert len(set(starts)) == 200 and 0.85 < (starts < 500).mean() < 0.99


def test_files_with_and_without_weights_are_not_read_together():
    topology = store.data_file("ala2_obc2/topology.pdb")
    files = [store.data_file(f"{name}/replica_00.h5") for name in ("ala2_obc2", "ala2_obc2_phi")]
    for order in (files, files[::-1]):
        with pytest.raises(TrajectoryError, match="frames without weights beside others of a run with a bias"):
            io.load(topology, order, stride=400)
    with pytest.raises(TrajectoryError, match="want weights for each of 1 files, got them for 2"):
        io.load(topology, files[:1], weights=[None, None])


@pytest.mark.parametrize(
    ("map", "reference", "message"),
    [
        ("core_beta", "ala2_obc2", "ala2_obc2 has no bias, all of its frames count alike"),
        ("united_atom", "ala2_obc2_phi", "whose four atoms are no beads of map 'united_atom'"),
    ],
)
def test_weights_are_left_out_only_where_the_mean_force_stays(map, reference, message):
    with pytest.raises(ConfigError, match=message):
        steps.load(steps.configure("amino_acids", map=map, reference=reference, weights="none"))


def test_without_weights_in_the_loss_the_held_out_error_keeps_them():
    config = steps.configure("amino_acids", map="core_beta", reference="ala2_obc2_phi", weights="none")
    assert steps.load(config).split.valid.weight is not None


def test_a_weighted_surface_says_how_much_it_counts(both):
    beads, weighted, repeated = both
    blocks = ramachandran.blocked(*surface.backbone(weighted, **beads.dihedrals))
    numbers = ramachandran.summary(*blocks, frame_ps=1.0)
    assert numbers["counting"] == weighted.counting == pytest.approx(200**2 / (80 + 40 * 9))
    assert numbers["n_frames"] == 120 and repeated.counting == 200  # those that count at all


def test_free_energies_from_mean_torques(both):
    def profiles(beads, frames):
        pmf = torsion.pmf_from_mean_torque(
            *torsion.end_torques(frames, np.array([beads.dihedrals["psi"]])), frames.weight
        )
        q, torque = torsion.end_torques(frames, np.array([beads.dihedrals["phi"]]))
        by_forces = torsion.profile_from_forces(q, torque, 4, T, frames.weight)
        by_positions = torsion.profile_from_positions(q, 4, T, frames.weight)
        # What lacks around the circle is spread by how many frames there are, and copies are none.
        return pmf.population, by_forces.density, by_positions.density

    compared(*of_both(both, profiles), atol=1e-9)


def test_priors(both):
    def wells(beads, frames):
        return [(w["k"], w["q0"]) for w in priors.for_frames(("bonds",), beads, frames, T)[1]["bonds"]]

    compared(*of_both(both, wells))


def test_splines(both):
    beads, weighted, repeated = both
    stiff = tuple(term for term in terms(beads) if term.kind in ("bond", "angle"))
    knots = splines.for_frames(stiff, repeated, SplineConfig(min_samples=1, angle_step_rad=0.1))
    compared(*(train_splines.normal_equations(knots, frames) for frames in (weighted, repeated)), rtol=1e-8, atol=1e-3)


def test_the_gradient_of_the_loss(both):
    """One update, of all frames at once."""
    _, weighted, repeated = both
    pulled = Potential(
        lambda key: jnp.array([0.1, 0.2]), lambda p, x, box: p[0] * jnp.sum(x[0] * x[1]) + p[1] * jnp.sum(x**4)
    )
    tx = trainer.optimizer(TrainConfig(batch_size=200, epochs=1), 10)
    params = pulled.init(jax.random.key(0))
    updates = []
    for frames in (weighted, repeated):
        compiled = trainer.compile_updates(pulled, frames, tx)
        arrays = np.asarray(frames.position), np.asarray(frames.force)
        found = compiled.update(params, tx.init(params), *arrays, data.loss_weights(frames))
        updates.append((found, compiled.square_error(params, *arrays, frames.weights)))
    compared(*updates, rtol=1e-6)


def test_the_doctor_s_bounds(both):
    def bound(beads, frames):
        observable = symmetry.Observable("phi, psi", tuple(beads.dihedrals[n] for n in ("phi", "psi")))
        cuts = np.split(np.arange(200), BLOCKS)
        identity = tuple(range(len(beads.beads)))
        return symmetry.bound_of(
            observable,
            [np.asarray(frames.position)[c] for c in cuts],
            Element(identity, -1),
            temperature_K=T,
            inefficiency=1.0,
            weights=None if frames.weight is None else [frames.weights[c] for c in cuts],
        )

    weighted, repeated = of_both(both, bound)
    compared((weighted.bound, weighted.free_energy), (repeated.bound, repeated.free_energy))
    assert weighted.at_least == repeated.at_least


def test_weights_are_part_of_what_is_learnt_from(both):
    _, weighted, _ = both
    assert data.frames_hash(weighted) != data.frames_hash(replace(weighted, weight=None))


def test_weights_stay_with_their_frames(both, tmp_path):
    weighted = both[1]
    split = data.split_blocks(weighted, 10, 1, 1.0)
    assert_allclose(split.valid.weight, weighted.weight[100:120])
    assert_allclose(data.subsample(weighted, 50).weight, weighted.weight[np.linspace(0, 199, 50).round().astype(int)])
    assert_allclose(data.mirrored(weighted).weight, weighted.weight)
    io.write_packed(tmp_path / "frames.h5", weighted)
    assert_allclose(io.packed.read_packed(tmp_path / "frames.h5", 6, 2, None).weight, weighted.weight[::2])


@pytest.mark.parametrize("function", [of_frames, lambda frames: chain_series.of_reference(frames, None)])
def test_what_cannot_use_weights_refuses_them(both, function):
    with pytest.raises(DataError, match="want frames that all count alike, got those of a run with a bias"):
        function(both[1])


def test_reweighting_undoes_a_bias():
    """x of exp(-U / kT) with U = 3 kT cos x, drawn with the bias -U: flat. The weights give the populations of U."""
    random, n = np.random.default_rng(1), 40_000
    x = random.uniform(-np.pi, np.pi, n)
    weight = np.exp(-3 * np.cos(x))
    frames = Frames(
        position=np.zeros((n, 1, 3)), force=None, box=np.full(3, np.inf), time=np.arange(n) * 1.0, names=("A",),
        weight=weight / weight.mean(),
    )  # fmt: skip
    density = surface.counts1d(x[None], 72, frames.weights[None])[0] / n
    centres = (np.arange(72) + 0.5) * 2 * np.pi / 72 - np.pi
    wanted = np.exp(-3 * np.cos(centres)) / np.exp(-3 * np.cos(centres)).sum()
    assert np.abs(density - wanted).max() < 4 * wanted.max() / np.sqrt(frames.counting * wanted.max())
    F = surface.free_energy(density, T)
    assert_allclose(np.ptp(F), 6 * kT(T) * np.cos(np.pi / 72), rtol=0.05)


@pytest.mark.parametrize("wrong", [np.ones(5), np.full(200, np.nan), -np.ones(200)], ids=["few", "nan", "negative"])
def test_weights_that_do_not_fit_are_refused(wrong):
    topology = io.read_topology(store.data_file("ala2/topology.pdb"))
    with pytest.raises(TrajectoryError, match="want a weight of zero or more for each of"):
        io.read(store.data_file("ala2/solute.trr"), topology, stride=10, weight=wrong)
