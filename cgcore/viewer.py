"""Molecules and their beads on a page: a picture with alt text, and a 3-D view drawn over it where the browser can.

The picture needs neither JavaScript nor WebGL. The view is 3Dmol.js, from the book's own files on its pages and from a
CDN in a notebook.
"""

import base64
import html
import json
import uuid
from importlib import resources

import numpy as np

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


def show(
    position_atoms, elements, atom_bonds, position_beads, bead_species, bead_names, bead_bonds, *, alt: str, caption=""
):
    """Atoms as sticks inside translucent beads: an `IPython.display.HTML`.

    position_atoms (A, 3) nm, elements A symbols, atom_bonds (P, 2); position_beads (N, 3) nm, bead_species N integers,
    bead_names N strings, bead_bonds (Q, 2); alt: what the picture shows, for those who cannot see it.
    Raises ValueError for sizes that do not fit, and for an empty alt.
    """
    molecule, beads = scene(position_atoms, elements, atom_bonds, position_beads, bead_species, bead_names, bead_bonds)
    return _page(molecule, beads, alt, caption)


def scene(position_atoms, elements, atom_bonds, position_beads, bead_species, bead_names, bead_bonds):
    """What `poster` draws: molecule and beads with colours and radii, turned `upright`. Arguments and errors of `show`."""
    atoms, beads = (np.asarray(p, float).reshape(-1, 3) for p in (position_atoms, position_beads))
    turn = upright(np.vstack([atoms, beads]))
    molecule = _molecule(turn(atoms), elements, atom_bonds)
    return molecule, _beads(turn(beads)[None], bead_species, bead_names, bead_bonds)


def show_trajectory(position_beads, bead_species, bead_names, bead_bonds, *, alt: str, caption="", frame_ps=None):
    """A few dozen frames of beads, with a button that plays them and a slider: an `IPython.display.HTML`.

    position_beads (T, N, 3) nm, T at most 60; every frame is laid on the first (least squares), so that the molecule
    neither drifts nor tumbles. frame_ps: time between frames, shown beside the slider.
    """
    position = np.asarray(position_beads, float)
    if position.ndim != 3 or not 2 <= len(position) <= MAX_FRAMES:
        raise ValueError(f"trajectory: want (T, N, 3) nm with 2 to {MAX_FRAMES} frames, got {position.shape}; thin it")
    turn = upright(position[0])
    beads = _beads(superpose(turn(position)), bead_species, bead_names, bead_bonds, BARE_BEAD_NM)
    return _page(_molecule([], [], []), beads, alt, caption, frame_ps)


def nglview(position_atoms, elements, atom_bonds, position_beads, bead_species, bead_names):
    """The same picture as a live NGL widget for JupyterLab; needs the package nglview."""
    import nglview as ngl

    molecule = _molecule(position_atoms, elements, atom_bonds)
    view = ngl.NGLWidget(ngl.TextStructure(_pdb(molecule), ext="pdb"))
    view.clear_representations()
    view.add_representation("licorice", radius=STICK_NM * NM)
    beads = _beads(np.asarray(position_beads, float)[None], bead_species, bead_names, [])
    for name, colour, centre in zip(beads["names"], beads["colours"], beads["frames"][0], strict=True):
        rgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        view.shape.add_sphere(centre, rgb, BEAD_NM * NM, name)
    view.update_representation(component=1, opacity=0.5)
    view.center()
    return view


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


def superpose(position: np.ndarray) -> np.ndarray:
    """Lay every frame on the first by the rotation of least squared distance (Kabsch): (T, N, 3) -> (T, N, 3) nm.

    Only proper rotations: a mirror image stays one.
    """
    centred = position - position.mean(axis=1, keepdims=True)
    u, _, vt = np.linalg.svd(np.einsum("tni,nj->tij", centred, centred[0]))
    sign = np.sign(np.linalg.det(u @ vt))
    u[:, :, 2] *= sign[:, None]
    return np.einsum("tni,tij->tnj", centred, u @ vt)


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

    from cgcore.poster import poster

    if not alt.strip():
        raise ValueError("alt: want a sentence that says what the picture shows, got nothing")
    png = base64.b64encode(poster(molecule, beads)).decode()
    scene = json.dumps({"molecule": molecule, "beads": beads, "framePs": frame_ps}).replace("</", "<\\/")
    template = resources.files("cgcore").joinpath("viewer.html").read_text(encoding="utf-8")
    known = {
        "@id@": f"molview-{uuid.uuid4().hex[:10]}",
        "@alt@": html.escape(alt),
        "@caption@": f"<p>{html.escape(caption)}</p>" if caption else "",
        "@legend@": "".join(_swatch(*pair) for pair in zip(beads["names"], beads["colours"], strict=True)),
        "@png@": png,
        "@scene@": scene,
    }
    for mark, text in known.items():
        template = template.replace(mark, text)
    return HTML(template)


def _swatch(name: str, colour: str) -> str:
    return f'<li><span style="background:{colour}" aria-hidden="true"></span>{html.escape(name)}</li>'


def _pdb(molecule: dict) -> str:
    """A PDB text of the atoms in Å, bonds as CONECT records."""
    atoms = [
        f"HETATM{i:5d} {element:<4s} MOL A   1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          {element:>2s}"
        for i, (element, (x, y, z)) in enumerate(zip(molecule["elements"], molecule["position"], strict=True), start=1)
    ]
    return "\n".join([*atoms, *(f"CONECT{i + 1:5d}{j + 1:5d}" for i, j in molecule["bonds"]), "END"])
