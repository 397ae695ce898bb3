"""The element in which networks run in the page, with their scripts beside it."""

import html
import json
import posixpath
import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from cgcore.export.web import page

sys.path.insert(0, str(Path(__file__).parents[1]))
from cgbook import live, results

FOLDER = "_static/live"


class LiveModels(SphinxDirective):
    """`{live} <chapter>`: networks of its results that run in the page; :picture: of the results, with its :alt:, stands in
    where they cannot.

    The content is a line `label: title` each, and after an empty line the caption.
    """

    required_arguments = 1
    has_content = True
    option_spec = dict.fromkeys(("picture", "alt"), directives.unchanged_required)

    def run(self):
        chapter = results.load(Path(self.env.srcdir) / "results" / self.arguments[0])
        if not chapter.runs:
            return self.parse_text_to_nodes("*The networks are not computed yet.*")
        rows, _, caption = "\n".join(self.content).partition("\n\n")
        titles = dict(map(str.strip, row.split(":", 1)) for row in rows.splitlines())
        scripts = {f"{label}.js": self._script(chapter, label) for label in titles}
        for name, text in (page.files() | scripts).items():
            path = Path(self.env.app.outdir) / FOLDER / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        root = posixpath.relpath(FOLDER, posixpath.dirname(self.env.docname) or ".")
        picture = nodes.image("", uri=f"/results/{self.options['picture']}", alt=self.options["alt"])
        head = ""
        if self.env.temp_data.setdefault("cg-live", self.lineno) == self.lineno:  # once for all elements of a page
            head = f'<link rel="stylesheet" href="{root}/live.css"><script defer src="{root}/live.js"></script>'
        models = html.escape(json.dumps(titles))
        opening = f'<figure class="cg-live" data-folder="{root}/" data-models="{models}">'
        words = nodes.paragraph("", "", *self.parse_inline(" ".join(caption.split()), lineno=self.lineno)[0])
        return [_raw(head + opening), picture, _raw("<figcaption>"), words, _raw("</figcaption></figure>")]

    def _script(self, chapter: results.Chapter, label: str) -> str:
        path = live.path(chapter, label)
        if not path.is_file():
            raise self.error(f"{{live}}: {label} has no script; `live` of panels.toml names those that are written")
        self.env.note_dependency(str(path))
        return path.read_text(encoding="utf-8")


def _raw(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def setup(app):
    app.add_directive("live", LiveModels)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
