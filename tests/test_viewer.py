"""Pictures of beads over atoms: valid HTML with alt text, right coordinates, a picture that shows the beads."""

import base64
import io
import json
import re
import warnings
from html.parser import HTMLParser
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from matplotlib import image
from matplotlib.colors import to_rgb
from nbclient import NotebookClient
from numpy.testing import assert_allclose

from cgcore import mapping, viewer
from cgcore.geometry import superposition
from cgcore.reference import sets

ATOMS = np.array([[0.0, 0, 0], [0.15, 0, 0], [0.2, 0.14, 0], [0.2, 0.2, 0.09], [0.1, -0.05, 0.09]])
ELEMENTS = "CCNHH"
ATOM_BONDS = [(0, 1), (1, 2), (2, 3), (1, 4)]
BEADS, SPECIES, NAMES, BONDS = ATOMS[:3], [7, 7, 2], ["C_ace", "CA", "N<1>"], [(0, 1), (1, 2)]
VOID = {"img", "input", "br", "link", "meta"}


class Reader(HTMLParser):
    """Checks that every element is closed in order, and collects tags and texts."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open.pop() != tag:
            raise ValueError(f"</{tag}> closes nothing")

    def handle_data(self, data):
        self.texts.append(data)


def shown(**changed):
    given = dict(
        position_atoms=ATOMS,
        elements=ELEMENTS,
        atom_bonds=ATOM_BONDS,
        position_beads=BEADS,
        bead_species=SPECIES,
        bead_names=NAMES,
        bead_bonds=BONDS,
        alt='Beads "over" atoms',
    )
    return viewer.show(**(given | changed)).data


def moving(frames=None, **others):
    if frames is None:
        frames = np.stack([turned(BEADS, 0.3 * t) + 0.5 * t for t in range(6)])
    return viewer.show_trajectory(frames, SPECIES, NAMES, BONDS, alt="Beads that move", **others).data


def turned(x, angle):
    c, s = np.cos(angle), np.sin(angle)
    return x @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def scene(text: str) -> dict:
    return json.loads(re.search(r"scene = (\{.*\});\n", text)[1])


def picture(text: str) -> np.ndarray:
    return image.imread(io.BytesIO(base64.b64decode(re.search(r'base64,([^"]+)"', text)[1])))[..., :3]


@pytest.mark.parametrize("text", [shown(), moving(frame_ps=0.5)], ids=["still", "moving"])
def test_the_html_is_well_formed_and_describes_itself(text):
    page = Reader(text)
    assert not page.open, "every element is closed"
    tags = dict(page.tags)
    assert tags["img"]["alt"] in ('Beads "over" atoms', "Beads that move")
    assert tags["img"]["src"].startswith("data:image/png;base64,")
    assert tags["button"]["type"] == "button" and tags["input"]["aria-label"] == "Frame"
    assert [t for t in page.texts if t in NAMES] == NAMES, "the legend names every bead"
    assert "@" not in re.sub(r"base64,[^\"]+|3dmol@|@media", "", text), "no mark of the template is left"
    assert len(text) < 250_000


def test_two_views_on_a_page_do_not_meet():
    ids = {dict(Reader(shown()).tags)["figure"]["id"] for _ in range(2)}
    assert len(ids) == 2


def test_the_view_holds_the_molecule_turned_but_not_mirrored_or_bent():
    data = scene(shown())
    atoms, beads = np.array(data["molecule"]["position"]), np.array(data["beads"]["frames"][0])
    np.testing.assert_allclose(pairwise(atoms), pairwise(10 * ATOMS), atol=0.01)
    np.testing.assert_allclose(beads, atoms[:3], atol=0.01)
    assert np.sign(volume(atoms)) == np.sign(volume(ATOMS)), "a mirror image is another molecule"
    spread = np.ptp(atoms, axis=0)
    assert spread[0] > spread[1] > spread[2], "widest across the page, flattest in depth"
    assert data["molecule"]["bonds"] == [list(b) for b in ATOM_BONDS] and data["beads"]["bonds"] == [[0, 1], [1, 2]]


def test_species_have_colours_and_names_do_not_matter():
    first, second = viewer.SPECIES_COLOURS[:2]
    assert scene(shown())["beads"]["colours"] == [first, first, second]
    many = viewer._beads(np.zeros((1, 10, 3)), range(10), ["X"] * 10, [])
    assert many["colours"][8] == first, "the palette begins again"


def test_a_trajectory_neither_drifts_nor_tumbles_and_stays_small():
    frames = np.array(scene(moving(frame_ps=0.5))["beads"]["frames"])
    np.testing.assert_allclose(frames, np.broadcast_to(frames[0], frames.shape), atol=0.011)
    assert scene(moving(frame_ps=0.5))["framePs"] == 0.5
    for wrong in (np.zeros((1, 3, 3)), np.zeros((61, 3, 3)), np.zeros((3, 3))):
        with pytest.raises(ValueError, match="want .T, N, 3. nm with 2 to 60 frames"):
            moving(wrong)


def test_bonds_may_be_those_of_each_frame():
    frames, of_frames = np.stack([BEADS, BEADS, BEADS + 0.01]), [[(0, 1)], [(0, 1)], [(1, 2)]]
    shown = viewer.show_trajectory(frames, SPECIES, NAMES, of_frames, alt="Beads that rearrange").data
    beads = scene(shown)["beads"]
    assert [beads["bonds"], *beads["later_bonds"]] == [[[0, 1]], [[0, 1]], [[1, 2]]]
    assert scene(moving())["beads"]["later_bonds"] == []
    with pytest.raises(ValueError, match=r"want .Q, 2., or .T, Q, 2. for 3 frames, got .2, 1, 2."):
        viewer.show_trajectory(frames, SPECIES, NAMES, of_frames[:2], alt="Beads")


def test_superposing_never_makes_a_mirror_image_fit():
    mirrored = ATOMS * [1, 1, -1]
    centred, other, moved = (x - x.mean(0) for x in (ATOMS, mirrored, turned(ATOMS, 2.0) + 3))
    laid = other @ superposition(other, centred)
    assert np.sign(volume(laid)) == -np.sign(volume(centred))
    assert np.abs(laid - centred).max() > 0.01
    np.testing.assert_allclose(moved @ superposition(moved, centred), centred, atol=1e-12)


def test_the_picture_shows_beads_in_their_colours_where_they_are():
    text = moving(np.stack([BEADS, BEADS + 0.001 * np.eye(3)]))
    shades, data = picture(text), scene(text)
    assert (shades[:4] == 1).all() and (shades[:, :4] == 1).all(), "a white margin"
    for colour in set(data["beads"]["colours"]):
        near = np.abs(shades - np.array(to_rgb(colour))).max(axis=-1) < 0.12
        assert near.mean() > 0.005, f"{colour} is not in the picture"
    xs = np.array(data["beads"]["frames"][0])[:, 0]
    last = np.abs(shades - np.array(to_rgb(data["beads"]["colours"][2]))).max(axis=-1) < 0.12
    centre = np.nonzero(last)[1].mean() / shades.shape[1]
    assert (centre > 0.5) == (xs[2] > xs.mean()), "the bead is on its side of the picture"


@pytest.mark.parametrize(
    "changed, says",
    [
        ({"alt": " "}, "alt: want a sentence"),
        ({"elements": "CC"}, "got 5 positions and 2 elements"),
        ({"bead_names": ["A"]}, "beads: want a species and a name each, got 3, 3 and 1"),
        ({"bead_bonds": [(0, 3)]}, "bead_bonds: want indices from 0 to 2, got 0 to 3"),
        ({"atom_bonds": [(-1, 0)]}, "atom_bonds: want indices from 0 to 4, got -1 to 0"),
    ],
)
def test_what_does_not_fit_is_named(changed, says):
    with pytest.raises(ValueError, match=says):
        shown(**changed)


def test_the_first_molecule_of_a_liquid_is_shown_alone():
    topology, atoms = sets.load("hexane", stride=400)
    beads = mapping.load("three_site", topology, residue="hex")
    position = mapping.apply(beads, atoms).position[0]
    x, elements, atom_bonds, kept, _, names, bonds = viewer.first_molecule(topology, atoms.position[0], beads, position)
    assert (len(x), elements.count("C"), len(atom_bonds)) == (20, 6, 19)
    assert "".join(names) == "ABA" and bonds == [(0, 1), (1, 2)]
    assert_allclose(kept[1], beads.weights.toarray()[1, :20] @ x, atol=1e-6)
    words = viewer.show_molecule(topology, atoms.position[0], beads, position, alt="Hexane", caption="A liquid").data
    assert "A liquid" in words and 'alt="Hexane"' in words


def test_text_from_outside_is_escaped():
    text = shown(alt="<b>&", caption="</script><i>")
    assert "&lt;b&gt;&amp;" in text and "&lt;/script&gt;&lt;i&gt;" in text
    assert "N<1>" in scene(shown(bead_names=["a", "</script>", "N<1>"]))["beads"]["names"]
    assert text.count("</script>") == 1


@pytest.fixture
def kernel(monkeypatch):
    """As in a Jupyter kernel with nglview."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of nglview and what it imports
        pytest.importorskip("nglview")
        monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(kernel=object()))
        monkeypatch.delenv(viewer.OFFLINE, raising=False)
        yield


def given_widget(view, method: str) -> list[dict]:
    """Kwargs of what was asked of a widget."""
    return [m["kwargs"] for m in view._ngl_msg_archive if m.get("methodName") == method]


def structures(view) -> list[str]:
    """The lines of atoms and bonds of every component."""
    return [m["args"][0]["data"] for m in view._ngl_msg_archive if m.get("methodName") == "loadFile"]


def test_a_live_notebook_has_beads_as_spheres_over_atoms_as_sticks(kernel):
    view = viewer.show(ATOMS, ELEMENTS, ATOM_BONDS, BEADS, SPECIES, NAMES, BONDS, alt="Beads over atoms")
    beads, atoms = structures(view)
    assert beads.count("ATOM ") == 3 and atoms.count("ATOM ") == 5
    assert beads.count("CONECT") == 3 and atoms.count("CONECT") == 5, "every atom's bonds, however long"
    spheres = [look for look in given_widget(view, "addRepresentation") if "radiusSize" in look]
    assert [(s["sele"], s["color"]) for s in spheres] == list(zip(("@0,1", "@2"), viewer.SPECIES_COLOURS, strict=False))
    assert {s["radiusSize"] for s in spheres} == {10 * viewer.BEAD_NM} and {s["opacity"] for s in spheres} == {0.5}
    placed = np.array([[float(line[k : k + 8]) for k in (30, 38, 46)] for line in beads.splitlines() if "ATOM" in line])
    np.testing.assert_allclose(pairwise(placed), pairwise(10 * BEADS), atol=0.02)


def test_a_live_trajectory_has_a_slider_over_its_frames(kernel):
    frames = np.stack([turned(BEADS, 0.3 * t) + 0.1 * t for t in range(6)])
    view = viewer.show_trajectory(frames, SPECIES, NAMES, BONDS, alt="Beads that move")
    assert view.max_frame == 5 and len(structures(view)) == 1


def test_kernels_of_the_runner_and_processes_without_a_kernel_show_pages(kernel, monkeypatch):
    assert viewer.live()
    monkeypatch.setenv(viewer.OFFLINE, "1")  # as the runner of notebooks does
    assert not viewer.live() and "molview" in shown()
    monkeypatch.delenv(viewer.OFFLINE)
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    assert not viewer.live()
    monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setattr(viewer, "find_spec", lambda name: None)
    assert not viewer.live()


@pytest.mark.parametrize("runner, mime", [(False, "application/vnd.jupyter.widget-view+json"), (True, "text/html")])
def test_what_a_kernel_shows(monkeypatch, runner, mime):
    monkeypatch.delenv(viewer.OFFLINE, raising=False)
    if runner:
        monkeypatch.setenv(viewer.OFFLINE, "1")
    cell = f"from cgcore import viewer\nx = {BEADS.tolist()}\n"
    cell += f"viewer.show(x, 'CCN', [], x, {SPECIES}, {NAMES}, {BONDS}, alt='Beads')"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the client
        NotebookClient(notebook, kernel_name="python3").execute()
    assert mime in notebook.cells[0].outputs[-1]["data"]


def pairwise(x):
    return np.linalg.norm(x[:, None] - x[None], axis=-1)


def volume(x):
    return np.linalg.det(np.stack([x[1] - x[0], x[2] - x[0], x[3] - x[0]]))
