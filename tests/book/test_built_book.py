"""The pages as a reader gets them: links lead somewhere, nothing comes from elsewhere, pictures are described.

Looked at are a miniature book, built here from the project's own configuration and text with two toy runs, and the
real one where it has been built.
"""

import json
import re
import shutil
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cgcore import book
from cgcore.book.build import BuildFailed

ROOT = Path(__file__).parents[1]
TOY = Path(__file__).parent / "notebooks" / "toy.ipynb"
REAL = ROOT / "_build" / "html"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cf"
    "50000003040181a7e0d6a50000000049454e44ae426082"
)

pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """What the checks need of one HTML file."""

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.ids, self.remote, self.undescribed = [], [], [], []
        text = path.read_text(encoding="utf-8")
        self.feed(text)
        # Outside the article the theme has a second title, for print only.
        self.h1 = len(re.findall(r"<h1\b", "".join(re.findall(r"<article.*?</article>", text, re.DOTALL))))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "img" and not (found.get("alt") or "").strip() and found.get("aria-hidden") != "true":
            self.undescribed.append((found.get("src") or "")[:80])
        if tag == "a" and "href" in found and not self._local(found["href"]):
            return
        for key in ("href", "src"):
            address = found.get(key)
            if not address or address.startswith("data:"):
                continue
            if self._local(address):
                self.links.append(address)
            elif found.get("rel") != "canonical":
                self.remote.append(address)

    @staticmethod
    def _local(address: str) -> bool:
        return not re.match(r"(?i)([a-z][a-z0-9+.-]*:|//)", address)


class Site:
    def __init__(self, folder: Path):
        own = [p for p in folder.rglob("*.html") if "_static" not in p.relative_to(folder).parts]
        self.folder, self.pages = folder, {p.resolve(): Page(p) for p in own}

    def text(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def miniature(tmp_path_factory):
    """The real configuration, extensions and text with two toy runs and toy results, built with warnings as errors."""
    root = tmp_path_factory.mktemp("miniature")
    shutil.copy(ROOT / "_config.yml", root)
    shutil.copytree(ROOT / "book", root / "book", ignore=shutil.ignore_patterns("runs", "results", "__pycache__"))
    for page, stiffness in (("core", 2.0), ("core_beta", 3.0)):
        executed = book.run_notebook(TOY, {"stiffness": stiffness}, root / "runs")
        book.publish(executed, root / f"book/runs/amino_acids/{page}.ipynb", title=f"Toy, {page}", book=root / "book")
    results = root / "book" / "results" / "amino_acids"
    results.mkdir(parents=True)
    for picture in ("ramachandran.png", "marginals.png"):
        (results / picture).write_bytes(PIXEL)
    keys = json.loads((ROOT / "book/results/amino_acids/core.json").read_text(encoding="utf-8"))["table"]
    toy = {key: 0.3 for key in keys if not key.endswith("_error")}
    for order, (name, label) in enumerate({"core": "Core", "core_beta": "Core Beta", "reference": "Reference"}.items()):
        table = toy | {"point_symmetry": 0.1234 * order, "point_symmetry_error": 0.0123}
        raw = {"label": label, "order": order, "sampling": f"{order} ns", "table": table}
        (results / f"{name}.json").write_text(json.dumps(raw))
    return Site(book.build(root).parent)


@pytest.fixture(params=["miniature", "real"] if REAL.is_dir() else ["miniature"])
def site(request):
    return Site(REAL) if request.param == "real" else request.getfixturevalue("miniature")


def test_every_link_and_anchor_leads_somewhere(site):
    broken = []
    for path, page in site.pages.items():
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            fragment = urllib.parse.unquote(parts.fragment)
            if not target.is_file() or (fragment and target in site.pages and fragment not in site.pages[target].ids):
                broken.append((path.name, link))
    assert sum(len(page.links) for page in site.pages.values()) > 100
    assert not broken


def test_no_script_style_or_image_comes_from_elsewhere(site):
    remote = {(path.name, address) for path, page in site.pages.items() for address in page.remote}
    assert not remote
    assert (site.folder / "_static/js/tex-svg.js").is_file() and (site.folder / "_static/js/3Dmol-min.js").is_file()
    assert 'src="_static/js/tex-svg.js' in site.text("systems/amino_acids.html").replace("../", "")


def test_every_image_is_described(site):
    bare = {(path.name, source) for path, page in site.pages.items() for source in page.undescribed}
    assert not bare


def test_every_page_of_the_table_of_contents_has_one_title_and_unique_ids(site):
    for path, page in site.pages.items():
        if path.name in ("genindex.html", "search.html"):
            continue
        assert page.h1 == 1, f"{path.name} has {page.h1} titles"
        ours = [i for i in page.ids if not i.startswith("pst-")]
        assert len(set(ours)) == len(ours), f"{path.name}: {sorted({i for i in ours if ours.count(i) > 1})}"


def test_the_landing_page_leads_to_everything(site):
    text = site.text("index.html")
    for target in ("run_it.html", "glossary.html", "systems/amino_acids.html"):
        assert f'href="{target}"' in text
    assert "maps/core" not in site.text("run_it.html") and "core_beta.png" in text


def test_a_page_of_a_run_says_how_it_was_made_and_opens_its_template(site):
    runs = sorted((site.folder / "runs" / "amino_acids").glob("*.html"))
    assert {p.stem for p in runs} >= {"core", "core_beta"}
    for path in runs:
        text = path.read_text(encoding="utf-8")
        assert "How this page was made" in text and "kernels sha256" in text
        assert "github/cgcore/cgcore/blob/main/notebooks/amino_acids.ipynb" in text
        assert "blob/main/book/runs" not in text
        assert "colab-setup" not in text and "google.colab" not in text
        assert 'class="molview"' in text and "data:image/png;base64," in text


def test_numbers_of_the_chapter_come_from_the_results(miniature):
    text = miniature.text("systems/amino_acids.html")
    assert re.search(r'class="result">0.000 ± 0.012<', text) and re.search(r'class="result">0.123 ± 0.012<', text)
    assert re.search(r"<td><p>0.247 ± 0.012</p></td>\s*<td><p>0.3</p></td>", text), "the reference's row"
    assert "Core: 0 ns. Core Beta: 1 ns. Reference: 2 ns." in re.sub(r"\s+", " ", text)
    assert 'href="../runs/amino_acids/core_beta.html"' in text


def test_the_chapter_of_the_real_book_is_complete():
    if REAL.is_dir():
        for path in REAL.rglob("*.html"):
            assert "not computed yet" not in path.read_text(encoding="utf-8"), path.name


def test_a_clone_without_runs_builds_and_says_what_is_missing(tmp_path):
    shutil.copy(ROOT / "_config.yml", tmp_path)
    shutil.copytree(ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("runs", "results", "__pycache__"))
    text = re.sub(r"<[^>]+>", "", Site(book.build(tmp_path).parent).text("systems/amino_acids.html"))
    source = (ROOT / "book" / "systems" / "amino_acids.md").read_text(encoding="utf-8")
    places = len(re.findall(r"\{result(?:s|-figure)?\}", source))
    assert text.count("not computed yet") == places > 9 and "uv run cgcore book makes them" in text


def test_a_warning_fails_the_build_and_is_named(tmp_path):
    shutil.copy(ROOT / "_config.yml", tmp_path)
    shutil.copytree(ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("runs", "results", "__pycache__"))
    (tmp_path / "book" / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters:\n  - file: cite\n")
    (tmp_path / "book" / "index.md").write_text("# Title\n\n[to nowhere](nowhere.md)\n")
    with pytest.raises(BuildFailed, match=r"index.md:3: WARNING.*nowhere.md"):
        book.build(tmp_path)
