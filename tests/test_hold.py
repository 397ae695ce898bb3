"""Mean forces of held beads as a reference to learn from."""

import json
import shutil
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgcore import data, hold, mapping, steps, trainer
from cgcore.analysis.surface import backbone
from cgcore.config import ConfigError, TrainConfig
from cgcore.doctor import diagnose
from cgcore.doctor.inputs import DoctorError
from cgcore.frames import Frames
from cgcore.potentials.base import Potential
from cgcore.reference import sets
from cgcore.reference.errors import ReferenceRunError

REFERENCE = "ala2_obc2_phi"


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    folder = tmp_path_factory.mktemp("held") / "run"
    return hold.hold(REFERENCE, "core_beta", folder, residue="ala", frames=20, length_ps=0.4, progress=False)


@pytest.fixture(scope="module")
def reference(held):
    return steps.load(steps.configure("amino_acids", map="core_beta", reference=str(held), frames=20))


def test_held_beads_are_a_reference_that_every_template_takes(held, reference):
    """Frames of the beads with mean forces and errors to learn from; the atoms behind them for everything else."""
    split, frames = reference.split, sets.load(held)[1]
    assert split.train.n_frames + split.valid.n_frames == 20 and split.train.names == reference.beads.beads
    assert reference.atoms.n_frames == reference.frames.n_frames == 16_000 and reference.frames.weight is not None
    assert (frames.force_error > 0).all() and frames.weight is None
    # The atoms that no bead has are free, so that their mean force is none, nor is that of all beads together.
    total, error = np.asarray(frames.force, float).sum(1), np.sqrt((frames.force_error**2).sum(1))
    assert np.abs(total / error).max() < 6 and np.mean((total / error) ** 2) < 4
    assert steps.molecule(reference).bond_length.shape == (5,)


def test_means_have_less_noise_than_the_forces_of_frames(reference):
    """Beside the mapped forces of all frames: the root mean square of means is smaller, by more than their errors."""
    plain = data.force_rms(replace(reference.sampled, weight=None))
    of_means, error = data.force_rms(reference.split.train), np.sqrt(np.mean(reference.split.train.force_error**2))
    assert error < of_means < plain


def test_a_killed_sampling_goes_on_and_gives_the_same(held, tmp_path):
    again = shutil.copytree(held, tmp_path / "run")
    (again / "manifest.json").unlink()
    with pytest.raises(ConfigError, match="not finished"):
        sets.load(again)
    before = {path.name: path.read_bytes() for path in sorted(again.glob("frame_*.npz"))}
    (again / "frame_005.npz").unlink()
    hold.hold(REFERENCE, "core_beta", again, residue="ala", frames=20, length_ps=0.4, progress=False)
    with np.load(again / "frame_005.npz") as new, np.load(held / "frame_005.npz") as old:
        assert_array_equal(new["mean"], old["mean"])
    assert before.keys() == {path.name for path in again.glob("frame_*.npz")}


def test_another_request_in_the_same_folder_and_damage_are_refused(held, tmp_path):
    with pytest.raises(ReferenceRunError, match="frames was 20, now 21"):
        hold.hold(REFERENCE, "core_beta", held, residue="ala", frames=21, length_ps=0.4, progress=False)
    damaged = shutil.copytree(held, tmp_path / "run")
    (damaged / "frame_003.npz").write_bytes(b"")
    with pytest.raises(ReferenceRunError, match=r"frame_003.npz: not the file that the manifest was written for"):
        sets.load(damaged)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(map="core"), "beads .* were held, map 'core' has"),
        (dict(map="core_beta", force_map="optimised"), "forces are means already"),
    ],
)
def test_what_does_not_fit_held_beads_is_refused(held, options, message):
    with pytest.raises(ConfigError, match=message):
        steps.load(steps.configure("amino_acids", reference=str(held), frames=20, **options))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(reference="ala2"), "these are of a solute without its water"),
        (dict(reference="nothing"), "no reference set 'nothing'"),
        (dict(length_ps=0.1), "want 0.4 ps or more for 40 samples"),
        (dict(frames=100_000), "want at most the 16000 of the reference"),
    ],
)
def test_what_cannot_be_held_is_refused(tmp_path, arguments, message):
    wanted = {"reference": REFERENCE, "frames": 2, "length_ps": 0.4} | arguments
    with pytest.raises(ConfigError, match=message):
        hold.hold(map="core_beta", out=tmp_path / "run", residue="ala", progress=False, **wanted)


def test_too_many_frames_leave_the_folder_to_the_next_try(held, tmp_path):
    with pytest.raises(ConfigError, match="want at most the 16000"):
        hold.hold(
            REFERENCE, "core_beta", tmp_path / "run", residue="ala", frames=100_000, length_ps=0.4, progress=False
        )
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="mean forces already"):
        hold.hold(str(held), "core_beta", tmp_path / "run", residue="ala", frames=2, length_ps=0.4, progress=False)


def test_frames_chosen_for_what_they_cover_are_no_sample_for_the_doctor(held):
    with pytest.raises(DoctorError, match="frames of held beads are chosen for what they cover"):
        diagnose("core_beta", str(held))


def test_chosen_frames_cover_what_is_rare():
    """Of a thousand frames in one place and ten all around, nearly all of the ten."""
    rng = np.random.default_rng(0)
    around = np.stack([np.cos(np.arange(10)), np.sin(np.arange(10))], axis=1)
    features = np.concatenate([rng.normal(0, 0.01, (1000, 2)), around])
    chosen = hold.farthest(features, 12)
    assert len(set(chosen)) == 12 and set(range(1000, 1010)) <= set(chosen)


def test_covering_frames_of_alanine_are_on_both_sides_of_the_barrier():
    topology, atoms = sets.load(REFERENCE)
    beads = mapping.load("core_beta", topology)
    chosen = mapping.apply(beads, hold.covering(beads, atoms, 60))
    phi, _, _ = backbone(replace(chosen, weight=None), **beads.dihedrals)
    assert 0.3 < (phi > 0).mean() < 0.7 and np.abs(phi[0]).min() < 0.2


def frames_of(error) -> Frames:
    rng = np.random.default_rng(3)
    force = rng.normal(size=(4, 2, 3))
    return Frames(
        position=rng.normal(size=(4, 2, 3)), force=force, box=np.full(3, np.inf), time=np.arange(4.0), names=("A", "B"),
        force_error=error,
    )  # fmt: skip


def test_forces_count_less_the_larger_their_errors():
    assert_allclose(data.loss_weights(frames_of(None)), np.ones((4, 1, 1)))
    assert_allclose(data.loss_weights(frames_of(np.full((4, 2, 3), 5.0))), np.ones((4, 2, 3)))
    error = np.random.default_rng(4).uniform(1, 3, (4, 2, 3))
    weight = data.loss_weights(frames_of(error))
    assert_allclose(weight.mean(), 1.0)
    assert_allclose(
        weight * (error**2 + (error**2).mean()), weight[0, 0, 0] * (error[0, 0, 0] ** 2 + (error**2).mean())
    )


def test_the_loss_has_these_weights():
    frames = frames_of(np.random.default_rng(4).uniform(1, 3, (4, 2, 3)))
    pulled = Potential(lambda key: jnp.array(0.3), lambda p, x, box: p * jnp.sum(x**2))
    tx = trainer.optimizer(TrainConfig(batch_size=4, epochs=1), 10)
    params, weight = pulled.init(jax.random.key(0)), data.loss_weights(frames)
    found = trainer.compile_updates(pulled, frames, tx).update(
        params, tx.init(params), frames.position, frames.force, weight
    )
    residual = frames.force + 2 * 0.3 * frames.position
    assert_allclose(found[2], np.mean(weight * residual**2), rtol=1e-12)


def test_errors_are_part_of_what_is_learnt_from(held):
    frames = sets.load(held)[1]
    assert data.frames_hash(frames) != data.frames_hash(replace(frames, force_error=None))
    assert json.loads((held / "manifest.json").read_text())["atomistic_ns"] == pytest.approx(20 * 0.4e-3)
