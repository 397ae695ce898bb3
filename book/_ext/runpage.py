"""Pages made from runs: the provenance box, the list of runs, the badge and buttons that open a template."""

import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective, SphinxRole

RUN = re.compile(r"^runs/(?P<system>[^/]+)/(?P<run>[^/]+)$")
COLAB = "https://colab.research.google.com/github/"


def record_of(page: Path) -> dict:
    """What made a page, from the notebook's metadata; empty where the notebook is no run."""
    return json.loads(page.read_text(encoding="utf-8"))["metadata"].get("cgcore", {})


class Provenance(SphinxDirective):
    """`{provenance}`: the parameters of the run in which it differs from the template, and the rest folded away."""

    def run(self):
        record = record_of(Path(self.env.doc2path(self.env.docname)))
        if not record:
            raise self.error("{provenance}: this page is no published run; publish it with cgbook.publish")
        parameters = ", ".join(f"{name} = {value}" for name, value in record["parameters"].items())
        packages = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
        kernels = ", ".join(f"{room} {version}" for room, version in record["kernels"].items())
        rows = [
            ("Template", f"notebooks/{record['template']}"),
            ("Parameters", parameters),
            ("Seed", record["seed"]),
            ("Data", f"sha256 {record['data']}" if record["data"] else "none bundled"),
            ("Code", f"commit {record['commit']}; kernels {kernels}"),
            ("Versions", packages),
            ("Device", record["device"]),
            ("Made", f"{record['started']}, in {record['wall_s']:.0f} s"),
        ]
        fields = nodes.field_list("", *(_field(name, str(value)) for name, value in rows))
        note = nodes.admonition("", nodes.title("", "How this page was made"), fields)
        note["classes"] += ["provenance", "dropdown"]
        given = f"A run of `notebooks/{record['template']}` with `{record['differing']}`."
        return [*self.parse_text_to_nodes(given), note]


class Runs(SphinxDirective):
    """`{runs} <system>`: links to the pages of a system's runs, or how to make them."""

    required_arguments = 1

    def run(self):
        folder = Path(self.env.srcdir) / "runs" / self.arguments[0]
        pages = sorted(folder.glob("*.ipynb"))
        if not pages:
            note = "No run has been made yet: `uv run cgcore book` makes them, and this list."
            return self.parse_text_to_nodes(note)
        lines = []
        for page in pages:
            self.env.note_dependency(str(page))
            made = f"{record_of(page)['wall_s'] / 60:.1f} min on {record_of(page)['device']}"
            lines.append(f"- {{doc}}`/runs/{self.arguments[0]}/{page.stem}`, {made}")
        return self.parse_text_to_nodes("\n".join(lines))


class ColabBadge(SphinxRole):
    """`` {colab}`amino_acids` ``: the badge that opens a template in Colab, as a local picture.

    Its name alone where the project has no address.
    """

    def run(self):
        if not self.config.html_theme_options["repository_url"]:
            return [nodes.literal("", f"notebooks/{self.text}.ipynb")], []
        image = nodes.image(uri="/static/colab.svg", alt=f"Open the notebook {self.text} in Google Colab")
        return [nodes.reference("", "", image, refuri=template_url(self.config, self.text), internal=False)], []


def template_url(config, system: str) -> str:
    """Where Colab opens a template: the repository and branch of `_config.yml`."""
    options = config.html_theme_options
    repository = options["repository_url"].removeprefix("https://github.com/")
    return f"{COLAB}{repository}/blob/{options['repository_branch']}/notebooks/{system}.ipynb"


def follow_address(app, config):
    """Show the buttons that lead to the project where it has an address, and none where that is empty."""
    options = config.html_theme_options
    known = bool(options["repository_url"])
    options |= dict.fromkeys(("use_repository_button", "use_issues_button"), known)
    options["launch_buttons"] = options["launch_buttons"] if known else {}


def open_template(app, pagename, templatename, context, doctree):
    """Let the launch and source buttons of a run's page lead to its template; the executed copy is not in git."""
    match = RUN.match(pagename)
    if not match:
        return
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if "url" in button:
                button["url"] = button["url"].replace(f"book/{pagename}.ipynb", f"notebooks/{match['system']}.ipynb")


def _field(name: str, value: str) -> nodes.field:
    return nodes.field("", nodes.field_name("", name), nodes.field_body("", nodes.paragraph("", value)))


def setup(app):
    app.add_directive("provenance", Provenance)
    app.add_directive("runs", Runs)
    app.add_role("colab", ColabBadge())
    app.connect("config-inited", follow_address)
    app.connect("html-page-context", open_template, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
