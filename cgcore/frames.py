"""What a trajectory is: named, unit-carrying arrays, and what can go wrong in a simulation.

Axis letters: C chains (replicas), T frames, A atoms, N beads, P pairs. Chains are never flattened into frames.
"""

import enum
from dataclasses import dataclass, field, replace
from itertools import pairwise

import jax
import numpy as np
from jax import Array


def pytree(cls):
    """Freeze a class as a keyword-only dataclass and register it with JAX."""
    return jax.tree_util.register_dataclass(dataclass(frozen=True, kw_only=True)(cls))


@dataclass(frozen=True, kw_only=True)
class Topology:
    """The atoms of one system, in file order.

    names, residues, elements: A strings each; residue_index: A integers, one value per residue;
    mass: (A,) g/mol; bonds: (P, 2) atom indices, i < j; constraints: (Q, 2) atoms whose distance the simulation held
    fixed, by forces that no trajectory has; residue_labels: A numbers of residues as the file has them, for messages.
    """

    names: tuple[str, ...]
    residues: tuple[str, ...]
    residue_index: tuple[int, ...]
    elements: tuple[str, ...]
    mass: np.ndarray
    bonds: np.ndarray
    constraints: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), int))
    residue_labels: tuple[str, ...] = ()

    @property
    def n_atoms(self) -> int:
        return len(self.names)

    def residue(self, atom: int) -> str:
        """The residue of an atom, as its file numbers it: ALA2."""
        number = self.residue_labels[atom] if self.residue_labels else self.residue_index[atom] + 1
        return f"{self.residues[atom]}{number}"

    def atom(self, atom: int) -> str:
        """An atom for messages: ALA2:CB."""
        return f"{self.residue(atom)}:{self.names[atom]}"

    def take(self, atoms: np.ndarray) -> "Topology":
        """Some of the atoms, ascending, with the bonds and constraints between them."""
        place = np.full(self.n_atoms, -1)
        place[atoms] = np.arange(len(atoms))
        names = ("names", "residues", "elements", "residue_labels")
        some = {name: tuple(values[a] for a in atoms) if (values := getattr(self, name)) else () for name in names}
        pairs = {name: place[getattr(self, name)] for name in ("bonds", "constraints")}
        pairs = {name: both[(both >= 0).all(axis=1)] for name, both in pairs.items()}
        residue_index = np.unique(np.asarray(self.residue_index)[atoms], return_inverse=True)[1].tolist()
        return replace(self, mass=self.mass[atoms], residue_index=tuple(residue_index), **some, **pairs)


@pytree
class Frames:
    """Frames of one trajectory, or of the replicas of one simulation, of atoms or of beads; molecules are whole."""

    position: Array  # (T, N, 3) nm
    force: Array | None  # (T, N, 3) kJ/mol/nm; None where the file has none
    box: Array  # (3,) nm, inf where not periodic
    time: Array  # (T,) ps, on the clock of each replica
    names: tuple[str, ...] = field(metadata={"static": True})  # N, in array order
    replica: Array | None = None  # (T,) number of the run that each frame is of, ascending; None: all are of one
    weight: Array | None = None  # (T,) what each counts of a run with a bias, mean 1 in a replica; None: all alike
    force_error: Array | None = None  # (T, N, 3) kJ/mol/nm, standard errors of forces that are means over atoms

    @property
    def n_frames(self) -> int:
        return self.position.shape[0]

    @property
    def weights(self) -> np.ndarray:
        """(T,) what each frame counts: `weight`, or ones."""
        return np.ones(self.n_frames) if self.weight is None else np.asarray(self.weight, dtype=np.float64)

    @property
    def counting(self) -> float:
        """How many frames that count alike are worth these: (sum w)^2 / sum w^2 (Kish)."""
        return float(self.weights.sum() ** 2 / np.square(self.weights).sum())

    @property
    def sampled_ps(self) -> np.ndarray:
        """(T,) ps of simulation behind each frame: `time`, to which each replica adds the whole of those before it.

        A replica's first frame comes one spacing of its own after the last of the one before.
        """
        time = np.asarray(self.time, dtype=np.float64).copy()
        edges = [] if self.replica is None else [*np.flatnonzero(np.diff(self.replica)) + 1, len(time)]
        for start, end in pairwise(edges):
            spacing = time[start + 1] - time[start] if end - start > 1 else 1.0
            time[start:end] = time[start:end] - time[start] + time[start - 1] + spacing
        return time

    def by_replica(self) -> tuple[np.ndarray, np.ndarray]:
        """Index the frames by replica: (R, L) indices, and (R, L) true where there is one; L is the longest's."""
        number = np.zeros(self.n_frames, int) if self.replica is None else np.asarray(self.replica)
        counts = np.unique(number, return_counts=True)[1]
        valid = np.arange(counts.max()) < counts[:, None]
        index = np.zeros(valid.shape, int)
        index[valid] = np.arange(self.n_frames)
        return index, valid

    def __getitem__(self, frames: slice | np.ndarray) -> "Frames":
        """The frames that a slice or an index array selects."""
        names = ("force", "replica", "weight", "force_error")
        some = {name: None if (a := getattr(self, name)) is None else a[frames] for name in names}
        return replace(self, position=self.position[frames], time=self.time[frames], **some)


class Status(enum.IntFlag):
    """What happened to one replica; several may hold at once."""

    OK = 0
    NONFINITE = 1
    NEIGHBOURS_FULL = 2
    BOND_BROKEN = 4
    OVERHEATED = 8


@pytree
class Ensemble:
    """Replicas of one simulation on a common clock.

    Frames from `first_bad[c]` on do not count: the replica had failed by then.
    """

    position: Array  # (C, T, N, 3) nm
    energy: Array  # (C, T) kJ/mol
    kinetic: Array  # (C, T) kJ/mol
    time: Array  # (T,) ps
    status: Array  # (C,) Status bits
    first_bad: Array  # (C,) index of the first bad frame, T where there is none
    names: tuple[str, ...] = field(metadata={"static": True})  # N, in array order

    @property
    def valid(self) -> np.ndarray:
        """(C, T) true where a frame counts."""
        return np.arange(self.position.shape[1])[None, :] < np.asarray(self.first_bad)[:, None]

    @property
    def n_failed(self) -> int:
        return int(np.count_nonzero(np.asarray(self.status)))
