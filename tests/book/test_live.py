"""The networks that run in a page, in headless Chromium, from file://: they move, count as they say, and weigh little."""

import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgbook import live
from cgbook.results import load
from cgcore.analysis import pair_bonds
from cgcore.analysis.surface import edges
from cgcore.export.web import page as pages
from cgcore.geometry import dihedrals, displacement
from cgcore.potentials import saved
from cgcore.store import data_hash

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html"
CHAPTER = load(ROOT / "book" / "results" / "amino_acids")
MOST_BYTES = 1_500_000
"""Of all that the first scene loads beside the page."""
BINS = 48
BY_THE_THEME = "Got invalid theme mode"


def test_a_script_is_of_the_network_that_is_published():
    import jax

    for chapter in (CHAPTER, load(ROOT / "book" / "results" / "hexane")):
        for label in live.networks(chapter.name):
            text = live.path(chapter, label).read_text(encoding="utf-8")
            told = json.loads(re.match(rf"\(self.CgModels \?\?= {{}}\).{label} = (.*);\n", text)[1])
            _, _, params = saved.read(chapter.model(label))
            assert told["run"] == chapter.run(label)
            assert told["parameters"] == data_hash(*map(np.asarray, jax.tree.leaves(params)))
        assert live.write(chapter) == []


def test_contours_are_where_the_free_energy_has_their_value():
    """A well of known shape around (-60, -30) degrees, and one that the edge of the map cuts."""
    middle = np.radians((np.arange(BINS) + 0.5) * 360 / BINS - 180)
    phi, psi = np.meshgrid(middle, middle, indexing="ij")
    for at in np.radians([[-60, -30], [-60, 170]]):
        F = 40 * (2 - np.cos(phi - at[0]) - np.cos(psi - at[1]))
        lines = pages.contours(np.exp(-F / 2.494), edges(BINS), 300.0)
        assert set(lines) == {"5", "10", "15"}
        for level, several in lines.items():
            points = np.radians(np.concatenate([np.reshape(line, (-1, 2)) for line in several]))
            values = 40 * (2 - np.cos(points[:, 0] - at[0]) - np.cos(points[:, 1] - at[1]))
            assert_allclose(values, float(level), atol=1.2)  # smoothed, and in whole degrees


pytestmark_browser = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium here"),
    pytest.mark.skipif(not (SITE / "systems/live.html").is_file(), reason="the book is not built: uv run cgcore book"),
]
RUN = "document.querySelector('.cg-live').live.run"
PRESS = "document.querySelector('.cg-live {}').click()"


def in_browser(test):
    for mark in pytestmark_browser:
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from chromium import Page

    with Page("about:blank", tmp_path_factory.mktemp("browser") / "profile") as opened:
        yield opened


@pytest.fixture
def page(browser):
    browser.open((SITE / "systems/live.html").as_uri())
    browser.wait("document.querySelector('.cg-live')?.dataset.ready === 'core'")
    yield browser
    assert not [error for error in browser.errors if BY_THE_THEME not in error]


def said(page, name: str) -> str:
    return page.get(f"document.querySelector('.cg-live .{name}').textContent")


def run_until(page, ns: float, seconds: float = 120):
    """Run from the start to so many ns, where it pauses by itself."""
    page.get(f"{RUN}.untilNs = {ns}")
    page.get(PRESS.format(".play"))
    page.wait(f"!{RUN}.wanted", seconds)


def counted(page) -> list[int]:
    return page.get(f"Array.from({RUN}.tally.counts)")


@in_browser
def test_the_first_scene_weighs_little_and_others_wait_for_their_button(page):
    names = page.get("[...document.querySelectorAll('script[src], link[href]')].map(e => e.src || e.href)")
    files = [Path(unquote(urlparse(name).path)) for name in names if "/_static/live/" in name]
    assert {path.name for path in files} == {"live.js", "live.css", "engine.wasm.js", "core.js"}
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    assert said(page, "play") == "Run" and page.get(f"{RUN}.steps") == 0


@in_browser
def test_core_crosses_and_the_same_seed_gives_the_same_picture(page):
    run_until(page, 0.005)
    first, position = counted(page), page.get(f"Array.from({RUN}.position)")
    assert sum(first) == 250 and said(page, "ns") == "0.005 ns"
    picture = page.get("document.querySelector('.cg-live .surface').toDataURL()")
    page.get(PRESS.format(".reset"))
    assert sum(counted(page)) == 0 and page.get(f"{RUN}.ns") == 0
    run_until(page, 0.005)
    assert counted(page) == first and page.get(f"Array.from({RUN}.position)") == position
    page.get("new Promise(done => setTimeout(done, 300))")
    assert page.get("document.querySelector('.cg-live .surface').toDataURL()") == picture
    page.get("document.querySelector('.cg-live .seed').value = 2")
    page.get(PRESS.format(".reset"))
    run_until(page, 0.02)
    assert counted(page) != first and int(said(page, "events")) > 0 and "crossing" in said(page, "said")


@in_browser
def test_core_beta_keeps_the_hand_it_started_with_and_runs_survive_each_other(page):
    run_until(page, 0.002)
    before = counted(page)
    page.get(PRESS.format("[data-name=core_beta]"))
    page.wait("document.querySelector('.cg-live').dataset.ready === 'core_beta'")
    for hand, sign in (("L", -1), ("D", 1)):
        page.get(f"document.querySelector('.cg-live .hand').value = '{hand}'")
        page.get(PRESS.format(".reset"))
        run_until(page, 0.02)
        assert said(page, "events") == "0" and said(page, "side") == hand
        phi = np.reshape(counted(page), (BINS, BINS)).sum(1)
        assert sign * (phi[BINS // 2 :].sum() - phi[: BINS // 2].sum()) > 0.8 * phi.sum()
    page.get(PRESS.format("[data-name=core]"))
    page.wait("document.querySelector('.cg-live').dataset.ready === 'core'")
    assert counted(page) == before and said(page, "ns") == "0.002 ns"


@in_browser
def test_a_still_picture_stands_in_on_paper_and_without_workers(page):
    shown = "['img', '.live'].map(s => document.querySelector(`.cg-live > ${s}`)).map(e => e && getComputedStyle(e).display)"
    assert page.get(shown) == ["none", "block"]
    page.ask("Emulation.setEmulatedMedia", media="print")
    assert page.get(shown)[0] != "none" and page.get(shown)[1] == "none"
    page.ask("Emulation.setEmulatedMedia", media="screen")
    script = page.ask("Page.addScriptToEvaluateOnNewDocument", source="delete window.Worker")["identifier"]
    page.open("about:blank")
    page.open((SITE / "systems/live.html").as_uri())
    page.ask("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    assert page.get(shown)[0] != "none" and page.get(shown)[1] is None
    assert len(page.get("document.querySelector('.cg-live > img').alt")) > 50


@in_browser
def test_an_exported_page_opens_by_a_double_click(browser, tmp_path):
    script = live.path(CHAPTER, "core").read_text(encoding="utf-8").splitlines()[0]
    for name, text in (pages.files() | {"index.html": pages.index("Core & more", "core"), "core.js": script}).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    browser.open((tmp_path / "index.html").as_uri())
    browser.wait("document.querySelector('.cg-live').dataset.ready === 'core'")
    run_until(browser, 0.004)
    assert sum(counted(browser)) == 200 and not browser.errors and said(browser, "play") == "Run"


@in_browser
def test_what_is_measured_is_what_python_measures(page):
    """phi and psi by the convention of the analysis; the volume at CA is positive for L and turns round in the mirror."""
    model = page.get("(({starts, dihedrals}) => ({starts, dihedrals}))(CgModels.core)")
    x = np.reshape(model["starts"]["L"][0], (1, -1, 3))
    wanted = np.asarray(dihedrals(x, [model["dihedrals"][name] for name in ("phi", "psi")], np.full(3, np.inf)))[0]
    found = page.get("CgMeasure.sample(CgModels.core.starts.L[0], CgModels.core)")
    assert_allclose(found, [*wanted, 0], atol=1e-6)
    mirror = page.get("CgMeasure.sample(CgModels.core.starts.D[0], CgModels.core)")
    assert_allclose(mirror, [*-wanted, 0], atol=1e-6)


@in_browser
def test_a_crossing_is_from_core_to_core_and_looking_over_the_barrier_is_none(page):
    def crossings(degrees: list[float]) -> int:
        path = [[float(np.radians(one)), 0.0, 0.0] for one in degrees]
        flat = [value for sample in path for value in sample]
        return page.get(f"(t => (t.add(Float32Array.from({flat})), t.events))(new CgTally.Tally({path[0]}))")

    assert crossings([-60, -10, 20, -40]) == 0
    assert crossings([-60, 40]) == 1 and crossings([-140, -170, 170, 140]) == 1
    assert crossings([-60, 40, 10, -10, 35, -50]) == 2
    assert page.get("(t => (t.add(Float32Array.from([1, 0, 0.5, 1, 0, -0.2, 1, 0, -0.4])), [t.events, t.hand]))"
                    "(new CgTally.Tally([1, 0, 0.7]))") == [1, "D"]  # fmt: skip


@in_browser
def test_it_pauses_out_of_sight_and_when_asked(page):
    page.get(PRESS.format(".play"))
    page.wait(f"{RUN}.steps > 0")
    page.get("window.scrollTo(0, document.body.scrollHeight)")
    page.wait(f"!{RUN}.running")
    assert page.get(f"{RUN}.wanted")
    page.get("window.scrollTo(0, 0)")
    page.wait(f"{RUN}.running")
    page.get(PRESS.format(".play"))
    page.wait(f"!{RUN}.running")
    assert said(page, "play") == "Run" and said(page, "said").startswith("Paused at")


def swapping(random, swaps: list[tuple[int, int, int, int]], frames: int = 120) -> np.ndarray:
    """(frames, 16, 3) nm: eight pairs on a lattice, of which the second beads of two change places from one frame to another."""
    corners = 0.6 * np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), -1).reshape(-1, 3)
    x = np.tile(np.stack([corners, corners + [0.2, 0.1, 0.02]], 1).reshape(-1, 3), (frames, 1, 1))
    for p, q, start, stop in swaps:
        here, there, share = (
            x[start, 2 * p + 1].copy(),
            x[start, 2 * q + 1].copy(),
            np.linspace(0, 1, stop - start)[:, None],
        )
        x[start:stop, 2 * p + 1], x[start:stop, 2 * q + 1] = (
            here + share * (there - here),
            there + share * (here - there),
        )
        x[stop:, 2 * p + 1], x[stop:, 2 * q + 1] = there, here
    return x + random.normal(0, 0.004, x.shape)


@in_browser
@pytest.mark.parametrize(
    ("swaps", "events"),
    [
        ([], 0),
        ([(0, 1, 10, 30)], 1),
        ([(0, 1, 10, 30), (1, 3, 60, 80)], 2),
        ([(0, 1, 10, 18), (0, 1, 18, 26)], 0),  # back before it lasted
        ([(0, 1, 10, 20), (0, 1, 70, 80)], 2),  # back after it had
        ([(0, 1, 10, 20), (6, 7, 12, 22), (1, 3, 15, 25)], 2),  # a ring of three at once, and two that have nothing to do with it
    ],
    ids=str,
)  # fmt: skip
def test_rearrangements_are_those_that_the_analysis_counts(page, swaps, events):
    box, bonds, longest = np.full(3, 1.2), np.arange(16).reshape(8, 2), 0.42
    x = swapping(np.random.default_rng(3), swaps).astype(np.float32)
    wanted = pair_bonds.follow(x, box, bonds, np.zeros(16, int), hold=10, longest=longest)
    model = {"bonds": bonds.tolist(), "species": ["A"] * 16, "box": box.tolist(), "longestNm": longest, "dtPs": 0.01}
    page.get(f"window.pairs = new CgPairs.Pairs([], {json.dumps(model)}), 0")
    told = []
    for part in np.split(x, 6):
        page.get(f"pairs.add(Float32Array.from({part.ravel().round(5).tolist()})), 0")
        told.append(page.get("[pairs.events, pairs.switched]"))
    assert told[-1] == [len(wanted.frames), 8 * wanted.rearranged[-1]] and told[-1][0] == events
    counts, lengths = page.get("Array.from(pairs.counts)"), displacement(x[:, 1::2], x[:, ::2], box)
    inside = slice(1, -1)  # the first and the last bin take what is beyond as well
    assert counts[inside] == np.histogram(np.linalg.norm(lengths, axis=-1), 60, (0.2, 0.8))[0][inside].tolist()


@in_browser
def test_hexane_runs_beside_the_peptide_and_bond_types_keep_its_pairs(page):
    """A page with both scenes; each moves when it is asked, and the network with bond types has the pairs of the start."""
    second = "document.querySelectorAll('.cg-live')[1]"
    page.get(f"{second}.scrollIntoView(), 0")
    for name in live.networks("hexane"):
        page.wait(f"{second}.dataset.ready")
        page.get(f"{second}.live.choose('{name}')")
        page.wait(f"{second}.dataset.ready === '{name}'")
        page.get(f"{second}.live.run.untilNs = 0.0005, {second}.live.play(), 0")
        page.wait(f"!{second}.live.run.wanted", 200)
        told = page.get(
            f"(({{tally, steps, position}}) => [tally.total, tally.switched, steps, Array.from(position)])({second}.live.run)"
        )
        assert told[:3] == [240, 0, 100] and np.isfinite(told[3]).all()
    assert (
        page.get(f"{RUN}.steps") == 0 and page.get("document.querySelectorAll('script[src$=\"live.js\"]').length") == 1
    )
