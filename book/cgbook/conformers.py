"""A surface over phi and psi whose cells show a conformer: of each cell that a reference visits the frame nearest its middle.

What goes to the page: a picture of the surface, and a scene of `cgcore.viewer` with the positions of all cells packed.
"""

import base64
import html
import io
import json
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from cgbook.drawing import VMAX
from cgcore import mapping, plots, viewer
from cgcore.analysis import surface
from cgcore.geometry import superposition
from cgcore.reference import sets

BINS = 24
"""Cells of 15 degrees along phi and along psi."""
PER_NM = 10_000
"""Packed positions are whole numbers of 0.0001 nm."""
AXES = (0.16, 0.13, 0.81, 0.81)
"""Left, bottom, width and height of the surface in its picture."""


class Conformers(NamedTuple):
    """Of K cells in the order of phi, then psi: the numbers (K,) of their frames and cells, positions (K, A + N, 3) nm.

    Atoms come first, then beads, all laid on the conformer of lowest free energy by the atoms about CA. free_energy
    (M, M) kJ/mol is nan where the reference never was; molecule and beads are those of `viewer.scene`.
    """

    frame: np.ndarray
    cell: np.ndarray
    position: np.ndarray
    free_energy: np.ndarray
    molecule: dict
    beads: dict


def pick(reference: str, map: str, residue: str) -> Conformers:
    """Choose a frame of each cell of a reference of one molecule, with the beads of a map that has phi and psi."""
    topology, frames = sets.load(reference)
    beads = mapping.load(map, topology, residue=residue)
    mapped = mapping.apply(beads, frames)
    phi, psi, weight = (a[0] for a in surface.backbone(mapped, beads.dihedrals["phi"], beads.dihedrals["psi"]))
    counts = surface.counts2d(phi, psi, BINS, weight)[0]
    free_energy = surface.free_energy(counts, sets.temperature_K(reference))
    chosen = _nearest_the_middle(phi, psi)
    everything = np.concatenate([frames.position[chosen], mapped.position[chosen]], axis=1).astype(float)
    cell = surface.bin_index(phi[chosen], BINS) * BINS + surface.bin_index(psi[chosen], BINS)
    lowest = int(np.nanargmin(free_energy.ravel()[cell]))
    about = _about_alpha(topology)
    everything -= everything[:, about].mean(axis=1, keepdims=True)
    everything = everything @ superposition(everything[:, about], everything[lowest, about])
    everything = viewer.upright(everything[lowest])(everything)
    scene = viewer.scene(*viewer.first_molecule(topology, frames.position[0], beads, mapped.position[0]))
    return Conformers(chosen, cell, everything, free_energy, *scene)


def _nearest_the_middle(phi: np.ndarray, psi: np.ndarray) -> np.ndarray:
    """The frames, one a cell that has any, least far from its middle; in the order of the cells."""
    width = 2 * np.pi / BINS
    angles = np.stack([phi, psi], axis=1)
    place = surface.bin_index(angles, BINS)
    off = np.abs((angles + np.pi) / width - place - 0.5).max(axis=1)
    order = np.lexsort([off, place[:, 1], place[:, 0]])
    _, first = np.unique(place[order] @ [BINS, 1], return_index=True)
    return order[first]


def _about_alpha(topology) -> list[int]:
    """CA and the heavy atoms bonded to it."""
    alpha = topology.names.index("CA")
    bonded = {int(i) for bond in topology.bonds for i in bond if alpha in bond}
    return sorted(i for i in bonded if topology.elements[i] != "H")


def page(made: Conformers, alt: str, caption: str) -> str:
    """The figure as HTML, which `static/js/conformers.js` brings to life where the browser has WebGL."""
    shapes = {"molecule": made.molecule, "beads": made.beads}
    scene = {
        name: {key: value for key, value in of.items() if key not in ("position", "frames")}
        for name, of in shapes.items()
    }
    packed = np.round(made.position * PER_NM).astype("<i2")
    scene |= {"axes": AXES, "bins": BINS, "perAngstrom": PER_NM / viewer.NM, "cells": made.cell.tolist()}
    scene["energies"] = np.round(made.free_energy.ravel()[made.cell], 1).tolist()
    scene["start"] = int(made.cell[np.nanargmin(scene["energies"])])
    scene["positions"] = base64.b64encode(packed.tobytes()).decode()
    data = json.dumps(scene).replace("<", "\\u003c")
    return (
        f'<figure class="conformers"><div class="surface"><img class="dark-light" src="data:image/png;base64,{_picture(made.free_energy)}" '
        f'alt="{html.escape(alt)}"></div><script type="application/json">{data}</script>'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _picture(free_energy: np.ndarray) -> str:
    """PNG of the surface in base64, its axes where AXES says."""
    with plots.style():
        figure = plt.figure(figsize=(4.4, 4.4), layout="none")
        plots.ramachandran(figure.add_axes(AXES), free_energy, surface.edges(BINS), vmax=VMAX, colourbar=False)
        out = io.BytesIO()
        figure.savefig(out, dpi=130, metadata={"Software": None})
        plt.close(figure)
    return base64.b64encode(out.getvalue()).decode()
