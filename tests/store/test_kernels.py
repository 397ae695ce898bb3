"""The version of the kernels: changed by what they compute, and by nothing else."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cgcore import simulate, train
from cgcore.config import MDConfig, TrainConfig
from cgcore.data import Split
from cgcore.frames import Frames
from cgcore.potentials import barrier, mace, nequip
from cgcore.potentials.base import add, force
from cgcore.store import kernels

HERE = Path(__file__).parent
NUMBERS = HERE / "kernel_numbers.json"
SMALL = mace.network.MACEConfig(correlation=1, layers=1, channels=4, max_ell=1, n_bessel=4, radial_width=8)
"""A network that compiles in seconds, to train and to simulate with."""
FILES = {
    "__init__.py": "",
    "units.py": '"""Constants."""\nKB = 0.0083  # kJ/mol/K\n',
    "geometry.py": '"""Lengths."""\nimport numpy as np\nfrom .units import KB\n\ndef norm(x):\n    """Length."""\n    y = x * x\n'
    "    if (y < 0).any():\n        raise ValueError(f'want {KB}')\n    return np.sqrt(y.sum())\n",
    "neighbors.py": "from . import geometry\nfrom .errors import tell\n"
    "\ndef near(x, cut: float) -> bool:\n    return geometry.norm(x) < cut\n"
    "\ndef _far(x, cut):\n    return not near(x, cut=cut)\n"
    "\ndef ends(rows):\n    try:\n        return [sum(row) for row in rows], lambda row: (row, rows)\n"
    "    except TypeError as error:\n        tell(error)\n",
    "errors.py": "def tell(error):\n    print(len(error.args))\n",
    "plots.py": "from .geometry import norm\nCOLOUR = 'red'\n",
}


@pytest.fixture
def package(tmp_path):
    """change(file, old, new) -> the fingerprint of the room `geometry` after it."""

    def change(name: str = "units.py", old: str = "", new: str = "") -> str:
        root = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        (root / "cgcore").mkdir(parents=True)
        for file, text in FILES.items():
            assert old in FILES[name]
            (root / "cgcore" / file).write_text(text.replace(old, new) if file == name and old else text)
        return kernels.fingerprint("geometry", root)

    return change


@pytest.mark.parametrize(
    "name, old, new",
    [
        ("units.py", "# kJ/mol/K", "# of Boltzmann"),
        ("units.py", "Constants.", "Constants, all of them."),
        ("geometry.py", "Length.", "The length of a vector."),
        ("geometry.py", "want", "wanted was"),
        ("geometry.py", "x * x\n", "x * x  # squares\n\n"),
        ("geometry.py", "np", "numpy"),
        ("geometry.py", "x", "vector"),
        ("neighbors.py", ": float) -> bool", ")"),
        ("neighbors.py", "cut", "limit"),
        ("neighbors.py", "near", "is_near"),
        ("neighbors.py", "_far", "is_far"),
        ("neighbors.py", "row", "line"),
        ("neighbors.py", "lambda row: (row,", "lambda one: (one,"),
        ("neighbors.py", "error:\n        tell(error)", "e:\n        tell(e)"),
        ("neighbors.py", "import geometry\n", "import geometry, plots\n"),
        ("errors.py", "error", "e"),
        ("plots.py", "red", "blue"),
    ],
)
def test_what_changes_no_number_changes_no_version(package, name, old, new):
    assert package(name, old, new) == package()


@pytest.mark.parametrize(
    "name, old, new",
    [
        ("units.py", "0.0083", "0.0084"),
        ("geometry.py", "x * x", "x + x"),
        ("geometry.py", "np.sqrt", "np.cbrt"),
        ("neighbors.py", "< cut", "<= cut"),
        ("neighbors.py", "not near(", "not _far("),
        ("neighbors.py", "cut=cut", "x=cut"),
        ("neighbors.py", "lambda row: (row,", "lambda row: (rows,"),
        ("neighbors.py", "geometry.norm", "geometry.KB.norm"),
        ("errors.py", "len(error.args)", "error.args"),
    ],
)
def test_what_changes_numbers_changes_the_version(package, name, old, new):
    assert package(name, old, new) != package()


def test_code_that_nobody_judged_is_a_version_of_its_own(monkeypatch, tmp_path):
    record = tmp_path / "kernels.toml"
    record.write_text("")
    monkeypatch.setattr(kernels, "RECORD", record)
    kernels.version.cache_clear()
    assert kernels.version("geometry") == f"0+{kernels.fingerprint('geometry')}"
    kernels.record("bump", ["geometry"])
    assert kernels.version("geometry") == "1"
    record.write_text(record.read_text().replace(kernels.fingerprint("geometry"), "00000000"))
    kernels.version.cache_clear()
    assert kernels.version("geometry") == f"1+{kernels.fingerprint('geometry')}"
    kernels.record("same", ["geometry"])
    assert kernels.version("geometry") == "1"
    kernels.record("bump", ["geometry"])
    assert kernels.version("geometry") == "2"
    with pytest.raises(kernels.KernelError, match="want a room"):
        kernels.version("geometri")
    monkeypatch.undo()
    kernels.version.cache_clear()


@pytest.mark.parametrize("room", kernels.ROOMS)
def test_every_change_of_the_kernels_was_judged(room):
    assert "+" not in kernels.version(room), (
        f"the code of {room!r} changed. Where its numbers did too (test_the_numbers_of_the_kernels), results need new names: "
        f"cgcore kernels --bump {room}; else they keep theirs: cgcore kernels --same {room}"
    )


def frames(n: int) -> Frames:
    random = np.random.default_rng(3)
    position = np.array([[0.0, 0, 0], [0.15, 0, 0], [0.2, 0.14, 0], [0.34, 0.15, 0.05]])
    position = position + 0.01 * random.normal(size=(n, 4, 3))
    return Frames(
        position=position,
        force=100 * random.normal(size=(n, 4, 3)),
        box=np.full(3, np.inf),
        time=np.arange(n) * 1.0,
        names=tuple("ABCD"),
    )


def numbers(root: Path) -> dict[str, list[float]]:
    """What the kernels make of fixed input: energies, forces, losses of a training, positions of a trajectory."""
    learnt, species = frames(24), (0, 1, 1, 0)
    found = {}
    for name, module, config in (("mace", mace, mace.network.MACEConfig(channels=8)), ("nequip", nequip, None)):
        config = config or nequip.NequIPConfig(channels=4, layers=1)
        potential = module.build(module.for_frames(config, species, learnt))
        params = potential.init(jax.random.key(1))
        x, box = jnp.asarray(learnt.position[0]), jnp.asarray(learnt.box)
        both = jax.jit(lambda p, x, b=box, of=potential: (of.energy(p, x, b), force(of, p, x, b)))
        energy, forces = both(params, x)
        found[name] = [float(energy), *np.ravel(forces)[:3]]
    potential = mace.build(mace.for_frames(SMALL, species, learnt))
    split = Split(learnt[:16], 0, learnt[16:], (0,))
    fit = train.fit(potential, split, TrainConfig(epochs=2, batch_size=8, learning_rate=0.05), root, progress=False)
    found["train"] = [*fit.train_loss, *fit.valid_loss]
    repulsion = barrier.build(barrier.repulsion(species, learnt, liquid=False))
    both, params = add(potential, repulsion), (fit.params, {})
    molecule = simulate.Molecule(
        names=learnt.names, mass=np.full(4, 12.0), bonds=np.array([[0, 1]]), bond_length=np.full(1, 0.15)
    )
    md = MDConfig(replicas=2, n_frames=2, steps_per_frame=5, dt_ps=0.001, bond_tolerance_nm=9.0)
    run = simulate.run(both, params, molecule, learnt.position[:2], md, root, progress=False)
    found["simulate"] = [*np.ravel(run.ensemble.position[:, -1, 0]), *np.ravel(run.ensemble.energy)]
    return {name: [float(v) for v in values] for name, values in found.items()}


def test_the_numbers_of_the_kernels(tmp_path):
    """As they were when the versions were recorded; other numbers want `cgcore kernels --bump`."""
    recorded = json.loads(NUMBERS.read_text())
    for name, values in numbers(tmp_path).items():
        np.testing.assert_allclose(values, recorded[name], rtol=2e-5, atol=2e-5, err_msg=name)
