"""Readers of trajectories as text: LAMMPS dumps and (extended) XYZ, frame by frame, with forces where there are some."""

import re
import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from .raw import Raw, TrajectoryError, TruncatedTrajectoryWarning, Units, chosen, damaged

DUMPED = (("xu", "yu", "zu"), ("x", "y", "z"), ("xsu", "ysu", "zsu"), ("xs", "ys", "zs"))
"""Columns of positions in a dump, those that are not wrapped and not scaled by the box first."""
LAMMPS_UNITS = {"real": Units("Å", "kcal/mol/Å", "fs"), "metal": Units("Å", "eV/Å", "ps")}
KEY = re.compile(r'([\w-]+)=(?:"([^"]*)"|\{([^}]*)\}|(\S+))')


class _Frame(NamedTuple):
    """n atoms, then their lines; columns: name -> where they stand in a line; other words of the header."""

    n: int
    columns: dict[str, slice]
    header: dict[str, list[str]]


CUT = _Frame(1, {}, {})
"""A header that the file ends in."""


def read_lammps(path: Path, n_atoms: int, stride: int, atoms: np.ndarray | None) -> Raw:
    """A dump of atoms, ordered by their ids: x y z of any kind, and fx fy fz where it has them."""
    positions, forces, boxes, times, steps, units, first = [], [], [], [], [], Units(), None
    for frame, table in _frames(path, stride, _lammps_header):
        with damaged(path):
            columns, header = frame.columns, frame.header
            named = next((three for three in DUMPED if set(three) <= columns.keys()), None)
            if named is None or "id" not in columns:
                raise TrajectoryError(
                    f"{path}: want columns id x y z (or xu, xs, xsu), found {list(columns)}; add them to `dump custom`"
                )
            ids = table[:, columns["id"]][:, 0].astype(int)
            table = table[np.argsort(ids)]
            first = np.sort(ids) if first is None else first
            box, whole = _lammps_box(header)
            x = np.concatenate([table[:, columns[name]] for name in named], axis=1).astype(float)
            some = chosen(path, len(x), n_atoms, atoms)
            positions.append((x @ whole if "s" in named[0] else x)[some])
            if {"fx", "fy", "fz"} <= columns.keys():
                forces.append(
                    np.concatenate([table[:, columns[name]] for name in ("fx", "fy", "fz")], axis=1).astype(float)[some]
                )
            boxes.append(box)
            steps.append(int(header["TIMESTEP"][0]))
            times += [float(word) for word in header.get("TIME", [])]
            units = LAMMPS_UNITS.get(header["UNITS"][0], Units(header["UNITS"][0])) if "UNITS" in header else units
        if not np.array_equal(first, np.sort(ids)):
            raise TrajectoryError(
                f"{path}: atoms of frame {(len(steps) - 1) * stride} are others than those of the first; want one group"
            )
    return _raw(path, positions, forces, times, boxes, units, steps)


def read_xyz(path: Path, n_atoms: int, stride: int, atoms: np.ndarray | None) -> Raw:
    """XYZ, or the extended kind of ASE: positions `pos`, and `forces` or `force`, Lattice, pbc and Time."""
    positions, forces, boxes, times = [], [], [], []
    for frame, table in _frames(path, stride, _xyz_header):
        with damaged(path):
            columns, header = frame.columns, frame.header
            some = chosen(path, len(table), n_atoms, atoms)
            if "pos" not in columns:
                raise TrajectoryError(f"{path}: want a property pos, found {list(columns)}")
            positions.append(table[:, columns["pos"]].astype(float)[some])
            forces += [table[:, columns[name]].astype(float)[some] for name in ("forces", "force") if name in columns]
            periodic = [word in ("T", "True", "1") for word in header.get("pbc", ["T"] * 3)]
            vectors = np.array(header.get("lattice", [0.0] * 9), float).reshape(3, 3)
            boxes.append(vectors * np.array(periodic)[:, None])
            times += [float(header["time"][0])] if "time" in header else []
    return _raw(path, positions, forces, times, boxes, Units())


def _raw(path, positions: list, forces: list, times: list, boxes: list, units: Units, steps=()) -> Raw:
    """What was gathered. Raises TrajectoryError where only some frames hold a thing, or steps are uneven and without times."""
    for what, values in (("forces", forces), ("times", times)):
        if values and len(values) != len(positions):
            raise TrajectoryError(f"{path}: {len(values)} of {len(positions)} frames hold {what}; want all alike")
    if not times and len(set(np.diff(steps).tolist())) > 1:
        raise TrajectoryError(
            f"{path}: frames are not evenly spaced, from {min(np.diff(steps))} to {max(np.diff(steps))} steps, and have no times; "
            "were runs joined that overlap? Want one file a run, or `dump_modify time yes`"
        )
    force = np.array(forces, np.float32) if forces else None
    return Raw(np.array(positions, np.float32), force, np.array(times) if times else None, np.array(boxes), units=units)


def _frames(
    path: Path, stride: int, header_of: Callable[[TextIO], _Frame | None]
) -> Iterator[tuple[_Frame, np.ndarray]]:
    """Every so many whole frames: the header, and the words of all lines (n, columns); a cut one with a warning."""
    count = 0
    with open(path, encoding="utf-8", errors="replace") as file:
        while True:
            with damaged(path):
                frame = header_of(file)
                lines = [] if frame is None else list(islice(file, frame.n))
            if frame is None:
                return
            if len(lines) < frame.n or not lines[-1].endswith("\n"):
                break
            if count % stride == 0:
                with damaged(path):
                    table = np.array([line.split() for line in lines])
                yield frame, table
            count += 1
    if not count:
        raise TrajectoryError(f"{path}: the file ends inside its first frame")
    warnings.warn(TruncatedTrajectoryWarning(path, count, sum(map(len, lines))), stacklevel=6)


def _lammps_header(file: TextIO) -> _Frame | None:
    header: dict[str, list[str]] = {}
    while line := file.readline():
        name = line.removeprefix("ITEM: ").strip()
        if not line.endswith("\n"):
            return CUT
        if not line.startswith("ITEM: "):
            raise ValueError(f"want a line that begins with 'ITEM: ', found {line[:40]!r}")
        if name.startswith("ATOMS"):
            columns = {word: slice(k, k + 1) for k, word in enumerate(name.split()[1:])}
            return _Frame(int(header["NUMBER OF ATOMS"][0]), columns, header)
        if name.startswith("BOX BOUNDS"):
            header["BOX"], header["BOUNDS"] = name.split()[2:], [file.readline() for _ in range(3)]
        else:
            header[name] = [file.readline().strip()]
    return CUT if header else None


def _lammps_box(header: dict[str, list[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (3, 3) of the box, zero where not periodic, and all of them, by which scaled positions are scaled."""
    rows = np.array([line.split() for line in header["BOUNDS"]], float)
    words, tilt = header["BOX"], np.zeros(3)
    if rows.shape == (3, 3):
        tilt = rows[:, 2]
    elif rows.shape != (3, 2):
        raise ValueError(f"want two or three numbers in each line of the box, found {rows.shape[1]}")
    xy, xz, yz = tilt
    low, high = rows[:, 0].copy(), rows[:, 1].copy()
    low[:2] -= min(0, xy, xz, xy + xz), min(0, yz)
    high[:2] -= max(0, xy, xz, xy + xz), max(0, yz)
    whole = np.diag(high - low) + np.array([[0, 0, 0], [xy, 0, 0], [xz, yz, 0]])
    return whole * np.array([word == "pp" for word in words[-3:]])[:, None], whole


def _xyz_header(file: TextIO) -> _Frame | None:
    line = file.readline()
    if not line.strip() and not file.read().strip():
        return None
    if not line.endswith("\n"):
        return CUT
    n, comment = int(line), file.readline()
    header = {key.lower(): "".join(words).split() for key, *words in KEY.findall(comment)}
    columns, at = {}, 0
    fields = "".join(header.get("properties", ["species:S:1:pos:R:3"])).split(":")
    for name, _, count in zip(*[iter(fields)] * 3, strict=True):
        columns[name] = slice(at, at := at + int(count))
    return _Frame(n, columns, header)
