"""How much of the mapped force is noise, and what the least noisy force map would save."""

from typing import NamedTuple

import numpy as np

from cgcore import force_maps
from cgcore.analysis.blocks import Estimate, jackknife
from cgcore.analysis.noise_floor import Floor, from_neighbours
from cgcore.data import DataError, force_rms
from cgcore.frames import Frames, Topology
from cgcore.mapping import Mapping, MappingError, apply
from cgcore.units import MEV_PER_ANGSTROM

MOST_BEADS, MOST_FRAMES = 12, 3000
"""Above which the search for nearly equal frames is not worth its time."""
BLOCKS = 10
POWERS = 4
CHUNK = 250
SEPARATED = 0.9
"""Part of the mean square force above which an estimate of noise says nothing: no two frames were near enough."""


class Noise(NamedTuple):
    """Forces per Cartesian component, meV/Å. rms: of the mapped forces; floor: root mean square noise, which no function
    of bead positions explains, at most, None where it cannot be had (`reason`). rms_optimal: of the forces under the
    least noisy linear map, fitted to one half of the frames and applied to the other; rms_plain: under the plain sum
    there; saved: part of the mean square that it saves; at_least: noise of the plain sum, at least. The last four are None
    where there is no such map (`reason_optimal`), and hold for liquids as for molecules."""

    rms: float
    floor: float | None
    floor_error: float | None
    reason: str
    rms_optimal: float | None
    rms_plain: float | None
    saved: Estimate | None
    at_least: Estimate | None
    reason_optimal: str


def noise(mapping: Mapping, topology: Topology, atoms: Frames | None, beads: Frames, *, gap_ps: float) -> Noise:
    """The noise of a map; atoms: frames of all atoms with forces, or None where only those of beads are known.

    Both force maps have one mean force <F|R>, so that <F_plain^2> - <F_optimal^2> is the difference of their noises, and the
    noise of the plain sum is no less. Errors over BLOCKS contiguous blocks of the second half.
    """
    floor = _floor(beads, gap_ps)
    optimal = plain = saved = at_least = None
    reason = "the frames are those of beads; want the forces on all atoms"
    if atoms is not None:
        half = atoms.n_frames // 2
        try:
            better = force_maps.optimised(mapping, topology, atoms[:half])
            squares = np.stack([_mean_squares(apply(better, atoms[half:])), _mean_squares(beads[half:])], axis=1)
            optimal, plain = (float(v) for v in np.sqrt(squares.mean(0)) / MEV_PER_ANGSTROM)
            blocks = np.array([(*b.sum(0), len(b)) for b in np.array_split(squares, min(BLOCKS, len(squares)))])
            saved = jackknife(lambda s: float(1 - s[0] / s[1]), blocks)
            at_least = jackknife(lambda s: float(np.sqrt(max(s[1] - s[0], 0.0) / s[2])) / MEV_PER_ANGSTROM, blocks)
            reason = ""
        except MappingError as error:
            reason = str(error)
    root = error = None
    if floor.estimate is not None:
        root = float(np.sqrt(floor.estimate.value)) / MEV_PER_ANGSTROM
        error = floor.estimate.error / (2 * np.sqrt(floor.estimate.value)) / MEV_PER_ANGSTROM
    return Noise(
        rms=force_rms(beads) / MEV_PER_ANGSTROM,
        floor=root,
        floor_error=error,
        reason=floor.reason,
        rms_optimal=optimal,
        rms_plain=plain,
        saved=saved,
        at_least=at_least,
        reason_optimal=reason,
    )


def _mean_squares(beads: Frames) -> np.ndarray:
    """(T,) mean square force component of each frame."""
    return np.square(np.asarray(beads.force, float)).mean((1, 2))


def _floor(beads: Frames, gap_ps: float) -> Floor:
    """From frames that are nearly alike, after the best sum over pairs; what pairs do not explain still counts."""
    if len(beads.names) > MOST_BEADS:
        return Floor("neighbours", None, f"{len(beads.names)} beads: no two frames are nearly alike")
    thinned = beads[:: max(1, beads.n_frames // MOST_FRAMES)]
    try:
        found = from_neighbours(thinned, pair_residual(thinned), gap_ps=gap_ps)
    except DataError as error:
        return Floor("neighbours", None, str(error))
    if not 0 < found.value < SEPARATED * force_rms(beads) ** 2:
        return Floor("neighbours", None, "the frames are too few or too far apart to tell noise from mean force")
    return Floor("neighbours", found)


def pair_residual(beads: Frames) -> np.ndarray:
    """Forces less those of the least-squares sum over all pairs of polynomials in their distance: (T, N, 3) kJ/mol/nm.

    F_i = sum_j sum_k a_(ij)k z_ij^k (r_i - r_j) / r_ij with z_ij the distance less its mean over its standard deviation,
    k = 0 ... POWERS - 1: stiff bonds and angles, whose forces differ much between frames that are nearly alike.
    """
    x, force = np.asarray(beads.position, float), np.asarray(beads.force, float)
    i, j = np.triu_indices(x.shape[1], 1)
    vector = x[:, i] - x[:, j]
    distance = np.linalg.norm(vector, axis=-1)
    z = (distance - distance.mean(0)) / np.maximum(distance.std(0), 1e-9)
    unit = vector / distance[..., None]
    size = len(i) * POWERS
    normal, right = np.zeros((size, size)), np.zeros(size)
    pieces = [slice(k, k + CHUNK) for k in range(0, len(x), CHUNK)]
    for piece in pieces:
        design = _design(unit[piece], z[piece], i, j, x.shape[1])
        normal += design.T @ design
        right += design.T @ force[piece].reshape(-1)
    normal += 1e-9 * np.trace(normal) / size * np.eye(size)
    found = np.linalg.solve(normal, right)
    explained = [(_design(unit[p], z[p], i, j, x.shape[1]) @ found).reshape(-1, *x.shape[1:]) for p in pieces]
    return force - np.concatenate(explained)


def _design(unit: np.ndarray, z: np.ndarray, i, j, n: int) -> np.ndarray:
    """(t N 3, P POWERS): the force of each term."""
    powers = z[..., None] ** np.arange(POWERS)  # (t, P, K)
    terms = unit[:, :, :, None] * powers[:, :, None, :]  # (t, P, 3, K)
    out = np.zeros((len(z), n, 3, len(i), POWERS))
    pair = np.arange(len(i))
    out[:, i, :, pair] = np.moveaxis(terms, 1, 0)
    out[:, j, :, pair] = -np.moveaxis(terms, 1, 0)
    return out.reshape(len(z) * n * 3, -1)
