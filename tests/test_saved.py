"""Trained networks as files: the same energies from what is read, and errors for what is none."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgcore import store
from cgcore.config import MACEConfig, NequIPConfig
from cgcore.potentials import mace, nequip, saved
from cgcore.potentials.base import PotentialError

X = np.random.default_rng(3).uniform(0, 0.6, (4, 3))
SMALL = dict(channels=2, n_bessel=3, radial_width=4, max_ell=1, layers=2)


def network(module, config, **more):
    return module.Model(config=config, species=(0, 1, 1, 0), n_species=2, mean_neighbours=3.0, **more)


MODELS = [
    network(mace, MACEConfig(**SMALL, readout_width=2)),
    network(mace, MACEConfig(**SMALL, readout_width=2, bond_types=True), bonds=((0, 1), (1, 2))),
    network(nequip, NequIPConfig(**SMALL)),
]


@pytest.mark.parametrize("model", MODELS, ids=["mace", "bond types", "nequip"])
def test_what_is_read_is_what_was_written(model, tmp_path):
    potential = (mace if isinstance(model, mace.Model) else nequip).build(model)
    params = potential.init(jax.random.key(1))
    path = saved.write(tmp_path / "model.npz", model, params)
    again, same, found = saved.read(path)
    assert again == model
    box = np.full(3, np.inf)
    assert_allclose(same.energy(found, X, box), potential.energy(params, X, box), rtol=1e-14)


def test_what_is_no_network_is_refused(tmp_path):
    model, path = MODELS[0], tmp_path / "model.npz"
    params = mace.build(model).init(jax.random.key(1))
    store.save_tree(path, params)
    with pytest.raises(PotentialError, match="want a trained network with its model"):
        saved.read(path)
    saved.write(path, replace(model, species=(0, 1, 2, 0), n_species=3), params)
    with pytest.raises(PotentialError, match=r"not those of the model.*node_embedding"):
        saved.read(path)
    tree = store.load_tree(saved.write(path, model, params))
    for old, new, words in (
        ('"mace"', '"schnet"', "want a network of"),
        ('"channels"', '"chanels"', "another version of cgcore.*did you mean 'channels'"),
        ('"n_species"', '"species_count"', "another version of cgcore"),
    ):
        store.save_tree(path, tree | {"model": np.array(str(tree["model"]).replace(old, new))})
        with pytest.raises(PotentialError, match=words):
            saved.read(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(store.StoreError, match="not a whole npz"):
        saved.read(path)
