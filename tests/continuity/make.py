"""Write what this version leaves on disk: networks with energies, a finished fit, and a fit and a simulation cut short.

    uv run python tests/continuity/make.py tests/continuity/<version>

Everything is small and in single precision, as runs are.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import numpy as np

from cgcore import mapping, simulate, store, train
from cgcore.config import MACEConfig, MDConfig, NequIPConfig, TrainConfig
from cgcore.data import Split, bond_lengths
from cgcore.frames import Frames
from cgcore.potentials import mace, nequip, saved
from cgcore.reference import sets
from cgcore.simulate.record import Record

SMALL = dict(channels=4, max_ell=1, n_bessel=4, radial_width=8, layers=1)
MODELS = {
    "mace": (mace, MACEConfig(correlation=2, readout_width=4, **SMALL)),
    "nequip": (nequip, NequIPConfig(radial_depth=1, **SMALL)),
}
TRAIN = TrainConfig(epochs=6, batch_size=8, learning_rate=0.02)
MD = MDConfig(replicas=2, n_frames=8, steps_per_frame=10, dt_ps=0.001, bond_tolerance_nm=1.0)


class CutShortError(Exception):
    """In place of a power cut."""


def inputs(folder: Path) -> tuple[dict[str, np.ndarray], Split, simulate.Molecule]:
    """The arrays of a folder, its frames to train on and held out, and the molecule."""
    a = store.read_npz(folder / "inputs.npz")
    frames = Frames(
        position=a["position"],
        force=a["force"],
        box=np.full(3, np.inf),
        time=a["time"],
        names=tuple(a["names"].tolist()),
    )
    parts = Split(train=frames[:32], gap_count=0, valid=frames[32:], valid_blocks=(1,))
    molecule = simulate.Molecule(
        names=frames.names, mass=a["mass"], bonds=a["bonds"], bond_length=bond_lengths(frames, a["bonds"])
    )
    return a, parts, molecule


def cut_short(room, name: str, calls: int, run):
    """Run until a function of a module or class has been called so often, and no further."""
    whole, left = getattr(room, name), iter(range(calls - 1))

    def until(*args):
        whole(*args)
        if next(left, None) is None:
            raise CutShortError

    setattr(room, name, until)
    try:
        run()
    except CutShortError:
        pass
    finally:
        setattr(room, name, whole)


def main(folder: Path):
    topology, atoms = sets.load("ala2", stride=100)
    beads = mapping.load("core", topology, residue="ala")
    mapped = mapping.apply(beads, atoms[:40], require_forces=True)
    arrays = {k: np.asarray(getattr(mapped, k)) for k in ("position", "force", "time")}
    folder.mkdir(parents=True)
    store.write_npz(folder / "inputs.npz", **arrays, names=np.array(beads.beads), mass=beads.mass, bonds=beads.bonds)
    a, parts, molecule = inputs(folder)
    wanted = {}
    for name, (module, config) in MODELS.items():
        model = module.for_frames(config, beads.species, parts.train, liquid=False)
        params = module.build(model).init(jax.random.key(1))
        saved.write(folder / f"{name}.npz", model, params)
        with jax.enable_x64(True):
            _, potential, params = saved.read(folder / f"{name}.npz")
            wanted[f"{name}_energy"] = np.array([potential.energy(params, x, parts.train.box) for x in a["position"]])
    model, potential, params = saved.read(folder / "mace.npz")
    moving = (potential, params, molecule, a["position"][:2], MD)
    with TemporaryDirectory() as elsewhere:
        fitted = train.fit(potential, parts, TRAIN, folder / "finished")
        simulated = simulate.run(*moving, Path(elsewhere))
        wanted |= {"losses": fitted.valid_loss, "position": simulated.ensemble.position[:, -1]}
        wanted |= {"potential_energy": simulated.ensemble.energy}
    cut_short(train, "_save", TRAIN.epochs // 2, lambda: train.fit(potential, parts, TRAIN, folder / "half"))
    simulate.driver.CHECKPOINT_S = 0.0
    cut_short(Record, "save", MD.n_frames // 2, lambda: simulate.run(*moving, folder / "half"))
    store.write_npz(folder / "wanted.npz", **wanted)
    for lock in folder.rglob(".lock"):
        lock.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
