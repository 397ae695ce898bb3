"""Energies and forces of an exported folder, one frame at a time, for programs that call Python."""

import math
from contextlib import nullcontext
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ..neighbors import fullest_row
from ..potentials.base import add
from ..potentials.compiled import for_simulation
from ..simulate.lists import ListParameters, neighbours
from .folder import Exported
from .source import ExportError

SPARE = 1.2
"""Slots for each neighbour that is there."""
TOLERANCE = 1e-5
"""Of energies and of forces, root mean square over the frames to check by."""


class Forces:
    """A folder's potential as a function: forces(position (N, 3) nm, box (3,) nm) -> kJ/mol, (N, 3) kJ/mol/nm.

    Neighbours are found for each frame, in as many slots as that needs. As made it is held against the energies and forces
    of the folder.

    Args:
        exported: the folder.
        fast: single precision, and packed for the CPU where that can be, as simulations here are; else as trained, in
            double precision. What single precision leaves of positions shows in stiff bonds of large boxes.
        terms: the terms to take, as a slice; the folder's energies are those of all.

    Raises:
        ExportError: other energies than the folder's; when called, a frame that has no energy.
    """

    def __init__(self, exported: Exported, *, fast: bool = False, terms: slice = slice(None)):
        self.exported, self.fast = exported, fast
        self.dtype = np.float32 if fast else np.float64
        chosen = exported.terms[terms]
        with self._precision():
            params = tuple(jax.tree.map(partial(jnp.asarray, dtype=self.dtype), own) for _, own in chosen)
            potential = add(*(term for term, _ in chosen))
            if fast:
                potential, params, _ = for_simulation(potential, params, exported.position, exported.beads.box)
        self.potential, self.params = potential, params
        self.cutoff_nm = potential.listed.cutoff_nm if potential.listed else 0.0
        self._grow(fullest_row(exported.position, exported.beads.box, self.cutoff_nm) if potential.listed else 0)
        if len(chosen) == len(exported.terms):
            self._verify()

    def __call__(self, position: np.ndarray, box: np.ndarray | None = None) -> tuple[float, np.ndarray]:
        wanted = self.exported.position.shape[1:]
        if np.shape(position) != wanted:
            raise ExportError(f"want positions of {wanted[0]} beads, {wanted}, got {np.shape(position)}")
        box = self.exported.beads.box if box is None else np.asarray(box, float)
        if np.isfinite(box).all() != self.exported.beads.periodic or self.cutoff_nm > np.min(box) / 2:
            kind = f"sides of at least {2 * self.cutoff_nm:.3f} nm" if self.exported.beads.periodic else "no box"
            raise ExportError(f"want {kind}, got {box.tolist()}")
        while True:
            with self._precision():
                energy, force, usage = self._program(position.astype(self.dtype), box.astype(self.dtype))
            energy, force, fullest = float(energy), np.asarray(force, np.float64), int(usage.candidates)
            if fullest <= self.lists.candidates:
                break
            self._grow(fullest)
        if not (math.isfinite(energy) and np.isfinite(force).all()):
            raise ExportError("no finite energy or forces of these positions; did the simulation fail before?")
        return energy, force

    def _precision(self):
        """Positions in single precision are computed in that, whatever the session allows."""
        return nullcontext() if self.fast else jax.enable_x64(True)

    def _grow(self, fullest: int):
        """Make a program with room for so many neighbours of a bead."""
        slots = min(math.ceil(SPARE * fullest) + 1, self.exported.position.shape[1] - 1)
        self.lists = ListParameters(interval=1, candidates=slots, capacity=slots)

        def evaluate(position, box):
            find, energies = neighbours(self.potential, self.lists, self.params, box)
            return energies(position, find(position))

        self._program = jax.jit(evaluate)

    def _verify(self):
        found = [self(frame) for frame in self.exported.position]
        for what, ours, theirs in zip(
            ("energies", "forces"), zip(*found, strict=True), (self.exported.energy, self.exported.force), strict=True
        ):
            error = np.linalg.norm(np.subtract(ours, theirs)) / np.linalg.norm(theirs)
            if not error <= TOLERANCE:
                raise ExportError(f"{self.exported.folder}: {what} differ by {error:.1e} from those exported")
