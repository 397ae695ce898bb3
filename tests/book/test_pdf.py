"""The book on paper: one document of all pages in their order, nothing folded, nothing wider than the sheet."""

import re
import shutil
import unicodedata
from pathlib import Path

import pytest
from pypdf import PdfReader

from cgbook import build, pdf

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html"
SHEET_PX = 672
"""A4 less its margins, at 96 pixels an inch."""

NAV = """<nav class="bd-links"><a class="reference internal" href="{up}#">Front</a><p class="caption">Part &amp; one</p>
<a class="reference internal" href="{up}one/a.html">1. A</a><a class="reference internal" href="{up}one/b.html">B</a></nav>"""
PAGE = '<html><head><title>Page — Book</title><link rel="stylesheet" href="x.css">{head}</head><body>{nav}<article class="bd-article">{text}</article></body></html>'
MATHS = '<script>window.MathJax = {}</script><script src="../_static/js/tex-svg.js?v=1"></script>'
A = """<section id="top"><h1>A<a class="headerlink" href="#top">#</a></h1><a href="b.html#top">to b</a> <a href="#here">down</a>
<a href="../index.html">front</a> <a href="https://doi.org/1">away</a> <img src="../_images/p.png" loading="lazy">
<details class="sd-dropdown"><summary>Why</summary>folded</details>
<div class="solution dropdown admonition" id="s">solved</div><div class="cell"><details class="hide">code</details>shown</div>
<figure class="molview"><img src="data:image/png;base64,AA"><div class="controls">Play</div><script>run()</script></figure></section>"""


@pytest.fixture
def small(tmp_path):
    (tmp_path / "one").mkdir()
    front, inner = NAV.format(up=""), NAV.format(up="../")
    (tmp_path / "index.html").write_text(PAGE.format(head="", nav=front, text='<p id="top">Front</p>'))
    (tmp_path / "one" / "a.html").write_text(PAGE.format(head=MATHS, nav=inner, text=A))
    (tmp_path / "one" / "b.html").write_text(PAGE.format(head="", nav=inner, text='<p id="top">B</p>'))
    return tmp_path


def test_pages_are_joined_in_order_with_links_that_meet(small):
    text = pdf.join(small)
    assert re.findall(r'<article[^>]* id="([^"]*)"', text) == ["index", "one/a", "one/b"]
    ids = re.findall(r' id="([^"]*)"', text)
    assert len(set(ids)) == len(ids) and {"one/a--top", "one/b--top", "index--top"} <= set(ids)
    links = re.findall(r'<a[^>]*href="([^"]*)"', text)
    assert links[:3] == ["#index", "#one/a", "#one/b"], "the contents"
    assert {"#one/b--top", "#one/a--here", "#index", "https://doi.org/1"} <= set(links)
    assert 'src="_images/p.png"' in text and "Part &amp; one" in text and "<title>Book</title>" in text
    assert text.count("tex-svg.js") == 1 and 'src="_static/js/tex-svg.js?v=1"' in text


def test_on_paper_nothing_is_folded_and_nothing_waits_for_a_hand(small):
    text = pdf.join(small)
    assert '<details class="sd-dropdown" open="">' in text and 'class="solution admonition"' in text
    for gone in ("headerlink", "Play", "run()", "loading=", ">code<"):
        assert gone not in text
    assert "shown" in text and "base64,AA" in text


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    with pytest.raises(pdf.NotPrinted, match=r"index.html: no such file; `cgcore book` builds the book"):
        pdf.join(tmp_path)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(build, "run_notebook", lambda *of: pytest.fail("a run began"))
    with pytest.raises(pdf.NotPrinted, match="want one of chromium, .* on the path"):
        build.make_book("quick", ROOT, tmp_path, printed=True)


real = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium here"),
    pytest.mark.skipif(not (SITE / "index.html").is_file(), reason="the book is not built: uv run cgcore book"),
]


def lead(page: Path) -> str:
    """How a page begins: the first words of its first paragraph."""
    text = re.search(r"</h1>\s*<p>(.*?)</p>", page.read_text(encoding="utf-8"), re.DOTALL)[1]
    return unicodedata.normalize("NFKC", " ".join(re.sub(r"<[^>]+>", "", text).split()[:6]))


class TestOfTheRealBook:
    pytestmark = real

    def test_it_is_printed_from_the_first_chapter_to_the_last(self, tmp_path):
        reader = PdfReader(pdf.print_book(SITE, tmp_path / "book.pdf"))
        assert len(reader.pages) > 60 and not (SITE / pdf.JOINED).exists()
        texts = [page.extract_text() for page in reader.pages]
        assert all(text.strip() for text in texts)
        whole = unicodedata.normalize("NFKC", " ".join(" ".join(texts).split()))  # ligatures are two letters
        ends = [lead(SITE / "systems" / f"{name}.html") for name in ("reference_data", "own_molecule")]
        assert ends[0] in whole and whole.index(ends[0]) < whole.index(ends[1])
        assert re.search(r"\[\d+\]", texts[-1]), "the references come last"
        for words in ("Solution to Exercise 1.1", "How large must the error be?", "with equality for the reference"):
            assert words in whole, "what is folded on the screen is open on paper"
        assert len(reader.outline) > 10

    def test_nothing_is_wider_than_the_sheet(self, tmp_path):
        from chromium import Page

        (tmp_path / "site").symlink_to(SITE)
        text = pdf.join(SITE).replace("<head>", '<head><base href="site/">')
        (tmp_path / "page.html").write_text(text, encoding="utf-8")
        url = (tmp_path / "page.html").as_uri()
        with Page(url, tmp_path / "profile", "--hide-scrollbars", width=SHEET_PX) as page:
            wide = page.get("""(() => {
              const right = (e) => e.getBoundingClientRect().right, all = [...document.querySelectorAll("article *")];
              const over = all.filter((e) => right(e) > innerWidth + 1 && !e.closest("svg, mjx-container"));
              return [all.length, over.slice(0, 5).map((e) => e.outerHTML.slice(0, 200))];
            })()""")
        assert wide[0] > 10_000 and not wide[1]
