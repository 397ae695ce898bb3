"""What a reader of one format hands on, and what can be wrong with its file."""

from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cgcore.errors import CgcoreError, read_text

from ..config import did_you_mean
from ..units import FORCES, LENGTHS, TIMES, unit_word

PARSER_ERRORS = {OSError, ValueError, IndexError, KeyError, TypeError, AttributeError, RuntimeError, AssertionError}
PARSER_ERRORS |= {Exception}  # mdtraj's reader of GRO files raises the bare one
"""What mdtraj and h5py were seen to raise for damaged files."""

TOLERANCE = 1e-5
"""Relative difference of box lengths that is rounding."""


class TrajectoryError(CgcoreError, ValueError):
    """A file that cannot be used, with what was wanted, what was found and the likely slip."""


class TruncatedTrajectoryWarning(UserWarning):
    """A trajectory that ends inside a frame: `frames` whole ones were kept, `dropped_bytes` were not read."""

    def __init__(self, path, frames: int, dropped_bytes: int):
        self.frames, self.dropped_bytes = frames, dropped_bytes
        super().__init__(
            f"{path}: the file ends inside a frame; kept the {frames} whole frames before it, dropped the last "
            f"{dropped_bytes} bytes"
        )


class Units(NamedTuple):
    """Of lengths, forces and times, as `cgcore.units` spells them; None where that is not known."""

    length: str | None = None
    force: str | None = None
    time: str | None = None


OURS, UNTOLD = Units("nm", "kJ/mol/nm", "ps"), Units()


class Raw(NamedTuple):
    """Frames as stored: (T, N, 3) or None; (T, N, 3) or None; (T,) or None; vectors of boxes or None; (T,) or None.

    vectors: (T, 3, 3), one in a row, zero where not periodic. units: those that the format fixes or the file states.
    """

    position: np.ndarray | None
    force: np.ndarray | None
    time: np.ndarray | None
    vectors: np.ndarray | None
    weight: np.ndarray | None = None
    units: Units = OURS


def converted(path: Path, raw: Raw, told: Units) -> Raw:
    """The same in nm, kJ/mol/nm and ps; told: the units of what the file has without one. Times that are all zero are none.

    Raises TrajectoryError where a unit is missing, unknown, or another than the file's own.
    """
    if raw.time is not None and len(raw.time) > 1 and not np.any(raw.time):
        raw = raw._replace(time=None)  # some programs write zeros
    tables, given = Units(LENGTHS, FORCES, TIMES), {"length": raw.position, "force": raw.force, "time": raw.time}
    factors, missing = {}, []
    for what in (name for name, values in given.items() if values is not None):
        table, own, said = (getattr(source, what) for source in (tables, raw.units, told))
        own, said = own and unit_word(own), said and unit_word(said)
        if own is None and said is None:
            missing.append(f"--{what}-unit ({', '.join(table)})")
        elif (unit := own or said) not in table:
            raise TrajectoryError(
                f"{path}: want a unit of {what}s out of {list(table)}, got {unit!r}{did_you_mean(unit, table)}"
            )
        elif said not in (None, unit):
            raise TrajectoryError(
                f"{path}: {what}s are in {own} by the format or the file's own word, and not in {said}; leave --{what}-unit out"
            )
        else:
            factors[what] = table[unit]
    if missing:
        raise TrajectoryError(
            f"{path}: the file does not say its units; want {' and '.join(missing)}. LAMMPS has Å, kcal/mol/Å and fs in units real, "
            "Å, eV/Å and ps in units metal, and none in units lj; ASE writes Å and eV/Å"
        )
    scaled = [_scaled(values, factors[what]) if values is not None else None for what, values in given.items()]
    vectors = None if raw.vectors is None else _scaled(raw.vectors, factors.get("length", 1.0))
    return Raw(*scaled, vectors, raw.weight)


def _scaled(values: np.ndarray, factor: float) -> np.ndarray:
    return values if factor == 1.0 else np.multiply(values, factor, dtype=np.float64).astype(values.dtype)


@contextmanager
def damaged(path: Path):
    """Say which file a parser could not read. Nothing but the parser's call belongs inside: other errors are ours."""
    try:
        yield
    except Exception as error:
        if type(error) not in PARSER_ERRORS:
            raise
        raise TrajectoryError(
            f"{path}: want a whole {path.suffix[1:].upper()} file; it is cut off or damaged ({error})"
        ) from error


def existing(path, suffixes) -> Path:
    """The path of a file that is there, has one of these endings and is not empty."""
    path = Path(path)
    if path.suffix not in suffixes:
        raise TrajectoryError(
            f"{path}: want a file that ends in one of {sorted(suffixes)}, got {path.suffix or 'no ending'!r}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if not path.stat().st_size:
        raise TrajectoryError(f"{path}: the file is empty")
    return path


def plain_text(path: Path) -> str:
    """The text of a file that mdtraj will read, too, which knows no byte order marks."""
    text = read_text(path)
    if text.encode() != path.read_bytes():
        raise TrajectoryError(f"{path}: want plain text, found a byte order mark at its beginning; save it without one")
    return text


def check_atoms(path: Path, in_frame: int, in_topology: int):
    """Raise TrajectoryError unless a frame and the topology hold as many atoms."""
    if in_frame != in_topology:
        slip = (
            "does the trajectory hold the solvent too? Then want the topology of all, and `cgcore import --select` for some"
            if in_frame > in_topology
            else "does the topology hold the solvent too, or was only a part of the system written? `cgcore import --select` "
            "says which atoms the trajectory has"
        )
        raise TrajectoryError(f"{path}: {in_frame} atoms in a frame, {in_topology} in the topology; {slip}")


def chosen(path: Path, in_frame: int, in_topology: int, atoms: np.ndarray | None) -> np.ndarray | slice:
    """Which atoms of a frame to take: all, or those chosen of the topology, which may be all that the file has.

    Raises TrajectoryError for a file of other atoms.
    """
    if atoms is not None and in_frame == len(atoms):
        return slice(None)
    check_atoms(path, in_frame, in_topology)
    return slice(None) if atoms is None else atoms


def check_finite(path, position: np.ndarray, force: np.ndarray | None, stride: int = 1):
    """Raise TrajectoryError for positions or forces that are not finite; stride: what the frames were taken with."""
    for what, values in (("positions", position), ("forces", force)):
        if values is not None and (bad := np.flatnonzero(~np.isfinite(values).all(axis=(1, 2)))).size:
            raise TrajectoryError(
                f"{path}: {what} of {bad.size} frames are not finite, first in frame {bad[0] * stride}"
            )


def one_box(path: Path, vectors: np.ndarray | None, n_molecules: int) -> np.ndarray:
    """Edges (3,) nm of the box of all frames, from box vectors (T, 3, 3) nm or None; inf where zero or absent.

    A single molecule that is whole needs no box: it gets none where the box is triclinic or changes. Raises
    TrajectoryError for several molecules in such a box.
    """
    if vectors is None:
        return np.full(3, np.inf)
    edges = np.diagonal(vectors, axis1=1, axis2=2)
    scale = max(edges.max(), 1.0)
    skew = np.abs(vectors - edges[:, :, None] * np.eye(3)).max() > TOLERANCE * scale
    changes = np.ptp(edges, axis=0).max() > TOLERANCE * scale
    if not (skew or changes):
        return np.where(edges[0] > 0, edges[0], np.inf)
    if n_molecules > 1:
        got = f"vectors {vectors[0].tolist()}" if skew else f"from {edges.min(0).tolist()} to {edges.max(0).tolist()}"
        raise TrajectoryError(
            f"{path}: want one orthorhombic box for the {n_molecules} molecules of all {len(edges)} frames, got {got} nm; is "
            "this a run at constant pressure, or in a dodecahedron? Want the solute alone (`cgcore import --select protein`), or, of a "
            "liquid, a run at constant volume in an orthorhombic box"
        )
    return np.full(3, np.inf)
