"""What is measured of a helical chain, frame by frame: helicity, handedness, size, alpha-helical residues."""

import numpy as np

from cgcore.analysis import helix
from cgcore.analysis.blocks import pieces
from cgcore.data import alike
from cgcore.frames import Frames
from cgcore.geometry import dihedrals
from cgcore.mapping import Mapping

ALPHA = ((-100.0, -30.0), (-67.0, -7.0))
"""phi and psi in degrees of an alpha-helical residue (Best, Buchete & Hummer, Biophys. J. 95, L07, 2008)."""
BLOCKS = 20
"""Pieces of a single trajectory; the reference's are its runs."""


def series(position: np.ndarray, valid: np.ndarray, beads: Mapping) -> dict[str, np.ndarray]:
    """Numbers of every frame, (B, T) each, of positions (B, T, N, 3) nm; those of frames that do not count mean nothing.

    valid, as given; q and chi (nm^3) of equations 8 and 9; radius_nm, of gyration of the CA beads; ends_nm, from the first
    CA to the last; and where the map has the beads for it alpha and mirror_alpha, the shares of residues whose phi and psi
    are those of a right-handed alpha helix, or of its mirror image.
    """
    x = np.where(valid[..., None, None], position, 0.0)
    ca = x[:, :, ca_beads(beads)]
    centred = ca - ca.mean(-2, keepdims=True)
    measured = {
        "valid": valid,
        "q": helix.helicity(ca),
        "chi": helix.handedness(ca),
        "radius_nm": np.sqrt((centred**2).sum(-1).mean(-1)),
        "ends_nm": np.linalg.norm(ca[..., -1, :] - ca[..., 0, :], axis=-1),
    }
    quads = backbone(beads)
    if len(quads):
        angles = np.degrees(np.asarray(dihedrals(x, quads.reshape(-1, 4), np.full(3, np.inf))))
        phi, psi = np.moveaxis(angles.reshape(*valid.shape, -1, 2), -1, 0)
        for name, sign in (("alpha", 1), ("mirror_alpha", -1)):
            inside = [(sign * a > low) & (sign * a < high) for a, (low, high) in zip((phi, psi), ALPHA, strict=True)]
            measured[name] = np.logical_and(*inside).mean(-1)
    return measured


def of_reference(frames: Frames, beads: Mapping) -> dict[str, np.ndarray]:
    """The same of the replicas of a reference, or of contiguous blocks of its only one."""
    order, valid = alike(frames, "helices of a chain").by_replica()
    if len(order) == 1:
        order, valid = pieces(order[0], valid[0], min(BLOCKS, frames.n_frames))
    return series(np.asarray(frames.position)[order], valid, beads)


def over_replicas(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over replicas (C, T), nan where a frame does not count, and its standard error, (T,) each; nan of fewer than two."""
    counted = np.isfinite(values)
    n = counted.sum(0)
    total, known = np.where(counted, values, 0.0).sum(0), np.maximum(n, 2)
    mean = total / known
    variance = (np.where(counted, values - mean, 0.0) ** 2).sum(0) / (known - 1)
    return np.where(n > 1, mean, np.nan), np.where(n > 1, np.sqrt(variance / known), np.nan)


def least_helical(position: np.ndarray, n: int, *, among: int = 100) -> np.ndarray:
    """Indices (n,) of frames to start replicas from, of CA positions (T, N, 3) nm: the paper's rule.

    Frames are ranked by |chi Q|, and of the `among` lowest n are taken, evenly over the ranks; the n lowest if n is more.
    Raises ValueError for fewer frames than n.
    """
    if n > len(position):
        raise ValueError(f"starts: want {n} frames, the reference has {len(position)}")
    ranked = np.argsort(np.abs(helix.handedness(position) * helix.helicity(position)), kind="stable")
    pool = min(max(n, among), len(position))
    return ranked[np.linspace(0, pool - 1, n).round().astype(int)]


def ca_beads(beads: Mapping) -> list[int]:
    """The CA beads along the chain. Raises ValueError where the map has fewer than four."""
    ca = [i for i, name in enumerate(beads.beads) if name.split("_")[0] == "CA"]
    if len(ca) < 4:
        raise ValueError(f"chain: want a map with four CA beads or more, {beads.name!r} has {len(ca)}")
    return ca


def backbone(beads: Mapping) -> np.ndarray:
    """(R, 2, 4) beads of phi and psi of each residue that has them, in a chain between caps; none for CA alone."""
    at, quads = {name: i for i, name in enumerate(beads.beads)}, []
    last = len(ca_beads(beads))
    for k in range(1, last + 1):
        before, own = (f"C_{k - 1}" if k > 1 else "C_ace"), [f"{atom}_{k}" for atom in ("N", "CA", "C")]
        after = f"N_{k + 1}" if k < last else "N_nme"
        if all(name in at for name in (before, *own, after)):
            quads.append([[at[name] for name in four] for four in ((before, *own), (*own, after))])
    return np.array(quads, int).reshape(-1, 2, 4)
