"""Make a small, stable page of the book from an executed notebook."""

import os
import re
from pathlib import Path

import nbformat

from cgbook.parameters import read_notebook
from cgcore.config import ConfigError
from cgcore.store import replacing

MAX_BYTES = 1_000_000
DROPPED_TAGS = {"parameters", "injected-parameters", "colab-setup", "template-only"}
"""Cells that a page leaves out: parameters, which its provenance box lists, and what helps to run a template."""
CODE_PROMPTS = {"code_prompt_show": "Show the code", "code_prompt_hide": "Hide the code"}

WIDGET = "application/vnd.jupyter.widget-view+json"
LABELS = re.compile(r"^\(([\w:.-]+)\)=\s*$|^:(?:name|label):\s*([\w:.-]+)\s*$|^\$\$\s*\(([\w:.-]+)\)\s*$", re.MULTILINE)


def publish(executed: Path, page: Path, *, title: str | None = None, book: Path = Path("book")) -> Path:
    """Write an executed notebook as a page below `book` and return the page's path.

    Of the cells those stay that show something: text, and code with an output, folded away. What belongs to another branch
    of the template than the run took goes: cells with a tag `<parameter>=<value>` where it has another value. Labels get
    the page's name so that they are unique in the book, progress bars, time stamps and widget state go, links into
    `../book/` are made relative to the page, a provenance box follows the title. The same run gives the same bytes.

    title: the page's, by default the template's with the parameters that differ from its defaults.
    Raises ConfigError for a notebook without `cgcore` metadata, without a title, or whose page passes 1 MB.
    """
    notebook = read_notebook(executed)
    record = notebook.metadata.get("cgcore")
    if not isinstance(record, dict) or "differing" not in record:
        raise ConfigError(f"{executed}: want a notebook that run_notebook finished, found no 'cgcore' in its metadata")
    page = Path(page)
    cells = [c for c in notebook.cells if _on_the_page(set(c.metadata.get("tags", [])), record["parameters"])]
    for cell in cells:
        _clean(cell)
    cells = [c for c in cells if c.cell_type == "markdown" or c.outputs]
    labels = _labels(cells)
    up = Path(os.path.relpath(book, page.parent)).as_posix()
    suffix = f"-{page.parent.name}-{page.stem}".lower().replace("_", "-")
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number:02d}"
        _rename(cell, labels, suffix)
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace("](../book/", f"]({up}/")
    if not (cells and cells[0].cell_type == "markdown" and cells[0].source.startswith("# ")):
        raise ConfigError(f"{executed}: want a first cell of text that starts with `# Title`")
    first, _, rest = cells[0].source.partition("\n")
    cells[0].source = f"# {title}\n{rest}" if title else f"{first}: {record['differing']}\n{rest}"
    cells.insert(1, nbformat.v4.new_markdown_cell("```{provenance}\n```", id="provenance"))
    notebook.cells = cells
    kept = {key: notebook.metadata[key] for key in ("cgcore", "kernelspec") if key in notebook.metadata}
    notebook.metadata = nbformat.from_dict(kept | {"language_info": {"name": "python"}})
    text = nbformat.writes(notebook) + "\n"
    _require_small(page, text, cells)
    page.parent.mkdir(parents=True, exist_ok=True)
    with replacing(page) as file:
        file.write(text.encode())
    return page


def _labels(cells) -> list[str]:
    """Every label that the notebook defines: figures of code cells, targets, directives and equations of text."""
    names = {cell.metadata.get("mystnb", {}).get("figure", {}).get("name") for cell in cells}
    for cell in (cell for cell in cells if cell.cell_type == "markdown"):
        names |= {name for of_match in LABELS.findall(cell.source) for name in of_match}
    return sorted(filter(None, names), key=len, reverse=True)


def _rename(cell, labels: list[str], suffix: str):
    """Add the suffix to the labels where a cell defines or names them."""
    figure = cell.metadata.get("mystnb", {}).get("figure", {})
    if "name" in figure:
        figure["name"] += suffix
    if cell.cell_type == "markdown":
        for name in labels:
            cell.source = re.sub(rf"(?<=[`<(#\s]){re.escape(name)}(?=[`>)\n]|$)", name + suffix, cell.source)


def _on_the_page(tags: set[str], parameters: dict) -> bool:
    """Whether a cell with these tags helps to read the page of a run with these parameters."""
    branches = [tag.partition("=") for tag in tags if "=" in tag]
    return not DROPPED_TAGS & tags and all(str(parameters.get(name)) == value for name, _, value in branches)


def _clean(cell):
    """Drop what changes between equal runs, and progress bars; fold code away."""
    for key in ("papermill", "execution", "collapsed"):
        cell.metadata.pop(key, None)
    if cell.cell_type == "code":
        cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]
        cell.metadata["mystnb"] = cell.metadata.get("mystnb", {}) | CODE_PROMPTS
        kept = [o for o in cell.outputs if o.get("name") != "stderr" and WIDGET not in o.get("data", {})]
        for output in kept:
            if output.output_type == "stream":
                output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text)
        cell.outputs = kept


def _require_small(page: Path, text: str, cells):
    if (size := len(text.encode())) > MAX_BYTES:
        sizes = [len(nbformat.writes(nbformat.v4.new_notebook(cells=[c]))) for c in cells]
        largest = max(range(len(cells)), key=sizes.__getitem__)
        raise ConfigError(
            f"{page}: want a page below {MAX_BYTES} bytes, got {size}; cell {largest} alone has {sizes[largest]}: "
            f"lower its figure's dpi or number of frames. It begins {cells[largest].source[:60]!r}"
        )
