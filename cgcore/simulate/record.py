"""What a simulation leaves on disk: frames as they come, and the state from which a killed run goes on."""

import os
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..config import MDConfig
from ..frames import Ensemble
from ..store import Run, load_tree, save_tree
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


class Record:
    """Arrays on disk, chain by chain: position (C, T, N, 3), energy, kinetic and Status bits (C, T), and what a bias adds.

    A folder with fewer frames than config.n_frames is given room for more, one with more is left as it is.
    Raises SimulationError for a folder that holds frames of another number of replicas or size.
    """

    def __init__(self, folder: Run, beads: int, config: MDConfig, bias: Bias | None = None):
        self.folder, self.config = folder, config
        self.position = self._open("position", (beads, 3), np.float32)
        self.energy, self.kinetic = (self._open(name, (), np.float32) for name in ("energy", "kinetic"))
        self.status = self._open("status", (), np.int32)
        more = bias.recorded if bias else {}
        self.recorded = {name: self._open(name, shape, np.float32) for name, shape in more.items()}

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

    def load(self) -> Saved | None:
        """What `save` wrote last; None for a new run."""
        if not self.folder.path(STATE).is_file():
            return None
        saved = load_tree(self.folder.path(STATE))
        lists = {name: None if value is None else value.tolist() for name, value in saved["lists"].items()}
        lists["cells"] = lists["cells"] and tuple(lists["cells"])
        cost = saved["cost"]
        cost = Cost(
            seconds=cost["seconds"], compile_s=float(cost["compile_s"]), frames_redone=int(cost["frames_redone"])
        )
        state = State(**jax.tree.map(jnp.asarray, saved["state"]))
        return Saved(state, ListParameters(**lists), int(saved["done"]), cost)

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

    def _open(self, name: str, of_a_frame: tuple, dtype) -> np.memmap:
        path, shape = self.folder.path(f"{name}.npy"), (self.config.replicas, self.config.n_frames, *of_a_frame)
        if not path.is_file():
            return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        array = np.lib.format.open_memmap(path, mode="r+")
        if (array.shape[0], *array.shape[2:]) != (shape[0], *shape[2:]):
            raise SimulationError(f"{path}: want shape {shape}, found {array.shape}; remove the folder")
        if array.shape[1] >= shape[1]:
            return array
        part = path.with_suffix(".part")
        longer = np.lib.format.open_memmap(part, mode="w+", dtype=dtype, shape=shape)
        longer[:, : array.shape[1]] = array
        longer.flush()
        os.replace(part, path)  # the old frames stay whole until the new file has them
        return np.lib.format.open_memmap(path, mode="r+")
