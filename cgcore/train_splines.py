"""Force matching of classical potentials: one linear least-squares problem, solved exactly.

The force on the beads of a frame is linear in the free coefficients y of the splines (their conditions are built in),

    F = A y,   A = -sum_t G_t S_t,   G = dq/dR (3N, M),   S = d/dy dU/dq (M, Y),

so that y minimises sum over frames |A y - f|^2. Kept in memory are only A^T A and A^T f of each block of frames; errors
are those of leaving out one block at a time. The same problem as that of csg_fmatch, which instead averages the
solutions of its blocks (Rühle et al., J. Chem. Theory Comput. 5, 3211, 2009).
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse import csc_array

from .analysis import force_errors
from .analysis.blocks import jackknife
from .data import DataError, Split, frames_hash, loss_weights
from .frames import Frames
from .potentials.base import force
from .potentials.splines import Spline, SplineError, build
from .potentials.terms import chunks, evaluate
from .store import Run, open_run, save_tree


class Table(NamedTuple):
    """One term over P points x, in nm or rad: energies kJ/mol and forces F = -dU/dx, kJ/mol per nm or rad.

    Energies are relative to the cut-off (pairs) or to the most sampled knot; errors are standard errors.
    """

    x: np.ndarray
    energy: np.ndarray
    energy_error: np.ndarray
    force: np.ndarray
    force_error: np.ndarray


@dataclass(frozen=True, kw_only=True)
class SplineFit(force_errors.HeldOut):
    """What the least squares leave behind.

    params: coefficients by term, for `splines.build`; tables: U and F of each term with errors, by term; train_rmse:
    kJ/mol/nm per component; wall_s: of solving and of the errors.
    """

    run: Run
    params: dict[str, np.ndarray]
    tables: dict[str, Table]
    train_rmse: float
    wall_s: float

    def table(self) -> dict:
        """The small numbers of a manifest."""
        return super().table() | {
            "coefficients": sum(len(a) for a in self.params.values()),
            "wall_s": self.wall_s,
        }


def fit(splines: tuple[Spline, ...], split: Split, root: Path, blocks: int = 10) -> SplineFit:
    """Least squares on split.train in so many contiguous blocks, errors on split.valid.

    The run is root/fit/<id>, named by the splines and the frames themselves; it is solved anew each time, in seconds.

    Raises DataError for frames without forces or fewer than the blocks, SplineError where the forces leave some
    combination of coefficients undetermined.
    """
    start = time.perf_counter()
    for name, frames in (("training", split.train), ("held-out", split.valid)):
        if frames.force is None:
            raise DataError(f"the {name} frames have no forces; force matching needs them")
    if not 2 <= blocks <= split.train.n_frames:
        raise DataError(f"want 2 to {split.train.n_frames} blocks of {split.train.n_frames} frames, got {blocks}")
    pieces = np.array_split(np.arange(split.train.n_frames), blocks)
    sums = np.stack([normal_equations(splines, split.train[piece]) for piece in pieces])
    x = {s.term.name: s.table_points() for s in splines}

    def statistic(total):
        params = _params(splines, solve(splines, total))
        return np.concatenate([np.ravel(s.tabulate(params[s.term.name], x[s.term.name])) for s in splines])

    estimate = jackknife(statistic, sums)
    total = sums.sum(0)
    y = solve(splines, total)
    params = _params(splines, y)
    square = total[-1, -1] - 2 * total[-1, :-1] @ y + y @ total[:-1, :-1] @ y
    run = open_run(
        root,
        "fit",
        {"potential": build(splines).identity, "blocks": blocks},
        data={"train": frames_hash(split.train), "valid": frames_hash(split.valid)},
        rooms=("geometry", "splines"),
    )
    solved = SplineFit(
        run=run,
        params=params,
        tables=_tables(splines, x, estimate),
        train_rmse=float(np.sqrt(max(square, 0.0) / split.train.weights.sum() / split.train.force[0].size)),
        held_out=force_errors.by_frame(predict(splines, params, split.valid), split.valid),
        wall_s=time.perf_counter() - start,
    )
    with run.held():
        save_tree(run.path("params.npz"), params)
        if not run.done:
            run.finish(solved.table(), solved.wall_s)
    return solved


def solve_for(splines: tuple[Spline, ...], frames: Frames) -> dict[str, np.ndarray]:
    """Coefficients by term that fit the forces of the frames best."""
    return _params(splines, solve(splines, normal_equations(splines, frames)))


def normal_equations(splines: tuple[Spline, ...], frames: Frames) -> np.ndarray:
    """(Y + 1, Y + 1) the matrix [A f]^T [A f] summed over the frames, (kJ/mol/nm)^2 for unit coefficients."""
    size = sum(s.free.shape[1] for s in splines) + 1
    plain = frames.weight is None and frames.force_error is None
    weight = None if plain else loss_weights(frames)
    total = np.zeros((size, size))
    for part in chunks(tuple(s.term for s in splines), frames):
        position, f = np.asarray(frames.position[part]), np.asarray(frames.force[part], np.float64)
        columns = np.concatenate([*(design(s, position, frames.box) for s in splines), f.reshape(-1, 1)], axis=1)
        if weight is not None:
            columns *= np.sqrt(np.broadcast_to(weight[part], position.shape)).reshape(-1, 1)
        total += columns.T @ columns
    return total


def design(spline: Spline, position: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(3tN, Y) forces of unit free coefficients in frames (t, N, 3) nm, kJ/mol/nm."""
    q, gradient, members = evaluate(spline.term, position, box)
    knots = spline.knots
    if spline.term.kind == "pair":
        near = q < knots[-1]
        q, gradient, members = q[near], gradient[near], members[near]
    inside = np.clip(q, knots[0], knots[-1])
    basis, difference = spline.slope_basis(inside)
    m, k = members.shape
    rows = (3 * members[:, :, None] + np.arange(3)).ravel()
    g = csc_array((gradient.ravel(), rows, 3 * k * np.arange(m + 1)), shape=(position.size, m))
    slope = (g @ basis).toarray() @ difference
    if (beyond := np.flatnonzero(q != inside)).size:  # the line that the force goes on as
        slope += g[:, beyond] @ (spline.basis(inside[beyond], 2) * (q - inside)[beyond, None])
    return -slope @ spline.free


def solve(splines: tuple[Spline, ...], equations: np.ndarray) -> np.ndarray:
    """y (Y,) of `normal_equations`, by Cholesky with every column scaled to unit length."""
    matrix, right = equations[:-1, :-1], equations[:-1, -1]
    scale = np.sqrt(np.maximum(np.diagonal(matrix), np.finfo(float).tiny))
    try:
        factor = cho_factor(matrix / scale / scale[:, None])
    except LinAlgError as error:
        raise SplineError(
            f"the forces do not determine all coefficients of {[s.term.name for s in splines]}: do two terms depend on "
            "each other, or are there too few frames?"
        ) from error
    return cho_solve(factor, right / scale) / scale


def predict(splines: tuple[Spline, ...], params: dict, frames: Frames) -> np.ndarray:
    """Forces (T, N, 3) kJ/mol/nm of the potential on frames, one frame at a time, in float64."""
    potential, box = build(splines), np.asarray(frames.box, np.float64)
    one = jax.jit(lambda x: force(potential, params, x, box))
    return np.stack([np.asarray(one(x)) for x in np.asarray(frames.position, np.float64)])


def _params(splines: tuple[Spline, ...], y: np.ndarray) -> dict[str, np.ndarray]:
    ends = np.cumsum([s.free.shape[1] for s in splines])[:-1]
    return {s.term.name: s.free @ part for s, part in zip(splines, np.split(y, ends), strict=True)}


def _tables(splines: tuple[Spline, ...], x: dict, estimate) -> dict[str, Table]:
    tables, start = {}, 0
    for s in splines:
        part = slice(start, start + 2 * len(x[s.term.name]))
        (u, f), (u_error, f_error) = (a[part].reshape(2, -1) for a in estimate)
        tables[s.term.name] = Table(x[s.term.name], u, u_error, f, f_error)
        start = part.stop
    return tables
