"""The pages in a real browser: on a phone, in light and in dark, for those who do not see them, and with no script error."""

import shutil
from pathlib import Path

import axe_core_python
import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html"
TALLEST = 12_000
"""Pixels of a page on a phone; those of tables, which nobody reads from top to bottom, may be longer."""
PHONE = 390
NOT_OURS = {("references.html", "aria-required-children")}
"""Docutils gives its list of citations a role that wants other children."""
GENERATED = {"genindex.html", "search.html", "py-modindex.html"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium here"),
    pytest.mark.skipif(not (SITE / "index.html").is_file(), reason="the book is not built: uv run cgcore book"),
]


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Page -> what the browser found; and what its console got."""
    from chromium import Page

    folder = tmp_path_factory.mktemp("browser")
    shutil.copy(Path(__file__).parent / "browser.html", folder)
    shutil.copy(Path(axe_core_python.__file__).parent / "axe.min.js", folder)
    pages = [str(p.relative_to(SITE)) for p in sorted(SITE.rglob("*.html")) if "_static" not in p.parts]
    asked = f"folder={SITE.as_uri()}/&pages={','.join(p for p in pages if p not in GENERATED)}"
    url, flags = (
        f"{(folder / 'browser.html').as_uri()}#{asked}",
        ["--disable-web-security", "--allow-file-access-from-files"],
    )
    with Page(url, folder / "profile", *flags) as page:
        page.wait("window.found !== undefined", 880)
        told = page.get("window.found")
    assert len(told) > 15 and not [page for page, found in told.items() if "error" in found]
    return told, page.errors


def test_no_page_is_endless_or_too_wide_on_a_phone(seen):
    sizes = {page: (found["height"], found["width"]) for page, found in seen[0].items()}
    endless = {page for page, (height, _) in sizes.items() if height > TALLEST and not page.startswith("tables/")}
    assert not endless and not {page: size for page, size in sizes.items() if size[1] > PHONE}


def test_nothing_stands_in_the_way_of_readers_who_see_little(seen):
    found = {
        (page, theme, rule, where)
        for page, looked in seen[0].items()
        for theme, impact, rule, where in looked["violations"]
        if impact in ("serious", "critical") and (page, rule) not in NOT_OURS
    }
    assert not found


def test_no_script_fails(seen):
    assert not [error for error in seen[1] if error.startswith("Uncaught")]
