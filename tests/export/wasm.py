"""engine.wasm in Python, by wasmtime, as engine.js has it in a page."""

from pathlib import Path

import numpy as np
import wasmtime

WASM = Path(__file__).parents[2] / "cgcore" / "export" / "web" / "engine.wasm"


class Module:
    """One model in a module of its own; code: what `load` said."""

    def __init__(self, words: np.ndarray, wasm: Path = WASM):
        self.store = wasmtime.Store()
        instance = wasmtime.Instance(self.store, wasmtime.Module.from_file(self.store.engine, wasm), [])
        self.exports, raw = instance.exports(self.store), np.asarray(words, np.uint32).tobytes()
        self.memory = self.exports["memory"]
        at = self.call("reserve", len(raw))
        self.memory.write(self.store, raw, at)
        self.code, self.n = self.call("load", at, len(raw)), self.call("beads")

    def call(self, name: str, *arguments):
        return self.exports[name](self.store, *arguments)

    def array(self, name: str) -> np.ndarray:
        """A copy of positions, velocities or forces, (N, 3)."""
        at = self.call(name)
        return np.frombuffer(self.memory.read(self.store, at, at + 12 * self.n), np.float32).reshape(-1, 3)

    def write(self, name: str, values: np.ndarray):
        self.memory.write(self.store, np.asarray(values, np.float32).tobytes(), self.call(name))

    def evaluate(self, position: np.ndarray) -> tuple[float, np.ndarray]:
        self.write("positions", position)
        return self.call("evaluate"), self.array("forces").astype(float)

    def start(self, position, seed: int, kelvin=300.0, dt_ps=0.002, friction=100.0) -> float:
        self.write("positions", position)
        return self.call("start", seed, kelvin, dt_ps, friction)
