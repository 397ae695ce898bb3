"""What a simulation costs: seconds, and frames that had to be computed again."""

import time
from dataclasses import dataclass, field, replace

import numpy as np

from .engine import Engine


@dataclass(frozen=True, kw_only=True)
class Cost:
    """seconds: (T,) of each frame, without compiling; compile_s: of compiling, or of fetching what was compiled before;
    frames_redone: frames that were computed again with longer lists."""

    seconds: np.ndarray = field(default_factory=lambda: np.zeros(0))
    compile_s: float = 0.0
    frames_redone: int = 0

    @property
    def frame_s(self) -> float:
        """Seconds of the median frame."""
        return float(np.median(self.seconds))

    def first(self, n: int) -> "Cost":
        """The cost of the first n frames, compiling included."""
        return replace(self, seconds=self.seconds[:n])


class Meter:
    """Adds up the cost of a simulation that goes on from an earlier one's."""

    def __init__(self, engine: Engine, before: Cost):
        self.engine, self.cost = engine, replace(before, compile_s=before.compile_s + engine.compile_s)
        self.lap, self.compiled = time.perf_counter(), engine.compile_s

    def frame(self, redone: int) -> Cost:
        """The cost with one more frame, that which just ended."""
        now, compiling = time.perf_counter(), self.engine.compile_s - self.compiled
        elapsed, self.lap, self.compiled = now - self.lap, now, self.engine.compile_s
        self.cost = Cost(
            seconds=np.append(self.cost.seconds, elapsed - compiling),
            compile_s=self.cost.compile_s + compiling,
            frames_redone=self.cost.frames_redone + redone,
        )
        return self.cost
