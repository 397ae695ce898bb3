"""A surface over phi and psi to click: `{conformers}` shows of each cell a conformer of a bundled reference."""

import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parents[1]))
from cgbook import conformers

SCRIPT = "js/conformers.js"


class ConformersOfCells(SphinxDirective):
    """`{conformers} <reference> <map> <residue>` with a caption as content (`cgbook.conformers`)."""

    required_arguments = 3
    has_content = True
    option_spec = {"alt": directives.unchanged_required}

    def run(self):
        if "alt" not in self.options:
            raise self.error("{conformers}: want :alt:, what the surface shows, for those who cannot see it")
        made = conformers.pick(*self.arguments)
        return [nodes.raw("", conformers.page(made, self.options["alt"], " ".join(self.content)), format="html")]


def script_where_wanted(app, pagename, templatename, context, doctree):
    if doctree and any('class="conformers"' in raw for raw in map(nodes.raw.astext, doctree.findall(nodes.raw))):
        app.add_js_file(SCRIPT, loading_method="defer")


def setup(app):
    app.add_directive("conformers", ConformersOfCells)
    app.connect("html-page-context", script_where_wanted)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
