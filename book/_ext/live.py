"""Models that run in the page: their files beside it, and the element that plays them."""

import html
import json
import posixpath
import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from cgcore.export.web import model_script, page

sys.path.insert(0, str(Path(__file__).parents[1]))
from cgbook import results

FOLDER = "_static/live"


class LiveModels(SphinxDirective):
    """`{live} <picture>`: networks of results that run in the page; the picture and its :alt: stand in where they cannot.

    The content is a line `chapter/label: title: reference` each, with the label in the chapter `reference` whose surface
    lies over the model's, and after an empty line the caption.
    """

    required_arguments = 1
    has_content = True
    option_spec = {"alt": directives.unchanged_required}

    def run(self):
        rows, _, caption = "\n".join(self.content).partition("\n\n")
        book, titles = Path(self.env.srcdir) / "results", {}
        if not any(book.glob(f"*/{results.ROWS}")):
            return self.parse_text_to_nodes("*The models are not computed yet.*")
        for name, text in page.files().items():
            self._write(name, text)
        for row in rows.splitlines():
            place, title, reference = map(str.strip, row.split(":"))
            name, _, label = place.partition("/")
            titles[label] = title
            chapter, theirs = results.load(book / name), results.load(book / "reference")
            self.env.note_dependency(str(chapter.model(label)))
            about = self._reference(theirs, reference)
            self._write(f"{label}.js", f"{model_script(chapter.model(label), label)}{page.beside(label, about)}")
        root = posixpath.relpath(FOLDER, posixpath.dirname(self.env.docname) or ".")
        picture = nodes.image("", uri=f"/results/{self.arguments[0]}", alt=self.options["alt"])
        opening = f'<figure class="cg-live" data-folder="{root}/" data-models="{html.escape(json.dumps(titles))}">'
        scripts = f'<link rel="stylesheet" href="{root}/live.css"><script defer src="{root}/live.js"></script>'
        words = nodes.container("", *self.parse_inline(" ".join(caption.split()), lineno=self.lineno)[0])
        return [_raw(scripts + opening), picture, _raw("<figcaption>"), words, _raw("</figcaption></figure>")]

    def _write(self, name: str, text: str):
        path = Path(self.env.app.outdir) / FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    @staticmethod
    def _reference(chapter: results.Chapter, label: str) -> dict:
        curves = chapter.curves(label)
        lines = page.contours(curves["P"], curves["edges"], TEMPERATURE_K)
        share = chapter.value(label, "phi_positive")
        return {"contours": lines, "phiPositive": share}


TEMPERATURE_K = 300.0
"""Of all references."""


def _raw(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def setup(app):
    app.add_directive("live", LiveModels)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
