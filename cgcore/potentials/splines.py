"""Classical potentials as B-splines: U = sum over terms and their members of U_t(q), q a distance, angle or dihedral.

The force -dU/dq is a cubic spline on equal knots, the function space of csg_fmatch (VOTCA; Rühle et al., J. Chem. Theory
Comput. 5, 3211, 2009), so that the energy is a B-spline of degree 4 and forces are its exact gradient. Parameters are
the coefficients a (n + 4,) kJ/mol of each term's energy over n knot intervals, in a dict by the term's name. They are
projected onto the coefficients that keep the conditions of the term, so every value of them is a valid potential:

    pair         U = 0 and (by choice) U' = 0 at the cut-off, zero beyond
    dihedral     periodic
    all others   U = 0 at the first knot, where any constant would do
    ends         U''' = 0: a natural cubic spline of the force, which goes on as a straight line
    no samples   U''' = 0 at both knots of such an interval: the force bridges it by a straight line

Dihedrals have a sign, and their potential need not be even: with it, the energy can tell a molecule from its mirror image.
"""

import math
import warnings
from dataclasses import dataclass
from functools import cached_property

import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.interpolate import BSpline
from scipy.linalg import null_space
from scipy.sparse import csr_array

from cgcore.errors import CgcoreError

from ..config import SplineConfig
from ..frames import Frames
from ..geometry import molecules
from .base import Potential
from .terms import Term, coordinates, samples

DEGREE = 4  # of the energy
POINTS = 10
"""Points of a table in each knot interval."""


class SplineError(CgcoreError, ValueError):
    """Frames or knots that no spline can be fitted to, with what was wanted, what was found and the likely slip."""


class EmptyKnotsWarning(UserWarning):
    """Knot intervals without samples: the force bridges them by a straight line."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Spline:
    """One term's knots and conditions: n intervals of width `step` from `first`, in nm or rad."""

    term: Term
    first: float
    step: float
    counts: np.ndarray  # (n,) samples in each interval
    outside: int  # samples beyond the knots (for pairs: below the first)
    zero_force_at_cutoff: bool = True

    @property
    def knots(self) -> np.ndarray:
        """(n + 1,) nm or rad."""
        return self._extended[DEGREE:-DEGREE]

    @property
    def empty(self) -> np.ndarray:
        """(E, 2) the ends of the intervals that hold no sample."""
        k = np.flatnonzero(self.counts == 0)
        return np.stack([self.knots[k], self.knots[k + 1]], axis=1)

    @cached_property
    def free(self) -> np.ndarray:
        """(n + 4, Y) orthonormal directions in which the coefficients may move, the null space of the conditions."""
        knots = self.knots
        first, last = knots[0], knots[-1]
        if self.term.kind == "dihedral":
            wrap = np.eye(DEGREE, self._size) - np.eye(DEGREE, self._size, k=len(self.counts))
            rows = [wrap, self.basis(first)]
        else:
            rows = [self.basis(np.array([first, last]), 3), self.basis(last if self.term.kind == "pair" else first)]
        if self.term.kind == "pair" and self.zero_force_at_cutoff:
            rows.append(self.basis(last, 1))
        rows.append(self.basis(np.unique(self.empty), 3) * self.step**3)
        return null_space(np.concatenate(rows), rcond=1e-10)

    def basis(self, x, derivative: int = 0) -> np.ndarray:
        """The spline or its derivative at x between the knots, as a linear function of the coefficients: (X, n + 4)."""
        spline = BSpline(self._extended, np.eye(self._size), DEGREE)
        return (spline.derivative(derivative) if derivative else spline)(np.atleast_1d(x))

    def slope_basis(self, x: np.ndarray) -> tuple[csr_array, np.ndarray]:
        """B (X, n + 3) sparse and D (n + 3, n + 4) with dU/dx = B D a at x between the knots."""
        size = self._size
        difference = (np.eye(size - 1, size, k=1) - np.eye(size - 1, size)) / self.step
        return BSpline.design_matrix(x, self._extended[1:-1], DEGREE - 1), difference

    def energy(self, coefficients: Array, x: Array) -> Array:
        """U(x) kJ/mol at any x (any shape).

        Beyond the ends the force goes on as a straight line, level where that would not restore; pairs are zero beyond
        the cut-off.
        """
        n, dtype = len(self.counts), x.dtype
        if self.term.kind == "dihedral":
            x = x - 2 * np.pi * jnp.floor((x - self.first) / (2 * np.pi))
        a = jnp.asarray(self.free @ self.free.T, dtype) @ coefficients
        pieces = jnp.einsum("pkc,c->pk", jnp.asarray(self._pieces, dtype), a)
        after = 0.0 if self.term.kind == "pair" else pieces[:, -1].at[2].max(0)
        pieces = jnp.insert(pieces.at[:, -1].set(after), 0, pieces[:, 0].at[:2].set(0).at[2].max(0), axis=1)
        k = jnp.clip(jnp.floor((x - self.first) / self.step), -1, n).astype(int) + 1
        dx = x - (self.first + self.step * jnp.clip(k - 1, 0, n)).astype(dtype)
        u = jnp.zeros_like(x)
        for power in pieces:
            u = u * dx + power[k]
        return u

    def table_points(self) -> np.ndarray:
        """(P,) nm or rad from the first knot to the last, every knot among them."""
        return np.linspace(self.knots[0], self.knots[-1], POINTS * len(self.counts) + 1)

    def tabulate(self, coefficients: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Energies kJ/mol, of bonded terms relative to the most sampled knot, and forces -dU/dx at x between the knots."""
        energy = self.basis(x) @ coefficients
        if self.term.kind != "pair":
            energy = energy - self.basis(self.knots[np.argmax(self.counts)]) @ coefficients
        return energy, -self.basis(x, 1) @ coefficients

    @property
    def _size(self) -> int:
        return len(self.counts) + DEGREE

    @property
    def _extended(self) -> np.ndarray:
        return self.first + self.step * np.arange(-DEGREE, self._size + 1)

    @cached_property
    def _pieces(self) -> np.ndarray:
        """(5, n + 1, n + 4) Taylor polynomials about the knots, fourth power first; up to the square at the last one."""
        orders = range(DEGREE, -1, -1)
        pieces = np.stack([self.basis(self.knots, order) / math.factorial(order) for order in orders])
        pieces[: DEGREE - 2, -1] = 0.0
        return pieces


def build(splines: tuple[Spline, ...], *, liquid: bool = False) -> Potential:
    """The sum of the terms over all their members; in a periodic box by minimum image. Zero as initialised.

    liquid: whether training hands it the frames' box, as pairs between molecules need.
    """

    def init(key):
        return {s.term.name: jnp.zeros(len(s.counts) + DEGREE) for s in splines}

    def energy(params, position, box):
        return sum(jnp.sum(s.energy(params[s.term.name], coordinates(s.term, position, box))) for s in splines)

    return Potential(init, energy, liquid, model=splines)


def for_frames(
    terms: tuple[Term, ...],
    frames: Frames,
    config: SplineConfig,
    ranges: dict[str, tuple[float, float]] | None = None,
) -> tuple[Spline, ...]:
    """Knots for each term where the frames have samples, or over the ranges (first, last) given by a term's name.

    Intervals at the ends with fewer than config.min_samples are left out; the knots of pairs end at the cut-off.
    Intervals in between, or of given ranges, that hold no sample are reported by an EmptyKnotsWarning.

    Raises SplineError for several molecules without a box, a cut-off of more than half the box, members that the
    frames lack, unknown names of ranges, and terms with samples in fewer than two intervals.
    """
    ranges = ranges or {}
    if unknown := ranges.keys() - {t.name for t in terms}:
        raise SplineError(f"ranges: no term {sorted(unknown)}; there are {[t.name for t in terms]}")
    _check(terms, frames, config)
    splines = tuple(_grid(term, frames, config, ranges.get(term.name)) for term in terms)
    for s in splines:
        if len(s.empty):
            where = ", ".join(f"{a:.4g} to {b:.4g}" for a, b in s.empty)
            warnings.warn(EmptyKnotsWarning(f"{s.term.name}: no samples from {where}"), stacklevel=2)
    return splines


def check_ends(splines: tuple[Spline, ...], params: dict[str, np.ndarray]):
    """Raise SplineError for bonds and angles that are pushed outwards where their samples end: nothing would hold them.

    An angle needs no force at 0 and 180 degrees, where it turns back of itself.
    """
    for s in splines:
        if s.term.kind in ("bond", "angle"):
            ends = s.knots[[0, -1]]
            held = (s.term.kind == "angle") & (np.minimum(ends, np.pi - ends) < s.step)
            inwards = s.tabulate(params[s.term.name], ends)[1] * [1, -1]
            if (out := np.flatnonzero((inwards <= 0) & ~held)).size:
                raise SplineError(
                    f"{s.term.name}: the fitted force pushes outwards at {ends[out[0]]:.4g}, an end of its samples, beyond "
                    f"which nothing would hold it ({s.counts[-out[0]]} samples in that interval); want more frames, larger "
                    "min_samples or longer steps"
                )


def _check(terms: tuple[Term, ...], frames: Frames, config: SplineConfig):
    n, box = len(frames.names), np.asarray(frames.box)
    if (largest := max(int(t.members.max()) for t in terms)) >= n:
        raise SplineError(f"want frames of the beads that the terms are for, at least {largest + 1}, got {n}")
    pairs = [t for t in terms if t.kind == "pair"]
    bonds = np.concatenate([np.zeros((0, 2), int), *(t.members for t in terms if t.kind == "bond")])
    n_molecules = molecules(bonds, n).max() + 1
    if pairs and n_molecules > 1 and np.isinf(box).any():
        raise SplineError(
            f"{n_molecules} molecules, but no box in all three dimensions ({box.tolist()} nm); was it lost on reading?"
        )
    if pairs and config.cutoff_nm > (half := float(box.min()) / 2):
        raise SplineError(f"want a cut-off of at most half the box, {half:.3f} nm, got {config.cutoff_nm} nm")


def _grid(term: Term, frames: Frames, config: SplineConfig, given: tuple[float, float] | None) -> Spline:
    """Knots over the sampled or the given range, on multiples of the step (pairs: counted from the cut-off)."""
    pair = term.kind == "pair"
    if term.kind == "dihedral":
        n = round(2 * np.pi / config.dihedral_step_rad)
        first, step = -np.pi, 2 * np.pi / n
    else:
        step = {"bond": config.bond_step_nm, "angle": config.angle_step_rad, "pair": config.pair_step_nm}[term.kind]
        origin = config.cutoff_nm if pair else 0.0
        seen = given or ([0.0] if pair else [end for x in samples(term, frames) for end in (x.min(), x.max())])
        low, high = min(seen), config.cutoff_nm if pair else max(seen)
        first_index, last_index = np.floor((low - origin) / step + 1e-6), np.ceil((high - origin) / step - 1e-6)
        first, n = origin + step * first_index, int(last_index - first_index)
    edges = first + step * np.arange(n + 1)
    counts, outside = np.zeros(n, int), 0
    for x in samples(term, frames):
        if term.kind == "dihedral":  # of which pi in single precision is beyond the last edge
            x = np.clip(x, edges[0], edges[-1])
        counts += np.histogram(x, edges)[0]
        outside += int(np.sum(x < edges[0]) + (0 if pair else np.sum(x > edges[-1])))
    keep = slice(0, n)
    if term.kind != "dihedral" and given is None:
        enough = np.flatnonzero(counts >= config.min_samples)
        keep = slice(enough.min(initial=n), n if pair else enough.max(initial=-1) + 1)
    outside += int(counts.sum() - counts[keep].sum())
    counts = counts[keep]
    if np.count_nonzero(counts) < 2:
        raise SplineError(
            f"{term.name}: want samples in at least two knot intervals, found {counts.tolist()} from "
            f"{first + step * keep.start:.4g} in steps of {step:.4g}; take more frames or a smaller step"
        )
    return Spline(
        term=term,
        first=float(first + step * keep.start),
        step=float(step),
        counts=counts,
        outside=outside,
        zero_force_at_cutoff=config.zero_force_at_cutoff,
    )
