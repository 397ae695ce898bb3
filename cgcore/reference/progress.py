"""How far the replicas of a run are, told by one bar."""

import time
from threading import Lock

from tqdm import tqdm

from ..units import PS_PER_NS, ns_per_day


class Progress:
    """One bar over the nanoseconds of all replicas, equilibration included, with their speed and the time left."""

    def __init__(self, name: str, total_ps: float, *, shown: bool):
        self.reached: dict[int, float] = {}
        self.lock, self.started = Lock(), time.perf_counter()
        layout = "{desc}: {percentage:3.0f}%|{bar}| {n:.4g}/{total:.4g} ns [{elapsed}<{remaining}{postfix}]"
        self.bar = tqdm(total=total_ps / PS_PER_NS, desc=f"{name}, GROMACS", bar_format=layout, disable=not shown)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bar.close()

    def report(self, number: int, ps: float, stage: str):
        """Where a replica is; its first report says what an earlier run had done."""
        with self.lock:
            if self.bar.disable:
                return
            first = number not in self.reached
            self.reached[number] = max(ps, self.reached.get(number, 0.0))
            new = min(sum(self.reached.values()) / PS_PER_NS, self.bar.total) - self.bar.n
            if first:
                self.bar.initial += new
            self.bar.update(new)
            if elapsed := time.perf_counter() - self.started:
                speed = ns_per_day((self.bar.n - self.bar.initial) * PS_PER_NS, elapsed)
                self.bar.set_postfix_str(f"{stage}, {speed:.3g} ns/day in all")
