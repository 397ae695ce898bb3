"""The maps of a molecule side by side: its atoms, and over them the beads that are kept, with their species."""

import string
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from cgcore import mapping, plots, viewer
from cgcore.poster import panel
from cgcore.reference import sets

PANEL_IN = (3.1, 2.3)
WIDEST = "CH3"
"""A bead has room for a species of so many letters; longer names become A, B, C."""


def draw(
    path: Path, set_name: str, maps: list[tuple[str, str, str]], *, residue: str, columns: int = 3, frame: int = 0
) -> Path:
    """Write a picture of the first molecule of a reference set, a panel for each (map, typing, title); its path."""
    topology, atoms = sets.load(set_name)
    x = np.asarray(atoms.position[frame])
    rows = -(-len(maps) // columns)
    with plots.style():
        size = (PANEL_IN[0] * min(columns, len(maps)), PANEL_IN[1] * rows)
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="none")
        figure.subplots_adjust(left=0, right=1, bottom=0, top=1 - 0.25 / size[1], wspace=0, hspace=0.12)
        for ax in axes.flat:
            ax.set_axis_off()
        for ax, (map, typing, title) in zip(axes.flat, maps, strict=False):
            beads = mapping.load(map, topology, typing=typing, residue=residue)
            at = np.asarray(mapping.apply(beads, atoms[frame : frame + 1]).position)[0]
            panel(ax, *viewer.scene(*_one_molecule(topology, x, beads, at)))
            ax.set_title(title, fontsize=11)
        figure.savefig(path, dpi=130)
        plt.close(figure)
    return path


def _one_molecule(topology, x: np.ndarray, beads: mapping.Mapping, at: np.ndarray) -> tuple:
    """The arguments of `viewer.scene` for the atoms and beads that are bonded, however indirectly, to the first atom."""
    last = _end(topology.bonds)
    kept = [i for i, atoms in enumerate(beads.atoms) if max(atoms) < last]
    bonds = [b for b in np.asarray(beads.bonds) if max(b) <= max(kept)]
    atom_bonds = [b for b in topology.bonds if max(b) < last]
    atoms = (x[:last], topology.elements[:last], atom_bonds)
    species, names = [beads.species[i] for i in kept], beads.species_names
    if max(map(len, names)) > len(WIDEST):
        names = string.ascii_uppercase
    return *atoms, at[kept], species, [names[s] for s in species], bonds


def _end(bonds) -> int:
    """One past the last atom of the first molecule, whose atoms are numbered together."""
    last = 1
    for i, j in sorted(map(sorted, bonds)):
        if i < last:
            last = max(last, j + 1)
    return last
