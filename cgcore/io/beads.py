"""Beads for viewers and downloads."""

from pathlib import Path

import mdtraj
import numpy as np

from .errors import TrajectoryError


def write_beads(path, position, names, *, box=None, time=None, residue: str = "CG", bonds=()):
    """Write beads as PDB (one model a frame, with CONECT records) or XTC, for viewers and downloads.

    position (T, N, 3) nm; names: N bead names; box (3,) nm or None; time (T,) ps, kept by XTC only; bonds (P, 2).
    A bead `C_ace` becomes atom C of residue ACE, one without a suffix an atom of `residue`. The element is a guess from
    the first letter (C where that is no element) and only for display.
    Raises TrajectoryError for another format or sizes that do not match.
    """
    path, position = Path(path), np.asarray(position, dtype=np.float32)
    if path.suffix not in {".pdb", ".xtc"}:
        raise TrajectoryError(f"{path}: want a name that ends in .pdb or .xtc")
    if position.ndim != 3 or position.shape[1:] != (len(names), 3):
        raise TrajectoryError(
            f"{path}: want positions (T, {len(names)}, 3) for {len(names)} beads, got {position.shape}"
        )
    top = mdtraj.Topology()
    chain, last = top.add_chain(), None
    for name in names:
        atom, _, suffix = name.partition("_")
        if last is None or last.name != (suffix.upper() or residue):
            last = top.add_residue(suffix.upper() or residue, chain)
        symbol = name[0] if name[0] in "CHNOS" else "C"
        top.add_atom(atom, mdtraj.element.Element.getBySymbol(symbol), last)
    for i, j in np.asarray(bonds, dtype=int).reshape(-1, 2):
        top.add_bond(top.atom(i), top.atom(j))
    periodic = box is not None and np.isfinite(box).all()
    trajectory = mdtraj.Trajectory(
        position,
        top,
        time=time,
        unitcell_lengths=np.tile(box, (len(position), 1)) if periodic else None,
        unitcell_angles=np.full((len(position), 3), 90.0) if periodic else None,
    )
    trajectory.save(str(path))
