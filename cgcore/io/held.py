"""A topology held against frames: forces of other positions, and distances that the run kept rigid; for bonds see `bonds`.

For every field of displacements g of the coordinates, <f . g> = -kT <div g> in the canonical ensemble, in a box as in vacuum.
Moving all atoms of a free molecule away from its centre, g = r - r_mean, gives -3 (A - 1) kT for A atoms, with an error of
hundreds of kJ/mol a frame. Here every bond of length r between i and j is stretched about its mean d by

    g_i = (r - d) u / 2,   g_j = -(r - d) u / 2,   div g = 1 + 2 (r - d) / r,

of which some ten frames already tell the sign and the unit. The error is that over blocks and over bonds: in a short run a bond
keeps what energy it happens to have. Atoms between which the run held distances move together, as
one body, so that the forces of constraints, which no trajectory has, do no work.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from cgcore.units import FORCES, kT

from ..config import did_you_mean
from ..frames import Frames, Topology
from ..geometry import molecules, paths
from .raw import TrajectoryError

MOST = 400_000
"""Atoms in all frames by which forces and rigid distances are looked at; evenly spread."""
LEAST, LEAST_PS = 20, 0.1
"""Frames, and the time between the first and the last, from which on forces and rigid distances are looked at."""
BLOCKS, DEVIATIONS = 20, 5.0
"""Of the error of what forces do, and how many standard errors decide."""
WINDOW = 3.0
"""Factor by which forces may miss what the temperature wants: that of the bonds depends on the time step, too."""
RIGID, MOBILE = 2e-3, 1e-2
"""Standard deviation over mean up to which a distance is rigid, and from which on, at 300 K, it is not: bonds have 0.02."""
CONSTRAINTS = ("none", "h-bonds", "all-bonds")


class Virial(NamedTuple):
    """<f . g> over -kT <div g>, 1 where forces belong to positions, and its standard error; frames and bonds that count."""

    ratio: float
    error: float
    frames: int
    bonds: int

    @property
    def fits(self) -> bool | None:
        """Whether the forces can belong to the positions; None where that cannot be told."""
        low, high = (self.ratio + sign * DEVIATIONS * self.error for sign in (-1, 1))
        if not np.isfinite(self.error) or (low < 1 / WINDOW and high > WINDOW):
            return None
        return high >= 1 / WINDOW and low <= WINDOW


def virial(frames: Frames, bonds: np.ndarray, constraints: np.ndarray, temperature_K: float, shift: int = 0) -> Virial:
    """Compare the work of forces on stretched bonds (P, 2) with kT.

    Args:
        frames: of atoms or beads, with forces.
        constraints: (Q, 2) atoms that move as one.
        shift: take the forces of so many frames later.
    """
    n = len(frames.names)
    body = molecules(constraints, n)
    i, j = bonds[body[bonds[:, 0]] != body[bonds[:, 1]]].T
    at = np.arange(max(0, -shift), frames.n_frames - max(0, shift), _stride(frames))
    if not _enough(frames) or len(i) < 2:
        return Virial(np.nan, np.nan, len(at), len(i))
    force = np.asarray(frames.force)[at + shift].swapaxes(0, 1).reshape(n, -1).astype(float)
    of_body = csr_array((np.ones(n), (body, np.arange(n)))) @ force
    x = np.asarray(frames.position)[at].swapaxes(0, 1).astype(float)
    vector = x[i] - x[j]
    r = np.linalg.norm(vector, axis=-1)
    stretch = r - r.mean(1, keepdims=True)
    pull = np.sum(vector / r[..., None] * (of_body[body[i]] - of_body[body[j]]).reshape(vector.shape), axis=-1) / 2
    work, wanted = pull * stretch, -kT(temperature_K) * (1 + 2 * stretch / r)
    blocks = np.array([block.mean() for block in np.array_split(work.sum(0) / wanted.sum(0).mean(), BLOCKS)])
    each = work.mean(1) / wanted.mean(1)
    error = np.hypot(*(x.std(ddof=1) / np.sqrt(len(x)) for x in (blocks, each)))
    return Virial(float(each.mean()), float(error), len(at), len(i))


def check_forces(where, frames: Frames, bonds: np.ndarray, constraints: np.ndarray, temperature_K: float) -> Virial:
    """Raise TrajectoryError where the forces do not belong to the positions, and say what they look like (see `virial`).

    What is returned may not be able to tell: few frames, no bonds that change.
    """
    if not np.any(frames.force):
        raise TrajectoryError(
            f"{where}: all forces are zero; want those of the simulation, or frames without forces. Did the run write forces "
            "(nstfout in GROMACS)?"
        )
    found = virial(frames, bonds, constraints, temperature_K)
    if found.fits is not False:
        return found
    size, significant = abs(found.ratio), abs(found.ratio) > DEVIATIONS * found.error
    unit = min(FORCES, key=lambda u: abs(np.log(max(size, 1e-12) * FORCES[u])))
    later = [shift for shift in (1, -1) if virial(frames, bonds, constraints, temperature_K, shift).fits]
    if later:
        looks = f"those of the frame {'after' if later[0] > 0 else 'before'} do: shifted by one frame?"
    elif significant and 1 / WINDOW < size * FORCES[unit] < WINDOW:
        sign = " with the opposite sign, gradients of the energy" if found.ratio < 0 else ""
        looks = f"they look like {unit}{sign}; one of these is {FORCES[unit]:g} kJ/mol/nm."
    else:
        looks = "no unit explains that: of another run, shifted by some frames, or of atoms in another order?"
    raise TrajectoryError(
        f"{where}: the forces do not belong to the positions. Stretching {found.bonds} bonds, they do {found.ratio:.3g} ± "
        f"{found.error:.1g} of the work of -kT that {temperature_K:g} K want; {looks} Want kJ/mol/nm"
    )


def rigid(topology: Topology, frames: Frames, limit: float = RIGID) -> np.ndarray:
    """(Q, 2) the topology's constraints, and bonds, and ends of two of them, whose lengths vary by less than a limit."""
    found = [topology.constraints]
    if _enough(frames):
        bonds = topology.bonds[spread(frames, topology.bonds) < limit]
        ends = paths(bonds, topology.n_atoms, 3)[:, [0, 2]] if len(bonds) else bonds
        found += [bonds, ends[spread(frames, ends) < limit]]
    return np.unique(np.concatenate(found), axis=0)


def with_constraints(
    where, topology: Topology, frames: Frames, stated: str | None = None, temperature_K: float = 300.0
) -> Topology:
    """The topology with all distances that the run held: those of its file, those that are stated, and those seen in frames.

    Args:
        stated: of CONSTRAINTS, what the run is known to have had; None for what the frames show.

    Raises TrajectoryError where that contradicts the frames, and where frames with forces cannot tell and nothing is stated.
    """
    if stated not in (None, *CONSTRAINTS):
        raise TrajectoryError(
            f"constraints: want one of {CONSTRAINTS}, got {stated!r}{did_you_mean(stated, CONSTRAINTS)}"
        )
    bonds, least = topology.bonds, MOBILE * np.sqrt(temperature_K / 300.0)
    hydrogen = np.array([e == "H" for e in topology.elements])[bonds].any(axis=1)
    chosen = {"h-bonds": bonds[hydrogen], "all-bonds": bonds}.get(stated, bonds[:0])
    said = np.unique(np.concatenate([topology.constraints, chosen]), axis=0)
    held, varies = rigid(replace(topology, constraints=said), frames), spread(frames, bonds)
    wrong = (
        (said[spread(frames, said) >= least], "and are said to be held fixed; was this run made without constraints?"),
        (held[: len(held) * (stated == "none")], "and constraints are said to be 'none'"),
        (
            bonds[(varies >= RIGID) & (varies < least) & (stated is None) & (frames.force is not None)],
            "more than a constraint lets them and less than heat makes them. Are positions rounded, or colder than "
            f"{temperature_K:g} K? Say what the run had (--constraints): {', '.join(CONSTRAINTS)}",
        ),
    )
    for pairs, what in wrong:
        if len(pairs) and _enough(frames):
            raise TrajectoryError(
                f"{where}: {len(pairs)} distances such as {topology.atom(pairs[0, 0])}–{topology.atom(pairs[0, 1])} vary by "
                f"{100 * spread(frames, pairs).mean():.2g} % in the frames, {what}"
            )
    return replace(topology, constraints=held)


def spread(frames: Frames, pairs: np.ndarray) -> np.ndarray:
    """(P,) standard deviation over mean of the distance of each pair of atoms."""
    x = np.asarray(frames.position)[:: _stride(frames)].astype(float)
    length = np.linalg.norm(x[:, pairs[:, 0]] - x[:, pairs[:, 1]], axis=-1)
    return length.std(0) / np.maximum(length.mean(0), 1e-9)


def _enough(frames: Frames) -> bool:
    return frames.n_frames >= LEAST and np.ptp(frames.time) >= LEAST_PS


def _stride(frames: Frames) -> int:
    """Every how many frames are looked at, of large systems or long runs."""
    return max(1, min(frames.n_frames * len(frames.names) // MOST, frames.n_frames // LEAST))
