"""What a simulation leaves on disk: frames as they come, and the state from which a killed run goes on."""

import jax
import jax.numpy as jnp
import numpy as np

from ..config import MDConfig
from ..frames import Ensemble
from ..store import Run, load_tree, save_tree
from .cost import Cost
from .dynamics import State
from .engine import Frame
from .lists import Plan
from .memory import Bias
from .system import SimulationError

STATE = "state.npz"


class Record:
    """Arrays on disk, chain by chain: position (C, T, N, 3), energy, kinetic and Status bits (C, T), and what a bias adds.

    identity: what the memory of the bias belongs to, None without a bias. Raises SimulationError for a folder that holds
    frames of another number or size.
    """

    def __init__(
        self, folder: Run, beads: int, config: MDConfig, bias: Bias | None = None, identity: str | None = None
    ):
        self.folder, self.config, self.identity = folder, config, identity
        series = (config.replicas, config.n_frames)
        self.position = self._open("position", (*series, beads, 3), np.float32)
        self.energy, self.kinetic = (self._open(name, series, np.float32) for name in ("energy", "kinetic"))
        self.status = self._open("status", series, np.int32)
        more = bias.recorded if bias else {}
        self.recorded = {name: self._open(name, (*series, *shape), np.float32) for name, shape in more.items()}

    def write(self, number: int, frame: Frame, status: np.ndarray):
        self.position[:, number] = frame.state.position
        self.energy[:, number] = frame.state.energy
        self.kinetic[:, number] = frame.kinetic
        self.status[:, number] = status
        for name, array in self.recorded.items():
            array[:, number] = frame.state.memory[name]

    def save(self, state: State, plan: Plan, done: int, cost: Cost):
        """Put frames and then the state, after `done` frames, where a loss of power does not take them."""
        for array in (self.position, self.energy, self.kinetic, self.status, *self.recorded.values()):
            array.flush()
        save_tree(
            self.folder.path(STATE),
            {
                "state": jax.tree.map(np.asarray, state._asdict()),
                "plan": {name: None if value is None else np.array(value) for name, value in vars(plan).items()},
                "cost": {name: np.array(value) for name, value in vars(cost).items()},
                "done": np.array(done),
                "bias": None if self.identity is None else np.array(self.identity),
            },
        )

    def load(self) -> tuple[State, Plan, int, Cost] | None:
        """What `save` wrote last: state, plan, frames done and their cost; None for a new run.

        Raises SimulationError for the state of another bias, or of the same bias on another model.
        """
        if not self.folder.path(STATE).is_file():
            return None
        saved = load_tree(self.folder.path(STATE))
        found = None if saved.get("bias") is None else str(saved["bias"])
        if found != self.identity:
            raise SimulationError(
                f"{self.folder.path(STATE)}: a run with the bias {found}, want {self.identity}; a bias holds for the "
                "model and the variables that it grew on. Choose another folder"
            )
        plan = {name: None if value is None else value.tolist() for name, value in saved["plan"].items()}
        plan["cells"] = plan["cells"] and tuple(plan["cells"])
        cost = saved["cost"]
        cost = Cost(
            seconds=cost["seconds"], compile_s=float(cost["compile_s"]), frames_redone=int(cost["frames_redone"])
        )
        return State(**jax.tree.map(jnp.asarray, saved["state"])), Plan(**plan), int(saved["done"]), cost

    def ensemble(self, names: tuple[str, ...]) -> Ensemble:
        status, n = np.asarray(self.status), self.config.n_frames
        return Ensemble(
            position=np.asarray(self.position),
            energy=np.asarray(self.energy),
            kinetic=np.asarray(self.kinetic),
            time=self.config.frame_ps * np.arange(1, n + 1),
            status=np.bitwise_or.reduce(status, axis=1),
            first_bad=np.where(status.any(1), (status != 0).argmax(1), n),
            names=names,
        )

    def _open(self, name: str, shape: tuple, dtype) -> np.memmap:
        path = self.folder.path(f"{name}.npy")
        mode = "r+" if path.is_file() else "w+"
        array = np.lib.format.open_memmap(path, mode=mode, dtype=dtype, shape=shape)
        if array.shape != shape:
            raise SimulationError(f"{path}: want shape {shape}, found {array.shape}; remove the folder")
        return array
