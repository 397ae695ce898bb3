"""Molecules made by hand for the doctor: maps from tables of names, and frames of a few beads."""

from pathlib import Path

import numpy as np

from cgcore import mapping
from cgcore.frames import Frames, Topology

MASS = {"H": 1.008, "C": 12.011, "N": 14.007, "O": 15.999, "F": 18.998, "Cl": 35.45, "Br": 79.904}


def topology(elements: str, bonds: str, residue: str = "MOL", copies: int = 1) -> Topology:
    """Atoms named by element and number, bonds as "0-1 1-2"."""
    one = elements.split()
    pairs = [tuple(map(int, b.split("-"))) for b in bonds.split()]
    n = len(one)
    return Topology(
        names=tuple(f"{e}{k}" for k, e in enumerate(one)) * copies,
        residues=(residue,) * (n * copies),
        residue_index=tuple(c for c in range(copies) for _ in one),
        elements=tuple(one) * copies,
        mass=np.array([MASS[e] for e in one] * copies),
        bonds=np.array([(i + c * n, j + c * n) for c in range(copies) for i, j in pairs], dtype=int).reshape(-1, 2),
    )


def table(
    folder: Path, beads: dict[str, list[str]], typings: str, residue: str = "MOL", leaves_out: bool = True
) -> Path:
    """A map file; typings: TOML."""
    rows = "\n".join(f"{bead} = {atoms}".replace("'", '"') for bead, atoms in beads.items())
    path = folder / "hand.toml"
    path.write_text(
        f'description = "by hand"\nleaves_atoms_out = {str(leaves_out).lower()}\n{typings}\n[residues.{residue}]\n{rows}\n'
    )
    return path


TYPINGS = """[typings.single]
description = "alike"
by = "nothing"
[typings.unique]
description = "different"
by = "bead"
"""


def mapped(folder: Path, atoms: Topology, beads: dict[str, list[str]], typing: str = "unique", typings: str = TYPINGS):
    return mapping.load(table(folder, beads, typings), atoms, typing=typing, residue="MOL")


def frames(position: np.ndarray, names, box=np.inf) -> Frames:
    position = np.asarray(position, float)
    return Frames(
        position=position, force=None, box=np.full(3, box), time=np.arange(len(position)) * 1.0, names=tuple(names)
    )
