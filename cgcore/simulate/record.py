"""What a simulation leaves on disk: frames as they come, and the state from which a killed run goes on."""

import math
import os
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..config import MDConfig
from ..frames import Ensemble
from ..store import Run, StoreError, load_tree, require_room, save_tree
from ..store.files import naming
from .bias import Bias
from .cost import Cost
from .dynamics import State
from .engine import Frame
from .lists import ListParameters
from .system import SimulationError

STATE = "state.npz"


class Saved(NamedTuple):
    """The state at the end of the last frame that was kept, the lists in use, frames done and their cost."""

    state: State
    lists: ListParameters
    done: int
    cost: Cost


def disk_bytes(config: MDConfig, beads: int) -> float:
    """How much of a disk the frames of a simulation without a bias take."""
    return 4.0 * config.replicas * config.n_frames * (3 * beads + 3)


class Record:
    """Arrays on disk, chain by chain: position (C, T, N, 3), energy, kinetic and Status bits (C, T), and what a bias adds.

    saved: what `save` wrote last, None for a new run. A folder with fewer frames than config.n_frames is given room for
    more, one with more is left as it is; the disk's room is taken at once, so that it cannot run out under the arrays.
    Raises SimulationError for a folder that holds frames of another number of replicas or size, StoreError where frames
    that the state counts are not there.
    """

    saved: Saved | None = None

    def __init__(self, folder: Run, beads: int, config: MDConfig, bias: Bias | None = None):
        self.folder, self.config = folder, config
        self.saved = self._load()
        for part in folder.folder.glob("*.part"):  # of a process that was killed; this one holds the folder
            part.unlink()
        of_a_frame = {"position": (beads, 3), "energy": (), "kinetic": (), "status": ()}
        of_a_frame |= bias.recorded if bias else {}
        shapes = {name: (config.replicas, config.n_frames, *shape) for name, shape in of_a_frame.items()}
        require_room(folder.folder, sum(self._missing(*named) for named in shapes.items()))
        arrays = [self._open(*named) for named in shapes.items()]
        self.position, self.energy, self.kinetic, self.status = arrays[:4]
        self.recorded = dict(zip(tuple(shapes)[4:], arrays[4:], strict=True))
        if self.saved and not self.position[:, : self.saved.done].any((2, 3)).all():
            raise self._lost("position", "frames with every bead at the origin")

    def write(self, number: int, frame: Frame, status: np.ndarray):
        self.position[:, number] = frame.state.position
        self.energy[:, number] = frame.state.energy
        self.kinetic[:, number] = frame.kinetic
        self.status[:, number] = status
        for name, array in self.recorded.items():
            array[:, number] = frame.state.bias_state[name]

    def save(self, state: State, lists: ListParameters, done: int, cost: Cost):
        """Put frames and then the state, after `done` frames, where a loss of power does not take them."""
        for array in (self.position, self.energy, self.kinetic, self.status, *self.recorded.values()):
            array.flush()
        save_tree(
            self.folder.path(STATE),
            {
                "state": jax.tree.map(np.asarray, state._asdict()),
                "lists": {name: None if value is None else np.array(value) for name, value in vars(lists).items()},
                "cost": {name: np.array(value) for name, value in vars(cost).items()},
                "done": np.array(done),
            },
        )

    def _load(self) -> Saved | None:
        if not self.folder.path(STATE).is_file():
            return None
        saved = load_tree(self.folder.path(STATE), "state", "lists", "cost", "done")
        try:
            lists = {name: None if value is None else value.tolist() for name, value in saved["lists"].items()}
            lists["cells"] = lists["cells"] and tuple(lists["cells"])
            cost = {name: value if value.ndim else value.item() for name, value in saved["cost"].items()}
            state = State(**jax.tree.map(jnp.asarray, saved["state"]))
            found = Saved(state, ListParameters(**lists), int(saved["done"]), Cost(**cost))
            if not 0 < found.done == len(found.cost.seconds):
                raise ValueError(f"{found.done} frames done, and the cost of {len(found.cost.seconds)}")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._lost("state", f"a state that is not whole ({error})") from error
        return found

    def ensemble(self, names: tuple[str, ...]) -> Ensemble:
        """The frames of the configuration, the first ones of those on disk."""
        n = self.config.n_frames
        status = np.asarray(self.status)[:, :n]
        return Ensemble(
            position=np.asarray(self.position)[:, :n],
            energy=np.asarray(self.energy)[:, :n],
            kinetic=np.asarray(self.kinetic)[:, :n],
            time=self.config.frame_ps * np.arange(1, n + 1),
            status=np.bitwise_or.reduce(status, axis=1),
            first_bad=np.where(status.any(1), (status != 0).argmax(1), n),
            names=names,
        )

    def recorded_frames(self) -> dict[str, np.ndarray]:
        """What the bias keeps of each frame of the configuration, (C, T, ...)."""
        return {name: np.asarray(array)[:, : self.config.n_frames] for name, array in self.recorded.items()}

    def _missing(self, name: str, shape: tuple) -> int:
        """Bytes that an array of 4 bytes an item is still to take from the disk."""
        path, size = self.folder.path(f"{name}.npy"), 4 * math.prod(shape)
        return 0 if path.is_file() and path.stat().st_size >= size else size

    def _open(self, name: str, shape: tuple) -> np.memmap:
        path, dtype = self.folder.path(f"{name}.npy"), np.int32 if name == "status" else np.float32
        if self.saved is None:
            return _new(path, dtype, shape)
        try:
            array = np.load(path, mmap_mode="r")  # unlike mode r+, this one makes no file longer
        except (FileNotFoundError, ValueError, EOFError) as error:
            raise self._lost(name, f"a file that is missing or cut ({error})") from error
        if (array.shape[0], *array.shape[2:], array.dtype) != (shape[0], *shape[2:], dtype):
            raise SimulationError(f"{path}: want shape {shape}, found {array.shape} {array.dtype}; remove the folder")
        if array.shape[1] < self.saved.done:
            raise self._lost(name, f"{array.shape[1]} frames")
        if array.shape[1] < shape[1]:
            part = path.with_suffix(".part")
            longer = _new(part, dtype, shape)
            longer[:, : array.shape[1]] = array
            longer.flush()
            os.replace(part, path)  # the old frames stay whole until the new file has them
        return np.load(path, mmap_mode="r+")

    def _lost(self, name: str, found: str) -> StoreError:
        frames = f"{self.saved.done} frames" if self.saved else "frames"
        return StoreError(
            f"{self.folder.folder}: {STATE} counts {frames}, found {found} in {name}; was it copied in part or edited? "
            "Copy the whole folder again, or remove it to simulate anew"
        )


def _new(path: Path, dtype, shape: tuple) -> np.memmap:
    """An array on disk whose room is taken now. Raises OSError where there is none."""
    with naming(path):
        array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        if hasattr(os, "posix_fallocate"):
            with open(path, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array
