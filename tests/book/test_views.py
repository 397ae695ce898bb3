"""Views to play, cut out of made-up trajectories: an exchange, an inversion, helices of either handedness, a new bond."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgbook import views
from cgcore import mapping, store
from cgcore.analysis.helix import handedness
from cgcore.reference import sets


def observation(runs: Path, position: np.ndarray | None, *, protocol="nvt", dt_ps=0.002, **data) -> dict:
    """A manifest whose one simulation has these positions (C, T, N, 3), all of which count."""
    if position is not None:
        (runs / "md" / "abc").mkdir(parents=True)
        np.save(runs / "md" / "abc" / "position.npy", np.asarray(position, np.float32))
        np.save(runs / "md" / "abc" / "status.npy", np.zeros(position.shape[:2], int))
    md = {"dt_ps": dt_ps, "steps_per_frame": round(0.5 / dt_ps)}
    config = {"protocol": protocol, "data": {"typing": "published"} | data, "md": md}
    return {"config": config, "made_of": {"simulations": ["abc"]}}


def test_the_first_exchange_is_cut_out_of_its_run(tmp_path):
    """A hundred still molecules on a lattice, of which two neighbours swap halves after ten frames."""
    topology, _ = sets.load("hexane", stride=400)
    bonds = np.asarray(mapping.load("two_site", topology, residue="hex").bonds)
    still = np.zeros((200, 3))
    still[bonds[:, 0]] = 0.55 * np.stack(np.meshgrid(*map(np.arange, (5, 5, 4)), indexing="ij"), -1).reshape(-1, 3)
    still[bonds[:, 1]] = still[bonds[:, 0]] + [0.25, 0, 0]
    swapped, ends = still.copy(), bonds[[3, 7], 1]
    swapped[ends] = still[ends[::-1]]
    liquid = dict(map="two_site", residue="hex", reference="hexane")
    assert views.write(observation(tmp_path, None, **liquid), tmp_path, tmp_path) == []  # its trajectory was not kept
    made = observation(tmp_path, np.stack([still] * 10 + [swapped] * 20)[None], **liquid)
    (path,) = views.write(made, tmp_path, tmp_path)
    view = store.read_npz(path)
    first, last = (np.linalg.norm(np.diff(view["position"][k].reshape(2, 2, 3), axis=1), axis=-1) for k in (0, -1))
    assert_allclose(first, 0.25, rtol=1e-6)
    assert last.min() > 0.5 and view["position"].shape == (30, 4, 3) and view["frame_ps"] == 0.5
    assert view["bonds"][[0, 9]].tolist() == [[[0, 1], [2, 3]]] * 2
    assert view["bonds"][[10, -1]].tolist() == [[[0, 3], [1, 2]]] * 2  # a stick for each new bond
    assert views.write(made, tmp_path, tmp_path) == [], "a view that is there stays"
    assert views.write(made, tmp_path, tmp_path, replace=True) == [path]


def test_the_first_passage_is_the_one_that_stays():
    """To the top and back is none."""
    angle = np.array([2.1, 2.0, 2.2, 3.1, -3.1, 3.0, 2.1, 2.1, 3.0, -3.0, -2.2, -2.1, -2.0])
    assert views.first_passage(angle) == 10
    assert views.first_passage(angle[:9]) is None


def test_an_inversion_is_cut_out_at_its_first_passage(tmp_path):
    """Alanine as it is, and from the thirtieth frame of the second replica on its mirror image."""
    topology, atoms = sets.load("ala2", stride=1000)
    beads = mapping.load("core_beta", topology, residue="ala")
    x = np.asarray(mapping.apply(beads, atoms).position[0])
    position = np.tile(x, (2, 60, 1, 1))
    position[1, 30:, :, 0] *= -1
    alanine = dict(map="core_beta", residue="ala", reference="ala2")
    assert views.write(observation(tmp_path / "other", position, **alanine), tmp_path / "other", tmp_path) == []
    made = observation(tmp_path, position, protocol="inversion", dt_ps=0.001, **alanine)
    (path,) = views.write(made, tmp_path, tmp_path)
    view = store.read_npz(path)
    assert path.name == "crossing.npz" and view["position"].shape == (50, 6, 3) and view["frame_ps"] == 0.5
    assert_allclose(view["position"][[24, 25], :, 0], [x[:, 0], -x[:, 0]], rtol=1e-6)
    assert list(view["names"]) == ["C_ace", "N", "CA", "CB", "C", "N_nme"]


def test_helices_of_either_handedness_and_a_new_bond_are_cut_out(tmp_path):
    """Replica 0 winds up to the right, replica 1 to the left, and then its end lies down elsewhere."""
    k, n_frames = np.arange(15), 120
    turn = np.radians(100.0) * k
    helix = np.stack([0.23 * np.cos(turn), 0.23 * np.sin(turn), 0.15 * k], axis=-1)
    part = np.linspace(0, 1, n_frames)[:, None, None] ** 0.2
    line = np.stack([0 * k, 0 * k, 0.38 * k], axis=-1)
    x = np.stack([(1 - part) * line + part * helix, (1 - part) * line + part * helix * [1, -1, 1]])
    x[1, 100:, 0] = x[1, 100:, 3] + [0.3, 0.0, 0.0]
    made = observation(tmp_path, x, map="chain_ca", residue="ala", reference="ala15_obc2")
    assert [path.stem for path in views.write(made, tmp_path, tmp_path)] == ["right", "left", "switch"]
    right, left, switch = (store.read_npz(tmp_path / f"{name}.npz") for name in ("right", "left", "switch"))
    assert handedness(right["position"][-1]) > 0.03 and handedness(left["position"][-1]) < -0.03
    assert 2 <= len(right["position"]) <= 50 and right["frame_ps"] == 2.0
    ends = np.linalg.norm(switch["position"][:, 0] - switch["position"][:, 3], axis=-1)
    assert ends[-1] == pytest.approx(0.3, abs=1e-6) and len(switch["species"]) == 15
    assert [0, 1] in switch["bonds"][0].tolist() and [0, 3] not in switch["bonds"][0].tolist()
    assert [0, 3] in switch["bonds"][-1].tolist() and [0, 1] not in switch["bonds"][-1].tolist()


@pytest.mark.parametrize("name", ["hexane/exchange", "polyalanine/switch"])
def test_the_published_clips_draw_the_new_bonds(name):
    """A stick in every frame for each bond, none drawn out, and at the end another one than at the start."""
    view = store.read_npz(Path(__file__).parents[2] / "book" / "results" / f"{name}.npz")
    ends = np.take_along_axis(view["position"], view["bonds"].reshape(len(view["bonds"]), -1, 1), axis=1)
    length = np.linalg.norm(np.diff(ends.reshape(*view["bonds"].shape, 3), axis=2), axis=-1)
    assert length.max() < 0.55 and length[-1].max() < 0.45
    first, last = (set(map(tuple, view["bonds"][k].tolist())) for k in (0, -1))
    assert first != last and len(first) == len(last)
