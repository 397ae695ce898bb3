"""Numbers and pictures of `book/results/`, so that no page types a number: table, figure, number in a line."""

import sys
from fnmatch import fnmatch
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective, SphinxRole

from cgcore import store, viewer

sys.path.insert(0, str(Path(__file__).parents[1]))
from cgbook import results

MISSING = "not computed yet"


def chapter(env, name: str) -> results.Chapter:
    """The results of a chapter, on whose files the page then depends."""
    folder = Path(env.srcdir) / "results" / name
    for path in (folder / results.RUNS, folder / results.ROWS, Path(env.srcdir) / results.LABELS):
        env.note_dependency(str(path))
    return results.load(folder)


class ResultTable(SphinxDirective):
    """`{results} <chapter>/<table>`: a table with a row per label, and below it how each run was sampled.

    Without a table it is the chapter's main one. `:runs:` takes those whose labels match one of its patterns, such as
    three_site_*. The content is the columns, a line `quantity: heading` each, and after an empty line the caption.
    """

    required_arguments = 1
    has_content = True
    option_spec = {"name": directives.unchanged, "runs": directives.unchanged}

    def run(self):
        name, _, table = self.arguments[0].partition("/")
        found = chapter(self.env, name)
        if not found.runs:
            return self.parse_text_to_nodes(f"*The table of results is {MISSING}.*")
        patterns = self.options.get("runs", "*").split()
        labels = [label for label in found.table(table or "main") if any(fnmatch(label, p) for p in patterns)]
        columns, _, caption = "\n".join(self.content).partition("\n\n")
        headings = dict(map(str.strip, line.split(":", 1)) for line in columns.splitlines())
        words = f"{' '.join(caption.split())} {results.sampling(found, labels)}"
        text = self.parse_inline(words, lineno=self.lineno)[0]
        node = nodes.table("", nodes.title("", "", *text), classes=["results"])
        node += _group(["", *headings.values()], results.cells(found, labels, list(headings)))
        self.add_name(node)
        self.set_source_info(node)
        return [node]


class ResultFigure(SphinxDirective):
    """`{result-figure} <system>/<picture>` with a caption as content: a figure, as soon as its picture is there."""

    required_arguments = 1
    has_content = True
    option_spec = {"name": directives.unchanged, "alt": directives.unchanged_required, "width": directives.unchanged}

    def run(self):
        if "alt" not in self.options:
            raise self.error("{result-figure}: want :alt:, what the picture shows, for those who cannot see it")
        if not (Path(self.env.srcdir) / "results" / self.arguments[0]).is_file():
            return self.parse_text_to_nodes(f"*The figure {self.arguments[0]} is {MISSING}.*")
        options = "\n".join(f":{key}: {value}" for key, value in self.options.items())
        caption = "\n".join(self.content)
        return self.parse_text_to_nodes(f":::{{figure}} /results/{self.arguments[0]}\n{options}\n\n{caption}\n:::")


class ResultTrajectory(SphinxDirective):
    """`{result-trajectory} <system>/<file>.npz` with a caption as content: frames of beads to play.

    The file has position (T, N, 3) nm, bonds, species, names and frame_ps.
    """

    required_arguments = 1
    has_content = True
    option_spec = {"alt": directives.unchanged_required}

    def run(self):
        path = Path(self.env.srcdir) / "results" / self.arguments[0]
        if "alt" not in self.options:
            raise self.error("{result-trajectory}: want :alt:, what is to be seen, for those who cannot see it")
        if not path.is_file():
            return self.parse_text_to_nodes(f"*The trajectory {self.arguments[0]} is {MISSING}.*")
        self.env.note_dependency(str(path))
        a = store.read_npz(path)
        shown = (a["position"], a["species"].tolist(), a["names"].tolist(), a["bonds"])
        words = {"alt": self.options["alt"], "caption": " ".join(self.content)}
        page = viewer.show_trajectory(*shown, **words, frame_ps=float(a["frame_ps"]))
        return [nodes.raw("", page.data, format="html")]


class ResultText(SphinxDirective):
    """`{result-text} <system>/<file>.txt`: what a command printed, as soon as it is there."""

    required_arguments = 1

    def run(self):
        path = Path(self.env.srcdir) / "results" / self.arguments[0]
        if not path.is_file():
            return self.parse_text_to_nodes(f"*The output {self.arguments[0]} is {MISSING}.*")
        self.env.note_dependency(str(path))
        return [_listing(path.read_text(encoding="utf-8"), "text")]


class BookFile(SphinxDirective):
    """`{book-file} doctor_maps/thr_phe.toml`: a file of the book's folder."""

    required_arguments = 1

    def run(self):
        path = Path(self.env.srcdir) / self.arguments[0]
        self.env.note_dependency(str(path))
        return [_listing(path.read_text(encoding="utf-8"), path.suffix.removeprefix("."))]


class ResultNumber(SphinxRole):
    """`` {result}`amino_acids/core:js_reference` ``: a quantity of a label with its error; the text names its unit."""

    def run(self):
        place, _, quantity = self.text.partition(":")
        name, _, label = place.partition("/")
        found = chapter(self.env, name)
        text = found.row(label, quantity).text() if found.runs else f"({MISSING})"
        return [nodes.inline("", text, classes=["result"])], []


class ResultFile(SphinxRole):
    """`` {result-file}`hexane/download/table1.csv` ``: a link to load a file down, as soon as it is there."""

    def run(self):
        if not (Path(self.env.srcdir) / "results" / self.text).is_file():
            return [nodes.inline("", f"{Path(self.text).name} ({MISSING})")], []
        link = {"reftarget": f"/results/{self.text}", "reftype": "download", "refdomain": "", "refexplicit": False}
        words = nodes.literal("", Path(self.text).name, classes=["download"])
        return [addnodes.download_reference("", "", words, refdoc=self.env.docname, refwarn=False, **link)], []


def _listing(text: str, language: str) -> nodes.literal_block:
    return nodes.literal_block(text, text, language=language)


def _group(headings: list[str], rows: list[list[str]]) -> nodes.tgroup:
    group = nodes.tgroup(cols=len(headings))
    group += [nodes.colspec(colwidth=1) for _ in headings]
    group += nodes.thead("", _row(headings))
    group += nodes.tbody("", *map(_row, rows))
    return group


def _row(texts: list[str]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", text)) for text in texts))


def setup(app):
    app.add_directive("results", ResultTable)
    app.add_directive("result-figure", ResultFigure)
    app.add_directive("result-text", ResultText)
    app.add_directive("book-file", BookFile)
    app.add_directive("result-trajectory", ResultTrajectory)
    app.add_role("result", ResultNumber())
    app.add_role("result-file", ResultFile())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
