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
from cgbook import claims, results

MISSING = "not computed yet"


def chapter(env, name: str) -> results.Chapter:
    """The results of a chapter, on whose files the page then depends."""
    folder = Path(env.srcdir) / "results" / name
    for path in (folder / results.RUNS, folder / results.ROWS, Path(env.srcdir) / results.LABELS):
        env.note_dependency(str(path))
    return results.load(folder)


def missing(directive: SphinxDirective, what: str) -> list[nodes.Node]:
    """Say that something is missing, under the name and with the number by which other pages refer to it."""
    figure = nodes.figure("", nodes.caption("", f"{what} is {MISSING}."))
    directive.add_name(figure)
    return [figure]


class ResultTable(SphinxDirective):
    """`{results} <chapter>/<table>`: a table with a row per label, and below it how each run was sampled.

    Without a table it is the chapter's main one; more tables of the chapter may follow, after spaces. `:runs:` takes those whose labels match one of its patterns, such as
    three_site_*; `:drop:` leaves words out of the titles, those that all rows share, separated by semicolons. The content
    is the columns, a line `quantity: heading` each, and after an empty line the caption. A column `sampling` says how each
    run was sampled in place of the caption's end.
    """

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = dict.fromkeys(("name", "runs", "drop"), directives.unchanged)

    def run(self):
        name, _, table = self.arguments[0].partition("/")
        published = chapter(self.env, name)
        if not published.runs:
            return missing(self, "The table of results")
        patterns = self.options.get("runs", "*").split()
        listed = [label for part in (table or "main").split() for label in published.table(part)]
        labels = [label for label in listed if any(fnmatch(label, p) for p in patterns)]
        columns, _, caption = "\n".join(self.content).partition("\n\n")
        headings = dict(map(str.strip, line.split(":", 1)) for line in columns.splitlines())
        words, dropped = " ".join(caption.split()), self.options.get("drop", "").split(";")
        if results.SAMPLING not in headings:
            words += f" {results.sampling(published, labels, dropped)}"
        text = self.parse_inline(words, lineno=self.lineno)[0]
        shown = results.cells(published, labels, list(headings), dropped)
        node = nodes.table("", nodes.title("", "", *text), classes=["results"])
        head, body = [_row(["", *headings.values()])], map(_row, shown)
        columns = [nodes.colspec(colwidth=1) for _ in range(len(headings) + 1)]
        node += nodes.tgroup("", *columns, nodes.thead("", *head), nodes.tbody("", *body), cols=len(columns))
        self.add_name(node)
        self.set_source_info(node)
        return [node]


class PaperClaims(SphinxDirective):
    """`{paper-claims}`: what the study says, what this book finds, and whether they agree."""

    def run(self):
        folder = Path(self.env.srcdir)
        self.env.note_dependency(str(folder / claims.FILE))
        if not any((folder / "results").glob(f"*/{results.ROWS}")):
            return missing(self, "The table of claims")
        for name in {path.parent.name for path in (folder / "results").glob(f"*/{results.ROWS}")}:
            chapter(self.env, name)
        lines, item = ["| | the study | this book | | |", "|---|---|---|---|---|"], ""
        for claim in claims.claims(folder):
            told = [f"{t.says} {t.row.text()} {t.row.unit}".strip() for t in claim.tests]
            samples = list(
                dict.fromkeys(t.sampling.partition(",")[0] for t in claim.tests if t.sampling != results.ABSENT)
            )
            found = "; ".join(told) + f" ({'; '.join(samples)})" * bool(samples)
            why = " ".join(filter(None, (claim.missing, claim.why)))
            link = f"{claims.MARKS[claim.verdict]} {{doc}}`{claim.verdict} </{claim.page}>`"
            same, item = claim.item == item, claim.item
            lines.append(f"| {'' if same else item} | {claim.study} | {found or results.ABSENT} | {link} | {why} |")
        return self.parse_text_to_nodes("\n".join(lines))


class PaperCount(SphinxRole):
    """`` {paper-count}`agrees` ``: of how many claims that is the verdict; `all` counts all."""

    def run(self):
        folder = Path(self.env.srcdir)
        if not any((folder / "results").glob(f"*/{results.ROWS}")):
            return [nodes.inline("", f"({MISSING})")], []
        counts = claims.counts(folder)
        number = counts.total() if self.text == "all" else counts[self.text]
        return [nodes.inline("", str(number), classes=["result"])], []


class OfFile(SphinxDirective):
    """Base of directives that show a file of the results by their `shown`, as soon as it is there."""

    required_arguments = 1
    kind, alt = "", ""
    """What the file is called where it is missing, and what an alternative text has to say, if one is wanted."""

    def run(self):
        name = self.arguments[0]
        path = Path(self.env.srcdir) / "results" / name
        if self.alt and "alt" not in self.options:
            raise self.error(f"{{{self.name}}}: want :alt:, {self.alt}, for those who cannot see it")
        if not path.is_file():
            return missing(self, f"The {self.kind} {name}")
        self.env.note_dependency(str(path))
        return self.shown(path)


class ResultText(OfFile):
    """`{result-text} <system>/<file>.txt`: what a command printed."""

    kind = "output"

    def shown(self, path: Path) -> list[nodes.Node]:
        text = path.read_text(encoding="utf-8")
        return [nodes.literal_block(text, text, language="text")]


class ResultFigure(OfFile):
    """`{result-figure} <system>/<picture>` with a caption as content: a figure."""

    kind, alt = "figure", "what the picture shows"
    has_content = True
    option_spec = {"name": directives.unchanged, "alt": directives.unchanged_required, "width": directives.unchanged}

    def shown(self, path: Path) -> list[nodes.Node]:
        options = "\n".join(f":{key}: {value}" for key, value in self.options.items())
        caption = "\n".join(self.content)
        return self.parse_text_to_nodes(f":::{{figure}} /results/{self.arguments[0]}\n{options}\n\n{caption}\n:::")


class ResultTrajectory(OfFile):
    """`{result-trajectory} <system>/<file>.npz` with a caption as content: frames of beads to play (`cgbook.views`)."""

    kind, alt = "trajectory", "what is to be seen"
    has_content = True
    option_spec = {"alt": directives.unchanged_required}

    def shown(self, path: Path) -> list[nodes.Node]:
        a = store.read_npz(path)
        beads = (a["position"], a["species"].tolist(), a["names"].tolist(), a["bonds"])
        words = {"alt": self.options["alt"], "caption": " ".join(self.content)}
        page = viewer.show_trajectory(*beads, **words, frame_ps=float(a["frame_ps"]))
        return [nodes.raw("", page.data, format="html")]


class ResultNumber(SphinxRole):
    """`` {result}`amino_acids/core:js_reference` ``: a quantity of a label with its error; the text names its unit."""

    def run(self):
        place, _, quantity = self.text.partition(":")
        name, _, label = place.partition("/")
        published = chapter(self.env, name)
        text = published.row(label, quantity).text() if published.runs else f"({MISSING})"
        return [nodes.inline("", text, classes=["result"])], []


class ResultFile(SphinxRole):
    """`` {result-file}`hexane/download/table1.csv` ``: a link to load a file down, as soon as it is there."""

    def run(self):
        if not (Path(self.env.srcdir) / "results" / self.text).is_file():
            return [nodes.inline("", f"{Path(self.text).name} ({MISSING})")], []
        link = {"reftarget": f"/results/{self.text}", "reftype": "download", "refdomain": "", "refexplicit": False}
        words = nodes.literal("", Path(self.text).name, classes=["download"])
        return [addnodes.download_reference("", "", words, refdoc=self.env.docname, refwarn=False, **link)], []


def _row(texts: list[str]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", text)) for text in texts))


def own_ids(app, doctree):
    """Give the contents of exercises and solutions ids of their own: sphinx-exercise names all of a page alike."""
    for number, section in enumerate(doctree.findall(nodes.section)):
        if section["ids"] in (["exercise-content"], ["solution-content"]):
            section["ids"] = [f"{section['ids'][0]}-{number}"]


def each_script_once(app, pagename, templatename, context, doctree):
    """Drop a script that a page has twice, as sphinx-thebe gives it, which declares its constants a second time."""
    seen = set()
    for script in list(context.get("script_files", [])):
        body = getattr(script, "attributes", {}).get("body")
        if body and body in seen:
            context["script_files"].remove(script)
        seen.add(body)


def setup(app):
    app.connect("doctree-read", own_ids)
    app.connect("html-page-context", each_script_once, priority=900)
    app.add_directive("results", ResultTable)
    for kind in (ResultText, ResultFigure, ResultTrajectory):
        app.add_directive(f"result-{kind.__name__.removeprefix('Result').lower()}", kind)
    app.add_directive("paper-claims", PaperClaims)
    app.add_role("paper-count", PaperCount())
    app.add_role("result", ResultNumber())
    app.add_role("result-file", ResultFile())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
