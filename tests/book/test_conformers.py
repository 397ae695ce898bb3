"""The surface whose cells show a conformer: each has the phi and psi of its cell, the energy is that of the reference."""

import base64
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgbook import conformers
from cgcore.analysis import surface
from cgcore.geometry import dihedrals
from cgcore.reference import sets

STATIC = Path(__file__).parents[2] / "book" / "static"
MOST_BYTES = 250_000


@pytest.fixture(scope="module")
def page():
    return conformers.page(conformers.pick("ala2_obc2_phi", "core_beta", "ala"), "A surface & its <valleys>", "Click")


@pytest.fixture(scope="module")
def scene(page):
    """What the page ships, and of it the positions (K, A + N, 3) nm as the script reads them."""
    shipped = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])
    packed = np.frombuffer(base64.b64decode(shipped["positions"]), "<i2")
    return shipped, packed.reshape(len(shipped["cells"]), -1, 3) / (10 * shipped["perAngstrom"])


def test_what_a_cell_shows_has_its_phi_and_psi(scene):
    shipped, x = scene
    n = len(shipped["molecule"]["elements"])
    heavy = dict(zip(("C_ace", "N", "CA", "CB", "C", "N_nme"), (4, 6, 8, 10, 14, 16), strict=True))
    quads = [[heavy[k] for k in ("C_ace", "N", "CA", "C")], [heavy[k] for k in ("N", "CA", "C", "N_nme")]]
    beads = [[n + k for k in (0, 1, 2, 4)], [n + k for k in (1, 2, 4, 5)]]
    assert_allclose(x[:, n:], x[:, list(heavy.values())], atol=2e-4)  # Core Beta's beads lie on these atoms
    width = 360 / shipped["bins"]
    middle = (np.array(divmod(np.array(shipped["cells"]), shipped["bins"])).T + 0.5) * width - 180
    for four in (quads, beads):
        angle = np.degrees(np.asarray(dihedrals(x, four, np.full(3, np.inf))))
        off = (angle - middle + 180) % 360 - 180
        assert np.abs(off).max() < width / 2 + 0.2  # positions are rounded
    assert np.median(np.abs(off)) < 2  # most cells hold a frame near their middle


def test_every_cell_that_was_visited_shows_a_whole_l_alanine(scene):
    shipped, x = scene
    topology, frames = sets.load("ala2_obc2_phi")
    run = surface.backbone(frames, (4, 6, 8, 14), (6, 8, 14, 16))
    counts = surface.counts2d(*run[:2], shipped["bins"], run[2])[0]
    assert sorted(shipped["cells"]) == np.flatnonzero(counts.ravel()).tolist()
    F = surface.free_energy(counts, sets.temperature_K("ala2_obc2_phi")).ravel()[shipped["cells"]]
    assert_allclose(shipped["energies"], F, atol=0.06)
    assert shipped["start"] == shipped["cells"][int(np.argmin(F))]
    bonds = np.linalg.norm(np.diff(x[:, topology.bonds], axis=2), axis=-1)
    assert bonds.min() > 0.08 and bonds.max() < 0.18
    n, ca, cb, c = (x[:, k] for k in (6, 8, 10, 14))
    assert (np.einsum("ki,ki->k", np.cross(n - ca, c - ca), cb - ca) > 0).all()  # L in every cell
    assert_allclose((x[:, [6, 8, 10, 14]].mean(axis=1) - x[0, [6, 8, 10, 14]].mean(axis=0)), 0, atol=2e-4)


def test_the_page_is_small_and_says_what_it_shows(page):
    assert len(page) < MOST_BYTES
    assert 'alt="A surface &amp; its &lt;valleys&gt;"' in page and "<figcaption>Click</figcaption>" in page


DRIVE = """
const told = [], pad = () => document.querySelector(".pad");
const press = (key) => pad().dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const tell = () => told.push([pad().getAttribute("aria-valuetext"), document.querySelector(".told").textContent]);
const click = (x, y) => {
  const box = pad().getBoundingClientRect();
  const at = { clientX: box.left + (x / 360 + 0.5) * box.width, clientY: box.bottom - (y / 360 + 0.5) * box.height };
  pad().dispatchEvent(new MouseEvent("click", at));
};
tell(); press("ArrowRight"); tell(); press("ArrowUp"); tell(); click(-62, 41); tell(); click(-10, 40); tell();
click(62, 41); tell(); document.querySelector("button.mirror").click(); tell();
told;
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium here")
def test_clicks_and_arrow_keys_choose_the_cell(page, scene, tmp_path):
    from chromium import Page

    (tmp_path / "_static").symlink_to(STATIC)
    text = (
        f'<meta charset="utf-8"><html data-content_root=""><link rel=stylesheet href="_static/custom.css"><body>{page}'
    )
    text += '<script src="_static/js/conformers.js"></script></body></html>'
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    flags = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with Page((tmp_path / "page.html").as_uri(), tmp_path / "profile", *flags) as page:
        page.wait("document.querySelector('figure').dataset.drawn !== undefined", 200)
        told = page.get(DRIVE)
        assert not page.errors
    lowest, right, up, clicked, empty, mirrored, back = told
    shipped, _ = scene
    i, j = divmod(shipped["start"], shipped["bins"])
    assert (
        lowest[0].startswith(words(i, j))
        and right[0].startswith(words(i + 1, j))
        and up[0].startswith(words(i + 1, j + 1))
    )
    assert clicked[0].startswith("φ −75° to −60°, ψ 30° to 45°: ") and clicked[0] == clicked[1]
    assert empty[1] == "φ −15° to 0°, ψ 30° to 45°: never visited" and empty[0] == clicked[0]
    energy = dict(zip(shipped["cells"], shipped["energies"], strict=True))
    here, there = energy[16 * 24 + 14], energy[7 * 24 + 9]
    assert mirrored[0] == f"φ 60° to 75°, ψ 30° to 45°: {here:.1f} kJ/mol; at (−φ, −ψ) {there:.1f} kJ/mol"
    assert back[0] == f"φ −75° to −60°, ψ −45° to −30°: {there:.1f} kJ/mol; at (−φ, −ψ) {here:.1f} kJ/mol"


def words(i: int, j: int) -> str:
    """How the page names a cell."""
    ranges = [f"{15 * k - 180}° to {15 * (k + 1) - 180}°".replace("-", "−") for k in (i, j)]
    return "φ {}, ψ {}".format(*ranges)
