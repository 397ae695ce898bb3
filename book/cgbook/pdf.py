"""The built book as one PDF: its pages joined in the order of their navigation, printed by a headless Chromium."""

import html
import re
import shutil
import subprocess
import tempfile
from pathlib import Path, PurePosixPath
from posixpath import normpath

from cgcore.errors import CgcoreError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
JOINED = "print.html"
LEFT_OUT = "script, .headerlink, .hint, .controls, .hide, .admonition.provenance, .conformers button"
"""Of a page: what needs a hand on it, and what is folded away on pages of runs."""
MATH = ("window.MathJax", "tex-svg.js")
"""What is in the scripts that a printed page needs; every other one brings interactive views to life."""


class NotPrinted(CgcoreError, RuntimeError):
    """There is no browser, no built book, or the browser printed nothing."""


def browser() -> str:
    """The path of a Chromium. Raises NotPrinted where none is on the path."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise NotPrinted(f"want one of {', '.join(BROWSERS)} on the path, to print the pages; found none")
    return found


def print_book(site: Path, out: Path, *, timeout_s: float = 600) -> Path:
    """Print the book whose HTML is in the folder `site` to the file `out`; its path.

    Raises NotPrinted where no Chromium is on the path, where the book is not built, or where the browser fails.
    """
    site, out, command = Path(site).resolve(), Path(out).resolve(), [browser()]
    page = site / JOINED
    page.write_text(join(site), encoding="utf-8")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.unlink(missing_ok=True)
    command += ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    command += ["--generate-pdf-document-outline", "--virtual-time-budget=300000", f"--print-to-pdf={out}"]
    try:
        with tempfile.TemporaryDirectory() as profile:
            command += [f"--user-data-dir={profile}", page.as_uri()]
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout_s)
    finally:
        page.unlink()
    if done.returncode or not out.is_file():
        raise NotPrinted(f"{command[0]} ended with {done.returncode} and printed nothing:\n{done.stderr[-2000:]}")
    print(f"The book is printed: {out}", flush=True)
    return out


def join(site: Path) -> str:
    """One page of all pages: a title, the contents, then each article on a new sheet; links lead within it.

    Ids get the name of their page before them, since two pages may have the same. Still pictures stand for interactive
    views, folded solutions and asides are open, the folded code of runs is left out.
    """
    from bs4 import BeautifulSoup

    index = site / "index.html"
    if not index.is_file():
        raise NotPrinted(f"{index}: no such file; `cgcore book` builds the book")
    front = BeautifulSoup(index.read_text(encoding="utf-8"), "html.parser")
    entries = front.select("nav.bd-links p.caption, nav.bd-links a.reference.internal")
    pages = {"index.html": None} | {a["href"]: a for a in entries if a.name == "a" and a["href"] != "#"}
    articles = []
    for name in pages:
        soup = BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser")
        article = soup.select_one("article.bd-article")
        _still(article)
        _within(article, name, pages)
        article["id"] = _anchor(name)
        articles.append(str(article))
    styles = "".join(str(link) for link in front.head.select('link[rel="stylesheet"]'))
    math = "".join(str(script) for script in _math(site, pages))
    title = html.escape(front.title.get_text().rpartition(" — ")[2])
    contents = "".join(map(_entry, entries))
    return (
        f'<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light" data-content_root=""><head>'
        f'<meta charset="utf-8"><title>{title}</title>{styles}{math}</head><body class="printed">'
        f'<nav class="booktoc"><p class="booktitle">{title}</p>{contents}</nav>{"".join(articles)}</body></html>'
    )


def _still(article):
    """Leave out what needs a hand, open what is folded."""
    for element in article.select(LEFT_OUT):
        element.decompose()
    for details in article.select("details"):
        details["open"] = ""
    for box in article.select(".dropdown"):
        box["class"].remove("dropdown")
    for image in article.select("img[loading]"):
        del image["loading"]


def _within(article, name: str, pages: dict):
    """Make ids unique, links to pages links within the document, and other addresses relative to the root."""
    folder = PurePosixPath(name).parent
    for key in ("id", "for", "aria-labelledby"):
        for element in article.select(f"[{key}]"):
            element[key] = _anchor(name, element[key])
    for key in ("href", "src"):
        for element in article.select(f"[{key}]"):
            address = element[key]
            if re.match(r"(?i)[a-z][a-z0-9+.-]*:|//", address):
                continue
            path, _, fragment = address.partition("#")
            path = normpath(str(folder / path)) if path else name
            if path in pages:
                element[key] = f"#{_anchor(path, fragment)}"
            else:
                element[key] = path


def _anchor(page: str, fragment: str = "") -> str:
    """The id within the document of an id of a page, or of the page itself."""
    return f"{page.removesuffix('.html')}--{fragment}".removesuffix("--")


def _math(site: Path, pages: dict):
    """The scripts that typeset formulas, of the first page that has any."""
    from bs4 import BeautifulSoup

    for name in pages:
        soup = BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser")
        scripts = [s for s in soup.select("script") if any(word in f"{s.get('src')}{s.string}" for word in MATH)]
        for script in filter(lambda s: s.get("src"), scripts):
            script["src"] = normpath(str(PurePosixPath(name).parent / script["src"]))
        if len(scripts) == len(MATH):
            return scripts
    return []


def _entry(entry) -> str:
    """A line of the contents: a part's caption, or a link to a page."""
    text = html.escape(entry.get_text(strip=True))
    if entry.name == "p":
        return f'<p class="part">{text}</p>'
    return f'<p><a href="#{_anchor("index.html" if entry["href"] == "#" else entry["href"])}">{text}</a></p>'
