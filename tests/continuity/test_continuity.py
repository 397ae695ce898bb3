"""What earlier versions left on disk loads, and goes on to the numbers that they would have reached."""

import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from continuity import make
from numpy.testing import assert_allclose

from cgcore import simulate, store, train
from cgcore.potentials import saved
from cgcore.store import kernels

VERSIONS = sorted(path for path in Path(__file__).parent.iterdir() if (path / "inputs.npz").is_file())
pytestmark = pytest.mark.parametrize("folder", VERSIONS, ids=lambda path: path.name)


@pytest.fixture
def copied(folder, tmp_path):
    """The runs that were cut short, where they may be changed; passed over where kernels have other numbers now."""
    for config in (folder / "half").rglob("config.json"):
        before = store.read_json(config)["kernels"]
        now = {room: kernels.version(room) for room in before}
        if now != before:
            pytest.skip(f"kernels {before} are {now} now: such runs begin anew, under another name")
    return shutil.copytree(folder / "half", tmp_path / "half")


@pytest.mark.parametrize("kind", sorted(make.MODELS))
def test_a_network_gives_the_energies_that_it_had(folder, kind):
    a, parts, _ = make.inputs(folder)
    _, potential, params = saved.read(folder / f"{kind}.npz")
    energies = [potential.energy(params, x, parts.train.box) for x in a["position"].astype(float)]
    assert_allclose(energies, store.read_npz(folder / "wanted.npz")[f"{kind}_energy"], rtol=1e-6)


def test_a_finished_fit_is_read_back(folder):
    (fit,) = (folder / "finished" / "fit").iterdir()
    table = store.read_json(fit / "manifest.json")["results"]
    _, potential, params = saved.read(fit)
    _, parts, _ = make.inputs(folder)
    missed = train.predict(potential, params, parts.valid) - np.asarray(parts.valid.force)
    wanted = store.read_npz(folder / "wanted.npz")["losses"]
    assert np.mean(missed**2) == pytest.approx(wanted.min(), rel=1e-5) and table["epochs"] == make.TRAIN.epochs


def test_a_fit_that_was_cut_short_goes_on(folder, copied):
    """The last of its epochs; the tolerance is for the order of sums in single precision on another machine."""
    _, parts, _ = make.inputs(folder)
    (before,) = (copied / "fit").iterdir()
    kept = store.load_tree(before / "checkpoint.npz")["losses"]
    with jax.enable_x64(False):
        _, potential, _ = saved.read(folder / "mace.npz")
        fitted = train.fit(potential, parts, make.TRAIN, copied, progress=False)
    assert fitted.run.folder == before and 0 < len(kept) < make.TRAIN.epochs
    assert_allclose(fitted.epoch_s[: len(kept)], kept[:, 2], rtol=1e-12)  # taken over, not computed again
    assert_allclose(fitted.valid_loss, store.read_npz(folder / "wanted.npz")["losses"], rtol=1e-3)


def test_a_simulation_that_was_cut_short_goes_on(folder, copied):
    """The last steps of eighty, of a friction that forgets rounding faster than it grows: positions to 1e-5 nm."""
    a, _, molecule = make.inputs(folder)
    (before,) = (copied / "md").iterdir()
    assert 0 < int(store.load_tree(before / "state.npz")["done"]) < make.MD.n_frames
    with jax.enable_x64(False):
        _, potential, params = saved.read(folder / "mace.npz")
        ended = simulate.run(potential, params, molecule, a["position"][:2], make.MD, copied, progress=False)
    wanted = store.read_npz(folder / "wanted.npz")
    assert ended.run.folder == before
    assert_allclose(ended.ensemble.position[:, -1], wanted["position"], atol=1e-5)
    assert_allclose(ended.ensemble.energy, wanted["potential_energy"], atol=1e-3)
