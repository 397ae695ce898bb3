"""The pages as a reader gets them: links lead somewhere, nothing comes from elsewhere, pictures are described.

Looked at are a miniature book, built here from the project's own configuration, text and results with a toy run, and
the real one where it has been built.
"""

import html
import re
import shutil
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from cgbook import results
from cgbook.build import BuildFailed, build
from cgbook.publish import publish
from cgbook.run import run_notebook

ROOT = Path(__file__).parents[2]
TOY = ROOT / "tests" / "notebooks" / "toy.ipynb"
REAL = ROOT / "_build" / "html"
CHANGED = ("core_beta", "point_symmetry", "1.234 ± 0.012")
"""A label of the amino acids, a quantity of it, and what the miniature's table is given for it."""

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
    """The real configuration, extensions, text and results with two pages of a toy run and one number changed."""
    root = tmp_path_factory.mktemp("miniature")
    shutil.copy(ROOT / "_config.yml", root)
    shutil.copytree(ROOT / "book", root / "book", ignore=shutil.ignore_patterns("runs", "__pycache__"))
    executed = run_notebook(TOY, {"stiffness": 3.0}, root / "runs")
    for page in ("core", "core_beta"):
        publish(executed, root / f"book/runs/amino_acids/{page}.ipynb", title=f"Toy, {page}", book=root / "book")
    chapter = results.load(root / "book" / "results" / "amino_acids")
    label, quantity, _ = CHANGED
    chapter.rows[chapter.run(label)][quantity] = results.Row(1.2341, 0.0123)
    results.save(chapter)
    return Site(build(root).parent)


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


def test_no_page_names_a_repository_that_is_not_configured(site):
    """What is cited may be named; what leads to this project must be its configured address."""
    configured = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
    cited = set(repositories((ROOT / "book" / "references.bib").read_text()))
    allowed = cited | set(repositories(configured))
    for path in site.folder.rglob("*.html"):
        links = " ".join(re.findall(r'(?:href|src|action)="([^"]*)"', path.read_text(encoding="utf-8")))
        assert set(repositories(links)) <= allowed, path.name


def repositories(text):
    """owner/name of every hosted repository that a text leads to."""
    host = r"(?:git(?:hub|lab)\.com|githubusercontent\.com|codeberg\.org|bitbucket\.org|google\.com/github|mybinder\.org/v2/gh)"
    return re.findall(host + r"/([\w.-]+/[\w.-]+?)(?:\.git)?(?=[/\"'}\s#?]|$)", text)


@pytest.mark.parametrize("address", ["", "https://github.com/somebody/something"])
def test_buttons_badges_and_links_follow_the_one_address(address, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    runpage = pytest.importorskip("runpage")
    asked = {"launch_buttons": {"colab_url": "https://colab"}}
    config = SimpleNamespace(html_theme_options={"repository_url": address, "repository_branch": "main"} | asked)
    runpage.follow_address(None, config)
    assert bool(config.html_theme_options["use_issues_button"]) == bool(address)
    assert bool(config.html_theme_options["launch_buttons"]) == bool(address)
    role = runpage.ColabBadge()
    role.text, role.inliner = "hexane", SimpleNamespace(document=SimpleNamespace(settings=SimpleNamespace(env=None)))
    monkeypatch.setattr(type(role), "config", config, raising=False)
    text = "".join(str(node) for node in role.run()[0])
    assert ("somebody/something" in text) == bool(address) and "hexane.ipynb" in text


def test_a_page_of_a_run_says_how_it_was_made_and_opens_its_template(site):
    runs = sorted((site.folder / "runs" / "amino_acids").glob("*.html"))
    assert {p.stem for p in runs} >= {"core", "core_beta"}
    for path in runs:
        text = path.read_text(encoding="utf-8")
        assert "How this page was made" in text and re.search(r"commit .*; kernels .*mace 1", text)
        assert "blob/main/book/runs" not in text
        assert "colab-setup" not in text and "google.colab" not in text
        assert 'class="molview"' in text and "data:image/png;base64," in text


def test_numbers_on_pages_are_those_of_the_tables(miniature):
    """Every number in a sentence, and the cells of every table, as the rows of the chapters have them."""
    book, checked = miniature.folder.parents[1] / "book", 0
    chapters = {path.parent.name: results.load(path.parent) for path in book.glob("results/*/rows.csv")}
    for page in (*(book / "systems").glob("*.md"), *(book / "tables").glob("*.md")):
        text = miniature.text(f"{page.parent.name}/{page.stem}.html")
        source, built = page.read_text(encoding="utf-8"), html.unescape(text)
        shown = re.findall(r'<span class="result">([^<]*)</span>', built)
        wanted = re.findall(r"\{result\}`(\w+)/(\w+):(\w+)`", source)
        texts = [chapters[name].row(label, quantity).text() for name, label, quantity in wanted]
        assert set(texts) <= set(shown), f"{page.name} lacks {set(texts) - set(shown)}"
        for name, table in re.findall(
            r"^```\{results\} (\w+)/?(\w*)\n(?!:runs:|:name: \S+\n:drop:)", source, re.MULTILINE
        ):
            for label in chapters[name].table(table or "main"):
                assert f"<td><p>{chapters[name].title(label)}</p></td>" in built, (page.name, label)
        checked += len(wanted)
    assert checked > 150
    text = miniature.text("systems/amino_acids.html")
    assert CHANGED[2] in text and 'href="../runs/amino_acids/core_beta.html"' in text


def test_the_chapter_of_the_real_book_is_complete():
    if REAL.is_dir():
        for path in REAL.rglob("*.html"):
            assert "not computed yet" not in path.read_text(encoding="utf-8"), path.name


def test_a_clone_without_runs_builds_and_says_what_is_missing(tmp_path):
    shutil.copy(ROOT / "_config.yml", tmp_path)
    shutil.copytree(ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("runs", "results", "__pycache__"))
    with (tmp_path / "book" / "cite.md").open("a", encoding="utf-8") as page:
        page.write("\n{ref}`the table <tab-amino-acids>`, {numref}`fig-nine-maps`\n")
    site = Site(build(tmp_path).parent)
    assert 'href="systems/amino_acids.html#tab-amino-acids"' in site.text("cite.html")
    assert 'href="systems/amino_acids.html#fig-nine-maps"' in site.text("cite.html")
    text = re.sub(r"<[^>]+>", "", site.text("systems/amino_acids.html"))
    source = (ROOT / "book" / "systems" / "amino_acids.md").read_text(encoding="utf-8")
    places = len(re.findall(r"\{result(?:s|-figure)?\}", source))
    assert text.count("not computed yet") == places > 9 and "uv run cgcore book makes them" in text


def test_a_warning_fails_the_build_and_is_named(tmp_path):
    shutil.copy(ROOT / "_config.yml", tmp_path)
    shutil.copytree(ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("runs", "results", "__pycache__"))
    (tmp_path / "book" / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters:\n  - file: cite\n")
    (tmp_path / "book" / "index.md").write_text("# Title\n\n[to nowhere](nowhere.md)\n")
    with pytest.raises(BuildFailed, match=r"index.md:3: WARNING.*nowhere.md"):
        build(tmp_path)
