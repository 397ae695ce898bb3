"""What the forces of the frames can teach: how much of them is noise, and how well they fix the free energy of dihedrals."""

from typing import NamedTuple

import numpy as np

from cgcore import force_maps
from cgcore.analysis import torsion
from cgcore.analysis.blocks import Estimate, jackknife
from cgcore.analysis.noise_floor import from_neighbours
from cgcore.data import DataError, force_rms
from cgcore.doctor.molecule import Molecule
from cgcore.doctor.symmetry import Observable
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
    """Forces per Cartesian component, meV/Å.

    rms: of the mapped forces; floor: root mean square noise, which no function of bead positions explains, at most, None
    where it cannot be had (`reason`). rms_optimised: of the forces under the optimised linear map, fitted to one half of the
    frames and applied to the other; saved: part of the mean square that it saves there; at_least: noise of the plain sum, at
    least. The last three are None where there is no such map (`reason_optimised`), and hold for liquids as for molecules.
    """

    rms: float
    floor: float | None
    floor_error: float | None
    reason: str
    rms_optimised: float | None = None
    saved: Estimate | None = None
    at_least: Estimate | None = None
    reason_optimised: str = ""


class PmfError(NamedTuple):
    """Standard error in kJ/mol of the potential of mean force along one dihedral that the forces of all frames fix.

    plain: by the plain sum of a bead's atoms; optimised: by the optimised force map, None where there is none (`reason`);
    samples: frames times copies of the molecule.
    """

    dihedral: str
    plain: float
    optimised: float | None
    samples: int
    reason: str


def optimised(mapping: Mapping, topology: Topology, atoms: Frames | None, n_fitted: int) -> tuple[Frames | None, str]:
    """Beads of all frames with the forces of the optimised map of the first n_fitted; or None, and why there are none."""
    if atoms is None:
        return None, "the frames are those of beads; want the forces on all atoms"
    try:
        return apply(force_maps.optimised(mapping, topology, atoms[:n_fitted]), atoms), ""
    except MappingError as error:
        return None, str(error)


def pmf_errors(
    molecule: Molecule, observables: tuple[Observable, ...], plain: Frames, better: Frames | None, reason: str
) -> tuple[PmfError, ...]:
    """One entry for each dihedral that is looked at, by forces of the plain sum and of the optimised map."""

    def error_of(beads: Frames, path) -> float:
        position, force = molecule.select(beads.position), molecule.select(beads.force)
        return torsion.pmf_from_mean_torque(*torsion.optimised_torque(position, force, path), beads.weight).error_kJ_mol

    return tuple(
        PmfError(
            dihedral="–".join(molecule.beads[b] for b in path),
            plain=error_of(plain, path),
            optimised=None if better is None else error_of(better, path),
            samples=plain.n_frames * len(molecule.copies),
            reason=reason,
        )
        for path in dict.fromkeys(c for o in observables for c in o.coordinates if len(c) == 4)
    )


def noise(mapping: Mapping, topology: Topology, atoms: Frames | None, beads: Frames, *, gap_ps: float) -> Noise:
    """The noise of a map; atoms: frames of all atoms with forces, or None where only those of beads are known.

    Both force maps have one mean force <F|R>, so that <F_plain^2> - <F_optimised^2> is the difference of their noises, and
    the noise of the plain sum is no less. Errors over BLOCKS contiguous blocks of the second half.
    """
    of_plain_sum = force_rms(beads) / MEV_PER_ANGSTROM, *_floor(beads, gap_ps)
    half = beads.n_frames // 2
    better, reason = optimised(mapping, topology, atoms, half)
    if better is None:
        return Noise(*of_plain_sum, reason_optimised=reason)
    squares = np.stack([np.square(np.asarray(b.force[half:], float)).mean((1, 2)) for b in (better, beads)], axis=1)
    weighted = np.column_stack([squares, np.ones(len(squares))]) * beads.weights[half:, None]
    blocks = np.array([b.sum(0) for b in np.array_split(weighted, min(BLOCKS, len(squares)))])
    return Noise(
        *of_plain_sum,
        rms_optimised=float(np.sqrt(np.divide(*weighted.sum(0)[[0, 2]])) / MEV_PER_ANGSTROM),
        saved=jackknife(lambda s: float(1 - s[0] / s[1]), blocks),
        at_least=jackknife(lambda s: float(np.sqrt(max(s[1] - s[0], 0.0) / s[2])) / MEV_PER_ANGSTROM, blocks),
    )


def _floor(beads: Frames, gap_ps: float) -> tuple[float | None, float | None, str]:
    """Noise and its error, meV/Å, from frames that are nearly alike, or None and why it cannot be had.

    After the best sum over pairs; what pairs do not explain still counts.
    """
    if len(beads.names) > MOST_BEADS:
        return None, None, f"{len(beads.names)} beads: no two frames are nearly alike"
    if len(beads.names) < 2:
        return None, None, "a bead alone has no distances by which frames could be alike"
    some = beads[:: max(1, beads.n_frames // MOST_FRAMES)]
    try:
        square = from_neighbours(some, pair_residual(some), gap_ps=gap_ps)
    except DataError as error:
        return None, None, str(error)
    if not 0 < square.value < SEPARATED * force_rms(beads) ** 2:
        return None, None, "the frames are too few or too far apart to tell noise from mean force"
    root = float(np.sqrt(square.value))
    return root / MEV_PER_ANGSTROM, square.error / (2 * root) / MEV_PER_ANGSTROM, ""


def pair_residual(beads: Frames) -> np.ndarray:
    """Forces less those of the least-squares sum over all pairs of polynomials in their distance: (T, N, 3) kJ/mol/nm.

    F_i = sum_j sum_k a_(ij)k z_ij^k (r_i - r_j) / r_ij with z_ij the distance less its mean over its standard deviation,
    k = 0 ... POWERS - 1: stiff bonds and angles, whose forces differ much between frames that are nearly alike.
    """
    x, force = np.asarray(beads.position, float), np.asarray(beads.force, float)
    i, j = np.triu_indices(x.shape[1], 1)
    pushed = (np.eye(x.shape[1])[i] - np.eye(x.shape[1])[j]).T  # (N, P): 1 for the first of a pair, -1 for the second
    vector = x[:, i] - x[:, j]
    distance = np.linalg.norm(vector, axis=-1)
    z = (distance - distance.mean(0)) / np.maximum(distance.std(0), 1e-9)
    unit, powers = vector / distance[..., None], z[..., None] ** np.arange(POWERS)
    size = len(i) * POWERS

    def design(piece: slice) -> np.ndarray:
        """(t N 3, P POWERS) forces of each term, of some frames at a time, else they fill the memory."""
        return np.einsum("np,tpd,tpk->tndpk", pushed, unit[piece], powers[piece]).reshape(-1, size)

    pieces = [slice(k, k + CHUNK) for k in range(0, len(x), CHUNK)]
    normal, right = np.zeros((size, size)), np.zeros(size)
    for piece in pieces:
        rows = design(piece)
        normal += rows.T @ rows
        right += rows.T @ force[piece].reshape(-1)
    normal += 1e-9 * np.trace(normal) / size * np.eye(size)
    coefficients = np.linalg.solve(normal, right)
    return force - np.concatenate([design(piece) @ coefficients for piece in pieces]).reshape(force.shape)
