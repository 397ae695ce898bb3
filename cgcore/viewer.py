"""Molecules and their beads: a live widget in a notebook, and on a page a picture with a 3-D view drawn over it.

In a Jupyter kernel with nglview the widget has beads as spheres over atoms as sticks, and a slider for trajectories.
Elsewhere, as in notebooks that `cgcore run` executes for the book, the picture needs neither JavaScript nor WebGL. The view
over it is 3Dmol.js, from the book's own files on its pages and from a CDN in a notebook.
"""

import base64
import html
import json
import os
import re
import string
import uuid
from importlib import resources
from importlib.util import find_spec

import numpy as np

from cgcore.geometry import molecules, superposition
from cgcore.poster import poster

OFFLINE = "CGCORE_OFFLINE_VIEW"
"""The environment variable of kernels whose notebooks nobody looks at while they run."""

NM = 10.0
"""Å in a nm: 3Dmol and NGL count in Å."""

SPECIES_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#7F7F7F", "#F0E442")
"""Okabe and Ito's palette, which people who confuse colours can tell apart; species beyond it begin again."""

ELEMENT_COLOURS = {"C": "#6b7078", "N": "#3459c8", "O": "#d43d33", "H": "#d9dde2", "S": "#d9b310"}
OTHER_ELEMENT = "#b26fc0"
ATOM_NM = {"H": 0.022}
HEAVY_NM, STICK_NM, BEAD_NM, BEAD_STICK_NM = 0.033, 0.011, 0.068, 0.016
BARE_BEAD_NM = 0.045
MAX_FRAMES = 60
WIDEST_NAME = "CH3"
"""A bead has room for a species of so many letters; where one is longer, all become A, B, C."""


def show(
    position_atoms, elements, atom_bonds, position_beads, bead_species, bead_names, bead_bonds, *, alt: str, caption=""
):
    """Show atoms as sticks inside translucent beads: an nglview widget in a live notebook, else `IPython.display.HTML`.

    Args:
        position_atoms: (A, 3) nm; elements: A symbols; atom_bonds: (P, 2).
        position_beads: (N, 3) nm; bead_species: N integers; bead_names: N strings; bead_bonds: (Q, 2).
        alt: what the picture shows, for those who cannot see it.
    Raises ValueError for sizes that do not fit, and for an empty alt.
    """
    molecule, beads = scene(position_atoms, elements, atom_bonds, position_beads, bead_species, bead_names, bead_bonds)
    return _view(molecule, beads, alt, caption)


def scene(position_atoms, elements, atom_bonds, position_beads, bead_species, bead_names, bead_bonds):
    """What `poster` draws: molecule and beads with colours and radii, turned `upright`. Arguments and errors of `show`."""
    atoms, beads = (np.asarray(p, float).reshape(-1, 3) for p in (position_atoms, position_beads))
    turn = upright(np.vstack([atoms, beads]))
    molecule = _molecule(turn(atoms), elements, atom_bonds)
    return molecule, _beads(turn(beads)[None], bead_species, bead_names, bead_bonds)


def show_molecule(topology, position, beads, bead_position, *, alt: str, caption=""):
    """`show` the first molecule of a frame; arguments as of `first_molecule`."""
    return show(*first_molecule(topology, position, beads, bead_position), alt=alt, caption=caption)


def first_molecule(topology, position, beads, bead_position) -> tuple:
    """The arguments of `scene` for the atoms that are bonded, however indirectly, to the first, and the beads over them.

    Args:
        position: (A, 3) nm of the atoms of a `Topology`; bead_position: (N, 3) nm of the beads of a `Mapping`.
    """
    molecule = molecules(topology.bonds, topology.n_atoms)
    atoms = np.flatnonzero(molecule == molecule[0])
    kept = [i for i, of_bead in enumerate(beads.atoms) if molecule[of_bead[0]] == molecule[0]]
    names = beads.species_names
    if max(map(len, names)) > len(WIDEST_NAME):
        names = string.ascii_uppercase
    species = [beads.species[i] for i in kept]
    of_atoms = (np.asarray(position)[atoms], [topology.elements[i] for i in atoms], _among(topology.bonds, atoms))
    of_beads = (np.asarray(bead_position)[kept], species, [names[s] for s in species], _among(beads.bonds, kept))
    return *of_atoms, *of_beads


def _among(bonds, chosen) -> list[tuple[int, int]]:
    """The bonds between chosen particles, by their numbers among these."""
    place = {int(i): k for k, i in enumerate(chosen)}
    return [(place[i], place[j]) for i, j in np.asarray(bonds).reshape(-1, 2).tolist() if i in place and j in place]


def show_trajectory(position_beads, bead_species, bead_names, bead_bonds, *, alt: str, caption="", frame_ps=None):
    """Show a few dozen frames of beads with a slider, as `show`.

    position_beads (T, N, 3) nm, T at most 60; every frame is laid on the first (least squares), so that the molecule
    neither drifts nor tumbles. bead_bonds (Q, 2), or (T, Q, 2) where they change. frame_ps: time between frames, shown
    beside the slider of a page.
    """
    position = np.asarray(position_beads, float)
    if position.ndim != 3 or not 2 <= len(position) <= MAX_FRAMES:
        raise ValueError(
            f"trajectory: want (T, N, 3) nm with 2 to {MAX_FRAMES} frames, got {position.shape}; take fewer frames"
        )
    position = upright(position[0])(position)
    position -= position.mean(axis=1, keepdims=True)
    laid = position @ superposition(position, position[0])
    bonds = np.asarray(bead_bonds)
    of_frames = bonds if bonds.ndim == 3 else bonds[None]
    if len(of_frames) not in (1, len(position)):
        raise ValueError(f"bead_bonds: want (Q, 2), or (T, Q, 2) for {len(position)} frames, got {bonds.shape}")
    beads = _beads(laid, bead_species, bead_names, of_frames[0], BARE_BEAD_NM)
    beads["later_bonds"] = [_pairs("bead_bonds", b, position.shape[1]) for b in of_frames[1:]]
    return _view(_molecule([], [], []), beads, alt, caption, frame_ps)


def _view(molecule: dict, beads: dict, alt: str, caption: str, frame_ps: float | None = None):
    """The one place that decides between widget and page."""
    if not alt.strip():
        raise ValueError("alt: want a sentence that says what the picture shows, got nothing")
    return _widget(molecule, beads) if live() else _page(molecule, beads, alt, caption, frame_ps)


def live() -> bool:
    """Whether a widget can come to life: nglview is there, in a kernel that was not started with `OFFLINE` set."""
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel") and not os.environ.get(OFFLINE) and find_spec("nglview") is not None


def _widget(molecule: dict, beads: dict):
    """An nglview.NGLWidget: component 0 the beads, over all frames, component 1 the atoms where there are any."""
    import nglview

    carbons = ["C"] * len(beads["names"])
    view = nglview.NGLWidget(_trajectory(beads["frames"], carbons, beads["bonds"]), default_representation=False)
    opacity = 0.5 if molecule["elements"] else 1.0
    for colour in dict.fromkeys(beads["colours"]):
        chosen = ",".join(str(i) for i, c in enumerate(beads["colours"]) if c == colour)
        look = dict(color=colour, opacity=opacity, radiusType="size", radiusSize=beads["radius"])
        view.add_spacefill(f"@{chosen}", component=0, **look)
    view.add_licorice("*", component=0, color="#9aa3ad", radius=beads["stick"])
    if molecule["elements"]:
        atoms = _trajectory([molecule["position"]], molecule["elements"], molecule["bonds"])
        view.add_trajectory(atoms, default_representation=False)
        view.add_licorice("*", component=1, radius=molecule["stick"])
    view.center()
    return view


def _trajectory(frames: list, elements: list[str], bonds: list):
    """Positions (T, N, 3) Å as nglview reads them."""
    import mdtraj
    import nglview

    topology = mdtraj.Topology()
    residue = topology.add_residue("MOL", topology.add_chain())
    for symbol in elements:
        topology.add_atom(symbol, mdtraj.element.get_by_symbol(symbol), residue)
    for i, j in bonds:
        topology.add_bond(topology.atom(i), topology.atom(j))
    return nglview.MDTrajTrajectory(mdtraj.Trajectory(np.array(frames) / NM, topology))


def upright(points: np.ndarray):
    """The map of positions (..., 3) that puts points (M, 3) at the origin, widest across the page, flattest in depth.

    A proper rotation about the mean (principal axes), so that nothing turns into its mirror image.
    """
    centre = points.mean(axis=0)
    axes = np.linalg.eigh(np.cov((points - centre).T)).eigenvectors[:, ::-1].copy()
    axes[:, 2] *= np.sign(np.linalg.det(axes))
    if (points[0] - centre) @ axes[:, 0] > 0:  # begin at the left
        axes[:, [0, 2]] *= -1
    return lambda position: (position - centre) @ axes


def _molecule(position, elements, bonds) -> dict:
    position = np.asarray(position, float).reshape(-1, 3)
    if len(elements) != len(position):
        raise ValueError(f"atoms: want an element each, got {len(position)} positions and {len(elements)} elements")
    return {
        "position": np.round(position * NM, 3).tolist(),
        "elements": list(elements),
        "bonds": _pairs("atom_bonds", bonds, len(position)),
        "colours": [ELEMENT_COLOURS.get(e, OTHER_ELEMENT) for e in elements],
        "radius": [ATOM_NM.get(e, HEAVY_NM) * NM for e in elements],
        "stick": STICK_NM * NM,
    }


def _beads(position, species, names, bonds, radius_nm=BEAD_NM) -> dict:
    n = position.shape[1]
    if not len(species) == len(names) == n:
        raise ValueError(f"beads: want a species and a name each, got {n}, {len(species)} and {len(names)} of them")
    order = {s: i for i, s in enumerate(dict.fromkeys(int(s) for s in species))}
    return {
        "frames": np.round(position * NM, 2).tolist(),
        "names": list(names),
        "colours": [SPECIES_COLOURS[order[int(s)] % len(SPECIES_COLOURS)] for s in species],
        "bonds": _pairs("bead_bonds", bonds, n),
        "radius": radius_nm * NM,
        "stick": BEAD_STICK_NM * NM,
    }


def _pairs(name: str, bonds, n: int) -> list:
    pairs = np.asarray(bonds, int).reshape(-1, 2)
    if pairs.size and not 0 <= pairs.min() <= pairs.max() < n:
        raise ValueError(f"{name}: want indices from 0 to {n - 1}, got {pairs.min()} to {pairs.max()}")
    return pairs.tolist()


def _page(molecule: dict, beads: dict, alt: str, caption: str, frame_ps: float | None = None):
    from IPython.display import HTML

    png = base64.b64encode(poster(molecule, beads)).decode()
    # Inside a script only `<` can begin what ends it, a comment or another script.
    scene = json.dumps({"molecule": molecule, "beads": beads, "framePs": frame_ps}).replace("<", "\\u003c")
    template = resources.files("cgcore").joinpath("viewer.html").read_text(encoding="utf-8")
    marks = {
        "@id@": f"molview-{uuid.uuid4().hex[:10]}",
        "@alt@": html.escape(alt),
        "@caption@": f"<p>{html.escape(caption)}</p>" if caption else "",
        "@legend@": "".join(_swatch(*pair) for pair in zip(beads["names"], beads["colours"], strict=True)),
        "@png@": png,
        "@scene@": scene,
    }
    # In one pass, so that a mark within what is put in stays as it is.
    return HTML(re.sub("|".join(marks), lambda mark: marks[mark[0]], template))


def _swatch(name: str, colour: str) -> str:
    return f'<li><span style="background:{colour}" aria-hidden="true"></span>{html.escape(name)}</li>'
