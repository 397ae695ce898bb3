"""Molecules from nothing: capped peptides from a sequence, and a box of hexane. Names are those of GROMACS.

Starting structures only: bonds and angles are ideal, clashes are left to a minimisation.
"""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import mdtraj
import numpy as np

from ..config import ConfigError, did_you_mean
from ..frames import Topology
from ..io import read_topology
from ..store import read_toml
from .protocol import RECIPES

CONFORMATIONS = {
    "extended": (-135.0, 135.0),
    "ppii": (-75.0, 145.0),
    "helix": (-60.0, -45.0),
}
"""phi and psi in degrees of an L-peptide; a D-peptide has the opposite signs."""

HEXANE_BOX_NM = 2.79573
HEXANE_TOP = RECIPES / "hexane.top"
"""The liquid's topology for both engines: OPLS-AA types and charges."""


class Structure(NamedTuple):
    """Atoms and where they are: position (A, 3) nm; box (3,) nm, inf where not periodic."""

    topology: Topology
    position: np.ndarray
    box: np.ndarray


def peptide(residues: tuple[str, ...], phi_psi, *, chirality: str = "L") -> Structure:
    """Build a peptide between the caps ACE and NME, its omega angles trans.

    residues: three-letter codes without the caps; phi_psi: degrees, one pair or a pair for each residue, those of the
    L-peptide, of which chirality "D" gives the mirror image. Raises ConfigError for a residue without a table.
    """
    if chirality not in ("L", "D"):
        raise ConfigError(f"chirality: want L or D, got {chirality!r}")
    angles = np.broadcast_to(np.asarray(phi_psi, dtype=float), (len(residues), 2))
    codes = ("ACE", *residues, "NME")
    rows = {code: _residue(code) for code in codes}
    placed: list[dict[str, np.ndarray]] = []
    before = {"psi": 180.0}  # of ACE, whose oxygen stands in for the nitrogen before it
    for code, (phi, psi) in zip(codes, [(0, 0), *angles, (0, 0)], strict=True):
        here = {"phi": phi, "psi": psi}
        if code == "ACE":
            placed.append(_cap(rows[code]))
        else:
            previous = placed[-1]
            named = {"-C": previous["C"], "-CA": previous["CA" if "CA" in previous else "CH3"]}
            named["-N"] = previous["N" if "N" in previous else "O"]
            placed.append(_place(rows[code], named, here | {"-psi": before["psi"]}))
            before = here
    position = np.array([at[name] for code, at in zip(codes, placed, strict=True) for name in rows[code]])
    if chirality == "D":
        position = position * [1.0, 1.0, -1.0]
    return Structure(_topology(codes, rows), position - position.mean(axis=0), np.full(3, np.inf))


def hexane(seed: int = 0) -> Structure:
    """Build the paper's 100 molecules of hexane in their cubic box, all-trans and stacked in three layers.

    Each is turned about its axis and perhaps upside down at random; a run melts this crystal before it counts.
    """
    random = np.random.default_rng(seed)
    molecule = np.array(_table("recipes/hexane.toml")["position"])
    topology = read_topology(HEXANE_TOP)
    count = topology.n_atoms // len(molecule)
    per_side, layers = 6, 3
    spacing = HEXANE_BOX_NM / np.array([per_side, per_side, layers])
    sites = (np.indices((per_side, per_side, layers)).reshape(3, -1).T + 0.5) * spacing
    sites = sites[np.sort(random.permutation(len(sites))[:count])]
    position = []
    for site in sites:
        turn, flip = random.uniform(0, 2 * np.pi), random.choice([-1.0, 1.0])
        c, s = np.cos(turn), np.sin(turn)
        # Two axes change sign together: a proper rotation.
        position.append(molecule @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]]) * [1, flip, flip] + site)
    topology = replace(topology, mass=_masses(topology.elements))
    return Structure(topology, np.concatenate(position), np.full(3, HEXANE_BOX_NM))


@cache
def _table(name: str) -> dict:
    return read_toml(Path(__file__).parent / name)


def _residue(code: str) -> dict[str, list]:
    table = _table("residues.toml")
    if code not in table:
        residues = sorted(table.keys() - {"ACE", "NME"})
        raise ConfigError(f"unknown residue {code!r}; there are {residues}{did_you_mean(code, residues)}")
    return table[code]


def _cap(rows: dict[str, list]) -> dict[str, np.ndarray]:
    """ACE: its first three atoms fix the frame of reference."""
    (_, _, carbon), (_, _, _, oxygen, angle) = rows["C"], rows["O"]
    turn = np.radians(180 - angle)
    c = np.array([carbon, 0.0, 0.0])
    at = {"CH3": np.zeros(3), "C": c, "O": c + oxygen * np.array([np.cos(turn), np.sin(turn), 0.0])}
    return _place({k: v for k, v in rows.items() if k not in at}, at, {}) | at


def _place(rows: dict[str, list], at: dict[str, np.ndarray], angles: dict[str, float]) -> dict[str, np.ndarray]:
    """Positions of a residue's atoms; those in `at` are there already."""
    at, waiting = dict(at), dict(rows)
    while waiting:
        ready = [name for name, row in waiting.items() if all(other in at for other in row[1:4])]
        if not ready:
            raise ConfigError(f"residues.toml: nothing to place {sorted(waiting)} by")
        for name in ready:
            _, bonded, angle_with, dihedral_with, length, angle, dihedral = waiting.pop(name)
            at[name] = place(at[dihedral_with], at[angle_with], at[bonded], length, angle, _degrees(dihedral, angles))
    return {name: at[name] for name in rows}


def _degrees(value: float | str, angles: dict[str, float]) -> float:
    if not isinstance(value, str):
        return value
    name, offset = re.fullmatch(r"(-?[a-z]+)([+-][\d.]+)?", value).groups()
    return angles[name] + float(offset or 0.0)


def place(a, b, c, length: float, angle: float, dihedral: float) -> np.ndarray:
    """The point d with |cd| = length nm, angle bcd and dihedral abcd in degrees (IUPAC sign): (3,) nm."""
    angle, dihedral = np.radians(angle), np.radians(dihedral)
    along = (c - b) / np.linalg.norm(c - b)
    normal = np.cross(b - a, along)
    normal /= np.linalg.norm(normal)
    across = np.cross(normal, along)
    local = np.array([-np.cos(angle), np.sin(angle) * np.cos(dihedral), np.sin(angle) * np.sin(dihedral)])
    return c + length * (local[0] * along + local[1] * across + local[2] * normal)


def _topology(codes: tuple[str, ...], rows: dict[str, dict]) -> Topology:
    names, residues, numbers, elements, bonds = [], [], [], [], []
    index: dict[tuple[int, str], int] = {}
    for number, code in enumerate(codes):
        for name in rows[code]:
            index[number, name] = len(names)
            names.append(name)
            residues.append(code)
            numbers.append(number)
            elements.append(rows[code][name][0])
        for name, (_, *others) in rows[code].items():
            if others:
                bonded = others[0]
                there = (number - 1, bonded[1:]) if bonded.startswith("-") else (number, bonded)
                bonds.append(sorted((index[number, name], index[there])))
        if code == "PRO":
            bonds.append(sorted((index[number, "N"], index[number, "CD"])))
    return Topology(
        names=tuple(names),
        residues=tuple(residues),
        residue_index=tuple(numbers),
        elements=tuple(elements),
        mass=_masses(elements),
        bonds=np.array(sorted(bonds), dtype=int),
    )


def _masses(elements) -> np.ndarray:
    return np.array([mdtraj.element.Element.getBySymbol(symbol).mass for symbol in elements])
